"""Lines of statements: what each pays, booked where it is certain; the rest waits for a person with a proposal.

All money that came in is in the books at once: what nobody can be sure of as unapplied.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from msgspec import UNSET
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.banking import names
from exchange.banking.matching import Proposal, match
from exchange.banking.statement import Line
from exchange.errors import Fault
from exchange.services import Services
from exchange.settlement import queries, virtual_accounts
from exchange.settlement.models import BankLine
from exchange.settlement.receipts import Entered, Refused, enter_receipts, hold_receipts
from exchange.settlement.reversals import undo_line
from exchange.settlement.schemas import ReceiptItem

BATCH = 1_000
MOST_AT_ONCE = 5_000
"""Receipts in one posting: a line may pay many assets."""


class Part(NamedTuple):
    """A part of a line for whatever `reference` names: an asset, a deposit."""

    reference: str
    amount_minor: int


class _Found(NamedTuple):
    """What a line seems to be, as a person sees it, and whether nobody has to look."""

    shown: dict[str, Any]
    certain: bool

    @property
    def parts(self) -> list[Part]:
        """What it pays."""
        return [Part(**one) for one in self.shown["allocations"]]


def match_lines(session: Session, *, services: Services, statement_id: str, today: date, now: datetime) -> bool:
    """Match and book the next lines of a statement; False when none was left."""
    hold_receipts(session)
    query = select(BankLine).where(BankLine.statement_id == statement_id, BankLine.state == "new")
    rows = list(session.scalars(query.order_by(BankLine.number).limit(BATCH)))
    if not rows:
        return False
    fresh = _fresh(session, rows)
    _learn_names(session)
    found = _found(session, fresh)
    to_book = [
        (row, found[row.line_id].parts if found[row.line_id].certain else [])
        for row in fresh
        if row.amount_minor > 0 and found[row.line_id].shown["kind"] != "entered"
    ]
    faults = book(session, services=services, lines=to_book, today=today, now=now)
    for row in fresh:
        _decide(session, row, found[row.line_id], faults.get(row.line_id))
    _learn_accounts(session, fresh)
    session.flush()
    return True


def take_back(session: Session, *, line_id: str, today: date, now: datetime) -> None:
    """Undo what a line certainly takes back, unless a person was first; what cannot be undone waits for one."""
    hold_receipts(session)
    row = session.execute(select(BankLine).where(BankLine.line_id == line_id).with_for_update()).scalar_one()
    if row.state == "open":
        reason = undo(session, row, line_id=(row.proposal or {})["reverses"], today=today, now=now)
        if reason is not None:
            row.proposal = _also(row.proposal, reason)
        session.flush()


def undo(session: Session, row: BankLine, *, line_id: str, today: date, now: datetime) -> str | None:
    """Undo the line that `row` takes back; why not, where that cannot be."""
    target = session.get(BankLine, line_id, with_for_update=True)
    if target is None or (target.account, target.amount_minor) != (row.account, -row.amount_minor):
        return "not_its_opposite"
    if target.state == "reversed":
        return "reversed_before"
    reason = undo_line(session, line_id=target.line_id, reversal=row, today=today, now=now)
    if reason is None:
        target.state, row.state = "reversed", "booked"
    return reason


def book(
    session: Session,
    *,
    services: Services,
    lines: Sequence[tuple[BankLine, Sequence[Part]]],
    today: date,
    now: datetime,
    again: bool = False,
) -> dict[str, Fault]:
    """Enter the receipts of lines, one for each part and one for the rest; by line why it could not be entered.

    `again`: the line was booked as unapplied before, and taken out.
    """
    items: list[tuple[int, ReceiptItem]] = []
    owners: list[str] = []
    for row, parts in lines:
        rest_minor = row.amount_minor - sum(part.amount_minor for part in parts)
        # No asset and no deposit has such a reference: the rest stays unapplied.
        for part in [*parts, *([Part(row.bank_reference + "/rest", rest_minor)] if rest_minor else [])]:
            own = f"{row.bank_reference}/{row.line_id}/{len(owners)}" + ("/decided" if again else "")
            item = ReceiptItem(
                bank_reference=own,
                value_date=row.value_date,
                amount_minor=part.amount_minor,
                currency=row.currency,
                reference=part.reference,
                payer_name=row.counterparty_name or UNSET,
            )
            items.append((len(owners), item))
            owners.append(row.line_id)
    entered: dict[int, Entered | Refused] = {}
    for start in range(0, len(items), MOST_AT_ONCE):
        some = items[start : start + MOST_AT_ONCE]
        entered |= enter_receipts(session, services=services, items=some, today=today, now=now)
    of_line = text("""
        UPDATE receipt SET line_id = of.line_id
        FROM unnest(cast(:receipts AS text[]), cast(:lines AS text[])) AS of(receipt_id, line_id)
        WHERE receipt.receipt_id = of.receipt_id
    """)
    done = {at: outcome.receipt_id for at, outcome in entered.items() if not isinstance(outcome, Refused)}
    session.execute(of_line, {"receipts": list(done.values()), "lines": [owners[at] for at in done]})
    return {owners[at]: outcome.fault for at, outcome in entered.items() if isinstance(outcome, Refused)}


def _fresh(session: Session, rows: Sequence[BankLine]) -> list[BankLine]:
    """The lines that no earlier statement had; the others are duplicates."""
    query = text("""
        SELECT fresh.line_id FROM bank_line AS fresh JOIN bank_line AS known
          ON known.account = fresh.account AND known.bank_reference = fresh.bank_reference
         AND known.booking_date = fresh.booking_date AND known.amount_minor = fresh.amount_minor
         AND known.state NOT IN ('new', 'duplicate')
        WHERE fresh.line_id = ANY(:ids)
    """)
    known = set(session.execute(query, {"ids": [row.line_id for row in rows]}).scalars())
    for row in rows:
        if row.line_id in known:
            row.state = "duplicate"
    return [row for row in rows if row.state == "new"]


def _found(session: Session, rows: Sequence[BankLine]) -> dict[str, _Found]:
    """What each line is: entered by hand before, a deposit, or what matching says."""
    lines = {row.line_id: _as_line(row) for row in rows}
    by_hand = _by_hand(session, rows)
    named = queries.ids_named(lines.values())
    deposits = queries.depositors(session, {one for ids in named.values() for one in ids if one.startswith("dep")})
    found: dict[str, _Found] = {}
    for row in rows:
        references = [one for one in named.get(row.line_id, ()) if one in deposits]
        payments = [one for one in named.get(row.line_id, ()) if one.startswith("pay")]
        if payments:
            found[row.line_id] = _payment(row, payments)
        elif row.line_id in by_hand:
            found[row.line_id] = _as_found("entered", score=90, reasons=["entered_by_hand"])
        elif references and row.amount_minor > 0:
            found[row.line_id] = _deposit(references, row.amount_minor, alone=len(named[row.line_id]) == 1)
    rest = [line for line_id, line in lines.items() if line_id not in found]
    return found | _matched(session, rest, named, account=rows[0].account) if rest else found


def _matched(
    session: Session, lines: Sequence[Line], named: Mapping[str, Iterable[str]], *, account: str
) -> dict[str, _Found]:
    """What matching says of the lines, with the earlier lines that they may take back at hand."""
    earlier = {row.line_id: _as_line(row) for row in queries.takeable_back(session, lines, account=account)}
    numbers = virtual_accounts.named_by(session, lines, account=account)
    lines = [virtual_accounts.as_named(line, numbers.get(line.where, ())) for line in lines]
    payers = [*queries.payers(session, lines), *virtual_accounts.payers(numbers)]
    asset_ids = {one for line in lines for one in named.get(line.where, ())}
    asset_ids |= {one.asset_id for some in numbers.values() for one in some if one.asset_id}
    items = queries.open_items(session, asset_ids=asset_ids, payer_ids=[payer.payer_id for payer in payers])
    known = frozenset(line.bank_reference for line in earlier.values())
    proposals = match([*lines, *earlier.values()], items=items, payers=payers, known_references=known)
    at: dict[tuple[str, int], list[str]] = {}
    for line in [*lines, *earlier.values()]:
        at.setdefault((line.bank_reference, line.amount_minor), []).append(line.where)
    return {one.line.where: _shown(one, at) for one in proposals if one.line.where not in earlier}


def _shown(proposal: Proposal, at: Mapping[tuple[str, int], Sequence[str]]) -> _Found:
    """A proposal as it is kept. That an amount is like one of the few items at hand says nothing of all others."""
    guessed = proposal.reasons[:1] == ("amount_alone",)
    targets = at.get((proposal.reverses or "", -proposal.line.amount_minor), ())
    shown = _as_found(
        "unmatched" if guessed else proposal.kind,
        score=0 if guessed else proposal.score,
        reasons=["payer_unknown"] if guessed else list(proposal.reasons),
        parts=[] if guessed else [Part(one.item_id, one.amount_minor) for one in proposal.allocations],
        payer_id=None if guessed else proposal.payer_id,
        reverses=targets[0] if len(targets) == 1 else None,
    )
    doubtful = proposal.kind == "duplicate" or (proposal.kind == "reversal" and len(targets) != 1)
    return shown._replace(certain=proposal.certain and not doubtful)


def _deposit(references: Sequence[str], amount_minor: int, *, alone: bool) -> _Found:
    """Money of the funder whose reference it names; whoever names more has to be asked."""
    reasons = ["deposit_reference"] if alone else ["deposit_reference", "names_more"]
    parts = [Part(references[0], amount_minor)]
    return _as_found("deposit", score=100 if alone else 50, reasons=reasons, parts=parts)._replace(certain=alone)


def _payment(row: BankLine, payments: Sequence[str]) -> _Found:
    """Money that left for a payment of ours, or came back: whose payment it is says what it means."""
    kind = "payment_out" if row.amount_minor < 0 else "payment_return"
    found = _as_found(kind, score=100, reasons=["payment_named"])
    return found._replace(shown=found.shown | {"payments": list(payments)})


def _as_found(
    kind: str,
    *,
    score: int,
    reasons: Sequence[str],
    parts: Sequence[Part] = (),
    payer_id: str | None = None,
    reverses: str | None = None,
) -> _Found:
    shown = {
        "kind": kind,
        "score": score,
        "reasons": list(reasons),
        "allocations": [part._asdict() for part in parts],
        "payer_id": payer_id,
        "reverses": reverses,
    }
    return _Found(shown, certain=False)


def _decide(session: Session, row: BankLine, found: _Found, fault: Fault | None) -> None:
    """Say what became of a line: it is booked, or it waits."""
    row.proposal = found.shown if fault is None else _also(found.shown, fault.code)
    reverses = found.shown["kind"] == "reversal"
    row.state = "booked" if found.certain and not reverses and fault is None else "open"
    if "payments" in found.shown:
        jobs.enqueue(session, job="payments.confirm", payload={"line_id": row.line_id})
    if found.certain and reverses:
        # A transaction of its own: claims are locked before limits and books.
        jobs.enqueue(session, job="settlement.take_back", payload={"line_id": row.line_id})


def _also(shown: dict[str, Any] | None, reason: str) -> dict[str, Any]:
    known = shown or {}
    return known | {"reasons": [*known.get("reasons", ()), reason]}


def _by_hand(session: Session, rows: Sequence[BankLine]) -> set[str]:
    """The lines that stand under the bank's own reference among receipts which no statement brought."""
    query = text(
        "SELECT bank_reference, amount_minor FROM receipt WHERE bank_reference = ANY(:ids) AND line_id IS NULL"
    )
    found = session.execute(query, {"ids": [row.bank_reference for row in rows]})
    known = {(row.bank_reference, row.amount_minor) for row in found}
    return {row.line_id for row in rows if (row.bank_reference, row.amount_minor) in known}


def _learn_names(session: Session) -> None:
    """Fold the names of companies that were not folded yet."""
    query = text("""
        SELECT company_id, name FROM company WHERE name IS NOT NULL AND NOT EXISTS (
            SELECT FROM payer_mark
            WHERE payer_mark.company_id = company.company_id AND kind = 'name' AND said = company.name
        )
    """)
    _mark(session, "name", [(names.company(name), company_id, name) for company_id, name in session.execute(query)])


def _learn_accounts(session: Session, rows: Iterable[BankLine]) -> None:
    """Whoever certainly paid its own debt by name of reference is known by its account from then on."""
    learnt = [
        (row.counterparty_account, row.proposal["payer_id"], row.counterparty_account)
        for row in rows
        if row.proposal and row.state == "booked" and row.proposal["reasons"][:1] == ["reference"]
        if "paid_by_another" not in row.proposal["reasons"]
    ]
    _mark(session, "account", [one for one in learnt if one[0]])


def _mark(session: Session, kind: str, marks: Sequence[tuple[str, str, str]]) -> None:
    statement = text("""
        INSERT INTO payer_mark (kind, mark, company_id, said) VALUES (:kind, :mark, :company_id, :said)
        ON CONFLICT (kind, mark, company_id) DO UPDATE SET said = excluded.said
    """)
    rows = [{"kind": kind, "mark": mark, "company_id": company, "said": said} for mark, company, said in marks]
    if rows:
        session.execute(statement, rows)


def _as_line(row: BankLine) -> Line:
    """The line for matching; `where` is its id."""
    return Line(
        booking_date=row.booking_date,
        value_date=row.value_date,
        amount_minor=row.amount_minor,
        currency=row.currency,
        where=row.line_id,
        bank_reference=row.bank_reference,
        counterparty_name=row.counterparty_name,
        counterparty_account=row.counterparty_account,
        remittance=row.remittance,
        references=tuple(row.references),
        end_to_end_id=row.end_to_end_id,
        transaction_code=row.transaction_code,
        is_reversal=row.is_reversal,
        return_reason=row.return_reason,
    )
