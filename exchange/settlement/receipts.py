"""Bank receipts: deposits of funders, payments of obligors, and money for nobody yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.currencies import MINOR_DIGITS, commodity
from exchange.db import copy_rows
from exchange.errors import Fault
from exchange.ids import is_id, new_id
from exchange.receivables.schemas import EARLIEST
from exchange.registry.actions import Fact, record_many
from exchange.services import Services
from exchange.settlement import rules
from exchange.settlement.claims import Reduction, lock_positions, reduce
from exchange.settlement.models import Receipt
from exchange.settlement.rules import Position, Shares
from exchange.settlement.schemas import ReceiptItem
from ledger.books import Leg, Transfer, post

ITEMS_AN_EVENT = 100
"""Lines in one callback: its body stays well under 20 kB."""


@dataclass(frozen=True, slots=True)
class Entered:
    """What became of a bank line."""

    receipt_id: str
    outcome: str
    asset_id: str | None
    funder_id: str | None
    applied_minor: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a bank line was not entered."""

    fault: Fault
    duplicate: bool


class _Allocation(NamedTuple):
    """A receipt on a claim: the claim before it, and the shares."""

    item: ReceiptItem
    entered: Entered
    position: Position
    shares: Shares


def enter_receipts(
    session: Session,
    *,
    services: Services,
    items: Sequence[tuple[int, ReceiptItem]],
    today: date,
    now: datetime,
) -> dict[int, Entered | Refused]:
    """Enter bank lines, each once, in their order; the outcome of each by its index. What fits nothing is unapplied."""
    results: dict[int, Entered | Refused] = {}
    fresh: list[tuple[int, ReceiptItem]] = []
    known = _known(session, [item.bank_reference for _, item in items])
    for index, item in items:
        refused = _refused(index, item, known, today)
        if refused is None:
            known.add(item.bank_reference)
            fresh.append((index, item))
        else:
            results[index] = refused
    funders = _depositors(session, [item.reference for _, item in fresh])
    asset_ids = [item.reference for _, item in fresh if is_id(item.reference, prefix="ast")]
    positions = lock_positions(session, asset_ids=asset_ids)
    allocations: list[_Allocation] = []
    for index, item in fresh:
        receipt_id = new_id("rcp", now=now, entropy=services.entropy, purpose=item.bank_reference)
        position = positions.get(item.reference)
        if item.reference in funders:
            entered = Entered(receipt_id, "deposited", None, funders[item.reference], item.amount_minor)
        elif position is not None and position.currency == item.currency and position.outstanding_minor:
            shares = rules.share(position, amount_minor=item.amount_minor)
            entered = Entered(receipt_id, "allocated", position.asset_id, None, shares.applied_minor)
            allocations.append(_Allocation(item, entered, position, shares))
            positions[item.reference] = _after(position, shares)
        else:
            entered = Entered(receipt_id, "unapplied", None, None, 0)
        results[index] = entered
    done = [(item, outcome) for index, item in fresh if isinstance(outcome := results[index], Entered)]
    _store(session, done, now=now)
    _post(session, done, allocations, now=now)
    settled = _reduce(session, allocations, now=now)
    _tell(session, done, allocations, settled=settled, now=now)
    return results


def _known(session: Session, references: Sequence[str]) -> set[str]:
    """Which bank lines were entered before. Two feeds of one statement wait for each other here."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('settlement.receipts'))"))
    query = text("SELECT bank_reference FROM receipt WHERE bank_reference = ANY(:references)")
    return set(session.execute(query, {"references": list(references)}).scalars())


def _refused(index: int, item: ReceiptItem, known: set[str], today: date) -> Refused | None:
    at = f"/items/{index}"
    if item.bank_reference in known:
        message = "this bank line was entered before"
        return Refused(Fault("duplicate_receipt", f"{at}/bank_reference", message, item.bank_reference), duplicate=True)
    if item.currency not in MINOR_DIGITS:
        message = "a currency in use, ISO 4217"
        return Refused(Fault("unknown_currency", f"{at}/currency", message, item.currency), duplicate=False)
    if item.value_date < EARLIEST:
        message = f"not before {EARLIEST}"
        return Refused(Fault("value_date_too_early", f"{at}/value_date", message, item.value_date), duplicate=False)
    if item.value_date > today:
        message = f"not after today, {today}"
        return Refused(Fault("value_date_in_future", f"{at}/value_date", message, item.value_date), duplicate=False)
    return None


def _depositors(session: Session, references: Sequence[str]) -> dict[str, str]:
    query = text("SELECT deposit_reference, funder_id FROM funder WHERE deposit_reference = ANY(:references)")
    rows = session.execute(query, {"references": list(references)})
    return dict(rows.all())


def _after(position: Position, shares: Shares) -> Position:
    return replace(
        position,
        outstanding_minor=position.outstanding_minor - shares.applied_minor,
        funder_due_minor=position.funder_due_minor - shares.funder_minor,
    )


def _store(session: Session, done: Sequence[tuple[ReceiptItem, Entered]], *, now: datetime) -> None:
    columns = (
        "receipt_id bank_reference value_date currency amount_minor applied_minor payer_name reference outcome "
        "asset_id funder_id recorded_at"
    )
    rows = [
        (
            entered.receipt_id,
            item.bank_reference,
            item.value_date,
            item.currency,
            item.amount_minor,
            entered.applied_minor,
            item.payer_name or None,
            item.reference,
            entered.outcome,
            entered.asset_id,
            entered.funder_id,
            now,
        )
        for item, entered in done
    ]
    copy_rows(session, Receipt.__tablename__, columns.split(), rows)


def _post(
    session: Session,
    done: Sequence[tuple[ReceiptItem, Entered]],
    allocations: Sequence[_Allocation],
    *,
    now: datetime,
) -> None:
    """One transfer for each bank line, all in one posting."""
    legs = {one.entered.receipt_id: _allocation_legs(one) for one in allocations}
    for item, entered in done:
        if entered.receipt_id not in legs:
            target = books.funder_cash(entered.funder_id) if entered.funder_id else books.UNAPPLIED
            money = commodity(item.currency)
            legs[entered.receipt_id] = (
                Leg(books.BANK, money, -item.amount_minor),
                Leg(target, money, item.amount_minor),
            )
    for currency in sorted({item.currency for item, _ in done}):
        paths = {leg.path for one in legs.values() for leg in one if leg.commodity == commodity(currency)}
        books.open_money(session, currency=currency, paths=sorted(paths - {books.BANK}), may_overdraw=[books.BANK])
    transfers = [
        Transfer(
            f"{entered.receipt_id}/receipt",
            item.value_date,
            f"receipt {entered.outcome}",
            legs[entered.receipt_id],
        )
        for item, entered in done
    ]
    if transfers:
        post(session.connection(), transfers=transfers, now=now)


def _allocation_legs(one: _Allocation) -> tuple[Leg, ...]:
    return tuple(rules.collection_legs(one.position, one.shares, amount_minor=one.item.amount_minor))


def _reduce(session: Session, allocations: Sequence[_Allocation], *, now: datetime) -> dict[str, date]:
    reductions = [
        Reduction(one.position.asset_id, one.shares.applied_minor, one.shares.funder_minor) for one in allocations
    ]
    return reduce(session, reductions=reductions, now=now)


def _tell(
    session: Session,
    done: Sequence[tuple[ReceiptItem, Entered]],
    allocations: Sequence[_Allocation],
    *,
    settled: Mapping[str, date],
    now: datetime,
) -> None:
    """Sign each payment, and tell the funders of deposits, collections and assets paid off."""
    facts = [
        Fact(
            one.position.asset_id,
            "asset.paid",
            {
                "receipt": one.entered.receipt_id,
                "value_date": one.item.value_date.isoformat(),
                "amount_minor": one.shares.applied_minor,
                "outstanding_minor": _after(one.position, one.shares).outstanding_minor,
            },
        )
        for one in allocations
    ]
    pending = record_many(session, facts=facts, now=now)
    notices = [
        Notice(
            entered.funder_id,
            "deposit.received",
            {"receipt_id": entered.receipt_id, "currency": item.currency, "amount_minor": item.amount_minor},
        )
        for item, entered in done
        if entered.funder_id is not None
    ]
    notices += _collections(allocations, pending)
    last = {one.position.asset_id: (one, pending_id) for one, pending_id in zip(allocations, pending, strict=True)}
    for asset_id, (one, pending_id) in last.items():
        if asset_id in settled and one.position.funder_id is not None:
            data = {"asset_id": asset_id, "value_date": settled[asset_id].isoformat()}
            notices.append(Notice(one.position.funder_id, "asset.repaid", data, pending_id))
    tell_many(session, notices=notices, now=now)


def _collections(allocations: Sequence[_Allocation], pending: Sequence[int]) -> list[Notice]:
    """What each funder collected, with the assets it came from, in as few callbacks as hold the lines."""
    lines: dict[tuple[str, str], list[tuple[dict[str, object], int]]] = {}
    for one, pending_id in zip(allocations, pending, strict=True):
        if one.position.funder_id is not None and one.shares.funder_minor:
            line: dict[str, object] = {
                "asset_id": one.position.asset_id,
                "receipt_id": one.entered.receipt_id,
                "amount_minor": one.shares.funder_minor,
            }
            lines.setdefault((one.position.funder_id, one.position.currency), []).append((line, pending_id))
    notices = []
    for (funder_id, currency), entries in sorted(lines.items()):
        for start in range(0, len(entries), ITEMS_AN_EVENT):
            part = entries[start : start + ITEMS_AN_EVENT]
            total = sum(int(str(line["amount_minor"])) for line, _ in part)
            data = {"currency": currency, "amount_minor": total, "items": [line for line, _ in part]}
            notices.append(Notice(funder_id, "collection.distributed", data, max(place for _, place in part)))
    return notices
