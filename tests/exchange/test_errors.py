"""Everything wrong, sent to every operation: a problem with code and pointer, never a 500, nothing half stored."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from sqlalchemy import text
from werkzeug.test import TestResponse

from exchange.auth import Caller, Role, issue_token
from exchange.clock import system_now
from exchange.migrations.tables import METADATA
from exchange.parties.clients import register_client
from tests.exchange.battery import BROKEN, FOREIGN, Operation, operations, spoiled
from tests.exchange.good_bodies import BULK, SINGLE
from tests.exchange.house import OPENING, Client, House, make_key, public_jwk, receipt, receivable
from tests.exchange.premises import premises

ALL = {operation.name: operation for operation in operations()}
WRITING = [operation for operation in ALL.values() if operation.reads_body]
CODE = re.compile(r"[a-z][a-z0-9_]*")
POINTER = re.compile(r"(/([^/~]|~[01])*)*")
TABLES = sorted({table.name for metadata in METADATA for table in metadata.tables.values()} - {"request_count"})
"""A refused request counts as one, too."""
COUNT = text(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"" for name in TABLES))  # noqa: S608 - our own tables


def by_name(operation: Operation) -> str:
    """The name of a case."""
    return operation.name


each = pytest.mark.parametrize("operation", ALL.values(), ids=by_name)
each_writing = pytest.mark.parametrize("operation", WRITING, ids=by_name)


class Callers:
    """A house, with a client for each role."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.clients = {
            "operator": house.operator,
            "platform": house.platform,
            "funder": house.funders[0],
            "auditor": self._enter(Role.AUDITOR, None),
            "obligor": self._enter(Role.OBLIGOR, "com_01h455vb4pex5vsknk084sn02q"),
            "partner": self._enter(Role.PARTNER, "ptr_01h455vb4pex5vsknk084sn02q"),
        }
        for client in self.clients.values():
            client.token = client.sign_in()

    def _enter(self, role: Role, party_id: str | None) -> Client:
        """A client of a role, whoever its party is."""
        key, services = make_key(role), self.house.services
        values = {"role": role, "party_id": party_id, "public_jwk": public_jwk(key), "now": OPENING}
        with services.database.transaction() as session:
            client_id = register_client(session, entropy=services.entropy, **values)  # type: ignore[arg-type]  # mixed
        return Client(self.house.app.test_client(), client_id, key)

    def send(self, operation: Operation, raw: bytes | None = None, **changes: Any) -> TestResponse:  # noqa: ANN401 - any
        """A request by a client that may make it, unless `client` is another; `path` and `headers` at will."""
        client = changes.get("client") or self.clients[operation.roles[-1]]
        sent = raw if raw is not None or not operation.reads_body else msgspec.json.encode(operation.body)
        path, headers = changes.get("path") or operation.at(), changes.get("headers")
        response: TestResponse = client.call(operation.method, path, raw=sent, headers=headers)
        return response

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        with self.house.services.database.transaction() as session:
            return {row[0]: row[1] for row in session.execute(COUNT)}

    @contextmanager
    def nothing_stored(self, *but: str) -> Iterator[None]:
        """Fails when any table changed, other than those named."""
        before = self.counts()
        yield
        after = self.counts()
        assert {name for name in TABLES if before[name] != after[name]} <= set(but)


@pytest.fixture(scope="module")
def callers(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    """One house for all: nothing that is refused leaves a trace."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        yield Callers(house)


def check_problem(response: TestResponse, *statuses: int) -> dict[str, Any]:
    """The problem in a response, which has to say what is wrong and where."""
    assert response.status_code in statuses, f"{response.status_code} {response.text[:500]}"
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = response.get_json(force=True)
    assert problem["status"] == response.status_code
    assert CODE.fullmatch(problem["code"])
    assert problem["type"] == f"urn:exchange:problem:{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    check_faults(problem.get("errors", []))
    assert problem.get("errors") or response.status_code in {401, 403, 404, 409}
    return problem


def check_faults(faults: list[dict[str, Any]]) -> None:
    """Codes are words, pointers are pointers, nothing long is sent back."""
    for fault in faults:
        assert CODE.fullmatch(fault["code"]), fault
        assert POINTER.fullmatch(fault["pointer"]), fault
        assert fault["message"]
        assert len(str(fault["value"])) <= 64
    assert len({msgspec.json.encode(fault) for fault in faults}) == len(faults)


def test_the_battery_knows_every_operation() -> None:
    """An operation that reads a body and is not tried here is found out."""
    assert {operation.name for operation in WRITING} == BULK.keys() | SINGLE.keys()
    assert len(ALL) == sum(1 for _ in operations())


@each_writing
def test_bodies_that_are_not_json(callers: Callers, operation: Operation) -> None:
    """Cut short, NaN, leading zeros, bad UTF-8, lone surrogates, NUL, a hundred thousand brackets: 400."""
    with callers.nothing_stored():
        for raw in BROKEN:
            assert check_problem(callers.send(operation, raw), 400)["code"] == "malformed_body", raw[:40]


@each_writing
def test_bodies_of_another_form(callers: Callers, operation: Operation) -> None:
    """Other JSON than the contract's, members written twice, nesting at the edge of what is read: 400 or 422."""
    with callers.nothing_stored():
        for raw in FOREIGN:
            problem = check_problem(callers.send(operation, raw), 400, 422)
            assert len(problem["errors"]) <= 100


@pytest.mark.parametrize("name", SINGLE)
def test_every_field_of_a_body(callers: Callers, name: str) -> None:
    """Each wrong value in each field is refused with a pointer to that field."""
    with callers.nothing_stored():
        for pointer, raw in spoiled(SINGLE[name]):
            problem = check_problem(callers.send(ALL[name], raw), 422)
            assert any(f"{fault['pointer']}/".startswith(f"{pointer}/") for fault in problem["errors"]), (
                raw[:300],
                problem["errors"],
            )


@pytest.mark.parametrize("name", BULK)
def test_every_field_of_an_item(callers: Callers, name: str) -> None:
    """Each wrong value in each field spoils its own item only, with a pointer to that field in that item."""
    cases = list(spoiled(BULK[name]))
    body = b'{"items": [' + b", ".join(raw for _, raw in cases) + b"]}"
    with callers.nothing_stored("idempotency_outcome"):
        response = callers.send(ALL[name], body)
    assert response.status_code == 200, response.text[:300]
    for index, (item, (pointer, raw)) in enumerate(zip(response.get_json()["items"], cases, strict=True)):
        assert (item["index"], item["status"]) == (index, 422), (raw[:300], item)
        check_faults(item["errors"])
        at = f"/items/{index}{pointer}/"
        assert any(f"{fault['pointer']}/".startswith(at) for fault in item["errors"]), (raw[:300], item["errors"])


@each_writing
def test_wrong_content_type(callers: Callers, operation: Operation) -> None:
    """Anything but application/json is 415, and says what is read."""
    client = callers.clients[operation.roles[-1]]
    headers = {"Authorization": f"Bearer {client.token}", "Idempotency-Key": "k"}
    raw = msgspec.json.encode(operation.body)
    with callers.nothing_stored():
        for kind in (
            None,
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "multipart/form-data",
        ):
            path, method = operation.at(), operation.method
            response = client.web.open(path, method=method, data=raw, content_type=kind, headers=headers)
            assert check_problem(response, 415)["errors"][0]["code"] == "unsupported_media_type"
            assert response.headers["Accept-Post"] == "application/json"


@each_writing
def test_ten_megabytes(callers: Callers, operation: Operation) -> None:
    """A body beyond the limit is not read."""
    with callers.nothing_stored():
        check_problem(callers.send(operation, b" " * 10_000_000 + b"{}"), 413)


@pytest.mark.parametrize("name", BULK)
def test_item_counts(callers: Callers, name: str) -> None:
    """No items, or 1,001, are refused as a whole."""
    with callers.nothing_stored():
        for raw in (b'{"items": []}', b'{"items": [' + b"{}," * 1000 + b"{}]}"):
            problem = check_problem(callers.send(ALL[name], raw), 422)
            assert (problem["errors"][0]["code"], problem["errors"][0]["pointer"]) == ("bad_length", "/items")


@each
def test_tokens(callers: Callers, operation: Operation) -> None:
    """No token, junk, another scheme, expired, by another key, without a signature, of another type or issuer: 401."""
    with callers.nothing_stored():
        for authorization in _bad_authorizations(callers):
            headers = {} if authorization is None else {"Authorization": authorization}
            web = callers.house.app.test_client()
            response = web.open(operation.at(), method=operation.method, headers=headers)
            assert check_problem(response, 401)["code"] == "unauthenticated"
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


def _bad_authorizations(callers: Callers) -> list[str | None]:
    keyring, now = callers.house.services.keyring, system_now()
    caller = Caller(callers.house.operator.client_id, Role.OPERATOR, None)
    issuer = callers.house.services.settings.issuer
    good = issue_token(keyring, caller=caller, issuer=issuer, now=now)
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, keyring.token_key, algorithms=["Ed25519"]).claims
    foreign = OKPKey.import_key(make_key("nobody"))
    forged = [
        issue_token(keyring, caller=caller, issuer="http://elsewhere", now=now),
        issue_token(keyring, caller=caller, issuer=issuer, now=OPENING.replace(year=2020)),
        jwt.encode({"alg": "Ed25519", "typ": "at+jwt"}, claims, foreign, algorithms=["Ed25519"]),
        jwt.encode({"alg": "Ed25519", "typ": "JWT"}, claims, keyring.token_key, algorithms=["Ed25519"]),
        *(
            jwt.encode({"alg": "Ed25519", "typ": "at+jwt"}, claims | wrong, keyring.token_key, algorithms=["Ed25519"])
            for wrong in ({"role": "god"}, {"role": None}, {"exp": None}, {"exp": "soon"}, {"aud": ["http://b"]})
        ),
        f"eyJhbGciOiJub25lIn0.{payload}.",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{payload}",
        "..",
        "ÿ.ÿ.ÿ",
        "x" * 20_000,
    ]
    return [None, "", "Bearer", "Bearer ", f"Basic {good}", good, *(f"Bearer {token}" for token in forged)]


@each
def test_wrong_roles(callers: Callers, operation: Operation) -> None:
    """A client of another role is told who may."""
    with callers.nothing_stored():
        for role, client in callers.clients.items():
            if role not in operation.roles:
                assert check_problem(callers.send(operation, client=client), 403)["code"] == "forbidden"


@each_writing
def test_idempotency_keys(callers: Callers, operation: Operation) -> None:
    """No key, an empty one, one too long or with spaces in it: 400, before the body is looked at."""
    if not operation.idempotent:
        return
    with callers.nothing_stored():
        for key in ("", '""', "two words", "x" * 129, "schlüssel", "a\tb"):
            problem = check_problem(callers.send(operation, b"{", headers={"Idempotency-Key": key}), 400)
            assert problem["code"] == "idempotency_key_missing"


PATHS = ("%00", "a%00b", "x" * 10_000, "%F0%28%8C", "..%2f..", "%0A", "é", "%ED%A0%80", "'--", "ast_%00", "none")


@pytest.mark.parametrize("name", [name for name, operation in ALL.items() if "{" in operation.path])
def test_paths_to_nothing(callers: Callers, name: str) -> None:
    """Ids that nobody has and ids that are none: 404, whatever they are written with."""
    operation = ALL[name]
    with callers.nothing_stored("idempotency_outcome"):  # that there is no such offer is an answer, and kept
        for part in ("asset_id", "offer_id", "mandate_id", "originator_id", "kind", "claim_id"):
            for junk in PATHS:
                path = operation.at(business_date=junk, **{part: junk}) + operation.query
                assert check_problem(callers.send(operation, path=path), 404)["code"] == "not_found"


PUBLIC_JUNK = (
    "/nothing/here",
    "/log/proof/-1",
    "/log/proof/999",
    "/log/proof/" + "9" * 30,
    "/log/proof/９",
    "/log/tile/0/x",
    "/log/tile/64/000",
    "/log/tile/0/" + "x999/" * 20 + "000",
    "/log/tile/0/000.p/0",
    "/log/tile/0/000.p/300",
    "/log/tile/%00",
    "/log/tile/entries/" + "9" * 100,
    "/docs/%00",
    "/docs/../../etc/passwd",
    "/.well-known/%00",
)


@pytest.mark.parametrize("path", PUBLIC_JUNK)
def test_public_paths_to_nothing(callers: Callers, path: str) -> None:
    """What is open to all refuses junk as politely."""
    response = callers.house.app.test_client().get(path)
    assert response.status_code in {400, 404}, response.text[:300]
    check_problem(response, response.status_code)


CURSORS = (
    "x",
    "!",
    "e30",
    "WzFd",
    "WyJhIiwiYiJd",
    "WyJhXHUwMDAwIl0",
    "bnVsbA",
    "%FF",
    "W1tbW10",
    "5",
    "Wy",
    "é",
    "A" * 500,
)
QUERIES = (
    *(f"after={cursor}" for cursor in CURSORS),
    "after=",
    "after=" + "A" * 501,
    "after=a%00b",
    *(
        f"limit={limit}"
        for limit in ("0", "-1", "1001", "abc", "", "１０", "1e2", "%205", "1_0", "+5", "9" * 5000, "1.0")
    ),
    "surprise=1",
    "%00=1",
    "_schema=1",
)


@pytest.mark.parametrize("name", ["list_assets", "list_offers", "list_pools", "get_events"])
def test_queries(callers: Callers, name: str) -> None:
    """Cursors that no list gave, limits out of range or not in ASCII digits, unknown parameters: 422."""
    operation = ALL[name]
    for query in QUERIES:
        if name != "get_events" or query != "after=5":
            check_problem(callers.send(operation, path=f"{operation.path}?{query}"), 422)
    assert callers.send(operation, path=f"{operation.path}?limit=5").status_code == 200


@each
def test_wrong_methods(callers: Callers, operation: Operation) -> None:
    """Another method is 405, and `Allow` says which there are."""
    web = callers.house.app.test_client()
    for method in ("DELETE", "PATCH", "TRACE"):
        response = web.open(operation.at(), method=method)
        check_problem(response, 405)
        assert operation.method in response.headers["Allow"]


COMPANY = {"scheme": "platform", "value": "seller-1"}
TOMORROW = receivable("A", issue_date="2026-03-03", confirmation=None)
JUDGED = [
    ("submit_receivables", receivable("A", currency="XXX"), "unknown_currency", "/currency"),
    ("submit_receivables", receivable("A", due_date="2026-03-01"), "due_before_issue", "/due_date"),
    ("submit_receivables", receivable("A", due_date="2199-12-31"), "tenor_too_long", "/due_date"),
    ("submit_receivables", TOMORROW, "issue_in_future", "/issue_date"),
    ("submit_receivables", receivable("A", obligor=COMPANY), "self_dealing", "/obligor/value"),
    ("submit_receivables", receivable("---"), "bad_invoice_number", "/invoice_number"),
    (
        "submit_receivables",
        receivable("A", seller={"scheme": "uscc", "value": "91350100M000100Y44"}),
        "bad_uscc",
        "/seller/value",
    ),
    (
        "submit_receivables",
        receivable("A", obligor={"scheme": "lei", "value": "529900T8BM49AURSDO56"}),
        "bad_lei",
        "/obligor/value",
    ),
    (
        "submit_receivables",
        receivable("A", confirmation={"grade": "deemed", "confirmed_date": "2026-03-03"}),
        "confirmed_date_out_of_range",
        "/confirmation/confirmed_date",
    ),
    ("post_receipts", BULK["post_receipts"] | {"currency": "XXX"}, "unknown_currency", "/currency"),
    ("keep_trade_history", BULK["keep_trade_history"] | {"currency": "ZZZ"}, "unknown_currency", "/currency"),
]


@pytest.mark.parametrize(("name", "item", "code", "pointer"), JUDGED)
def test_items_that_break_a_rule(callers: Callers, name: str, item: dict[str, Any], code: str, pointer: str) -> None:
    """Well-formed and wrong: the item says which rule it breaks and where; nothing of it is stored."""
    with callers.nothing_stored("idempotency_outcome"):
        response = callers.send(ALL[name], msgspec.json.encode({"items": [item]}))
    (result,) = response.get_json()["items"]
    assert result["status"] == 422
    assert [(fault["code"], fault["pointer"]) for fault in result["errors"]] == [(code, f"/items/0{pointer}")]


def test_all_faults_at_once(callers: Callers) -> None:
    """One answer names everything that is wrong with an item, in its form or by the rules."""
    item = receivable("", face_minor="1", currency="cny", due_date="soon", recourse=None)
    (result,) = callers.send(ALL["submit_receivables"], msgspec.json.encode({"items": [item]})).get_json()["items"]
    found = {fault["pointer"].removeprefix("/items/0/") for fault in result["errors"]}
    assert found == {"invoice_number", "face_minor", "currency", "due_date", "recourse"}
    item = receivable("A", currency="XXX", due_date="2026-03-01", obligor=COMPANY)
    (result,) = callers.send(ALL["submit_receivables"], msgspec.json.encode({"items": [item]})).get_json()["items"]
    assert {fault["code"] for fault in result["errors"]} == {"unknown_currency", "due_before_issue", "self_dealing"}


UNREADABLE = (b"9" * 5000, b'{"a": "\xff"}', b'["\xc0\xaf"]')


@pytest.mark.parametrize("name", BULK)
def test_items_that_cannot_be_read(callers: Callers, name: str) -> None:
    """A number without end or bad UTF-8 in one item is that item's fault alone."""
    body = b'{"items": [' + b", ".join([*UNREADABLE, b"{}"]) + b"]}"
    with callers.nothing_stored("idempotency_outcome"):
        items = callers.send(ALL[name], body).get_json()["items"]
    assert [item["errors"][0]["code"] for item in items] == ["malformed_item"] * 3 + ["missing"]
    for item in items:
        check_faults(item["errors"])


def test_a_bad_item_spoils_no_neighbour(house: House) -> None:
    """Good items between bad ones are entered, and the checkers stay content."""
    items = [receivable("A"), receivable("B", face_minor=1.5), receivable("C"), receivable("A")]
    answer = house.platform.post("/v1/receivables", {"items": items})
    assert [item["status"] for item in answer["items"]] == [201, 422, 201, 409]
    lines = [receipt("?", 5, value_date=house.today), receipt("?", 0, value_date=house.today)]
    answer = house.operator.post("/v1/receipts", {"items": lines})
    assert [item["status"] for item in answer["items"]] == [201, 422]
    house.run()
    house.check()
