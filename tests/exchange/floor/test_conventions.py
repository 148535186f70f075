"""What every operation keeps: documents replaced by who has seen them, filters, ids of requests, farewells."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Barrier

import marshmallow as ma
import pytest
from flask import Flask
from flask_smorest import Api

from exchange import http
from exchange.auth import Caller, Role
from exchange.conventions import Retirement, begin
from exchange.errors import Refusal, Unauthenticated
from exchange.http import Room
from tests.exchange.house import CONTRACT, House
from tests.exchange.premises import premises
from tests.exchange.receivables.shared import at_once, twin

TERMS: dict[str, list[object]] = {"approvals": [], "silence": []}
REPLACED = {
    "/v1/fact-policy",
    "/v1/forbearance-consent",
    "/v1/originators/{originator_id}/collection-policy",
    "/v1/originators/{originator_id}/policy",
    "/v1/payment-policy",
    "/v1/review-policy",
    "/v1/risk-policy",
}
NOT_DOCUMENTS = {"/v1/clock", "/v1/callback-endpoint", "/v1/servicing-policies", "/v1/settlement-policies"}
"""The clock runs by itself; an endpoint shows how far its stream has come; of lists one entry is set."""


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        yield house


def test_every_document_is_replaced_by_who_has_seen_it() -> None:
    """Each PUT of what a GET shows asks for If-Match, but those that say why not."""
    both = {path for path, methods in CONTRACT["paths"].items() if {"get", "put"} <= methods.keys()}
    asking = {
        path
        for path, methods in CONTRACT["paths"].items()
        if any(one["name"] == "If-Match" for one in methods.get("put", {}).get("parameters", []) if "name" in one)
    }
    assert (asking, both - asking) == (REPLACED, NOT_DOCUMENTS)


def test_if_match(house: House) -> None:
    """None: 428; an old one, a weak one, a made-up one: 412 with the tag of now; the right one or `*`: done."""
    path, operator = f"/v1/originators/{house.originator_id}/policy", house.operator
    operator.token = operator.sign_in()
    bare = {"Authorization": f"Bearer {operator.token}"}
    missing = operator.web.put(path, json=TERMS, headers=bare)
    assert (missing.status_code, missing.get_json(force=True)["code"]) == (428, "precondition_required")
    seen = operator.call("GET", path).headers["ETag"]
    for wrong in ('"made up"', f"W/{seen}", seen.strip('"') + "x", ""):
        refused = operator.web.put(path, json=TERMS, headers=bare | {"If-Match": wrong})
        assert (refused.status_code, refused.get_json(force=True)["code"]) == (412, "precondition_failed"), wrong
        assert refused.headers["ETag"] == seen
    assert operator.call("PUT", path, body=TERMS, headers={"If-Match": f'"another", {seen}'}).status_code == 200
    again = operator.call("PUT", path, body=TERMS, headers={"If-Match": seen})
    assert (again.status_code, again.get_json(force=True)["code"]) == (412, "precondition_failed")
    assert operator.put(path, TERMS)["version"] == 2
    elsewhere = path.replace(house.originator_id[-1], "0" if house.originator_id[-1] != "0" else "1")
    assert operator.refused("PUT", elsewhere, TERMS)["code"] == "not_found"


def test_two_who_have_seen_the_same(house: House) -> None:
    """Of eight that replace what all have seen, at once, one does."""
    path = "/v1/payment-policy"
    answer = house.operator.call("GET", path)
    terms, seen = answer.get_json(), answer.headers["ETag"]
    body = {name: value for name, value in terms.items() if name not in {"version", "set_at", "set_by"}}
    together = Barrier(8)
    house.operator.token = house.operator.sign_in()

    def put(_: int) -> int:
        client = twin(house, house.operator)
        together.wait(10)
        return client.call("PUT", path, body=body, headers={"If-Match": seen}).status_code

    assert sorted(at_once(8, put)) == [200] + [412] * 7


def test_filters_that_are_not(house: House) -> None:
    """An unknown filter, or one written twice, is refused by name; it would be a filter that silently does nothing."""
    for query, code in (("stat=open", "unknown_filter"), ("limit=1&limit=2", "repeated_filter")):
        problem = house.operator.refused("GET", f"/v1/reviews?{query}")
        name = query.partition("=")[0]
        assert (problem["status"], [(one["code"], one["pointer"]) for one in problem["errors"]]) == (
            422,
            [(code, f"/{name}")],
        )


def test_ids_of_requests(house: House) -> None:
    """Brought by the caller or made, given back, in every problem; junk is not taken over."""
    brought = house.operator.call("GET", "/v1/workers", headers={"X-Request-Id": "trace-7:1"})
    assert brought.headers["X-Request-Id"] == "trace-7:1"
    made = set()
    for junk in ("", "x" * 65, "a b", "ｘ".encode().decode("latin-1"), '"', "a;b"):
        answer = house.operator.call("GET", "/v1/nothing", headers={"X-Request-Id": junk})
        told = answer.headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{32}", told)
        assert answer.get_json(force=True)["instance"] == f"urn:exchange:request:{told}"
        made.add(told)
    assert len(made) == 6
    refused = house.operator.call("GET", "/v1/assets/none", headers={"X-Request-Id": "trace-8"})
    assert refused.get_json(force=True)["instance"] == "urn:exchange:request:trace-8"


def test_an_operation_on_its_way_out() -> None:
    """It says so in each answer, refusals too (RFC 9745, RFC 8594), and in the contract."""
    room = Room("old", __name__, url_prefix="/v1")
    since, until = datetime(2026, 3, 2, tzinfo=UTC), datetime(2027, 3, 2, tzinfo=UTC)

    @room.operation("/old", roles=[Role.FUNDER], result=ma.Schema, retirement=Retirement(since, until, "/v1/new"))
    def show_old(_: http.Call) -> dict[str, str]:
        """What was once."""
        return {}

    app = Flask(__name__)
    app.config.update(API_TITLE="old", API_VERSION="v1", OPENAPI_VERSION="3.1.0")
    api = Api(app)
    api.register_blueprint(room)
    app.before_request(begin)
    app.after_request(http.finish)
    app.register_error_handler(Refusal, http.problem_response)
    app.extensions[http.EXTENSION] = None
    documented = api.spec.to_dict()["paths"]["/v1/old"]["get"]
    assert (documented["deprecated"], documented["x-sunset"]) == (True, "2027-03-02T00:00:00+00:00")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "caller_of_request", nobody)
        answer = app.test_client().get("/v1/old")
    told = {name: answer.headers[name] for name in ("Deprecation", "Sunset", "Link")}
    assert (answer.status_code, told) == (
        401,
        {
            "Deprecation": "@1772409600",
            "Sunset": "Tue, 02 Mar 2027 00:00:00 GMT",
            "Link": '</v1/new>; rel="successor-version"',
        },
    )


def nobody() -> Caller:
    """A caller without a token."""
    raise Unauthenticated("Who?")
