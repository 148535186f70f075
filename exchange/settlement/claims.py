"""Claims under their lock, and what happens to them when less is owed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.pools.actions import leave_pools, release
from exchange.risk import limits
from exchange.risk.actions import learn_settlements
from exchange.settlement.rules import Position


class Reduction(NamedTuple):
    """A claim gets smaller: by how much, and how much of it the funder got."""

    asset_id: str
    amount_minor: int
    funder_minor: int


def lock_positions(session: Session, *, asset_ids: Sequence[str]) -> dict[str, Position]:
    """The claims still open among the assets, locked. Whatever is not assigned is its seller's own."""
    lock = text("SELECT FROM claim WHERE asset_id = ANY(:ids) ORDER BY asset_id FOR UPDATE")
    session.execute(lock, {"ids": sorted(set(asset_ids))})
    # What sellers owe after earlier credit notes is a debt of theirs: the funder does not expect it from the obligor.
    query = text("""
        SELECT claim.asset_id, receivable.seller_id, claim.currency, claim.outstanding_minor, pool.funder_id,
               CASE WHEN pool.funder_id IS NULL THEN 0 ELSE price_minor + discount_minor - collected_minor - (
                   SELECT coalesce(sum(shortfall_minor - paid_minor), 0)::bigint
                   FROM credit_note WHERE credit_note.asset_id = claim.asset_id
               ) END AS funder_due
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.asset_id
        LEFT JOIN pool ON pool.pool_id = claim.pool_id AND claim.state = 'assigned'
        LEFT JOIN pool_asset ON pool_asset.pool_id = pool.pool_id AND pool_asset.asset_id = claim.asset_id
        WHERE claim.asset_id = ANY(:ids) AND claim.outstanding_minor > 0
    """)
    return {row.asset_id: Position(*row) for row in session.execute(query, {"ids": list(asset_ids)})}


def reduce(session: Session, *, reductions: Sequence[Reduction], now: datetime) -> dict[str, date]:
    """Take what was paid or credited off the claims; the assets on which nothing is owed any more, since which date.

    The receipts and credit notes are stored already. Assets in an offer leave it: an offer's terms never change.
    """
    if not reductions:
        return {}
    asset_ids = [reduction.asset_id for reduction in reductions]
    release(session, asset_ids=asset_ids, now=now)
    lines = _lines(session, asset_ids)
    owed = _take_off(session, reductions)
    room: dict[limits.Line, int] = {}
    for reduction in reductions:
        line, assigned = lines[reduction.asset_id]
        if assigned:
            room[line] = room.get(line, 0) - reduction.amount_minor
    limits.use_room(session, amounts=room)
    settled = _settled(session, [asset_id for asset_id, left in owed.items() if not left])
    leave_pools(session, asset_ids=sorted(settled), now=now)
    learn_settlements(session, settled=settled)
    return settled


def _settled(session: Session, asset_ids: Sequence[str]) -> dict[str, date]:
    """The date of the last payment or credit note of each asset, in whatever order they were entered."""
    query = text("""
        SELECT asset_id, max(on_date) FROM (
            SELECT asset_id, value_date AS on_date FROM receipt WHERE asset_id = ANY(:ids)
            UNION ALL SELECT asset_id, issue_date FROM credit_note WHERE asset_id = ANY(:ids)
        ) AS reduction GROUP BY asset_id
    """)
    return dict(session.execute(query, {"ids": list(asset_ids)}).all())


def _lines(session: Session, asset_ids: Sequence[str]) -> Mapping[str, tuple[limits.Line, bool]]:
    """The obligor's limit each asset counts against, and whether it does: a seller's own asset takes no limit."""
    query = text("""
        SELECT claim.asset_id, company.number, claim.currency, claim.state = 'assigned' AS assigned
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.asset_id
        JOIN company ON company.company_id = receivable.obligor_id
        WHERE claim.asset_id = ANY(:ids)
    """)
    rows = session.execute(query, {"ids": list(asset_ids)})
    return {row.asset_id: ((row.number, row.currency), row.assigned) for row in rows}


def _take_off(session: Session, reductions: Sequence[Reduction]) -> dict[str, int]:
    """Update claims and pools; what is still owed on each asset. Several reductions of one asset are summed first."""
    amounts: dict[str, int] = {}
    collected: dict[str, int] = {}
    for reduction in reductions:
        amounts[reduction.asset_id] = amounts.get(reduction.asset_id, 0) + reduction.amount_minor
        collected[reduction.asset_id] = collected.get(reduction.asset_id, 0) + reduction.funder_minor
    pool = text("""
        UPDATE pool_asset SET collected_minor = collected_minor + got.amount
        FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS got(asset_id, amount)
        WHERE pool_asset.asset_id = got.asset_id AND released_at IS NULL AND got.amount > 0
    """)
    session.execute(pool, {"ids": list(collected), "amounts": list(collected.values())})
    claim = text("""
        UPDATE claim SET outstanding_minor = outstanding_minor - paid.amount,
               state = CASE WHEN outstanding_minor = paid.amount THEN 'closed' ELSE state END
        FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS paid(asset_id, amount)
        WHERE claim.asset_id = paid.asset_id
        RETURNING claim.asset_id, outstanding_minor
    """)
    rows = session.execute(claim, {"ids": list(amounts), "amounts": list(amounts.values())})
    return {row.asset_id: row.outstanding_minor for row in rows}
