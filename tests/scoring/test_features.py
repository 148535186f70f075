"""Features know only what was known: bit for bit the same from truncated, shuffled or partial history."""

import math
from time import perf_counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import features
from scoring.facts import NOT_SETTLED, Trades

NAMES = features.NAMES


@st.composite
def rows(draw: st.DrawFn) -> tuple[int, int, int, int, int, int | None]:
    """Draw one invoice of few parties and few days, so that ties and overlaps abound."""
    issue = draw(st.integers(0, 90))
    due = issue + draw(st.sampled_from([0, 1, 15]))
    settled = draw(st.one_of(st.none(), st.integers(max(0, issue - 5), due + 50)))
    return draw(st.integers(0, 2)), draw(st.integers(0, 1)), draw(st.integers(1, 10**6)), issue, due, settled


books = st.lists(rows(), max_size=40).map(Trades.from_rows)


def value(history: Trades, *, asked: Trades, name: str) -> float:
    """Return one feature of the first asked row."""
    return float(features.build(history, asked=asked)[0, NAMES.index(name)])


@given(books, st.integers(0, 100))
@settings(max_examples=150, deadline=None)
def test_truncated_history_gives_the_same_bits(history: Trades, day: int) -> None:
    """Rows issued by a day are the same from all history and from what was known the evening before."""
    asked = history.take(history.issue_day == day) if day % 2 else Trades.from_rows([(1, 1, 5, day, day + 15, None)])
    full = features.build(history, asked=asked)
    assert full.tobytes() == features.build(history.known_by(day - 1), asked=asked).tobytes()


@given(books, st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_order_of_delivery_does_not_matter(history: Trades, seed: int) -> None:
    """Shuffled history gives the same bits, and rows asked in any order get their own."""
    shuffle = np.random.default_rng(seed).permutation(len(history))
    full = features.build(history, asked=history)
    assert full.tobytes() == features.build(history.take(shuffle), asked=history).tobytes()
    assert full[shuffle].tobytes() == features.build(history, asked=history.take(shuffle)).tobytes()


@given(books, st.integers(1, 100))
@settings(max_examples=50, deadline=None)
def test_the_parties_own_history_suffices(history: Trades, day: int) -> None:
    """Leaving out invoices of other payers and other sellers changes no bit."""
    asked = Trades.from_rows([(1, 1, 5, day, day + 15, None)])
    own = history.take((history.obligor == 1) | (history.seller == 1))
    assert features.build(history, asked=asked).tobytes() == features.build(own, asked=asked).tobytes()


@given(books, st.integers(0, 150))
@settings(max_examples=100, deadline=None)
def test_sums_agree_with_a_plain_count(history: Trades, day: int) -> None:
    """Counts, open book and oldest overdue agree with a row-by-row reading of the definition."""
    asked = Trades.from_rows([(1, 1, 5, day, day + 15, None)])
    mine = [
        (int(due), int(known), int(settled), int(face))
        for payer, issue, due, known, settled, face in zip(
            history.obligor, history.issue_day, history.due_day, history.known_day, history.settled_day,
            history.face_minor, strict=True,
        )
        if payer == 1 and issue < day
    ]  # fmt: skip
    still_open = [(due, face) for due, known, _, face in mine if known >= day]
    late = [settled - due for due, known, settled, _ in mine if known < day]
    overdue = [due for due, _ in still_open if due < day]
    expected = {
        "payer_issued_count": len(mine),
        "payer_settled_count": len(late),
        "payer_open_count": len(still_open),
        "payer_open_face_minor": sum(face for _, face in still_open),
        "payer_overdue_count": len(overdue),
        "payer_overdue_oldest_days": max((day - due for due in overdue), default=0),
        "payer_serious_open_count": sum(day - due > 30 for due in overdue),
        "payer_days_late_mean": sum(late) / len(late) if late else math.nan,
        "payer_days_late_max": max(late, default=math.nan),
        "payer_matured_count": sum(due + 30 < day for due, *_ in mine),
        "payer_serious_count": sum(due + 30 < day and known > due + 30 for due, known, *_ in mine),
    }
    found = dict(zip(NAMES, features.build(history, asked=asked)[0].tolist(), strict=True))
    assert {name: found[name] for name in expected if not math.isnan(expected[name])} == {
        name: wanted for name, wanted in expected.items() if not math.isnan(wanted)
    }
    assert all(math.isnan(found[name]) for name in expected if math.isnan(expected[name]))


def test_outcomes_of_the_same_day_are_not_known() -> None:
    """A settlement on the issue day itself is still open; the day after it counts."""
    history = Trades.from_rows([(1, 1, 100, 10, 20, 40)])
    for day, settled in ((40, 0), (41, 1)):
        asked = Trades.from_rows([(1, 1, 100, day, day, None)])
        assert value(history, asked=asked, name="payer_settled_count") == settled
        assert value(history, asked=asked, name="payer_open_count") == 1 - settled


def test_an_unknown_payer_has_gaps_not_zeros() -> None:
    """Without history, means and shares are missing and counts are zero."""
    asked = Trades.from_rows([(5, 5, 100, 10, 20, None)])
    for name in ("payer_days_late_mean", "payer_late_share", "payer_relation_days", "seller_late_share"):
        assert math.isnan(value(Trades.from_rows([]), asked=asked, name=name))
    assert value(Trades.from_rows([]), asked=asked, name="payer_open_count") == 0


def test_calendar_features() -> None:
    """2019-03-31 is a Sunday and the 31st."""
    asked = Trades.from_rows([(1, 1, 100, 17_980, 17_986, None)])
    assert value(asked, asked=asked, name="due_weekday") == 6
    assert value(asked, asked=asked, name="due_month_day") == 31
    assert value(asked, asked=asked, name="tenor_days") == 6


def test_the_asked_outcome_is_never_read(book: Trades) -> None:
    """Hiding the asked rows' own settlements changes no bit."""
    blind = Trades(
        book.obligor, book.seller, book.face_minor, book.issue_day, book.due_day,
        np.full(len(book), NOT_SETTLED, dtype=np.int32),
    )  # fmt: skip
    assert features.build(book, asked=book).tobytes() == features.build(book, asked=blind).tobytes()


def test_largest_faces_do_not_overflow() -> None:
    """Sums of the largest faces stay exact."""
    history = Trades.from_rows([(1, 1, 10**13, 10, 20, None)] * 1_000)
    asked = Trades.from_rows([(1, 1, 10**13, 40, 50, None)])
    assert value(history, asked=asked, name="payer_open_face_minor") == 10**16
    assert value(history, asked=asked, name="face_to_payer_mean") == 1


def test_many_rows_are_quick(book: Trades) -> None:
    """A book of 6,000 rows takes well under a second (a guard against a loop over rows, not a benchmark)."""
    started = perf_counter()
    assert features.build(book, asked=book).shape == (6_000, len(NAMES))
    assert perf_counter() - started < 1
