"""Every route, every role, own, other's and missing objects: one generated table, all of it tried over HTTP."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import event
from werkzeug.test import TestResponse

from exchange.auth import Role
from tests.exchange.battery import Operation, operations
from tests.exchange.duplicates.shared import add_partner
from tests.exchange.house import Client, House, enter_client, mandate, receivable
from tests.exchange.premises import premises
from tests.exchange.receivables.shared import add_obligor, add_platform

OPERATIONS = list(operations())
PER_REQUEST = {"Date", "DPoP-Nonce", "RateLimit", "RateLimit-Policy", "X-Request-Id"}
"""Headers that differ between any two requests."""


class World(NamedTuple):
    """A house with objects of one platform, funder and obligor, and another client of each role without any."""

    house: House
    others: dict[str, Client]
    objects: dict[str, str]


@pytest.fixture(scope="module")
def world(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One house, lived in until an asset is on offer."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        obligor = add_obligor(house, "obligor-1")
        (mandate_id,) = [house.funders[0].post("/v1/mandates", mandate())["mandate_id"]]
        house.deposit(0, 10**9)
        (asset_id,) = house.submit(receivable("INV-1"))
        house.move(10, 30)
        (offer,) = house.funders[0].get("/v1/offers?state=open")["items"]
        stranger = house.add_funder("Stranger")
        partner = add_partner(house, "Partner").client
        others = {
            "operator": house.operator,
            "auditor": enter_client(house.services, house.app, role=Role.AUDITOR, name="auditor"),
            "platform": add_platform(house, "Elsewhere"),
            "funder": stranger,
            "obligor": add_obligor(house, "obligor-2"),
            "partner": partner,
        }
        for client in others.values():
            client.token = client.sign_in()
        key = house.funders[0].get("/v1/client-keys")["items"][0]["thumbprint"]
        objects = {"asset_id": asset_id, "offer_id": offer["offer_id"], "mandate_id": mandate_id}
        objects |= {"originator_id": house.originator_id, "thumbprint": key}
        objects |= {"company_id": company_of(house, "seller-1"), "client_id": obligor.client_id}
        yield World(house, others, objects)


def company_of(house: House, value: str) -> str:
    """The id of a company of the house's platform."""
    with house.services.database.transaction() as session:
        query = "SELECT company_id FROM company WHERE value = %s"
        return str(session.connection().exec_driver_sql(query, (value,)).scalar_one())


def send(client: Client, operation: Operation, **parts: str) -> TestResponse:
    """A right request to an operation."""
    raw = msgspec.json.encode(operation.body) if operation.reads_body else None
    return client.call(operation.method, operation.at(**parts) + operation.query, raw=raw)


def told(answer: TestResponse, *names: str) -> tuple[int, dict[str, str], Any]:
    """All of an answer that a caller can compare, with the names that it sent itself left out."""
    headers = {name: value for name, value in answer.headers.items() if name not in PER_REQUEST}
    body = answer.get_json(force=True)
    body.pop("instance", None)
    text = msgspec.json.encode(body).decode()
    for name in names:
        text = text.replace(name, "<id>")
    headers.pop("Content-Length", None)
    headers.pop("ETag", None)
    return answer.status_code, headers, text


ROLES = [(one, role) for one in OPERATIONS for role in Role]
SHUT = [(one, role) for one, role in ROLES if role not in one.roles]
OF_ONE = {"platform": "asset_id originator_id company_id", "funder": "asset_id offer_id mandate_id thumbprint"}
OF_ONE |= {"obligor": "asset_id thumbprint", "partner": "thumbprint"}
"""By role, the parameters whose objects here belong to another client of that role, or to nobody it may know."""
OF_THE_MARKET = {"explain_asset", "explain_mandate"}
"""Of anything on the market a funder may ask why its own mandates do not get it, whoever does."""
OTHERS = [
    (one, role, name)
    for one, role in ROLES
    if role in one.roles
    for name in OF_ONE.get(role, "").split()
    if f"{{{name}}}" in one.path and not (name == "asset_id" and one.name in OF_THE_MARKET)
]


def test_the_table_is_whole() -> None:
    """Every operation in every role's column: shut, or open; and of each role's objects some are tried."""
    open_to = sum(len(one.roles) for one in OPERATIONS)
    assert len(SHUT) + open_to == len(OPERATIONS) * len(Role)
    assert {role for _, role, _ in OTHERS} == {Role.PLATFORM, Role.FUNDER, Role.OBLIGOR, Role.PARTNER}
    assert len(OTHERS) > 30


def test_what_is_not_for_a_role(world: World) -> None:
    """403 with the same words whether the object is there or not; nothing is looked up."""
    for one, role in SHUT:
        parts = {name: known for name, known in world.objects.items() if f"{{{name}}}" in one.path}
        missing = told(send(world.others[role], one))
        assert (one.name, role, missing[0]) == (one.name, role, 403)
        assert "forbidden" in missing[2]
        if parts and one.method == "GET":
            assert told(send(world.others[role], one, **parts)) == missing, (one.name, role)


def test_others_objects_are_not_there(world: World) -> None:
    """Another's object and a missing one: the same status, headers and body, after the same statements."""
    engine, statements = world.house.services.database.engine, []

    def heard(_c: object, _cu: object, statement: str, *_: object) -> None:
        if "request_count" not in statement:  # a handful of the client's minute, now and then
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", heard)
    differing = []
    for one, role, name in OTHERS:
        there, known = world.objects[name], one.at()
        nobody = next(part for part in _ids(one, known) if part[0] == name)[1]
        statements.clear()
        other = told(send(world.others[role], one, **{name: there}), there, nobody)
        after_other = [*statements]
        statements.clear()
        missing = told(send(world.others[role], one, **{name: nobody}), there, nobody)
        if other != missing or after_other != statements:
            differing.append((one.name, role, name, other[0], missing[0], len(after_other), len(statements)))
    event.remove(engine, "before_cursor_execute", heard)
    assert differing == []


def _ids(one: Operation, path: str) -> Iterator[tuple[str, str]]:
    for template, part in zip(one.path.split("/"), path.split("/"), strict=True):
        if template.startswith("{"):
            yield template.strip("{}"), part


def test_own_objects_are_there(world: World) -> None:
    """What another cannot see its owner can: else the table would prove nothing."""
    house = world.house
    own = {"asset_id": house.platform, "offer_id": house.funders[0], "originator_id": house.platform}
    reading = {
        (one.name, name): send(own[name], one, **{name: world.objects[name]}).status_code
        for one in OPERATIONS
        for name in own
        if one.method == "GET" and [known for known, _ in _ids(one, one.at())] == [name]
        if ("funder" if name == "offer_id" else "platform") in one.roles
    }
    assert len(reading) > 8
    assert {key: status for key, status in reading.items() if status != 200} == {}
