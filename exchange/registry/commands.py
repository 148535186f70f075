"""`exchange keys`: the lives of the keys that sign records and checkpoints. Run it where the keys are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from sqlalchemy.orm import Session

from exchange import settings
from exchange.registry import actions, keys
from exchange.registry.models import SigningKey
from exchange.registry.queries import signing_keys
from exchange.registry.rules import key_state
from exchange.services import Services, open_services
from ledger.key_history import Use

MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"])
USE = click.option("--use", type=click.Choice([use.value for use in Use]), default=Use.RECORD.value, show_default=True)

Change = Callable[[Session, Services, datetime], str]


@click.group("keys")
def group() -> None:
    """Keys that sign records and checkpoints: next, current, retired. Each change is told in the log."""


@group.command("list")
def list_keys() -> None:
    """List every key: use, state, thumbprint, where its private half is, since when."""
    with _services() as services, services.database.transaction() as session:
        for key in signing_keys(session):
            held = services.keyring.signing.holds(key.kid, store=key.store, label=key.label)
            click.echo(_line(key, held=held))


@group.command()
@USE
def introduce(use: str) -> None:
    """Make another next key."""
    _change(lambda session, services, now: keys.introduce(session, use=Use(use), services=services, now=now))


@group.command()
@click.argument("kid")
def activate(kid: str) -> None:
    """Let the next key KID sign from now on. A log key's predecessor cosigns until it is retired."""

    def change(session: Session, services: Services, now: datetime) -> str:
        keys.activate(session, kid=kid, services=services, now=now)
        return f"{kid} signs from the next batch on."

    _change(change)


@group.command()
@click.argument("kid")
def retire(kid: str) -> None:
    """Let KID, which has a successor or never signed, sign nothing any more."""

    def change(session: Session, services: Services, now: datetime) -> str:
        keys.retire(session, kid=kid, services=services, now=now)
        return f"{kid} is retired; what it signed still verifies."

    _change(change)


@group.command()
@click.argument("kid")
@click.option("--since", type=MOMENT, required=True, help="From when on others may have had the key (UTC).")
def compromise(kid: str, since: datetime) -> None:
    """Denounce KID and put a next key in its place: verifiers flag all it signed from --since on."""

    def change(session: Session, services: Services, now: datetime) -> str:
        moment = since.replace(tzinfo=UTC)
        kid_after, doubtful = keys.compromise(session, kid=kid, since=moment, services=services, now=now)
        said = [f"{kid} is denounced since {moment:%Y-%m-%dT%H:%M:%SZ}."]
        if kid_after is not None:
            said.append(f"{kid_after} signs from the next batch on.")
        if doubtful:
            said.append("It was introduced after that moment: give auditors its thumbprint by another way.")
        return "\n".join(said)

    _change(change)


@group.command("retry-sealing")
def retry_sealing() -> None:
    """Try the facts again that could not be signed (`exchange check` names them)."""

    def change(session: Session, _services: Services, _now: datetime) -> str:
        actions.retry_set_aside(session)
        return "They are sealed next, or set aside again."

    _change(change)


def _change(change: Change) -> None:
    """Make a change in a transaction, and say what came of it once it is committed."""
    with _services() as services:
        with services.database.transaction() as session:
            now = services.clock.now(session)
            keys.found(session, services=services, now=now)
            said = change(session, services, now)
        click.echo(said)


@contextmanager
def _services() -> Iterator[Services]:
    services = open_services(settings.load())
    try:
        yield services
    finally:
        services.database.dispose()


def _line(key: SigningKey, *, held: bool) -> str:
    moments = {
        "introduced": key.introduced_at,
        "activated": key.activated_at,
        "superseded": key.superseded_at,
        "retired": key.retired_at,
        "compromised since": key.compromised_since,
    }
    known = [f"{name} {moment:%Y-%m-%dT%H:%M:%SZ}" for name, moment in moments.items() if moment is not None]
    place = f"{key.store}:{key.label}" + ("" if held else " (not held here)")
    return f"{key.use:6}  {key_state(key):11}  {key.kid}  {place}  {', '.join(known)}"
