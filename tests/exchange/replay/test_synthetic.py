"""The synthetic book: repeatable, plausible, and with known truth in it."""

import hashlib
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from exchange.parties.rules import is_uscc
from exchange.replay.rows import ReplayRow
from exchange.replay.source import rows
from exchange.replay.synthetic import BookTooSmall, make_book, write_book
from exchange.replay.synthetic_ids import new_person, organisation_check_character, person_check_character

START = date(2026, 1, 5)


@pytest.fixture(scope="module")
def book() -> list[ReplayRow]:
    """The book at its usual size."""
    return make_book(seed=7, start=START)


def planted(book: list[ReplayRow], kind: str) -> list[ReplayRow]:
    """The rows of one plant."""
    return [row for row in book if row.hidden.get("plant") == kind]


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """A seed decides every byte, on every machine; another seed gives another book."""
    digests = []
    for seed in (1, 1, 2):
        write_book(tmp_path / "book.ndjson", seed=seed, receivables=200, start=START, days=30, history=200)
        digests.append(hashlib.sha256((tmp_path / "book.ndjson").read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] == "a87b9dc3a02116367fdd98de3f9478e60dd37c4f934e24a5c67c6a7ef7e542a9"


def test_written_book_reads_back(tmp_path: Path, book: list[ReplayRow]) -> None:
    """The file needs no mapping and holds exactly the book."""
    write_book(tmp_path / "book.ndjson", seed=7, start=START)
    assert list(rows(tmp_path / "book.ndjson")) == book


@pytest.mark.parametrize("seed", range(4))
def test_history_can_teach(seed: int) -> None:
    """By the first live day enough invoices have matured, and enough of them badly, to train on."""
    history = [row for row in make_book(seed=seed, start=START) if row.submitted_date < START]
    matured = [row for row in history if row.due_date + timedelta(days=30) < START]
    bad = [row for row in matured if row.settled_date is None or row.settled_date > row.due_date + timedelta(days=30)]
    assert len(history) == 1800
    assert len(matured) >= 500
    assert len(bad) >= 30


def test_sizes(book: list[ReplayRow]) -> None:
    """Enough of everything lives after the start."""
    live = [row for row in book if row.submitted_date >= START]
    assert len(live) == 2400
    assert 120 <= len({row.obligor.value for row in live}) <= 250
    assert {row.product for row in live} == {
        *("receivable_factoring", "procurement_credit", "working_capital", "equipment_lease"),
    }
    assert sum(bool(row.credit_notes) for row in live) > 60
    assert sum(row.disputed for row in live) > 30
    assert sum(bool(row.part_payments) for row in live) > 3
    assert sum(row.settled_date is None and "plant" not in row.hidden for row in live) > 20


def test_rows_make_sense(book: list[ReplayRow]) -> None:
    """No row contradicts itself or its time."""
    assert [row.submitted_date for row in book] == sorted(row.submitted_date for row in book)
    for row in book:
        assert row.issue_date <= row.submitted_date
        assert row.issue_date < row.due_date <= row.issue_date + timedelta(days=182)
        assert row.settled_date is None or row.settled_date > row.issue_date
        assert (row.confirmed_date is None) == (row.confirmation_grade is None)
        assert sum(note.amount_minor for note in row.credit_notes) < row.face_minor
        assert is_uscc(row.seller.value)
        assert is_uscc(row.obligor.value)


def test_numbers_are_unique_but_for_plants(book: list[ReplayRow]) -> None:
    """An honest invoice number occurs once; what else occurs twice was planted."""
    counts = Counter(row.invoice_number for row in book if row.hidden.get("plant", "ring") == "ring")
    assert max(counts.values()) == 1


def test_duplicates_point_at_their_original(book: list[ReplayRow]) -> None:
    """Each planted duplicate comes after its original, differs as its kind says, and is never paid."""
    by_ref = {row.hidden["ref"]: row for row in book}
    for kind in ("duplicate_exact", "duplicate_renumbered", "duplicate_near"):
        copies = planted(book, kind)
        assert len(copies) >= 10
        for copy in copies:
            original = by_ref[copy.hidden["of"]]
            assert copy.submitted_date >= original.submitted_date
            assert copy.settled_date is None
            assert (copy.invoice_number == original.invoice_number) == (kind == "duplicate_exact")
            assert (copy.face_minor == original.face_minor) or kind == "duplicate_near"
            assert abs(copy.face_minor - original.face_minor) * 200 <= original.face_minor


def test_lookalikes_are_honest(book: list[ReplayRow]) -> None:
    """A standing order looks like a duplicate and is none: other papers, and paid like its twin."""
    by_ref = {row.hidden["ref"]: row for row in book}
    twins = [row for row in book if "lookalike_of" in row.hidden]
    assert len(twins) == 16
    for row in twins:
        twin = by_ref[row.hidden["lookalike_of"]]
        assert row.face_minor == twin.face_minor
        assert not set(row.documents) & set(twin.documents)
        assert (row.settled_date is None) == (twin.settled_date is None)


def test_ring_goes_round_and_vanishes(book: list[ReplayRow]) -> None:
    """Four companies under one controller pass round sums in a circle; in the end nobody pays."""
    ring = planted(book, "ring")
    assert len({row.seller.controller for row in ring} | {row.obligor.controller for row in ring}) == 1
    cycles: dict[str, list[ReplayRow]] = defaultdict(list)
    for row in ring:
        cycles[row.hidden["cycle"]].append(row)
    for legs in cycles.values():
        assert [leg.obligor.value for leg in legs] == [leg.seller.value for leg in [*legs[1:], legs[0]]]
        assert legs[-1].face_minor * 100 >= legs[0].face_minor * 80
    assert all(row.face_minor % 1_000_00 == 0 for row in ring)
    assert ring[0].settled_date == ring[0].due_date
    assert ring[-1].settled_date is None


def test_groups_share_a_controller(book: list[ReplayRow]) -> None:
    """Some honest companies have the same person behind them."""
    people: dict[str | None, set[str]] = defaultdict(set)
    for row in book:
        people[row.obligor.controller].add(row.obligor.value)
    assert sum(len(companies) > 1 for companies in people.values()) > 10


def test_too_small() -> None:
    """A book that could not hold its plants is refused."""
    with pytest.raises(BookTooSmall):
        make_book(seed=1, start=START, receivables=50)


def test_check_characters() -> None:
    """The check digits agree with published examples, and nobody's number is made up."""
    assert organisation_check_character("D2143569") == "X"  # the example of GB 11714-1997
    assert person_check_character("11010519491231002") == "X"  # the example of GB 11643-1999
    rng = Random(1)
    assert new_person(rng).startswith("990000")
