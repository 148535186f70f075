"""An obligor looked at again: judged anew, its limits moved by the rule, and what is unlike before noted."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.facts.queries import STANDING
from exchange.reviews import actions, rules
from exchange.reviews.rules import Finding, Order, Policy
from exchange.risk import ratings
from exchange.risk.facts import day_number
from exchange.risk.ratings import Moved, Rejudged
from exchange.services import Services
from scoring.grades import NAMES as GRADES

WEEK_DAYS = 7
WEEKS = 12
NEW_ORDER_DAYS = 30

NUMBERS = text("SELECT number, company_id FROM company WHERE company_id = ANY(:ids)")
EXPOSURES = text("""
    SELECT company_id, currency, used_minor, limit_minor FROM exposure JOIN company ON number = obligor
    WHERE company_id = ANY(:ids) AND limit_minor > 0 AND used_minor * 10000 >= limit_minor * :near_bps
    ORDER BY company_id, currency
""")
LATE = text("""
    SELECT claim.asset_id, obligor_id, fact.kind, fact.business_date, fact.days_past_due, fact.outstanding_minor
    FROM servicing_fact AS fact
    JOIN claim ON claim.asset_id = fact.asset_id
    JOIN receivable ON receivable.asset_id = claim.root_id
    WHERE receivable.obligor_id = ANY(:ids) AND fact.kind = ANY(:kinds) AND fact.business_date > :since
      AND NOT EXISTS (SELECT FROM servicing_withdrawal AS gone
                      WHERE gone.asset_id = fact.asset_id AND gone.business_date = fact.business_date
                        AND gone.kind = fact.kind AND gone.revision = fact.revision)
    ORDER BY claim.asset_id, fact.business_date
""")
LATE_KINDS = ("near_breach", "default", "charge_off")
ORDERS = text(f"""
    SELECT company_id, fact_id, effective_date, body, (
        SELECT cast(price.body ->> 'price_minor' AS bigint) FROM company_fact AS price
        WHERE price.series = fact.body ->> 'material' AND price.effective_date <= fact.effective_date
          AND price.body ->> 'currency' = fact.body ->> 'currency' AND price.known_at <= :as_of AND NOT price.withdrawn
          AND NOT EXISTS (SELECT FROM company_fact AS later WHERE later.corrects = price.fact_id)
        ORDER BY price.effective_date DESC LIMIT 1
    ) AS market_minor
    FROM company_fact AS fact
    WHERE company_id = ANY(:ids) AND kind = 'order' AND effective_date > :since AND {STANDING}
    ORDER BY company_id, effective_date, fact_id
""")  # noqa: S608 - constants of ours
REPORTS = text(f"""
    SELECT * FROM (
        SELECT company.company_id, fact.kind, fact.source, fact.fact_id, fact.body, fact.effective_date,
               row_number() OVER (PARTITION BY company.company_id, fact.kind, source
                                  ORDER BY effective_date DESC, known_at DESC) AS place
        FROM company JOIN company_fact AS fact
          ON (fact.kind = 'report' AND fact.company_id = company.company_id)
          OR (fact.kind = 'person_report' AND fact.controller_id = company.controller_id)
        WHERE company.company_id = ANY(:ids) AND fact.body <> '{{}}' AND {STANDING}
    ) AS ranked
    WHERE place <= 2 ORDER BY company_id, kind, source, place
""")  # noqa: S608 - same


def look(
    session: Session, *, services: Services, company_ids: Sequence[str], cause: str, today: date, now: datetime
) -> None:
    """Judge these companies anew as payers, move their limits, and note what is worth a look."""
    ids = sorted(set(company_ids))
    _, policy = actions.policy_in_force(session)
    asked = {"ids": ids, "as_of": now, "kinds": list(LATE_KINDS), "near_bps": policy.near_limit_bps}
    again = ratings.rejudge(session, company_ids=ids, today=today, now=now)
    findings: list[Finding] = []
    if again is not None:
        known: dict[int, str] = {row.number: row.company_id for row in session.execute(NUMBERS, asked)}
        moved = ratings.rate(session, again, cause=cause, today=today, now=now)
        ratings.move_limits(session, again, today=today, now=now)
        findings += _moved(moved, known, policy=policy)
        findings += _near_breach(again, known, policy=policy, today=today)
        findings += _too_fast(again, known, policy=policy, today=today)
    findings += _used_up(session, asked, today=today)
    findings += _late(session, asked, today=today)
    findings += _orders(session, asked, policy=policy, today=today)
    findings += _reports(session, asked, policy=policy)
    actions.note(session, services=services, policy=policy, findings=findings, today=today, now=now)


def _moved(moved: Sequence[Moved], known: dict[int, str], *, policy: Policy) -> Iterator[Finding]:
    """Grades that fell."""
    for one in moved:
        if one.grade - one.before >= policy.grades_down:
            evidence = {"from": GRADES[one.before], "to": GRADES[one.grade], "pd_ppm": one.pd_ppm}
            yield Finding("grade_moved", f"{known[one.obligor]}/{one.change}", known[one.obligor], evidence)


def _near_breach(again: Rejudged, known: dict[int, str], *, policy: Policy, today: date) -> Iterator[Finding]:
    """Claims that will probably be unpaid long after their due day, given that they are unpaid today."""
    chances = ratings.unpaid_ppm(again, after_days=policy.breach_days, today=today) if again.live else None
    for one, chance_ppm in zip(again.asked, chances or (), strict=False):
        late_days = (today - one.due_date).days
        if chance_ppm >= policy.breach_ppm and late_days < policy.breach_days:
            evidence = {"claim_id": one.asset_id, "unpaid_ppm": chance_ppm, "days_past_due": late_days}
            yield Finding("near_breach", one.asset_id, known[one.obligor], evidence)


def _too_fast(again: Rejudged, known: dict[int, str], *, policy: Policy, today: date) -> Iterator[Finding]:
    """Obligors that buy many times as often as they use to."""
    trades, day = again.history, day_number(today)
    first = day - WEEK_DAYS * (WEEKS + 1)
    for obligor in sorted({one.obligor for one in again.asked}):
        days = trades.issue_day[(trades.obligor == obligor) & (trades.issue_day > first) & (trades.issue_day <= day)]
        weeks = np.bincount((day - days) // WEEK_DAYS, minlength=WEEKS + 1).tolist()
        if rules.too_fast(weeks[0], weeks[1:], policy=policy):
            evidence = {"this_week": weeks[0], "weeks_before": weeks[1:]}
            yield Finding("velocity", f"{known[obligor]}/{today:%G-W%V}", known[obligor], evidence)


def _used_up(session: Session, asked: dict[str, Any], *, today: date) -> Iterator[Finding]:
    """Limits of which little is left, once a month."""
    for row in session.execute(EXPOSURES, asked):
        evidence = {"currency": row.currency, "used_minor": row.used_minor, "limit_minor": row.limit_minor}
        yield Finding("near_limit", f"{row.company_id}/{row.currency}/{today:%Y-%m}", row.company_id, evidence)


def _late(session: Session, asked: dict[str, Any], *, today: date) -> Iterator[Finding]:
    """What the close of business noted of late claims in the last month."""
    since = date.fromordinal(today.toordinal() - NEW_ORDER_DAYS)
    for row in session.execute(LATE, asked | {"since": since}):
        evidence = {"claim_id": row.asset_id, "stage": row.kind, "days_past_due": row.days_past_due}
        evidence |= {"outstanding_minor": row.outstanding_minor}
        yield Finding("days_past_due", f"{row.asset_id}/{row.kind}/{row.business_date}", row.obligor_id, evidence)


def _orders(session: Session, asked: dict[str, Any], *, policy: Policy, today: date) -> Iterator[Finding]:
    """Orders of the last month unlike those before them, or off the market's price."""
    since = date.fromordinal(today.toordinal() - rules.YEAR_DAYS)
    told: dict[str, list[tuple[Order, int | None]]] = {}
    for row in session.execute(ORDERS, asked | {"since": since}):
        body = row.body
        order = Order(
            row.fact_id, day_number(row.effective_date), body["currency"], body["amount_minor"],
            body.get("quantity_kg"), body.get("material"),
        )  # fmt: skip
        told.setdefault(row.company_id, []).append((order, row.market_minor))
    since_day = day_number(today) - NEW_ORDER_DAYS
    for company_id, orders in told.items():
        odd = rules.odd_orders([order for order, _ in orders], since_day=since_day, policy=policy)
        for order, evidence in odd:
            yield Finding("order_anomaly", order.fact_id, company_id, {"fact_id": order.fact_id, **evidence})
        for order, market_minor in orders:
            off = None if market_minor is None else rules.off_market(order, price_minor=market_minor, policy=policy)
            if off is not None and order.day >= since_day:
                evidence = {"fact_id": order.fact_id, "series": order.material, "off_bps": off}
                evidence |= {"market_minor": market_minor}
                yield Finding("price_anomaly", order.fact_id, company_id, evidence)


def _reports(session: Session, asked: dict[str, Any], *, policy: Policy) -> Iterator[Finding]:
    """Credit reports, of the company or of its controller, that are worse than the ones before."""
    newest: dict[tuple[str, str, str], Any] = {}
    for row in session.execute(REPORTS, asked):
        place = row.company_id, row.kind, row.source
        new = newest.setdefault(place, row)
        worse = rules.worse_report(new.body, row.body, policy=policy)
        if worse:
            evidence = {"fact_id": new.fact_id, "before": row.fact_id, "of": row.kind, "worse": worse}
            yield Finding("report_changed", f"{row.company_id}/{new.fact_id}", row.company_id, evidence)
