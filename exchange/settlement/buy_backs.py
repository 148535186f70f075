"""An asset goes back from its funder to the company that sold it: title against money, limits and pool with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books, jobs
from exchange.callbacks.actions import Notice
from exchange.currencies import commodity
from exchange.registry.actions import Fact
from exchange.risk import limits
from exchange.settlement.legs import memo_legs
from exchange.settlement.rules import Position
from exchange.trading.actions import withdraw_changed
from ledger.books import Leg, Transfer

CALL_JOB = "settlement.call_transferors"
"""Tells those whose turn has come in a chain of recourse."""


class Item(NamedTuple):
    """A claim (locked, a funder's), what is paid for it, and why it goes back: agreement, recourse.

    Its holder pays, unless `payer_id` is one who handed it on before: that one pays the holder the rest of the claim.
    """

    position: Position
    price_minor: int
    cause: str
    payer_id: str | None = None

    @property
    def taker_id(self) -> str:
        """Who has the claim from now on."""
        return self.payer_id or self.position.holder_id


@dataclass(slots=True)
class Taken:
    """What has still to be posted, signed and told: the caller does, with what belongs to it."""

    transfers: list[Transfer] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def notices(self, pending_ids: Sequence[int]) -> list[Notice]:
        """What the funders are told, with the places of the facts."""
        return [
            Notice(funder_id, "asset.repurchased", data, pending_id)
            for (funder_id, data), pending_id in zip(self.told, pending_ids, strict=True)
        ]


def take_back(session: Session, *, items: Sequence[Item], today: date, now: datetime) -> Taken:
    """Give claims back to their holders; those that are not a funder's any more, or encumbered, stay where they are.

    What the holder still owed for the obligor's default ends with it, and the obligor's limit has room again.
    """
    taken = Taken()
    rows = _rows(session, {one.position.asset_id: one.taker_id for one in items if one.position.funder_id is not None})
    items = [item for item in items if item.position.asset_id in rows]
    if not items:
        return taken
    ids = [item.position.asset_id for item in items]
    _end_debts(session, ids)
    withdraw_changed(session, asset_ids=ids, reason="repurchased", now=now)
    _leave(session, items, now=now)
    back = text("""
        UPDATE claim SET state = 'free', pool_id = NULL, held_since = :day, holder_id = taker.id
        FROM unnest(cast(:ids AS text[]), cast(:takers AS text[])) AS taker(asset_id, id)
        WHERE claim.asset_id = taker.asset_id
    """)
    session.execute(back, {"day": today, "ids": ids, "takers": [item.taker_id for item in items]})
    call_next(session, [item.position.asset_id for item in items if item.cause == "recourse"], today=today)
    room: dict[limits.Line, int] = {}
    for item in items:
        line = (rows[item.position.asset_id].obligor, item.position.currency)
        room[line] = room.get(line, 0) - item.position.outstanding_minor
    limits.use_room(session, amounts=room, cause="repurchased", now=now)
    for item in items:
        position, row = item.position, rows[item.position.asset_id]
        # An asset may be sold and taken back more than once: each sale is in a pool of its own.
        key = f"{position.asset_id}/repurchase/{position.pool_id}"
        taken.transfers.append(Transfer(key, today, f"repurchase, {item.cause}", tuple(_legs(item))))
        body = {"effective_date": today.isoformat(), "reason": item.cause}
        hidden = {"holder": row.holder, "price_minor": item.price_minor}
        taken.facts.append(Fact(position.asset_id, "asset.repurchased", body, hidden))
        data = body | {"asset_id": position.asset_id, "price_minor": item.price_minor, "transfer": key}
        taken.told.append((str(position.funder_id), data))
    return taken


def call_next(session: Session, asset_ids: Sequence[str], *, today: date) -> None:
    """Who took a claim back because it had to may go on at once against the next before it in the chain."""
    hasten = text("""
        UPDATE recourse_call SET due_on = least(due_on, :day)
        FROM (SELECT asset_id, max(rank) AS rank FROM recourse_call
              WHERE asset_id = ANY(:ids) AND outcome IS NULL GROUP BY asset_id) AS next
        WHERE recourse_call.asset_id = next.asset_id AND recourse_call.rank = next.rank
    """)
    if asset_ids and session.execute(hasten, {"ids": list(asset_ids), "day": today}).rowcount:  # type: ignore[attr-defined]  # of a CursorResult
        jobs.enqueue(session, job=CALL_JOB, payload={})


def _rows(session: Session, takers: Mapping[str, str]) -> dict[str, Any]:
    query = text("""
        SELECT claim.asset_id, obligor.number AS obligor, holder.scheme || ':' || holder.value AS holder
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
        JOIN unnest(cast(:ids AS text[]), cast(:takers AS text[])) AS taker(asset_id, id)
          ON taker.asset_id = claim.asset_id
        JOIN company AS holder ON holder.company_id = taker.id
        WHERE claim.state = 'assigned' AND encumbered_minor = 0
    """)
    return {row.asset_id: row for row in session.execute(query, {"ids": list(takers), "takers": list(takers.values())})}


def _end_debts(session: Session, asset_ids: Sequence[str]) -> None:
    release = text("""
        UPDATE debt SET released_minor = amount_minor - paid_minor
        FROM claim JOIN pool ON pool.pool_id = claim.pool_id
        WHERE debt.asset_id = ANY(:ids) AND claim.asset_id = debt.asset_id AND creditor_id = pool.funder_id
          AND cause = 'default'
    """)
    session.execute(release, {"ids": list(asset_ids)})


def _leave(session: Session, items: Sequence[Item], *, now: datetime) -> None:
    """Note what the pool got and that the asset left it."""
    update = text("""
        UPDATE pool_asset SET collected_minor = collected_minor + back.price, released_at = :now
        FROM unnest(cast(:ids AS text[]), cast(:prices AS bigint[])) AS back(asset_id, price)
        WHERE pool_asset.asset_id = back.asset_id AND released_at IS NULL
    """)
    parameters = {"ids": [item.position.asset_id for item in items], "prices": [item.price_minor for item in items]}
    session.execute(update, parameters | {"now": now})


def _legs(item: Item) -> list[Leg]:
    position, money = item.position, commodity(item.position.currency)
    funder_id = str(position.funder_id)
    rest_minor = position.outstanding_minor - item.price_minor if item.payer_id else 0
    legs = [
        Leg(books.seller_cash(item.taker_id), money, -item.price_minor - rest_minor),
        Leg(books.seller_cash(position.holder_id), money, rest_minor),
        Leg(books.funder_cash(funder_id), money, item.price_minor),
        Leg(books.seller_recourse(position.holder_id), money, position.recourse_minor),
        Leg(books.funder_recourse(funder_id), money, -position.recourse_minor),
        Leg(books.funder_title(funder_id), position.asset_id, -position.outstanding_minor),
        Leg(books.ISSUED, position.asset_id, position.outstanding_minor),
        *memo_legs(position, due_falls_minor=position.funder_due_minor),
    ]
    return [leg for leg in legs if leg.amount_minor]
