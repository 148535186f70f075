"""The funders file: who buys in a replay, on which mandates, with how much."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from exchange.errors import Refusal
from exchange.replay.book import Book
from exchange.replay.rows import ReplayRow

DEFAULT_FILE = Path(__file__).with_name("funders.toml")
SIZING_RULE = "share of (face x tenor / days replayed) per currency; caps at least the largest face"
_FEW_SELLERS = 5


class FundersRefused(Refusal):
    """The funders file cannot be used; the detail says what to change."""

    code = "funders_refused"
    title = "The funders file cannot be used"


class MandateSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One mandate. Its size: `budget_minor` in `currency`, or `budget_percent` of the replayed file's own."""

    name: str
    rank: int
    products: list[str]
    max_pd_ppm: int
    min_tenor_days: int
    max_tenor_days: int
    recourse: list[str]
    confirmation_grades: list[str]
    base_rate_bps: int
    advance_bps: int
    auto_commit: bool
    obligor_cap_percent: int
    seller_cap_percent: int
    budget_percent: int | None = None
    budget_minor: int | None = None
    currency: str | None = None
    grade_spreads_bps: list[int] | None = None
    pick_max_pd_ppm: int | None = None


class FunderSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One funder and its mandates."""

    name: str
    mandate: list[MandateSpec]


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    funder: list[FunderSpec]


@dataclass(frozen=True, slots=True)
class Size:
    """What a file's receivables amount to in one currency."""

    outstanding_minor: int
    largest_face_minor: int
    sellers: int


def load_funders(path: Path = DEFAULT_FILE) -> list[FunderSpec]:
    """Read a funders file (`FundersRefused`)."""
    try:
        funders = msgspec.toml.decode(path.read_bytes(), type=_File).funder
    except OSError as error:
        raise FundersRefused(f"{path}: {error.strerror}") from None
    except ValueError as error:  # not TOML, not UTF-8, or not of this form
        raise FundersRefused(f"{path}: {error}") from None
    if not funders or any(not funder.mandate for funder in funders):
        raise FundersRefused(f"{path}: give at least one [[funder]], and each at least one [[funder.mandate]]")
    if len({funder.name for funder in funders}) < len(funders):
        raise FundersRefused(f"{path}: two funders have the same name")
    for mandate in (mandate for funder in funders for mandate in funder.mandate):
        if (mandate.budget_percent is None) == (mandate.budget_minor is None):
            raise FundersRefused(f"{path}: mandate {mandate.name!r} needs one of budget_percent and budget_minor")
        if (mandate.budget_minor is None) != (mandate.currency is None):
            raise FundersRefused(f"{path}: mandate {mandate.name!r}: budget_minor needs its currency, and only it")
    return funders


def sizes(book: Book) -> dict[str, Size]:
    """The size of the live part of a book, per currency, largest first."""
    by_currency: defaultdict[str, list[ReplayRow]] = defaultdict(list)
    for row in book.live:
        by_currency[row.currency].append(row)
    days = (book.last_submission - book.first_day).days + 1
    found = {currency: _size(rows, days=days) for currency, rows in by_currency.items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1].outstanding_minor, item[0])))


def _size(rows: Sequence[ReplayRow], *, days: int) -> Size:
    face_days = sum(row.face_minor * max((row.due_date - row.issue_date).days, 1) for row in rows)
    largest = max(row.face_minor for row in rows)
    return Size(max(face_days // days, largest), largest, len({row.seller.value for row in rows}))


def mandate_bodies(spec: MandateSpec, *, file_sizes: Mapping[str, Size]) -> list[dict[str, Any]]:
    """The mandates to open for one entry: one for each currency, or one in its own."""
    if spec.currency is not None and spec.budget_minor is not None:
        size = file_sizes.get(spec.currency, Size(spec.budget_minor, spec.budget_minor, _FEW_SELLERS))
        return [_body(spec, currency=spec.currency, budget_minor=spec.budget_minor, size=size)]
    percent = spec.budget_percent or 0
    return [
        _body(spec, currency=currency, budget_minor=max(1, size.outstanding_minor * percent // 100), size=size)
        for currency, size in file_sizes.items()
    ]


def _body(spec: MandateSpec, *, currency: str, budget_minor: int, size: Size) -> dict[str, Any]:
    largest = max(1, min(size.largest_face_minor, budget_minor))
    seller_percent = 100 if size.sellers < _FEW_SELLERS else spec.seller_cap_percent
    body: dict[str, Any] = {
        "name": f"{spec.name} ({currency})",
        "currency": currency,
        "budget_minor": budget_minor,
        "products": spec.products,
        "max_pd_ppm": spec.max_pd_ppm,
        "min_tenor_days": spec.min_tenor_days,
        "max_tenor_days": spec.max_tenor_days,
        "min_face_minor": 1,
        "max_face_minor": largest,
        "recourse": spec.recourse,
        "confirmation_grades": spec.confirmation_grades,
        "obligor_cap_minor": max(budget_minor * spec.obligor_cap_percent // 100, largest),
        "seller_cap_minor": max(budget_minor * seller_percent // 100, largest),
        "base_rate_bps": spec.base_rate_bps,
        "advance_bps": spec.advance_bps,
        "auto_commit": spec.auto_commit,
        "rank": spec.rank,
    }
    return body if spec.grade_spreads_bps is None else body | {"grade_spreads_bps": spec.grade_spreads_bps}
