"""Trade facts survive the way into PostgreSQL and back, to the bit."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from exchange.risk.actions import learn, learn_settlements
from exchange.risk.facts import all_trades, day_number, trades_of
from scoring.facts import MAX_DAY, MAX_FACE_MINOR, NOT_SETTLED, Trades
from tests.exchange.house import calendar_date

COLUMNS = Trades.COLUMNS
DAY = st.integers(0, MAX_DAY)
ROWS = st.tuples(
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(1, MAX_FACE_MINOR),
    DAY,
    st.just(MAX_DAY),
    st.one_of(DAY, st.just(NOT_SETTLED)),
)


@pytest.fixture
def session(connection: Connection) -> Iterator[Session]:
    """A session whose work is rolled back."""
    with Session(connection) as session:
        yield session


def rows_of(trades: Trades) -> list[tuple[int, ...]]:
    """The rows, in an order of their own."""
    return sorted(zip(*(getattr(trades, name).tolist() for name in COLUMNS), strict=True))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
@given(st.lists(ROWS, max_size=15), st.data())
def test_what_was_learned_is_read(session: Session, rows: list[tuple[int, ...]], data: st.DataObject) -> None:
    """All of it, in the exact types; and of some companies exactly theirs."""
    with session.begin_nested() as savepoint:
        learn(session, rows=[(f"t{number}", *row, "org_a") for number, row in enumerate(rows)])
        assert rows_of(all_trades(session)) == sorted(rows)
        obligors = data.draw(st.lists(st.sampled_from([row[0] for row in rows] or [1]), min_size=1, max_size=3))
        sellers = data.draw(st.lists(st.sampled_from([row[1] for row in rows] or [1]), min_size=1, max_size=3))
        theirs = trades_of(session, obligors=obligors, sellers=sellers)
        assert rows_of(theirs) == sorted(row for row in rows if row[0] in obligors or row[1] in sellers)
        assert [getattr(theirs, name).dtype for name in COLUMNS] == [np.int64] * 3 + [np.int32] * 3
        savepoint.rollback()


def test_only_integers_become_sql(session: Session) -> None:
    """COPY takes no parameters, so whatever is not a number is refused before it is sent."""
    with pytest.raises(ValueError, match="invalid literal"):
        trades_of(session, obligors=["1) OR true --"], sellers=[1])  # type: ignore[list-item]  # what it guards against


def test_the_first_settlement_stays(session: Session) -> None:
    """Only what is open is settled; unknown trades are passed over."""
    learn(session, rows=[("a", 1, 2, 5, 0, 9, NOT_SETTLED, "org_a"), ("b", 1, 2, 5, 0, 9, 3, "org_a")])
    learn_settlements(session, settled={"a": calendar_date(7), "b": calendar_date(8), "c": calendar_date(9)})
    learn_settlements(session, settled={"a": calendar_date(11)})
    learn_settlements(session, settled={})
    assert sorted(all_trades(session).settled_day.tolist()) == [3, 7]


@given(DAY)
def test_days_are_counted_both_ways(day: int) -> None:
    """A day's number is its date's."""
    assert day_number(calendar_date(day)) == day
