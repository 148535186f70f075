"""Trade facts from before the exchange knew the platform."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault
from exchange.ids import new_id
from exchange.parties.actions import know_companies
from exchange.parties.rules import identifier_fault
from exchange.receivables.actions import Origin, Outcome, company_facts, company_key
from exchange.receivables.rules import fingerprint, normalised_number
from exchange.risk.actions import learn
from exchange.risk.facts import day_number
from exchange.risk.schemas import HistoryItem
from exchange.services import Services
from scoring.facts import NOT_SETTLED


def history_faults(item: HistoryItem, *, origin: Origin, at: str) -> list[Fault]:
    """Everything that is wrong with a well-formed history item. A fact from the future is no fact."""
    faults = []
    for name, company in (("seller", item.seller), ("obligor", item.obligor)):
        fault = identifier_fault(company.scheme, company.value)
        if fault is not None:
            faults.append(Fault(fault[0], f"{at}/{name}/value", fault[1], company.value))
    if item.currency not in MINOR_DIGITS:
        faults.append(Fault("unknown_currency", f"{at}/currency", "a currency in use, ISO 4217", item.currency))
    if item.due_date < item.issue_date:
        message = f"not before the issue date, {item.issue_date}"
        faults.append(Fault("due_before_issue", f"{at}/due_date", message, item.due_date))
    if item.issue_date > origin.today:
        message = f"not after today, {origin.today}"
        faults.append(Fault("issue_in_future", f"{at}/issue_date", message, item.issue_date))
    if item.settled_date is not None and item.settled_date > origin.today:
        message = f"not after today, {origin.today}"
        faults.append(Fault("settled_in_future", f"{at}/settled_date", message, item.settled_date))
    return faults


def keep_history(
    session: Session, *, services: Services, origin: Origin, items: Sequence[tuple[int, HistoryItem]]
) -> dict[int, Outcome]:
    """Enter the facts that are valid and new; the outcome of each by its index. An invoice known already stays as it is."""
    outcomes: dict[int, Outcome] = {}
    good: list[tuple[int, HistoryItem]] = []
    for index, item in items:
        faults = history_faults(item, origin=origin, at=f"/items/{index}")
        if faults:
            outcomes[index] = Outcome(None, tuple(faults))
        else:
            good.append((index, item))
    fresh = _claim(session, good, services=services, origin=origin)
    companies = {company_key(c, origin): company_facts(c) for _, item in good for c in (item.seller, item.obligor)}
    know_companies(
        session, companies=companies, keyring=services.keyring, now=origin.now, entropy=services.entropy
    )
    numbers = _numbers(session, {key.value for key in companies}, namespaces={"", origin.originator_id})
    rows = []
    for index, item in good:
        trade_id = fresh.get(index)
        if trade_id is None:
            fault = Fault("duplicate_receivable", f"/items/{index}", "this invoice is known already", item.invoice_number)
            outcomes[index] = Outcome(None, (fault,), duplicate=True)
            continue
        obligor, seller = (numbers[company_key(company, origin)] for company in (item.obligor, item.seller))
        settled = NOT_SETTLED if item.settled_date is None else day_number(item.settled_date)
        days = (day_number(item.issue_date), day_number(item.due_date), settled)
        rows.append((trade_id, obligor, seller, item.face_minor, *days))
        outcomes[index] = Outcome(trade_id)
    learn(session, rows=rows)
    return outcomes


def _claim(
    session: Session, items: Sequence[tuple[int, HistoryItem]], *, services: Services, origin: Origin
) -> dict[int, str]:
    """Claim the invoices' fingerprints, so that none of them can be sold as new; the ids of those that were free."""
    key = services.keyring.fingerprint_key
    marks: dict[bytes, tuple[int, str]] = {}
    for index, item in items:
        parts = (*company_key(item.seller, origin), normalised_number(item.invoice_number))
        trade_id = new_id("trd", now=origin.now, entropy=services.entropy, purpose="/".join(parts))
        marks.setdefault(fingerprint(key, kind="invoice", parts=parts), (index, trade_id))
    insert = text("""
        INSERT INTO fingerprint (fingerprint, asset_id)
        SELECT * FROM unnest(cast(:marks AS bytea[]), cast(:ids AS text[])) ORDER BY 1
        ON CONFLICT DO NOTHING RETURNING fingerprint
    """)
    parameters = {"marks": list(marks), "ids": [trade_id for _, trade_id in marks.values()]}
    return dict(marks[bytes(mark)] for mark in session.execute(insert, parameters).scalars())


def _numbers(session: Session, values: set[str], *, namespaces: set[str]) -> dict[tuple[str, str, str], int]:
    """The number of each company, by scheme, namespace and value."""
    query = text("""
        SELECT scheme, namespace, value, number FROM company
        WHERE value = ANY(:values) AND namespace = ANY(:namespaces)
    """)
    rows = session.execute(query, {"values": sorted(values), "namespaces": sorted(namespaces)})
    return {(scheme, namespace, value): number for scheme, namespace, value, number in rows}
