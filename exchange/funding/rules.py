"""When an offer can be answered, and the posting of a purchase."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from zoneinfo import ZoneInfo

from exchange import books
from exchange.currencies import commodity
from exchange.errors import Fault, Refusal
from ledger.books import Leg, Transfer

ANSWER_BY = time(13)
"""Offers of the morning's round are open until this local time; purchases follow."""


class OfferNotOpen(Refusal):
    """The offer was answered already, or its time is over."""

    code = "offer_not_open"
    title = "The offer is not open"


class NotInOffer(Refusal):
    """An asset named in the commitment is not in the offer."""

    code = "not_in_offer"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "An asset is not in the offer"


@dataclass(frozen=True, slots=True)
class Purchased:
    """An asset as it is bought from the company that holds it: amounts in minor units."""

    asset_id: str
    holder_id: str
    face_minor: int
    price_minor: int


def valid_until(made_at: datetime, *, time_zone: str, trades: Callable[[date], bool] = lambda _: True) -> datetime:
    """Until when (UTC) an offer made at `made_at` can be answered: the next `ANSWER_BY` of a day with trade."""
    local = made_at.astimezone(ZoneInfo(time_zone))
    until = datetime.combine(local.date(), ANSWER_BY, tzinfo=local.tzinfo)
    while until <= local or not trades(until.date()):
        until += timedelta(days=1)
    return until.astimezone(UTC)


def check_open(*, outcome: str | None, valid_until: datetime, now: datetime) -> None:
    """Refuse (`OfferNotOpen`) to answer an offer that has an outcome or is over."""
    if outcome is not None:
        raise OfferNotOpen(f"The offer is {outcome} already.", outcome=outcome)
    if now >= valid_until:
        raise OfferNotOpen(f"The offer was valid until {valid_until:%Y-%m-%dT%H:%M:%SZ}.", outcome="lapsed")


def chosen(asset_ids: Sequence[str] | None, *, offered: Collection[str]) -> set[str]:
    """The assets a commitment takes: those it names, or all (`NotInOffer` for any other)."""
    if asset_ids is None:
        return set(offered)
    faults = tuple(
        Fault("not_in_offer", f"/asset_ids/{place}", "not an asset of this offer", asset_id)
        for place, asset_id in enumerate(asset_ids)
        if asset_id not in offered
    )
    if faults:
        raise NotInOffer("Commit to assets of the offer only.", faults=faults)
    return set(asset_ids)


def purchase_transfer(
    offer_id: str,
    *,
    funder_id: str,
    currency: str,
    assets: Sequence[Purchased],
    held_minor: int,
    effective_date: date,
) -> Transfer:
    """Delivery versus payment: one transfer moves the money to the holders and the title to the funder, or neither.

    What was held and is not spent goes back to the funder's cash in the same transfer.
    """
    money = commodity(currency)
    to_holders: dict[str, int] = {}
    for asset in assets:
        to_holders[asset.holder_id] = to_holders.get(asset.holder_id, 0) + asset.price_minor
    spent_minor = sum(to_holders.values())
    legs = [Leg(books.funder_reserved(funder_id), money, -held_minor)]
    legs += [Leg(books.seller_cash(holder_id), money, amount) for holder_id, amount in sorted(to_holders.items())]
    if held_minor > spent_minor:
        legs.append(Leg(books.funder_cash(funder_id), money, held_minor - spent_minor))
    for asset in assets:
        legs.append(Leg(books.ISSUED, asset.asset_id, -asset.face_minor))
        legs.append(Leg(books.funder_title(funder_id), asset.asset_id, asset.face_minor))
    return Transfer(f"{offer_id}/purchase", effective_date, f"purchase of {len(assets)} assets", tuple(legs))
