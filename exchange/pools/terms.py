"""What a mandate says, and what in it contradicts itself."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault
from scoring.grades import NAMES as GRADES

BPS, PERMILLE = 10_000, 1_000
YEARS = {"ACT/360": 360, "ACT/365F": 365}
"""Day counts for discounts: the days of a year in which a rate is earned."""
KEYS = ("obligor", "obligor_group", "controller", "seller", "sector", "region", "grade", "product")
"""What concentration is measured by; all but the seller and the product are the obligor's."""


class Limit(Struct, frozen=True, forbid_unknown_fields=True):
    """A concentration limit on each obligor, sector and so on, whichever `by` says.

    `most_minor` counts the price of all that is offered to, committed by and held under the mandate; `most_permille` is
    a share of each pool by face, and nothing is added to a key that has more than that of what is held.
    """

    by: Literal["obligor", "obligor_group", "controller", "seller", "sector", "region", "grade", "product"]
    most_minor: int | None = None
    most_permille: int | None = None


class TenorSpread(Struct, frozen=True, forbid_unknown_fields=True):
    """What is added to the rate from so many days on, until the next one begins."""

    from_days: int
    spread_bps: int


class Terms(Struct, frozen=True, forbid_unknown_fields=True):
    """A mandate's terms. Amounts in minor units of `currency`, rates in basis points a year by `day_count`.

    The rate, which is the yield that it wants at least, is `base_rate_bps` and what grade and tenor add:
    `grade_spreads_bps[i]` for grade i, the last one for every worse grade. Caps and budget count the price of what is
    offered to, committed by and held under the mandate. `advance_bps` of the face, less the discount, is paid at
    purchase; the rest is the seller's holdback. Of `confirmation_grades` the weakest is the least: stronger evidence is
    taken too. Averages are weighted by face, over each pool. `rank` orders the funder's own mandates.
    """

    currency: str
    budget_minor: int
    products: tuple[str, ...]
    max_pd_ppm: int
    min_tenor_days: int
    max_tenor_days: int
    min_face_minor: int
    max_face_minor: int
    recourse: tuple[str, ...]
    confirmation_grades: tuple[str, ...]
    obligor_cap_minor: int
    seller_cap_minor: int
    base_rate_bps: int
    grade_spreads_bps: tuple[int, ...] = (0,)
    advance_bps: int = BPS
    auto_commit: bool = False
    rank: int = 1
    tenor_spreads: tuple[TenorSpread, ...] = ()
    day_count: Literal["ACT/360", "ACT/365F"] = "ACT/360"
    worst_grade: str = GRADES[-1]
    sectors: tuple[str, ...] | None = None
    sectors_out: tuple[str, ...] = ()
    regions: tuple[str, ...] | None = None
    regions_out: tuple[str, ...] = ()
    max_score_age_days: int | None = None
    max_invoice_age_days: int | None = None
    max_late_permille: int | None = None
    limits: tuple[Limit, ...] = ()
    max_average_pd_ppm: int | None = None
    max_average_tenor_days: int | None = None
    min_average_rate_bps: int | None = None
    min_pool_minor: int = 0
    max_pool_minor: int | None = None

    def rate_bps(self, *, grade: int, tenor_days: int) -> int:
        """What it wants to earn in a year of a grade and a tenor."""
        spreads = self.grade_spreads_bps
        longer = [one.spread_bps for one in self.tenor_spreads if tenor_days >= one.from_days]
        return self.base_rate_bps + spreads[min(grade, len(spreads) - 1)] + (longer[-1] if longer else 0)

    @property
    def best_rate_bps(self) -> int:
        """The most it earns of any asset that it takes."""
        highest = max(self.grade_spreads_bps[: GRADES.index(self.worst_grade) + 1])
        longest = [one.spread_bps for one in self.tenor_spreads if one.from_days <= self.max_tenor_days]
        return self.base_rate_bps + highest + max([0, *longest])


def faults_of(terms: Terms, *, effective_at: datetime | None, now: datetime) -> list[Fault]:
    """Everything in the terms that nothing can meet, or that is said twice; and a beginning that is over."""
    faults = []
    if effective_at is not None and effective_at < now:
        faults.append(Fault("effective_in_past", "/effective_at", f"not before now, {now.isoformat()}", effective_at))
    if terms.currency not in MINOR_DIGITS:
        faults.append(Fault("unknown_currency", "/currency", "a currency in use, ISO 4217", terms.currency))
    return faults + contradictions(terms)


def contradictions(terms: Terms) -> list[Fault]:
    """Every limit that another one, or a pool's size, leaves nothing of."""
    faults = []
    most = (
        ("min_tenor_days", terms.min_tenor_days, "max_tenor_days", terms.max_tenor_days),
        ("min_face_minor", terms.min_face_minor, "max_face_minor", terms.max_face_minor),
        ("min_face_minor", terms.min_face_minor, "max_pool_minor", terms.max_pool_minor),
        ("min_pool_minor", terms.min_pool_minor, "max_pool_minor", terms.max_pool_minor),
        ("min_average_rate_bps", terms.min_average_rate_bps, "the highest rate of these terms", terms.best_rate_bps),
    )
    for low_name, low, high_name, high in most:
        if low is not None and high is not None and low > high:
            message = f"not above {high_name}, {high}"
            faults.append(Fault("contradictory_limits", f"/{low_name}", message, low))
    for name, taken, left_out in (
        ("sectors_out", terms.sectors, terms.sectors_out),
        ("regions_out", terms.regions, terms.regions_out),
    ):
        if taken is not None and set(taken) <= set(left_out):
            faults.append(Fault("contradictory_limits", f"/{name}", "all that is taken is left out", list(left_out)))
    return faults + _limit_faults(terms) + _pool_faults(terms)


def _limit_faults(terms: Terms) -> list[Fault]:
    faults = []
    for place, limit in enumerate(terms.limits):
        if limit.most_minor is None and limit.most_permille is None:
            faults.append(
                Fault("limit_missing", f"/limits/{place}", "say most_minor, most_permille, or both", limit.by)
            )
        if limit.by in {before.by for before in terms.limits[:place]}:
            faults.append(Fault("named_twice", f"/limits/{place}/by", "one limit for each", limit.by))
    days = [spread.from_days for spread in terms.tenor_spreads]
    if days != sorted(set(days)):
        faults.append(Fault("out_of_order", "/tenor_spreads", "from fewer days to more, none twice", days))
    return faults


def _pool_faults(terms: Terms) -> list[Fault]:
    """A least pool that budget, caps and shares together never leave room for."""
    faults = []
    year = BPS * YEARS[terms.day_count]
    cheapest = terms.advance_bps * max(0, year - terms.best_rate_bps * terms.max_tenor_days)  # of a face of BPS x year
    if terms.min_pool_minor * cheapest > terms.budget_minor * BPS * year:
        message = f"the budget, {terms.budget_minor}, never pays for it"
        faults.append(Fault("contradictory_limits", "/min_pool_minor", message, terms.min_pool_minor))
    names = {"product": len(set(terms.products)), "grade": GRADES.index(terms.worst_grade) + 1}
    names |= {"sector": len(set(terms.sectors))} if terms.sectors is not None else {}
    names |= {"region": len(set(terms.regions))} if terms.regions is not None else {}
    for place, limit in enumerate(terms.limits):
        count = names.get(limit.by)
        if limit.most_permille is not None and count is not None and count * limit.most_permille < PERMILLE:
            message = f"{count} of them make no whole pool: at least {-(-PERMILLE // count)}"
            faults.append(Fault("contradictory_limits", f"/limits/{place}/most_permille", message, limit.most_permille))
    return faults
