"""Who sees what of an asset, page by page, and what a funder holds."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from exchange.auth import Role
from exchange.paging import encode_cursor
from tests.exchange.house import Client, House, enter_client, make_key, mandate, public_jwk
from tests.exchange.settlement.book import DISCOUNT_MINOR, FACE_MINOR, PRICE_MINOR, buy, credit, dated, fresh, note, pay

UNKNOWN = "ast_01h455vb4pex5vsknk084sn02q"


@pytest.fixture(scope="module")
def auditor(market: House) -> Client:
    """Somebody who may look at everything and knows nobody."""
    return enter_client(market.services, market.app, role=Role.AUDITOR, name="auditor")


@pytest.fixture(scope="module")
def rival(market: House) -> Client:
    """Another platform."""
    key = make_key("rival")
    entered = market.operator.post("/v1/originators", {"name": "Rival", "public_jwk": public_jwk(key)})
    return Client(market.app.test_client(), entered["client_id"], key)


@pytest.fixture(scope="module")
def stranger(market: House) -> Client:
    """Another funder."""
    return market.add_funder("Stranger")


@pytest.fixture
def offered(market: House) -> Iterator[str]:
    """An asset that is in an open offer to the first funder."""
    market.move(9, days=1)
    market.deposit(0, 10**9)
    market.funders[0].post("/v1/mandates", mandate(auto_commit=False))
    (asset_id,) = market.submit(fresh() | dated(market))
    market.move(10, 30)
    yield asset_id
    market.move(14, 30)


def seen(client: Client, **query: object) -> list[str]:
    """Every asset id that a client can list, through all pages."""
    found: list[str] = []
    after = ""
    while True:
        limit = query.get("limit", 1000)
        page = client.get(f"/v1/assets?limit={limit}{after}")
        found += [item["asset_id"] for item in page["items"]]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def hidden(client: Client, asset_id: str) -> bool:
    """Whether the asset is, for this client, one that never was: every way to it answers as for an invented id."""
    for path in ("/v1/assets/{}", "/v1/assets/{}/records"):
        problem, unknown = (client.refused("GET", path.format(one)) for one in (asset_id, UNKNOWN))
        assert problem.pop("instance") != unknown.pop("instance")
        assert problem == unknown
        assert problem["status"] == 404
    return asset_id not in seen(client)


def test_an_offered_asset_is_seen_without_its_names(
    market: House, auditor: Client, rival: Client, stranger: Client, offered: str
) -> None:
    """Its funder sees the numbers of what it is offered and not who owes it; nobody holds it yet."""
    bank = market.funders[0]
    shown = bank.get(f"/v1/assets/{offered}")
    assert (shown["claim"], shown["holder"], shown["state"]) == ("reserved", None, "confirmed")
    assert offered in seen(bank)
    disclosures = {
        name: bool(client.get(f"/v1/assets/{offered}/records")["items"][0]["disclosures"])
        for name, client in {
            "bank": bank,
            "auditor": auditor,
            "platform": market.platform,
            "operator": market.operator,
        }.items()
    }
    assert disclosures == {"bank": False, "auditor": False, "platform": True, "operator": True}
    assert hidden(rival, offered)
    assert hidden(stranger, offered)


def test_an_offer_that_lapsed_is_out_of_sight(market: House, offered: str) -> None:
    """Once the offer is over, its funder sees the asset no more."""
    market.move(14, 30)
    assert hidden(market.funders[0], offered)


def test_a_held_asset_is_its_holders(market: House, auditor: Client, rival: Client, stranger: Client) -> None:
    """The holder sees who owes it, now and after it is paid; other funders see nothing, the platform not the holder."""
    (asset_id,) = buy(market, fresh())
    bank, funder_id = market.funders[0], market.funder_ids[0]
    for state in ("confirmed", "extinguished"):
        shown = bank.get(f"/v1/assets/{asset_id}")
        assert (shown["holder"], shown["state"]) == (funder_id, state)
        assert len(bank.get(f"/v1/assets/{asset_id}/records")["items"][0]["disclosures"]) == 4
        assert auditor.get(f"/v1/assets/{asset_id}/records")["items"][0]["disclosures"] == []
        assert auditor.get(f"/v1/assets/{asset_id}")["holder"] == funder_id
        own = market.platform.get(f"/v1/assets/{asset_id}")
        assert (own["holder"], own["pool_id"]) == (None, None)
        assert hidden(rival, asset_id)
        assert hidden(stranger, asset_id)
        pay(market, (asset_id, FACE_MINOR))
        market.run()


def test_everything_is_seen_from_above(market: House, auditor: Client) -> None:
    """Operator and auditor list the same, and a platform all of its own."""
    market.submit(fresh(), fresh())
    assert seen(market.operator) == seen(auditor) == seen(market.platform) == sorted(set(seen(auditor)))


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_join_without_gap_or_overlap(market: House, limit: int) -> None:
    """Whatever the size of a page, the pages together are the list."""
    market.submit(*(fresh() for _ in range(5)))
    assert seen(market.operator, limit=limit) == seen(market.operator)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=!!",
        f"after={encode_cursor(1)}",
        f"after={encode_cursor('a', 'b')}",
        f"after={encode_cursor(chr(0))}",
        "state=open",
    ],
)
def test_a_bad_page_is_refused(market: House, query: str) -> None:
    """A cursor that is none of ours, a size out of bounds, a filter that is not there."""
    assert market.operator.refused("GET", f"/v1/assets?{query}")["status"] == 422


@pytest.mark.parametrize("asset_id", ["x", "ast_", "%00", "%F0%9F%92%B8", "' OR 1=1 --", "ast_1%00", "%ED%A0%80"])
def test_what_is_no_id_is_no_asset(market: House, asset_id: str) -> None:
    """A path that cannot name an asset is answered like one that names none."""
    for path in (f"/v1/assets/{asset_id}", f"/v1/assets/{asset_id}/records"):
        assert market.operator.refused("GET", path)["code"] == "not_found"


def test_the_states_of_a_title(market: House) -> None:
    """Submitted, void, confirmed, extinguished: each derived, none stored."""
    waiting, refused, kept, gone = market.submit(
        fresh(confirmation=None), fresh(confirmation=None), fresh(), fresh(face_minor=5)
    )
    today = market.today.isoformat()
    answer = {"asset_id": refused, "outcome": "refused", "grade": "explicit", "confirmed_date": today}
    market.platform.post("/v1/confirmations", {"items": [answer | {"reason": "not delivered"}]})
    credit(market, note(gone, 5, on=market.today))
    shown = {one: market.platform.get(f"/v1/assets/{one}") for one in (waiting, refused, kept, gone)}
    assert [one["state"] for one in shown.values()] == ["submitted", "void", "confirmed", "extinguished"]
    assert [one["claim"] for one in shown.values()] == [None, None, "free", "closed"]
    assert [one["outstanding_minor"] for one in shown.values()] == [None, None, FACE_MINOR, 0]
    assert [one["grade"] is None for one in shown.values()] == [True, True, False, False]
    assert shown[refused]["confirmation"] == "refused"
    assert shown[waiting]["performance"] is None


def test_positions_are_what_is_held_now(market: House, stranger: Client) -> None:
    """By pool: what is owed, what was paid for it, what is still due to the funder; a paid asset leaves."""
    before = market.funders[0].get("/v1/positions")["items"]
    first, second = buy(market, fresh(), fresh())
    pool_id = market.funders[0].get(f"/v1/assets/{first}")["pool_id"]

    def position() -> dict[str, Any] | None:
        items: list[dict[str, Any]] = market.funders[0].get("/v1/positions")["items"]
        assert len(items) <= len(before) + 1
        return next((item for item in items if item["pool_id"] == pool_id), None)

    due = PRICE_MINOR + DISCOUNT_MINOR
    found = position()
    assert found is not None
    mandate_id = found.pop("mandate_id")
    assert mandate_id == market.funders[0].get("/v1/mandates")["items"][-1]["mandate_id"]
    assert found == {
        "currency": "CNY",
        "pool_id": pool_id,
        "asset_count": 2,
        "outstanding_minor": 2 * FACE_MINOR,
        "price_minor": 2 * PRICE_MINOR,
        "due_minor": 2 * due,
    }
    pay(market, (first, due + 7))
    found = position()
    assert found is not None
    assert (found["asset_count"], found["outstanding_minor"], found["due_minor"]) == (2, 2 * FACE_MINOR - due - 7, due)
    pay(market, (first, FACE_MINOR), (second, FACE_MINOR))
    assert position() is None
    assert stranger.get("/v1/positions")["items"] == []
    assert market.platform.refused("GET", "/v1/positions")["status"] == 403


def test_the_worst_of_an_asset_is_its_performance(market: House) -> None:
    """The last milestone past due is shown; reminders are not performance."""
    market.move(9, days=1)
    today = market.today
    item = fresh(issue_date=(today - timedelta(days=30)).isoformat(), due_date=(today - timedelta(days=4)).isoformat())
    item["confirmation"] = {"grade": "explicit", "confirmed_date": today.isoformat()}
    late, current = market.submit(item, fresh() | dated(market, days=1))
    market.move(22, 30)
    shown = [market.operator.get(f"/v1/assets/{one}")["performance"] for one in (late, current)]
    assert shown == ["late_1", None]
    market.move(22, 30, days=15)
    assert market.operator.get(f"/v1/assets/{late}")["performance"] == "late_16"
