"""The first answer to a request is the answer to every repetition of it."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from sqlalchemy import DateTime, LargeBinary, String, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from exchange.db import Base
from exchange.errors import Fault, Refusal

KEPT_DAYS = 30
"""So long an answer is kept at least."""
PART = 5000

KEY = re.compile(r'"?([\x21\x23-\x7e]{1,128})"?', re.ASCII)


class KeyMissing(Refusal):
    """The operation moves value, so it needs an Idempotency-Key."""

    code = "idempotency_key_missing"
    status = HTTPStatus.BAD_REQUEST
    title = "Send an Idempotency-Key"
    definitive = False


class KeyReused(Refusal):
    """The key was used with another request before."""

    code = "idempotency_key_reused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "This Idempotency-Key belongs to another request"
    definitive = False


class StillRunning(Refusal):
    """The first request with this key has not been answered yet."""

    code = "idempotency_in_progress"
    title = "The first request with this Idempotency-Key is still running"
    definitive = False


class Outcome(Base):
    """What was answered to the first request with a key."""

    __tablename__ = "idempotency_outcome"

    client_id: Mapped[str] = mapped_column(String, primary_key=True)
    key: Mapped[str] = mapped_column(String, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    content_type: Mapped[str] = mapped_column(String)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it is kept."""

    status: int
    content_type: str
    body: bytes


def read_key(header: str | None) -> str:
    """The key in an `Idempotency-Key` header, quoted or bare (`KeyMissing` when there is none to read)."""
    match = KEY.fullmatch(header or "")
    if match is None:
        fault = Fault("idempotency_key_missing", "", "1 to 128 visible ASCII characters", header)
        raise KeyMissing(
            "This operation needs an Idempotency-Key header: a new one for each new request.", faults=(fault,)
        )
    return match.group(1)


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """What makes two requests the same one."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).digest()


def find(session: Session, *, client_id: str, key: str, fingerprint: bytes) -> Answer | None:
    """The kept answer, or None for a first request, which from here to the end of the transaction holds the key.

    Refuses a key of another request (`KeyReused`) and one in use at this moment (`StillRunning`).
    """
    lock = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    if not session.execute(lock, {"name": f"{client_id} {key}"}).scalar_one():
        raise StillRunning("Wait for the first request to be answered, then ask again.", headers={"Retry-After": "1"})
    query = select(Outcome).where(Outcome.client_id == client_id, Outcome.key == key)
    kept = session.execute(query).scalar_one_or_none()
    if kept is None:
        return None
    if kept.fingerprint != fingerprint:
        raise KeyReused("The key was used with another method, path or body. Take a new key for a new request.")
    return Answer(kept.status, kept.content_type, kept.body)


def keep(session: Session, *, client_id: str, key: str, fingerprint: bytes, answer: Answer, now: datetime) -> None:
    """Keep `answer` for every repetition. An answer already kept stays."""
    row = insert(Outcome).values(
        client_id=client_id,
        key=key,
        fingerprint=fingerprint,
        status=answer.status,
        content_type=answer.content_type,
        body=answer.body,
        recorded_at=now,
    )
    session.execute(row.on_conflict_do_nothing())


def forget(session: Session, *, before: datetime) -> bool:
    """Drop the oldest answers from before a moment, `PART` of them; whether there may be more."""
    statement = text("""
        WITH old AS (
            SELECT client_id, key FROM idempotency_outcome WHERE recorded_at < :before ORDER BY recorded_at LIMIT :part
        ),
        gone AS (
            DELETE FROM idempotency_outcome AS outcome USING old
            WHERE outcome.client_id = old.client_id AND outcome.key = old.key RETURNING 1
        )
        SELECT count(*) FROM gone
    """)
    count: int = session.execute(statement, {"before": before, "part": PART}).scalar_one()
    return count == PART
