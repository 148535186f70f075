"""Bound tokens, scopes, keys and their lives: what a bank's security team tries first."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from exchange import dpop, idempotency
from exchange.app import create_app
from exchange.auth import Role
from exchange.clock import system_now
from exchange.idempotency import Answer
from exchange.jose import KeyUnusable, public_key
from exchange.parties.clients import MOST_KEYS, register_client
from exchange.services import Services
from ledger.encoding import base64url
from tests.exchange.house import OPENING, House, make_key
from tests.exchange.parties.bound import ISSUER, TOKEN_URL, Bound, half_hash, numbers, seconds, sign

KEYS: dict[str, OKPKey | ECKey | RSAKey] = {
    "Ed25519": OKPKey.import_key(make_key("bound")),
    "ES256": ECKey.generate_key("P-256"),
    "PS256": RSAKey.generate_key(2048),
}


def enter(services: Services, web: Any, *, role: Role = Role.OPERATOR, kind: str = "Ed25519", **more: Any) -> Bound:  # noqa: ANN401 - the test client
    """A client of no party whose key is of that kind."""
    with services.database.transaction() as session:
        client_id = register_client(
            session,
            role=role,
            party_id=None,
            public_jwk=KEYS[kind].as_dict(private=False),
            now=OPENING,
            entropy=services.entropy,
            **more,
        )
    return Bound(web, client_id, KEYS[kind])


@pytest.fixture
def bound(house: House) -> Bound:
    """An operator that is signed in."""
    client = enter(house.services, house.app.test_client())
    client.sign_in()
    return client


@pytest.mark.parametrize("kind", KEYS)
def test_a_bound_token(house: House, kind: str) -> None:
    """Each kind of key signs in, and each kind proves itself; every answer brings the next nonce."""
    client = enter(house.services, house.app.test_client(), kind=kind)
    client.proof_key = KEYS[kind]
    client.sign_in()
    answer = client.send("GET", "/v1/summary?x=1")  # a proof is for the address without its query
    assert (answer.status_code, bool(answer.headers["DPoP-Nonce"])) == (200, True)
    keys = client.web.get("/oauth/jwks.json").get_json()["keys"]
    assert [(key["kty"], key["use"], "d" in key) for key in keys] == [("OKP", "sig", False)]


def test_what_a_library_is_told(house: House) -> None:
    """RFC 8414: the issuer as it is in tokens, the addresses, the algorithms."""
    told = house.app.test_client().get("/.well-known/oauth-authorization-server").get_json()
    assert (told["issuer"], told["token_endpoint"], told["jwks_uri"]) == (
        ISSUER,
        TOKEN_URL,
        f"{ISSUER}/oauth/jwks.json",
    )
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert {"Ed25519", "ES256", "PS256"} <= set(told["dpop_signing_alg_values_supported"])


OTHER = OKPKey.generate_key("Ed25519")
SYMMETRIC = {"kty": "oct", "k": "AAAA"}
WRONG: list[dict[str, Any]] = [
    {"htm": "POST"},
    {"htm": "get"},
    {"htu": f"{ISSUER}/v1/assets"},
    {"htu": f"{ISSUER}/v1/summary?x=1"},
    {"htu": "https://elsewhere.example/v1/summary"},
    {"htu": None},
    {"ath": None},
    {"ath": half_hash("another token")},
    {"iat": None},
    {"iat": "now"},
    {"iat": 1e999},
    {"jti": None},
    {"jti": ""},
    {"jti": "a\0b"},
    {"jti": "x" * 129},
    {"header": {"typ": "JWT"}},
    {"header": {"jwk": None}},
    {"header": {"jwk": SYMMETRIC}},
    {"header": {"jwk": OTHER.as_dict(private=False)}},
    {"header": {"jwk": OTHER.as_dict(private=True)}},
]


def test_proofs_that_do_not_hold(bound: Bound) -> None:
    """RFC 9449 section 4.3, each check; and the same client comes in right afterwards."""
    for changes in WRONG:
        answer = bound.send("GET", "/v1/summary", proof=bound.proof("GET", f"{ISSUER}/v1/summary", **changes))
        told = answer.get_json(force=True)
        assert (changes, answer.status_code, told["code"]) == (changes, 401, "invalid_dpop_proof")
        assert 'DPoP error="invalid_dpop_proof"' in answer.headers["WWW-Authenticate"]
    for shift in (-dpop.SLOT_SECONDS * dpop.NONCE_SLOTS - 5, dpop.AHEAD_SECONDS + 5):
        stale = bound.proof("GET", f"{ISSUER}/v1/summary", iat=seconds() + shift)
        assert bound.send("GET", "/v1/summary", proof=stale).status_code == 401
    for junk in ("", "x", "..", "a.b.c", "x" * 20_000):
        assert bound.send("GET", "/v1/summary", proof=junk or " ").status_code == 401
    assert bound.send("GET", "/v1/summary").status_code == 200


def test_nonces(bound: Bound) -> None:
    """None, a made-up one, an old one: sign again with the one of the answer. A minute is no matter."""
    url, secret = f"{ISSUER}/v1/summary", bound.web.application.extensions["exchange"].keyring.nonce_key
    now = system_now()
    old = dpop.nonce(secret, now=now - timedelta(minutes=dpop.NONCE_SLOTS + 1))
    for nonce in (None, "", "made up", 5, old):
        answer = bound.send("GET", "/v1/summary", proof=bound.proof("GET", url, nonce=nonce))
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (401, "use_dpop_nonce")
        bound.nonce = answer.headers["DPoP-Nonce"]
        assert bound.send("GET", "/v1/summary").status_code == 200
    for shift in (-1, 1):
        near = dpop.nonce(secret, now=now + timedelta(minutes=shift))
        assert bound.send("GET", "/v1/summary", proof=bound.proof("GET", url, nonce=near)).status_code == 200


def test_a_proof_is_used_once(house: House, bound: Bound) -> None:
    """Ten that send the same proof at the same time: one gets in, and nobody later; one of another key does."""
    proof, together = bound.proof("GET", f"{ISSUER}/v1/summary"), Barrier(10)

    def send(_: int) -> int:
        together.wait()
        web = house.app.test_client()
        return replace(bound, web=web).send("GET", "/v1/summary", proof=proof).status_code

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(send, range(10))) == [200] + [401] * 9
    later = system_now() + timedelta(minutes=dpop.NONCE_SLOTS + 2)
    with house.services.database.transaction() as session:
        assert dpop.use_proof(session, proof=dpop.Proof("k", b"m"), now=later)
        assert session.query(dpop.UsedProof).count() == 1  # what no nonce admits any more is forgotten


def test_the_nonce_comes_before_the_assertion(house: House) -> None:
    """Whoever is refused for a proof still has its assertion: `sign_in` uses one twice."""
    client, assertion = enter(house.services, house.app.test_client()), ""
    client.sign_in()
    client.token, assertion = "", client.assertion()
    wrong: list[dict[str, Any]] = [{"htm": "GET"}, {"htu": f"{TOKEN_URL}/"}, {"ath": half_hash("x")}]
    for changes in wrong:
        refused = client.ask(proof=client.proof("POST", TOKEN_URL, **changes), assertion=assertion)
        assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_dpop_proof")
        assert refused.headers["Cache-Control"] == "no-store"
    assert client.ask(proof=client.proof("POST", TOKEN_URL), assertion=assertion).status_code == 200
    again = client.ask(proof=client.proof("POST", TOKEN_URL), assertion=assertion)
    assert (again.status_code, again.get_json()["error"]) == (401, "invalid_client")


def test_a_stolen_token(house: House, bound: Bound) -> None:
    """It opens nothing: as a bearer's, with no proof, two proofs, the thief's proof; a bearer's is no bound one."""
    url = f"{ISSUER}/v1/summary"
    thief = replace(bound, proof_key=OKPKey.generate_key("Ed25519"))
    assert thief.send("GET", "/v1/summary").get_json(force=True)["code"] == "invalid_dpop_proof"
    assert bound.send("GET", "/v1/summary", proof="", scheme="Bearer").status_code == 401
    assert bound.send("GET", "/v1/summary", scheme="Bearer").status_code == 401
    headers = [("Authorization", f"DPoP {bound.token}"), *(("DPoP", bound.proof("GET", url)) for _ in range(2))]
    assert bound.web.get("/v1/summary", headers=headers).status_code == 401
    unbound = replace(bound, token=house.operator.sign_in())
    assert unbound.send("GET", "/v1/summary").status_code == 401


def test_where_only_bound_tokens_are_taken(house: House) -> None:
    """With the setting that https brings, nobody gets or uses a bearer's token."""
    services = replace(house.services, settings=replace(house.services.settings, bound_tokens=True))
    client = enter(services, create_app(services).test_client())
    refused = client.ask(proof=None)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_request")
    client.sign_in()
    assert client.send("GET", "/v1/summary").status_code == 200
    bearer = {"Authorization": f"Bearer {house.operator.sign_in()}"}
    assert client.web.get("/v1/summary", headers=bearer).status_code == 401


def test_a_client_certificate(house: House) -> None:
    """Where a proxy is trusted to say so (RFC 9440), a token is bound to the certificate (RFC 8705); else nobody is."""
    settings = replace(house.services.settings, bound_tokens=True, client_certificates=True)
    services = replace(house.services, settings=settings)
    web, plain = create_app(services).test_client(), house.app.test_client()
    client = enter(services, web)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }

    def asked(where: Any, header: str) -> Any:  # noqa: ANN401 - a test client and its answer
        sent = form | {"client_assertion": client.assertion()}
        return where.post("/oauth/token", data=sent, headers={"Client-Cert": header})

    for wrong in ("", ":", "::", "QUJD", ":no base64:"):
        assert asked(web, wrong).status_code == 400
    token = asked(web, ":QUJD:").get_json()["access_token"]
    expected = {":QUJD:": 200, ":QUJE:": 401, "": 401}
    for header, status in expected.items():
        headers = {"Authorization": f"Bearer {token}", "Client-Cert": header}
        assert web.get("/v1/summary", headers=headers).status_code == status
        assert plain.get("/v1/summary", headers=headers).status_code == 401  # nobody there vouches for the header
    loose = asked(plain, ":QUJD:").get_json()["access_token"]
    assert (
        web.get("/v1/summary", headers={"Authorization": f"Bearer {loose}", "Client-Cert": ":QUJD:"}).status_code == 401
    )


def test_scopes(house: House) -> None:
    """A token is for what was asked, never for more than the client may; without asking, for all of that."""
    client = enter(house.services, house.app.test_client(), scopes=["reports:read", "parties:write"])
    client.sign_in(scope="reports:read")
    assert client.send("GET", "/v1/summary").status_code == 200
    refused = client.send("POST", "/v1/partners", json={})
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (403, "forbidden")
    assert 'scope="parties:write"' in refused.headers["WWW-Authenticate"]
    client.sign_in()
    assert client.send("POST", "/v1/partners", json={}).status_code == 422
    assert client.send("GET", "/v1/pools").status_code == 403
    client.token = ""
    for scope in ("pools:read", "reports:read pools:read", "", "  "):
        answer = client.ask(proof=client.proof("POST", TOKEN_URL), scope=scope)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_scope")


def test_parameters_are_sent_once(house: House) -> None:
    """RFC 6749 section 3.2: which of two grant types would count?"""
    client = enter(house.services, house.app.test_client())
    sent = f"grant_type=client_credentials&grant_type=password&client_assertion={client.assertion()}"
    answer = client.web.post("/oauth/token", data=sent, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_a_key_is_replaced(bound: Bound) -> None:
    """The next key signs in beside the old one; the retired one does not; the last one cannot go, nor come back."""
    new = ECKey.generate_key("P-256")
    jwk = new.as_dict(private=False)
    added = bound.send("POST", "/v1/client-keys", json={"public_jwk": jwk})
    assert (added.status_code, added.get_json()["thumbprint"]) == (201, new.thumbprint())
    old = bound.key.thumbprint()
    shown = bound.send("GET", "/v1/client-keys").get_json()["items"]
    assert {one["thumbprint"] for one in shown} == {old, new.thumbprint()}
    successor = replace(bound, key=new)
    successor.sign_in()
    assert successor.send("POST", f"/v1/client-keys/{old}/retirement").status_code == 201
    bound.token = ""
    refused = bound.ask(proof=bound.proof("POST", TOKEN_URL, nonce=successor.nonce))
    assert refused.get_json()["error"] == "invalid_client"
    codes = [
        successor.send("POST", f"/v1/client-keys/{new.thumbprint()}/retirement").get_json(force=True)["code"],
        successor.send("POST", f"/v1/client-keys/{old}/retirement").get_json(force=True)["code"],
        successor.send("POST", "/v1/client-keys", json={"public_jwk": bound.key.as_dict(private=False)}).get_json(
            force=True
        )["code"],
    ]
    assert codes == ["last_key", "not_found", "key_in_use"]
    for _ in range(MOST_KEYS - 1):
        more = ECKey.generate_key("P-256").as_dict(private=False)
        assert successor.send("POST", "/v1/client-keys", json={"public_jwk": more}).status_code == 201
    more = ECKey.generate_key("P-256").as_dict(private=False)
    assert (
        successor.send("POST", "/v1/client-keys", json={"public_jwk": more}).get_json(force=True)["code"]
        == "too_many_keys"
    )


def test_a_key_that_names_itself(house: House, bound: Bound) -> None:
    """`kid` may be the thumbprint, or whatever the client calls its key."""
    for kid in (bound.key.thumbprint(), "my key", 5):
        now = seconds()
        claims = {
            "iss": bound.client_id,
            "sub": bound.client_id,
            "aud": ISSUER,
            "exp": now + 60,
            "jti": f"k-{next(numbers)}",
        }
        if isinstance(kid, str):
            signed = sign(bound.key, claims, kid=kid)
            bound.token = ""
            assert bound.ask(proof=bound.proof("POST", TOKEN_URL), assertion=signed).status_code == 200
    assert house.operator.get("/v1/summary")


def test_a_client_is_revoked(house: House) -> None:
    """By the operator, for good: no token any more; once more changes nothing; nobody else may."""
    client = enter(house.services, house.app.test_client(), role=Role.AUDITOR)
    client.sign_in()
    assert house.platform.call("POST", f"/v1/clients/{client.client_id}/revocation").status_code == 403
    for _ in range(2):
        house.operator.post(f"/v1/clients/{client.client_id}/revocation", None)
    client.token = ""
    assert client.ask(proof=client.proof("POST", TOKEN_URL)).get_json()["error"] == "invalid_client"
    assert house.operator.refused("POST", "/v1/clients/cli_nobody/revocation")["code"] == "not_found"


WEAK: list[dict[str, Any]] = [
    {},
    {"kty": "oct", "k": "AAAA"},
    {"kty": "OKP", "crv": "Ed25519"},
    {"kty": "OKP", "crv": "X25519", "x": OTHER.as_dict()["x"]},
    {"kty": "EC", "crv": "P-384", **{name: KEYS["ES256"].as_dict()[name] for name in "xy"}},
    {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    {"kty": "EC", "crv": "P-256", "x": KEYS["ES256"].as_dict()["x"]},
    {"kty": "RSA", "n": 5, "e": "AQAB"},
    {"kty": "RSA", "n": "", "e": ""},
    {"kty": "RSA", "n": base64url(b"\xff" * 128), "e": "AQAB"},
    OTHER.as_dict(private=True),
]


def test_keys_that_are_not_taken(house: House) -> None:
    """Symmetric, short, of other curves, beside their curve, incomplete, private."""
    for jwk in WEAK:
        with pytest.raises(KeyUnusable):
            public_key(jwk)
    fault = house.operator.refused("POST", "/v1/client-keys", {"public_jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}})
    assert [(one["code"], one["pointer"]) for one in fault["errors"]] == [("unusable_key", "/public_jwk")]


def test_old_answers_are_forgotten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty days an answer is kept, and not for ever; a part at a time."""
    monkeypatch.setattr(idempotency, "PART", 2)
    with house.services.database.transaction() as session:
        for age in (40, 35, 32, 31, 29):
            answer = Answer(201, "application/json", b"{}")
            moment = system_now() - timedelta(days=age)
            idempotency.keep(session, client_id="c", key=str(age), fingerprint=b"", answer=answer, now=moment)
    house.move(9, days=1)
    with house.services.database.transaction() as session:
        kept = session.query(idempotency.Outcome.key).filter_by(client_id="c").all()
    assert [key for (key,) in kept] == ["29"]
