"""What is written down of sandboxes: by their funders, who ask, and by the keeper, who does it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from exchange.auth import Caller
from exchange.clock import system_now
from exchange.ids import new_id
from exchange.keyring import NONCE_BYTES
from exchange.parties.clients import live_keys
from exchange.sandbox import queries, rules
from exchange.sandbox.models import Sandbox, SandboxDay, SandboxScenario
from exchange.sandbox.places import SECRET_BYTES, seal, server_of
from exchange.services import Services

OF_FUNDER = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
SOON = {"Retry-After": "1"}


def ask(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    name: str,
    start_on: date,
    seed: int | None,
    public_jwk: Mapping[str, Any] | None,
) -> Sandbox:
    """Ask for a sandbox, whose client has `public_jwk` or the keys that the caller's has here.

    Refuses `SandboxesOff` and `TooManySandboxes`.
    """
    server_of(services.settings)
    funder_id, now, most = str(caller.party_id), system_now(), services.settings.sandboxes_a_funder
    session.execute(OF_FUNDER, {"name": f"sandboxes of {funder_id}"})
    if queries.count_of(session, funder_id=funder_id) >= most:
        raise rules.TooManySandboxes(f"A funder has at most {most} sandboxes at a time.", most=most)
    purpose = f"{funder_id}/{now.timestamp()}"
    sandbox_id = new_id("sbx", now=now, entropy=services.entropy, purpose=purpose)
    draw = services.entropy
    secret, nonce = draw(SECRET_BYTES, "sandbox", sandbox_id), draw(NONCE_BYTES, "sandbox nonce", sandbox_id)
    jwks = [row.public_jwk for row in live_keys(session, client_id=caller.client_id)]
    row = Sandbox(
        sandbox_id=sandbox_id,
        funder_id=funder_id,
        name=name,
        public_jwks=[dict(public_jwk)] if public_jwk else jwks,
        seed=int.from_bytes(draw(4, "sandbox seed", sandbox_id)) & rules.MAX_SEED if seed is None else seed,
        start_on=start_on,
        secret_sealed=seal(services.keyring, secret=secret, nonce=nonce, sandbox_id=sandbox_id),
        state="making",
        generation=1,
        stop_at=[],
        heard=0,
        due_at=now,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def advance(row: Sandbox, *, days: int | None, until: datetime | None, stop_at: Sequence[str], zone: str) -> None:
    """Have the clock of a sandbox moved, on the way no further than to the first event of a type in `stop_at`.

    Refuses `SandboxNotReady`, `ClockAdvancing` and `TooFar`. `row` is locked: nobody is changing the sandbox just now.
    """
    row.until = rules.target(moment=check_still(row), days=days, until=until, zone=zone)
    row.stop_at, row.stopped_by, row.due_at = list(stop_at), None, system_now()


def add_scenario(session: Session, *, row: Sandbox, kind: str, parameters: Mapping[str, Any]) -> SandboxScenario:
    """Have a scenario begin. Refuses `InvalidRequest`, `SandboxNotReady`, `ClockAdvancing`, `TooManyScenarios`."""
    check_still(row)
    known = rules.read_parameters(kind, parameters)
    newest = select(func.max(SandboxScenario.number)).where(SandboxScenario.sandbox_id == row.sandbox_id)
    number = (session.execute(newest).scalar_one() or 0) + 1
    if number > rules.MOST_SCENARIOS:
        raise rules.TooManyScenarios(f"A sandbox has at most {rules.MOST_SCENARIOS}.", most=rules.MOST_SCENARIOS)
    scenario = SandboxScenario(
        sandbox_id=row.sandbox_id, number=number, funder_id=row.funder_id, kind=kind, parameters=known
    )
    session.add(scenario)
    row.due_at = system_now()
    session.flush()
    return scenario


def end(row: Sandbox, *, state: str) -> None:
    """Have a sandbox begin anew (`resetting`), whatever is going on in it, or end for good (`ending`)."""
    if row.state == "ending" or (state == "resetting" and row.state != "open"):
        raise not_ready(row)
    row.state, row.until, row.trouble, row.due_at = state, None, None, system_now()


def check_still(row: Sandbox) -> datetime:
    """The time in a sandbox whose clock stands. Refuses `SandboxNotReady` and `ClockAdvancing`."""
    if row.state != "open" or row.moment is None:
        raise not_ready(row)
    if row.until is not None:
        raise rules.ClockAdvancing(f"It goes on to {row.until:%Y-%m-%dT%H:%M:%SZ}.", headers=SOON)
    return row.moment


def not_ready(row: Sandbox) -> rules.SandboxNotReady:
    """The refusal of what only an open sandbox can do."""
    return rules.SandboxNotReady(f"It is {row.state}.", headers=SOON, state=row.state)


def opened(session: Session, *, sandbox_id: str, played: Mapping[str, str], moment: datetime) -> None:
    """The sandbox is made and stands at its first moment; one that was ended meanwhile stays so."""
    values = {"state": "open", "played": dict(played), "client_id": played["client"], "moment": moment, "heard": 0}
    session.execute(update(Sandbox).where(Sandbox.sandbox_id == sandbox_id, Sandbox.state == "making").values(**values))


def emptied(session: Session, *, sandbox_id: str, now: datetime) -> None:
    """The sandbox's database is gone: make the next one where it is to begin anew, else that was its end."""
    row = session.get_one(Sandbox, sandbox_id, with_for_update=True)
    for table in (SandboxScenario, SandboxDay):
        session.execute(delete(table).where(table.sandbox_id == sandbox_id))
    row.moment, row.client_id, row.played, row.stopped_by = None, None, None, None
    if row.state == "resetting":
        row.state, row.generation = "making", row.generation + 1
    else:
        row.state, row.ended_at, row.secret_sealed = "ended", now, b""


def put_off(session: Session, *, sandbox_id: str, seen: datetime, due_at: datetime, trouble: str | None) -> None:
    """Look at the sandbox again at `due_at`, sooner if somebody asked for something since it was `seen`."""
    mine = (Sandbox.sandbox_id == sandbox_id, Sandbox.due_at == seen)
    session.execute(update(Sandbox).where(*mine).values(due_at=due_at))
    session.execute(
        update(Sandbox)
        .where(Sandbox.sandbox_id == sandbox_id, Sandbox.trouble.is_distinct_from(trouble))
        .values(trouble=trouble)
    )


def begun(session: Session, *, scenario: SandboxScenario, today: date, assets: list[dict[str, Any]]) -> None:
    """A scenario has begun, with these assets."""
    key = (SandboxScenario.sandbox_id == scenario.sandbox_id, SandboxScenario.number == scenario.number)
    session.execute(update(SandboxScenario).where(*key).values(begun_on=today, assets=assets))


def moved(session: Session, *, sandbox_id: str, moment: datetime, stopped_by: str | None) -> None:
    """The clock was at `moment`, and all that fell due is done; it stands there if an event was waited for."""
    row = session.get_one(Sandbox, sandbox_id, with_for_update=True)
    there = stopped_by is not None or row.until is None or moment >= row.until
    row.moment, row.stopped_by, row.until = moment, stopped_by, None if there else row.until


def note_day(
    session: Session,
    *,
    row: Sandbox,
    day: date,
    heard: int,
    events: Mapping[str, int],
    deeds: Mapping[str, int],
    refused: Mapping[str, int],
) -> None:
    """Add to what a day brought. What was heard up to now is counted by this, and never again."""
    session.execute(update(Sandbox).where(Sandbox.sandbox_id == row.sandbox_id).values(heard=heard))
    known = session.get(SandboxDay, (row.sandbox_id, day))
    values = {
        name: _sum(getattr(known, name, {}), more)
        for name, more in (("events", events), ("deeds", deeds), ("refused", refused))
    }
    key = {"sandbox_id": row.sandbox_id, "day": day}
    day_row = upsert(SandboxDay).values(**key, funder_id=row.funder_id, **values)
    session.execute(day_row.on_conflict_do_update(index_elements=list(key), set_=values))


def _sum(known: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: known.get(name, 0) + more.get(name, 0) for name in sorted({*known, *more})}
