"""Clocks an hour off, stepped back, and around the end of a month."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import books
from tests.faults.clients import CNY, PATHS, move

ULTIMO = dt.datetime(2028, 2, 29, 23, 30, tzinfo=dt.UTC)
DAYS = [dt.date(2028, 2, 28), dt.date(2028, 2, 29), dt.date(2028, 3, 1), dt.date(2028, 3, 31)]
STEPS = st.lists(
    st.tuples(
        st.integers(-7200, 7200),  # where the clock stands, in seconds off the end of the month
        st.sampled_from(DAYS),
        st.permutations(PATHS[:4]),
        st.integers(1, 50),
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_clock_that_jumps(connection: Connection, steps: list[tuple[int, dt.date, list[str], int]]) -> None:
    """No account's history goes back in time, and the books of a month close the same whenever they were written."""
    with connection.begin_nested() as savepoint:
        accounts = [books.Account(path, CNY, may_overdraw=True) for path in PATHS]
        books.open_accounts(connection, accounts=accounts)
        expected: dict[tuple[str, dt.date], int] = {}
        for number, (seconds, day, (source, target, *_), amount) in enumerate(steps):
            transfer = books.Transfer(f"t{number}", day, "", move(source, target, amount))
            books.post(connection, transfers=[transfer], now=ULTIMO + dt.timedelta(seconds=seconds))
            for closing in DAYS:
                if day <= closing:
                    expected[source, closing] = expected.get((source, closing), 0) - amount
                    expected[target, closing] = expected.get((target, closing), 0) + amount
        for path in PATHS[:4]:
            entries = books.statement(connection, path=path, commodity=CNY)
            times = [entry.recorded_at for entry in entries]
            assert all(earlier < later for earlier, later in pairwise(times))
            for entry in entries:  # each moment shows exactly what had been recorded by then
                then = books.balance_as_of(connection, path=path, commodity=CNY, recorded_at=entry.recorded_at)
                assert then == entry.balance_after_minor
            for closing in DAYS:
                found = books.balance_as_of(connection, path=path, commodity=CNY, effective_date=closing)
                assert found == expected.get((path, closing), 0)
        assert books.check(connection) == []
        savepoint.rollback()


def test_an_answer_does_not_depend_on_the_hour(connection: Connection) -> None:
    """The same request an hour earlier or a month later is the same request."""
    books.open_accounts(connection, accounts=[books.Account(path, CNY, may_overdraw=True) for path in PATHS])
    transfer = books.Transfer("t", DAYS[1], "", move("p0", "p1", 5))
    [first] = books.post(connection, transfers=[transfer], now=ULTIMO)
    for hours in (-1, 0, 1, 24 * 31):
        [again] = books.post(connection, transfers=[transfer], now=ULTIMO + dt.timedelta(hours=hours))
        assert again == first._replace(replayed=True)
    with pytest.raises(books.KeyReused):
        books.post(connection, transfers=[transfer._replace(effective_date=DAYS[2])], now=ULTIMO)
