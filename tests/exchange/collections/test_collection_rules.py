"""Stages, promises, tasks and policies as rules: by property, and each refusal by its code."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from exchange.collections import rules
from exchange.collections.policies import (
    HOUSE,
    Policy,
    Stage,
    Strategy,
    TaskTemplate,
    Threshold,
    When,
    policy_faults,
    strategy_of,
)
from exchange.collections.rules import DAY, Item, Owed, Traits
from exchange.errors import Refusal

START = date(2026, 3, 2)
STANDARD = strategy_of(HOUSE, "standard")
CODES = [stage.code for stage in STANDARD.stages]
days = st.integers(0, 160)


def item(
    late: int, *, added: int = 0, default: int | None = None, off: int | None = None, left: int | None = None
) -> Item:
    """An asset that was due `late` days before the start; the other days are counted from the start."""
    since = START - late * DAY
    moments = [None if one is None else START + one * DAY for one in (default, off, left)]
    return Item(lambda day: (day - since).days, START + added * DAY, *moments)


items = st.lists(
    st.builds(
        item,
        st.integers(-20, 40),
        added=st.integers(0, 60),
        default=st.none() | st.integers(0, 120),
        off=st.none() | st.integers(0, 150),
        left=st.none() | st.integers(0, 150),
    ),
    max_size=4,
)


@given(items, days, st.data())
@settings(max_examples=60)
def test_cut_into_steps_as_you_like(found: list[Item], until: int, data: st.DataObject) -> None:
    """Days judged one by one, in lumps or all at once reach the same stages on the same days."""
    reach = partial(rules.newly_reached, STANDARD, found)
    whole = reach(known=(), after=START - DAY, until=START + until * DAY)
    cuts = sorted(data.draw(st.lists(st.integers(0, until), max_size=5)))
    parts: list[rules.Reached] = []
    after = START - DAY
    for cut in [*cuts, until]:
        end = START + cut * DAY
        parts += reach(known=[one.stage.code for one in parts], after=after, until=end)
        after = end
    assert parts == whole
    assert [rules.stage_on(STANDARD, found, one.on) for one in whole] == [one.stage for one in whole]


@given(items, days)
@settings(max_examples=60)
def test_a_stage_is_of_the_worst_item(found: list[Item], day: int) -> None:
    """A case is in the severest of the stages its items would be in alone, and never goes back by waiting."""
    on = START + day * DAY
    places = [CODES.index(rules.stage_on(STANDARD, [one], on).code) for one in found]
    assert CODES.index(rules.stage_on(STANDARD, found, on).code) == max(places, default=0)
    stay = [structs_without_left(one) for one in found]
    first, later = (CODES.index(rules.stage_on(STANDARD, stay, on + n * DAY).code) for n in (0, 7))
    assert later >= first


def structs_without_left(one: Item) -> Item:
    """The same item, never left."""
    return Item(one.days, one.added_on, one.defaulted_on, one.charged_off_on)


def test_the_days_of_the_house() -> None:
    """The shipped strategy enters its stages on servicing's days: grace of three days included."""
    found = [item(0, default=93, off=123)]
    reached = rules.newly_reached(STANDARD, found, known=(), after=START + 3 * DAY, until=START + 130 * DAY)
    seen = {one.stage.code: (one.on - START).days for one in reached}
    assert seen == {
        "first": 4,
        "second": 19,
        "third": 34,
        "final": 64,
        "near_breach": 78,
        "default": 93,
        "bad_debt": 123,
    }
    assert all(one.days_past_due == (one.on - START).days for one in reached)
    assert policy_faults(HOUSE) == []


def test_a_late_start_skips_what_is_past() -> None:
    """A case that is opened at day 70 gets its final notice, and no courtesy call."""
    reached = rules.newly_reached(STANDARD, [item(70)], known=(), after=START - DAY, until=START)
    assert [one.stage.code for one in reached] == ["final"]


payments = st.lists(st.tuples(st.integers(-3, 20).map(lambda n: START + n * DAY), st.integers(1, 500)), max_size=6)


@given(payments, st.integers(0, 15), st.integers(1, 1000), st.integers(0, 30), st.integers(0, 3), st.randoms())
@settings(max_examples=100)
def test_a_promise_is_judged_by_value_dates(
    paid: list[tuple[date, int]], term: int, amount: int, today: int, grace: int, random: Random
) -> None:
    """Kept exactly if enough came in from its day to its due date, in whatever order that was entered."""
    due, on = START + term * DAY, START + today * DAY
    judge = partial(rules.judge, amount_minor=amount, made_on=START, due_on=due, today=on, grace_days=grace)
    verdict = judge(payments=paid)
    shuffled = list(paid)
    random.shuffle(shuffled)
    assert judge(payments=shuffled).state == verdict.state
    in_time = sum(minor for day, minor in paid if START <= day <= due)
    expected = "kept" if in_time >= amount else "broken" if on > due + grace * DAY else "open"
    assert verdict.state == expected
    assert verdict.on is None if expected == "open" else verdict.on is not None
    if expected == "broken":
        assert (verdict.on, verdict.paid_minor) == (due + (grace + 1) * DAY, in_time)
    if expected == "kept":
        kept_on = verdict.on or due
        before = sum(minor for day, minor in paid if START <= day < kept_on)
        assert before < amount <= sum(minor for day, minor in paid if START <= day <= kept_on)


def test_business_days() -> None:
    """Holidays and worked weekends count where they are known; Monday to Friday where they are not."""
    three = TaskTemplate("call", "sales", 3)
    friday = date(2026, 2, 13)  # the spring festival follows; Saturday the 14th is worked
    assert rules.due_on(friday, three, calendar="CN") == date(2026, 2, 25)
    assert rules.due_on(friday, three, calendar="weekdays") == date(2026, 2, 18)
    unknown = date(2031, 2, 14)
    assert rules.due_on(unknown, three, calendar="CN") == rules.due_on(unknown, three, calendar="weekdays")
    assert rules.due_on(date(2026, 3, 7), TaskTemplate("call", "sales", 0), calendar="weekdays") == date(2026, 3, 7)


def test_which_strategy() -> None:
    """The first whose every condition holds for some item; else the last."""
    stages = (Stage("first", (), from_days=1),)
    over = (Threshold("CNY", 100), Threshold("USD", 10))
    policy = structs.replace(
        HOUSE,
        strategies=(
            Strategy("lease", stages, When(products=("equipment_lease",), over=over)),
            Strategy("risky", stages, When(grades=("D1", "D2"))),
            Strategy("rest", stages),
        ),
    )

    def chosen(products: set[str], grades: set[str], **owed: int) -> str:
        return rules.choose(policy, Traits(frozenset(products), frozenset(grades), owed)).code

    assert chosen({"equipment_lease"}, set(), CNY=100) == "lease"
    assert chosen({"equipment_lease", "working_capital"}, {"D2"}, USD=10) == "lease"
    assert chosen({"equipment_lease"}, {"D2"}, CNY=99, EUR=1000) == "risky"
    assert chosen({"working_capital"}, {"A1"}, CNY=10**9) == "rest"


TASK = TaskTemplate("one", "risk", 1)
SECOND = TaskTemplate("two", "finance", 1, second_to="one")


def with_stages(*stages: Stage) -> Policy:
    """The house's policy with one strategy of these stages."""
    return structs.replace(HOUSE, strategies=(Strategy("only", stages),))


def by_days(code: str, from_days: int, *tasks: TaskTemplate) -> Stage:
    """A stage by days."""
    return Stage(code, tasks, from_days=from_days)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (with_stages(by_days("a", 1), by_days("a", 2)), ("repeated", "/strategies/0/stages/1/code")),
        (with_stages(by_days("a", 5), by_days("b", 5)), ("out_of_order", "/strategies/0/stages/1/from_days")),
        (with_stages(Stage("a", (), on="default")), ("out_of_order", "/strategies/0/stages/0/on")),
        (
            with_stages(by_days("a", 1), Stage("b", (), on="default"), by_days("c", 9)),
            ("out_of_order", "/strategies/0/stages/2/from_days"),
        ),
        (
            with_stages(by_days("a", 1), Stage("b", (), on="charge_off"), Stage("c", (), on="default")),
            ("out_of_order", "/strategies/0/stages/2/on"),
        ),
        (with_stages(Stage("a", ())), ("one_trigger", "/strategies/0/stages/0")),
        (with_stages(Stage("a", (), from_days=1, on="default")), ("one_trigger", "/strategies/0/stages/0")),
        (with_stages(by_days("broken_promise", 1)), ("reserved_code", "/strategies/0/stages/0/code")),
        (with_stages(by_days("a", 1, TASK, TASK)), ("repeated", "/strategies/0/stages/0/tasks/1/template")),
        (with_stages(by_days("a", 1, SECOND, TASK)), ("no_first_task", "/strategies/0/stages/0/tasks/0/second_to")),
        (
            with_stages(by_days("a", 1, TASK, SECOND, TaskTemplate("x", "risk", 1, second_to="two"))),
            ("no_first_task", "/strategies/0/stages/0/tasks/2/second_to"),
        ),
        (
            structs.replace(HOUSE, strategies=(Strategy("a", STANDARD.stages, When(grades=("A1",))),)),
            ("no_fallback", "/strategies/0/when"),
        ),
        (
            structs.replace(HOUSE, strategies=(Strategy("a", STANDARD.stages), Strategy("b", STANDARD.stages))),
            ("never_reached", "/strategies/1"),
        ),
        (structs.replace(HOUSE, on_broken_promise=(SECOND,)), ("no_first_task", "/on_broken_promise/0/second_to")),
    ],
)
def test_policies_that_contradict_themselves(policy: Policy, expected: tuple[str, str]) -> None:
    """Each is named by a code, and where it stands."""
    assert [(fault.code, fault.pointer) for fault in policy_faults(policy)] == [expected]


def test_a_right_second_task() -> None:
    """A task may be second to one before it."""
    assert policy_faults(with_stages(by_days("a", 1, TASK, SECOND))) == []


def step(**changes: object) -> Callable[[], None]:
    """A step of a task that is right unless it is changed."""
    right: dict[str, Any] = {
        "state": "open",
        "step": "done",
        "outcome": "reached",
        "second": False,
        "first_state": None,
        "first_by": None,
        "client_id": "me",
    }
    return partial(rules.refuse_step, **(right | changes))


APPROVING = {"second": True, "outcome": "approved", "first_state": "done", "first_by": "you"}


def test_steps_of_a_task() -> None:
    """What may be done is done."""
    for right in (step(), step(state="started"), step(step="skipped", outcome=None), step(**APPROVING)):
        right()
    step(step="assigned", outcome=None, second=True)()


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (step(state="done"), "task_finished"),
        (step(state="skipped", step="assigned"), "task_finished"),
        (step(outcome="approved"), "bad_outcome"),
        (step(**(APPROVING | {"outcome": "reached"})), "bad_outcome"),
        (step(**(APPROVING | {"first_state": "open"})), "first_task_open"),
        (step(**(APPROVING | {"first_state": None})), "first_task_open"),
        (step(**(APPROVING | {"first_by": "me"})), "same_person"),
    ],
)
def test_steps_that_are_refused(refused: Callable[[], None], code: str) -> None:
    """Finished once; an approval after what it approves, by other eyes."""
    with pytest.raises(Refusal) as caught:
        refused()
    assert caught.value.code == code


def test_what_can_be_promised() -> None:
    """Only what the case still asks for, in its currency, no more than is owed, within the policy's days."""
    owed = {
        "a": Owed("CNY", 100, live=True),
        "b": Owed("CNY", 100, live=False),
        "c": Owed("USD", 100, live=True),
        "d": Owed("CNY", 50, live=True),
        "e": None,
    }

    def faults(*names: str, amount: int = 100, term: int = 3) -> list[tuple[str, str]]:
        found = rules.promise_faults(
            {name: owed[name] for name in names},
            promised={"d"},
            currency="CNY",
            amount_minor=amount,
            due=START + term * DAY,
            today=START,
            longest_days=30,
        )
        return [(fault.code, fault.pointer) for fault in found]

    assert faults("a") == []
    assert faults("a", amount=101) == [("above_outstanding", "/amount_minor")]
    assert faults("a", term=-1) == [("date_in_past", "/due_date")]
    assert faults("a", term=31) == [("date_too_far", "/due_date")]
    assert [code for code, _ in faults("b", "c", "d", "e")] == [
        "item_closed",
        "currency_mismatch",
        "already_promised",
        "not_in_case",
    ]


def test_what_can_be_planned() -> None:
    """Instalments after today, in order, that sum to what is owed."""
    owed = Owed("CNY", 100, live=True)

    def codes(asset: Owed | None, *parts: tuple[int, int]) -> list[str]:
        instalments = [(START + timedelta(days=day), amount) for day, amount in parts]
        return [fault.code for fault in rules.plan_faults(asset, "a", instalments, today=START)]

    assert codes(owed, (1, 60), (9, 40)) == []
    assert codes(owed, (0, 60), (9, 40)) == ["dates_not_increasing"]
    assert codes(owed, (9, 60), (9, 40)) == ["dates_not_increasing"]
    assert codes(owed, (1, 60), (9, 41)) == ["sum_mismatch"]
    assert codes(None, (1, 100)) == ["not_in_case"]
    assert codes(Owed("CNY", 0, live=False), (1, 100)) == ["item_closed"]


def test_referrals_and_fees() -> None:
    """An agency has a fee that the policy allows, a court has none; a fee is rounded down."""

    def codes(kind: str, fee_bps: int | None) -> list[str]:
        return [fault.code for fault in rules.referral_faults(kind=kind, fee_bps=fee_bps, most_fee_bps=3000)]

    assert codes("legal", None) == codes("agency", 3000) == codes("agency", 0) == []
    assert codes("legal", 0) == codes("agency", None) == ["fee_of_agency"]
    assert codes("agency", 3001) == ["fee_too_high"]
    assert rules.fee_minor(9_999, 1_500) == 1_499


def test_how_cases_end() -> None:
    """A write-off decides; what was a bad debt is recovered."""
    assert rules.result_of({"settled", "cured"}, bad_debt=False) == "cured"
    assert rules.result_of({"settled"}, bad_debt=True) == "recovered"
    assert rules.result_of({"settled", "written_off"}, bad_debt=True) == "written_off"
