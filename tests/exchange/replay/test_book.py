"""A file becomes days: nothing is lived twice, too early or never."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.replay import wire
from exchange.replay.book import NothingToReplay, is_known, make_book, owed_minor
from exchange.replay.rows import Company, CreditNote, FieldFault, PartPayment, ReplayRow, RowRefusal

START = date(2026, 1, 5)
ROW = ReplayRow(
    row_number=1,
    invoice_number="1",
    seller=Company("platform", "s", "s"),
    obligor=Company("platform", "o", "o"),
    product="receivable_factoring",
    currency="CNY",
    face_minor=1000,
    issue_date=START,
    due_date=START + timedelta(days=30),
    submitted_date=START,
)


CONFIRMED = replace(ROW, confirmed_date=START, confirmation_grade="explicit")


def after(days: int) -> date:
    """A day so many days after the start."""
    return START + timedelta(days=days)


def test_parts_of_a_file() -> None:
    """Rows are history, life or later by the day of submission; bad rows are counted by code."""
    rows = [replace(ROW, submitted_date=after(days)) for days in (-1, 0, 9)]
    bad = RowRefusal(4, (FieldFault("face", "amount_zero", "0"), FieldFault("", "column_count", "3")))
    book = make_book([*rows, bad], first_day=START, last_submission=after(8))
    assert (book.history, book.live, book.later) == ([rows[0]], [rows[1]], 1)
    assert book.bad == {"rows": 1, "amount_zero (face)": 1, "column_count": 1}
    assert book.last_day == after(8)


def test_days_of_a_life() -> None:
    """Confirmation, credit note, part payment and the rest each come on their day."""
    row = replace(
        ROW,
        confirmed_date=after(2),
        confirmation_grade="explicit",
        credit_notes=(CreditNote(after(3), 100, "return"),),
        part_payments=(PartPayment(after(20), 300),),
        settled_date=after(40),
    )
    book = make_book([row], first_day=START, last_submission=None)
    assert book.days[after(2)].confirmed == [row]
    assert book.days[after(3)].credited == [(row, 0)]
    assert book.days[after(20)].paid == [(row, 0, 300)]
    assert book.days[after(40)].paid == [(row, 1, 600)]
    assert owed_minor(row) == 600
    assert book.last_day == after(40)


def test_what_was_before_submission_comes_with_it() -> None:
    """Facts older than the submission are told on its day; a confirmation in hand goes along."""
    row = replace(CONFIRMED, submitted_date=after(5), confirmed_date=after(1), settled_date=after(2))
    book = make_book([row], first_day=START, last_submission=None)
    assert list(book.days) == [after(5)]
    assert book.days[after(5)].confirmed == []
    assert "confirmation" in wire.submission(row)


def test_paid_to_the_seller() -> None:
    """What is settled before it is confirmed, or never confirmed, is no asset: its money does not come to us."""
    early = replace(CONFIRMED, confirmed_date=after(3), settled_date=after(2))
    never = replace(ROW, settled_date=after(9))
    book = make_book([early, never], first_day=START, last_submission=None)
    assert list(book.days) == [START]
    assert [row.confirmation_grade for row in book.live] == [None, None]


def test_history_settled_later() -> None:
    """History that is open at the start is told when its outcome is known: settled, or 31 days late."""
    row = replace(ROW, submitted_date=after(-3), settled_date=after(4))
    late = replace(row, due_date=after(-20), settled_date=after(40))
    lost = replace(late, settled_date=None)
    old = replace(row, settled_date=after(-1))
    book = make_book([row, late, lost, old, ROW], first_day=START, last_submission=None)
    told = {day: plan.history for day, plan in book.days.items() if plan.history}
    assert told == {after(4): [row], after(11): [late, lost], after(40): [late]}
    assert [is_known(one, after(-1)) for one in (row, late, lost, old)] == [False, False, False, True]
    assert "settled_date" not in wire.past_trade(row, known_on=after(3))
    assert wire.past_trade(row, known_on=after(4))["settled_date"] == after(4)


def test_run_off_ends() -> None:
    """What happens more than 180 days after the last submission is not lived."""
    book = make_book([replace(CONFIRMED, settled_date=after(181))], first_day=START, last_submission=None)
    assert book.last_day == START
    assert all(not plan.paid for plan in book.days.values())


def test_nothing_to_replay() -> None:
    """A period without submissions is refused, and the refusal says what there is."""
    with pytest.raises(NothingToReplay, match="2026-01-05 to 2026-01-05"):
        make_book([ROW], first_day=after(1), last_submission=None)
    with pytest.raises(NothingToReplay):
        make_book([], first_day=START, last_submission=None)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 200), st.integers(0, 999)), min_size=1, max_size=20))
def test_money_adds_up(drawn: list[tuple[int, int, int]]) -> None:
    """Within the run-off, payments of a settled row add up to its face; none comes before its submission."""
    rows = [
        replace(
            CONFIRMED,
            row_number=number,
            submitted_date=after(born),
            part_payments=(PartPayment(after(born), part),) if part else (),
            settled_date=after(born + late),
        )
        for number, (born, late, part) in enumerate(drawn)
    ]
    book = make_book(rows, first_day=START, last_submission=None)
    paid = dict.fromkeys(range(len(rows)), 0)
    for day, plan in book.days.items():
        for row, _, amount_minor in plan.paid:
            assert day >= row.submitted_date
            paid[row.row_number] += amount_minor
    limit = book.last_submission + timedelta(days=180)
    assert all(paid[row.row_number] == 1000 for row in rows if row.settled_date and row.settled_date <= limit)


def test_bodies() -> None:
    """Bodies hold what the API asks for, and never what is hidden."""
    row = replace(
        ROW,
        obligor=Company("platform", "o", "O", "990000", "film", "Zhejiang"),
        credit_notes=(CreditNote(after(-3), 100, "return"),),
        hidden={"habit": "weak"},
    )
    body = wire.submission(row)
    assert body["obligor"]["controller"] == {"national_id": "990000"}
    assert "weak" not in repr(body)
    assert "confirmation" not in body
    assert wire.credit_note(row, 0, asset_id="a")["issue_date"] == START
    assert wire.receipt(row, 0, amount_minor=5, reference="a", day=START)["bank_reference"] == "BANK-1-1"
    assert [len(batch) for batch in wire.batches(range(2500))] == [1000, 1000, 500]
