"""Rounds over HTTP: asked for, shown, proved to each as far as it is theirs."""

import json

from exchange.auth import Role
from ledger.verify import certificate
from tests.exchange.house import House, enter_client, mandate
from tests.exchange.pools.shared import invoice


def test_a_round_on_demand_is_proved_to_each(shared: House) -> None:
    """The operator and an auditor get the whole certificate, a funder its own part; all of them check it alone."""
    first, second = shared.funders
    for funder in (0, 1):
        shared.deposit(funder, 1_500_000)
        shared.funders[funder].post("/v1/mandates", mandate(base_rate_bps=600 + funder))
    assets = shared.submit(*(invoice(shared) for _ in range(3)))
    asked = shared.operator.post("/v1/rounds", None)
    assert asked["state"] == "open"
    refused = shared.operator.refused("POST", "/v1/rounds")
    assert (refused["code"], refused["numbers"]) == ("round_running", {"round_id": asked["round_id"]})
    assert first.refused("POST", "/v1/rounds")["code"] == "forbidden"
    shared.run()
    path = f"/v1/rounds/{asked['round_id']}"
    shown = shared.operator.get(path)
    (cleared,) = shown["clearings"]
    assert (shown["state"], cleared["outcome"], shown["matched_face"]) == ("done", "placed", {"CNY": 2_000_000})
    assert 0 < int(cleared["value"]) <= int(cleared["bound"])
    own = first.get(path)
    assert (own["clearings"], own["matched_count"], own["asset_count"]) == ([], 1, None)
    auditor = enter_client(shared.services, shared.app, role=Role.AUDITOR, name="auditor of rounds")
    whole = auditor.call("GET", f"{path}/certificate?currency=CNY").get_data()
    assert certificate.check(whole)["entries"] == 2
    assert certificate.digest(json.loads(whole)["head"]) == cleared["head_digest"]
    for bank in (first, second):
        extract = bank.call("GET", f"{path}/certificate?currency=CNY").get_data()
        assert certificate.check(extract) == {"mandates": 1, "entries": 1}
        assert json.loads(extract)["head"] == json.loads(whole)["head"]
    assert first.refused("GET", f"{path}/certificate?currency=USD")["code"] == "no_certificate"
    every = shared.operator.get(f"{path}/costs?currency=CNY")["items"]
    mine = first.get(f"{path}/costs?currency=CNY")["items"]
    assert all(one in every for one in mine)
    assert {one["limit"] for one in every} >= {"cash"}
    told = [first.get(f"{path}/why-not/{asset_id}")["items"][0]["matches"] for asset_id in assets]
    assert told == [True] * 3, "each of them fitted; money was short"
    assert first.get(f"/v1/assets/{assets[0]}/why-not")["items"][0]["refusals"]
    assert shared.operator.refused("POST", f"{path}/end")["code"] == "round_over"
