"""A price is the face cut into parts: no unit is lost, and every rounding is the funder's."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from exchange.pools.rules import Price, price_of
from exchange.pools.terms import BPS, Terms
from tests.exchange.pools.book import terms

YEAR_DAYS = 360
FACES = st.integers(1, 10**15)
TENORS = st.integers(-400, 4_000)
GRADES = st.integers(0, 25)
TERMS = st.builds(
    lambda rate, spreads, advance: terms(base_rate_bps=rate, grade_spreads_bps=tuple(spreads), advance_bps=advance),
    st.integers(0, 5_000),
    st.lists(st.integers(0, 5_000), min_size=1, max_size=20),
    st.integers(1, BPS),
)


def rate_of(terms: Terms, grade: int) -> int:
    """The rate of a grade, said differently: spreads go on with their last value for ever."""
    return terms.base_rate_bps + (terms.grade_spreads_bps + terms.grade_spreads_bps[-1:] * 30)[grade]


def test_an_example_worked_by_hand() -> None:
    """A million over 60 days at 7 % on an advance of 90 %: 900 000 x 7 % / 6 = 10 500."""
    asked = terms(base_rate_bps=600, grade_spreads_bps=(0, 100), advance_bps=9_000)
    price = price_of(asked, face_minor=1_000_000, tenor_days=60, grade=1)
    assert price == Price(889_500, 10_500, 100_000, 700)


@given(TERMS, FACES, TENORS, GRADES)
@example(terms(base_rate_bps=5_000, grade_spreads_bps=(5_000,)), 10**15, 4_000, 25)
@example(terms(advance_bps=1), 1, 0, 0)
def test_the_parts_sum_to_the_face(terms: Terms, face_minor: int, tenor_days: int, grade: int) -> None:
    """Price, discount and holdback are the face; only the price can fall below zero, and then no mandate takes it."""
    price = price_of(terms, face_minor=face_minor, tenor_days=tenor_days, grade=grade)
    assert price.price_minor + price.discount_minor + price.holdback_minor == face_minor
    assert price.discount_minor >= 0
    assert 0 <= price.holdback_minor <= face_minor
    assert price.rate_bps == rate_of(terms, grade)


@given(TERMS, FACES, TENORS, GRADES)
def test_roundings_are_the_funders_and_below_one_unit(
    terms: Terms, face_minor: int, tenor_days: int, grade: int
) -> None:
    """Against exact fractions: the advance is rounded down, the discount up, each by less than one minor unit."""
    price = price_of(terms, face_minor=face_minor, tenor_days=tenor_days, grade=grade)
    advance_minor = price.price_minor + price.discount_minor
    exact = Fraction(advance_minor * rate_of(terms, grade) * max(tenor_days, 0), BPS * YEAR_DAYS)
    assert 0 <= Fraction(face_minor * terms.advance_bps, BPS) - advance_minor < 1
    assert 0 <= price.discount_minor - exact < 1


@given(TERMS, FACES, FACES, TENORS, GRADES)
def test_a_greater_face_has_no_smaller_part(
    terms: Terms, one_minor: int, other_minor: int, tenor_days: int, grade: int
) -> None:
    """Splitting an invoice cannot make a part of it grow; the price grows too while the discount is below 100 %."""
    less, more = (
        price_of(terms, face_minor=face, tenor_days=tenor_days, grade=grade)
        for face in sorted((one_minor, other_minor))
    )
    assert less.discount_minor <= more.discount_minor
    assert less.holdback_minor <= more.holdback_minor
    if rate_of(terms, grade) * tenor_days <= BPS * YEAR_DAYS:
        assert 0 <= less.price_minor <= more.price_minor


@given(TERMS, FACES, TENORS, TENORS, GRADES)
def test_waiting_longer_never_costs_less(
    terms: Terms, face_minor: int, one_days: int, other_days: int, grade: int
) -> None:
    """The discount does not fall with the tenor, and the holdback does not know of it."""
    sooner, later = (
        price_of(terms, face_minor=face_minor, tenor_days=days, grade=grade) for days in sorted((one_days, other_days))
    )
    assert sooner.discount_minor <= later.discount_minor
    assert sooner.holdback_minor == later.holdback_minor


@given(TERMS, FACES, TENORS, GRADES, GRADES)
def test_a_worse_grade_never_costs_less(terms: Terms, face_minor: int, tenor_days: int, one: int, other: int) -> None:
    """Where spreads rise by grade so does the discount."""
    rising = terms.__replace__(grade_spreads_bps=tuple(sorted(terms.grade_spreads_bps)))
    better, worse = (
        price_of(rising, face_minor=face_minor, tenor_days=tenor_days, grade=grade) for grade in sorted((one, other))
    )
    assert better.discount_minor <= worse.discount_minor
    assert better.price_minor >= worse.price_minor
