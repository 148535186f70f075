"""The end of a funder's day: opening position, every settlement event, closing position; the same bytes for ever."""

import csv
import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Any

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.models import FunderEvent, Settlement, SettlementDay, StreamHead
from exchange.callbacks.rules import DAY_CLOSED, PUBLISHER_LOCK, TITLE
from exchange.db import copy_rows
from exchange.errors import Refusal
from exchange.services import Services
from ledger.canonical import canonical_bytes

COLUMNS = (
    "record",
    "sequence",
    "log_index",
    "type",
    "transfer_id",
    "account",
    "commodity",
    "amount_minor",
    "balance_minor",
)
DAYS = ("funder_id", "business_date", "closing", "events", "digest", "csv_digest", "closed_at")
WAITING = text("""
    SELECT min(recorded_at) FROM callback_outbox WHERE funder_id = :funder_id
""")


class DayOpen(Refusal):
    """The day is not over, or not everything of it is told yet."""

    code = "day_open"
    status = HTTPStatus.CONFLICT
    title = "The day is not closed"


@dataclass(frozen=True, slots=True)
class DayFile:
    """A day's file in both forms, and what stands in it."""

    ndjson: bytes
    csv: bytes
    closing: dict[str, int]
    events: int
    first_sequence: int
    last_sequence: int

    @property
    def digests(self) -> tuple[str, str]:
        """SHA-256 of either form, in hex."""
        return hashlib.sha256(self.ndjson).hexdigest(), hashlib.sha256(self.csv).hexdigest()


def due(session: Session, *, until: date) -> list[str]:
    """The funders whose settlements are not closed up to that day."""
    query = select(StreamHead.funder_id).where(
        func.coalesce(StreamHead.settled_until, date.min) < until,
    )
    return list(session.scalars(query.order_by(StreamHead.funder_id)))


def close(session: Session, *, services: Services, funder_id: str, until: date, now: datetime) -> bool:
    """Close a funder's days up to `until`; False, and nothing done, while something of them is not in its stream.

    What is published later counts for the day after: a closed day never changes.
    """
    session.execute(select(func.pg_advisory_xact_lock(PUBLISHER_LOCK)))
    head = session.get_one(StreamHead, funder_id, populate_existing=True)
    if head.settled_until is not None and head.settled_until >= until:
        return True
    waits = session.execute(WAITING, {"funder_id": funder_id}).scalar_one()
    if waits is not None and services.business_date(waits) <= until:
        return False
    own = (Settlement.funder_id == funder_id, Settlement.business_date <= until)
    since = head.settled_until or date.min
    days = select(Settlement.business_date).where(*own, Settlement.business_date > since).distinct()
    rows, notices = [], []
    closing = closing_before(session, funder_id=funder_id, day=until)
    for day in sorted(session.scalars(days)):
        made = make(session, funder_id=funder_id, day=day, opening=closing)
        digest, csv_digest = made.digests
        closing = made.closing
        stored = msgspec.json.encode(closing).decode()
        rows.append((funder_id, day, stored, made.events, digest, csv_digest, now))
        data = {"business_date": day.isoformat(), "events": made.events, "digest": digest, "csv_digest": csv_digest}
        data |= {"first_sequence": made.first_sequence, "last_sequence": made.last_sequence}
        notices.append(Notice(funder_id, DAY_CLOSED, data))
    copy_rows(session, SettlementDay.__tablename__, DAYS, rows)
    head.settled_until = until
    session.flush()
    tell_many(session, notices=notices, now=now)
    return True


def day_file(session: Session, *, funder_id: str, day: date) -> DayFile:
    """A closed day's file, made again (`DayOpen`); of a day on which nothing was settled too."""
    head = session.get(StreamHead, funder_id)
    if head is not None and (head.settled_until is None or head.settled_until < day):
        raise DayOpen("Its file is made the night after it, once all of it is in your stream.")
    opening = closing_before(session, funder_id=funder_id, day=day)
    return make(session, funder_id=funder_id, day=day, opening=opening)


def closing_before(session: Session, *, funder_id: str, day: date) -> dict[str, int]:
    """What a funder had on each of its accounts when `day` began: `account commodity` to minor units."""
    query = select(SettlementDay.closing).where(SettlementDay.funder_id == funder_id, SettlementDay.business_date < day)
    return session.scalar(query.order_by(SettlementDay.business_date.desc()).limit(1)) or {}


def make(session: Session, *, funder_id: str, day: date, opening: Mapping[str, int]) -> DayFile:
    """Both forms of a day's file, from its events."""
    query = (
        select(FunderEvent.sequence, FunderEvent.event_id, FunderEvent.body)
        .join(
            Settlement, (Settlement.funder_id == FunderEvent.funder_id) & (Settlement.sequence == FunderEvent.sequence)
        )
        .where(Settlement.funder_id == funder_id, Settlement.business_date == day)
        .order_by(FunderEvent.sequence)
    )
    found = [(row.sequence, row.event_id, msgspec.json.decode(row.body)) for row in session.execute(query)]
    standing = dict(opening)
    events = []
    for sequence, event_id, body in found:
        events.append({"record": "event", "sequence": sequence, "event_id": event_id, **body})
        for account, amount_minor in _amounts(body["data"]):
            standing[account] = standing.get(account, 0) + amount_minor
    closing = {name: minor for name, minor in sorted(standing.items()) if minor}
    about = {"funder_id": funder_id, "business_date": day.isoformat()}
    lines = [
        {"record": "opening", "positions": dict(opening), **about},
        *events,
        {"record": "closing", "positions": closing, "events": len(events), **about},
    ]
    sequences = [sequence for sequence, *_ in found] or [0]
    ndjson = b"".join(canonical_bytes(line) + b"\n" for line in lines)
    return DayFile(ndjson, _csv(lines), closing, len(events), sequences[0], sequences[-1])


def _amounts(data: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for leg in data.get("legs", ()):
        yield f"{leg['account']} {leg['commodity']}", leg["amount_minor"]
    if "title" in data:
        yield f"{TITLE} {TITLE}", data["title"]["amount_minor"]


def _csv(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """One row a leg, one a position; an event without legs has a row of its own."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for line in lines:
        if "positions" in line:
            for account, minor in line["positions"].items():
                writer.writerow([line["record"], *itertools.repeat("", 4), *account.split(" "), "", minor])
            continue
        data = line["data"]
        head = ["event", line["sequence"], line["log_index"], line["type"], data.get("transfer_id", "")]
        legs = [[leg[name] for name in COLUMNS[5:]] for leg in data.get("legs", ())]
        legs += [[TITLE, TITLE, data["title"]["amount_minor"], ""]] if "title" in data else []
        writer.writerows(
            [*head, *leg] for leg in legs or [["", data.get("currency", ""), data.get("amount_minor"), ""]]
        )
    return out.getvalue().encode()
