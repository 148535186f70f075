"""What was decided, limits as they stood on any date, and which products are open."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.errors import NotFound
from exchange.facts import queries as facts
from exchange.risk import decisions, losses
from exchange.risk.facts import day_number
from exchange.risk.suspensions import suspended
from scoring.facts import NOT_SETTLED
from scoring.grades import NAMES as GRADES
from scoring.products import Known, ladder, tailor
from scoring.reasons import CATALOGUE

HALF_YEAR = 182

COMPANY = text("SELECT number, scheme FROM company WHERE company_id = :id")
LIMITS = text("""
    SELECT company.company_id, exposure.currency, exposure.limit_minor, exposure.used_minor, exposure.changed_at
    FROM exposure JOIN company ON company.number = exposure.obligor
    WHERE cast(:after AS text) IS NULL OR company.company_id || exposure.currency > :after
    ORDER BY company.company_id || exposure.currency LIMIT :limit
""")
LINES = text("""
    SELECT line.currency, coalesce(fixed.limit_minor, 0) AS limit_minor, coalesce(used.used_minor, 0) AS used_minor,
           fixed.cause, fixed.parts, fixed.decided_at, fixed.most_tenor_days, fixed.model_version,
           coalesce(fixed.policy_version, 0) AS policy_version
    FROM exposure AS line
    LEFT JOIN LATERAL (
        SELECT * FROM obligor_limit AS change
        WHERE change.obligor = line.obligor AND change.currency = line.currency AND decided_at <= :as_of
        ORDER BY change.change DESC LIMIT 1
    ) AS fixed ON true
    LEFT JOIN LATERAL (
        SELECT used_minor FROM limit_use AS entry
        WHERE entry.obligor = line.obligor AND entry.currency = line.currency AND recorded_at <= :as_of
        ORDER BY entry.entry DESC LIMIT 1
    ) AS used ON true
    WHERE line.obligor = :obligor ORDER BY line.currency
""")
SUSPENSIONS = text("""
    SELECT suspension_id, cause, reason, suspended_on, lifting, second_person, lifted_on
    FROM limit_suspension
    WHERE obligor = :obligor AND recorded_at <= :as_of AND (lifted_at IS NULL OR lifted_at > :as_of)
    ORDER BY suspension_id
""")
HISTORY = text("""
    SELECT kind, currency, amount_minor, limit_minor, used_minor, cause, model_version, policy_version,
           grandfathered_minor, recorded_at, place
    FROM (
        SELECT 'limit' AS kind, currency, NULL AS amount_minor, limit_minor, NULL AS used_minor, cause, model_version,
               policy_version, grandfathered_minor, decided_at AS recorded_at,
               to_char(decided_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') || '-l-' || currency
                   || lpad(change::text, 12, '0') AS place
        FROM obligor_limit WHERE obligor = :obligor
        UNION ALL
        SELECT 'use', currency, amount_minor, NULL, used_minor, cause, NULL, NULL, NULL, recorded_at,
               to_char(recorded_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') || '-u-' || currency
                   || lpad(entry::text, 12, '0')
        FROM limit_use WHERE obligor = :obligor
    ) AS event
    WHERE cast(:after AS text) IS NULL OR place > :after
    ORDER BY place LIMIT :limit
""")
RECORD = text("""
    SELECT count(*) FILTER (WHERE settled_day <= :today) AS settled,
           coalesce(max(:today - issue_day), 0) AS record_days,
           count(*) FILTER (WHERE settled_day = :open AND due_day < :today) AS overdue,
           coalesce(sum(face_minor) FILTER (WHERE issue_day > :today - :half), 0) AS newer_minor,
           coalesce(sum(face_minor) FILTER (WHERE issue_day <= :today - :half AND issue_day > :today - 2 * :half), 0)
               AS older_minor
    FROM trade WHERE obligor = :obligor AND issue_day <= :today
""")
GRADE = text("""
    SELECT grade, pd_ppm, answer FROM decision JOIN trade ON trade.trade_id = decision.asset_id
    WHERE trade.obligor = :obligor ORDER BY decided_at DESC, grade DESC LIMIT 1
""")
STANDING = text("""
    WITH peers AS (
        SELECT DISTINCT ON (trade.obligor) trade.obligor, pd_ppm FROM decision
        JOIN trade ON trade.trade_id = decision.asset_id
        WHERE decided_at > :since AND trade.obligor <> :obligor
        ORDER BY trade.obligor, decided_at DESC
    )
    SELECT CASE WHEN count(*) >= 10 THEN (count(*) FILTER (WHERE pd_ppm >= :pd) * 10000 / count(*))::int END FROM peers
""")
"""The share of other obligors judged in the last half year that are no better, where there are ten or more."""


def decision(session: Session, *, asset_id: str, originator_id: str | None) -> dict[str, Any]:
    """One decision, whole: what went in, what came out, reasons in both languages (`NotFound`; of others too)."""
    row = decisions.decided(session, asset_id=asset_id)
    query = text("SELECT originator_id FROM receivable WHERE asset_id = :id")
    owner = session.execute(query, {"id": asset_id}).scalar_one_or_none()
    if row is None or originator_id not in (None, owner):
        raise NotFound("There is no such decision.")
    found = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    raw = bytes(found.pop("features"))
    told = [{"code": code, **reason_texts(code)} for code in found.pop("reasons")]
    return found | {"grade": GRADES[row.grade], "reasons": told, "features_sha256": decisions.sha256(raw)}


def limits(session: Session, *, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Every line as it is now, by company and currency."""
    rows = session.execute(LIMITS, {"after": after, "limit": limit}).mappings()
    return [dict(row) | {"place": row["company_id"] + row["currency"]} for row in rows]


def limit(session: Session, *, company_id: str, as_of: datetime) -> dict[str, Any]:
    """A company's lines as they stood at a moment, and what was suspended then (`NotFound`)."""
    obligor = number_of(session, company_id=company_id)
    asked = {"obligor": obligor, "as_of": as_of}
    standing = [dict(row) for row in session.execute(SUSPENSIONS, asked).mappings()]
    lines = [dict(row) for row in session.execute(LINES, asked).mappings()]
    for line in lines:
        line["free_minor"] = 0 if standing else max(line["limit_minor"] - line["used_minor"], 0)
    return {"company_id": company_id, "as_of": as_of, "lines": lines, "suspensions": standing}


def limit_history(session: Session, *, company_id: str, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Everything that ever happened to a company's limits, in order (`NotFound`)."""
    asked = {"obligor": number_of(session, company_id=company_id), "after": after, "limit": limit}
    return [dict(row) for row in session.execute(HISTORY, asked).mappings()]


def products(session: Session, *, company_id: str, now: datetime) -> dict[str, Any]:
    """Which products are open to a company and what is missing for the others; terms to measure where they are open."""
    obligor = number_of(session, company_id=company_id)
    policy = losses.policy(session)
    judged = session.execute(GRADE, {"obligor": obligor}).first()
    known = _known(session, company_id=company_id, obligor=obligor, judged=judged, now=now)
    offered = ladder(known)
    lines = limit(session, company_id=company_id, as_of=now)["lines"]
    shown = [
        {
            "product": one.product,
            "open": one.open,
            "gates": [gate._asdict() | {"open": gate.open} for gate in one.gates],
        }
        for one in offered
    ]
    terms = []
    for line in lines:
        days = line["most_tenor_days"] or policy.terms.most_tenor_days[-1]
        rule = {"limit_minor": line["limit_minor"], "most_tenor_days": days, "margin_bps": policy.terms.margin_bps}
        given = {"currency": line["currency"], "by_rule": rule}
        terms.append(given | {"tailored": tailor(known, **rule)._asdict() if offered[-1].open else None})
    return {"company_id": company_id, "policy_version": policy.version, "products": shown, "terms": terms}


def number_of(session: Session, *, company_id: str) -> int:
    """A company's number in columns of facts (`NotFound`)."""
    row = session.execute(COMPANY, {"id": company_id}).first()
    if row is None:
        raise NotFound("There is no such company.")
    return int(row.number)


def trades_with(session: Session, *, originator_id: str, company_id: str) -> bool:
    """Whether a company owes any receivable of an originator: what is known of others is not the originator's."""
    query = text("SELECT EXISTS (SELECT FROM receivable WHERE originator_id = :party AND obligor_id = :id)")
    return bool(session.execute(query, {"party": originator_id, "id": company_id}).scalar_one())


def _known(session: Session, *, company_id: str, obligor: int, judged: Any, now: datetime) -> Known:  # noqa: ANN401 - a row
    """What the ladder goes by, as of a moment."""
    today = day_number(now.date())
    asked = {"obligor": obligor, "today": today, "open": NOT_SETTLED, "half": HALF_YEAR}
    record = session.execute(RECORD, asked).one()
    papers = facts.known(session, company_ids=[company_id], as_of=now)[company_id]
    scheme = session.execute(COMPANY, {"id": company_id}).one().scheme
    since = now - timedelta(days=HALF_YEAR)
    standing = None
    if judged is not None:
        told = {"obligor": obligor, "since": since, "pd": judged.pd_ppm}
        standing = session.execute(STANDING, told).scalar_one()
    older = int(record.older_minor)
    return Known(
        identified=scheme != "platform" or papers.registration is not None,
        grade=None if judged is None else judged.grade,
        settled=record.settled,
        record_days=record.record_days,
        overdue=record.overdue,
        statements=len(papers.statements),
        report=papers.report is not None,
        controller=papers.controller_id is not None,
        growth_bps=(int(record.newer_minor) - older) * 10_000 // older if older else None,
        standing_bps=standing,
        suspended=bool(suspended(session, obligors=[obligor])),
    )


def reason_texts(code: str) -> Mapping[str, str]:
    """A reason in English and Chinese."""
    text_of = CATALOGUE[code]
    return {"en": text_of.english, "zh": text_of.chinese}
