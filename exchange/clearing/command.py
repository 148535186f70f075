"""`exchange clear`: a market in a folder, cleared; the answer and, if asked for, its certificate."""

from pathlib import Path

import click

from exchange.clearing.certificate import certificate_bytes, certify
from exchange.clearing.files import read_market, write_answer
from exchange.clearing.solve import clear

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("clear")
@click.argument("folder", type=FOLDER)
@click.option("--out", type=FILE, required=True, help="Where the answer is written, as JSON.")
@click.option("--certificate", "certificate_file", type=FILE, help="Where its certificate is written.")
@click.option("--secret", "secret_file", type=FILE, help="Salts the certificate's parts; needed with --certificate.")
@click.option("--seed", default="1", show_default=True, help="Public: decides ties and the order of work.")
def clear_folder(folder: Path, out: Path, certificate_file: Path | None, secret_file: Path | None, seed: str) -> None:
    """Clear the market in FOLDER: receivables.csv and mandates.json."""
    if certificate_file and not secret_file:
        raise click.UsageError("--certificate needs --secret.")
    market = read_market(folder)
    answer = clear(market, seed=seed.encode(), progress=_Progress())
    write_answer(out, market, answer)
    if certificate_file and secret_file:
        document = certify(market, answer, seed=seed.encode(), secret=secret_file.read_bytes())
        certificate_file.write_bytes(certificate_bytes(document))
    click.echo(
        f"{len(answer.entries):,} placements of {len(market.receivables):,} receivables, worth {answer.value};"
        f" no placement is worth more than {answer.bound} ({answer.gap:.3%} more)"
    )


class _Progress:
    """A line for each thing that begins."""

    def __init__(self) -> None:
        self._what = ""

    def __call__(self, what: str, done: int, of: int) -> None:
        if what != self._what:
            self._what = what
            click.echo(f"{what} ({done} of {of})" if of else what, err=True)
