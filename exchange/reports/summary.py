"""What the exchange comes to, in integers: the same state gives the same summary."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.callbacks.queries import totals
from exchange.risk.rules import LATE_DAYS
from ledger import log
from scoring.errors import ScoringError
from scoring.evaluation import auc, calibration_table, expected_calibration_error
from scoring.facts import NOT_SETTLED
from scoring.grades import NAMES as GRADES

PPM = 1_000_000
BPS = 10_000
YEAR_DAYS = 360
OPEN = {"open": NOT_SETTLED}

VOLUME = """
    SELECT receivable.currency, count(*) AS submitted, sum(receivable.face_minor)::bigint AS submitted_minor,
           count(confirmation.face_minor) AS confirmed,
           coalesce(sum(confirmation.face_minor), 0)::bigint AS confirmed_minor,
           count(bought.asset_id) AS financed, coalesce(sum(bought.face_minor), 0)::bigint AS financed_minor,
           coalesce(sum(bought.price_minor), 0)::bigint AS price_minor
    FROM receivable
    LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
    LEFT JOIN (
        SELECT claim.root_id AS asset_id, sum(pool_asset.face_minor) AS face_minor, sum(price_minor) AS price_minor
        FROM pool_asset JOIN claim ON claim.asset_id = pool_asset.asset_id WHERE bought_on IS NOT NULL GROUP BY 1
    ) AS bought ON bought.asset_id = receivable.asset_id
    GROUP BY 1 ORDER BY 1
"""

GRADED = "SELECT grade, count(*) FROM decision GROUP BY 1 ORDER BY 1"

YIELD = """
    SELECT pool.currency, sum(collected_minor - price_minor)::bigint AS income_minor,
           sum(price_minor::numeric * greatest(DATE '1970-01-01' + trade.settled_day - bought_on, 1)) AS price_days
    FROM pool_asset
    JOIN pool ON pool.pool_id = pool_asset.pool_id
    JOIN claim ON claim.asset_id = pool_asset.asset_id
    JOIN trade ON trade.trade_id = claim.root_id
    WHERE bought_on IS NOT NULL AND trade.settled_day < :open
    GROUP BY 1 ORDER BY 1
"""

LATENESS = """
    SELECT count(*) FILTER (WHERE settled_day < :open) AS settled,
           count(*) FILTER (WHERE settled_day < :open AND settled_day > trade.due_day) AS late,
           count(*) FILTER (WHERE settled_day < :open AND settled_day > trade.due_day + 30) AS late_30,
           coalesce(sum(greatest(settled_day - trade.due_day, 0)) FILTER (WHERE settled_day < :open), 0)::bigint
               AS days_late_sum,
           count(*) FILTER (WHERE settled_day = :open AND trade.due_day < :today) AS overdue_now
    FROM claim JOIN trade ON trade.trade_id = claim.asset_id
"""

LOSSES = """
    SELECT claim.currency, coalesce(sum(fact.outstanding_minor) FILTER (WHERE fact.kind = 'default'), 0)::bigint
               AS defaulted_minor,
           count(*) FILTER (WHERE fact.kind = 'default') AS defaulted,
           coalesce(sum(fact.outstanding_minor) FILTER (WHERE fact.kind = 'charge_off'), 0)::bigint
               AS charged_off_minor,
           coalesce(sum(fact.outstanding_minor - claim.outstanding_minor - coalesce(credited.amount_minor, 0)
                        - coalesce(given_up.amount_minor, 0))
               FILTER (WHERE fact.kind = 'charge_off'), 0)::bigint AS recovered_minor,
           coalesce(sum(held.price_minor + held.discount_minor - held.collected_minor)
               FILTER (WHERE fact.kind = 'charge_off'), 0)::bigint AS funder_loss_minor
    FROM servicing_fact AS fact
    LEFT JOIN servicing_withdrawal AS untrue USING (asset_id, business_date, kind, revision)
    JOIN claim ON claim.asset_id = fact.asset_id
    LEFT JOIN pool_asset AS held ON held.asset_id = claim.asset_id AND held.bought_on IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT sum(amount_minor) AS amount_minor FROM credit_note
        WHERE credit_note.asset_id = fact.asset_id AND credit_note.recorded_at >= fact.recorded_at
    ) AS credited ON true
    LEFT JOIN LATERAL (
        SELECT sum(amount_minor - recovered_minor) AS amount_minor FROM write_off
        WHERE write_off.asset_id = fact.asset_id AND write_off.recorded_at >= fact.recorded_at
    ) AS given_up ON true
    WHERE fact.kind IN ('default', 'charge_off') AND untrue.asset_id IS NULL
    GROUP BY 1 ORDER BY 1
"""

DILUTION = """
    SELECT claim.currency, count(*) AS credit_notes, sum(amount_minor)::bigint AS diluted_minor,
           (SELECT coalesce(sum(debt.amount_minor - debt.paid_minor), 0)::bigint FROM debt
            WHERE debt.cause = 'dilution' AND funder_id IS NOT NULL AND debt.currency = claim.currency)
               AS owed_by_sellers_minor
    FROM credit_note JOIN claim ON claim.asset_id = credit_note.asset_id GROUP BY 1 ORDER BY 1
"""

UNAPPLIED = """
    SELECT currency, count(*) AS receipts, sum(amount_minor - applied_minor)::bigint AS amount_minor
    FROM receipt WHERE outcome <> 'deposited' AND amount_minor > applied_minor AND reversed_on IS NULL
    GROUP BY 1 ORDER BY 1
"""

OUTCOMES = """
    SELECT decision.pd_ppm,
           coalesce(nullif(trade.settled_day, :open), :today) - trade.due_day > :late_days AS serious
    FROM decision JOIN trade ON trade.trade_id = decision.asset_id
    WHERE trade.due_day + :late_days < :today
    ORDER BY decision.asset_id
"""


def summary(session: Session, *, today: int) -> dict[str, Any]:
    """Assets, volume, yield, lateness, losses, calibration, callbacks and log as of day `today` (days since 1970)."""
    volume = _by_currency(session, VOLUME)
    checkpoint = log.latest_checkpoint(session.connection())
    callbacks = totals(session)
    return {
        "assets": {name: sum(one[name] for one in volume.values()) for name in ("submitted", "confirmed", "financed")},
        "grades": {GRADES[grade]: count for grade, count in session.execute(text(GRADED))},
        "volume": volume,
        "financed_share_bps": {
            currency: one["financed_minor"] * BPS // max(one["confirmed_minor"], 1) for currency, one in volume.items()
        },
        "yields": {currency: _yielded(one) for currency, one in _by_currency(session, YIELD, **OPEN).items()},
        "lateness": dict(session.execute(text(LATENESS), {"today": today, **OPEN}).mappings().one()),
        "losses": _by_currency(session, LOSSES),
        "dilution": _by_currency(session, DILUTION),
        "unapplied": _by_currency(session, UNAPPLIED),
        "calibration": _calibration(session, today=today),
        "callbacks": {
            "published": callbacks.published,
            "delivered": callbacks.delivered,
            "failing": callbacks.failing,
        },
        "log": {
            "size": checkpoint.size if checkpoint else 0,
            "root": base64.b64encode(checkpoint.root).decode() if checkpoint else None,
        },
    }


def _by_currency(session: Session, query: str, **parameters: int) -> dict[str, dict[str, Any]]:
    rows = session.execute(text(query), parameters).mappings()
    return {row["currency"]: {name: value for name, value in row.items() if name != "currency"} for row in rows}


def _yielded(row: dict[str, Any]) -> dict[str, int]:
    """Income on money out: income x 360 / (price x days), in basis points a year."""
    price_days = int(row["price_days"])
    return {
        "income_minor": row["income_minor"],
        "annualised_bps": row["income_minor"] * YEAR_DAYS * BPS // max(price_days, 1),
    }


def _calibration(session: Session, *, today: int) -> dict[str, Any]:
    """Predicted against real: more than 30 days late, over all assets for which that is known by now."""
    rows = session.execute(text(OUTCOMES), {"today": today, "late_days": LATE_DAYS, **OPEN}).all()
    predicted = np.array([row.pd_ppm for row in rows], dtype=np.int64)
    outcome = np.array([row.serious for row in rows], dtype=np.bool_)
    shares = predicted / PPM
    return {
        "matured": len(rows),
        "events": int(outcome.sum()),
        "predicted_events_milli": int(predicted.sum()) // 1000,
        "auc_bps": _told(lambda: auc(shares, outcome=outcome), BPS),
        "ece_ppm": _told(lambda: expected_calibration_error(shares, outcome=outcome), PPM),
        "bins": [
            {"predicted_ppm": one.predicted_ppm, "observed_ppm": one.observed_ppm, "assets": one.rows}
            for one in (calibration_table(predicted, outcome=outcome) if len(rows) else [])
        ],
    }


def _told(measure: Callable[[], float], unit: int) -> int | None:
    """A measure in whole units, or None where the outcomes do not allow one."""
    try:
        return round(measure() * unit)
    except ScoringError:
        return None
