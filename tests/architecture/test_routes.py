"""What the application answers to: every route behind the door or on the list of public ones, and the contract true."""

import re
from collections import Counter
from pathlib import Path

from flask import Flask
from werkzeug.routing import Rule

from exchange.app import ROOMS, contract_text, create_app
from exchange.auth import Role
from exchange.services import open_services
from exchange.settings import Settings
from tests.architecture.source import ROOT
from tests.exchange.battery import operations
from tests.exchange.house import CONTRACT

PUBLIC = {
    "/oauth/token",  # where tokens come from
    "/oauth/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/health",
    "/ready",
    "/openapi.json",
    "/docs/",
    "/docs/<path:path>",
    "/docs/dist/<path:filename>",
    "/log/checkpoint",  # the log is public: that is its use
    "/log/tile/<path:place>",
    "/log/proof/<int:index>",
    "/log/status",
    "/.well-known/jwks.json",
    "/.well-known/log-key",
    "/.well-known/callback-key.json",
    "/confirm/<token>",  # an obligor's link: the token is what lets in
    "/confirm/static/<path:filename>",
    "/console/<path:filename>",  # style sheets
}
CONSOLE = {
    "/",
    "/assets",
    "/assets/<asset_id>",
    "/pools/<pool_id>",
    "/facilities",
    "/facilities/<facility_id>",
    "/collections",
    "/checks",
    "/collections/<case_id>",
    "/breaks",
    "/model",
}
"""Pages. They ask for an operator unless `console_open` is set; tests/exchange/console tries that."""
OPERATIONS = list(operations())


def _app(home: Path) -> Flask:
    return create_app(
        open_services(Settings(home=home, seed=1, database_url="postgresql+psycopg://nobody@localhost/none"))
    )


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def test_every_route_has_its_place(tmp_path: Path) -> None:
    """An operation of the contract, a page of the console, or one of the few that are open to all; nothing else."""
    documented = {operation.path for operation in OPERATIONS}
    routes = {rule.rule for rule in _app(tmp_path).url_map.iter_rules() if _path(rule) not in documented}
    assert routes - PUBLIC - CONSOLE == set(), "new routes: behind the door, or on the list with a reason"
    assert CONSOLE - routes == set(), "gone: take it off the list"


def test_every_operation_is_documented(tmp_path: Path) -> None:
    """What a room routes is in the contract with the same methods."""
    rooms = {stage.room.name for stage in ROOMS}
    routed = {
        (method, _path(rule))
        for rule in _app(tmp_path).url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in rooms
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    assert routed == {(operation.method, operation.path) for operation in OPERATIONS}


def test_nobody_gets_past_the_door(tmp_path: Path) -> None:
    """Without a token every operation and every page of the console answers 401, before it looks at anything."""
    app = _app(tmp_path)
    paths = [(operation.method, operation.at()) for operation in OPERATIONS]
    paths += [("GET", re.sub("<.*>", "x", page)) for page in CONSOLE]
    answers = {path: app.test_client().open(path, method=method).status_code for method, path in paths}
    assert {path: status for path, status in answers.items() if status != 401} == {}


def test_operations_say_what_they_are() -> None:
    """A role that exists, a summary in a sentence, an operationId of its own that is a plain name, security."""
    roles = {role.value for role in Role}
    for operation in OPERATIONS:
        one = CONTRACT["paths"][operation.path][operation.method.lower()]
        assert set(operation.roles) <= roles
        assert operation.roles
        assert re.fullmatch("[a-z]+(_[a-z]+)+", operation.name)
        assert 5 < len(one["summary"]) <= 150, one["summary"]
        scopes = {scope for one_of in one["security"] for scope in one_of["access_token"]}
        assert [scope for scope in scopes if re.fullmatch("[a-z]+:(read|write)", scope)] == list(scopes) != []
    assert [name for name, count in Counter(one.name for one in OPERATIONS).items() if count > 1] == []


def test_what_moves_value_takes_a_key() -> None:
    """Every POST of a platform or funder, and the operator's receipts: repeated, they do nothing twice."""
    without = {operation.name for operation in OPERATIONS if operation.method == "POST" and not operation.idempotent}
    clients = {"create_originator", "create_originator_client", "create_funder", "create_partner", "create_obligor"}
    links = {"create_confirmation_requests"}  # repeats itself, and no answer kept under a key may hold a link
    persons = {"read_national_id"}  # no answer kept under a key may hold a national id
    assert without == clients | links | persons
    assert {operation.method for operation in OPERATIONS if operation.idempotent} == {"POST"}


def test_every_object_of_the_contract_is_closed_or_says_it_is_open() -> None:
    """Readers may rely on what they do not see not being there."""
    schemas = CONTRACT["components"]["schemas"]
    assert [
        name for name, one in schemas.items() if one.get("type") == "object" and "additionalProperties" not in one
    ] == []


def test_the_contract_is_as_published() -> None:
    """openapi/exchange.json is what the code says: else write it again with `exchange contract`."""
    published, written, again = (ROOT / "openapi" / "exchange.json").read_text(), contract_text(), contract_text()
    has_drifted, is_stable = published != written, written == again
    assert is_stable
    assert not has_drifted, "run `exchange contract`"
