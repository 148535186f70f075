"""Which stage a case is in, what became of a promise, who may finish a task, and what a case ends with."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from http import HTTPStatus

from exchange.collections.policies import WEEKDAYS, Policy, Stage, Strategy, TaskTemplate
from exchange.errors import Fault, Refusal
from exchange.schedules.calendars import add_business_days
from exchange.schedules.refusals import CalendarYearUnknown

DAY = timedelta(days=1)
BPS = 10_000
AGES = (1, 16, 31, 61, 91)
"""The first day past due of each age but the youngest."""
AGE_NAMES = ("not_late", "1_15", "16_30", "31_60", "61_90", "over_90")
FINISHED = ("done", "skipped")
VERDICTS = ("approved", "declined")
OUTCOMES = ("done", "reached", "not_reached", "promise", "dispute", *VERDICTS)
ITEM_GONE = "item_closed"


class CaseClosed(Refusal):
    """Nothing is entered into a case that is closed."""

    code = "case_closed"
    title = "The case is closed"


class TaskFinished(Refusal):
    """The task is done or skipped already."""

    code = "task_finished"
    title = "The task was finished before"


class FirstTaskOpen(Refusal):
    """There is nothing to approve yet."""

    code = "first_task_open"
    title = "The task that this one approves is not done"


class SamePerson(Refusal):
    """Whoever proposed cannot approve."""

    code = "same_person"
    status = HTTPStatus.FORBIDDEN
    title = "A second client has to approve this"


class BadOutcome(Refusal):
    """The outcome does not fit the task."""

    code = "bad_outcome"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The outcome does not fit the task"


class TooManyPromises(Refusal):
    """The obligor's earlier promises are still open."""

    code = "too_many_promises"
    title = "As many promises are open as the policy allows"


class LetterGone(Refusal):
    """The letter was sent or withdrawn."""

    code = "letter_not_waiting"
    title = "The letter does not wait to be sent"


class PlanDecided(Refusal):
    """The plan was handed over or dropped, or another one for the asset is open."""

    code = "plan_decided"
    title = "The plan is not open"


class PlanOpen(Refusal):
    """One plan at a time is proposed for an asset."""

    code = "plan_open"
    title = "Another plan is proposed for the asset"


class ReferralOpen(Refusal):
    """The case is with a court or an agency already."""

    code = "referral_open"
    title = "The case is referred already"


class ReferralEnded(Refusal):
    """The referral has ended."""

    code = "referral_ended"
    title = "The referral ended before"


class NotBadDebt(Refusal):
    """Only what was charged off is given up or given to an agency."""

    code = "not_bad_debt"
    title = "The case is not a bad debt"


class ApprovalMissing(Refusal):
    """A case is given up only after two people agreed to it."""

    code = "approval_missing"
    title = "Nobody has approved a write-off in this case"


@dataclass(frozen=True, slots=True)
class Item:
    """An asset in a case, as far as stages depend on it; `left_on` is the first day without it.

    `days` are its days past due on a day, as servicing counts them.
    """

    days: Callable[[date], int]
    added_on: date
    defaulted_on: date | None = None
    charged_off_on: date | None = None
    left_on: date | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """The day on which a stage was reached for the first time, and the days past due then."""

    stage: Stage
    on: date
    days_past_due: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a promise is: open, kept since or broken since a day, with what was paid on it in time."""

    state: str
    paid_minor: int
    on: date | None


@dataclass(frozen=True, slots=True)
class Traits:
    """What the conditions of strategies look at; amounts in minor units by currency."""

    products: frozenset[str]
    grades: frozenset[str]
    outstanding: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Owed:
    """A case's asset as a promise or plan sees it. `live`: it is in the case and something is owed."""

    currency: str
    outstanding_minor: int
    live: bool


def choose(policy: Policy, traits: Traits) -> Strategy:
    """The first strategy whose conditions hold; the last one has none."""
    for strategy in policy.strategies[:-1]:
        when = strategy.when
        if when is None or (
            (not when.products or traits.products.intersection(when.products))
            and (not when.grades or traits.grades.intersection(when.grades))
            and (not when.over or any(traits.outstanding.get(o.currency, 0) >= o.amount_minor for o in when.over))
        ):
            return strategy
    return policy.strategies[-1]


def days_past_due(items: Iterable[Item], day: date) -> int:
    """Of the oldest item that is in the case that day; 0 where there is none."""
    return max((item.days(day) for item in items if _within(item, day)), default=0)


def stage_on(strategy: Strategy, items: Collection[Item], day: date) -> Stage:
    """The severest stage that holds on a day; the first one holds from the beginning."""
    days = days_past_due(items, day)
    marks = {
        mark
        for item in items
        if _within(item, day)
        for mark, since in (("default", item.defaulted_on), ("charge_off", item.charged_off_on))
        if since is not None and since <= day
    }
    holding = [
        stage
        for place, stage in enumerate(strategy.stages)
        if not place or stage.on in marks or (stage.from_days is not None and stage.from_days <= days)
    ]
    return holding[-1]


def newly_reached(
    strategy: Strategy, items: Collection[Item], *, known: Collection[str], after: date, until: date
) -> list[Reached]:
    """The stages first reached in (after, until], each on its day: the same however the days are cut into steps."""
    found: dict[str, Reached] = {}
    day = after + DAY
    while day <= until:
        stage = stage_on(strategy, items, day)
        if stage.code not in known and stage.code not in found:
            found[stage.code] = Reached(stage, day, days_past_due(items, day))
        day += DAY
    return list(found.values())


def due_on(made_on: date, task: TaskTemplate, *, calendar: str) -> date:
    """The day by which a task is to be done. In a year whose holidays are not known every weekday counts."""
    if calendar != WEEKDAYS:
        try:
            return add_business_days(made_on, task.due_days, calendar=calendar)
        except CalendarYearUnknown:
            pass
    day = made_on
    for _ in range(task.due_days):
        day += DAY
        while day.isoweekday() > 5:  # noqa: PLR2004 - Friday
            day += DAY
    return day


def judge(
    *,
    amount_minor: int,
    made_on: date,
    due_on: date,
    payments: Iterable[tuple[date, int]],
    today: date,
    grace_days: int,
) -> Verdict:
    """What a promise is today, by payments as (value date, amount): their order and when they are known do not count.

    It is kept on the value date that reaches the amount; broken the day after the grace for receipts to be known.
    """
    paid_minor = 0
    for value_date, paid in sorted(payments):
        if made_on <= value_date <= due_on:
            paid_minor += paid
            if paid_minor >= amount_minor:
                return Verdict("kept", paid_minor, value_date)
    broken_on = due_on + timedelta(days=grace_days + 1)
    return Verdict("broken", paid_minor, broken_on) if today >= broken_on else Verdict("open", paid_minor, None)


def result_of(reasons: Collection[str], *, bad_debt: bool) -> str:
    """What a case ends with whose items all left for these reasons."""
    if "written_off" in reasons:
        return "written_off"
    return "recovered" if bad_debt else "cured"


def refuse_step(
    *,
    state: str,
    step: str,
    outcome: str | None,
    second: bool,
    first_state: str | None,
    first_by: str | None,
    client_id: str,
) -> None:
    """Refuse (`TaskFinished`, `BadOutcome`, `FirstTaskOpen`, `SamePerson`) a step that a task cannot take."""
    if state in FINISHED:
        raise TaskFinished("A task is done or skipped once.", state=state)
    if step != "done":
        return
    if second != (outcome in VERDICTS):
        raise BadOutcome(f"Write {'approved or declined' if second else 'what was done'}.", faults=(_outcome(outcome),))
    if second and first_state != "done":
        raise FirstTaskOpen("What is to be approved has to be done first.", first=first_state or "missing")
    if second and first_by == client_id:
        raise SamePerson("Your client did the task that this one approves.")


def promise_faults(
    assets: Mapping[str, Owed | None],
    *,
    promised: Collection[str],
    currency: str,
    amount_minor: int,
    due: date,
    today: date,
    longest_days: int,
) -> list[Fault]:
    """Why this cannot be promised on these assets of the case, which are listed in the order of the request."""
    faults = _due_faults(due, today=today, longest_days=longest_days, at="/due_date")
    owed_minor = 0
    for place, (asset_id, asset) in enumerate(assets.items()):
        at = f"/asset_ids/{place}"
        if asset is None:
            faults.append(Fault("not_in_case", at, "this asset is not in the case", asset_id))
        elif not asset.live:
            faults.append(Fault(ITEM_GONE, at, "nothing is collected on this asset any more", asset_id))
        elif asset_id in promised:
            faults.append(Fault("already_promised", at, "an open promise is for this asset", asset_id))
        elif asset.currency != currency:
            faults.append(Fault("currency_mismatch", at, f"this asset is owed in {asset.currency}", asset_id))
        else:
            owed_minor += asset.outstanding_minor
    if not faults and amount_minor > owed_minor:
        faults.append(Fault("above_outstanding", "/amount_minor", f"no more than {owed_minor} is owed", amount_minor))
    return faults


def plan_faults(
    asset: Owed | None, asset_id: str, instalments: Sequence[tuple[date, int]], *, today: date
) -> list[Fault]:
    """Why these instalments cannot be proposed for an asset."""
    if asset is None:
        return [Fault("not_in_case", "/asset_id", "this asset is not in the case", asset_id)]
    if not asset.live:
        return [Fault(ITEM_GONE, "/asset_id", "nothing is collected on this asset any more", asset_id)]
    faults = []
    last = today
    for place, (due, _) in enumerate(instalments):
        if due <= last:
            message = f"after {last}"
            faults.append(Fault("dates_not_increasing", f"/instalments/{place}/due_date", message, due.isoformat()))
        last = due
    total_minor = sum(amount for _, amount in instalments)
    if total_minor != asset.outstanding_minor:
        message = f"the instalments have to sum to what is owed, {asset.outstanding_minor}"
        faults.append(Fault("sum_mismatch", "/instalments", message, total_minor))
    return faults


def referral_faults(*, kind: str, fee_bps: int | None, most_fee_bps: int) -> list[Fault]:
    """Why a case cannot be referred so."""
    if (kind == "agency") != (fee_bps is not None):
        return [Fault("fee_of_agency", "/fee_bps", "an agency has a fee, a court has none", fee_bps)]
    if fee_bps is not None and fee_bps > most_fee_bps:
        return [Fault("fee_too_high", "/fee_bps", f"the policy allows {most_fee_bps}", fee_bps)]
    return []


def fee_minor(collected_minor: int, fee_bps: int) -> int:
    """An agency's share of what came in, rounded down."""
    return collected_minor * fee_bps // BPS


def _within(item: Item, day: date) -> bool:
    return item.added_on <= day and (item.left_on is None or day < item.left_on)


def _due_faults(due: date, *, today: date, longest_days: int, at: str) -> list[Fault]:
    if due < today:
        return [Fault("date_in_past", at, f"not before {today}", due.isoformat())]
    if (due - today).days > longest_days:
        return [Fault("date_too_far", at, f"at most {longest_days} days from today", due.isoformat())]
    return []


def _outcome(outcome: str | None) -> Fault:
    return Fault("bad_outcome", "/outcome", "this outcome is not of this kind of task", outcome)
