"""Which asset fits which mandate, at what price, and why not.

What a mandate asks of an asset is a table, `RULES`: the round asks it of columns, why-not of one asset.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from operator import ge, le
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.pools.terms import BPS, KEYS, PERMILLE, YEARS, Terms
from exchange.receivables.rules import at_least
from exchange.schedules.schedule import Schedule, average_due_date, money_days
from scoring.grades import NAMES as GRADES

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
MAX_POOL_ASSETS = 2000
"""So many assets are offered together: a mandate that gets more in a round gets several pools."""


@dataclass(frozen=True, slots=True)
class FreeAsset:
    """A free asset, as a mandate judges it.

    `face_minor` is what is still owed; `related` says that one person controls seller and obligor. `schedule` are the
    instalments of `schedule_version` still open, where not all is due on `due_date`. Sector, region, group and
    controller (numbers of companies and persons) are the obligor's; `late_permille` is how much of what it owes here is
    overdue. Ages are in days. `divisible`: its holder lets it go in parts.
    """

    asset_id: str
    obligor: int
    seller: int
    product: str
    currency: str
    face_minor: int
    due_date: date
    recourse: str
    confirmation_grade: str
    pd_ppm: int
    grade: int
    related: bool
    schedule_version: int | None = None
    sector: str | None = None
    region: str | None = None
    obligor_group: str = ""
    controller: str | None = None
    score_age_days: int = 0
    invoice_age_days: int = 0
    divisible: bool = False
    late_permille: int = 0
    schedule: Schedule = ()


@dataclass(frozen=True, slots=True)
class Price:
    """The parts of a face: price now, discount earned by waiting, holdback for the seller at the end."""

    price_minor: int
    discount_minor: int
    holdback_minor: int
    rate_bps: int


@dataclass(frozen=True, slots=True)
class WhyNot:
    """One reason why an asset does not fit: the mandate's limit and the asset's number."""

    code: str
    limit: Any
    actual: Any

    def told(self) -> dict[str, Any]:
        """With its numbers, but what the obligor's limit leaves: that would tell of other funders' positions."""
        return {"code": self.code, "limit": None if self.code == "obligor_limit" else self.limit, "actual": self.actual}


class Taken(NamedTuple):
    """What is taken up of something: its price, and its face."""

    price_minor: int = 0
    face_minor: int = 0

    def and_(self, price_minor: int, face_minor: int) -> "Taken":
        """With so much more."""
        return Taken(self.price_minor + price_minor, self.face_minor + face_minor)


Key = tuple[str, Any]
"""What a limit counts by (`terms.KEYS`), and which one."""


@dataclass(slots=True)
class Usage:
    """What a mandate has taken up so far, by key and in all, and what its funder's cash still pays for."""

    cash_minor: int
    total: Taken = field(default_factory=Taken)
    by_key: dict[Key, Taken] = field(default_factory=dict)

    def take(self, asset: FreeAsset, price_minor: int) -> None:
        """Count one more asset."""
        self.add(keys_of(asset), price_minor=price_minor, face_minor=asset.face_minor)
        self.cash_minor -= price_minor

    def add(self, keys: Sequence[Key], *, price_minor: int, face_minor: int) -> None:
        """Count what was offered, committed or bought before, whose money is gone from the cash."""
        self.total = self.total.and_(price_minor, face_minor)
        for key in keys:
            self.by_key[key] = self.by_key.get(key, Taken()).and_(price_minor, face_minor)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mandate in a round. Mandates of one funder share its cash."""

    mandate_id: str
    version: int
    funder_id: str
    terms: Terms
    usage: Usage


@dataclass(frozen=True, slots=True)
class Match:
    """An asset and the mandate that gets it."""

    asset: FreeAsset
    mandate_id: str
    price: Price


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of names: `names[codes[i]]`."""

    names: tuple[Any, ...]
    codes: Ints


class Rule(NamedTuple):
    """What a mandate asks of one fact of an asset: `holds(fact, limit)`, of a number or a name. None asks nothing."""

    code: str
    fact: str
    limit: Callable[[Terms], Any]
    holds: Callable[[Any, Any], Any]


def _among(name: object, names: Sequence[object]) -> bool:
    return name in names


def _not_among(name: object, names: Sequence[object]) -> bool:
    return name not in names


def _no_worse(name: str, worst: str) -> bool:
    return GRADES.index(name) <= GRADES.index(worst)


RULES = (
    Rule("currency", "currency", lambda terms: terms.currency, lambda name, wanted: name == wanted),
    Rule("product", "product", lambda terms: terms.products, _among),
    Rule("sector", "sector", lambda terms: terms.sectors, _among),
    Rule("sector_out", "sector", lambda terms: terms.sectors_out or None, _not_among),
    Rule("region", "region", lambda terms: terms.regions, _among),
    Rule("region_out", "region", lambda terms: terms.regions_out or None, _not_among),
    Rule("max_pd", "pd_ppm", lambda terms: terms.max_pd_ppm, le),
    Rule("worst_grade", "grade", lambda terms: terms.worst_grade, _no_worse),
    Rule("min_tenor", "earning_days", lambda terms: terms.min_tenor_days, ge),
    Rule("max_tenor", "tenor_days", lambda terms: terms.max_tenor_days, le),
    Rule("min_face", "face_minor", lambda terms: terms.min_face_minor, ge),
    Rule("max_face", "face_minor", lambda terms: terms.max_face_minor, le),
    Rule("recourse", "recourse", lambda terms: terms.recourse, _among),
    Rule("confirmation_grade", "confirmation_grade", lambda terms: terms.confirmation_grades, at_least),
    Rule("score_age", "score_age_days", lambda terms: terms.max_score_age_days, le),
    Rule("invoice_age", "invoice_age_days", lambda terms: terms.max_invoice_age_days, le),
    Rule("late_share", "late_permille", lambda terms: terms.max_late_permille, le),
    Rule("related_party", "related", lambda _: False, le),
)
"""Money is out until the last due date, which `max_tenor` looks at, and earns for the average of the instalments, which
`min_tenor` does."""
SURE_MINOR = 3
NAMED = ("currency", "product", "sector", "region", "grade", "recourse", "confirmation_grade")


def facts_of(asset: FreeAsset, *, today: date) -> dict[str, Any]:
    """One asset's facts, as the rules name them."""
    tenor_days = (asset.due_date - today).days
    return {
        "currency": asset.currency,
        "product": asset.product,
        "sector": asset.sector,
        "region": asset.region,
        "pd_ppm": asset.pd_ppm,
        "grade": GRADES[asset.grade],
        "tenor_days": tenor_days,
        "earning_days": (average_due_date(asset.schedule) - today).days if asset.schedule else tenor_days,
        "face_minor": asset.face_minor,
        "recourse": asset.recourse,
        "confirmation_grade": asset.confirmation_grade,
        "score_age_days": asset.score_age_days,
        "invoice_age_days": asset.invoice_age_days,
        "late_permille": asset.late_permille,
        "related": asset.related,
    }


def columns_of(assets: Sequence[FreeAsset], *, today: date) -> dict[str, Any]:
    """Many assets' facts: a `Coded` column for each name, an array for each number."""
    rows = [facts_of(asset, today=today) for asset in assets]
    columns: dict[str, Any] = {}
    for rule in RULES:
        values = [row[rule.fact] for row in rows]
        if rule.fact in NAMED:
            codes = {name: place for place, name in enumerate(dict.fromkeys(values))}
            columns[rule.fact] = Coded(tuple(codes), np.array([codes[name] for name in values], dtype=np.int64))
        else:
            columns[rule.fact] = np.array(values, dtype=np.int64)
    return columns


def fits(terms: Terms, assets: Sequence[FreeAsset], columns: Mapping[str, Any], *, today: date) -> Flags:
    """Which of the assets, whose `columns_of` these are, break no rule of the mandate."""
    fitting = np.ones(len(assets), dtype=np.bool_)
    for rule in RULES:
        limit, column = rule.limit(terms), columns[rule.fact]
        if limit is None:
            continue
        if isinstance(column, Coded):
            held = np.array([bool(rule.holds(name, limit)) for name in column.names], dtype=np.bool_)
            fitting &= held[column.codes]
        else:
            fitting &= rule.holds(column, limit)
    for place in np.flatnonzero(fitting & ~_surely_priced(terms, columns)).tolist():
        fitting[place] = price_on(terms, assets[place], today=today).price_minor >= 1
    return fitting


def _surely_priced(terms: Terms, columns: Mapping[str, Any]) -> Flags:
    """Whose price is at least 1 whatever is rounded, twice by less than 1 each."""
    left = 1 - terms.best_rate_bps * columns["tenor_days"] / (BPS * YEARS[terms.day_count])
    sure: Flags = columns["face_minor"] * left * (terms.advance_bps / BPS) >= SURE_MINOR
    return sure


def why_not_terms(terms: Terms, asset: FreeAsset, *, today: date) -> list[WhyNot]:
    """Every rule of the mandate that the asset itself breaks."""
    return _broken(terms, asset, facts_of(asset, today=today), today=today)


def _broken(terms: Terms, asset: FreeAsset, facts: Mapping[str, Any], *, today: date) -> list[WhyNot]:
    broken = []
    for code, fact, limit_of, holds in RULES:
        limit = limit_of(terms)
        if limit is not None and not holds(facts[fact], limit):
            broken.append(WhyNot(code, limit, facts[fact]))
    price = price_on(terms, asset, today=today)
    if price.price_minor < 1:
        broken.append(WhyNot("price", 1, price.price_minor))
    return broken


def price_of(terms: Terms, *, face_minor: int, tenor_days: int, grade: int) -> Price:
    """Split a face due at once into price, discount and holdback; they sum to the face, and roundings are the funder's.

    advance = floor(face x advance_bps); discount = ceil(advance x rate x tenor / year); price = advance - discount.
    """
    days = max(tenor_days, 0)
    return _price_of(terms, face_minor=face_minor, money_days=face_minor * days, grade=grade, tenor_days=days)


def price_on(terms: Terms, asset: FreeAsset, *, today: date) -> Price:
    """An asset's price under a mandate: `price_of` what is due at once, and of instalments the sum of theirs.

    Each instalment is advanced in its proportion to the face, and discounted until it is due; all are rounded once:
    discount = ceil(advance x rate x sum(amount x tenor) / (face x year)), which for one instalment is `price_of`. The
    rate is that of the days until the last one.
    """
    tenor_days = (asset.due_date - today).days
    if not asset.schedule:
        return price_of(terms, face_minor=asset.face_minor, tenor_days=tenor_days, grade=asset.grade)
    days = money_days(asset.schedule, on=today)
    return _price_of(terms, face_minor=asset.face_minor, money_days=days, grade=asset.grade, tenor_days=tenor_days)


def _price_of(terms: Terms, *, face_minor: int, money_days: int, grade: int, tenor_days: int) -> Price:
    rate_bps = terms.rate_bps(grade=grade, tenor_days=tenor_days)
    advance_minor = face_minor * terms.advance_bps // BPS
    year = max(face_minor, 1) * BPS * YEARS[terms.day_count]
    discount_minor = -(-advance_minor * rate_bps * money_days // year)
    return Price(advance_minor - discount_minor, discount_minor, face_minor - advance_minor, rate_bps)


def key_of(asset: FreeAsset, by: str) -> Any:  # noqa: ANN401 - a number or a name
    """What a concentration limit by this counts an asset under; None: under nothing."""
    return getattr(asset, by)


def keys_of(asset: FreeAsset) -> list[Key]:
    """All that an asset counts under."""
    return [(by, key) for by in KEYS if (key := key_of(asset, by)) is not None]


def why_not_usage(terms: Terms, usage: Usage, asset: FreeAsset, *, price_minor: int) -> list[WhyNot]:
    """Every limit of the mandate that the asset would break, given what the mandate has taken up."""
    reasons = why_not_amounts(terms, usage, asset, price_minor=price_minor)
    if terms.max_pool_minor is not None and asset.face_minor > terms.max_pool_minor:
        reasons.append(WhyNot("max_pool", terms.max_pool_minor, asset.face_minor))
    for limit in terms.limits:
        key = (limit.by, key_of(asset, limit.by))
        if limit.most_permille is not None and key[1] is not None and over_share(usage, key, limit.most_permille):
            held = -(-usage.by_key[key].face_minor * PERMILLE // usage.total.face_minor)
            reasons.append(WhyNot(f"{limit.by}_share", limit.most_permille, held))
    return reasons


def why_not_amounts(terms: Terms, usage: Usage, asset: FreeAsset, *, price_minor: int) -> list[WhyNot]:
    """The limits on amounts among them: budget, cash, caps."""

    def taken(by: str) -> int:
        return usage.by_key.get((by, key_of(asset, by)), Taken()).price_minor + price_minor

    checks = [
        ("budget", terms.budget_minor, usage.total.price_minor + price_minor),
        ("obligor_cap", terms.obligor_cap_minor, taken("obligor")),
        ("seller_cap", terms.seller_cap_minor, taken("seller")),
        ("cash", usage.cash_minor, price_minor),
    ]
    checks += [
        (f"{limit.by}_amount", limit.most_minor, taken(limit.by))
        for limit in terms.limits
        if limit.most_minor is not None and key_of(asset, limit.by) is not None
    ]
    return [WhyNot(code, limit, actual) for code, limit, actual in checks if actual > limit]


def over_share(usage: Usage, key: Key, most_permille: int) -> bool:
    """Whether a key has more than its share of what a mandate holds already: nothing is added to it then."""
    return PERMILLE * usage.by_key.get(key, Taken()).face_minor > most_permille * usage.total.face_minor


def why_not(candidate: Candidate, asset: FreeAsset, *, room_minor: int, today: date) -> list[WhyNot]:
    """Every reason why `candidate` cannot take `asset`, nor any part of it where it may go in parts; empty when it can.

    `room_minor` is what the limits of the obligor and its group leave free.
    """
    reasons = why_not_terms(candidate.terms, asset, today=today)
    if asset.divisible and not asset.schedule:
        asset = replace(asset, face_minor=min(asset.face_minor, candidate.terms.min_face_minor))
    if not reasons:
        price = price_on(candidate.terms, asset, today=today)
        reasons = why_not_usage(candidate.terms, candidate.usage, asset, price_minor=price.price_minor)
    if asset.face_minor > room_minor:
        reasons.append(WhyNot("obligor_limit", room_minor, asset.face_minor))
    return reasons
