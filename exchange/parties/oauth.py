"""The authorization server (RFC 6749 section 4.4, FAPI 2.0): what it can, its key, and the one way to a token."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from joserfc.jwk import OKPKey

from exchange import auth, jose
from exchange.admission import KEY, ProofMissing, certificate, read_proof
from exchange.clock import system_now
from exchange.http import PROBLEM, json_response, services
from exchange.parties.assertion import AssertionRefusedError, ScopeRefusedError, authenticate

public = Blueprint("oauth", __name__)

TOKEN_PATH = "/oauth/token"  # noqa: S105 - an address
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@public.get("/.well-known/oauth-authorization-server")
def metadata() -> Response:
    """What a client's library has to know (RFC 8414, RFC 9449, RFC 8705)."""
    settings = services().settings
    issuer = settings.issuer.rstrip("/")
    return json_response(
        {
            "issuer": settings.issuer,
            "token_endpoint": f"{issuer}{TOKEN_PATH}",
            "jwks_uri": f"{issuer}/oauth/jwks.json",
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": jose.ALGORITHMS,
            "dpop_signing_alg_values_supported": jose.ALGORITHMS,
            "tls_client_certificate_bound_access_tokens": settings.client_certificates,
            "service_documentation": f"{issuer}/docs/",
        }
    )


@public.get("/oauth/jwks.json")
def jwks() -> Response:
    """The public key that signs access tokens."""
    key: OKPKey = services().keyring.token_key
    return json_response({"keys": [{**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig"}]})


@public.post(TOKEN_PATH)
def token() -> Response:
    """Client credentials with a signed assertion (RFC 7523), and the key or certificate that the token is bound to."""
    form = request.form.to_dict()
    if any(len(values) > 1 for _, values in request.form.lists()):
        return _refused("invalid_request", "send each parameter once")
    if form.get("grant_type") != "client_credentials":
        return _refused("unsupported_grant_type", "use grant_type=client_credentials")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        return _refused("invalid_client", f"use client_assertion_type={ASSERTION_TYPE}", status=401)
    try:
        confirmation = _confirmation()
    except ProofMissing as refused:
        return _refused(refused.code, refused.detail)
    return _issued(form, confirmation)


def _confirmation() -> Mapping[str, str]:
    """What the token is to be bound to: the key of the proof that came along, else the client's certificate."""
    at_hand, now = services(), system_now()
    if "DPoP" not in request.headers:
        return certificate(at_hand, request.headers)
    # The nonce comes first: whoever has to sign the proof again has not used its assertion up.
    proof = read_proof(at_hand, method=request.method, path=request.path, headers=request.headers, now=now)
    return {KEY: proof.key}


def _issued(form: Mapping[str, str], confirmation: Mapping[str, str]) -> Response:
    at_hand, now = services(), system_now()
    if at_hand.settings.bound_tokens and not confirmation:
        return _refused("invalid_request", "send a DPoP proof: tokens are bound to a key here")
    issuer = at_hand.settings.issuer
    signed, scope = form.get("client_assertion", ""), form.get("scope")
    try:
        caller = at_hand.database.run(partial(authenticate, assertion=signed, issuer=issuer, now=now, scope=scope))
    except AssertionRefusedError as refused:
        return _refused("invalid_client", str(refused), status=401)
    except ScopeRefusedError as refused:
        return _refused("invalid_scope", str(refused))
    access_token = auth.issue_token(at_hand.keyring, caller=caller, issuer=issuer, now=now, confirmation=confirmation)
    body: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "DPoP" if KEY in confirmation else "Bearer",
        "expires_in": int(auth.TOKEN_LIFETIME.total_seconds()),
    }
    if caller.scopes is not None:
        body["scope"] = " ".join(sorted(caller.scopes))
    return _never_kept(json_response(body))


def _refused(error: str, description: str, *, status: int = 400) -> Response:
    return _never_kept(json_response({"error": error, "error_description": description}, status=status))


def _never_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


DOCUMENTED: dict[str, Any] = {
    TOKEN_PATH: {
        "post": {
            "operationId": "issue_token",
            "tags": ["access"],
            "summary": "Get an access token for a signed assertion (RFC 7523), bound to the key of a DPoP proof.",
            "security": [],
            "parameters": [{"in": "header", "name": "DPoP", "schema": {"type": "string", "maxLength": 4096}}],
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-www-form-urlencoded": {
                        "schema": {
                            "type": "object",
                            "required": ["grant_type", "client_assertion_type", "client_assertion"],
                            "properties": {
                                "grant_type": {"const": "client_credentials"},
                                "client_assertion_type": {"const": ASSERTION_TYPE},
                                "client_assertion": {"type": "string", "maxLength": 8192},
                                "scope": {"type": "string", "maxLength": 1000},
                            },
                        }
                    }
                },
            },
            "responses": {
                "200": {
                    "description": "An access token for ten minutes",
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["access_token", "token_type", "expires_in"],
                                "properties": {
                                    "access_token": {"type": "string"},
                                    "token_type": {"enum": ["Bearer", "DPoP"]},
                                    "expires_in": {"type": "integer"},
                                    "scope": {"type": "string"},
                                },
                            }
                        }
                    },
                },
                **{
                    status: {
                        "description": "Why not (RFC 6749 section 5.2)",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["error"],
                                    "properties": {
                                        "error": {"type": "string"},
                                        "error_description": {"type": "string"},
                                    },
                                }
                            }
                        },
                    }
                    for status in ("400", "401")
                },
                **{
                    status: {
                        "description": text,
                        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                    }
                    for status, text in {
                        "413": "A longer form than is read",
                        "500": "A defect",
                        "503": "Try again",
                    }.items()
                },
            },
        }
    }
}
"""The token endpoint in the contract: a form and OAuth's errors, so no operation like the others."""
