"""Small random books for the matcher: few names and narrow limits, so that every limit is met often."""

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from exchange.pools.rules import Candidate, FreeAsset, Usage
from exchange.pools.terms import Terms

TODAY = date(2026, 3, 2)
PRODUCTS = ("procurement_credit", "receivable_factoring")
RECOURSE = ("with", "without")
GRADES = ("explicit", "deemed")


def terms(**changes: Any) -> Terms:  # noqa: ANN401 - any of the terms
    """Terms that take anything in CNY for nothing; `changes` make them choosier."""
    wide: dict[str, Any] = {
        "currency": "CNY",
        "budget_minor": 10**9,
        "products": PRODUCTS,
        "max_pd_ppm": 1_000_000,
        "min_tenor_days": 0,
        "max_tenor_days": 3650,
        "min_face_minor": 1,
        "max_face_minor": 10**9,
        "recourse": RECOURSE,
        "confirmation_grades": GRADES,
        "obligor_cap_minor": 10**9,
        "seller_cap_minor": 10**9,
        "base_rate_bps": 0,
    }
    return Terms(**wide | changes)


def free_asset(asset_id: str = "a", **changes: Any) -> FreeAsset:  # noqa: ANN401 - any of the facts
    """An asset that `terms()` take."""
    facts: dict[str, Any] = {
        "obligor": 1,
        "seller": 2,
        "product": PRODUCTS[0],
        "currency": "CNY",
        "face_minor": 1_000,
        "due_date": TODAY + timedelta(days=60),
        "recourse": "with",
        "confirmation_grade": "explicit",
        "pd_ppm": 10_000,
        "grade": 2,
        "related": False,
    }
    return FreeAsset(asset_id, **facts | changes)


def candidate(mandate_id: str = "m", *, funder_id: str = "f", cash_minor: int = 10**9, **changes: Any) -> Candidate:  # noqa: ANN401 - any of the terms
    """A mandate that has taken up nothing yet."""
    return Candidate(mandate_id, 1, funder_id, terms(**changes), Usage(cash_minor=cash_minor))


_FACTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    obligor=st.integers(1, 3),
    seller=st.integers(4, 6),
    product=st.sampled_from(PRODUCTS),
    face_minor=st.integers(1, 1_000),
    due_date=st.integers(-2, 120).map(lambda days: TODAY + timedelta(days=days)),
    recourse=st.sampled_from(RECOURSE),
    confirmation_grade=st.sampled_from(GRADES),
    pd_ppm=st.integers(1, 100_000),
    grade=st.integers(0, 4),
    related=st.integers(0, 9).map(lambda one: one == 0),
)


def _named(rows: list[dict[str, Any]]) -> list[FreeAsset]:
    return [free_asset(f"a{place}", **row) for place, row in enumerate(rows)]


ASSETS = st.lists(_FACTS, max_size=12).map(_named)

_CAPS = st.just(10**9) | st.integers(500, 3_000)
_TERMS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    budget_minor=_CAPS,
    obligor_cap_minor=_CAPS,
    seller_cap_minor=_CAPS,
    products=st.sampled_from([PRODUCTS, PRODUCTS[:1]]),
    recourse=st.sampled_from([RECOURSE, RECOURSE[:1]]),
    confirmation_grades=st.sampled_from([GRADES, GRADES[:1]]),
    max_pd_ppm=st.sampled_from([1_000_000, 50_000]),
    max_tenor_days=st.sampled_from([3650, 30]),
    min_face_minor=st.sampled_from([1, 100]),
    base_rate_bps=st.sampled_from([0, 500, 600, 5_000]),
    grade_spreads_bps=st.sampled_from([(0,), (0, 100, 200)]),
    advance_bps=st.sampled_from([10_000, 8_000, 1]),
    rank=st.integers(1, 2),
)


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    """Mandates of two funders; those of one funder see the same cash."""
    cash = {funder_id: draw(st.integers(0, 4_000)) for funder_id in ("f0", "f1")}
    rows = draw(st.lists(st.tuples(st.sampled_from(sorted(cash)), _TERMS), min_size=1, max_size=4))
    return [
        candidate(f"m{place}", funder_id=funder_id, cash_minor=cash[funder_id], **changes)
        for place, (funder_id, changes) in enumerate(rows)
    ]


ROOMS = st.fixed_dictionaries({obligor: st.integers(-100, 3_000) for obligor in (1, 2, 3)})
SEEDS = st.binary(max_size=32)
