"""What an obligor writes into the page of its link, read with care: people write amounts and words in many ways."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from exchange.errors import Fault
from exchange.receivables import rules
from exchange.receivables.rules import Answer
from exchange.receivables.schemas import NO_CONTROL, REASON_CODES
from exchange.schemas import DATE

OUTCOMES = ("accepted", "corrected", "refused")
WORDS = re.compile(NO_CONTROL)
MOST_WORDS = 200


def read_form(
    form: Mapping[str, str], receivables: Sequence[Mapping[str, Any]], *, today: date, evidence: str
) -> tuple[list[tuple[int, Answer]], list[Fault]]:
    """The answers in a form, numbered by the receivables they are for, and what cannot be read.

    `all` answers everything that waits alike. A fault's pointer is the name of the field.
    """
    answers, faults = [], []
    for index, row in enumerate(receivables):
        outcome = form.get("all") or form.get(f"outcome-{row['asset_id']}")
        if row["outcome"] is None and outcome:
            answer, wrong = _answer(form, row, outcome, today=today, evidence=evidence)
            answers.append((index, answer))
            faults += wrong
    if not answers:
        faults.append(Fault("nothing_answered", "", "answer at least one"))
    return answers, faults


def _answer(
    form: Mapping[str, str], row: Mapping[str, Any], outcome: str, *, today: date, evidence: str
) -> tuple[Answer, list[Fault]]:
    asset_id, faults = row["asset_id"], []
    if outcome not in OUTCOMES:
        faults.append(Fault("not_one_of", f"outcome-{asset_id}", "accept, correct or refuse", outcome))
    face_minor = due_date = code = words = None
    if outcome == "corrected":
        written, day = (form.get(f"{name}-{asset_id}", "").strip() for name in ("amount", "due_date"))
        face_minor = rules.minor_units(written, currency=row["currency"]) if written else None
        due_date = _day(day)
        if written and not face_minor:
            faults.append(Fault("bad_amount", f"amount-{asset_id}", "write an amount like 9,500.00", written))
        if day and due_date is None:
            faults.append(Fault("not_a_date", f"due_date-{asset_id}", "write a date like 2026-11-23", day))
    if outcome in {"corrected", "refused"}:
        code, words = form.get(f"reason_code-{asset_id}") or None, form.get(f"reason-{asset_id}", "").strip() or None
        if code is not None and code not in REASON_CODES:
            faults.append(Fault("not_one_of", f"reason_code-{asset_id}", "choose a reason", code))
        if words and (len(words) > MOST_WORDS or not WORDS.fullmatch(words)):
            faults.append(Fault("bad_length", f"reason-{asset_id}", f"at most {MOST_WORDS} characters", words))
    return Answer(asset_id, outcome, "explicit_link", today, face_minor, due_date, code, words, evidence), faults


def _day(written: str) -> date | None:
    if not DATE.fullmatch(written) or not "1970" <= written[:4] <= "2199":
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None
