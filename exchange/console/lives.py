"""Reads of one asset with all its lives, and of one pool."""

from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.registry.queries import chain
from exchange.reports import queries as reports
from ledger.encoding import parse_base64url
from scoring.grades import NAMES as GRADES

CONSOLE = Caller("console", Role.OPERATOR, None)
"""The console sees what an operator sees."""
MOST_ROWS = 500

BIRTH = """
    SELECT receivable.invoice_number, receivable.submitted_at, originator.name AS originator,
           seller.name AS seller, seller.scheme || ' ' || seller.value AS seller_number,
           obligor.name AS obligor, obligor.scheme || ' ' || obligor.value AS obligor_number,
           confirmation.confirmed_date, confirmation.recorded_at AS answered_at, confirmation.reason_code,
           confirmation.reason AS answer_words, confirmation.evidence, receivable.face_minor AS stated_minor,
           receivable.due_date AS stated_due,
           claim.listed_at, decision.days_late, decision.lgd_bps, decision.decided_at, funder.name AS holder_name
    FROM (
        SELECT asset_id, asset_id AS root_id FROM receivable WHERE asset_id = :asset_id
        UNION ALL SELECT asset_id, root_id FROM claim WHERE asset_id = :asset_id AND parent_id IS NOT NULL
    ) AS known
    JOIN receivable ON receivable.asset_id = known.root_id
    JOIN originator ON originator.originator_id = receivable.originator_id
    JOIN company AS seller ON seller.company_id = receivable.seller_id
    JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
    LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
    LEFT JOIN claim ON claim.asset_id = known.asset_id
    LEFT JOIN decision ON decision.asset_id = receivable.asset_id
    LEFT JOIN pool ON pool.pool_id = claim.pool_id AND claim.state = 'assigned'
    LEFT JOIN funder ON funder.funder_id = pool.funder_id
"""

SALES = """
    SELECT pool_asset.pool_id, funder.name AS funder, offer.made_at, offer.outcome, offer.reason, offer.answered_at,
           price_minor, discount_minor, holdback_minor, rate_bps, collected_minor, bought_on, released_at
    FROM pool_asset
    JOIN pool ON pool.pool_id = pool_asset.pool_id
    JOIN funder ON funder.funder_id = pool.funder_id
    LEFT JOIN offer ON offer.pool_id = pool.pool_id
    WHERE pool_asset.asset_id = :asset_id ORDER BY pool_asset.pool_id LIMIT :limit
"""

EXPOSURE = """
    SELECT business_date, kind, days_past_due, outstanding_minor, withdrawn_on
    FROM servicing_fact LEFT JOIN servicing_withdrawal USING (asset_id, business_date, kind, revision)
    WHERE asset_id = :asset_id ORDER BY business_date, kind, revision LIMIT :limit
"""

RECEIPTS = """
    SELECT value_date, reversed_on, receipt_id, bank_reference, payer_name, amount_minor, applied_minor FROM receipt
    WHERE asset_id = :asset_id
    UNION ALL
    SELECT value_date, reversed_on, receipt_id, bank_reference, payer_name, receipt.amount_minor, share.amount_minor
    FROM receipt_share AS share JOIN receipt USING (receipt_id) WHERE share.asset_id = :asset_id
    ORDER BY value_date, receipt_id LIMIT :limit
"""

CREDIT_NOTES = """
    SELECT issue_date, number, reason, amount_minor, shortfall_minor, paid_minor FROM credit_note
    WHERE asset_id = :asset_id ORDER BY issue_date, number LIMIT :limit
"""

POOL = """
    SELECT pool.pool_id, pool.currency, pool.created_at, pool.mandate_id, pool.mandate_version, mandate.name AS mandate,
           funder.name AS holder, clearing_round.round_id, clearing_round.cut_off_at,
           coalesce(offer.outcome, 'open') AS outcome, offer.reason, offer.made_at, offer.valid_until,
           offer.answered_at, offer.purchased_on
    FROM pool
    JOIN mandate ON mandate.mandate_id = pool.mandate_id AND mandate.version = pool.mandate_version
    JOIN funder ON funder.funder_id = pool.funder_id
    LEFT JOIN clearing_round ON clearing_round.round_id = pool.round_id
    LEFT JOIN offer ON offer.pool_id = pool.pool_id
    WHERE pool.pool_id = :pool_id
"""

POOL_TOTALS = """
    SELECT count(*) AS assets, count(bought_on) AS bought, count(*) FILTER (WHERE released_at IS NULL) AS live,
           coalesce(sum(face_minor), 0)::bigint AS face_minor, coalesce(sum(price_minor), 0)::bigint AS price_minor,
           coalesce(sum(discount_minor), 0)::bigint AS discount_minor,
           coalesce(sum(holdback_minor), 0)::bigint AS holdback_minor,
           coalesce(sum(collected_minor), 0)::bigint AS collected_minor
    FROM pool_asset WHERE pool_id = :pool_id
"""

POOL_ASSETS = """
    SELECT pool_asset.asset_id, company.name AS obligor, claim.due_date, decision.grade, decision.pd_ppm, rate_bps,
           pool_asset.face_minor, price_minor, discount_minor, holdback_minor, collected_minor, bought_on, released_at,
           CASE WHEN claim.pool_id = pool_asset.pool_id THEN claim.outstanding_minor END AS outstanding_minor
    FROM pool_asset
    JOIN claim ON claim.asset_id = pool_asset.asset_id
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company ON company.company_id = receivable.obligor_id
    LEFT JOIN decision ON decision.asset_id = claim.root_id
    WHERE pool_asset.pool_id = :pool_id ORDER BY pool_asset.asset_id LIMIT :limit
"""


def asset(session: Session, *, asset_id: str) -> dict[str, Any] | None:
    """One asset: its terms, the facts of its four lives and its signed chain."""
    shown = reports.asset(session, caller=CONSOLE, asset_id=asset_id)
    if shown is None:
        return None
    birth = _rows(session, BIRTH, asset_id=asset_id)[0]
    return {
        "asset": shown | birth,
        "sales": _rows(session, SALES, asset_id=asset_id, limit=MOST_ROWS),
        "instalments": reports.schedule(session, asset=shown)["instalments"],
        "exposure": _rows(session, EXPOSURE, asset_id=asset_id, limit=MOST_ROWS),
        "receipts": _rows(session, RECEIPTS, asset_id=asset_id, limit=MOST_ROWS),
        "credit_notes": _rows(session, CREDIT_NOTES, asset_id=asset_id, limit=MOST_ROWS),
        "records": [
            one | {"payload": payload(one["jws"])} for one in chain(session, asset_id=asset_id, disclosed=True)
        ],
    }


def pool(session: Session, *, pool_id: str) -> dict[str, Any] | None:
    """One pool with its offer and its assets."""
    found = _rows(session, POOL, pool_id=pool_id)
    if not found:
        return None
    assets = _rows(session, POOL_ASSETS, pool_id=pool_id, limit=MOST_ROWS)
    return {
        "pool": found[0] | _rows(session, POOL_TOTALS, pool_id=pool_id)[0],
        "assets": [row | {"grade": None if row["grade"] is None else GRADES[row["grade"]]} for row in assets],
    }


def payload(jws: str) -> str:
    """What a record says, laid out to be read; its signature is not checked here."""
    return msgspec.json.format(parse_base64url(jws.split(".")[1]), indent=2).decode()


def _rows(session: Session, query: str, **parameters: object) -> list[dict[str, Any]]:
    return [dict(row) for row in session.execute(text(query), parameters).mappings()]
