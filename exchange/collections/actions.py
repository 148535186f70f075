"""Open cases for what servicing noted, let go what was cured; policies and languages; a case that is given up."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks.actions import Notice, tell_many
from exchange.collections import queries, rules, steps
from exchange.collections.models import Case, CaseItem, CollectionPolicy, Correspondence
from exchange.collections.policies import BAD_DEBT, Policy, policy_faults
from exchange.collections.queries import Key, Live
from exchange.collections.rules import DAY, Traits
from exchange.db import copy_rows
from exchange.errors import InvalidRequest, NotFound
from exchange.ids import new_id
from exchange.parties.models import Originator
from exchange.services import Services
from scoring.grades import NAMES as GRADES

CURED = "cured"
MARK = {"default": "defaulted_on", "charge_off": "charged_off_on"}
CASE = (
    "case_id",
    "originator_id",
    "obligor_id",
    "number",
    "policy_version",
    "strategy",
    "stage",
    "state",
    "opened_on",
    "stepped_on",
)
ATTEMPTS = 5


class Noted(NamedTuple):
    """What servicing noted of an asset on a business date."""

    asset_id: str
    kind: str
    days_past_due: int


def set_policy(session: Session, *, originator_id: str, policy: Policy, client_id: str, now: datetime) -> int:
    """Put a policy in force for cases to come; gives its version. Refuses `InvalidRequest` and `NotFound`."""
    if faults := policy_faults(policy):
        raise InvalidRequest("The policy cannot be put in force.", faults=tuple(faults))
    known = select(Originator.originator_id).where(Originator.originator_id == originator_id)
    if session.execute(known.with_for_update()).first() is None:
        raise NotFound("There is no such originator.")
    version = queries.policy(session, originator_id=originator_id)[0] + 1
    values = {"originator_id": originator_id, "version": version, "terms": msgspec.to_builtins(policy)}
    session.execute(insert(CollectionPolicy).values(set_by=client_id, set_at=now, **values))
    return version


def set_language(session: Session, *, originator_id: str, company_id: str, language: str) -> None:
    """Write to a company in this language from now on (`NotFound` unless it owes the originator something)."""
    owes = text("SELECT FROM receivable WHERE obligor_id = :company AND originator_id = :originator LIMIT 1")
    if session.execute(owes, {"company": company_id, "originator": originator_id}).first() is None:
        raise NotFound("There is no such obligor.")
    row = upsert(Correspondence).values(originator_id=originator_id, company_id=company_id, language=language)
    session.execute(
        row.on_conflict_do_update(index_elements=["originator_id", "company_id"], set_={"language": language})
    )


def follow(session: Session, *, services: Services, noted: Sequence[Noted], day: date, now: datetime) -> None:
    """Bring what servicing noted on a business date into the cases: one live case for each originator and obligor.

    Notes may come twice, late, and in any order: of an asset the newest counts.
    """
    said = {one.asset_id: one for one in noted}
    assets = {row.asset_id: row for row in queries.noted(session, asset_ids=said, day=day)}
    late = {
        asset_id: row
        for asset_id, row in assets.items()
        if said[asset_id].kind != CURED and row.outstanding_minor > 0 and not row.cured_later
    }
    keys = {(row.originator_id, row.obligor_id) for row in assets.values()}
    cases = _opened(session, keys, services=services, late=late, day=day, now=now)
    notices = _note(session, cases, late, said, day=day)
    notices += _cure(session, cases, [one for one in noted if one.kind == CURED], day=day)
    tell_many(session, notices=notices, now=now)
    in_order = [cases[key] for key in sorted(cases)]
    steps.advance(session, services=services, cases=in_order, day=day, now=now)
    last = queries.last_day(session)
    if in_order and last is not None and last > day:
        payload = {"business_date": last.isoformat(), "case_ids": [case.case_id for case in in_order]}
        jobs.enqueue(session, job="collections.step_cases", payload=payload)


def give_up(
    session: Session, *, case: Live, result: str, reason: str, client_id: str, today: date, now: datetime
) -> None:
    """Close a case from which nothing more is expected. Refuses `NotBadDebt` and `ApprovalMissing`."""
    if case.state != BAD_DEBT:
        raise rules.NotBadDebt("Only what servicing charged off is given up.", state=case.state)
    approved = text("""
        SELECT FROM collection_task WHERE case_id = :id AND second_to IS NOT NULL AND outcome = 'approved' LIMIT 1
    """)
    if session.execute(approved, {"id": case.case_id}).first() is None:
        raise rules.ApprovalMissing("A task that is second to another has to be done with the outcome approved.")
    rows = [row for row in queries.items(session, case_ids=[case.case_id]) if row.left_on is None]
    steps.leave(session, reasons={row.asset_id: result for row in rows}, on=today)
    tell_many(session, notices=[n for row in rows for n in steps.closing_notice(row, reason=result, on=today)], now=now)
    closed = {"state": "closed", "closed_on": today, "result": result, "closed_by": client_id, "reason": reason}
    session.execute(update(Case).where(Case.case_id == case.case_id).values(closed))
    session.execute(LAPSE, {"id": case.case_id, "today": today})
    session.execute(WITHDRAW, {"id": case.case_id, "today": today})


LAPSE = text("""
    WITH lapsed AS (
        UPDATE payment_promise SET state = 'lapsed', judged_on = :today WHERE case_id = :id AND state = 'open'
        RETURNING promise_id, paid_minor
    )
    INSERT INTO promise_verdict (promise_id, number, verdict, paid_minor, judged_on)
    SELECT promise_id, (SELECT count(*) + 1 FROM promise_verdict AS other WHERE other.promise_id = lapsed.promise_id),
           'lapsed', paid_minor, :today
    FROM lapsed
""")
WITHDRAW = text("""
    UPDATE dunning_letter SET withdrawn_on = :today
    WHERE case_id = :id AND sent_on IS NULL AND withdrawn_on IS NULL
""")


def _opened(
    session: Session,
    keys: Collection[Key],
    *,
    services: Services,
    late: Mapping[str, Row[Any]],
    day: date,
    now: datetime,
) -> dict[Key, Live]:
    """The live cases of these keys, locked; opened for everybody who is late. Two of us at once open one."""
    by_key: dict[Key, list[Row[Any]]] = {}
    for row in late.values():
        by_key.setdefault((row.originator_id, row.obligor_id), []).append(row)
    policies = {one: queries.policy(session, originator_id=one) for one in {key[0] for key in by_key}}
    for _ in range(ATTEMPTS):
        numbers = queries.last_numbers(session, keys=by_key)
        new = [
            _case(policies[key[0]], key, by_key[key], number + 1, services=services, day=day, now=now)
            for key in sorted(by_key)
            for number, live in [numbers.get(key, (0, False))]
            if not live
        ]
        for one in new:
            values = dict(zip(CASE, one, strict=True))
            session.execute(upsert(Case).values(values).on_conflict_do_nothing())
        cases = {case.key: case for case in queries.lock_live(session, keys=keys)}
        if cases.keys() >= by_key.keys():
            return cases
    raise RuntimeError("cases are closed faster than they can be opened")  # pragma: no cover - five times in a row


def _case(
    in_force: tuple[int, Policy],
    key: Key,
    rows: Sequence[Row[Any]],
    number: int,
    *,
    services: Services,
    day: date,
    now: datetime,
) -> tuple[object, ...]:
    version, policy = in_force
    owed: dict[str, int] = {}
    for row in rows:
        owed[row.currency] = owed.get(row.currency, 0) + row.outstanding_minor
    grades = frozenset(GRADES[row.grade] for row in rows if row.grade is not None)
    strategy = rules.choose(policy, Traits(frozenset(row.product for row in rows), grades, owed))
    case_id = new_id("cas", now=now, entropy=services.entropy, purpose=f"{key[0]}/{key[1]}/{number}")
    return (case_id, *key, number, version, strategy.code, strategy.stages[0].code, "active", day, day - DAY)


def _note(
    session: Session,
    cases: Mapping[Key, Live],
    late: Mapping[str, Row[Any]],
    said: Mapping[str, Noted],
    *,
    day: date,
) -> list[Notice]:
    """Bring assets into their cases, or what is known of them up to date; what to tell the holders of new ones."""
    ids = [case.case_id for case in cases.values()]
    present = {row.asset_id: row for row in queries.items(session, case_ids=ids)}
    rows, notices = [], []
    for asset_id, row in late.items():
        one, known = said[asset_id], present.get(asset_id)
        mark = MARK.get(one.kind)
        if known is not None:
            _renote(session, known, one, mark=mark, day=day)
        else:
            marks = (day if mark == "defaulted_on" else None, day if mark == "charged_off_on" else None)
            since = date.fromordinal(day.toordinal() - one.days_past_due)
            case_id = cases[row.originator_id, row.obligor_id].case_id
            rows.append(
                (case_id, asset_id, row.currency, row.outstanding_minor, since, day, day, row.funder_id, *marks)
            )
        if row.funder_id is not None and (known is None or known.left_on is not None):
            data = {
                "asset_id": asset_id,
                "business_date": day.isoformat(),
                "days_past_due": one.days_past_due,
                "outstanding_minor": row.outstanding_minor,
            }
            notices.append(Notice(row.funder_id, "case.opened", data))
    copy_rows(session, CaseItem.__tablename__, steps.ITEM, rows)
    return notices


def _renote(session: Session, known: Row[Any], one: Noted, *, mark: str | None, day: date) -> None:
    """An asset that is or was in the case: the newest note counts, and a default stays one."""
    values: dict[str, Any] = {}
    if day >= known.noted_on:
        values = {"late_since": date.fromordinal(day.toordinal() - one.days_past_due), "noted_on": day}
        if known.left_on is not None:
            values |= {"left_on": None, "left_because": None}
    if mark is not None and getattr(known, mark) is None:
        values[mark] = day
    if values:
        own = update(CaseItem).where(CaseItem.case_id == known.case_id, CaseItem.asset_id == known.asset_id)
        session.execute(own.values(values))


def _cure(session: Session, cases: Mapping[Key, Live], cured: Sequence[Noted], *, day: date) -> list[Notice]:
    """Let go what is not late any more, though it may be owed; its holder is told."""
    ids = {one.asset_id for one in cured}
    rows = [
        row
        for row in queries.items(session, case_ids=[case.case_id for case in cases.values()])
        if row.asset_id in ids and row.left_on is None and row.noted_on <= day
    ]
    steps.leave(session, reasons={row.asset_id: CURED for row in rows}, on=day)
    return [notice for row in rows for notice in steps.closing_notice(row, reason=CURED, on=day)]
