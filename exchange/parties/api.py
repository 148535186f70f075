"""Access tokens, and the operator's register of parties."""

from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from exchange import auth
from exchange.auth import Role
from exchange.clock import system_now
from exchange.errors import Fault, InvalidRequest
from exchange.http import Call, Room, json_response, services
from exchange.parties import actions
from exchange.parties.assertion import AssertionRefusedError, authenticate, bare_key
from exchange.parties.rules import obligor_faults
from exchange.parties.schemas import (
    ClientCreated,
    FunderCreated,
    NewClient,
    NewObligor,
    NewParty,
    ObligorCreated,
    OriginatorCreated,
    PartnerCreated,
)
from ledger.keys import KeyRefused, public_key_from_jwk

public = Blueprint("oauth", __name__)
room = Room("parties", __name__, url_prefix="/v1", description="Originators and funders")

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@public.post("/oauth/token")
def token() -> Response:
    """Client credentials with a signed assertion (RFC 6749 4.4, RFC 7523): an access token for ten minutes."""
    if request.form.get("grant_type") != "client_credentials":
        return _oauth_error("unsupported_grant_type", "use grant_type=client_credentials", 400)
    if request.form.get("client_assertion_type") != ASSERTION_TYPE:
        return _oauth_error("invalid_client", f"use client_assertion_type={ASSERTION_TYPE}", 401)
    at_hand, now = services(), system_now()
    issuer, presented = at_hand.settings.issuer, request.form.get("client_assertion", "")
    try:
        caller = at_hand.database.run(partial(authenticate, assertion=presented, issuer=issuer, now=now))
    except AssertionRefusedError as refused:
        return _oauth_error("invalid_client", str(refused), 401)
    access_token = auth.issue_token(at_hand.keyring, caller=caller, issuer=issuer, now=now)
    body = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": int(auth.TOKEN_LIFETIME.total_seconds()),
    }
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response


@room.operation(
    "/originators", method="POST", roles=[Role.OPERATOR], body=NewParty, result=OriginatorCreated, status=201
)
def create_originator(call: Call) -> dict[str, Any]:
    """Enter an originator and its first client."""
    _check_key(call.body["public_jwk"])
    originator_id = actions.register_originator(
        call.session, name=call.body["name"], now=call.now, entropy=call.services.entropy
    )
    return {"originator_id": originator_id, "client_id": _first_client(call, Role.PLATFORM, originator_id)}


@room.operation("/funders", method="POST", roles=[Role.OPERATOR], body=NewParty, result=FunderCreated, status=201)
def create_funder(call: Call) -> dict[str, Any]:
    """Enter a funder and its first client."""
    _check_key(call.body["public_jwk"])
    funder_id, deposit_reference = actions.register_funder(
        call.session, name=call.body["name"], now=call.now, entropy=call.services.entropy
    )
    client_id = _first_client(call, Role.FUNDER, funder_id)
    return {"funder_id": funder_id, "client_id": client_id, "deposit_reference": deposit_reference}


@room.operation("/partners", method="POST", roles=[Role.OPERATOR], body=NewParty, result=PartnerCreated, status=201)
def create_partner(call: Call) -> dict[str, Any]:
    """Enter another platform, which may ask and claim by blind marks, and its first client."""
    _check_key(call.body["public_jwk"])
    partner_id = actions.register_partner(
        call.session, name=call.body["name"], now=call.now, entropy=call.services.entropy
    )
    return {"partner_id": partner_id, "client_id": _first_client(call, Role.PARTNER, partner_id)}


@room.operation(
    "/originators/<originator_id>/clients",
    method="POST",
    roles=[Role.OPERATOR],
    body=NewClient,
    result=ClientCreated,
    status=201,
)
def create_originator_client(call: Call, originator_id: str) -> dict[str, Any]:
    """Enter one more client of an originator, such as the second pair of eyes."""
    _check_key(call.body["public_jwk"])
    client_id = actions.add_client(
        call.session,
        originator_id=originator_id,
        public_jwk=call.body["public_jwk"],
        now=call.now,
        entropy=call.services.entropy,
    )
    return {"client_id": client_id}


@room.operation("/obligors", method="POST", roles=[Role.OPERATOR], body=NewObligor, result=ObligorCreated, status=201)
def create_obligor(call: Call) -> dict[str, Any]:
    """Enter a client with which an obligor answers for itself."""
    _check_key(call.body["public_jwk"])
    company_id, client_id = actions.register_obligor(
        call.session,
        company=_company(call.body),
        name=call.body.get("name"),
        public_jwk=call.body["public_jwk"],
        keyring=call.services.keyring,
        now=call.now,
        entropy=call.services.entropy,
    )
    return {"company_id": company_id, "client_id": client_id}


def _first_client(call: Call, role: Role, party_id: str) -> str:
    """The new party's client, which has the key of the body."""
    return actions.register_client(
        call.session,
        role=role,
        party_id=party_id,
        public_jwk=call.body["public_jwk"],
        now=call.now,
        entropy=call.services.entropy,
    )


def _company(body: dict[str, Any]) -> actions.CompanyKey:
    """The company's name in the register (`InvalidRequest` when it cannot be one)."""
    faults = obligor_faults(body["scheme"], body["value"], originator_id=body.get("originator_id"))
    if faults:
        raise InvalidRequest("The company cannot be entered.", faults=tuple(faults))
    return actions.CompanyKey(body["scheme"], body.get("originator_id", ""), body["value"])


def _check_key(public_jwk: dict[str, str]) -> None:
    try:
        public_key_from_jwk(bare_key(public_jwk))
    except KeyRefused as error:
        fault = Fault(error.code, "/public_jwk/x", str(error), public_jwk["x"])
        raise InvalidRequest("The public key cannot be used.", faults=(fault,)) from None


def _oauth_error(error: str, description: str, status: int) -> Response:
    response = json_response({"error": error, "error_description": description}, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
