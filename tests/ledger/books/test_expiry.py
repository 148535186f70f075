import datetime as dt
import hashlib
from functools import partial

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from ledger import books
from tests.ledger.books.sample import CNY, NOW, TODAY, balance, move, post
from tests.ledger.books.test_races import assert_clean, race

NOON = NOW + dt.timedelta(hours=3)
TICK = dt.timedelta(microseconds=1)
REQUEST = books.HoldRequest("h", "a", "reserved", CNY, 70, TODAY, "", NOON)
CAPTURE = books.Resolution("h", "captured", move("c", "reserved", "b", 70))
VOID = books.Resolution("h", "voided")
EXPIRY = books.Resolution("h", "expired")


@pytest.fixture
def held(opened: Connection) -> Connection:
    """Books with a hold of 70 until noon."""
    books.hold(opened, requests=[REQUEST], now=NOW)
    return opened


def end_one(resolution: books.Resolution, now: dt.datetime, connection: Connection) -> books.Posted:
    """End a hold, the connection last."""
    return end(connection, resolution, now)


def end(connection: Connection, resolution: books.Resolution, now: dt.datetime) -> books.Posted:
    """End the hold at a time."""
    return books.resolve_holds(connection, resolutions=[resolution], effective_date=TODAY, now=now)[0]


def test_before_its_time_a_hold_does_not_expire(held: Connection) -> None:
    """A microsecond before noon it can be captured, and not yet expired."""
    with pytest.raises(books.HoldNotExpired, match="time of hold h is not over"):
        end(held, EXPIRY, NOON - TICK)
    end(held, CAPTURE, NOON - TICK)
    assert [balance(held, path) for path in ("a", "b", "reserved")] == [30, 70, 0]
    with pytest.raises(books.HoldResolved, match="captured already"):
        end(held, EXPIRY, NOON)


@pytest.mark.parametrize("back", [EXPIRY, VOID])
def test_after_its_time_a_hold_goes_back(held: Connection, back: books.Resolution) -> None:
    """From noon on it cannot be captured; it is expired or voided, once."""
    with pytest.raises(books.HoldExpired, match="time of hold h is over"):
        end(held, CAPTURE, NOON)
    done = end(held, back, NOON)
    assert done.key == {"expired": "h/expiry", "voided": "h/void"}[back.outcome]
    assert end(held, back, NOW) == done._replace(replayed=True)
    with pytest.raises(books.HoldResolved, match=f"hold h was {back.outcome} already"):
        end(held, VOID if back is EXPIRY else EXPIRY, NOON)
    assert [balance(held, path) for path in ("a", "reserved")] == [100, 0]
    assert books.check(held) == []


def test_a_capture_is_repeated_after_the_time(held: Connection) -> None:
    """The answer given in time stays the answer."""
    captured = end(held, CAPTURE, NOW)
    assert end(held, CAPTURE, NOON) == captured._replace(replayed=True)


def test_a_hold_without_a_time_does_not_expire(opened: Connection) -> None:
    """It waits for ever."""
    books.hold(opened, requests=[REQUEST._replace(expires_at=None)], now=NOW)
    with pytest.raises(books.HoldNotExpired):
        end(opened, EXPIRY, NOW + dt.timedelta(days=10_000))


def test_the_time_is_part_of_the_request(held: Connection) -> None:
    """Another time is another request, also in the same batch; a time of no zone is none; the same time is a replay."""
    elsewhere = NOON.astimezone(dt.timezone(dt.timedelta(hours=8)))
    assert books.hold(held, requests=[REQUEST._replace(expires_at=elsewhere)], now=NOW)[0].replayed
    for other in (None, NOON + TICK):
        with pytest.raises(books.KeyReused):
            books.hold(held, requests=[REQUEST._replace(expires_at=other)], now=NOW)
        batch = [REQUEST._replace(key="i"), REQUEST._replace(key="i", expires_at=other)]
        with pytest.raises(books.KeyReused):
            books.hold(held, requests=batch, now=NOW)
    with pytest.raises(books.InvalidTransfer, match="no time zone"):
        books.hold(held, requests=[REQUEST._replace(expires_at=NOON.replace(tzinfo=None))], now=NOW)


def test_the_fingerprint_is_pinned(held: Connection) -> None:
    """The bytes behind a fingerprint never change, wherever the session's clock stands."""
    stored = held.exec_driver_sql("SELECT fingerprint FROM books_transfers WHERE key = 'h'").scalar_one()
    request = b"hold until 2026-03-02 12:30:00.000000\nh\n2026-03-02\na\tCNY/2\t-70\nreserved\tCNY/2\t70\n"
    assert stored == hashlib.sha256(request).digest()
    held.exec_driver_sql("SET LOCAL timezone = 'Asia/Shanghai'")
    assert books.check(held) == []


def test_only_a_hold_has_a_time(opened: Connection) -> None:
    """The table refuses it for anything else."""
    with pytest.raises(IntegrityError, match="only_holds_expire"), opened.begin_nested():
        opened.exec_driver_sql("""
            INSERT INTO books_transfers (key, fingerprint, effective_date, recorded_at, memo, expires_at)
            VALUES ('x', '', '2026-01-01', '2026-01-01', '', '2026-01-01')
        """)


def test_a_refused_hold_keeps_its_time(opened: Connection) -> None:
    """The outcome of a hold without funds belongs to that very request."""
    much = REQUEST._replace(amount_minor=101)
    for _ in range(2):
        with pytest.raises(books.InsufficientFunds):
            books.hold(opened, requests=[much], now=NOW)
    with pytest.raises(books.KeyReused):
        books.hold(opened, requests=[much._replace(expires_at=None)], now=NOW)


def test_capture_against_void_against_expiry(opened_engine: Engine) -> None:
    """Of three at once, around the hold's last moment, exactly one ends it."""
    for number in range(10):
        request = REQUEST._replace(key=f"h{number}", amount_minor=5)
        with opened_engine.begin() as connection:
            books.hold(connection, requests=[request], now=NOW)
        capture = books.Resolution(request.key, "captured", move(f"c{number}", "reserved", "b", 5))
        ends = [
            (capture, NOON - TICK),
            (books.Resolution(request.key, "voided"), NOW),
            (books.Resolution(request.key, "expired"), NOON),
        ]
        outcomes = race(opened_engine, [partial(end_one, *one) for one in ends * 2])
        assert sum(isinstance(outcome, books.Posted) for outcome in outcomes) == 2  # one, and its repetition
        assert sum(isinstance(outcome, books.HoldResolved) for outcome in outcomes) == 4
    with opened_engine.connect() as connection:
        assert balance(connection, "reserved") == 0
    assert_clean(opened_engine)


def test_time_of_the_clock_that_is_asked(held: Connection) -> None:
    """A clock stepped back makes no expired hold open again: once ended, it stays ended, and no history turns back."""
    end(held, EXPIRY, NOON)
    with pytest.raises(books.HoldResolved):
        end(held, CAPTURE, NOW)
    post(held, move("1", "a", "b", 1), now=NOW - dt.timedelta(days=40))
    times = [entry.recorded_at for entry in books.statement(held, path="a", commodity=CNY)]
    assert times == sorted(times)
    assert times[-1] == NOON + TICK
