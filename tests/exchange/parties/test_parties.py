"""Parties, companies, the people behind them, and how a client proves who it is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OKPKey
from sqlalchemy import select, update

from exchange.auth import Role
from exchange.clock import system_now
from exchange.parties.actions import CompanyFacts, CompanyKey, know_companies, use_assertion
from exchange.parties.assertion import AssertionRefusedError, authenticate
from exchange.parties.clients import register_client
from exchange.parties.models import ApiClient, Company, Controller, UsedAssertion
from exchange.services import Services
from tests.exchange.house import ASSERTION_TYPE, House, make_key, public_jwk

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ISSUER = "https://exchange.example"
KEY = make_key("client")
SECONDS = int(NOW.timestamp())


@pytest.fixture
def client_id(services: Services) -> str:
    """An operator's client."""
    with services.database.transaction() as session:
        entropy = services.entropy
        return register_client(
            session, role=Role.OPERATOR, party_id=None, public_jwk=public_jwk(KEY), now=NOW, entropy=entropy
        )


def _assertion(client_id: str, *, header: dict[str, Any] | None = None, **changes: Any) -> str:  # noqa: ANN401 - claims
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "iat": SECONDS, "exp": SECONDS + 60, "jti": "j-1"}
    claims = {name: value for name, value in (claims | changes).items() if value != "absent"}
    algorithms = ["Ed25519", "EdDSA"]
    return jwt.encode(header or {"alg": "Ed25519"}, claims, OKPKey.import_key(KEY), algorithms=algorithms)


def _try(services: Services, assertion: str, *, now: datetime = NOW) -> bool:
    try:
        with services.database.transaction() as session:
            authenticate(session, assertion=assertion, issuer=ISSUER, now=now)
    except AssertionRefusedError:
        return False
    return True


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_an_assertion_is_used_once(services: Services, client_id: str) -> None:
    """The same again is refused; one with another jti is not; both algorithm names of RFC 8037 and RFC 9864 pass."""
    assertion = _assertion(client_id)
    assert [_try(services, assertion) for _ in range(3)] == [True, False, False]
    assert _try(services, _assertion(client_id, jti="j-2", header={"alg": "EdDSA", "kid": "whatever", "typ": "JWT"}))


def test_one_of_many_at_once(services: Services, client_id: str) -> None:
    """Ten that present the same assertion together: one gets in."""
    assertion, together = _assertion(client_id), Barrier(10)

    def present(_: int) -> bool:
        together.wait()
        return _try(services, assertion)

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(present, range(10))) == 1


WRONG: list[tuple[str, list[object]]] = [
    ("aud", ["https://other.example", [ISSUER], [ISSUER, "x"], None, "absent", ISSUER + "/"]),
    ("iss", ["cli_other", None, "absent", 5]),
    ("exp", [SECONDS, SECONDS - 1, SECONDS + 311, SECONDS + 10**9]),
    ("exp", [None, "absent", "soon", [], 1e999, float("nan"), 10**400]),
    ("iat", [SECONDS + 11, None, "now", {}, 1e999]),
    ("nbf", [SECONDS + 11, None, "now", {}, 1e999]),
    ("jti", [None, "absent", "", 5, "x" * 129, "a\0b", "a\nb", "\u202e"]),
    ("sub", [None, 5, [], "cli_other", "absent", "a\0b", "", "x" * 10_000]),
]


@pytest.mark.parametrize("changes", [{claim: value} for claim, values in WRONG for value in values])
def test_claims_that_do_not_hold(services: Services, client_id: str, changes: dict[str, Any]) -> None:
    """RFC 7523 section 3, and no wider: each claim of its type, its time, its audience as one string."""
    assert not _try(services, _assertion(client_id, **changes))
    assert _try(services, _assertion(client_id))


@pytest.mark.parametrize(
    "changes", [{"exp": SECONDS + 310}, {"iat": SECONDS + 10}, {"nbf": SECONDS}, {"iat": "absent"}]
)
def test_claims_at_the_edge(services: Services, client_id: str, changes: dict[str, Any]) -> None:
    """Clocks may differ by ten seconds."""
    assert _try(services, _assertion(client_id, **changes))


def test_signatures_that_do_not_hold(services: Services, client_id: str) -> None:
    """Another key, none at all, a symmetric one made of the public key, a critical header nobody knows."""
    good = _assertion(client_id)
    header, payload, signature = good.split(".")
    forged = [
        f"eyJhbGciOiJub25lIn0.{payload}.",
        f"{header}.{payload}.",
        f"{header}.{payload}.{'A' * len(signature)}",
        f"eyJhbGciOiJIUzI1NiJ9.{payload}.{signature}",
        _assertion(client_id).replace(".", "..", 1),
        jwt.encode({"alg": "Ed25519"}, {"sub": client_id}, OKPKey.import_key(make_key("x")), algorithms=["Ed25519"]),
    ]
    assert not any(_try(services, one) for one in forged)
    assert _try(services, good)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | st.lists(st.text(max_size=9)).map(".".join))
def test_junk_is_refused(services: Services, junk: str) -> None:
    """Whatever is presented, the answer is no."""
    assert not _try(services, junk)


def test_a_revoked_client(services: Services, client_id: str) -> None:
    """It gets no token any more."""
    with services.database.transaction() as session:
        session.execute(update(ApiClient).values(revoked_at=NOW))
    assert not _try(services, _assertion(client_id))


def test_used_assertions_are_forgotten_when_they_cannot_come_back(services: Services, client_id: str) -> None:
    """Kept as long as any clock would take them, then dropped with the next one."""
    assert _try(services, _assertion(client_id, exp=SECONDS + 300))
    last = NOW + timedelta(seconds=299)
    assert not _try(services, _assertion(client_id, exp=SECONDS + 300), now=last)
    later = NOW + timedelta(minutes=6)
    with services.database.transaction() as session:
        assert use_assertion(session, client_id=client_id, jti="j-9", expires_at=later, now=later)
        assert list(session.execute(select(UsedAssertion.jti)).scalars()) == ["j-9"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}, 401, "invalid_client"),
        (
            {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"},
            401,
            "invalid_client",
        ),
    ],
)
def test_the_token_endpoint_refuses(house: House, form: dict[str, str], status: int, error: str) -> None:
    """In OAuth's own words (RFC 6749 section 5.2), never to be cached."""
    response = house.app.test_client().post("/oauth/token", data=form)
    assert (response.status_code, response.get_json()["error"]) == (status, error)
    assert response.headers["Cache-Control"] == "no-store"


def test_the_token_endpoint_on_other_bodies(house: House) -> None:
    """JSON, junk and ten megabytes are refused as well."""
    web = house.app.test_client()
    assert web.post("/oauth/token", json={"grant_type": "client_credentials"}).status_code == 400
    assert web.post("/oauth/token", data=b"\xff\0", content_type="multipart/form-data; boundary=x").status_code == 400
    assert web.post("/oauth/token", data={"client_assertion": "x" * 10_000_000}).status_code == 413


def test_a_token_is_not_cached(house: House) -> None:
    """RFC 6749 section 5.1."""
    token = house.operator.sign_in()
    assert token.count(".") == 2


@pytest.mark.parametrize("extra", [{}, {"alg": "EdDSA"}, {"alg": "Ed25519"}, {"use": "sig", "kid": "my key"}])
def test_a_party_enters_and_signs_in(house: House, extra: dict[str, str]) -> None:
    """Whatever optional members its key has."""
    key = make_key(f"new {extra}"[:32])
    body = {"name": "New", "public_jwk": public_jwk(key) | extra}
    entered = house.operator.post("/v1/originators", body)
    house.platform.client_id, house.platform.key, house.platform.token = entered["client_id"], key, ""
    assert house.platform.get("/v1/assets") == {"items": [], "next": None}


@pytest.mark.parametrize("kind", ["originators", "funders"])
def test_the_same_name_again(house: House, kind: str) -> None:
    """A name is not an id: another party may have it. Entered at the very same moment, it is a mistake."""
    bodies = [{"name": "Twin", "public_jwk": public_jwk(make_key(f"twin {n}"))} for n in range(3)]
    house.operator.post(f"/v1/{kind}", bodies[0])
    assert house.operator.refused("POST", f"/v1/{kind}", bodies[1])["code"] == "party_exists"
    house.move(9, 1)
    house.operator.post(f"/v1/{kind}", bodies[2])


@pytest.mark.parametrize("kind", ["originators", "funders"])
def test_keys_that_prove_nothing(house: House, kind: str) -> None:
    """A point of low order verifies what nobody signed: refused, with a pointer."""
    for x in ("A" * 43, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "_" * 43):
        body = {"name": "Weak", "public_jwk": public_jwk(make_key("k")) | {"x": x}}
        problem = house.operator.refused("POST", f"/v1/{kind}", body)
        assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/public_jwk/x")


def _know(services: Services) -> Callable[[dict[CompanyKey, CompanyFacts]], dict[CompanyKey, str]]:
    def know(companies: dict[CompanyKey, CompanyFacts]) -> dict[CompanyKey, str]:
        with services.database.transaction() as session:
            return know_companies(
                session, companies=companies, keyring=services.keyring, now=NOW, entropy=services.entropy
            )

    return know


def test_companies_are_known_once(services: Services) -> None:
    """What was said first stays; the same number of two originators names two companies."""
    know = _know(services)
    ours, theirs, public = (
        CompanyKey("platform", "org_1", "7"),
        CompanyKey("platform", "org_2", "7"),
        CompanyKey("lei", "", "HWUPKR0MPOU8FGXBT394"),
    )
    first = know({ours: CompanyFacts("First"), theirs: CompanyFacts("Theirs")})
    again = know({ours: CompanyFacts("Second"), public: CompanyFacts()})
    assert again[ours] == first[ours]
    assert len({*first.values(), *again.values()}) == 3
    assert know({}) == {}
    with services.database.transaction() as session:
        assert sorted(session.execute(select(Company.name)).scalars(), key=str) == ["First", None, "Theirs"]


def test_many_name_the_same_companies_at_once(services: Services) -> None:
    """In any order, from eight threads: each is entered once, and all hear the same id."""
    know, together = _know(services), Barrier(8)
    keys = [CompanyKey("platform", "org_1", str(n)) for n in range(20)]

    def name_them(turn: int) -> dict[CompanyKey, str]:
        order = keys if turn % 2 else keys[::-1]
        together.wait()
        return know({key: CompanyFacts(national_id=f"person {key.value[-1]}") for key in order})

    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(name_them, range(8)))
    assert all(one == heard[0] for one in heard)
    with services.database.transaction() as session:
        assert len(session.execute(select(Company.company_id)).all()) == 20
        assert len(session.execute(select(Controller.controller_id)).all()) == 10


def test_a_person_is_nowhere_in_the_clear(services: Services) -> None:
    """Only the vault's key opens the sealed number, in its own place; without the hash key nobody can guess it."""
    number = "110101199003071234"
    know = _know(services)
    know({CompanyKey("platform", "o", n): CompanyFacts(national_id=number) for n in ("1", "2")})
    with services.database.transaction() as session:
        (person,) = session.execute(select(Controller)).scalars()
        companies = session.execute(select(Company)).scalars().all()
    assert {company.controller_id for company in companies} == {person.controller_id}
    sealed, identity = bytes(person.identity_sealed or b""), bytes(person.identity_hash or b"")
    assert number.encode() not in sealed + identity
    assert services.keyring.vault.open(sealed, place=identity) == number.encode()
    with pytest.raises(InvalidTag):
        services.keyring.vault.open(sealed, place=b"another place")


def test_machine_time_counts_for_tokens(house: House) -> None:
    """On a virtual clock of another year clients sign in with the machine's time."""
    assert abs(house.today - system_now().date()) > timedelta(days=1)
    assert house.operator.sign_in()
