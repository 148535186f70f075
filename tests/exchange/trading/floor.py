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
    return [one["data"] for one in house.events(funder) if one["type"] == kind]


def parts(house: House, asset_id: str) -> list[tuple[str, int, str]]:
    """The parts of an asset: id, what is owed, state."""
    query = """
        SELECT asset_id, outstanding_minor, state FROM claim WHERE parent_id = :id ORDER BY asset_id
    """
    return [tuple(row) for row in rows(house, query, id=asset_id)]
