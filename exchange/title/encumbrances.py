"""Rights of others in a claim: entered, released, and cut when less is owed than they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.db import copy_rows
from exchange.errors import NotFound
from exchange.ids import new_id
from exchange.pools.actions import release as leave_offer
from exchange.registry.actions import Fact, note_many
from exchange.services import Services
from exchange.title import rules
from exchange.title.actions import encumbered, lock_titles
from exchange.title.models import Encumbrance
from exchange.title.rules import Refused, Title
from exchange.title.schemas import EncumbranceItem

LIVE = text("""
    SELECT encumbrance_id, asset_id, live_minor FROM encumbrance
    WHERE asset_id = ANY(:ids) AND live_minor > 0 ORDER BY asset_id, priority, entry
""")


def encumber(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    items: Sequence[tuple[int, EncumbranceItem]],
    today: date,
    now: datetime,
) -> dict[int, str | Refused]:
    """Enter the encumbrances that can be, in their order; the id of each by its index, or why not.

    What is encumbered is offered to nobody. A court's order takes an asset out of an offer, as a payment does.
    """
    titles = lock_titles(session, asset_ids=[item.asset_id for _, item in items])
    party_id = None if caller.role is Role.OPERATOR else caller.party_id
    results: dict[int, str | Refused] = {}
    done: list[tuple[str, EncumbranceItem]] = []
    offered: set[str] = set()
    entries = _entries(session, [item.asset_id for _, item in items])
    for index, item in items:
        at, title = f"/items/{index}", titles.get(item.asset_id)
        refused = rules.refuse_encumbrance(
            title, caller=caller, asset_id=item.asset_id, kind=item.kind, amount_minor=item.amount_minor, at=at
        )
        if refused or title is None:
            results[index] = refused or rules.not_found(item.asset_id, at)
            continue
        if title.state in {"reserved", "committed"}:
            offered.add(title.asset_id)
        entries[item.asset_id] = entries.get(item.asset_id, 0) + 1
        purpose = f"{item.asset_id}/{entries[item.asset_id]}"
        encumbrance_id = new_id("enc", now=now, entropy=services.entropy, purpose=purpose)
        titles[item.asset_id] = replace(
            title,
            state="assigned" if title.state == "assigned" else "free",
            encumbered_minor=title.encumbered_minor + item.amount_minor,
        )
        done.append((encumbrance_id, item))
        results[index] = encumbrance_id
    leave_offer(session, asset_ids=sorted(offered), now=now)
    _store(session, done, party_id=party_id, now=now)
    _set_encumbered(session, {item.asset_id: titles[item.asset_id].encumbered_minor for _, item in done})
    note_many(session, facts=[_entered(encumbrance_id, item, today) for encumbrance_id, item in done], now=now)
    return results


def release(session: Session, *, caller: Caller, encumbrance_id: str, reason: str, today: date, now: datetime) -> Title:
    """End an encumbrance, by whoever entered it or an operator; the claim after it (`NotFound`, `AlreadyReleased`)."""
    row, title = _locked(session, caller=caller, encumbrance_id=encumbrance_id)
    if not row.live_minor:
        raise rules.AlreadyReleased("It holds nothing any more.", released_at=f"{row.released_at:%Y-%m-%dT%H:%M:%SZ}")
    _keep(session, {encumbrance_id: 0}, reason=reason, now=now)
    left_minor = title.encumbered_minor - row.live_minor
    _set_encumbered(session, {title.asset_id: left_minor})
    note_many(session, facts=[_left(title.asset_id, encumbrance_id, 0, "released", today)], now=now)
    return replace(title, encumbered_minor=left_minor)


def cut(session: Session, *, outstanding: Mapping[str, int], reason: str, today: date, now: datetime) -> list[Fact]:
    """Cut the encumbrances of claims on which less is owed now (locked, by asset) to what still covers them.

    What is owed covers the highest rank first, so the lowest is cut first. The facts are given back: they follow what
    they are the effect of.
    """
    by_asset: dict[str, list[Any]] = {}
    for row in session.execute(LIVE, {"ids": list(outstanding)}):
        by_asset.setdefault(row.asset_id, []).append(row)
    left: dict[str, int] = {}
    facts = []
    for asset_id, rows in by_asset.items():
        held = rules.cover([row.live_minor for row in rows], outstanding_minor=outstanding[asset_id])
        for row, live_minor in zip(rows, held, strict=True):
            if live_minor < row.live_minor:
                left[row.encumbrance_id] = live_minor
                facts.append(_left(asset_id, row.encumbrance_id, live_minor, reason, today))
    if left:
        _keep(session, left, reason=reason, now=now)
    return facts


def _entries(session: Session, asset_ids: Sequence[str]) -> dict[str, int]:
    """How many encumbrances were ever entered on each asset; its claim is locked."""
    query = text("SELECT asset_id, count(*) FROM encumbrance WHERE asset_id = ANY(:ids) GROUP BY asset_id")
    return dict(session.execute(query, {"ids": list(asset_ids)}).all())


def _locked(session: Session, *, caller: Caller, encumbrance_id: str) -> tuple[Any, Title]:
    """An encumbrance of the caller's and its claim, locked; a split may take both to a part while we wait."""
    query = text("""
        SELECT asset_id, live_minor, released_at FROM encumbrance
        WHERE encumbrance_id = :id AND (cast(:party AS text) IS NULL OR party_id = :party)
    """)
    titles: dict[str, Title] = {}
    while True:
        row = session.execute(query, {"id": encumbrance_id, "party": caller.party_id}).first()
        if row is None:
            raise NotFound("There is no such encumbrance.")
        if row.asset_id in titles:
            return row, titles[row.asset_id]
        titles |= lock_titles(session, asset_ids=[row.asset_id])


def _store(
    session: Session, done: Sequence[tuple[str, EncumbranceItem]], *, party_id: str | None, now: datetime
) -> None:
    columns = "encumbrance_id asset_id party_id beneficiary kind ground priority amount_minor live_minor entered_at"
    rows = (
        (
            encumbrance_id,
            item.asset_id,
            party_id,
            item.beneficiary,
            item.kind,
            item.ground,
            item.priority,
            item.amount_minor,
            item.amount_minor,
            now,
        )
        for encumbrance_id, item in done
    )
    copy_rows(session, Encumbrance.__tablename__, columns.split(), rows)


def _set_encumbered(session: Session, amounts: Mapping[str, int]) -> None:
    update = text("""
        UPDATE claim SET encumbered_minor = now.amount
        FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS now(asset_id, amount)
        WHERE claim.asset_id = now.asset_id
    """)
    session.execute(update, {"ids": list(amounts), "amounts": list(amounts.values())})


def _keep(session: Session, left: Mapping[str, int], *, reason: str, now: datetime) -> None:
    """Note what encumbrances still hold; one that holds nothing is released."""
    update = text("""
        UPDATE encumbrance SET live_minor = kept.amount,
               released_at = CASE WHEN kept.amount = 0 THEN cast(:now AS timestamptz) END,
               release_reason = CASE WHEN kept.amount = 0 THEN cast(:reason AS text) END
        FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS kept(encumbrance_id, amount)
        WHERE encumbrance.encumbrance_id = kept.encumbrance_id
    """)
    session.execute(update, {"ids": list(left), "amounts": list(left.values()), "reason": reason, "now": now})


def _entered(encumbrance_id: str, item: EncumbranceItem, today: date) -> Fact:
    return encumbered(
        item.asset_id,
        encumbrance_id=encumbrance_id,
        kind=item.kind,
        amount_minor=item.amount_minor,
        priority=item.priority,
        hidden={"beneficiary": item.beneficiary, "ground": item.ground},
        today=today,
    )


def _left(asset_id: str, encumbrance_id: str, left_minor: int, reason: str, today: date) -> Fact:
    body = {
        "encumbrance": encumbrance_id,
        "left_minor": left_minor,
        "reason": reason,
        "effective_date": today.isoformat(),
    }
    return Fact(asset_id, "asset.disencumbered", body)
