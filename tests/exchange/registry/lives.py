"""Keys turned over, and what their chain says of every record."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.registry import keys, sealing
from exchange.registry.models import AssetEvent, SigningKey
from exchange.registry.queries import signing_keys
from exchange.registry.rules import KeyState, key_state
from exchange.services import Services
from ledger.key_history import SUBJECT, KeyHistory, KeyRecord, Use
from ledger.records import open_record
from tests.exchange.registry.readers import links

Change = Callable[[Session, datetime], object]


def change(services: Services, act: Change) -> object:
    """One change to the keys, committed."""
    with services.database.transaction() as session:
        return act(session, services.clock.now(session))


def kid_of(services: Services, state: KeyState, use: Use = Use.RECORD) -> str:
    """The newest key of that use in that state."""
    with services.database.transaction() as session:
        return [key.kid for key in signing_keys(session) if key.use == use and key_state(key) is state][-1]


def rotate(services: Services, use: Use = Use.RECORD) -> str:
    """Activate the next key; gives the one before it."""
    before, after = kid_of(services, KeyState.CURRENT, use), kid_of(services, KeyState.NEXT, use)
    change(services, lambda session, now: keys.activate(session, kid=after, services=services, now=now))
    return before


def seal_all(services: Services) -> None:
    """Seal until nothing is left."""
    while sealing.seal(services):
        pass


def history(services: Services) -> KeyHistory:
    """What the chain tells to whoever has nothing but the first key's thumbprint."""
    records = [KeyRecord(link["jws"], link["log_index"]) for link in links(services, SUBJECT)]
    with services.database.transaction() as session:
        first = session.scalars(select(SigningKey.kid).where(SigningKey.use == "record").order_by("ordinal")).first()
    assert first is not None
    return KeyHistory.read(records, root=first)


def judgements(services: Services) -> set[str | None]:
    """What the history says of every record there is, each opened with a published key."""
    told = history(services)
    with services.database.transaction() as session:
        events = session.execute(select(AssetEvent.jws, AssetEvent.log_index)).all()
    found = set()
    for jws, index in events:
        opened = open_record(jws, keys=told.public_keys())
        found.add(told.judge(opened.kid, log_time=opened.body["recorded_at"], index=index))
    return found
