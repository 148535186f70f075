"""How late obligors are followed, as data: strategies of stages and tasks, promises, how letters are written."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from exchange.errors import Fault
from exchange.receivables.schemas import Currency, Minor
from exchange.schedules.calendars import CALENDARS
from scoring.grades import NAMES as GRADES

TEAMS = ("risk", "finance", "sales", "commerce")
LETTERS = ("courtesy", "dunning_1", "dunning_2", "final_notice", "default_notice", "promise_broken")
MARKS = ("default", "charge_off")
LANGUAGES = ("zh", "en")
WEEKDAYS = "weekdays"
"""The calendar that knows no holidays: Monday to Friday."""
BROKEN_PROMISE = "broken_promise"
"""The stage under which the tasks of broken promises stand; no stage of a strategy is called so."""
BAD_DEBT = "bad_debt"

CODE = "[a-z][a-z0-9_]{0,39}"
MAX_STRATEGIES = 20
MAX_STAGES = 20
MAX_TASKS = 10
LAST_DAY = 3650
MAX_TASK_DAYS = 60
MAX_PROMISES = 20
MAX_PROMISE_DAYS = 365
MAX_REPLY_DAYS = 60

Code = Annotated[str, Meta(pattern=f"^{CODE}\\Z")]
Days = Annotated[int, Meta(ge=0, le=LAST_DAY)]


class TaskTemplate(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A task for a team, due so many business days after it is made.

    `letter`: a letter is written with it. `second_to`: other eyes approve what that task of the same stage proposes.
    """

    template: Code
    team: Literal["risk", "finance", "sales", "commerce"]
    due_days: Annotated[int, Meta(ge=0, le=MAX_TASK_DAYS)]
    letter: str | None = None
    second_to: str | None = None


class Stage(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Reached on a day past due, or when servicing notes an item's default or charge-off (`on`)."""

    code: Code
    tasks: tuple[TaskTemplate, ...]
    from_days: Days | None = None
    on: Literal["default", "charge_off"] | None = None


class Threshold(Struct, forbid_unknown_fields=True, frozen=True):
    """So much owed, or more, in one currency."""

    currency: Currency
    amount_minor: Minor


class When(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Which cases a strategy is for: every condition that is stated has to hold, each for any item of the case."""

    products: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    over: tuple[Threshold, ...] = ()


class Strategy(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Stages from mild to severe."""

    code: Code
    stages: tuple[Stage, ...]
    when: When | None = None


class Policy(Struct, forbid_unknown_fields=True, frozen=True):
    """Strategies, of which the first that fits is a case's; what is accepted as a promise; how letters are written.

    `promise_grace_days` is how long a receipt may take to be known; only its value date counts.
    """

    strategies: tuple[Strategy, ...]
    on_broken_promise: tuple[TaskTemplate, ...]
    most_open_promises: Annotated[int, Meta(ge=0, le=MAX_PROMISES)]
    longest_promise_days: Annotated[int, Meta(ge=1, le=MAX_PROMISE_DAYS)]
    promise_grace_days: Annotated[int, Meta(ge=0, le=10)]
    reply_days: Annotated[int, Meta(ge=1, le=MAX_REPLY_DAYS)]
    most_agency_fee_bps: Annotated[int, Meta(ge=0, le=10_000)]
    language: Literal["zh", "en"]
    calendar: str


def strategy_of(policy: Policy, code: str) -> Strategy:
    """The strategy of that code."""
    return next(one for one in policy.strategies if one.code == code)


def policy_faults(policy: Policy) -> list[Fault]:
    """What of a policy that fits the contract contradicts itself."""
    faults = list(_repeated([one.code for one in policy.strategies], "/strategies", "code"))
    for place, strategy in enumerate(policy.strategies):
        at, last = f"/strategies/{place}", place == len(policy.strategies) - 1
        if last and strategy.when is not None:
            message = "the last strategy takes every case that is left: leave out its conditions"
            faults.append(Fault("no_fallback", f"{at}/when", message))
        if not last and strategy.when is None:
            faults.append(Fault("never_reached", f"/strategies/{place + 1}", "the strategy before it takes every case"))
        faults += _stage_faults(strategy.stages, f"{at}/stages")
    return faults + _task_faults(policy.on_broken_promise, "/on_broken_promise")


def _stage_faults(stages: tuple[Stage, ...], at: str) -> list[Fault]:
    faults = list(_repeated([stage.code for stage in stages], at, "code"))
    days, marks = -1, -1
    for place, stage in enumerate(stages):
        if stage.code == BROKEN_PROMISE:
            faults.append(Fault("reserved_code", f"{at}/{place}/code", "this code is the house's", stage.code))
        if (stage.from_days is None) == (stage.on is None):
            faults.append(Fault("one_trigger", f"{at}/{place}", "give either from_days or on"))
        elif stage.from_days is not None:
            if stage.from_days <= days or marks >= 0:
                message = "days grow from stage to stage, and come before default and charge-off"
                faults.append(Fault("out_of_order", f"{at}/{place}/from_days", message, stage.from_days))
            days = stage.from_days
        else:
            mark = MARKS.index(str(stage.on))
            if mark <= marks or not place:
                message = "after a stage by days; default before charge-off, each once"
                faults.append(Fault("out_of_order", f"{at}/{place}/on", message, stage.on))
            marks = mark
        faults += _task_faults(stage.tasks, f"{at}/{place}/tasks")
    return faults


def _task_faults(tasks: tuple[TaskTemplate, ...], at: str) -> list[Fault]:
    faults = list(_repeated([task.template for task in tasks], at, "template"))
    before: dict[str, TaskTemplate] = {}
    for place, task in enumerate(tasks):
        first = before.get(task.second_to or "")
        if task.second_to is not None and (first is None or first.second_to is not None):
            message = "name a task before it in the same list, that is itself second to none"
            faults.append(Fault("no_first_task", f"{at}/{place}/second_to", message, task.second_to))
        before[task.template] = task
    return faults


def _repeated(codes: list[str], at: str, name: str) -> Iterator[Fault]:
    for place, code in enumerate(codes):
        if code in codes[:place]:
            yield Fault("repeated", f"{at}/{place}/{name}", "used before in this list", code)


CALL = TaskTemplate("courtesy_call", "sales", 1)
STOP = TaskTemplate("stop_deliveries", "commerce", 1)
REVIEW = TaskTemplate("review_limit", "risk", 5)
VISIT = TaskTemplate("visit", "sales", 5)


def _stages(*, first: tuple[TaskTemplate, ...], second: tuple[TaskTemplate, ...]) -> tuple[Stage, ...]:
    """The stages that all strategies of the house share: on the days of servicing's, three of grace included."""
    return (
        Stage("first", (CALL, TaskTemplate("dunning_1", "finance", 1, letter="dunning_1"), *first), from_days=4),
        Stage("second", (TaskTemplate("dunning_2", "finance", 1, letter="dunning_2"), *second), from_days=19),
        Stage("third", (VISIT, REVIEW), from_days=34),
        Stage(
            "final",
            (
                TaskTemplate("final_notice", "finance", 1, letter="final_notice"),
                TaskTemplate("legal_check", "risk", 10),
            ),
            from_days=64,
        ),
        Stage("near_breach", (TaskTemplate("last_call", "sales", 1), TaskTemplate("plan", "risk", 3)), from_days=78),
        Stage(
            "default",
            (
                TaskTemplate("default_notice", "finance", 1, letter="default_notice"),
                TaskTemplate("recourse", "risk", 3),
            ),
            on="default",
        ),
        Stage(
            BAD_DEBT,
            (
                TaskTemplate("write_off_proposal", "risk", 5),
                TaskTemplate("write_off_approval", "finance", 10, second_to="write_off_proposal"),
                TaskTemplate("legal_action", "risk", 10),
            ),
            on="charge_off",
        ),
    )


HOUSE = Policy(
    strategies=(
        Strategy(
            "risky", _stages(first=(STOP,), second=(TaskTemplate("review_early", "risk", 2),)), When(grades=GRADES[-2:])
        ),
        Strategy("standard", _stages(first=(), second=(STOP,))),
    ),
    on_broken_promise=(
        TaskTemplate("call_back", "finance", 1),
        TaskTemplate("promise_broken", "finance", 1, letter="promise_broken"),
    ),
    most_open_promises=2,
    longest_promise_days=30,
    promise_grace_days=1,
    reply_days=7,
    most_agency_fee_bps=3_000,
    language="zh",
    calendar="CN",
)
"""The policy where an originator has none of its own: version 0."""

CALENDAR_NAMES = (WEEKDAYS, *CALENDARS)
