"""Ratings as of a day, among peers, over time."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.ratings import rules
from exchange.risk.facts import day_number
from exchange.risk.queries import reason_texts
from scoring.grades import NAMES as GRADES

YEAR_DAYS = 365
STALE_DAYS = 400
"""A rating counts for so many days: who was not looked at for longer is not rated any more."""
SIZES = (0, 10**8, 10**9, 10**10, 10**11)
"""Peers are as large: purchases of a year, minor units, from one of these to the next."""

GRANTED = text("""
    SELECT grant_id, company_id, purpose, from_date, until_date FROM rating_grant
    WHERE funder_id = :funder_id AND revoked_at IS NULL AND :today BETWEEN from_date AND until_date
      AND (cast(:company_id AS text) IS NULL OR company_id IS NULL OR company_id = :company_id)
    ORDER BY company_id NULLS LAST, grant_id
""")
COMPANY = text("SELECT company_id, number, scheme, namespace, value, name, sector FROM company WHERE company_id = :id")
BY_NUMBER = text("""
    SELECT company_id FROM company WHERE scheme = :scheme AND value = :value AND scheme <> 'platform'
""")
HISTORY = text("""
    SELECT rated_on, grade_name AS grade, pd_ppm, reasons, model_version, cause FROM obligor_rating
    WHERE obligor = :number AND rated_on <= :day ORDER BY change DESC LIMIT :limit
""")
AS_OF = text("""
    SELECT DISTINCT ON (obligor) obligor, grade, pd_ppm FROM obligor_rating
    WHERE rated_on <= :day AND rated_on > :since ORDER BY obligor, change DESC
""")
PEERS = text("""
    WITH bought AS (
        SELECT obligor, sum(face_minor)::bigint AS year_minor FROM trade
        WHERE issue_day > :first AND issue_day <= :last GROUP BY obligor
    ), place AS (
        SELECT company.number, company.sector, coalesce(width_bucket(year_minor, cast(:sizes AS bigint[])), 0) AS size
        FROM company LEFT JOIN bought ON obligor = number
    ), sold AS (
        SELECT DISTINCT company.number, product FROM receivable JOIN company ON company_id = obligor_id
    )
    SELECT peer.number,
           peer.sector IS NOT DISTINCT FROM own.sector AND own.sector IS NOT NULL AS sector,
           peer.size = own.size AS size,
           EXISTS (SELECT FROM sold AS mine JOIN sold AS theirs ON theirs.product = mine.product
                   WHERE mine.number = own.number AND theirs.number = peer.number) AS product
    FROM place AS own CROSS JOIN place AS peer WHERE own.number = :number AND peer.number <> own.number
""")
PAID = text("""
    SELECT least(settled_day, :today) - due_day AS days_late, face_minor FROM trade
    WHERE obligor = :number AND due_day <= :today AND least(settled_day, :today) > :since
      AND (settled_day <= :today OR due_day < :today)
""")
TOLD = text("""
    SELECT least(coalesce(paid.day, cast(:day AS date)), :day) - cast(invoice.body ->> 'due_date' AS date) AS days_late,
           cast(invoice.body ->> 'amount_minor' AS bigint) AS face_minor
    FROM company_fact AS invoice
    JOIN company AS seller ON seller.company_id = invoice.counterparty_id
    LEFT JOIN LATERAL (
        SELECT max(effective_date) AS day FROM company_fact AS payment
        WHERE payment.kind = 'payment' AND payment.company_id = invoice.company_id
          AND payment.counterparty_id = invoice.counterparty_id
          AND payment.body ->> 'reference' = invoice.body ->> 'number' AND NOT payment.withdrawn
          AND NOT EXISTS (SELECT FROM company_fact AS later WHERE later.corrects = payment.fact_id)
    ) AS paid ON true
    WHERE invoice.company_id = :company_id AND invoice.kind = 'invoice' AND NOT invoice.withdrawn
      AND NOT EXISTS (SELECT FROM company_fact AS later WHERE later.corrects = invoice.fact_id)
      AND cast(invoice.body ->> 'due_date' AS date) <= :day
      AND coalesce(paid.day, :day) > :day - 365
      AND NOT EXISTS (SELECT FROM trade WHERE trade.obligor = :number AND trade.seller = seller.number
                        AND trade.face_minor = cast(invoice.body ->> 'amount_minor' AS bigint)
                        AND trade.issue_day = invoice.effective_date - date '1970-01-01')
""")
ACCESSES = text("""
    SELECT access_id, client_id, funder_id, company_id, grant_id, asked, asked_at FROM rating_access
    WHERE access_id > :after AND (cast(:company_id AS text) IS NULL OR company_id = :company_id)
    ORDER BY access_id LIMIT :limit
""")
GRANTS = text("""
    SELECT grant_id, funder_id, company_id, purpose, consent, from_date, until_date, granted_at, revoked_at,
           revoke_reason
    FROM rating_grant
    WHERE grant_id > :after AND (cast(:funder_id AS text) IS NULL OR funder_id = :funder_id)
    ORDER BY grant_id LIMIT :limit
""")


def company(session: Session, *, company_id: str) -> Any:  # noqa: ANN401 - a row
    """The register's row of a company, None if there is none."""
    return session.execute(COMPANY, {"id": company_id}).first()


def find(session: Session, *, scheme: str, value: str) -> str | None:
    """The id of the company with a registered number."""
    return session.execute(BY_NUMBER, {"scheme": scheme, "value": value}).scalar_one_or_none()


def history(session: Session, *, number: int, day: date, limit: int) -> list[dict[str, Any]]:
    """An obligor's ratings up to a day, newest first, each reason in English and Chinese."""
    rows = session.execute(HISTORY, {"number": number, "day": day, "limit": limit}).mappings()
    return [{**row, "reasons": [{"code": code, **reason_texts(code)} for code in row["reasons"]]} for row in rows]


def as_of(session: Session, *, day: date) -> dict[int, tuple[int, int]]:
    """Every obligor's grade (an index) and PD (ppm) on a day."""
    rows = session.execute(AS_OF, {"day": day, "since": day - timedelta(days=STALE_DAYS)})
    return {row.obligor: (row.grade, row.pd_ppm) for row in rows}


def peers(session: Session, *, number: int, day: date) -> dict[str, dict[str, int | None]]:
    """By product, sector and size: how many rated peers an obligor has, and the share of them that are riskier."""
    ratings = as_of(session, day=day)
    last = day_number(day)
    parameters = {"number": number, "first": last - YEAR_DAYS, "last": last, "sizes": list(SIZES)}
    own = ratings.get(number)
    groups: dict[str, list[int]] = {"product": [], "sector": [], "size": []}
    for row in session.execute(PEERS, parameters):
        for name, others in groups.items():
            if getattr(row, name) and row.number in ratings:
                others.append(ratings[row.number][1])
    return {
        name: {"peers": len(others), "percentile": own and rules.percentile(own[1], others)}
        for name, others in groups.items()
    }


def paid(session: Session, *, company_id: str, number: int, day: date) -> Sequence[tuple[int, int]]:
    """Days late and minor units of what was paid in the year up to a day, or should have been and is open."""
    today = day_number(day)
    own = session.execute(PAID, {"number": number, "today": today, "since": today - YEAR_DAYS})
    told = session.execute(TOLD, {"company_id": company_id, "number": number, "day": day})
    return [(row.days_late, row.face_minor) for row in (*own, *told)]


def page(session: Session, query: Any, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - one of the queries above
    """The rows of a list."""
    return [dict(row) for row in session.execute(query, asked).mappings()]


def matrix(session: Session, *, from_date: date, until_date: date) -> list[Mapping[str, Any]]:
    """How the grades of the first day moved until the second: by grade, how many are where."""
    before, after = as_of(session, day=from_date), as_of(session, day=until_date)
    counts = rules.migration(
        {one: grade for one, (grade, _) in before.items()},
        {one: grade for one, (grade, _) in after.items()},
        grades=len(GRADES),
    )
    return [
        {"grade": name, "to": dict(zip(GRADES, row, strict=False)), "not_rated": row[-1], "obligors": sum(row)}
        for name, row in zip(GRADES, counts, strict=True)
    ]
