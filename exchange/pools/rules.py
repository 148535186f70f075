"""Which asset fits which mandate, at what price, and why not."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from msgspec import Struct

from exchange.receivables.rules import at_least
from exchange.schedules.schedule import Schedule, average_due_date, money_days

YEAR_DAYS = 360
BPS = 10_000
MAX_POOL_ASSETS = 2000


class Terms(Struct, frozen=True, forbid_unknown_fields=True):
    """A mandate's terms. Amounts in minor units of `currency`, rates in basis points a year (ACT/360).

    `grade_spreads_bps[i]` is added to `base_rate_bps` for grade i; the last one serves every worse grade. Caps and
    budget count the price of what is offered to, committed by and held under the mandate. `advance_bps` of the face,
    less the discount, is paid at purchase; the rest is the seller's holdback. Of `confirmation_grades` the weakest is
    the least: stronger evidence is taken too.
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


@dataclass(frozen=True, slots=True)
class FreeAsset:
    """A free asset, as a mandate judges it.

    `face_minor` is what is still owed; `related` says that one person controls seller and obligor. `schedule` are the
    instalments of `schedule_version` still open, where not all is due on `due_date`.
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


@dataclass(slots=True)
class Usage:
    """What a mandate has taken up so far, in price, and what its funder's cash still pays for."""

    cash_minor: int
    total_minor: int = 0
    by_obligor: dict[int, int] = field(default_factory=dict)
    by_seller: dict[int, int] = field(default_factory=dict)
    assets: int = 0

    def take(self, asset: FreeAsset, price_minor: int) -> None:
        """Count one more asset."""
        self.total_minor += price_minor
        self.cash_minor -= price_minor
        self.by_obligor[asset.obligor] = self.by_obligor.get(asset.obligor, 0) + price_minor
        self.by_seller[asset.seller] = self.by_seller.get(asset.seller, 0) + price_minor
        self.assets += 1


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


def price_of(terms: Terms, *, face_minor: int, tenor_days: int, grade: int) -> Price:
    """Split a face due at once into price, discount and holdback; they sum to the face, and roundings are the funder's.

    advance = floor(face x advance_bps); discount = ceil(advance x rate x tenor / 360); price = advance - discount.
    """
    return _price_of(terms, face_minor=face_minor, money_days=face_minor * max(tenor_days, 0), grade=grade)


def price_on(terms: Terms, asset: FreeAsset, *, today: date) -> Price:
    """An asset's price under a mandate: `price_of` what is due at once, and of instalments the sum of theirs.

    Each instalment is advanced in its proportion to the face, and discounted until it is due; all are rounded once:
    discount = ceil(advance x rate x sum(amount x tenor) / (face x 360)), which for one instalment is `price_of`.
    """
    if not asset.schedule:
        tenor_days = (asset.due_date - today).days
        return price_of(terms, face_minor=asset.face_minor, tenor_days=tenor_days, grade=asset.grade)
    days = money_days(asset.schedule, on=today)
    return _price_of(terms, face_minor=asset.face_minor, money_days=days, grade=asset.grade)


def _price_of(terms: Terms, *, face_minor: int, money_days: int, grade: int) -> Price:
    spreads = terms.grade_spreads_bps
    rate_bps = terms.base_rate_bps + spreads[min(grade, len(spreads) - 1)]
    advance_minor = face_minor * terms.advance_bps // BPS
    discount_minor = -(-advance_minor * rate_bps * money_days // (max(face_minor, 1) * BPS * YEAR_DAYS))
    return Price(advance_minor - discount_minor, discount_minor, face_minor - advance_minor, rate_bps)


def why_not_terms(terms: Terms, asset: FreeAsset, *, today: date) -> list[WhyNot]:
    """Every rule of the mandate that the asset itself breaks.

    Money is out until the last due date, which `max_tenor_days` looks at, and earns for the average of the instalments,
    which `min_tenor_days` does.
    """
    tenor_days = (asset.due_date - today).days
    earning_days = (average_due_date(asset.schedule) - today).days if asset.schedule else tenor_days
    price = price_on(terms, asset, today=today)
    checks = (
        ("currency", terms.currency, asset.currency, asset.currency == terms.currency),
        ("product", terms.products, asset.product, asset.product in terms.products),
        ("max_pd", terms.max_pd_ppm, asset.pd_ppm, asset.pd_ppm <= terms.max_pd_ppm),
        ("min_tenor", terms.min_tenor_days, earning_days, earning_days >= terms.min_tenor_days),
        ("max_tenor", terms.max_tenor_days, tenor_days, tenor_days <= terms.max_tenor_days),
        ("min_face", terms.min_face_minor, asset.face_minor, asset.face_minor >= terms.min_face_minor),
        ("max_face", terms.max_face_minor, asset.face_minor, asset.face_minor <= terms.max_face_minor),
        ("recourse", terms.recourse, asset.recourse, asset.recourse in terms.recourse),
        (
            "confirmation_grade",
            terms.confirmation_grades,
            asset.confirmation_grade,
            at_least(asset.confirmation_grade, terms.confirmation_grades),
        ),
        ("related_party", False, asset.related, not asset.related),
        ("price", 1, price.price_minor, price.price_minor >= 1),
    )
    return [WhyNot(code, limit, actual) for code, limit, actual, fits in checks if not fits]


def why_not_usage(terms: Terms, usage: Usage, asset: FreeAsset, *, price_minor: int) -> list[WhyNot]:
    """Every limit of the mandate that the asset would break, given what the mandate has taken up."""
    checks = (
        ("budget", terms.budget_minor, usage.total_minor + price_minor),
        ("obligor_cap", terms.obligor_cap_minor, usage.by_obligor.get(asset.obligor, 0) + price_minor),
        ("seller_cap", terms.seller_cap_minor, usage.by_seller.get(asset.seller, 0) + price_minor),
        ("pool_size", MAX_POOL_ASSETS, usage.assets + 1),
        ("cash", usage.cash_minor, price_minor),
    )
    return [WhyNot(code, limit, actual) for code, limit, actual in checks if actual > limit]


def why_not(candidate: Candidate, asset: FreeAsset, *, room_minor: int, today: date) -> list[WhyNot]:
    """Every reason why `candidate` cannot take `asset`; empty when it can. The matcher asks nothing else.

    `room_minor` is what the obligor's limit leaves free.
    """
    reasons = why_not_terms(candidate.terms, asset, today=today)
    if not reasons:
        price = price_on(candidate.terms, asset, today=today)
        reasons = why_not_usage(candidate.terms, candidate.usage, asset, price_minor=price.price_minor)
    if asset.face_minor > room_minor:
        reasons.append(WhyNot("obligor_limit", room_minor, asset.face_minor))
    return reasons


def clear(
    assets: Sequence[FreeAsset],
    candidates: Sequence[Candidate],
    *,
    rooms: Mapping[int, int],
    seed: bytes,
    today: date,
) -> list[Match]:
    """Give each asset, in an order that only the public seed decides, to the mandate with the lowest rate.

    `rooms` holds what each obligor's limit leaves free in this currency; equal prices are settled by the seed.
    """
    left = dict(rooms)
    matches = []
    for asset in sorted(assets, key=lambda asset: _lot(seed, asset.asset_id)):
        room_minor = left.get(asset.obligor, 0)
        fitting = [one for one in candidates if not why_not(one, asset, room_minor=room_minor, today=today)]
        if not fitting:
            continue
        best = min(fitting, key=lambda one: _preference(one, asset, seed=seed, today=today))
        price = price_on(best.terms, asset, today=today)
        _take(best, candidates, asset, price.price_minor)
        left[asset.obligor] = room_minor - asset.face_minor
        matches.append(Match(asset, best.mandate_id, price))
    return matches


def _take(best: Candidate, candidates: Sequence[Candidate], asset: FreeAsset, price_minor: int) -> None:
    best.usage.take(asset, price_minor)
    for other in candidates:
        if other is not best and other.funder_id == best.funder_id:
            other.usage.cash_minor -= price_minor


def _preference(one: Candidate, asset: FreeAsset, *, seed: bytes, today: date) -> tuple[int, int, int, bytes]:
    """Lowest rate first, then the most money now, then the funder's own ranking, then the lot."""
    price = price_on(one.terms, asset, today=today)
    return (
        price.rate_bps,
        -price.price_minor,
        one.terms.rank,
        _lot(seed, asset.asset_id, one.mandate_id),
    )


def _lot(seed: bytes, *names: str) -> bytes:
    return hashlib.sha256(seed + "\0".join(names).encode()).digest()
