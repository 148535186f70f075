"""The day of a case: who paid or was split, which stage is reached, what was promised, which letters are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Row, text, update
from sqlalchemy.orm import Session

from exchange.callbacks.actions import Notice, tell_many
from exchange.collections import queries, rules
from exchange.collections.letters import Broken
from exchange.collections.models import CaseItem, CaseStage, Promise, PromiseVerdict
from exchange.collections.policies import BAD_DEBT, BROKEN_PROMISE, Policy, Strategy, strategy_of
from exchange.collections.queries import Live
from exchange.collections.rules import DAY, Item, Verdict
from exchange.collections.writing import Wanted, make_tasks, rewrite, withdraw
from exchange.db import copy_rows
from exchange.services import Services
from exchange.servicing.rules import Clock, standing

ITEM = (
    "case_id",
    "asset_id",
    "currency",
    "added_minor",
    "late_since",
    "added_on",
    "noted_on",
    "funder_id",
    "defaulted_on",
    "charged_off_on",
)


@dataclass(slots=True)
class Book:
    """What is read of a case before it is judged."""

    case: Live
    policy: Policy
    strategy: Strategy
    rows: list[Row[Any]]
    known: set[str]
    promises: list[Row[Any]]
    clocks: dict[str, Clock]
    until: date
    left: dict[str, str] = field(default_factory=dict)

    @property
    def live(self) -> list[Row[Any]]:
        """The assets that are in the case."""
        return [row for row in self.rows if row.left_on is None and row.asset_id not in self.left]

    def items(self) -> list[Item]:
        """The assets that are or were in the case, as stages depend on them."""
        return [
            Item(
                days=partial(late_days, self.clocks[row.asset_id]),
                added_on=row.added_on,
                defaulted_on=row.defaulted_on,
                charged_off_on=row.charged_off_on,
                left_on=self.until if row.asset_id in self.left else row.left_on,
            )
            for row in self.rows
        ]


class _End(NamedTuple):
    """Where a case stands at the end of a day."""

    stage: str
    state: str
    result: str | None


def advance(session: Session, *, services: Services, cases: Sequence[Live], day: date, now: datetime) -> None:
    """Judge cases (locked) for a day, for those before it that were missed, and again for those since.

    Days that were missed give what they would have given, each on its own date; what is known by now counts.
    """
    ids = [case.case_id for case in cases]
    _replace_split(session, ids, day=day)
    books = _books(session, cases, day=day, time_zone=services.settings.time_zone)
    notices = [notice for book in books for notice in _leave(session, book)]
    withdraw(session, case_ids=ids, on=day)
    wanted = [one for book in books for one in _reach(session, book, day=day)]
    for book in books:
        broken, told = _judge(session, book)
        wanted += broken
        notices += told
    make_tasks(session, services=services, wanted=wanted, now=now)
    rewrite(session, services=services, cases=cases, on=day, now=now)
    _finish(session, books)
    tell_many(session, notices=notices, now=now)


def closing_notice(row: Row[Any], *, reason: str, on: date) -> list[Notice]:
    """Tell whoever holds an asset, or held it to its end, that it is not followed any more."""
    if row.holder_id is None:
        return []
    data = {"asset_id": row.asset_id, "business_date": on.isoformat(), "reason": reason}
    return [Notice(row.holder_id, "case.closed", data)]


def late_days(clock: Clock, day: date) -> int:
    """The days past due at the end of a day, as servicing counts them."""
    return standing(clock, day).days_past_due


def _books(session: Session, cases: Sequence[Live], *, day: date, time_zone: str) -> list[Book]:
    ids = [case.case_id for case in cases]
    known = queries.stages(session, case_ids=ids)
    policies: dict[tuple[str, int], Policy] = {}
    by_case: dict[str, tuple[list[Row[Any]], list[Row[Any]]]] = {one: ([], []) for one in ids}
    for row in queries.items(session, case_ids=ids):
        by_case[row.case_id][0].append(row)
    for row in queries.promises(session, case_ids=ids):
        by_case[row.case_id][1].append(row)
    asset_ids = sorted({row.asset_id for rows, _ in by_case.values() for row in rows})
    clocks = queries.clocks(session, asset_ids=asset_ids, time_zone=time_zone)
    books = []
    for case in cases:
        place = (case.originator_id, case.policy_version)
        if place not in policies:
            policies[place] = queries.policy(session, originator_id=place[0], version=place[1])[1]
        rows, promises = by_case[case.case_id]
        strategy = strategy_of(policies[place], case.strategy)
        until = max(day, case.stepped_on)
        known_here = known.get(case.case_id, set())
        books.append(Book(case, policies[place], strategy, rows, known_here, promises, clocks, until))
    return books


def _replace_split(session: Session, case_ids: Sequence[str], *, day: date) -> None:
    """The parts of an asset that was split stand in its place, in the case and in what was promised."""
    rows = {
        row.asset_id: row
        for row in queries.items(session, case_ids=case_ids)
        if row.left_on is None and row.state == "split"
    }
    if not rows:
        return
    parts = queries.parts(session, asset_ids=sorted(rows))
    new = []
    for part in parts:
        whole = rows[part.origin_id]
        since = (whole.late_since, day, whole.noted_on)
        marks = (whole.defaulted_on, whole.charged_off_on)
        new.append(
            (whole.case_id, part.asset_id, whole.currency, part.outstanding_minor, *since, part.funder_id, *marks)
        )
    leave(session, reasons=dict.fromkeys(sorted(rows), "split"), on=day)
    copy_rows(session, CaseItem.__tablename__, ITEM, new)
    promised = text("""
        INSERT INTO promised_asset (promise_id, asset_id)
        SELECT promise_id, part.asset_id FROM promised_asset
        JOIN payment_promise USING (promise_id)
        JOIN unnest(cast(:origins AS text[]), cast(:parts AS text[])) AS part(origin_id, asset_id)
            ON part.origin_id = promised_asset.asset_id
        WHERE payment_promise.state = 'open'
        ON CONFLICT DO NOTHING
    """)
    origins = [part.origin_id for part in parts]
    session.execute(promised, {"origins": origins, "parts": [part.asset_id for part in parts]})


def _leave(session: Session, book: Book) -> list[Notice]:
    """Let go what is owed no more, or not late any more, and tell its holder; bring the rest up to date."""
    notices: list[Notice] = []
    for row in book.live:
        days = late_days(book.clocks[row.asset_id], book.until)
        if row.outstanding_minor == 0:
            book.left[row.asset_id] = "written_off" if row.written_off else "settled"
        elif days <= 0:
            book.left[row.asset_id] = "cured"
        since, holder_id = book.until - days * DAY, row.holder_id or row.funder_id
        if row.asset_id in book.left:
            notices += closing_notice(row, reason=book.left[row.asset_id], on=book.until)
        elif (since, holder_id) != (row.late_since, row.funder_id):
            own = update(CaseItem).where(CaseItem.asset_id == row.asset_id, CaseItem.left_on.is_(None))
            session.execute(own.values(late_since=since, funder_id=holder_id))
    leave(session, reasons=book.left, on=book.until)
    return notices


def _reach(session: Session, book: Book, *, day: date) -> list[Wanted]:
    """The stages that are new, and the tasks they ask for."""
    case, after = book.case, min(book.case.stepped_on, day - DAY)
    found = rules.newly_reached(book.strategy, book.items(), known=book.known, after=after, until=book.until)
    rows = [(case.case_id, one.stage.code, one.on, one.days_past_due) for one in found]
    copy_rows(session, CaseStage.__tablename__, ("case_id", "stage", "reached_on", "days_past_due"), rows)
    return [Wanted(case, book.policy, one.stage.code, task, one.on) for one in found for task in one.stage.tasks]


def _judge(session: Session, book: Book) -> tuple[list[Wanted], list[Notice]]:
    """Keep a verdict on every promise that is not what it was; a broken one has tasks, and its holders are told."""
    wanted: list[Wanted] = []
    notices: list[Notice] = []
    for promise in book.promises:
        verdict = _verdict(book, promise)
        if (verdict.state, verdict.paid_minor) == (promise.state, promise.paid_minor):
            continue
        _keep_verdict(session, promise.promise_id, verdict, day=book.until)
        if verdict.state == "broken" != promise.state and book.live:
            broken = Broken(promise.due_on, promise.currency, promise.amount_minor)
            on = verdict.on or book.until
            wanted += [
                Wanted(book.case, book.policy, BROKEN_PROMISE, task, on, promise.promise_id, broken)
                for task in book.policy.on_broken_promise
            ]
            notices += _broken_notices(book, promise, verdict)
    return wanted, notices


def _verdict(book: Book, promise: Row[Any]) -> Verdict:
    """A promise in a case that ends before its day, otherwise than by payment, lapses."""
    if promise.state == "lapsed":
        return Verdict("lapsed", promise.paid_minor, promise.judged_on)
    verdict = rules.judge(
        amount_minor=promise.amount_minor,
        made_on=promise.made_on,
        due_on=promise.due_on,
        payments=zip(promise.value_dates, promise.amounts, strict=True),
        today=book.until,
        grace_days=book.policy.promise_grace_days,
    )
    if verdict.state == "open" and not book.live:
        return Verdict("lapsed", verdict.paid_minor, book.until)
    return verdict


def _keep_verdict(session: Session, promise_id: str, verdict: Verdict, *, day: date) -> None:
    values = {"state": verdict.state, "paid_minor": verdict.paid_minor, "judged_on": verdict.on}
    session.execute(update(Promise).where(Promise.promise_id == promise_id).values(values))
    count = text("SELECT count(*) + 1 FROM promise_verdict WHERE promise_id = :id")
    number = session.execute(count, {"id": promise_id}).scalar_one()
    row = (promise_id, number, verdict.state, verdict.paid_minor, verdict.on or day)
    columns = ("promise_id", "number", "verdict", "paid_minor", "judged_on")
    copy_rows(session, PromiseVerdict.__tablename__, columns, [row])


def _broken_notices(book: Book, promise: Row[Any], verdict: Verdict) -> list[Notice]:
    """Each holder learns of its own assets; amounts only where the promise was for nobody else's."""
    holders: dict[str | None, list[str]] = {}
    for row in book.rows:
        if row.asset_id in promise.asset_ids:
            holders.setdefault(row.holder_id, []).append(row.asset_id)
    notices = []
    for holder_id, asset_ids in holders.items():
        if holder_id is not None:
            data: dict[str, Any] = {"asset_ids": asset_ids, "due_date": promise.due_on.isoformat()}
            if len(holders) == 1:
                amounts = {"amount_minor": promise.amount_minor, "paid_minor": verdict.paid_minor}
                data |= {"currency": promise.currency} | amounts
            notices.append(Notice(holder_id, "promise.broken", data))
    return notices


def _finish(session: Session, books: Sequence[Book]) -> None:
    """Where the cases stand at the end of the day; one that nothing is left in is closed."""
    ends = [_end(book) for book in books]
    stand = text("""
        UPDATE collection_case SET stage = now.stage, state = now.state, stepped_on = now.day, result = now.result,
               closed_on = CASE WHEN now.state = 'closed' THEN now.day END
        FROM unnest(cast(:ids AS text[]), cast(:stages AS text[]), cast(:states AS text[]), cast(:results AS text[]),
                    cast(:days AS date[])) AS now(case_id, stage, state, result, day)
        WHERE collection_case.case_id = now.case_id
    """)
    parameters = {
        "ids": [book.case.case_id for book in books],
        "stages": [end.stage for end in ends],
        "states": [end.state for end in ends],
        "results": [end.result for end in ends],
        "days": [book.until for book in books],
    }
    session.execute(stand, parameters)


def _end(book: Book) -> _End:
    case, items = book.case, book.items()
    bad_debt = case.state == BAD_DEBT or any(one.charged_off_on and one.charged_off_on <= book.until for one in items)
    if book.live:
        stage = rules.stage_on(book.strategy, items, book.until).code
        return _End(stage, BAD_DEBT if bad_debt else "active", None)
    reasons = {book.left.get(row.asset_id, row.left_because) for row in book.rows}
    return _End(case.stage, "closed", rules.result_of(reasons, bad_debt=bad_debt))


def leave(session: Session, *, reasons: Mapping[str, str], on: date) -> None:
    """Take assets out of their cases, each for its reason."""
    gone = text("""
        UPDATE case_item SET left_on = greatest(:day, added_on), left_because = gone.reason
        FROM unnest(cast(:ids AS text[]), cast(:reasons AS text[])) AS gone(asset_id, reason)
        WHERE case_item.asset_id = gone.asset_id AND left_on IS NULL
    """)
    if reasons:
        session.execute(gone, {"ids": list(reasons), "reasons": list(reasons.values()), "day": on})
