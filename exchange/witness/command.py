"""`exchange witness`: one witness, served until it is told to stop."""

from pathlib import Path

import click
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from exchange import process
from exchange.settings import SettingsError
from exchange.witness.api import create_app
from exchange.witness.service import Witness, open_key, read_logs
from ledger.notes import Verifier

THREADS = 32
HEADER_MS = 10_000

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("witness")
@click.option("--key", "key_file", type=FILE, required=True, help="The witness's key; made on first use.")
@click.option("--name", help="The name to make the key under: a URL without scheme.")
@click.option("--state", type=click.Path(file_okay=False, path_type=Path), required=True, help="A folder of its own.")
@click.option(
    "--logs", "logs_file", type=FILE, required=True, help="A tlog-policy with `log` lines, or one vkey a line."
)
@click.option("--listen", default="127.0.0.1:8090", show_default=True, help="HOST:PORT")
def run_witness(key_file: Path, name: str | None, state: Path, logs_file: Path, listen: str) -> None:
    """Witness logs, this exchange's or any other (C2SP tlog-witness). Prints the witness's verifier key.

    Any number of processes may share one key and one state folder. It speaks plain HTTP: put TLS before it.
    """
    process.settle_in()
    host, port = _address(listen)
    witness = Witness(open_key(key_file, name=name), _logs(logs_file), state)
    click.echo(witness.cosigner.verifier.vkey)
    app = create_app(witness)
    server = Granian(
        "witness",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=THREADS,
        websockets=False,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS),
    )
    server.serve(target_loader=lambda _: app)


def _logs(path: Path) -> dict[str, list[Verifier]]:
    try:
        return read_logs(path.read_text(errors="surrogateescape"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise SettingsError(f"--listen is {listen!r}: write HOST:PORT")
    return host.strip("[]"), int(port)
