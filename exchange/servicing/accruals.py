"""What funders have earned of the discounts they bought: straight-line, day by day, from purchase to due date.

Rows, not postings: the books hold what moved, cash and title, and a discount moved with its purchase. What time makes
of it follows from what stands there and is computed again for any day (`EARNED`): in the books it would be a second
truth.

By the close of day D, of a discount d bought on day b and due on day e, `floor(d * min(D - b, e - b) / (e - b))` is
earned, rounded once for the parts of one receivable together, so that a split changes nothing. Of an asset that left
the pool before the close of D (`CUT_OFF`) it is what was collected or is owed by the seller above the price: all of d
where it was paid, early or late; of one sold to another funder what was earned by then, the rest is gain or loss. A
reschedule spreads d over the new time, and the sum is caught up on its day, as in IFRS 9 B5.4.6.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

CUT_OFF = time(22)
"""When a day closes, on the exchange's clocks: whoever closes it later sees what was there then."""

EARNED = """
    SELECT funder_id, currency,
           sum(CASE WHEN live THEN div(discount * least(greatest(:day - bought_on, 0), days), days)
                    ELSE kept END)::bigint AS earned
    FROM (
        SELECT pool.funder_id, pool.currency, bought_on, live, greatest(due - bought_on, 1) AS days,
               sum(discount_minor) AS discount,
               sum(coalesce(
                   earned_minor,
                   least(greatest(collected_minor + diluted_minor - price_minor, 0), discount_minor)
               )) AS kept
        FROM pool_asset
        JOIN pool USING (pool_id)
        LEFT JOIN (SELECT pool_id, asset_id, earned_minor FROM trade_side WHERE side = 'sold') AS sold
            USING (pool_id, asset_id)
        JOIN claim USING (asset_id)
        CROSS JOIN LATERAL (
            SELECT coalesce(released_at >= :moment, true) AS live,
                   coalesce((
                       SELECT previous_due_date FROM forbearance
                       WHERE forbearance.root_id = claim.root_id AND outcome = 'accepted' AND kind = 'reschedule'
                         AND forbearance.asset_id IN (claim.asset_id, claim.parent_id) AND effective_on > :day
                       ORDER BY effective_on, answered_at LIMIT 1
                   ), due_date) AS due
        ) AS state
        WHERE pool.funder_id = ANY(:funders) AND bought_on <= :day
        GROUP BY pool.pool_id, claim.root_id, bought_on, live, due
    ) AS family
    GROUP BY funder_id, currency
"""

STORE = text("""
    INSERT INTO accrual (funder_id, currency, business_date, earned_to_date_minor, recorded_at)
    SELECT funder_id, currency, :day, amount, :now
    FROM unnest(cast(:ids AS text[]), cast(:currencies AS text[]), cast(:amounts AS bigint[]))
         AS earned(funder_id, currency, amount)
    ORDER BY funder_id, currency
    ON CONFLICT DO NOTHING
    RETURNING funder_id
""")

ACCRUALS = text("""
    SELECT funder_id, currency, business_date, earned_to_date_minor,
           earned_to_date_minor - coalesce(lag(earned_to_date_minor) OVER (
               PARTITION BY funder_id, currency ORDER BY business_date), 0) AS earned_minor
    FROM accrual WHERE (cast(:funder AS text) IS NULL OR funder_id = :funder) AND business_date <= :until
""")


def funders(session: Session) -> list[str]:
    """Whoever may have bought anything."""
    return list(session.execute(text("SELECT funder_id FROM funder ORDER BY funder_id")).scalars())


def earned(session: Session, *, funder_ids: Sequence[str], day: date, time_zone: str) -> dict[tuple[str, str], int]:
    """What funders have earned by the close of a day, by (funder, currency), in minor units."""
    moment = datetime.combine(day, CUT_OFF, tzinfo=ZoneInfo(time_zone))
    parameters = {"funders": list(funder_ids), "day": day, "moment": moment}
    rows = session.execute(text(EARNED), parameters)
    return {(row.funder_id, row.currency): row.earned for row in rows}


def accrue(session: Session, *, funder_ids: Sequence[str], day: date, time_zone: str, now: datetime) -> int:
    """Keep what funders have earned by the end of a day, where that day changed it; how many rows."""
    before = earned(session, funder_ids=funder_ids, day=date.fromordinal(day.toordinal() - 1), time_zone=time_zone)
    after = earned(session, funder_ids=funder_ids, day=day, time_zone=time_zone)
    changed = sorted(place for place, amount in after.items() if amount != before.get(place, 0))
    if not changed:
        return 0
    parameters = {
        "day": day,
        "now": now,
        "ids": [funder_id for funder_id, _ in changed],
        "currencies": [currency for _, currency in changed],
        "amounts": [after[place] for place in changed],
    }
    return len(session.execute(STORE, parameters).all())


def accruals(session: Session, *, funder_id: str | None, start: date, until: date) -> list[dict[str, Any]]:
    """What each day from `start` until `until` earned, and all days up to it; of one funder or of all."""
    rows = session.execute(ACCRUALS, {"funder": funder_id, "until": until}).mappings()
    found = [dict(row) for row in rows if row["business_date"] >= start]
    return sorted(found, key=lambda row: (row["business_date"], row["funder_id"], row["currency"]))
