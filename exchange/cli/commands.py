"""The commands that have no room of their own."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from exchange import app, client, process, settings, worker
from exchange.auth import Role
from exchange.client import Exchange
from exchange.contract.breaks import breaks
from exchange.contract.client_text import client_text
from exchange.migrations import upgrade
from exchange.operations.queries import checks
from exchange.parties.clients import register_client
from exchange.replay import demo as demonstration
from exchange.replay.command import Replay, replay_file
from exchange.replay.driver import NeverQuiet
from exchange.replay.funders import DEFAULT_FILE
from exchange.replay.page import page
from exchange.replay.progress import Progress
from exchange.replay.supervisor import ChildDied
from exchange.sandbox import keeper, places
from exchange.services import Services, open_services

DAY = click.DateTime(["%Y-%m-%d"])
CLIENT = Path(client.__file__).with_name("operations.py")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
def migrate() -> None:
    """Bring the database to the newest revision, and its roles to their rights; log in as the schema's owner."""
    missing = upgrade(_services().database.url)
    if missing:
        click.echo(f"exchange: {missing}", err=True)


@click.command("worker")
def run_worker() -> None:
    """Do the work: schedules, jobs, sealing, callbacks. Any number of workers may run."""
    process.settle_in()
    worker.run(_services())


@click.command("sandboxes")
def run_sandboxes() -> None:
    """Keep the funders' sandboxes: make them, move their clocks, play the others. Any number of keepers may run."""
    services = _services()
    places.check_server(services.settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    process.settle_in()
    keeper.run(services, app.create_app, stop=stop)


@click.command("check")
def run_checks() -> None:
    """Recompute books and log from their first entry; exit code 1 when anything is wrong."""
    services = _services()
    with services.database.snapshot() as session:
        found = checks(session, services=services)
    for name, findings in found.items():
        click.echo(f"{name}: {len(findings) or 'nothing'} wrong")
        for finding in findings:
            click.echo("  " + "  ".join(str(value) for value in finding.values()))
    sys.exit(any(found.values()))


@click.command("add-client")
@click.option("--role", type=click.Choice([Role.OPERATOR.value, Role.AUDITOR.value]), required=True)
@click.option("--public-jwk", "jwk_file", type=FILE, required=True, help="The client's public key as a JWK.")
def add_client(role: str, jwk_file: Path) -> None:
    """Register an operator or auditor by its public key; prints the client id."""
    services = _services()
    public_jwk = msgspec.json.decode(jwk_file.read_bytes(), type=dict[str, str])
    with services.database.transaction() as session:
        now = services.clock.now(session)
        client_id = register_client(
            session, role=Role(role), party_id=None, public_jwk=public_jwk, now=now, entropy=services.entropy
        )
    click.echo(client_id)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing: exit code 1 if FILE is not what the code says.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("openapi/exchange.json"))
def contract(file: Path, *, check: bool) -> None:
    """Write the OpenAPI contract to FILE, and the client made from it; names what breaks who knows the old one."""
    written = app.contract_text()
    published = file.read_text() if file.exists() else written
    for told in breaks(msgspec.json.decode(published), msgspec.json.decode(written)):
        click.echo(f"breaking: {told}", err=True)
    if check:
        sys.exit(not file.exists() or published != written)
    file.write_text(written)
    CLIENT.write_text(client_text(msgspec.json.decode(written)))


@click.command("headers")
@click.option("--client", "client_id", required=True, help="Your client id.")
@click.option("--key", type=FILE, required=True, help="The PEM file of your private key.")
@click.option("--data", help="The body that will be sent.")
@click.option("--idempotency-key", help="For what moves value; the request is signed (RFC 9421), too.")
@click.argument("method")
@click.argument("url")
def show_headers(
    method: str, url: str, *, client_id: str, key: Path, data: str | None, idempotency_key: str | None
) -> None:
    """Write the headers of one request, to be piped into `curl --header @-`: token, proof, signature."""
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    body = None if data is None else data.encode()
    transport = Exchange(base, client_id=client_id, key=key)
    headers = transport.headers(method, url.removeprefix(base), body=body, key=idempotency_key)
    click.echo("\n".join(f"{name}: {value}" for name, value in headers.items()))


@click.command("replay")
@click.argument("file", type=FILE)
@click.option("--map", "map_file", type=FILE, help="Names the columns; without it FILE has the canonical names.")
@click.option("--from", "first_day", type=DAY, required=True, help="Rows before it are known history.")
@click.option("--to", "last_day", type=DAY, help="The last day of submissions; then the book runs off.")
@click.option(
    "--run-off",
    "run_off_days",
    type=click.IntRange(0, 3650),
    default=180,
    show_default=True,
    help="At most so many days are lived after the last submission.",
)
@click.option("--funders", "funders_file", type=FILE, default=DEFAULT_FILE, help="Who buys, under which mandates.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and file give the same bytes.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
def run_replay(
    file: Path,
    map_file: Path | None,
    first_day: datetime,
    last_day: datetime | None,
    run_off_days: int,
    funders_file: Path,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Live FILE's receivables day by day through API, jobs and callbacks on a virtual clock, and sum up."""
    asked = Replay(
        file=file,
        first_day=first_day.date(),
        last_submission=_day(last_day),
        map_file=map_file,
        funders_file=funders_file,
        seed=seed,
        run_off_days=run_off_days,
    )
    with _a_replay():
        summary = replay_file(asked, progress=Progress(), database_url=settings.load().database_url)
    click.echo(msgspec.json.encode(summary.as_json()) if as_json else page(summary))
    sys.exit(not summary.is_clean())


@click.command()
def demo() -> None:
    """Play a small exchange from end to end in .exchange/demo, and prove that it is right."""
    with _a_replay():
        sys.exit(not demonstration.run_demo(_demo_home(), progress=Progress()))


@click.command("run")
def run_all() -> None:
    """Serve the demo's exchange on this machine until Ctrl-C; plays the demo first when there is none."""
    home = _demo_home()
    with _a_replay():
        if not demonstration.has_demo(home) and not demonstration.run_demo(home, progress=Progress()):
            sys.exit(1)
        demonstration.run_forever(home, wait=signal.pause)


@contextmanager
def _a_replay() -> Iterator[None]:
    """What ends a replay or the demo before its time is said in a line."""
    try:
        yield
    except (ChildDied, NeverQuiet) as error:
        raise click.ClickException(str(error)) from error


def _services() -> Services:
    return open_services(settings.load())


def _demo_home() -> Path:
    return settings.load().home / "demo"


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
