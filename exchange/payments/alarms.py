"""Money that should be on the collection account and is not: what payers say, what came, and who is told."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.banking import names
from exchange.callbacks.actions import Notice, tell_many
from exchange.entropy import Entropy
from exchange.errors import Fault, Refused
from exchange.ids import new_id
from exchange.payments import queries, rules
from exchange.payments.alarm_schemas import AdviceItem, AlarmAcknowledgementItem
from exchange.payments.models import MoneyAlarm, PaymentAdvice
from exchange.payments.rules import Policy
from exchange.services import Services

WINDOW_DAYS = 14
"""Of what fell due in so many days before, the share is counted of whom nothing more was heard."""

ASSETS = text("""
    SELECT claim.asset_id, receivable.originator_id, receivable.obligor_id
    FROM claim JOIN receivable ON receivable.asset_id = claim.root_id WHERE claim.asset_id = ANY(:ids)
""")
OURS = text("""
    SELECT account FROM bank_account WHERE account = ANY(:numbers)
    UNION SELECT number FROM virtual_account WHERE number = ANY(:numbers) AND closed_at IS NULL
""")
COVERED = text("""
    WITH waiting AS (
        SELECT asset_id, min(paid_on) AS since FROM payment_advice
        WHERE asset_id IN (SELECT asset_id FROM payment_advice WHERE covered_at IS NULL) GROUP BY asset_id
    ), came AS (
        SELECT waiting.asset_id, coalesce(sum(got.minor), 0) AS minor
        FROM waiting LEFT JOIN LATERAL (
            SELECT amount_minor AS minor, value_date FROM receipt
            WHERE receipt.asset_id = waiting.asset_id AND reversed_on IS NULL AND value_date >= since
            UNION ALL
            SELECT receipt_share.amount_minor, value_date FROM receipt_share JOIN receipt USING (receipt_id)
            WHERE receipt_share.asset_id = waiting.asset_id AND reversed_on IS NULL AND value_date >= since
        ) AS got ON true
        GROUP BY waiting.asset_id
    ), said AS (
        SELECT advice_id, asset_id, covered_at, sum(amount_minor) OVER (
                   PARTITION BY asset_id ORDER BY paid_on, advice_id) AS minor
        FROM payment_advice JOIN waiting USING (asset_id)
    )
    SELECT advice_id FROM said JOIN came USING (asset_id) WHERE covered_at IS NULL AND said.minor <= came.minor
    ORDER BY advice_id
""")
"""Advices that receipts since the first of their asset cover, one after the other: no receipt covers two."""
OVERDUE = text("""
    SELECT advice_id, payment_advice.asset_id, receivable.originator_id, paid_on, amount_minor, payment_advice.account,
           expected_by
    FROM payment_advice
    JOIN claim USING (asset_id)
    JOIN receivable ON receivable.asset_id = claim.root_id
    WHERE covered_at IS NULL AND expected_by < :today AND NOT EXISTS (
        SELECT FROM money_alarm WHERE money_alarm.advice_id = payment_advice.advice_id AND kind = 'missing_receipt')
    ORDER BY advice_id
""")
LATE = text("""
    SELECT receivable.originator_id, count(DISTINCT obligor_id) AS asked,
           count(DISTINCT obligor_id) FILTER (WHERE claim.outstanding_minor > 0) AS late
    FROM claim JOIN receivable ON receivable.asset_id = claim.root_id
    WHERE claim.due_date BETWEEN :first AND :last AND claim.state <> 'split' GROUP BY 1 ORDER BY 1
""")
"""Late at once: of the obligors for whom something fell due in the window, those who have not paid all of it."""
HOLDERS = text("""
    SELECT DISTINCT pool.funder_id FROM claim
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN pool ON pool.pool_id = claim.pool_id
    WHERE claim.state IN ('assigned', 'closed') AND (
        claim.asset_id = :asset_id OR claim.root_id = :asset_id OR (
            cast(:asset_id AS text) IS NULL AND receivable.originator_id = :originator_id
            AND claim.due_date BETWEEN cast(:first AS date) AND cast(:last AS date)))
    ORDER BY 1
""")
"""Whose money it is, or was when it came: of an asset, or of what an originator's obligors had to pay in the window."""


def keep_advices(
    session: Session, *, services: Services, items: Sequence[tuple[int, AdviceItem]], caller: Caller, now: datetime
) -> dict[int, Refused | None]:
    """Keep what payers and platforms say was paid; by index None, or (status, fault) where it cannot be.

    An account that is none of ours is an alarm at once.
    """
    policy, today = queries.policy(session)[1], services.business_date(now)
    assets = {row.asset_id: row for row in session.execute(ASSETS, {"ids": [item.asset_id for _, item in items]})}
    numbers = sorted({names.account(item.account) for _, item in items})
    ours = set(session.execute(OURS, {"numbers": numbers}).scalars())
    results: dict[int, Refused | None] = {}
    for index, item in items:
        asset = assets.get(item.asset_id)
        refused = _refused(f"/items/{index}", item, asset, caller, today)
        results[index] = refused
        if refused is not None or asset is None:
            continue
        advice = _keep(session, services, item, policy, client_id=caller.client_id, now=now)
        if advice.account not in ours:
            _raise(session, services.entropy, "wrong_account", _of_advice(advice, asset.originator_id), today, now)
    return results


def watch(session: Session, *, services: Services, today: date, now: datetime) -> None:
    """Clear what has come, raise what has not, and count who is late at once. Twice a day changes nothing more."""
    _clear_covered(session, now=now)
    for row in session.execute(OVERDUE, {"today": today}).all():
        _raise(session, services.entropy, "missing_receipt", _of_advice(row, row.originator_id), today, now)
    policy = queries.policy(session)[1]
    if policy.late_share_bps is not None:
        _watch_shares(session, services=services, policy=policy, today=today, now=now)


def acknowledge(
    session: Session, *, items: Sequence[tuple[int, AlarmAcknowledgementItem]], client_id: str, now: datetime
) -> dict[int, Refused | None]:
    """Note that somebody looks into an alarm, and why it is no worse; once each. The money alone clears it."""
    ids = sorted({item.alarm_id for _, item in items})
    query = select(MoneyAlarm).where(MoneyAlarm.alarm_id.in_(ids)).order_by(MoneyAlarm.alarm_id)
    known = {row.alarm_id: row for row in session.scalars(query.with_for_update())}
    results: dict[int, Refused | None] = {}
    for index, item in items:
        alarm, at = known.get(item.alarm_id), f"/items/{index}/alarm_id"
        if alarm is None:
            results[index] = 404, Fault("not_found", at, "no such alarm", item.alarm_id)
        elif alarm.acknowledged_at is not None or alarm.cleared_at is not None:
            results[index] = 409, Fault("already_acknowledged", at, "nobody has to look any more", item.alarm_id)
        else:
            results[index] = None
            alarm.acknowledged_by, alarm.acknowledged_at, alarm.acknowledged_reason = client_id, now, item.reason
    session.flush()
    return results


def _refused(at: str, item: AdviceItem, asset: Any, caller: Caller, today: date) -> Refused | None:  # noqa: ANN401 - a row
    """Not the caller's, or not yet."""
    party = {Role.PLATFORM: "originator_id", Role.OBLIGOR: "obligor_id"}.get(caller.role)
    if asset is None or (party is not None and getattr(asset, party) != caller.party_id):
        return 404, Fault("not_found", f"{at}/asset_id", "no such asset of yours", item.asset_id)
    if item.paid_date > today:
        return 422, Fault("paid_in_future", f"{at}/paid_date", f"not after today, {today}", item.paid_date)
    return None


def _keep(
    session: Session, services: Services, item: AdviceItem, policy: Policy, *, client_id: str, now: datetime
) -> PaymentAdvice:
    said = queries.advice_count(session, asset_id=item.asset_id)
    purpose = f"{item.asset_id}/{said}"
    advice = PaymentAdvice(
        advice_id=new_id("adv", now=now, entropy=services.entropy, purpose=purpose),
        asset_id=item.asset_id,
        amount_minor=item.amount_minor,
        paid_on=item.paid_date,
        account=names.account(item.account),
        expected_by=rules.days_later(item.paid_date, policy.advice_days, policy=policy),
        said_by=client_id,
        said_at=now,
    )
    session.add(advice)
    session.flush()
    return advice


def _of_advice(advice: Any, originator_id: str) -> dict[str, Any]:  # noqa: ANN401 - a row or an advice
    numbers = {
        "amount_minor": advice.amount_minor,
        "paid_date": advice.paid_on.isoformat(),
        "expected_by": advice.expected_by.isoformat(),
        "account": rules.masked(advice.account),
    }
    about = {"originator_id": originator_id, "advice_id": advice.advice_id, "asset_id": advice.asset_id}
    return about | {"numbers": numbers}


def _clear_covered(session: Session, *, now: datetime) -> None:
    """What came covers what was said; its alarms are over."""
    advice_ids = list(session.execute(COVERED).scalars())
    if not advice_ids:
        return
    covered = text("UPDATE payment_advice SET covered_at = :now WHERE advice_id = ANY(:ids)")
    session.execute(covered, {"now": now, "ids": advice_ids})
    cleared = text("""
        UPDATE money_alarm SET cleared_at = :now WHERE advice_id = ANY(:ids) AND cleared_at IS NULL
        RETURNING alarm_id, kind, originator_id, asset_id, numbers
    """)
    for row in session.execute(cleared, {"now": now, "ids": advice_ids}).mappings().all():
        _tell(session, "alarm.cleared", dict(row), now=now)


def _watch_shares(session: Session, *, services: Services, policy: Policy, today: date, now: datetime) -> None:
    last = rules.days_before(today, policy.advice_days, policy=policy)
    window = {"first": date.fromordinal(last.toordinal() - WINDOW_DAYS), "last": last}
    known = select(MoneyAlarm).where(MoneyAlarm.kind == "late_share", MoneyAlarm.cleared_at.is_(None))
    standing = {alarm.originator_id: alarm for alarm in session.scalars(known.with_for_update())}
    for row in session.execute(LATE, window).all():
        share_bps = rules.late_share(row.late, row.asked, policy=policy)
        numbers = {"late_obligors": row.late, "obligors": row.asked, "share_bps": share_bps}
        alarm = standing.pop(row.originator_id, None)
        if share_bps is not None and alarm is None:
            about = {"originator_id": row.originator_id, "advice_id": None, "asset_id": None}
            dates = {name: day.isoformat() for name, day in window.items()}
            _raise(session, services.entropy, "late_share", about | {"numbers": numbers | dates}, today, now)
        elif share_bps is None and alarm is not None:
            _clear(session, alarm, now=now)
    for alarm in standing.values():
        _clear(session, alarm, now=now)


def _clear(session: Session, alarm: MoneyAlarm, *, now: datetime) -> None:
    alarm.cleared_at = now
    session.flush()
    names_of = ("alarm_id", "kind", "originator_id", "asset_id", "numbers")
    _tell(session, "alarm.cleared", {name: getattr(alarm, name) for name in names_of}, now=now)


def _raise(session: Session, entropy: Entropy, kind: str, about: dict[str, Any], today: date, now: datetime) -> None:
    """Raise an alarm, once for what it is about, and tell the holders."""
    purpose = f"{kind}/{about['advice_id'] or about['originator_id']}"
    alarm_id = new_id("alm", now=now, entropy=entropy, purpose=purpose)
    row = insert(MoneyAlarm).values(alarm_id=alarm_id, kind=kind, raised_on=today, raised_at=now, **about)
    if session.execute(row.on_conflict_do_nothing().returning(MoneyAlarm.alarm_id)).first() is not None:
        _tell(session, "alarm.raised", {"alarm_id": alarm_id, "kind": kind} | about, now=now)


def _tell(session: Session, type_: str, alarm: Mapping[str, Any], *, now: datetime) -> None:
    """Tell the funders whose money it is: the holders of the asset, or of what is late."""
    numbers = alarm["numbers"]
    about = {"asset_id": alarm["asset_id"], "originator_id": alarm["originator_id"]}
    window = {"first": numbers.get("first"), "last": numbers.get("last")}
    data = {"alarm_id": alarm["alarm_id"], "kind": alarm["kind"], "asset_id": alarm["asset_id"], "numbers": numbers}
    funders = session.execute(HOLDERS, about | window).scalars()
    tell_many(session, notices=[Notice(funder_id, type_, data) for funder_id in funders], now=now)
