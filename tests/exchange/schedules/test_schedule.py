"""Schedules: nothing is lost, whatever is paid, however it is split."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.schedules import schedule as schedules
from exchange.schedules.calendars import Convention, is_business_day
from exchange.schedules.refusals import AmountsTooSmall, CalendarYearUnknown, DatesNotIncreasing
from exchange.schedules.rentals import level_rentals, schedule_of
from exchange.schedules.schedule import Every, Instalment, Schedule, Unit, total_minor
from exchange.shares import apportion_down

START = date(2026, 1, 31)
MONTHLY = Every(Unit.MONTHS, 1)


@st.composite
def plans(draw: st.DrawFn, *, longest: int = 24) -> Schedule:
    """Any schedule: gaps of days, amounts of one minor unit to a thousand million."""
    amounts = draw(st.lists(st.integers(1, 10**11), min_size=1, max_size=longest))
    gaps = draw(st.lists(st.integers(1, 90), min_size=len(amounts), max_size=len(amounts)))
    days = [START + timedelta(days=sum(gaps[: place + 1])) for place in range(len(gaps))]
    return schedules.explicit(zip(days, amounts, strict=True))


def test_months_roll_by_the_end_of_month_rule() -> None:
    """A schedule that begins at a month's end stays there; another day is cut only where the month is shorter."""
    ends = schedules.due_dates(date(2027, 2, 28), count=4, every=MONTHLY)
    assert [f"{day:%m-%d}" for day in ends] == ["02-28", "03-31", "04-30", "05-31"]
    thirtieth = schedules.due_dates(date(2027, 1, 30), count=4, every=MONTHLY)
    assert [f"{day:%m-%d}" for day in thirtieth] == ["01-30", "02-28", "03-30", "04-30"]
    quarters = schedules.due_dates(date(2027, 11, 30), count=3, every=Every(Unit.MONTHS, 3))
    assert [day.isoformat() for day in quarters] == ["2027-11-30", "2028-02-29", "2028-05-31"]


def test_an_adjustment_does_not_carry_over() -> None:
    """Dates are counted from the first and then moved: the third is where it would be without the holiday."""
    every = Every(Unit.WEEKS, 2)
    moved = schedules.due_dates(date(2026, 2, 4), count=3, every=every, calendar="CN", convention=Convention.FOLLOWING)
    assert moved == [date(2026, 2, 4), date(2026, 2, 24), date(2026, 3, 4)]
    assert schedules.due_dates(START, count=2, every=Every(Unit.DAYS, 10))[1] == date(2026, 2, 10)


def test_two_dates_moved_together_are_refused() -> None:
    """Two instalments in one holiday would fall on one day."""
    with pytest.raises(DatesNotIncreasing):
        schedules.due_dates(
            date(2026, 2, 16), count=3, every=Every(Unit.DAYS, 2), calendar="CN", convention=Convention.FOLLOWING
        )
    with pytest.raises(CalendarYearUnknown):
        schedules.due_dates(START, count=120, every=MONTHLY, calendar="CN", convention=Convention.FOLLOWING)


@given(
    first=st.dates(date(2010, 1, 1), date(2020, 1, 1)),
    count=st.integers(1, 60),
    every=st.sampled_from([MONTHLY, Every(Unit.MONTHS, 3), Every(Unit.WEEKS, 2), Every(Unit.DAYS, 30)]),
    convention=st.sampled_from([one for one in Convention if one is not Convention.NONE]),
)
def test_generated_dates_are_business_days_near_their_own(
    first: date, count: int, every: Every, convention: Convention
) -> None:
    """Each is a business day, at most a fortnight from where it would be."""
    plain = schedules.due_dates(first, count=count, every=every)
    moved = schedules.due_dates(first, count=count, every=every, calendar="TARGET", convention=convention)
    assert all(is_business_day(day, calendar="TARGET") for day in moved)
    assert all(abs((day - own).days) < 14 for day, own in zip(moved, plain, strict=True))


@given(total=st.integers(1, 10**13), count=st.integers(1, 120))
def test_equal_instalments(total: int, count: int) -> None:
    """They sum to the total; all are equal but the last, which is larger by less than there are instalments."""
    due = schedules.due_dates(START, count=count, every=MONTHLY)
    if total < count:
        with pytest.raises(AmountsTooSmall):
            schedules.equal(total, due=due)
        return
    made = schedules.equal(total, due=due)
    assert total_minor(made) == total
    assert len({one.amount_minor for one in made[:-1]}) <= 1
    assert 0 <= made[-1].amount_minor - made[0].amount_minor < count


@given(
    principal=st.integers(1, 10**12),
    rate_bps=st.integers(0, 5_000),
    count=st.integers(2, 120),
    every=st.sampled_from([MONTHLY, Every(Unit.MONTHS, 3), Every(Unit.WEEKS, 1), Every(Unit.DAYS, 30)]),
)
def test_rentals_pay_back_the_principal(principal: int, rate_bps: int, count: int, every: Every) -> None:
    """Principal parts sum to the principal; each interest is that on what was still lent; rentals are level."""
    due = schedules.due_dates(START, count=count, every=every)
    try:
        rentals = level_rentals(principal, rate_bps=rate_bps, every=every, due=due)
    except AmountsTooSmall:
        assert principal < 10**6
        return
    assert sum(one.principal_minor for one in rentals) == principal
    assert len({one.amount_minor for one in rentals[:-1]}) == 1
    per_year = {Unit.DAYS: 360, Unit.WEEKS: 52, Unit.MONTHS: 12}[every.unit]
    rate, left = Fraction(rate_bps * every.length, 10_000 * per_year), principal
    for one in rentals:
        assert abs(one.interest_minor - left * rate) <= Fraction(1, 2)
        left -= one.principal_minor
    # The last takes the roundings of the others, compounded: no more than half a unit each, grown to the end.
    assert abs(rentals[-1].amount_minor - rentals[0].amount_minor) <= count * (1 + rate) ** count + 1


def test_rentals_of_a_textbook() -> None:
    """100,000.00 at 12 % a year over 12 months: 8,884.88 a month (any annuity table)."""
    due = schedules.due_dates(date(2026, 1, 15), count=12, every=MONTHLY)
    rentals = level_rentals(10_000_000, rate_bps=1_200, every=MONTHLY, due=due)
    assert {one.amount_minor for one in rentals[:-1]} == {888_488}
    assert (rentals[0].interest_minor, rentals[0].principal_minor) == (100_000, 788_488)
    assert rentals[-1].amount_minor == 888_485
    assert total_minor(schedule_of(rentals)) == 11 * 888_488 + 888_485


@given(plan=plans(), paid=st.integers(0, 10**13), on=st.integers(0, 3_000))
def test_what_is_open(plan: Schedule, paid: int, on: int) -> None:
    """Paid and open sum to the whole; only the oldest open one is paid in part; what is due is what is open by then."""
    left = schedules.open_instalments(plan, paid_minor=paid)
    assert total_minor(left) == max(total_minor(plan) - paid, 0)
    assert [one for one in plan if one.number in {two.number for two in left[1:]}] == list(left[1:])
    assert schedules.oldest_unpaid(plan, paid_minor=paid) == (left[0] if left else None)
    day = START + timedelta(days=on)
    should = sum(one.amount_minor for one in plan if one.due_date <= day)
    assert schedules.due_minor(plan, on=day, paid_minor=paid) == max(should - paid, 0)


@given(plan=plans(longest=6), data=st.data())
def test_a_payment_of_the_whole_is_never_a_minor_unit_short_of_a_parts_instalment(
    plan: Schedule, data: st.DataObject
) -> None:
    """Split, and split again: whoever pays the whole's instalments one by one pays every part's in full, in time."""
    parts: dict[str, list[str]] = {}
    leaves = {"w": plan}
    for _ in range(data.draw(st.integers(1, 3))):
        large = sorted(one for one in leaves if total_minor(leaves[one]) > 1)
        if not large:
            break
        name = data.draw(st.sampled_from(large))
        shares = data.draw(shares_of(total_minor(leaves[name])))
        parts[name] = [f"{name}{place}" for place in range(len(shares))]
        leaves |= dict(zip(parts[name], schedules.split(leaves.pop(name), shares_minor=shares), strict=True))
    owed = {name: total_minor(schedule) for name, schedule in leaves.items()}
    for one in plan:
        for name, paid_minor in apportion_down(one.amount_minor, "w", parts=parts, weights=owed).items():
            assert paid_minor == 0 or name in leaves
            owed[name] = owed.get(name, 0) - paid_minor
        for name, schedule in leaves.items():
            assert schedules.due_minor(schedule, on=one.due_date, paid_minor=total_minor(schedule) - owed[name]) == 0


@st.composite
def shares_of(draw: st.DrawFn, whole_minor: int) -> list[int]:
    """Two to five positive amounts that sum to the whole."""
    cuts = draw(st.sets(st.integers(1, whole_minor - 1), min_size=1, max_size=4))
    edges = [0, *sorted(cuts), whole_minor]
    return [upper - lower for lower, upper in pairwise(edges)]


@given(plan=plans(), data=st.data())
def test_parts_sum_both_ways(plan: Schedule, data: st.DataObject) -> None:
    """In each instalment the parts sum to the whole, and each part to its share, near its exact proportion."""
    total = total_minor(plan)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(total - 1, 1)), max_size=min(9, total - 1))))
    shares = [end - start for start, end in zip([0, *cuts], [*cuts, total], strict=True)]
    parts = schedules.split(plan, shares_minor=shares)
    assert [total_minor(part) for part in parts] == shares
    by_day: dict[date, int] = {}
    for part, share in zip(parts, shares, strict=True):
        assert [one.number for one in part] == list(range(1, len(part) + 1))
        amounts = {one.due_date: one.amount_minor for one in part}
        for one in plan:
            exact = Fraction(one.amount_minor * share, total)
            assert abs(amounts.get(one.due_date, 0) - exact) <= len(shares)
        for day, amount in amounts.items():
            by_day[day] = by_day.get(day, 0) + amount
    assert by_day == {one.due_date: one.amount_minor for one in plan}


@given(plan=plans(), on=st.integers(-100, 3_000))
def test_averages(plan: Schedule, on: int) -> None:
    """The average lies between first and last; before the first, money times days is the average's, rounded down."""
    average = schedules.average_due_date(plan)
    assert plan[0].due_date <= average <= plan[-1].due_date
    day = START + timedelta(days=on)
    weighted = schedules.money_days(plan, on=day)
    assert weighted >= 0
    if day <= plan[0].due_date:
        assert weighted // total_minor(plan) == (average - day).days


def test_a_bullet_is_its_own_average() -> None:
    """One instalment: its date is the average, its money-days are amount times days."""
    plan = schedules.bullet(date(2026, 5, 1), amount_minor=7)
    assert plan == (Instalment(1, date(2026, 5, 1), 7),)
    assert schedules.average_due_date(plan) == date(2026, 5, 1)
    assert schedules.money_days(plan, on=date(2026, 4, 30)) == 7
    assert schedules.money_days(plan, on=date(2026, 5, 2)) == 0


def test_schedules_that_are_none() -> None:
    """Equal or falling dates, and instalments of nothing."""
    for days in ([START, START], [START, START - timedelta(days=1)]):
        with pytest.raises(DatesNotIncreasing):
            schedules.explicit((day, 1) for day in days)
    with pytest.raises(AmountsTooSmall):
        schedules.explicit([(START, 0)])
    with pytest.raises(AmountsTooSmall):
        level_rentals(1, rate_bps=0, every=MONTHLY, due=schedules.due_dates(START, count=3, every=MONTHLY))
