"""Claims under their lock, and what happens to them when less is owed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.duplicates.actions import consume_claims
from exchange.pools.actions import leave_pools, release
from exchange.registry.actions import Fact
from exchange.risk import limits
from exchange.risk.actions import learn_settlements
from exchange.settlement.rules import Lost, OpenCharge, Position
from exchange.title import encumbrances
from exchange.trading.actions import withdraw_changed

# A claim's tree: its root and the parts it was split into.
TREES = """
    claim.asset_id = ANY(:roots) OR (claim.root_id = ANY(:roots) AND claim.parent_id IS NOT NULL)
"""


CALLED_OFF = text("""
    UPDATE recourse_call SET outcome = 'released', ended_on = :day WHERE asset_id = ANY(:ids) AND outcome IS NULL
""")
"""Nobody answers for a claim on which nothing is owed."""


class Reduction(NamedTuple):
    """A claim gets smaller: by how much, how much of it the funder got, the seller owes the funder, the funder lost."""

    asset_id: str
    amount_minor: int
    funder_minor: int
    diluted_minor: int = 0
    written_off_minor: int = 0


class Reduced(NamedTuple):
    """What follows: the assets on which nothing is owed any more, since when, and facts to sign after their cause."""

    settled: dict[str, date]
    facts: list[Fact]


@dataclass(frozen=True, slots=True)
class Claims:
    """Whole trees of claims, locked: their open positions, every claim's root and parts, in the order of the split."""

    positions: dict[str, Position]
    roots: dict[str, str]
    parts: dict[str, list[str]]

    def open_below(self, asset_id: str) -> list[Position]:
        """What a payment that names this asset meets: the asset, or the parts that stand for it.

        Something is owed on each, or something that was given up can still come back.
        """
        return list(self._open_below(asset_id))

    def owed_below(self, asset_id: str) -> list[Position]:
        """Those of them on which the claim itself is owed."""
        return [position for position in self._open_below(asset_id) if position.outstanding_minor]

    def _open_below(self, asset_id: str) -> Iterator[Position]:
        position = self.positions.get(asset_id)
        if position is not None and (position.owed_minor or position.lost):
            yield position
        for part in self.parts.get(asset_id, ()):
            yield from self._open_below(part)


def lock_claims(session: Session, *, asset_ids: Sequence[str]) -> Claims:
    """The claims among the assets with all others on the same receivables, locked.

    Whatever is not assigned is its holder's own.
    """
    wanted = text("SELECT DISTINCT root_id FROM claim WHERE asset_id = ANY(:ids)")
    roots = list(session.execute(wanted, {"ids": sorted(set(asset_ids))}).scalars())
    lock = text(f"SELECT claim.asset_id FROM claim WHERE {TREES} ORDER BY root_id, asset_id FOR UPDATE")  # noqa: S608 - a constant of ours
    members = text(f"SELECT asset_id, root_id, parent_id FROM claim WHERE {TREES} ORDER BY asset_id")  # noqa: S608 - same
    locked: set[str] = set()
    while True:
        rows = session.execute(members, {"roots": roots}).all()
        if locked.issuperset(row.asset_id for row in rows):
            break
        # Once more where a claim was split while we waited for it: a waiting statement does not see new rows.
        locked |= set(session.execute(lock, {"roots": roots}).scalars())
    parts: dict[str, list[str]] = {}
    for row in rows:
        if row.parent_id is not None:
            parts.setdefault(row.parent_id, []).append(row.asset_id)
    return Claims(_positions(session, roots), {row.asset_id: row.root_id for row in rows}, parts)


def reduce(session: Session, *, reductions: Sequence[Reduction], reason: str, today: date, now: datetime) -> Reduced:
    """Take what was paid or credited off the claims.

    The receipts and credit notes are stored already. Assets in an offer leave it: an offer's terms never change. What
    still encumbers a claim is cut to what is owed, and nobody holds a claim on which nothing is owed: it is released.
    """
    reductions = [reduction for reduction in reductions if reduction.amount_minor]
    if not reductions:
        return Reduced({}, [])
    asset_ids = [reduction.asset_id for reduction in reductions]
    release(session, asset_ids=asset_ids, now=now)
    withdraw_changed(session, asset_ids=asset_ids, reason=reason, now=now)
    lines = _lines(session, asset_ids)
    owed = _take_off(session, reductions)
    room: dict[limits.Line, int] = {}
    for reduction in reductions:
        line, assigned = lines[reduction.asset_id]
        if assigned:
            room[line] = room.get(line, 0) - reduction.amount_minor
    limits.use_room(session, amounts=room, cause="reduced", now=now)
    facts = encumbrances.cut(session, outstanding=owed, reason=reason, today=today, now=now)
    settled = _settle(session, [asset_id for asset_id, left in owed.items() if not left], now=now)
    if settled:
        session.execute(CALLED_OFF, {"ids": list(settled), "day": today})
    facts += [
        Fact(asset_id, "asset.released", {"reason": reason, "effective_date": day.isoformat()})
        for asset_id, day in sorted(settled.items())
    ]
    return Reduced(settled, facts)


def _positions(session: Session, roots: Sequence[str]) -> dict[str, Position]:
    """The claims on which something is owed, or was given up and can come back.

    What sellers owe after credit notes is no longer expected from the obligor.
    """
    query = text(f"""
        SELECT claim.asset_id, receivable.seller_id, claim.holder_id, claim.currency, claim.outstanding_minor,
               pool.funder_id, coalesce(held.due, 0) AS funder_due,
               least(coalesce(greatest(held.discount_minor - held.collected_minor, 0), 0), coalesce(held.due, 0))
                   AS discount_due,
               pool.pool_id, claim.due_date, receivable.originator_id, receivable.product,
               held.charged_off_on IS NOT NULL AS charged_off
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        LEFT JOIN pool ON pool.pool_id = claim.pool_id AND claim.state IN ('assigned', 'closed')
        LEFT JOIN LATERAL (
            SELECT discount_minor, collected_minor, charged_off_on,
                   price_minor + discount_minor - collected_minor - diluted_minor - written_off_minor AS due
            FROM pool_asset
            WHERE pool_asset.pool_id = pool.pool_id AND pool_asset.asset_id = claim.asset_id
              AND claim.state = 'assigned'
        ) AS held ON true
        WHERE ({TREES}) AND (
            claim.outstanding_minor > 0
            OR EXISTS (SELECT FROM charge WHERE charge.asset_id = claim.asset_id AND paid_minor < amount_minor)
            OR EXISTS (SELECT FROM write_off WHERE write_off.asset_id = claim.asset_id
                       AND recovered_minor < amount_minor)
        )
    """)  # noqa: S608 - a constant of ours
    found = {row.asset_id: Position(*row) for row in session.execute(query, {"roots": roots})}
    _add_charges(session, found)
    _add_losses(session, found)
    _add_recourse(session, found)
    return found


def _add_charges(session: Session, positions: dict[str, Position]) -> None:
    """What is owed on top of the claims, the oldest first, and until when interest for being late was charged."""
    query = text("""
        SELECT asset_id, charge_id, kind, amount_minor - paid_minor AS open_minor, to_date FROM charge
        WHERE asset_id = ANY(:ids) ORDER BY recorded_at, charge_id
    """)
    for row in session.execute(query, {"ids": list(positions)}):
        position = positions[row.asset_id]
        open_charge = (OpenCharge(row.charge_id, row.kind, row.open_minor),) if row.open_minor else ()
        until = max(filter(None, (position.penalised_until, row.to_date)), default=None)
        positions[row.asset_id] = replace(position, charges=(*position.charges, *open_charge), penalised_until=until)


def _add_losses(session: Session, positions: dict[str, Position]) -> None:
    query = text("""
        SELECT asset_id, number, funder_id, holder_id, funder_minor - recovered_funder_minor AS funder_minor,
               amount_minor - funder_minor - (recovered_minor - recovered_funder_minor) AS holder_minor
        FROM write_off WHERE asset_id = ANY(:ids) AND recovered_minor < amount_minor ORDER BY asset_id, number
    """)
    for asset_id, *lost in session.execute(query, {"ids": list(positions)}):
        position = positions[asset_id]
        positions[asset_id] = replace(position, lost=(*position.lost, Lost(*lost)))


def _add_recourse(session: Session, positions: dict[str, Position]) -> None:
    query = text("""
        SELECT asset_id, creditor_id, amount_minor - paid_minor - released_minor AS open_minor FROM debt
        WHERE asset_id = ANY(:ids) AND cause = 'default' AND paid_minor + released_minor < amount_minor
    """)
    for asset_id, creditor_id, open_minor in session.execute(query, {"ids": list(positions)}):
        if positions[asset_id].funder_id == creditor_id:
            positions[asset_id] = replace(positions[asset_id], recourse_minor=open_minor)


def _settle(session: Session, asset_ids: Sequence[str], *, now: datetime) -> dict[str, date]:
    """Let go of claims on which nothing is owed; the last payment or credit note of each, in whatever order entered.

    A trade is settled when the last of its parts is.
    """
    if not asset_ids:
        return {}
    leave_pools(session, asset_ids=sorted(asset_ids), now=now)
    days = _last_days(session, asset_ids)
    over: dict[str, date] = {}
    for row in days:
        over[row.root_id] = max(row.day, over.get(row.root_id, row.day))
    closed = text(f"SELECT DISTINCT root_id FROM claim WHERE ({TREES}) AND outstanding_minor > 0")  # noqa: S608 - a constant of ours
    open_roots = set(session.execute(closed, {"roots": list(over)}).scalars())
    settled = {root: day for root, day in over.items() if root not in open_roots}
    lost = _lost(session, list(settled))
    learn_settlements(session, settled={root: day for root, day in settled.items() if root not in lost})
    consume_claims(session, claim_ids=sorted(settled), now=now)
    wanted = set(asset_ids)
    return {row.asset_id: row.day for row in days if row.asset_id in wanted}


def _lost(session: Session, roots: Sequence[str]) -> set[str]:
    """The receivables of which something was given up, other than a small difference: never settled, a loss."""
    query = text(f"""
        SELECT DISTINCT root_id FROM claim JOIN write_off ON write_off.asset_id = claim.asset_id
        WHERE ({TREES}) AND cause <> 'small_difference'
    """)  # noqa: S608 - a constant of ours
    return set(session.execute(query, {"roots": roots}).scalars())


def _last_days(session: Session, asset_ids: Sequence[str]) -> Sequence[Any]:
    """When each claim on the assets' receivables was last paid, credited or given up."""
    query = text("""
        WITH root AS (SELECT DISTINCT root_id FROM claim WHERE asset_id = ANY(:ids)),
        tree AS (
            SELECT root_id AS asset_id, root_id FROM root
            UNION ALL
            SELECT claim.asset_id, root.root_id FROM root
            JOIN claim ON claim.root_id = root.root_id AND claim.parent_id IS NOT NULL
        )
        SELECT tree.asset_id, tree.root_id, max(on_date) AS day FROM tree
        CROSS JOIN LATERAL (
            SELECT value_date AS on_date FROM receipt WHERE receipt.asset_id = tree.asset_id AND reversed_on IS NULL
            UNION ALL
            SELECT value_date FROM receipt_share JOIN receipt ON receipt.receipt_id = receipt_share.receipt_id
            WHERE receipt_share.asset_id = tree.asset_id AND reversed_on IS NULL
            UNION ALL
            SELECT issue_date FROM credit_note WHERE credit_note.asset_id = tree.asset_id
            UNION ALL
            SELECT business_date FROM write_off WHERE write_off.asset_id = tree.asset_id
        ) AS reduction
        GROUP BY tree.asset_id, tree.root_id
    """)
    return session.execute(query, {"ids": list(asset_ids)}).all()


def _lines(session: Session, asset_ids: Sequence[str]) -> Mapping[str, tuple[limits.Line, bool]]:
    """The obligor's limit each asset counts against, and whether it does: a company's own asset takes no limit."""
    query = text("""
        SELECT claim.asset_id, company.number, claim.currency, claim.state = 'assigned' AS assigned
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company ON company.company_id = receivable.obligor_id
        WHERE claim.asset_id = ANY(:ids)
    """)
    rows = session.execute(query, {"ids": list(asset_ids)})
    return {row.asset_id: ((row.number, row.currency), row.assigned) for row in rows}


def _take_off(session: Session, reductions: Sequence[Reduction]) -> dict[str, int]:
    """Update claims and pools; what is still owed on each asset. Several reductions of one asset are summed first."""
    sums: dict[str, list[int]] = {}
    for asset_id, *amounts in reductions:
        sums[asset_id] = [had + more for had, more in zip(sums.get(asset_id, (0, 0, 0, 0)), amounts, strict=True)]
    ids, (paid, collected, diluted, lost) = list(sums), map(list, zip(*sums.values(), strict=True))
    pool = text("""
        UPDATE pool_asset SET collected_minor = collected_minor + got.collected,
               diluted_minor = diluted_minor + got.diluted, written_off_minor = written_off_minor + got.lost
        FROM unnest(cast(:ids AS text[]), cast(:collected AS bigint[]), cast(:diluted AS bigint[]),
                    cast(:lost AS bigint[])) AS got(asset_id, collected, diluted, lost)
        WHERE pool_asset.asset_id = got.asset_id AND released_at IS NULL
          AND got.collected + got.diluted + got.lost > 0
    """)
    session.execute(pool, {"ids": ids, "collected": collected, "diluted": diluted, "lost": lost})
    claim = text("""
        UPDATE claim SET outstanding_minor = outstanding_minor - paid.amount,
               encumbered_minor = least(encumbered_minor, outstanding_minor - paid.amount),
               state = CASE WHEN outstanding_minor = paid.amount THEN 'closed' ELSE state END
        FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS paid(asset_id, amount)
        WHERE claim.asset_id = paid.asset_id
        RETURNING claim.asset_id, outstanding_minor
    """)
    rows = session.execute(claim, {"ids": ids, "amounts": paid})
    return {row.asset_id: row.outstanding_minor for row in rows}
