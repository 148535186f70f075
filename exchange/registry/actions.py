"""Record a fact in a business transaction, to be signed later (`exchange.registry.sealing`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.jobs import Wakes, wake
from exchange.registry.models import PendingEvent, SetAsideEvent
from exchange.registry.rules import check_size

COLUMNS = ("asset_id", "kind", "body", "disclosable", "recorded_at")
"""What a fact is made of, as `PendingEvent` names it."""


class Fact(NamedTuple):
    """What happened to an asset: `body` is shown to everybody who may see the asset, `disclosable` field by field."""

    asset_id: str
    kind: str
    body: Mapping[str, Any]
    disclosable: Mapping[str, Any] | None = None


def record_many(session: Session, *, facts: Sequence[Fact], now: datetime) -> list[int]:
    """Keep many facts for signing, in their order; gives their `pending_id`s, by which callbacks name them.

    Refuses `rules.FactTooLarge`.
    """
    if not facts:
        return []
    sequence = "pg_get_serial_sequence('pending_event', 'pending_id')"
    claim = text(f"SELECT nextval({sequence}) FROM generate_series(1, :n)")  # noqa: S608 - a constant of ours
    pending_ids = list(session.execute(claim, {"n": len(facts)}).scalars())
    rows = ((pending_id, *_row(fact, now)) for pending_id, fact in zip(pending_ids, facts, strict=True))
    copy_rows(session, PendingEvent.__tablename__, ("pending_id", *COLUMNS), rows)
    wake(session, Wakes.FACTS)
    return pending_ids


def note_many(session: Session, *, facts: Sequence[Fact], now: datetime) -> None:
    """Keep many facts for signing, in their order, of which no callback tells. Refuses `rules.FactTooLarge`."""
    if facts:
        copy_rows(session, PendingEvent.__tablename__, COLUMNS, (_row(fact, now) for fact in facts))
        wake(session, Wakes.FACTS)


def retry_set_aside(session: Session) -> None:
    """Try the facts again that could not be signed: once what made them so is mended."""
    session.execute(delete(SetAsideEvent))
    wake(session, Wakes.FACTS)


def _row(fact: Fact, now: datetime) -> tuple[object, ...]:
    hidden = fact.disclosable or {}
    body = orjson.dumps(fact.body)
    check_size(fact.kind, asset_id=fact.asset_id, body=body, disclosable=hidden)
    return fact.asset_id, fact.kind, body.decode(), orjson.dumps(hidden).decode(), now
