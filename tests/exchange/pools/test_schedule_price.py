"""What is due in instalments: its price is that of its instalments, and one instalment is priced as ever."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exchange.pools.rules import FreeAsset, price_of, price_on, why_not_terms
from exchange.pools.terms import BPS
from exchange.schedules.schedule import Schedule, bullet, explicit, total_minor
from tests.exchange.pools.book import TODAY, free_asset, terms

RATES = st.integers(0, 5_000)


@st.composite
def plans(draw: st.DrawFn) -> Schedule:
    """Instalments from before today on."""
    amounts = draw(st.lists(st.integers(1, 10**9), min_size=1, max_size=12))
    days = draw(st.lists(st.integers(-30, 400), min_size=len(amounts), max_size=len(amounts), unique=True))
    dated = zip(sorted(days), amounts, strict=True)
    return explicit((TODAY + timedelta(days=day), amount) for day, amount in dated)


def scheduled(plan: Schedule) -> FreeAsset:
    """A free asset of which this is still owed."""
    return free_asset(face_minor=total_minor(plan), due_date=plan[-1].due_date, schedule=plan, schedule_version=1)


@given(
    face_minor=st.integers(1, 10**13),
    days=st.integers(-30, 400),
    rate_bps=RATES,
    advance_bps=st.integers(1, BPS),
    grade=st.integers(0, 4),
)
def test_one_instalment_is_priced_as_ever(
    face_minor: int, days: int, rate_bps: int, advance_bps: int, grade: int
) -> None:
    """Bit for bit what the same is worth without a schedule."""
    wanted = terms(base_rate_bps=rate_bps, advance_bps=advance_bps, grade_spreads_bps=(0, 50, 100))
    due_date = TODAY + timedelta(days=days)
    asset = replace(scheduled(bullet(due_date, amount_minor=face_minor)), grade=grade)
    plain = price_of(wanted, face_minor=face_minor, tenor_days=days, grade=grade)
    assert price_on(wanted, asset, today=TODAY) == plain
    assert price_on(wanted, replace(asset, schedule=()), today=TODAY) == plain


@given(plan=plans(), rate_bps=RATES, advance_bps=st.integers(1, BPS))
def test_the_discount_is_that_of_the_instalments(plan: Schedule, rate_bps: int, advance_bps: int) -> None:
    """Priced one by one they come to the same but for a rounding each, which is the funder's; parts sum to the face."""
    wanted = terms(base_rate_bps=rate_bps, advance_bps=advance_bps)
    price = price_on(wanted, scheduled(plan), today=TODAY)
    assert price.price_minor + price.discount_minor + price.holdback_minor == total_minor(plan)
    single = [
        price_of(wanted, face_minor=one.amount_minor, tenor_days=(one.due_date - TODAY).days, grade=2) for one in plan
    ]
    assert abs(sum(one.discount_minor for one in single) - price.discount_minor) <= 2 * len(plan)
    if advance_bps == BPS:
        assert 0 <= sum(one.discount_minor for one in single) - price.discount_minor < len(plan)


@given(plan=plans(), rate_bps=RATES)
def test_earlier_money_costs_less(plan: Schedule, rate_bps: int) -> None:
    """In instalments a face is discounted no more than if all of it were due at the end."""
    wanted = terms(base_rate_bps=rate_bps)
    asset = scheduled(plan)
    whole = price_on(wanted, replace(asset, schedule=()), today=TODAY)
    assert price_on(wanted, asset, today=TODAY).discount_minor <= whole.discount_minor


def test_tenors() -> None:
    """The longest tenor looks at the last instalment, the shortest at their average."""
    plan = explicit([(TODAY + timedelta(days=10), 300), (TODAY + timedelta(days=100), 100)])
    asset = scheduled(plan)  # 32.5 days on average
    assert why_not_terms(terms(min_tenor_days=32, max_tenor_days=100), asset, today=TODAY) == []
    (short,) = why_not_terms(terms(min_tenor_days=33), asset, today=TODAY)
    assert (short.code, short.limit, short.actual) == ("min_tenor", 33, 32)
    (long,) = why_not_terms(terms(max_tenor_days=99), asset, today=TODAY)
    assert (long.code, long.limit, long.actual) == ("max_tenor", 99, 100)


def test_nothing_owed_has_a_price_of_nothing() -> None:
    """Asking why an asset that is paid off is not taken is no division by nothing."""
    asset = free_asset(face_minor=0, due_date=date(2026, 5, 1))
    assert price_on(terms(base_rate_bps=600), asset, today=TODAY).price_minor == 0
    assert {one.code for one in why_not_terms(terms(), asset, today=TODAY)} >= {"min_face", "price"}
