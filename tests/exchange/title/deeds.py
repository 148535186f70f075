"""What tests of title do: split, hand on, encumber, release, and ask who holds what."""

from itertools import count
from typing import Any

from tests.exchange.house import Client, House
from tests.exchange.settlement.book import results

_numbers = count(1)


def company(name: str) -> dict[str, str]:
    """A company by the platform's own number."""
    return {"scheme": "platform", "value": name}


def split(client: Client, asset_id: str, *amounts: int) -> list[str]:
    """Split an asset that can be; its parts."""
    (result,) = results(client.post("/v1/splits", {"items": [{"asset_id": asset_id, "amounts_minor": amounts}]}))
    assert result["status"] == 201, result
    assert [part["face_minor"] for part in result["parts"]] == list(amounts)
    return [part["asset_id"] for part in result["parts"]]


def transfer(house: House, asset_id: str, to: str, **changes: object) -> dict[str, Any]:
    """Hand an asset on; what became of it."""
    item = {"asset_id": asset_id, "holder": company(to), "effective_date": house.today.isoformat()} | changes
    (result,) = results(house.platform.post("/v1/transfers", {"items": [item]}))
    return result


def encumber(client: Client, asset_id: str, amount_minor: int, **changes: object) -> dict[str, Any]:
    """Encumber an asset; what became of it."""
    item: dict[str, Any] = {
        "asset_id": asset_id,
        "kind": "pledge",
        "beneficiary": "Bank of Ningbo",
        "ground": f"contract {next(_numbers)}",
        "amount_minor": amount_minor,
    }
    (result,) = results(client.post("/v1/encumbrances", {"items": [item | changes]}))
    return result


def holders(client: Client, asset_id: str, **query: str) -> dict[str, Any]:
    """Who holds an asset."""
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    found: dict[str, Any] = client.get(f"/v1/assets/{asset_id}/holders" + (f"?{asked}" if asked else ""))
    return found


def shares(client: Client, asset_id: str, **query: str) -> list[tuple[str, int]]:
    """Who holds how much of an asset."""
    return [(one["holder"], one["amount_minor"]) for one in holders(client, asset_id, **query)["holders"]]


def code(result: dict[str, Any]) -> str:
    """Why an item was refused."""
    return str(result["errors"][0]["code"])


def kinds(house: House, asset_id: str) -> list[str]:
    """The kinds of the signed facts of an asset, in order."""
    house.run()
    return [record["kind"] for record in house.operator.get(f"/v1/assets/{asset_id}/records")["items"]]
