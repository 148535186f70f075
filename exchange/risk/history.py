"""Trade facts from before the exchange knew the platform."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.duplicates import actions as duplicates
from exchange.duplicates.marks import Marks, invoice_mark, keys_from, stored
from exchange.duplicates.rules import Asked
from exchange.errors import Fault
from exchange.parties.actions import know_companies
from exchange.receivables.actions import company_facts, company_key
from exchange.receivables.outcomes import Origin, Outcome
from exchange.risk import rules
from exchange.risk.actions import learn, learn_settlements
from exchange.risk.facts import day_number
from exchange.risk.schemas import HistoryItem
from exchange.services import Services
from scoring.facts import NOT_SETTLED


def keep_history(
    session: Session, *, services: Services, origin: Origin, items: Sequence[tuple[int, HistoryItem]]
) -> dict[int, Outcome]:
    """Enter the facts that are valid and new; the outcome of each by its index.

    An invoice known as open can be told again with its settlement; any other repetition is a duplicate.
    """
    outcomes: dict[int, Outcome] = {}
    good: list[tuple[int, HistoryItem]] = []
    for index, item in items:
        faults = rules.history_faults(item, today=origin.today, at=f"/items/{index}")
        if faults:
            outcomes[index] = Outcome(None, tuple(faults))
        else:
            good.append((index, item))
    marks = {index: _mark(item, services=services, origin=origin) for index, item in good}
    fresh = _claim(session, good, marks, services=services, origin=origin)
    known = [(index, item) for index, item in good if index not in fresh]
    settled = _settle(session, known, marks, originator_id=origin.originator_id)
    companies = {company_key(c, origin): company_facts(c) for _, item in good for c in (item.seller, item.obligor)}
    know_companies(session, companies=companies, keyring=services.keyring, now=origin.now, entropy=services.entropy)
    numbers = _numbers(session, {key.value for key in companies}, namespaces={"", origin.originator_id})
    rows = []
    for index, item in good:
        if index in fresh:
            obligor, seller = (numbers[company_key(company, origin)] for company in (item.obligor, item.seller))
            rows.append((fresh[index], obligor, seller, item.face_minor, *_days(item), origin.originator_id))
            outcomes[index] = Outcome(fresh[index])
        elif index in settled:
            outcomes[index] = Outcome(settled[index])
        else:
            message = "this invoice is known already"
            fault = Fault("duplicate_receivable", f"/items/{index}", message, item.invoice_number)
            outcomes[index] = Outcome(None, (fault,), duplicate=True)
    learn(session, rows=rows)
    return outcomes


def _days(item: HistoryItem) -> tuple[int, int, int]:
    """Issue, due and settlement as days since 1970."""
    settled_day = day_number(item.settled_date) if item.settled_date else NOT_SETTLED
    return day_number(item.issue_date), day_number(item.due_date), settled_day


def _mark(item: HistoryItem, *, services: Services, origin: Origin) -> bytes:
    """The invoice's mark as it is kept, the same as if it were submitted."""
    keys = keys_from(services.keyring.fingerprint_key)
    seller = company_key(item.seller, origin)[:]  # a plain tuple
    return stored(keys.secret, Marks(invoice_mark(keys.group, seller=seller, number=item.invoice_number))).invoice


def _claim(
    session: Session,
    items: Sequence[tuple[int, HistoryItem]],
    marks: Mapping[int, bytes],
    *,
    services: Services,
    origin: Origin,
) -> dict[int, str]:
    """Use up the invoices, so that none of them can be sold as new; the ids of those that were free."""
    asked = [
        Asked(
            origin.originator_id,
            marks[index].hex(),
            Marks(marks[index]),
            item.currency,
            item.face_minor,
            item.face_minor,
        )
        for index, item in items
    ]
    answers = duplicates.claim(
        session, asked=asked, prefix="trd", now=origin.now, entropy=services.entropy, consumed=True
    )
    pairs = zip(items, answers, strict=True)
    return {index: answer.claim_id for (index, _), answer in pairs if answer.claim_id is not None}


def _settle(
    session: Session, items: Sequence[tuple[int, HistoryItem]], marks: Mapping[int, bytes], *, originator_id: str
) -> dict[int, str]:
    """Settle the invoices that this originator told as open past trades; their ids by index."""
    told: dict[bytes, tuple[int, date]] = {}
    for index, item in items:
        if item.settled_date:
            told.setdefault(marks[index], (index, item.settled_date))
    query = text("""
        SELECT invoice.mark, trade.trade_id
        FROM invoice
        JOIN invoice_claim AS claim ON claim.invoice_id = invoice.invoice_id
        JOIN trade ON trade.trade_id = claim.claim_id
        WHERE invoice.mark = ANY(:marks) AND trade.trade_id LIKE 'trd\\_%' AND trade.settled_day = :open
          AND trade.originator_id = :originator_id
        ORDER BY trade.trade_id FOR UPDATE OF trade
    """)
    rows = session.execute(query, {"marks": list(told), "open": NOT_SETTLED, "originator_id": originator_id}).all()
    found = {bytes(mark): trade_id for mark, trade_id in rows}
    learn_settlements(session, settled={trade_id: told[mark][1] for mark, trade_id in found.items()})
    return {told[mark][0]: trade_id for mark, trade_id in found.items()}


def _numbers(session: Session, values: set[str], *, namespaces: set[str]) -> dict[tuple[str, str, str], int]:
    """The number of each company, by scheme, namespace and value."""
    query = text("""
        SELECT scheme, namespace, value, number FROM company
        WHERE value = ANY(:values) AND namespace = ANY(:namespaces)
    """)
    rows = session.execute(query, {"values": sorted(values), "namespaces": sorted(namespaces)})
    return {(scheme, namespace, value): number for scheme, namespace, value, number in rows}
