"""`exchange export` and `exchange import`."""

import sys
import time
from pathlib import Path

import click

from exchange import settings
from exchange.packs.export import export_pack
from exchange.packs.restore import import_pack
from exchange.services import open_services

SHOWN_EVERY_SECONDS = 0.2
FOLDER = click.Path(path_type=Path)


class Progress:
    """One line on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown_at = 0.0

    def __call__(self, path: str, rows: int) -> None:
        """Show how far a file has come."""
        now = time.monotonic()
        if self._terminal and now - self._shown_at > SHOWN_EVERY_SECONDS:
            self._shown_at = now
            click.echo(f"\r\x1b[K{path}  {rows:,} rows", nl=False, err=True)

    def close(self) -> None:
        """Leave a clean line."""
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


@click.command("export")
@click.argument("folder", type=FOLDER)
@click.option("--funder", "funder_id", help="Only what this funder may see (its id); else the whole exchange.")
def export_command(folder: Path, funder_id: str | None) -> None:
    """Write an exit pack to the new directory FOLDER: everything to verify and re-load the exchange without us."""
    progress = Progress()
    export_pack(open_services(settings.load()), folder=folder, funder_id=funder_id, step=progress)
    progress.close()
    click.echo(f"{folder}: written. Check it: exchange verify {folder}")


@click.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--key", "trusted", help="Thumbprint of the first record key, as published elsewhere.")
def import_command(folder: Path, trusted: str | None) -> None:
    """Bring the exit pack in FOLDER into an empty, migrated database, and prove that it is the same."""
    progress = Progress()
    restored = import_pack(open_services(settings.load()), folder=folder, trusted=trusted, step=progress)
    progress.close()
    click.echo(f"{restored.scope}: restored. Log size {restored.size}, root {restored.root.hex()}")
    for note in restored.notes:
        click.echo(note)
