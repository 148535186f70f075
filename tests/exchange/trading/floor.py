"""What tests of trading do: put up, bid, close, list, take, and look at what became of it."""

from datetime import timedelta
from itertools import count
from typing import Any

from tests.exchange.house import House
from tests.exchange.pools.shared import invoice
from tests.exchange.settlement.book import rows

CASH = 100_000_000
FACE = 1_000_000
_numbers = count(1)


def fresh(house: House, count: int = 1, **changes: Any) -> list[str]:  # noqa: ANN401 - any field of a submission
    """Free assets of one obligor and seller each, due in 60 days."""
    items = []
    for _ in range(count):
        number = next(_numbers)
        parties: dict[str, Any] = {
            role: {"scheme": "platform", "value": f"{role}-{number}"} for role in ("seller", "obligor")
        }
        items.append(invoice(house, **(parties | changes)))
    return house.submit(*items)


def at(house: House, **later: float) -> str:
    """A moment so much after now."""
    with house.services.database.transaction() as session:
        return f"{house.services.clock.now(session) + timedelta(**later):%Y-%m-%dT%H:%M:%SZ}"


def put_up(house: House, *lots: list[str], **changes: object) -> str:
    """Put assets up until noon."""
    auction = {"currency": "CNY", "closes_at": at(house, hours=2), "reserve_bps": 800, "lots": lots} | changes
    return str(house.platform.post("/v1/auctions", auction)["auction_id"])


def mandate_of(house: House, funder: int) -> str:
    """The one mandate of a funder."""
    return str(house.funders[funder].get("/v1/mandates")["items"][0]["mandate_id"])


def bid_body(house: House, funder: int, discount_bps: int, **changes: object) -> dict[str, Any]:
    """A bid for the first lot."""
    body = {"lot": 0, "mandate_id": mandate_of(house, funder), "discount_bps": discount_bps, "amount_minor": FACE}
    return body | {"salt": f"{next(_numbers):032x}"} | changes


def bid(house: House, auction_id: str, funder: int, discount_bps: int, **changes: object) -> dict[str, Any]:
    """A bid that is taken."""
    path = f"/v1/auctions/{auction_id}/bids"
    taken: dict[str, Any] = house.funders[funder].post(path, bid_body(house, funder, discount_bps, **changes))
    return taken


def bids(house: House, funder: int, auction_id: str) -> list[dict[str, Any]]:
    """A funder's bids in an auction."""
    return [one for one in house.funders[funder].get("/v1/bids?limit=1000")["items"] if one["auction_id"] == auction_id]


def lot(house: House, auction_id: str) -> list[dict[str, Any]]:
    """The assets of an auction."""
    found: list[dict[str, Any]] = house.operator.get(f"/v1/auctions/{auction_id}")["assets"]
    return found


def told(house: House, funder: int, kind: str) -> list[dict[str, Any]]:
    """What a funder was told of a kind, without the envelope."""
    house.run()
    return [one["data"] for one in house.events(funder) if one["type"] == kind]


def parts(house: House, asset_id: str) -> list[tuple[str, int, str]]:
    """The parts of an asset: id, what is owed, state."""
    query = """
        SELECT asset_id, outstanding_minor, state FROM claim WHERE parent_id = :id ORDER BY asset_id
    """
    return [tuple(row) for row in rows(house, query, id=asset_id)]


def owned(
    house: House, count: int = 1, *, funder: int = 0, bps: int = 600, days: int = 60, **auction: object
) -> list[str]:
    """Assets that a funder bought today in an auction, whole; it is two in the afternoon then."""
    house.move(9, days=1)
    ids = fresh(house, count, days=days)
    auction_id = put_up(house, ids, **auction)
    bid(house, auction_id, funder, bps, amount_minor=FACE * count)
    house.move(13, 50)
    house.move(14, 0)
    return ids


def offer(house: House, *asset_ids: str, funder: int = 0, ppm: int = 995_000, **changes: object) -> str:
    """List assets of a funder for a day."""
    body = {"asset_ids": asset_ids, "currency": "CNY", "price_ppm": ppm, "valid_until": at(house, days=1)}
    return str(house.funders[funder].post("/v1/listings", body | changes)["listing_id"])


def take(house: House, listing_id: str, *, funder: int = 1, **changes: object) -> str:
    """Another funder takes it."""
    body = {"mandate_id": mandate_of(house, funder)} | changes
    return str(house.funders[funder].post(f"/v1/listings/{listing_id}/purchases", body)["trade_id"])


def sides(house: House, funder: int, trade_id: str) -> list[dict[str, Any]]:
    """What a funder has of a trade."""
    found = house.funders[funder].get("/v1/trades?limit=1000")["items"]
    return [one for one in found if one["trade_id"] == trade_id]


def co_fund(house: House, asset_id: str, **shares: int) -> list[dict[str, Any]]:
    """Part an asset among funders (`f0=...`), who commit; it is bought."""
    wanted = [{"mandate_id": mandate_of(house, int(name[1:])), "amount_minor": part} for name, part in shares.items()]
    made = house.operator.post("/v1/co-fundings", {"asset_id": asset_id, "shares": wanted})["shares"]
    for name, share in zip(shares, made, strict=True):
        client = house.funders[int(name[1:])]
        (offered,) = [one for one in client.get("/v1/offers?state=open")["items"] if one["pool_id"] == share["pool_id"]]
        client.post(f"/v1/offers/{offered['offer_id']}/commitment", {})
    house.move(14, 0)
    return list(made)
