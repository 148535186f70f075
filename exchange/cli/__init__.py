"""`exchange`: every command. A command's module is loaded when it is called for: `verify` waits for no database."""

import sys
from datetime import datetime
from importlib import import_module
from typing import Any

import click

from exchange.errors import Refusal
from exchange.settings import SettingsError
from ledger.errors import LedgerError
from ledger.verify.command import make_command

COMMANDS = {
    "add-client": "exchange.cli.commands:add_client",
    "backtest": "exchange.replay.backtest:run_backtest",
    "books": "exchange.operations.bookkeeping:group",
    "check": "exchange.cli.commands:run_checks",
    "clear": "exchange.clearing.command:clear_folder",
    "contract": "exchange.cli.commands:contract",
    "demo": "exchange.cli.commands:demo",
    "export": "exchange.packs.commands:export_command",
    "headers": "exchange.cli.commands:show_headers",
    "import": "exchange.packs.commands:import_command",
    "keys": "exchange.registry.commands:group",
    "migrate": "exchange.cli.commands:migrate",
    "model": "exchange.models.commands:group",
    "reconcile": "exchange.reconciliation.commands:reconcile",
    "replay": "exchange.cli.commands:run_replay",
    "run": "exchange.cli.commands:run_all",
    "sandboxes": "exchange.cli.commands:run_sandboxes",
    "vault": "exchange.operations.vault:group",
    "verify": "exchange.cli:verify",
    "witness": "exchange.witness.command:run_witness",
    "worker": "exchange.cli.commands:run_worker",
}
"""Where each command is."""


class Commands(click.Group):
    """Loads a command by its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Every command's name."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """The command of that name."""
        command: click.Command | None = _load(COMMANDS[cmd_name]) if cmd_name in COMMANDS else None
        return command


@click.group(cls=Commands)
def group() -> None:
    """The receivables exchange."""


def main() -> None:
    """Run a command; what it refuses is said in a line, with exit code 1."""
    try:
        group.main(prog_name="exchange", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except (SettingsError, Refusal, LedgerError) as error:
        click.echo(f"exchange: {error}", err=True)
        sys.exit(1)


def _load(place: str) -> Any:  # noqa: ANN401 - whatever is there
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _now() -> datetime:
    """The machine's time; its module, with the database's, is loaded when somebody asks."""
    now: datetime = _load("exchange.clock:system_now")()
    return now


verify = make_command(_now)
