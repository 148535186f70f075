"""Correct what was entered wrongly; let an asset give way to another."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from exchange.corrections import queries, rules
from exchange.corrections.models import Correction, Supersession
from exchange.corrections.rules import Known
from exchange.corrections.schemas import CorrectionItem, SupersessionItem
from exchange.db import copy_rows
from exchange.duplicates.actions import release_claims
from exchange.duplicates.marks import normalised_number
from exchange.errors import Fault
from exchange.receivables.actions import submit
from exchange.receivables.outcomes import Origin
from exchange.receivables.schemas import SubmissionItem
from exchange.registry.actions import Fact, note_many
from exchange.risk.actions import forget
from exchange.services import Services

DISCLOSED = ("invoice_number", "documents")
"""Corrected fields that only those see who see the asset's own."""


class Corrected(NamedTuple):
    """What became of one correction: the record it corrects, or why not."""

    corrects: int | None
    fault: Fault | None = None


class Superseded(NamedTuple):
    """What became of one supersession: without faults the asset is void, and `by_id` in its place."""

    by_id: str | None
    faults: tuple[Fault, ...] = ()


class _NotReplaced(Exception):
    """The replacement cannot be entered: what was done for it is to be undone."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__()
        self.faults = faults


def correct(session: Session, *, origin: Origin, items: Sequence[tuple[int, CorrectionItem]]) -> dict[int, Corrected]:
    """Keep corrections of the originator's assets, one an asset in a batch; the outcome of each by its index."""
    asset_ids = sorted({item.asset_id for _, item in items})
    queries.lock(session, asset_ids=asset_ids, originator_id=origin.originator_id)
    known = queries.known(session, asset_ids=asset_ids, originator_id=origin.originator_id)
    outcomes: dict[int, Corrected] = {}
    kept: dict[str, tuple[CorrectionItem, Known, int]] = {}
    for index, item in items:
        fault = _correction_fault(item, known, kept.keys(), origin=origin, at=f"/items/{index}")
        if fault is None:
            asset, made = known[item.asset_id]
            kept[item.asset_id] = (item, asset, made + 1)
        outcomes[index] = Corrected(None if fault else _place(known[item.asset_id][0])[0], fault)
    _keep(session, list(kept.values()), now=origin.now)
    return outcomes


def supersede(
    session: Session, *, services: Services, origin: Origin, items: Sequence[tuple[int, SupersessionItem]]
) -> dict[int, Superseded]:
    """Void the originator's assets that are free, each with its replacement or not at all; outcomes by index."""
    asset_ids = sorted({item.asset_id for _, item in items})
    queries.lock(session, asset_ids=asset_ids, originator_id=origin.originator_id)
    outcomes: dict[int, Superseded] = {}
    for index, item in items:
        found = queries.known(session, asset_ids=[item.asset_id], originator_id=origin.originator_id)
        at = f"/items/{index}"
        if item.asset_id not in found:
            outcomes[index] = Superseded(None, (_unknown(item.asset_id, at=at),))
        elif fault := rules.refuse_supersession(item.asset_id, found[item.asset_id][0], at=at):
            outcomes[index] = Superseded(None, (fault,))
        else:
            outcomes[index] = _superseded(session, index, item, services=services, origin=origin)
    return outcomes


def _correction_fault(
    item: CorrectionItem, known: dict[str, tuple[Known, int]], kept: Sequence[str] | object, *, origin: Origin, at: str
) -> Fault | None:
    if item.asset_id not in known:
        return _unknown(item.asset_id, at=at)
    if item.asset_id in kept:  # type: ignore[operator]  # the keys of a dict
        message = "corrected once in this batch already: send this again in a moment"
        return Fault(rules.UNFINISHED, f"{at}/asset_id", message, item.asset_id)
    asset = known[item.asset_id][0]
    same = isinstance(item.invoice_number, str) and normalised_number(item.invoice_number) == normalised_number(
        asset.invoice_number
    )
    return rules.refuse_correction(item, asset, same_number=same, today=origin.today, at=at)


def _keep(session: Session, kept: Sequence[tuple[CorrectionItem, Known, int]], *, now: datetime) -> None:
    """Rows and facts. The record is named by its digest too: nobody can say later that another one was meant."""
    rows, facts = [], []
    for item, asset, number in kept:
        sequence, digest = _place(asset)
        fields = rules.changes(item, asset)
        rows.append((item.asset_id, number, sequence, item.reason, orjson.dumps(fields).decode(), now))
        body = {
            "corrects": {"sequence": sequence, "record": digest},
            "fields": sorted(fields),
            "reason": item.reason,
            **{name: value for name, value in fields.items() if name not in DISCLOSED},
        }
        hidden = {name: value for name, value in fields.items() if name in DISCLOSED}
        facts.append(Fact(item.asset_id, "asset.corrected", body, hidden))
    columns = ("asset_id", "number", "corrects", "reason", "fields", "recorded_at")
    copy_rows(session, Correction.__tablename__, columns, rows)
    note_many(session, facts=facts, now=now)


def _superseded(
    session: Session, index: int, item: SupersessionItem, *, services: Services, origin: Origin
) -> Superseded:
    """Void first, so that the replacement may be of the same invoice; without it the void is taken back."""
    try:
        with session.begin_nested():
            _void(session, item.asset_id, now=origin.now)
            by_id = _replaced(session, index, item, services=services, origin=origin) if item.replacement else None
            values = {"asset_id": item.asset_id, "by_id": by_id, "reason": item.reason, "recorded_at": origin.now}
            session.execute(insert(Supersession).values(values))
            body = {"reason": item.reason} | ({"by": by_id} if by_id else {})
            note_many(session, facts=[Fact(item.asset_id, "asset.superseded", body)], now=origin.now)
    except _NotReplaced as refusal:
        return Superseded(None, refusal.faults)
    return Superseded(by_id)


def _replaced(
    session: Session, index: int, item: SupersessionItem, *, services: Services, origin: Origin
) -> str | None:
    """Submit the replacement; its asset id. Raises `_NotReplaced`."""
    assert isinstance(item.replacement, SubmissionItem)  # noqa: S101 - the caller looked; for the type checker
    outcome = submit(session, services=services, origin=origin, items=[(index, item.replacement)])[index]
    if outcome.faults:
        raise _NotReplaced(tuple(_within(fault, index) for fault in outcome.faults))
    return outcome.asset_id


def _void(session: Session, asset_id: str, *, now: datetime) -> None:
    """Nothing is owed, nothing is claimed of the invoice, and no score learns from it."""
    closed = text("UPDATE claim SET state = 'closed', outstanding_minor = 0 WHERE asset_id = :id")
    session.execute(closed, {"id": asset_id})
    release_claims(session, claim_ids=[asset_id], now=now)
    forget(session, asset_ids=[asset_id])


def _place(asset: Known) -> tuple[int, str]:
    if asset.last is None:  # pragma: no cover - refused before
        raise ValueError("the asset has no sealed record")
    return asset.last


def _unknown(asset_id: str, *, at: str) -> Fault:
    return Fault("not_found", f"{at}/asset_id", "no such asset", asset_id)


def _within(fault: Fault, index: int) -> Fault:
    """A fault of a replacement, by where it stands in the body that was sent."""
    rest = fault.pointer.removeprefix(f"/items/{index}")
    return Fault(fault.code, f"/items/{index}/replacement{rest}", fault.message, fault.value)
