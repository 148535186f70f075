"""`exchange vault`: the keys that personal data is sealed under. Run it where the keys are."""

from functools import partial

import click

from exchange import settings
from exchange.parties.privacy import seal_again
from exchange.services import open_services

BATCH = 500


@click.group("vault")
def group() -> None:
    """The keys that personal data is sealed under."""


@group.command()
def rotate() -> None:
    """Make the next key: processes that start from now on seal under it. Old ones stay, for what they sealed."""
    number = open_services(settings.load()).keyring.vault.rotate()
    click.echo(f"Key {number} is made. Copy its file to every host, restart there, then run `exchange vault reseal`.")


@group.command()
@click.option(
    "--batch", type=click.IntRange(1, 100_000), default=BATCH, show_default=True, help="Values a transaction."
)
def reseal(batch: int) -> None:
    """Seal again, under the newest key, what is under an older one. Stop it and start it again as you like."""
    services, done = open_services(settings.load()), 0
    step = partial(seal_again, keyring=services.keyring, entropy=services.entropy, most=batch)
    while count := services.database.run(step):
        done += count
        click.echo(f"{done} sealed again", err=True)
    services.database.dispose()
    click.echo(f"{done} values are sealed again under key {services.keyring.vault.newest}.")
