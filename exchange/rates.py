"""How many requests a client may send in a minute, over all processes and hosts.

The count is a row a client in PostgreSQL; a process takes from it a handful of requests at a time, so that hardly any
request waits for it. What a process took and did not use by the end of the minute is lost to the client, not to others.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from threading import Lock
from typing import ClassVar

from sqlalchemy import BigInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base, Database
from exchange.errors import Refusal

WINDOW_SECONDS = 60
HANDFULS = 200
"""Into how many parts a client's minute is divided at most."""
MOST_CLIENTS = 10_000
"""Of so many a process remembers what it took; then it forgets them all, which costs each a row's update."""

TAKE = text("""
    INSERT INTO request_count AS count (client_id, minute, taken) VALUES (:client_id, :minute, :handful)
    ON CONFLICT (client_id) DO UPDATE SET minute = :minute,
        taken = CASE WHEN count.minute = :minute THEN count.taken ELSE 0 END + :handful
    RETURNING taken
""")


class TooManyRequests(Refusal):
    """The client has sent as many requests this minute as it may."""

    code: ClassVar[str] = "too_many_requests"
    title: ClassVar[str] = "Wait, and send it again"
    status: ClassVar[int] = HTTPStatus.TOO_MANY_REQUESTS
    definitive: ClassVar[bool] = False


class RequestCount(Base):
    """What processes took of a client's minute. Not logged: what a crash of the server loses is a minute's count."""

    __tablename__ = "request_count"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    client_id: Mapped[str] = mapped_column(String, primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger)
    taken: Mapped[int] = mapped_column(BigInteger)


@dataclass(slots=True)
class _Purse:
    """What a process has in hand of a client's minute: `left` requests; `beyond` more that nobody took yet."""

    minute: int
    left: int
    beyond: int


class Meter:
    """Counts the requests of a process's clients against `limit` a minute."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.handful = max(1, limit // HANDFULS)
        self.purses: dict[str, _Purse] = {}
        self.lock = Lock()

    def spend(self, client_id: str, *, database: Database, now: datetime) -> dict[str, str]:
        """Count one request at the machine's time `now`; the headers that tell the client (`TooManyRequests`).

        `RateLimit` and `RateLimit-Policy` as in the IETF's draft of RateLimit header fields for HTTP.
        """
        minute, second = divmod(int(now.timestamp()), WINDOW_SECONDS)
        wait = WINDOW_SECONDS - second
        with self.lock:
            purse = self.purses.get(client_id)
            if purse is None or purse.minute != minute or purse.left == 0:
                purse = self._taken(client_id, minute, database)
            spent = purse.left > 0
            purse.left -= spent
            remaining = purse.left + purse.beyond
        headers = {
            "RateLimit-Policy": f'"requests";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"requests";r={remaining};t={wait}',
        }
        if not spent:
            raise TooManyRequests(
                f"Your client may send {self.limit} requests a minute.", headers=headers | {"Retry-After": str(wait)}
            )
        return headers

    def _taken(self, client_id: str, minute: int, database: Database) -> _Purse:
        """One more handful, or what is left of the limit."""
        if len(self.purses) >= MOST_CLIENTS:
            self.purses.clear()
        known = self.purses.get(client_id)
        if known is not None and known.minute == minute and known.beyond == 0:
            return known
        with database.transaction() as session:
            values = {"client_id": client_id, "minute": minute, "handful": self.handful}
            taken: int = session.execute(TAKE, values).scalar_one()
        before = taken - self.handful
        left = max(0, min(self.handful, self.limit - before))
        purse = _Purse(minute, left, max(0, self.limit - taken))
        self.purses[client_id] = purse
        return purse
