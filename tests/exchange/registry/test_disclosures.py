"""Who may see who owes an asset: its platform, the operator, and whoever holds it."""

from typing import Any

import pytest

from exchange.auth import Role
from exchange.parties.clients import register_client
from ledger.records import open_record
from tests.exchange.house import OPENING, Client, House, make_key, mandate, public_jwk, receivable
from tests.exchange.receivables.shared import add_platform
from tests.exchange.registry.readers import record_keys, verified

HIDDEN = {"seller", "obligor", "invoice_number", "documents"}


@pytest.fixture(scope="module")
def auditor(house: House) -> Client:
    """Sees everything but whom it is about."""
    key = make_key("auditor")
    entropy = house.services.entropy
    with house.services.database.transaction() as session:
        client_id = register_client(
            session, role=Role.AUDITOR, party_id=None, public_jwk=public_jwk(key), now=OPENING, entropy=entropy
        )
    return Client(house.app.test_client(), client_id, key)


def disclosed(house: House, client: Client, asset_id: str) -> set[str] | None:
    """The hidden fields a client is shown, after it has verified the chain; None when it sees no asset."""
    response = client.call("GET", f"/v1/assets/{asset_id}/records")
    if response.status_code == 404:
        return None
    items: list[dict[str, Any]] = response.get_json(force=True)["items"]
    records = verified(house.app.test_client(), items)
    assert records[0].type == "asset.confirmed"
    shown = [opened(house, link) for link in items]
    assert shown[0] or not any(shown), "who does not see the parties sees nothing of what is hidden"
    return shown[0]


def opened(house: House, link: dict[str, Any]) -> set[str]:
    """The names of a link's disclosures, each vouched for by the record."""
    keys = record_keys(house.app.test_client())
    return set(open_record(link["jws"], keys=keys, disclosures=link["disclosures"]).disclosed)


def test_disclosures_follow_the_title(house: House, auditor: Client) -> None:
    """Through the whole life: hidden from funders until one holds the asset, then shown to that one alone."""
    holder, rival = house.funders
    stranger = add_platform(house, "Stranger")
    readers = [house.platform, house.operator, auditor, stranger, holder, rival]

    def seen() -> list[set[str] | None]:
        return [disclosed(house, client, asset_id) for client in readers]

    house.deposit(0, 10**9)
    holder.post("/v1/mandates", mandate())
    documents = [{"kind": "contract", "sha256": "c" * 64}]
    (asset_id,) = house.submit(receivable("SECRET-1", documents=documents))
    assert seen() == [HIDDEN, HIDDEN, set(), None, None, None]

    house.move(10, 30)
    assert seen() == [HIDDEN, HIDDEN, set(), None, set(), None]
    (offer,) = holder.get("/v1/offers?state=open")["items"]
    holder.post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    assert seen() == [HIDDEN, HIDDEN, set(), None, set(), None]

    house.move(14, 30)
    assert seen() == [HIDDEN, HIDDEN, set(), None, HIDDEN, None]
    house.check()


def test_the_disclosed_values_are_the_submitted_ones(house: House) -> None:
    """Nothing is changed on the way into the record."""
    documents = [{"kind": "contract", "sha256": "d" * 64}]
    (asset_id,) = house.submit(receivable("№ 7/é", seller={"scheme": "platform", "value": "s-7"}, documents=documents))
    link = house.platform.get(f"/v1/assets/{asset_id}/records")["items"][0]
    keys = record_keys(house.app.test_client())
    record = open_record(link["jws"], keys=keys, disclosures=link["disclosures"])
    assert record.disclosed == {
        "seller": "platform:s-7",
        "obligor": "platform:obligor-1",
        "invoice_number": "№ 7/é",
        "documents": documents,
    }
    assert record.body["confirmation"] == {"grade": "explicit", "date": "2026-03-02"}
    assert {"s-7", "№ 7/é", "d" * 64}.isdisjoint(map(str, record.body.values()))
