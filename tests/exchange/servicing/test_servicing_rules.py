"""How an asset performs: against a plain day-by-day account of it, and in whatever order things became known."""

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exchange.schedules.calendars import Convention
from exchange.schedules.schedule import bullet, explicit
from exchange.servicing import effects, rules, terms
from exchange.servicing.effects import Changes, Noted
from exchange.servicing.rules import Agreed, Clock, Movement, Pause, Rule, Tag, history, reminders, standing
from exchange.servicing.terms import STANDARD, Bucket, PolicyRefused, Terms, check, ladder

DUE = date(2026, 5, 1)
BY_DAY = {
    -7: "reminder_7",
    -3: "reminder_3",
    -1: "reminder_1",
    0: "reminder_0",
    4: "late_1",
    19: "late_16",
    34: "late_31",
    64: "late_61",
    78: "near_breach",
    93: "default",
    123: "charge_off",
}
FACE = 100
WEEKDAYS = Terms(calendar="CN", convention=Convention.FOLLOWING)
QUICK = Terms(grace_days=0, buckets=(Bucket(1, 9), Bucket(10)), near_breach_day=5, default_day=20, charge_off_day=30)


def clock(**changes: Any) -> Clock:  # noqa: ANN401 - any part of a clock
    """A bullet of 100 due on the first of May, listed long before; `changes` make it otherwise."""
    plain = Clock(
        listed_on=date(2026, 3, 2), face_minor=FACE, schedules=(Agreed(date.min, bullet(DUE, amount_minor=FACE)),)
    )
    return replace(plain, **changes)


def day(number: int) -> date:
    """So many days after the due date."""
    return DUE + timedelta(days=number)


def told(one: Clock, until: int = 200) -> list[tuple[int, str]]:
    """The history as days after the due date and kinds."""
    return [((tag.day - DUE).days, tag.kind) for tag in history(one, until=day(until))]


def test_the_days_by_hand() -> None:
    """Three days of grace, buckets from then on, near breach 75, default 90 and charge-off 120 days after the grace."""
    assert told(clock()) == [(number, kind) for number, kind in BY_DAY.items() if number > 0]
    reminded = [(number, tag.kind) for number in range(-60, 60) for tag in reminders(clock(), day=day(number))]
    assert reminded == [(number, kind) for number, kind in BY_DAY.items() if number <= 0]


def test_a_payment_on_time_leaves_nothing_and_a_late_one_cures() -> None:
    """Days past due and amount stand with each tag."""
    assert told(clock(movements=(Movement(day(3), FACE),))) == []
    late = history(clock(movements=(Movement(day(10), 40), Movement(day(20), 60))), until=day(99))
    assert late == [
        Tag(day(4), "late_1", 4, 100),
        Tag(day(19), "late_16", 19, 60),
        Tag(day(20), "cured", 0, 0),
    ]


def test_a_payment_taken_back_makes_it_as_late_as_its_date_says() -> None:
    """It was paid in between: what is late after that begins where the due date puts it, consequences included."""
    one = clock(movements=(Movement(day(2), FACE), Movement(day(110), -FACE)))
    assert told(one) == [(110, "default"), (123, "charge_off")]


def test_a_pause_stops_the_count_and_it_goes_on_from_there() -> None:
    """Ten days of pause move everything after them by ten days; before and in it nothing happens."""
    paused = clock(pauses=(Pause(day(10), day(20)),))
    assert told(paused) == [(4, "late_1"), *((number + 10, kind) for number, kind in BY_DAY.items() if number > 10)]
    twice = clock(pauses=(Pause(day(10), day(20)), Pause(day(12), day(20))))
    assert told(twice) == told(paused)
    early = clock(pauses=(Pause(day(-8), day(0)),))
    assert [number for number in range(-9, 2) if reminders(early, day=day(number))] == [0]
    assert standing(paused, day(15)).days_past_due == 9


def test_a_reset_begins_anew() -> None:
    """From the day of the reset on nothing is past due; the count begins again the day after."""
    assert told(clock(resets=(day(40),)), 80)[2:] == [
        (34, "late_31"),
        (40, "cured"),
        (44, "late_1"),
        (59, "late_16"),
        (74, "late_31"),
    ]


def test_a_reschedule_counts_from_its_day() -> None:
    """What was late before stays noted; afterwards the new dates count."""
    later = explicit([(day(50), 30), (day(80), 70)])
    one = clock(schedules=(*clock().schedules, Agreed(day(25), later)), movements=(Movement(day(51), 30),))
    assert told(one, 90) == [(4, "late_1"), (19, "late_16"), (25, "cured"), (84, "late_1")]


def test_instalments_are_late_one_by_one() -> None:
    """The oldest one that is owed counts; once it is paid, the next."""
    plan = explicit([(day(0), 30), (day(30), 30), (day(60), 40)])
    one = clock(schedules=(Agreed(date.min, plan),), movements=(Movement(day(40), 30), Movement(day(41), 30)))
    assert told(one, 70) == [
        (4, "late_1"),
        (19, "late_16"),
        (34, "late_31"),
        (40, "late_1"),
        (41, "cured"),
        (64, "late_1"),
    ]
    assert [tag.kind for tag in reminders(one, day=day(29))] == ["reminder_1"]
    assert [tag.kind for tag in reminders(one, day=day(53))] == ["reminder_7"]


def test_whoever_is_listed_late_is_late_from_that_day() -> None:
    """The history begins with the listing: with the stage it is in, and those with consequences."""
    assert told(clock(listed_on=day(17)))[:2] == [(17, "late_1"), (19, "late_16")]
    assert told(clock(listed_on=day(150))) == [(150, "default"), (150, "charge_off")]


def test_a_policy_counts_from_its_day() -> None:
    """A stricter policy takes an asset further down on the day it comes into force; a milder one lets it up."""
    one = clock(rules=(Rule(date.min, STANDARD), Rule(day(10), QUICK), Rule(day(40), STANDARD)))
    assert told(one, 70) == [
        (4, "late_1"),
        (10, "late_10"),
        (20, "default"),
        (30, "charge_off"),
        (40, "late_31"),
        (64, "late_61"),
    ]


def test_a_calendar_moves_what_falls_on_a_holiday() -> None:
    """The first of May 2026 is a holiday in China up to the fifth: all is counted from the sixth."""
    one = clock(rules=(Rule(date.min, WEEKDAYS),))
    assert told(one, 10) == [(9, "late_1")]
    assert [number for number in range(-9, 9) for _ in reminders(one, day=day(number))] == [-2, 2, 4, 5]
    far = clock(schedules=(Agreed(date.min, bullet(date(2099, 5, 1), amount_minor=FACE)),), rules=one.rules)
    assert [tag.kind for tag in reminders(far, day=date(2099, 4, 30))] == ["reminder_1"]


days = st.integers(-20, 160)
movements = st.lists(st.builds(lambda at, amount: Movement(day(at), amount), days, st.integers(-60, 70)), max_size=5)
pauses = st.lists(st.builds(lambda at, length: Pause(day(at), day(at + length)), days, st.integers(1, 30)), max_size=3)
plans = st.lists(days, min_size=1, max_size=3, unique=True).map(
    lambda dates: explicit(
        (day(one), FACE // len(dates) + (FACE % len(dates) if n == 0 else 0)) for n, one in enumerate(sorted(dates))
    )
)
clocks = st.builds(
    clock,
    listed_on=days.map(day),
    schedules=st.builds(
        lambda first, change: (Agreed(date.min, first), *change),
        plans,
        st.lists(st.builds(Agreed, days.map(day), plans), max_size=1),
    ),
    movements=movements.map(tuple),
    pauses=pauses.map(tuple),
    resets=st.lists(days.map(day), max_size=2).map(tuple),
    rules=st.lists(days, max_size=1).map(lambda at: (Rule(date.min, STANDARD), *(Rule(day(one), QUICK) for one in at))),
)


def by_day(one: Clock, until: date) -> list[tuple[date, str]]:
    """The same history by looking at every single day: slow, and nothing but the definition."""
    found, before = [], None
    at = one.listed_on
    while at <= until:
        plan = [agreed.schedule for agreed in one.schedules if agreed.start <= at][-1]
        policy = [rule.terms for rule in one.rules if rule.start <= at][-1]
        owed = max(one.face_minor - sum(moved.amount_minor for moved in one.movements if moved.day <= at), 0)
        total = sum(part.amount_minor for part in plan)
        left, since = max(total - owed, 0), None
        for part in plan if owed else ():
            left -= part.amount_minor
            if left < 0 and since is None:
                since = part.due_date
        past = 0
        if since is not None:
            begin = max([since, *(reset for reset in one.resets if reset <= at)])
            every = (begin + timedelta(days=step) for step in range(1, (at - begin).days + 1))
            past = sum(not any(pause.start <= each < pause.end for pause in one.pauses) for each in every)
        reached = [stage for stage in ladder(policy) if stage.day <= past]
        now = reached[-1] if reached else None
        if now is None and before is not None:
            found.append((at, "cured"))
        if now is not None and now != before:
            low = before.day if before else 0
            found += [(at, s.kind) for s in reached if s == now or (s.kind in terms.LASTING and low < s.day)]
        before = now
        at += timedelta(days=1)
    return found


@settings(max_examples=150)
@given(clocks, days)
def test_the_history_is_what_every_day_says(one: Clock, until: int) -> None:
    """What is computed between events is what a look at each day finds."""
    assert [(tag.day, tag.kind) for tag in history(one, until=day(until))] == by_day(one, day(until))


@settings(max_examples=60)
@given(clocks, st.randoms(use_true_random=False), days)
def test_the_order_of_entering_is_nothing(one: Clock, random: Any, until: int) -> None:  # noqa: ANN401 - hypothesis's random
    """Payments, credits and reversals entered in any order make one history."""
    shuffled = list(one.movements)
    random.shuffle(shuffled)
    assert history(replace(one, movements=tuple(shuffled)), until=day(until)) == history(one, until=day(until))


@settings(max_examples=60)
@given(clocks, days, days)
def test_a_day_closed_later_says_the_same(one: Clock, early: int, late: int) -> None:
    """The history until a day is the beginning of every later one: a missed day is caught up to the same facts."""
    assume(early <= late)
    first, whole = history(one, until=day(early)), history(one, until=day(late))
    assert first == [tag for tag in whole if tag.day <= day(early)]


@given(st.sampled_from([STANDARD, QUICK, WEEKDAYS]), st.integers(-40, 150))
def test_milestones_find_every_plain_asset_that_matters(policy: Terms, number: int) -> None:
    """On a day that is none of its milestones, an asset to which nothing happened has nothing new."""
    one = clock(rules=(Rule(date.min, policy),))
    fresh = reminders(one, day=day(number)) + [tag for tag in history(one, until=day(number)) if tag.day == day(number)]
    assert not fresh or DUE in rules.milestones(policy, day=day(number))


def test_limits_are_suspended_once_a_fall() -> None:
    """By the tag that reaches the policy's stage, or goes past it; again only after a cure; never by an old one."""
    one = clock(movements=(Movement(day(95), FACE), Movement(day(200), -FACE)))
    tags = history(one, until=day(240))
    assert [tag.kind for tag in tags if tag.day >= day(93)] == ["default", "cured", "default", "charge_off"]
    found = [(tag.kind, rules.suspension_day(tags, one, fresh={tag})) for tag in tags]
    assert [(kind, at) for kind, at in found if at] == [("default", day(93)), ("default", day(200))]
    early = clock(rules=(Rule(date.min, Terms(suspends_at="near_breach")),), listed_on=day(150))
    listed = history(early, until=day(150))
    assert rules.suspension_day(listed, early, fresh=set(listed)) == day(150)


@pytest.mark.parametrize("kind", BY_DAY.values())
def test_which_facts_are_what(kind: str) -> None:
    """Reminders are no status, default and charge-off are events of their own, collections follow all but reminders."""
    assert rules.is_status(kind) == rules.is_followed(kind) == (not kind.startswith("reminder"))


REFUSED = [
    ({"buckets": (Bucket(2),)}, "bucket_gap"),
    ({"buckets": (Bucket(1, 15), Bucket(17))}, "bucket_gap"),
    ({"buckets": (Bucket(1, 15), Bucket(15))}, "bucket_overlap"),
    ({"buckets": (Bucket(1, 15), Bucket(16, 30))}, "bucket_end"),
    ({"buckets": (Bucket(1), Bucket(2))}, "bucket_end"),
    ({"buckets": (Bucket(1, 20), Bucket(21, 19), Bucket(20))}, "bucket_order"),
    ({"default_day": 61}, "default_before_bucket"),
    ({"charge_off_day": 90}, "charge_off_before_default"),
    ({"near_breach_day": 90}, "near_breach_day_taken"),
    ({"near_breach_day": 61}, "near_breach_day_taken"),
    ({"suspends_at": "late_2"}, "unknown_stage"),
    ({"near_breach_day": 0, "suspends_at": "near_breach"}, "unknown_stage"),
    ({"convention": Convention.FOLLOWING}, "calendar_missing"),
    ({"calendar": "XX"}, "calendar_unknown"),
    ({"reminder_days": (3, 3)}, "reminder_twice"),
]


@pytest.mark.parametrize(("changes", "code"), REFUSED)
def test_a_policy_that_contradicts_itself(changes: dict[str, Any], code: str) -> None:
    """Gaps, overlaps, stages out of order: each has its code."""
    with pytest.raises(PolicyRefused) as refused:
        check(Terms(**changes), effective_from=day(1), last_from=None, today=day(0))
    assert code in {fault.code for fault in refused.value.faults}


@pytest.mark.parametrize(
    ("effective", "code"), [(0, "effective_too_early"), (5, "policy_overlap"), (4, "policy_order")]
)
def test_a_version_out_of_turn(effective: int, code: str) -> None:
    """Not from today on, not on the day of another, not before it."""
    with pytest.raises(PolicyRefused) as refused:
        check(STANDARD, effective_from=day(effective), last_from=day(5), today=day(0))
    assert [fault.code for fault in refused.value.faults] == [code]
    check(STANDARD, effective_from=day(6), last_from=day(5), today=day(0))
    check(WEEKDAYS, effective_from=day(1), last_from=None, today=day(0))


def test_a_charge_off_that_is_withdrawn_is_handed_on() -> None:
    """To losses alone, and only where none stands in its place; the fact is named."""
    day = date(2026, 3, 2)
    stated, late = Tag(day, "charge_off", 180, 500), Tag(day, "late_91", 91, 400)
    old = Noted("ast_1", stated, 2)
    claim = SimpleNamespace(asset_id="ast_1")
    clock: Any = None
    for tags, expected in (([late], ["charge_off_withdrawn"]), ([late, stated._replace(outstanding_minor=400)], [])):
        changes = Changes(claim, clock, tags, [], [old])
        items = effects._items(changes, effects.FOLLOWERS["losses.follow"])
        assert [item["kind"] for item in items] == expected
        assert [item["fact"] for item in items] == [f"{day}.2"] * len(expected)
        assert effects._items(changes, None) == []
