"""Bank receipts: deposits of funders, payments of obligors, and money for nobody yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.currencies import MINOR_DIGITS, commodity
from exchange.db import copy_rows
from exchange.errors import Fault
from exchange.ids import is_id, new_id
from exchange.receivables.schemas import EARLIEST
from exchange.registry.actions import Fact, record_many
from exchange.services import Services
from exchange.settlement import charges, debts, policies, rules
from exchange.settlement.claims import Reduced, Reduction, lock_claims, reduce
from exchange.settlement.legs import collection_legs
from exchange.settlement.models import Receipt, ReceiptShare
from exchange.settlement.rules import Position, Shares
from exchange.settlement.schemas import ReceiptItem
from exchange.settlement.sharing import Sharing, share
from exchange.settlement.write_offs import note_recoveries, write_off
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
    charged_minor: int = 0
    recovered_minor: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a bank line was not entered."""

    fault: Fault
    duplicate: bool


class _Allocation(NamedTuple):
    """What a claim gets of a receipt: the claim before it, the amount, and its shares."""

    item: ReceiptItem
    entered: Entered
    position: Position
    amount_minor: int
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
    claims = lock_claims(session, asset_ids=asset_ids)
    sharing = Sharing(services, claims, policies.in_force(session), now)
    allocations: list[_Allocation] = []
    for index, item in fresh:
        receipt_id = new_id("rcp", now=now, entropy=services.entropy, purpose=item.bank_reference)
        if item.reference in funders:
            results[index] = Entered(receipt_id, "deposited", None, funders[item.reference], item.amount_minor)
        elif shared := share(sharing, item):
            results[index] = entered = _entered(receipt_id, item, [shares for _, _, shares in shared])
            allocations += [_Allocation(item, entered, *share) for share in shared]
        else:
            results[index] = Entered(receipt_id, "unapplied", None, None, 0)
    done = [(item, outcome) for index, item in fresh if isinstance(outcome := results[index], Entered)]
    _store(session, done, now=now)
    reduced = _reduce(session, allocations, today=today, now=now)
    _note(session, allocations, sharing)
    _post(session, done, allocations, now=now)
    _tell(session, done, allocations, reduced=reduced, now=now)
    write_off(session, items=sharing.forgiven, today=today, now=now)
    debts.collect_soon(session, company_ids={one.position.holder_id for one in allocations})
    return results


def hold_receipts(session: Session) -> None:
    """Let nobody else enter receipts until the transaction ends: two feeds of one line wait for each other here."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('settlement.receipts'))"))


def _known(session: Session, references: Sequence[str]) -> set[str]:
    """Which bank lines were entered before."""
    hold_receipts(session)
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


def _entered(receipt_id: str, item: ReceiptItem, shares: Sequence[Shares]) -> Entered:
    used, charged, recovered = (
        sum(getattr(one, name) for one in shares) for name in ("used_minor", "charged_minor", "recovered_minor")
    )
    return Entered(receipt_id, "allocated", item.reference, None, used, charged, recovered)


def _store(session: Session, done: Sequence[tuple[ReceiptItem, Entered]], *, now: datetime) -> None:
    columns = (
        "receipt_id bank_reference value_date currency amount_minor applied_minor payer_name reference outcome "
        "asset_id funder_id recorded_at charged_minor recovered_minor"
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
            entered.charged_minor,
            entered.recovered_minor,
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
    legs: dict[str, tuple[Leg, ...]] = {}
    for one in allocations:
        legs[one.entered.receipt_id] = legs.get(one.entered.receipt_id, ()) + _allocation_legs(one)
    for item, entered in done:
        if entered.receipt_id not in legs:
            target = books.funder_cash(entered.funder_id) if entered.funder_id else books.UNAPPLIED
            money = commodity(item.currency)
            legs[entered.receipt_id] = (
                Leg(books.BANK, money, -item.amount_minor),
                Leg(target, money, item.amount_minor),
            )
    books.open_for(session, legs=(leg for one in legs.values() for leg in one))
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
    return tuple(collection_legs(one.position, one.shares, amount_minor=one.amount_minor))


def _reduce(session: Session, allocations: Sequence[_Allocation], *, today: date, now: datetime) -> Reduced:
    parts = [
        (one.entered.receipt_id, one.position.asset_id, one.shares.used_minor)
        for one in allocations
        if one.position.asset_id != one.entered.asset_id and one.shares.used_minor
    ]
    copy_rows(session, ReceiptShare.__tablename__, ("receipt_id", "asset_id", "amount_minor"), parts)
    reductions = [
        Reduction(one.position.asset_id, one.shares.applied_minor, one.shares.funder_minor) for one in allocations
    ]
    return reduce(session, reductions=reductions, reason="repaid", today=today, now=now)


def _note(session: Session, allocations: Sequence[_Allocation], sharing: Sharing) -> None:
    """Keep what was charged and what of it was paid, what came back of losses, what holders do not owe any more."""
    paid = [(one.entered.receipt_id, charged) for one in allocations for charged in one.shares.charged]
    charges.keep(session, penalties=sharing.penalties, paid=paid, now=sharing.now)
    back = [
        (one.entered.receipt_id, one.position.asset_id, part) for one in allocations for part in one.shares.recovered
    ]
    note_recoveries(session, recovered=back)
    released: dict[str, int] = {}
    for one in allocations:
        if one.position.recourse_minor:
            after = rules.after_shares(one.position, one.shares)
            less_minor = one.position.recourse_minor - after.recourse_minor
            released[one.position.asset_id] = released.get(one.position.asset_id, 0) + less_minor
    debts.release(session, released=released)


def _tell(
    session: Session,
    done: Sequence[tuple[ReceiptItem, Entered]],
    allocations: Sequence[_Allocation],
    *,
    reduced: Reduced,
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
                "outstanding_minor": one.position.outstanding_minor - one.shares.applied_minor,
            }
            | _beside(one.shares),
        )
        for one in allocations
    ]
    pending = record_many(session, facts=[*facts, *reduced.facts], now=now)[: len(facts)]
    whose = [(one.entered.receipt_id, one.position.asset_id, one.entered.asset_id) for one in allocations]
    proofs = {
        receipt_id: Proof(f"{receipt_id}/receipt", pending_id, asset_id if asset_id == named else None)
        for (receipt_id, asset_id, named), pending_id in zip(whose, pending, strict=True)
    }
    prove(session, proofs=proofs.values())
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
        if asset_id in reduced.settled and one.position.funder_id is not None:
            data = {"asset_id": asset_id, "value_date": reduced.settled[asset_id].isoformat()}
            notices.append(Notice(one.position.funder_id, "asset.repaid", data, pending_id))
    tell_many(session, notices=notices, now=now)


def _beside(shares: Shares) -> dict[str, int]:
    """What a payment did beside making the claim smaller, where it did."""
    beside = {"charged_minor": shares.charged_minor, "recovered_minor": shares.recovered_minor}
    return {name: amount_minor for name, amount_minor in beside.items() if amount_minor}


def _collections(allocations: Sequence[_Allocation], pending: Sequence[int]) -> list[Notice]:
    """What each funder collected, with the assets it came from, in as few callbacks as hold the lines."""
    lines: dict[tuple[str, str], list[tuple[dict[str, object], int]]] = {}
    for one, pending_id in zip(allocations, pending, strict=True):
        for funder_id, amount_minor in _got(one).items():
            line: dict[str, object] = {
                "asset_id": one.position.asset_id,
                "receipt_id": one.entered.receipt_id,
                "amount_minor": amount_minor,
            }
            lines.setdefault((funder_id, one.position.currency), []).append((line, pending_id))
    notices = []
    for (funder_id, currency), entries in sorted(lines.items()):
        for start in range(0, len(entries), ITEMS_AN_EVENT):
            part = entries[start : start + ITEMS_AN_EVENT]
            total = sum(int(str(line["amount_minor"])) for line, _ in part)
            data = {"currency": currency, "amount_minor": total, "items": [line for line, _ in part]}
            notices.append(Notice(funder_id, "collection.distributed", data, max(place for _, place in part)))
    return notices


def _got(one: _Allocation) -> dict[str, int]:
    """What funders got of an allocation: who holds the claim, and who had lost by it."""
    got: dict[str, int] = {}
    if one.position.funder_id is not None:
        got[one.position.funder_id] = one.shares.funder_minor + one.shares.penalty_minor
    for part in one.shares.recovered:
        if part.lost.funder_id is not None:
            got[part.lost.funder_id] = got.get(part.lost.funder_id, 0) + part.funder_minor
    return {funder_id: amount_minor for funder_id, amount_minor in got.items() if amount_minor}
