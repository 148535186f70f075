"""A whole exchange in one process: clients over the real application, work done when asked for, a clock to move."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import jsonschema
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import OKPKey
from werkzeug.test import TestResponse

from exchange import jobs, worker
from exchange.app import contract_text, create_app
from exchange.auth import Role
from exchange.callbacks import actions as callbacks
from exchange.callbacks.events import schema
from exchange.clock import system_now
from exchange.operations.queries import checks
from exchange.parties.clients import register_client
from exchange.registry import sealing
from exchange.services import Services
from ledger.encoding import base64url

CONTRACT: dict[str, Any] = msgspec.json.decode(contract_text())
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OPENING = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""Monday, nine in the morning in Shanghai."""
_numbers = count(1)


@dataclass(slots=True)
class Client:
    """One party's program: signs in once, calls, and holds every answer against the contract."""

    web: FlaskClient
    client_id: str
    key: Ed25519PrivateKey
    token: str = ""

    def get(self, path: str, **headers: str) -> Any:  # noqa: ANN401 - whatever the operation answers
        """The body of a successful answer."""
        return self._body(self.call("GET", path, headers=headers))

    def put(self, path: str, body: object) -> Any:  # noqa: ANN401 - same
        """The body of a successful answer."""
        return self._body(self.call("PUT", path, body=body))

    def post(self, path: str, body: object, *, key: str | None = None) -> Any:  # noqa: ANN401 - same
        """The body of a successful answer, under a new idempotency key unless one is given."""
        return self._body(self.call("POST", path, body=body, key=key))

    def refused(self, method: str, path: str, body: object = None, *, key: str | None = None) -> dict[str, Any]:
        """The problem of a refused request."""
        response = self.call(method, path, body=body, key=key)
        assert response.status_code >= 400, response.text
        assert response.mimetype == "application/problem+json"
        problem: dict[str, Any] = response.get_json(force=True)
        return problem

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        raw: bytes | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        """Any request with this client's token; `raw` bytes instead of a JSON body where given."""
        self.token = self.token or self.sign_in()
        sent = raw if raw is not None else (None if body is None else msgspec.json.encode(body))
        wanted = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key or f"key-{next(_numbers)}"}
        wanted |= {"If-Match": "*"} if method == "PUT" else {}
        kind = None if sent is None else "application/json"
        response = self.web.open(path, method=method, data=sent, content_type=kind, headers=wanted | (headers or {}))
        check_contract(method, path, response)
        return response

    def sign_in(self, **claims: Any) -> str:  # noqa: ANN401 - claims of any kind, to try what is refused
        """An access token for a signed assertion."""
        now = int(system_now().timestamp())
        body = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": "http://127.0.0.1:8080",
            "iat": now,
            "exp": now + 60,
            "jti": f"jti-{next(_numbers)}",
        } | claims
        assertion = jwt.encode({"alg": "Ed25519"}, body, OKPKey.import_key(self.key), algorithms=["Ed25519"])
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        answer = self.web.post("/oauth/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.get_json()["access_token"])

    @staticmethod
    def _body(response: TestResponse) -> Any:  # noqa: ANN401 - whatever the operation answers
        assert response.status_code < 300, f"{response.status_code} {response.text}"
        return response.get_json(force=True)


@dataclass(slots=True)
class House:
    """The exchange, an operator, a platform and as many funders as were asked for."""

    services: Services
    app: Flask
    operator: Client
    platform: Client
    originator_id: str
    funders: list[Client] = field(default_factory=list)
    funder_ids: list[str] = field(default_factory=list)
    deposit_references: list[str] = field(default_factory=list)
    schedule: dict[str, str] = field(default_factory=lambda: dict(worker.SCHEDULE))
    """What falls due by itself."""

    @property
    def today(self) -> date:
        """The business date (Shanghai)."""
        with self.services.database.transaction() as session:
            return (self.services.clock.now(session) + timedelta(hours=8)).date()

    def only(self, *rooms: str) -> None:
        """Let nothing else fall due by itself: for tests that live through weeks and look at these rooms."""
        self.schedule = {job: at for job, at in worker.SCHEDULE.items() if job.partition(".")[0] in rooms}

    def add_funder(self, name: str) -> Client:
        """Enter another funder."""
        key = make_key(name)
        entered = self.operator.post("/v1/funders", {"name": name, "public_jwk": public_jwk(key)})
        client = Client(self.app.test_client(), entered["client_id"], key)
        self.funders.append(client)
        self.funder_ids.append(entered["funder_id"])
        self.deposit_references.append(entered["deposit_reference"])
        return client

    def deposit(self, funder: int, amount_minor: int, *, currency: str = "CNY") -> None:
        """Put money of a funder on the collection account."""
        line = receipt(self.deposit_references[funder], amount_minor, value_date=self.today, currency=currency)
        self.operator.post("/v1/receipts", {"items": [line]})

    def move(self, hour: int, minute: int = 0, *, days: int = 0) -> None:
        """Move the clock to a local time, `days` after today, and do all that falls due."""
        day = self.today + timedelta(days=days)
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC) - timedelta(hours=8)
        self.operator.put("/v1/clock", {"now": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})
        self.run()

    def run(self) -> None:
        """Do everything that is pending, as a worker would. Work that fails fails the test."""
        services = self.services
        with services.database.transaction() as session:
            now = services.clock.now(session)
            jobs.fire(session, schedule=self.schedule, now=now, time_zone=services.settings.time_zone)
        while self._one_job() or sealing.seal(services):
            pass
        with services.database.transaction() as session:
            callbacks.publish(session, services=services, now=system_now())

    def check(self) -> None:
        """Recompute books and log; anything wrong fails the test."""
        with self.services.database.snapshot() as session:
            assert checks(session, services=self.services) == {"books": [], "log": []}

    def submit(self, *items: dict[str, Any]) -> list[str]:
        """Submit receivables that have to be accepted; their asset ids, scored and listed."""
        answer = self.platform.post("/v1/receivables", {"items": list(items)})
        assert {item["status"] for item in answer["items"]} == {201}, answer
        self.run()
        return [item["asset_id"] for item in answer["items"]]

    def events(self, funder: int, *, settlements: bool = False) -> list[dict[str, Any]]:
        """What a funder was told so far, each held against its schema: what happened, or what the books did."""
        answer = self.funders[funder].get("/v1/events?limit=1000")
        for one in answer["items"]:
            jsonschema.validate(one["data"], schema(one["type"]))
        return [one for one in answer["items"] if one["type"].startswith("settlement.") == settlements]

    def _one_job(self) -> bool:
        services = self.services
        with services.database.transaction() as session:
            item = session.query(jobs.WorkItem).order_by(jobs.WorkItem.work_id).first()
            if item is None:
                return False
            worker.HANDLERS[item.job](services, session, item.payload)
            session.delete(item)
            session.flush()
        return True


def open_house(services: Services, *, funders: int = 1) -> House:
    """Enter an operator, a platform and some funders into a fresh exchange."""
    app = create_app(services)
    with services.database.transaction() as session:
        jobs.set_virtual_time(session, moment=OPENING)
    operator = enter_client(services, app, role=Role.OPERATOR, name="operator")
    platform_key = make_key("platform")
    entered = operator.post("/v1/originators", {"name": "Platform", "public_jwk": public_jwk(platform_key)})
    platform = Client(app.test_client(), entered["client_id"], platform_key)
    house = House(services, app, operator, platform, entered["originator_id"])
    for number in range(funders):
        house.add_funder(f"Funder {number + 1}")
    house.run()
    return house


def enter_client(services: Services, app: Flask, *, role: Role, name: str) -> Client:
    """A client of no party: an operator or an auditor, with a key that only its name decides."""
    key = make_key(name)
    with services.database.transaction() as session:
        client_id = register_client(
            session,
            role=role,
            party_id=None,
            public_jwk=public_jwk(key),
            now=OPENING,
            entropy=services.entropy,
        )
    return Client(app.test_client(), client_id, key)


def make_key(name: str) -> Ed25519PrivateKey:
    """A key that only the name decides."""
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half, as a party registers it."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key().public_bytes_raw())}


def receivable(number: str, **changes: object) -> dict[str, Any]:
    """A submission that is right, confirmed on the spot; `changes` make it otherwise."""
    item: dict[str, Any] = {
        "invoice_number": number,
        "seller": {"scheme": "platform", "value": "seller-1"},
        "obligor": {"scheme": "platform", "value": "obligor-1"},
        "product": "receivable_factoring",
        "currency": "CNY",
        "face_minor": 1_000_000,
        "issue_date": "2026-03-02",
        "due_date": "2026-05-01",
        "recourse": "without",
        "confirmation": {"grade": "explicit", "confirmed_date": "2026-03-02"},
    }
    return {name: value for name, value in (item | changes).items() if value is not None}


def mandate(**changes: object) -> dict[str, Any]:
    """A mandate that takes any sensible asset in CNY; `changes` make it choosier."""
    return {
        "name": "open",
        "currency": "CNY",
        "budget_minor": 10**12,
        "products": ["procurement_credit", "receivable_factoring", "working_capital", "equipment_lease"],
        "max_pd_ppm": 1_000_000,
        "min_tenor_days": 1,
        "max_tenor_days": 365,
        "min_face_minor": 1,
        "max_face_minor": 10**12,
        "recourse": ["with", "limited", "without"],
        "confirmation_grades": ["explicit", "deemed"],
        "obligor_cap_minor": 10**12,
        "seller_cap_minor": 10**12,
        "base_rate_bps": 600,
    } | changes


def receipt(reference: str, amount_minor: int, *, value_date: date, currency: str = "CNY") -> dict[str, Any]:
    """A line of the collection account's statement, never entered before."""
    return {
        "bank_reference": f"line-{next(_numbers)}",
        "value_date": value_date.isoformat(),
        "amount_minor": amount_minor,
        "currency": currency,
        "reference": reference,
    }


def calendar_date(day: int) -> date:
    """The date that many days after 1970-01-01."""
    return date(1970, 1, 1) + timedelta(days=day)


def check_contract(method: str, path: str, response: TestResponse) -> None:
    """Hold an answer of the API against the published contract."""
    operation = _operation(method, path.partition("?")[0])
    if operation is None or response.mimetype not in {"application/json", "application/problem+json"}:
        return
    documented = operation["responses"][str(response.status_code)]
    name = documented.get("$ref", "").rpartition("/")[2]
    content = CONTRACT["components"]["responses"][name]["content"] if name else documented["content"]
    schema: dict[str, Any] = content[response.mimetype]["schema"]
    validator = jsonschema.Draft202012Validator(schema | {"components": CONTRACT["components"]})
    faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.get_json(force=True))]
    assert not faults, f"{method} {path} breaks the contract: {faults[:5]}"


def _operation(method: str, path: str) -> dict[str, Any] | None:
    parts = path.split("/")
    for template, operations in CONTRACT["paths"].items():
        names = template.split("/")
        fits = len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        )
        if fits and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


@contextmanager
def closing(services: Services) -> Iterator[Services]:
    """Services whose connections are closed at the end."""
    try:
        yield services
    finally:
        services.database.dispose()
