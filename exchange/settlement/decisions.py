"""What a person decides about lines that wait, each once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.errors import Fault, Refused
from exchange.ids import is_id
from exchange.services import Services
from exchange.settlement import queries
from exchange.settlement.claims import Claims, lock_claims
from exchange.settlement.lines import Part, book, undo
from exchange.settlement.models import BankLine
from exchange.settlement.receipts import hold_receipts
from exchange.settlement.reversals import take_out
from exchange.settlement.statement_schemas import DecisionItem

LEAVES = {"leave": "left", "refund": "refund"}
"""Decisions that move no money, and the state they give."""


@dataclass(slots=True)
class _Book:
    """What decisions are judged by: the lines, what is owed on what they name, whose deposits they name."""

    lines: Mapping[str, BankLine]
    claims: Claims
    deposits: set[str]
    taken: Counter[tuple[str, str]]


def decide_lines(
    session: Session,
    *,
    services: Services,
    items: Sequence[tuple[int, DecisionItem]],
    client_id: str,
    today: date,
    now: datetime,
) -> dict[int, Refused | None]:
    """Decide about lines that wait; by index None, or (status, fault) where a decision cannot be.

    The money of a line is taken out of the unapplied and booked as decided; what a line takes back is undone. Nothing
    is paid beyond what is owed.
    """
    hold_receipts(session)
    ids = sorted({item.line_id for _, item in items})
    query = select(BankLine).where(BankLine.line_id.in_(ids)).order_by(BankLine.line_id).with_for_update()
    lines = {row.line_id: row for row in session.scalars(query)}
    parts = {index: _parts(item, lines.get(item.line_id)) for index, item in items}
    named = {part.reference for some in parts.values() for part in some}
    claims = lock_claims(session, asset_ids=[one for one in named if is_id(one, prefix="ast")])
    judged = _Book(lines, claims, queries.depositors(session, named), Counter())
    results: dict[int, Refused | None] = {}
    to_book: list[tuple[BankLine, Sequence[Part]]] = []
    for index, item in items:
        row = lines.get(item.line_id)
        refused = _refused(index, item, parts[index], judged, today)
        if refused is None and row is not None:
            refused = _decide(session, index, item, row, today=today, now=now)
        results[index] = refused
        if refused is None and row is not None:
            row.decision, row.decided_by, row.decided_at = item.decision, client_id, now
            if parts[index]:
                to_book.append((row, parts[index]))
    take_out(session, line_ids=[row.line_id for row, _ in to_book], now=now)
    book(session, services=services, lines=to_book, today=today, now=now, again=True)
    session.flush()
    return results


def _parts(item: DecisionItem, row: BankLine | None) -> list[Part]:
    """What the line is to pay: as proposed, or as the decision says."""
    if item.decision == "allocate":
        return [Part(one.reference, one.amount_minor) for one in item.allocations or ()]
    if item.decision == "accept" and row is not None:
        return [Part(**one) for one in (row.proposal or {}).get("allocations", ())]
    return []


def _decide(
    session: Session, index: int, item: DecisionItem, row: BankLine, *, today: date, now: datetime
) -> Refused | None:
    """The line's new state; what it takes back is undone here."""
    target = _taken_back(item, row)
    if target is not None:
        reason = undo(session, row, line_id=target, today=today, now=now)
        return None if reason is None else (409, Fault(reason, f"/items/{index}/line_id", "it cannot be taken back"))
    row.state = LEAVES.get(item.decision, "booked")
    return None


def _taken_back(item: DecisionItem, row: BankLine) -> str | None:
    """The line that this one takes back, as proposed or as the decision says; None where it takes back none."""
    if row.amount_minor >= 0:
        return None
    if item.decision == "take_back":
        return item.reverses or None
    return (row.proposal or {}).get("reverses") if item.decision == "accept" else None


def _refused(index: int, item: DecisionItem, parts: Sequence[Part], judged: _Book, today: date) -> Refused | None:
    at, row = f"/items/{index}", judged.lines.get(item.line_id)
    if row is None:
        return 404, Fault("not_found", f"{at}/line_id", "no such line", item.line_id)
    if row.state != "open":
        message = f"nobody has to decide: it is {row.state}"
        return 409, Fault("already_decided", f"{at}/line_id", message, item.line_id)
    if item.decision == "leave" or _taken_back(item, row) is not None:
        return None
    if row.amount_minor <= 0:
        return 422, Fault("no_money_in", f"{at}/decision", "no money came in with this line", item.decision)
    return None if item.decision == "refund" else _refused_money(at, item, row, parts, judged, today)


def _refused_money(
    at: str, item: DecisionItem, row: BankLine, parts: Sequence[Part], judged: _Book, today: date
) -> Refused | None:
    if not parts:
        return 422, Fault("nothing_proposed", f"{at}/decision", "say what the line pays", item.decision)
    if row.value_date > today:
        return 409, Fault("value_date_in_future", f"{at}/line_id", f"it counts from {row.value_date} on", item.line_id)
    return _refused_parts(at, row, parts, judged)


def _refused_parts(at: str, row: BankLine, parts: Sequence[Part], judged: _Book) -> Refused | None:
    """No more than there is, for nothing but what is owed; what is given counts for the decisions that follow."""
    if sum(part.amount_minor for part in parts) > row.amount_minor:
        message = f"not above the line's {row.amount_minor} in all"
        return 422, Fault("more_than_the_line", f"{at}/allocations", message)
    taken: Counter[tuple[str, str]] = Counter()
    for number, part in enumerate(parts):
        place = f"{at}/allocations/{number}"
        if part.reference in judged.deposits:
            continue
        key = (part.reference, row.currency)
        met = [one for one in judged.claims.open_below(part.reference) if one.currency == row.currency]
        owed_minor = sum(one.owed_minor + one.lost_minor for one in met) - judged.taken[key] - taken[key]
        if part.amount_minor > owed_minor:
            message = f"not above what is owed in {row.currency}, {owed_minor}"
            return 422, Fault("more_than_outstanding", f"{place}/amount_minor", message, part.amount_minor)
        taken[key] += part.amount_minor
    judged.taken += taken
    return None
