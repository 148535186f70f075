"""A record's schedule: its one form, and what the verifier finds where it does not come out."""

from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import canonical_bytes
from ledger.keys import FileSigner
from ledger.notes import NoteSigner
from ledger.schedules import SCHEDULE, ScheduleMismatch, read, written
from ledger.verify import verify_record
from tests.ledger.proof import test_verify_bad_input as bad
from tests.ledger.proof.test_verify import Make, entry_for, proof_for

DUE = [(date(2026, 4, 1), 100), (date(2026, 5, 1), 100), (date(2026, 6, 1), 101)]
BODY: dict[str, Any] = {"face_minor": 301, "due_date": "2026-06-01", SCHEDULE: written(DUE)}


def test_the_pinned_form() -> None:
    """These bytes are signed: they do not change."""
    told = b'{"amounts_minor":[100,100,101],"days_between":[30,31],"first_due_date":"2026-04-01"}'
    assert canonical_bytes(written(DUE)) == told


@given(st.lists(st.tuples(st.integers(1, 4_000), st.integers(1, 10**13)), min_size=1, max_size=120))
def test_written_and_read(plan: list[tuple[int, int]]) -> None:
    """Whatever was written is read, with its sum and its end; and is small enough for a record."""
    days, due = date(2026, 1, 1), []
    for gap, amount in plan:
        days += timedelta(days=gap)
        due.append((days, amount))
    schedule, total = written(due), sum(amount for _, amount in due)
    assert read({"face_minor": total, "due_date": days.isoformat(), SCHEDULE: schedule}) == due
    assert read({"outstanding_minor": total, "due_date": days.isoformat(), SCHEDULE: schedule}) == due


def test_a_record_without() -> None:
    """One payment on its due date."""
    assert read({"face_minor": 301, "due_date": "2026-06-01"}) is None


@pytest.mark.parametrize(
    "schedule",
    [
        [],
        written(DUE) | {"more": 1},
        written(DUE) | {"amounts_minor": [100, 201]},
        written(DUE) | {"amounts_minor": [100, 100, 102]},
        written(DUE) | {"amounts_minor": [100, 202, -1]},
        written(DUE) | {"amounts_minor": [100, 100, True]},
        written(DUE) | {"amounts_minor": "abc"},
        written(DUE) | {"days_between": [30, 32]},
        written(DUE) | {"days_between": [0, 61]},
        written(DUE) | {"days_between": [366_000, 366_001]},
        written(DUE) | {"days_between": [366_000] * 2, "first_due_date": "9999-01-01"},
        written(DUE) | {"first_due_date": "2026-04-02"},
        written(DUE) | {"first_due_date": "1 April"},
        written(DUE) | {"first_due_date": None},
    ],
)
def test_a_schedule_that_does_not_come_out(tmp_path: Path, schedule: object) -> None:
    """Its form, its sum, its end: each is refused, and found by the verifier in a tape and in a record's file."""
    body = BODY | {SCHEDULE: schedule}
    with pytest.raises(ScheduleMismatch):
        read(body)
    record = bad.birth(**body)
    for name in ("tape.ndjson", "record.json"):
        data = bad.line(record.jws) * (2 if name.startswith("tape") else 1)
        codes = {finding.code for finding in bad.found(tmp_path / name, data)}
        assert "schedule_mismatch" in codes


def test_a_record_with_its_proof(make_record: Make, signer: FileSigner, note_signer: NoteSigner) -> None:
    """A good schedule verifies; one that does not come out is refused though its record is signed and logged."""
    for due_date, refused in (("2026-06-01", False), ("2026-06-02", True)):
        sealed = make_record(**BODY | {"due_date": due_date})
        proof = proof_for(entry_for(sealed, signer), note_signer)
        check = partial(
            verify_record,
            sealed.jws,
            proof=proof,
            keys={signer.kid: signer.public_key},
            log=note_signer.verifier,
        )
        if refused:
            with pytest.raises(ScheduleMismatch):
                check()
        else:
            assert read(check().record.body) == DUE
