"""`python -m ledger verify FILE...`: the verifier, without the exchange."""

import click

from ledger.verify.command import make_command


@click.group()
def group() -> None:
    """What can be proven, checked with nothing but public keys."""


group.add_command(make_command())

if __name__ == "__main__":
    group(prog_name="python -m ledger")
