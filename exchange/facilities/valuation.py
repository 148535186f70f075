"""What a facility's assets are worth and what of them counts. Pure, exact integers; one asset after the other.

The expected cash flow of an asset is what is due, less PD x LGD, on the day it is due and as late as its score says.
Its value is that, cut by how late it is, how silent its servicer is and how old its score is, and discounted:
v / (1 + rate x days / 360). Each step is rounded down, and what it took has a name.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from exchange.facilities.terms import BPS, PPM, Cut, Eligibility, Limit, Terms
from exchange.receivables.rules import at_least

YEAR_DAYS = 360
CUTS = ("dilution", "expected_loss", "late", "silence", "stale", "discount")
"""What value is lost to, in order."""


class Held(NamedTuple):
    """An asset a facility holds. `due_minor` is what it expects of the obligor, `cost_minor` what of that is capital.

    `due_date` is the day on which the oldest amount owed is due, `pay_date` the average of what is owed.
    """

    asset_id: str
    obligor: int
    group: str
    seller: int
    originator: str
    sector: str
    product: str
    grade: int
    recourse: str
    confirmation: str
    due_minor: int
    cost_minor: int
    due_date: date
    pay_date: date
    final_date: date
    pd_ppm: int
    lgd_bps: int
    days_late: int
    decided_on: date
    heard_on: date
    disputed: bool
    charged_off: bool


class Stress(NamedTuple):
    """What if: PD and LGD times so much, so much diluted, so much paid at once."""

    pd_bps: int = BPS
    lgd_bps: int = BPS
    dilution_ppm: int = 0
    prepaid_ppm: int = 0


CALM = Stress()


@dataclass(slots=True)
class Many:
    """So many assets, and so much of them."""

    asset_count: int = 0
    amount_minor: int = 0

    def add(self, amount_minor: int) -> None:
        """One more."""
        self.asset_count += 1
        self.amount_minor += amount_minor


@dataclass(slots=True)
class Sums:
    """What assets come to. `excess_minor` is by the number of the limit, `ineligible` by the first rule broken."""

    asset_count: int = 0
    due_minor: int = 0
    cost_minor: int = 0
    value_minor: int = 0
    prepaid_minor: int = 0
    late_minor: int = 0
    charged_off_minor: int = 0
    cuts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(CUTS, 0)))
    eligible_minor: int = 0
    counted_minor: int = 0
    ineligible: dict[str, Many] = field(default_factory=lambda: defaultdict(Many))
    excess: dict[int, Many] = field(default_factory=lambda: defaultdict(Many))
    oldest_score_days: int = 0
    silent_days: int = 0


@dataclass(slots=True)
class Book:
    """Assets summed up as they pass; what is eligible waits until it is known what else there is.

    For the limits are shares of all that is eligible, and an obligor that is late with too much of what it owes has
    nothing that is.
    """

    terms: Terms
    today: date
    stress: Stress = CALM
    sums: Sums = field(default_factory=Sums)
    _obligors: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    _waiting: list[tuple[int, int, int, tuple[Any, ...]]] = field(default_factory=list)
    _left: dict[tuple[str, date], int] = field(default_factory=dict)

    def add(self, asset: Held) -> None:
        """Count an asset."""
        sums, today = self.sums, self.today
        sums.asset_count += 1
        sums.due_minor += asset.due_minor
        sums.cost_minor += asset.cost_minor
        sums.oldest_score_days = max(sums.oldest_score_days, (today - asset.decided_on).days)
        sums.silent_days = max(sums.silent_days, (today - asset.heard_on).days)
        sums.charged_off_minor += asset.due_minor if asset.charged_off else 0
        late_minor = asset.due_minor if (today - asset.due_date).days >= self.terms.late_days else 0
        sums.late_minor += late_minor
        owed = self._obligors[asset.obligor]
        owed[0] += asset.due_minor
        owed[1] += late_minor
        prepaid_minor = asset.due_minor * self.stress.prepaid_ppm // PPM
        sums.prepaid_minor += prepaid_minor
        rest_minor = asset.due_minor - prepaid_minor
        sums.value_minor += self._value(asset, rest_minor)
        code = self._why_not(asset)
        if code:
            sums.ineligible[code].add(rest_minor)
        else:
            keys = tuple(_key(one, asset) for one in self.terms.limits)
            counts_minor = rest_minor - rest_minor * self.stress.dilution_ppm // PPM
            self._waiting.append((asset.obligor, rest_minor, counts_minor, keys))

    def close(self) -> Sums:
        """Carve out what is above the limits.

        In the order of assets, each counts as far as every limit has room left; what does not is the excess of the
        limit with the least room, the first of equals. So nothing is carved out twice.
        """
        eligible = list(self._not_cross_aged())
        self._waiting.clear()
        self.sums.eligible_minor = sum(amount_minor for amount_minor, _ in eligible)
        most = [_most(one, self.sums.eligible_minor) for one in self.terms.limits]
        used: list[dict[Any, int]] = [defaultdict(int) for _ in most]
        for amount_minor, keys in eligible:
            rooms = [(most[place] - used[place][key], place) for place, key in enumerate(keys) if key is not None]
            least_minor, limit = min(rooms, default=(amount_minor, -1))
            counted_minor = min(amount_minor, least_minor)
            if counted_minor < amount_minor:
                self.sums.excess[limit].add(amount_minor - counted_minor)
            for place, key in enumerate(keys):
                used[place][key] += counted_minor
            self.sums.counted_minor += counted_minor
        return self.sums

    def _not_cross_aged(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        most_ppm = self.terms.eligibility.max_late_share_ppm
        for obligor, rest_minor, counts_minor, keys in self._waiting:
            owed_minor, late_minor = self._obligors[obligor]
            if most_ppm is not None and late_minor * PPM > most_ppm * owed_minor:
                self.sums.ineligible["cross_ageing"].add(rest_minor)
            else:
                yield counts_minor, keys

    def _value(self, asset: Held, due_minor: int) -> int:
        left_minor = due_minor
        for name, of, whole in self._factors(asset):
            if of != whole:
                rest_minor = left_minor * of // whole
                self.sums.cuts[name] += left_minor - rest_minor
                left_minor = rest_minor
        return left_minor

    def _factors(self, asset: Held) -> tuple[tuple[str, int, int], ...]:
        """What is left of a value after each cut, as a fraction."""
        stress = self.stress
        pd_ppm = min(asset.pd_ppm * stress.pd_bps // BPS, PPM)
        lgd_bps = min(asset.lgd_bps * stress.lgd_bps // BPS, BPS)
        late, silence, stale = (
            self._after("late", asset.due_date),
            self._after("silence", asset.heard_on),
            self._after("stale", asset.decided_on),
        )
        days = max((asset.pay_date - self.today).days + asset.days_late, 0)
        return (
            ("dilution", PPM - stress.dilution_ppm, PPM),
            ("expected_loss", PPM * BPS - pd_ppm * lgd_bps, PPM * BPS),
            ("late", late, PPM),
            ("silence", silence, PPM),
            ("stale", stale, PPM),
            ("discount", BPS * YEAR_DAYS, BPS * YEAR_DAYS + self.terms.discount_bps * days),
        )

    def _after(self, name: str, day: date) -> int:
        """What a schedule leaves after the days since then: thousands of assets share a few days."""
        if (left_ppm := self._left.get((name, day))) is None:
            left_ppm = self._left[name, day] = PPM - cut_ppm(getattr(self.terms, name), (self.today - day).days)
        return left_ppm

    def _why_not(self, asset: Held) -> str | None:
        """The first rule that an asset breaks."""
        rules = self.terms.eligibility
        return next((code for code, fits in _checks(rules, asset, self.today) if not fits), None)


def cut_ppm(cuts: Sequence[Cut], days: int) -> int:
    """What is gone after so many days."""
    return max((one.share_ppm for one in cuts if one.days <= days), default=0)


def _checks(rules: Eligibility, asset: Held, today: date) -> Iterator[tuple[str, bool]]:
    yield "disputed", not asset.disputed
    yield "charged_off", not asset.charged_off
    yield "product", not rules.products or asset.product in rules.products
    yield "recourse", not rules.recourse or asset.recourse in rules.recourse
    grades = rules.confirmation_grades
    yield "confirmation_grade", not grades or at_least(asset.confirmation, grades)
    yield "max_pd", asset.pd_ppm <= rules.max_pd_ppm
    yield "max_tenor", _within((asset.final_date - today).days, rules.max_tenor_days)
    yield "late", (today - asset.due_date).days <= rules.max_days_late
    yield "stale_score", _within((today - asset.decided_on).days, rules.max_score_age_days)
    yield "servicer_silent", _within((today - asset.heard_on).days, rules.max_silence_days)


def _within(number: int, most: int | None) -> bool:
    return most is None or number <= most


def _most(limit: Limit, eligible_minor: int) -> int:
    """What a limit lets one have of all that is eligible."""
    share_minor = None if limit.share_ppm is None else eligible_minor * limit.share_ppm // PPM
    return min(one for one in (share_minor, limit.amount_minor) if one is not None)


def _key(limit: Limit, asset: Held) -> Any:  # noqa: ANN401 - a number or a name
    """Whose share of a limit an asset takes; None where the limit is not about it."""
    key = getattr(asset, limit.by)
    return key if limit.of is None or str(key) == limit.of else None
