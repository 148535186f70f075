"""New assets screened: what is held back, what people decide, and what goes on to the market."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.exchange.facts.bodies import TOLD
from tests.exchange.house import House, receivable
from tests.exchange.premises import premises
from tests.exchange.reviews.bodies import REVIEW_POLICY

BOSS = {"national_id": "110101196001011111"}


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that the tests of a module share; nothing falls due by itself."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        house.only()
        yield house


def platform(value: str, **more: object) -> dict[str, Any]:
    """A company by the platform's number."""
    return {"scheme": "platform", "value": value, **more}


def trade(number: str, seller: str, obligor: str, **changes: object) -> dict[str, Any]:
    """A receivable between two companies."""
    return receivable(number, **{"seller": platform(seller), "obligor": platform(obligor)} | changes)


def reviews(house: House, **asked: str) -> list[dict[str, Any]]:
    """Findings that are asked for."""
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    items: list[dict[str, Any]] = house.operator.get(f"/v1/reviews?limit=1000&{query}")["items"]
    return items


def decide(house: House, item_id: str, decision: str, *, suspend: bool = False) -> dict[str, Any]:
    """What an operator says of a finding."""
    body = {"decision": decision, "reason": "asked them", "suspend": suspend}
    said: dict[str, Any] = house.operator.post(f"/v1/reviews/{item_id}/decision", body)
    return said


def state(house: House, asset_id: str) -> tuple[str, str | None] | None:
    """How an asset's claim stands in the market, None before it is listed."""
    query = text("SELECT state, kept_for FROM claim WHERE asset_id = :id")
    with house.services.database.transaction() as session:
        row = session.execute(query, {"id": asset_id}).first()
    return None if row is None else (row.state, row.kept_for)


def tell(house: House, kind: str, **fact: Any) -> None:  # noqa: ANN401 - members of any kind
    """Tell one fact that has to be kept."""
    answer = house.platform.post(f"/v1/facts/{kind}", {"items": [TOLD | fact]})
    assert answer["items"][0]["status"] == 201, answer


def test_a_clean_asset_goes_on(house: House) -> None:
    """Screened and listed; nothing is found."""
    asset_id = house.submit(trade("CLEAN-1", "s-clean", "o-clean"))[0]
    assert state(house, asset_id) == ("free", None)
    assert reviews(house, asset_id=asset_id) == []


def test_sides_under_one_controller_are_held_back(house: House) -> None:
    """Not listed until somebody dismisses it with a reason; that is said once."""
    one, other = platform("s-self", controller=BOSS), platform("o-self", controller=BOSS)
    asset_id = house.submit(receivable("SELF-1", seller=one, obligor=other))[0]
    found = reviews(house, asset_id=asset_id, state="open")
    assert [(item["kind"], item["severity"]) for item in found] == [("self_dealing", "block")]
    assert found[0]["evidence"]["shared"] == ["controller"]
    assert state(house, asset_id) is None
    said = decide(house, found[0]["item_id"], "dismissed")
    assert (said["state"], said["reason"]) == ("dismissed", "asked them")
    house.run()
    assert state(house, asset_id) == ("free", None)
    body = {"decision": "confirmed", "reason": "no"}
    again = house.operator.refused("POST", f"/v1/reviews/{found[0]['item_id']}/decision", body)
    assert again["code"] == "decided_already"


@pytest.mark.parametrize("handle", ["account", "address"])
def test_what_both_sides_share(house: House, handle: str) -> None:
    """A bank account, an address however it is punctuated: one hand behind both."""
    for value, address in (("s", "Harbour Rd. 7, Ningbo"), ("o", "harbour rd 7 ningbo")):
        company = platform(f"{value}-{handle}")
        where = {"address": address} if handle == "address" else {}
        tell(house, "registrations", company=company, name=value, status="active", **where)
        if handle == "account":
            tell(house, "accounts", company=company, account="6222000011", bank="ICBC", state="open")
    asset_id = house.submit(trade(f"SHARE-{handle}", f"s-{handle}", f"o-{handle}"))[0]
    assert reviews(house, asset_id=asset_id)[0]["evidence"]["shared"] == [handle]


def test_goods_that_go_round(house: House) -> None:
    """The trade that closes the circle is not listed, those before it leave the market, an outsider's does not."""
    ring = ["r-1", "r-2", "r-3", "r-4"]
    legs = [trade(f"RING-{n}", ring[n], ring[(n + 1) % 4], issue_date="2026-03-01") for n in range(4)]
    early = house.submit(*legs[:3])
    outsider = house.submit(trade("RING-OUT", "r-1", "r-9"))[0]
    assert [state(house, one) for one in early] == [("free", None)] * 3
    last = house.submit(legs[3])[0]
    found = reviews(house, kind="cycle")
    assert {item["asset_id"] for item in found} == {*early, last}
    assert len(found[0]["evidence"]["trades"]) == 4
    assert state(house, last) is None
    kept = {item["asset_id"]: item["item_id"] for item in found}
    assert [state(house, one) for one in early] == [("free", kept[one]) for one in early]
    assert state(house, outsider) == ("free", None)
    decide(house, kept[early[0]], "dismissed")
    assert state(house, early[0]) == ("free", None)


def test_contra_accounts_and_controllers_that_differ(house: House) -> None:
    """Work for people, and nothing is held back; the same pair is found once."""
    first = house.submit(trade("CONTRA-1", "c-a", "c-b", issue_date="2026-01-05"))
    second = house.submit(
        trade("CONTRA-2", "c-b", "c-a", face_minor=90_000), trade("CONTRA-3", "c-b", "c-a", face_minor=80_000)
    )
    assert [item["evidence"]["face_minor"] for item in reviews(house, kind="contra_account")] == [1_000_000]
    assert {state(house, one) for one in (*first, *second)} == {("free", None)}
    company = platform("o-mismatch")
    tell(house, "registrations", company=company, name="M", status="active", person=BOSS)
    tell(house, "controls", company=company, person={"national_id": "110101197002022222"}, event="began")
    house.submit(trade("MIS-1", "s-mismatch", "o-mismatch"), trade("MIS-2", "s-mismatch", "o-mismatch"))
    assert len(reviews(house, kind="controller_mismatch")) == 1


def test_a_dissolved_company_is_held_back_until_the_last_block_is_gone(house: House) -> None:
    """Two findings hold one asset; it is free when both are dismissed, not before. Confirmed, it stays out for good."""
    for value in ("s-gone", "o-gone"):
        tell(house, "registrations", company=platform(value), name=value, status="dissolved")
    ids = house.submit(trade("GONE-1", "s-gone", "o-gone"), trade("GONE-2", "s-gone", "o-gone"))
    for asset_id, last in zip(ids, ("dismissed", "confirmed"), strict=True):
        one, other = reviews(house, asset_id=asset_id, kind="not_active")
        decide(house, one["item_id"], "dismissed")
        house.run()
        assert state(house, asset_id) is None
        decide(house, other["item_id"], last, suspend=last == "confirmed")
        house.run()
        assert state(house, asset_id) == (("free", None) if last == "dismissed" else None)
    suspended = text("SELECT count(*) FROM limit_suspension WHERE lifted_on IS NULL AND reason LIKE 'not_active%'")
    with house.services.database.transaction() as session:
        assert session.execute(suspended).scalar_one() == 1


def test_both_dismissed_at_once(house: House) -> None:
    """Of two who dismiss the two blocks of one asset at the same moment one sees the other's: it is listed."""
    for value in ("s-both", "o-both"):
        tell(house, "registrations", company=platform(value), name=value, status="revoked")
    asset_id = house.submit(trade("BOTH-1", "s-both", "o-both"))[0]
    items = [item["item_id"] for item in reviews(house, asset_id=asset_id)]
    assert len(items) == 2
    house.operator.token = house.operator.sign_in()
    threads = [threading.Thread(target=decide, args=(house, item_id, "dismissed")) for item_id in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.run()
    assert state(house, asset_id) == ("free", None)


def test_severity_is_data(house: House) -> None:
    """What blocks is a policy: self-dealing that is only noted is listed; what is of an obligor cannot block."""
    policy = REVIEW_POLICY | {"severity": REVIEW_POLICY["severity"] | {"self_dealing": "note"}}
    version = house.operator.put("/v1/review-policy", policy)["version"]
    boss = {"national_id": "110101196001013333"}
    sides = {"seller": platform("s-note", controller=boss), "obligor": platform("o-note", controller=boss)}
    asset_id = house.submit(receivable("NOTE-1", **sides))[0]
    assert [item["severity"] for item in reviews(house, asset_id=asset_id)] == ["note"]
    assert state(house, asset_id) == ("free", None)
    wrong = REVIEW_POLICY | {"severity": REVIEW_POLICY["severity"] | {"velocity": "block"}}
    problem = house.operator.refused("PUT", "/v1/review-policy", wrong)
    assert (problem["errors"][0]["code"], problem["errors"][0]["pointer"]) == ("cannot_block", "/severity/velocity")
    assert house.operator.get("/v1/review-policy")["version"] == version
    assert house.operator.refused("GET", "/v1/reviews/rvw_01h455vb4pex5vsknk084sn02q")["code"] == "not_found"
