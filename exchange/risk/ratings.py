"""Obligors judged anew: what is live of them, or what they bought last, as it would be judged today."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.risk import decisions, engines, losses, papers
from exchange.risk.facts import day_number, trades_of
from exchange.risk.limits import Asked, Basis, review
from exchange.risk.models import ObligorRating
from exchange.risk.rules import Policy
from scoring import features
from scoring.engine import Engine, Judgement
from scoring.facts import Trades
from scoring.grades import NAMES as GRADES
from scoring.model import STEADY

STALE_DAYS = 30
"""A rating that did not change is written again after so many days: it was looked at."""

LIVE = text("""
    SELECT claim.asset_id, obligor.number, seller.number AS seller, claim.currency, claim.outstanding_minor,
           receivable.issue_date, claim.due_date, receivable.originator_id
    FROM claim
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
    JOIN company AS seller ON seller.company_id = receivable.seller_id
    WHERE receivable.obligor_id = ANY(:ids) AND claim.outstanding_minor > 0 AND claim.state <> 'split'
    ORDER BY claim.asset_id
""")
LAST_BOUGHT = text("""
    SELECT DISTINCT ON (trade.obligor) trade.trade_id, trade.obligor, trade.seller, '' AS currency, trade.face_minor,
           date '1970-01-01' + trade.issue_day, date '1970-01-01' + trade.due_day, trade.originator_id
    FROM trade JOIN company ON company.number = trade.obligor
    WHERE company.company_id = ANY(:ids) ORDER BY trade.obligor, trade.issue_day DESC, trade.trade_id
""")
LAST_RATED = text("""
    SELECT DISTINCT ON (obligor) obligor, change, rated_on, grade, model_version FROM obligor_rating
    WHERE obligor = ANY(:obligors) ORDER BY obligor, change DESC
""")
TURN = text("SELECT pg_advisory_xact_lock(hashtext('risk.rate'))")


class Rejudged(NamedTuple):
    """Trades as they are judged today: those from `live` on back are of claims that are owed still."""

    asked: list[Asked]
    live: int
    matrix: features.Floats
    judged: Judgement
    terms: list[int]
    engine: Engine
    policy: Policy
    history: Trades


class Moved(NamedTuple):
    """An obligor whose grade is another than before, by its number; grades are indexes, higher is worse."""

    obligor: int
    change: int
    before: int
    grade: int
    pd_ppm: int


def rejudge(session: Session, *, company_ids: Sequence[str], today: date, now: datetime) -> Rejudged | None:
    """Judge what these companies owe, and what they bought last, with all that is known today; None without trades."""
    live = [Asked(*row) for row in session.execute(LIVE, {"ids": list(company_ids)})]
    owing = {one.obligor for one in live}
    past = [Asked(*row) for row in session.execute(LAST_BOUGHT, {"ids": list(company_ids)}) if row.obligor not in owing]
    asked = [*live, *past]
    if not asked:
        return None
    obligors, sellers = sorted({one.obligor for one in asked}), sorted({one.seller for one in asked})
    history, day = trades_of(session, obligors=obligors, sellers=sellers), day_number(today)
    rows = [(a.obligor, a.seller, a.face_minor, day, max(day_number(a.due_date), day), None) for a in asked]
    matrix = features.build(history, asked=Trades.from_rows(rows))
    engine, policy = engines.in_force(session), losses.policy(session)
    sides = papers.sides(session, asked=asked, as_of=now)
    frozen = decisions.freeze(asked, sides=sides, rates=losses.rates(session), policy=policy, today=today)
    judged, answers = decisions.judge(engine, matrix, frozen)
    terms = [answer["most_tenor_days"] for answer in answers]
    return Rejudged(asked, len(live), matrix, judged, terms, engine, policy, history)


def unpaid_ppm(again: Rejudged, *, after_days: int, today: date) -> list[int] | None:
    """Of each live claim the chance, S(t) / S(age), to be unpaid so many days after its due day, given it is today.

    The nearest edge of the curve from `after_days` on counts. None where the model in force has no curve.
    """
    hazard = again.engine.hazard
    if hazard is None:
        return None
    age_days = [(today - one.due_date).days for one in again.asked[: again.live]]
    curve = hazard.unpaid_after(again.matrix[: again.live, STEADY], age_days=age_days)
    at = min(int((hazard.edges < after_days).sum()), len(hazard.edges) - 1)
    return [round(chance * 1_000_000) for chance in curve[:, at].tolist()]


def move_limits(session: Session, again: Rejudged, *, today: date, now: datetime) -> None:
    """Decide the limits and terms of who owes something anew, by the rule: down at once, up step by step."""
    if not again.live:
        return
    scores = again.judged.scores
    counted = type(scores)(*(getattr(scores, name)[: again.live] for name in scores.__dataclass_fields__))
    basis = Basis(again.policy, again.engine.version, again.history)
    review(
        session,
        asked=again.asked[: again.live],
        scores=counted,
        terms=again.terms[: again.live],
        basis=basis,
        today=today,
        now=now,
    )


def rate(session: Session, again: Rejudged, *, cause: str, today: date, now: datetime) -> list[Moved]:
    """Note each obligor's rating, the worst of its trades, where it changed or is old; gives the grades that moved."""
    worst: dict[int, tuple[int, int, list[str]]] = {}
    scores = again.judged.scores
    rows = zip(again.asked, scores.pd_ppm.tolist(), scores.grade.tolist(), scores.reason_codes, strict=True)
    for one, pd_ppm, grade, reasons in rows:
        if pd_ppm > worst.get(one.obligor, (-1, 0, []))[0]:
            worst[one.obligor] = pd_ppm, grade, reasons
    session.execute(TURN)
    last: dict[int, Any] = {row.obligor: row for row in session.execute(LAST_RATED, {"obligors": sorted(worst)})}
    new, moved = [], []
    for obligor, (pd_ppm, grade, reasons) in sorted(worst.items()):
        before = last.get(obligor)
        same = before and (before.grade, before.model_version) == (grade, again.engine.version)
        if before is not None and same and (today - before.rated_on).days < STALE_DAYS:
            continue
        change = before.change + 1 if before is not None else 1
        told = orjson.dumps(reasons).decode()
        new.append((obligor, change, today, pd_ppm, grade, GRADES[grade], told, again.engine.version, cause, now))
        if before is not None and before.grade != grade:
            moved.append(Moved(obligor, change, before.grade, grade, pd_ppm))
    columns = "obligor change rated_on pd_ppm grade grade_name reasons model_version cause rated_at"
    copy_rows(session, ObligorRating.__tablename__, columns.split(), new)
    return moved
