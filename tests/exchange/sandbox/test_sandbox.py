"""A funder's own exchange, over HTTP: asked for, lived in, shut to everybody else, begun anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client as Web
from werkzeug.test import TestResponse

from exchange.app import create_app
from exchange.replay.receiver import Receiver
from exchange.sandbox.keeper import Keeper
from exchange.sandbox.mounts import Mounts
from exchange.services import Services
from tests.exchange.house import Client, House, mandate
from tests.exchange.premises import TEMPLATE, premises

MOST_STEPS = 400


@dataclass(slots=True)
class Prefixed:
    """A web client under the address of a sandbox."""

    web: Web
    prefix: str

    def open(self, path: str, **more: Any) -> TestResponse:  # noqa: ANN401 - werkzeug's options
        """Any request."""
        return self.web.open(self.prefix + path, **more)

    def post(self, path: str, **more: Any) -> TestResponse:  # noqa: ANN401 - same
        """A POST."""
        return self.web.post(self.prefix + path, **more)


@dataclass(slots=True)
class Yard:
    """An exchange with a keeper of sandboxes and a funder who has some."""

    house: House
    keeper: Keeper
    web: Web
    services: Services

    def asked(self, **body: object) -> dict[str, Any]:
        """A sandbox, open."""
        made = self.house.funders[0].post(
            "/v1/sandboxes", {"name": "Team", "start_date": "2031-03-03", "seed": 5} | body
        )
        return self.settled(made["sandbox_id"])

    def settled(self, sandbox_id: str) -> dict[str, Any]:
        """The sandbox when nothing more is to be done in it."""
        path = f"/v1/sandboxes/{sandbox_id}"
        shown: dict[str, Any] = {}
        for _ in range(MOST_STEPS):
            shown = self.house.funders[0].get(path)
            assert shown["trouble"] is None
            scenarios = self.house.funders[0].get(f"{path}/scenarios")["items"] if shown["state"] == "open" else []
            if shown["state"] == "open" and not shown["until"] and all(one["state"] == "begun" for one in scenarios):
                return shown
            self.keeper.step()
        raise AssertionError(f"{shown} does not come to rest")

    def inside(self, shown: dict[str, Any]) -> Client:
        """The funder's program in a sandbox."""
        door: Any = Prefixed(self.web, f"/sandboxes/{shown['sandbox_id']}")
        client = Client(door, shown["client_id"], self.house.funders[0].key)
        client.token = client.sign_in(aud=shown["issuer"])
        return client


@contextmanager
def yard_of(server_url: str, home: Path) -> Iterator[Yard]:
    """An exchange whose sandboxes are on the same server."""
    with premises(server_url, home) as house:
        own = (ip_network("127.0.0.0/8"),)
        settings = replace(
            house.services.settings, sandbox_server=server_url, sandboxes_a_funder=2, callback_networks=own
        )
        services = replace(house.services, settings=settings)
        web = Web(Mounts(create_app(services), services, create_app))
        house.funders[0].web = web  # type: ignore[assignment]  # Flask's has more
        with Keeper(services, create_app, template=TEMPLATE) as keeper:
            yield Yard(house, keeper, web, services)
            for one in house.funders[0].get("/v1/sandboxes")["items"]:
                house.funders[0].call("POST", f"/v1/sandboxes/{one['sandbox_id']}/end")
            while keeper.step():
                pass


@pytest.fixture(scope="module")
def yard(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """One for all tests here."""
    with yard_of(server_url, tmp_path_factory.mktemp("yard")) as opened:
        yield opened


def test_a_story(yard: Yard) -> None:
    """A mandate, assets of a grade, an offer, a commitment, callbacks that verify, lateness, the end; then anew."""
    funder, shown = yard.house.funders[0], yard.asked()
    path, inside = f"/v1/sandboxes/{shown['sandbox_id']}", yard.inside(shown)
    with Receiver() as receiver:
        url, inbox = receiver.open("team")
        endpoint = inside.put("/v1/callback-endpoint", {"url": url})
        inbox.secret, inbox.public_key = endpoint["secret"], endpoint["public_key"]
        inside.post("/v1/mandates", mandate())
        said = {"grade": "A2", "tenor_days": 2, "days_late": 5}
        funder.post(f"{path}/scenarios", {"kind": "late_payer", "parameters": said})
        yard.settled(shown["sandbox_id"])
        (scenario,) = funder.get(f"{path}/scenarios")["items"]
        assert [one["grade"] for one in scenario["assets"]] == ["A2"]

        funder.post(f"{path}/clock/advance", {"days": 3, "stop_at": ["offer.made"]})
        moving = inside.web.post("/v1/mandates", json=mandate(name="now"))
        assert (moving.status_code, moving.get_json(force=True)["code"]) == (409, "clock_advancing")
        assert moving.headers["Retry-After"] == "1"
        assert funder.refused("POST", f"{path}/clock/advance", {"days": 1})["code"] == "clock_advancing"
        assert len(inside.get("/v1/mandates")["items"]) == 1
        stopped = yard.settled(shown["sandbox_id"])
        assert (stopped["stopped_by"], stopped["now"]) == ("offer.made", "2031-03-03T02:30:00Z")
        (offer,) = inside.get("/v1/offers?state=open")["items"]
        inside.post(f"/v1/offers/{offer['offer_id']}/commitment", {})
        funder.post(f"{path}/clock/advance", {"days": 8})
        yard.settled(shown["sandbox_id"])
        days = {one["day"]: one for one in funder.get(f"{path}/days")["items"]}
        events = {kind for one in days.values() for kind in one["events"]}
        assert events >= {"offer.made", "purchase.settled", "asset.late", "asset.repaid"}
        assert days["2031-03-10"]["deeds"] == {"pay": 1}
        assert sum(sum(one["events"].values()) for one in days.values()) == len(inside.get("/v1/events")["items"]) > 4
        assert inbox.counts["verified"] == inbox.counts["received"] > 4

    (asset_id,) = [one["asset_id"] for one in scenario["assets"]]
    assert funder.call("POST", f"{path}/reset").status_code == 202
    again = yard.settled(shown["sandbox_id"])
    assert (again["now"], again["client_id"]) == (shown["now"], shown["client_id"])
    assert inside.get("/v1/mandates")["items"] == []
    funder.post(f"{path}/scenarios", {"kind": "late_payer", "parameters": said})
    yard.settled(shown["sandbox_id"])
    (scenario,) = funder.get(f"{path}/scenarios")["items"]
    assert [one["asset_id"] for one in scenario["assets"]] == [asset_id]


def test_two_know_nothing_of_each_other(yard: Yard) -> None:
    """A token of one, or of the main exchange, is no token in the other; nor is a funder's sandbox another's."""
    for one in yard.house.funders[0].get("/v1/sandboxes")["items"]:
        yard.house.funders[0].call("POST", f"/v1/sandboxes/{one['sandbox_id']}/end")
    while yard.keeper.step():
        pass
    first, second = yard.asked(), yard.asked(name="Other")
    assert yard.house.funders[0].refused("POST", "/v1/sandboxes", {"name": "3"})["code"] == "too_many_sandboxes"
    one, other = yard.inside(first), yard.inside(second)
    one.post("/v1/mandates", mandate())
    assert other.get("/v1/mandates")["items"] == []
    assert {first["client_id"], first["funder_id"], first["deposit_reference"]}.isdisjoint(map(str, second.values()))
    for token in (other.token, yard.house.funders[0].sign_in()):
        answer = one.call("GET", "/v1/mandates", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    stranger = yard.house.add_funder("Stranger")
    assert stranger.refused("GET", f"/v1/sandboxes/{first['sandbox_id']}")["code"] == "not_found"
    metadata = yard.web.get(f"/.well-known/oauth-authorization-server/sandboxes/{first['sandbox_id']}")
    assert metadata.get_json()["issuer"] == first["issuer"]
    assert date.fromisoformat(str(first["now"])[:10]) == date(2031, 3, 3)
