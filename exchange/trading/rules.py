"""When bids and listings stand, and what a trade is worth to both sides. Integers only: no cent is lost."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import date, datetime
from http import HTTPStatus
from typing import NamedTuple

from exchange import books
from exchange.currencies import commodity
from exchange.errors import Fault, Refusal
from exchange.pools.rules import Candidate, FreeAsset, WhyNot, why_not_terms, why_not_usage
from exchange.pools.terms import BPS, YEARS
from ledger.books import InsufficientFunds, Leg, Transfer

PPM = 1_000_000


class AuctionNotOpen(Refusal):
    """Bids are taken from the auction's opening to its close."""

    code = "auction_not_open"
    title = "The auction is not open"


class NotForAuction(Refusal):
    """Assets of the lots cannot be put up."""

    code = "not_for_auction"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Not all assets can be put up for auction"


class BidRefused(Refusal):
    """The bid is not one for this auction."""

    code = "bid_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The bid does not fit the auction"


class BidExists(Refusal):
    """A mandate bids once for a lot."""

    code = "bid_exists"
    title = "The mandate bids for this lot already"


class BidOver(Refusal):
    """The bid was withdrawn, or its auction is over."""

    code = "bid_over"
    title = "The bid does not stand any more"


class MandateRefuses(Refusal):
    """The buyer's own mandate does not take it: each fault names the rule, with the numbers compared."""

    code = "mandate_refuses"
    title = "The mandate refuses it"


class CashShort(Refusal):
    """The funder's free cash does not pay for it."""

    code = "cash_short"
    title = "There is not enough free cash"


class NotForSale(Refusal):
    """Assets cannot be listed as they are."""

    code = "not_for_sale"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Not all assets can be listed"


class ListingOver(Refusal):
    """The listing was sold, withdrawn, or its time is over."""

    code = "listing_over"
    title = "The listing is over"


class PartRefused(Refusal):
    """The amount asked for cannot be split off."""

    code = "part_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "This part cannot be had"


class Held(NamedTuple):
    """An asset as its funder holds it, under its lock. Amounts in minor units; `late`: something is due already."""

    asset_id: str
    outstanding_minor: int
    due_minor: int
    discount_minor: int
    bought_on: date
    due_date: date
    schedule_version: int | None
    currency: str
    sound: bool
    late: bool


class Sale(NamedTuple):
    """One asset of a trade: its price, what of its discount the seller had earned, and what it gained by selling."""

    held: Held
    price_minor: int
    earned_minor: int
    result_minor: int

    @property
    def discount_minor(self) -> int:
        """What the buyer earns by waiting."""
        return self.held.due_minor - self.price_minor

    @property
    def holdback_minor(self) -> int:
        """What of the face is not the funder's at all: it goes to the company that sold first, at the end."""
        return self.held.outstanding_minor - self.held.due_minor

    def rate_bps(self, *, on: date) -> int:
        """The buyer's discount in bps a year (ACT/360) of what is due, rounded down."""
        days = max((self.held.due_date - on).days, 1)
        return self.discount_minor * BPS * YEARS["ACT/360"] // (self.held.due_minor * days)


def check_auction_open(*, outcome: str | None, opens_at: datetime, closes_at: datetime, now: datetime) -> None:
    """Refuse (`AuctionNotOpen`) before the opening, from the close on, and once the auction is over."""
    if outcome is not None:
        raise AuctionNotOpen(f"The auction was {outcome}.", outcome=outcome)
    if now < opens_at:
        raise AuctionNotOpen(f"It opens at {opens_at:%Y-%m-%dT%H:%M:%SZ}.", outcome="announced")
    if now >= closes_at:
        raise AuctionNotOpen(f"It closed at {closes_at:%Y-%m-%dT%H:%M:%SZ}.", outcome="closed")


def refused_by_mandate(refusals: Sequence[tuple[str, WhyNot]]) -> MandateRefuses:
    """What the buyer is told of its mandate's refusals, of (pointer, reason); what a limit leaves others is not."""
    faults = [
        Fault(why.code, at, "the obligor's limit leaves no room")
        if why.code == "obligor_limit"
        else Fault(why.code, at, f"the mandate's limit is {why.limit}", why.actual)
        for at, why in refusals[:100]
    ]
    return MandateRefuses("The mandate does not take it.", faults=tuple(faults))


def why_not_bought(candidate: Candidate, priced: Sequence[tuple[FreeAsset, int]], *, today: date) -> list[WhyNot]:
    """Why a mandate does not take assets at these prices, all of them together: the matcher's own rules."""
    usage, refused = deepcopy(candidate.usage), []
    for asset, price_minor in priced:
        refused += why_not_terms(candidate.terms, asset, today=today)
        refused += why_not_usage(candidate.terms, usage, asset, price_minor=price_minor)
        usage.take(asset, price_minor)
    return refused


def would_take(candidate: Candidate, priced: Sequence[tuple[FreeAsset, int]], *, in_parts: bool, today: date) -> bool:
    """Whether a mandate takes a listing whole, or if it goes in parts (of any size) something of it."""
    if in_parts:
        return any(not why_not_terms(candidate.terms, asset, today=today) for asset, _ in priced)
    return not why_not_bought(candidate, priced, today=today)


def cash_short(error: InsufficientFunds) -> CashShort:
    """What a funder is told whose cash does not do."""
    return CashShort("Deposit first.", needed_minor=error.needed_minor, available_minor=max(error.available_minor, 0))


def why_not_listed(held: Held, *, currency: str) -> str | None:
    """Why an asset cannot be for sale at a price that stands until a day, None if it can."""
    checks = (
        ("currency_differs", held.currency == currency),
        ("not_sound", held.sound),
        ("past_due", not held.late),
        ("nothing_due", held.due_minor > 0),
    )
    return next((code for code, fine in checks if not fine), None)


def sale(held: Held, *, price_ppm: int, on: date) -> Sale:
    """An asset sold on a day at a ratio of what is still due to its funder.

    price = floor(due x ppm / 1,000,000): the fraction is the buyer's. Of the discount d bought on day b and due on day
    e, earned = floor(d x min(on - b, e - b) / (e - b)) is the seller's, as accruals count it. The asset stands at
    due - (d - earned), and the seller gains price - that. The buyer earns due - price from that day on.
    """
    price_minor = held.due_minor * price_ppm // PPM
    days = max((held.due_date - held.bought_on).days, 1)
    earned_minor = held.discount_minor * min(max((on - held.bought_on).days, 0), days) // days
    unearned_minor = min(held.discount_minor - earned_minor, held.due_minor)
    return Sale(
        held,
        price_minor,
        held.discount_minor - unearned_minor,
        price_minor - (held.due_minor - unearned_minor),
    )


def trade_transfer(
    trade_id: str, *, seller_id: str, buyer_id: str, currency: str, sales: Sequence[Sale], effective_date: date
) -> Transfer:
    """Delivery versus payment between two funders: money, title, and what the seller gained, in one transfer."""
    money = commodity(currency)
    price_minor = sum(one.price_minor for one in sales)
    result_minor = sum(one.result_minor for one in sales)
    legs = [
        Leg(books.funder_cash(buyer_id), money, -price_minor),
        Leg(books.funder_cash(seller_id), money, price_minor),
        Leg(books.funder_trading(seller_id), money, result_minor),
        Leg(books.TRADED, money, -result_minor),
    ]
    for one in sales:
        legs.append(Leg(books.funder_title(seller_id), one.held.asset_id, -one.held.outstanding_minor))
        legs.append(Leg(books.funder_title(buyer_id), one.held.asset_id, one.held.outstanding_minor))
    named = f"trade of {len(sales)} assets"
    return Transfer(trade_id, effective_date, named, tuple(leg for leg in legs if leg.amount_minor))


def chosen(
    open_minor: Mapping[str, int], *, asset_ids: Sequence[str] | None, part_minor: int | None, least_minor: int | None
) -> dict[str, int]:
    """What a buyer takes of a listing: the face of each asset.

    All of it; or, if it goes in parts (`least_minor`), the assets named, or so much of one (`PartRefused`).
    """
    names = list(open_minor) if asset_ids is None else asset_ids
    if least_minor is None and (asset_ids is not None or part_minor is not None):
        raise PartRefused("The listing goes whole.")
    faults = tuple(
        Fault("not_listed", f"/asset_ids/{place}", "not on this listing", asset_id)
        for place, asset_id in enumerate(names)
        if asset_id not in open_minor
    )
    if faults:
        raise PartRefused("Name assets of the listing.", faults=faults)
    taken = {asset_id: open_minor[asset_id] for asset_id in names}
    if part_minor is None:
        return taken
    if len(taken) > 1:
        raise PartRefused("Name the one asset to be taken in part.")
    ((asset_id, whole_minor),) = taken.items()
    left_minor = whole_minor - part_minor
    if left_minor < 0 or (left_minor and min(part_minor, left_minor) < (least_minor or 0)):
        message = f"all of {whole_minor}, or a part that leaves no less than {least_minor} on each side"
        fault = Fault("part_out_of_range", "/part_minor", message, part_minor)
        raise PartRefused("The part is too large, or too small.", faults=(fault,))
    return {asset_id: part_minor}
