"""The operator's register of parties, and the keys of their clients."""

from typing import Any

from exchange.auth import Role
from exchange.errors import InvalidRequest
from exchange.http import Call, Room
from exchange.parties import actions, clients
from exchange.parties.clients import check_key
from exchange.parties.rules import obligor_faults
from exchange.parties.schemas import (
    ClientCreated,
    ClientKeysShown,
    FunderCreated,
    KeyAdded,
    NewClient,
    NewKey,
    NewObligor,
    NewParty,
    ObligorCreated,
    OriginatorCreated,
    PartnerCreated,
    SignedRequestsShown,
    SubjectQuery,
)
from exchange.parties.signatures import signed_requests

room = Room("parties", __name__, url_prefix="/v1", description="Originators and funders")


@room.operation(
    "/originators", method="POST", roles=[Role.OPERATOR], body=NewParty, result=OriginatorCreated, status=201
)
def create_originator(call: Call) -> dict[str, Any]:
    """Enter an originator and its first client."""
    check_key(call.body["public_jwk"])
    originator_id = actions.register_originator(
        call.session, name=call.body["name"], now=call.now, entropy=call.services.entropy
    )
    return {"originator_id": originator_id, "client_id": _first_client(call, Role.PLATFORM, originator_id)}


@room.operation("/funders", method="POST", roles=[Role.OPERATOR], body=NewParty, result=FunderCreated, status=201)
def create_funder(call: Call) -> dict[str, Any]:
    """Enter a funder and its first client."""
    check_key(call.body["public_jwk"])
    funder_id, deposit_reference = actions.register_funder(
        call.session, name=call.body["name"], now=call.now, entropy=call.services.entropy
    )
    client_id = _first_client(call, Role.FUNDER, funder_id)
    return {"funder_id": funder_id, "client_id": client_id, "deposit_reference": deposit_reference}


@room.operation("/partners", method="POST", roles=[Role.OPERATOR], body=NewParty, result=PartnerCreated, status=201)
def create_partner(call: Call) -> dict[str, Any]:
    """Enter another platform, which may ask and claim by blind marks, and its first client."""
    check_key(call.body["public_jwk"])
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
    check_key(call.body["public_jwk"])
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
    check_key(call.body["public_jwk"])
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


@room.operation("/client-keys", roles=list(Role), result=ClientKeysShown)
def list_client_keys(call: Call) -> dict[str, Any]:
    """The keys your client proves itself with."""
    return {"items": [row._asdict() for row in clients.live_keys(call.session, client_id=call.caller.client_id)]}


@room.operation(
    "/client-keys", method="POST", roles=list(Role), body=NewKey, result=KeyAdded, status=201, idempotent=True
)
def add_client_key(call: Call) -> dict[str, Any]:
    """Enter the next key of your client; both are good until you retire the old one."""
    check_key(call.body["public_jwk"])
    jwk = call.body["public_jwk"]
    return {"thumbprint": clients.add_key(call.session, client_id=call.caller.client_id, public_jwk=jwk, now=call.now)}


@room.operation(
    "/client-keys/<thumbprint>/retirement",
    method="POST",
    roles=list(Role),
    result=KeyAdded,
    status=201,
    idempotent=True,
)
def retire_client_key(call: Call, thumbprint: str) -> dict[str, Any]:
    """End a key of your client that is not its last."""
    clients.retire_key(call.session, client_id=call.caller.client_id, thumbprint=thumbprint, now=call.now)
    return {"thumbprint": thumbprint}


@room.operation(
    "/signed-requests",
    roles=[Role.FUNDER, Role.OPERATOR, Role.AUDITOR],
    query=SubjectQuery,
    result=SignedRequestsShown,
)
def list_signed_requests(call: Call) -> dict[str, Any]:
    """What was signed (RFC 9421) about an offer or another thing, for whoever wants to verify it again."""
    party_id = call.caller.party_id
    return {"items": signed_requests(call.session, party_id=party_id, subject=call.query["subject"])}


@room.operation(
    "/clients/<client_id>/revocation",
    method="POST",
    roles=[Role.OPERATOR],
    result=ClientCreated,
    status=201,
    idempotent=True,
)
def revoke_client(call: Call, client_id: str) -> dict[str, Any]:
    """Give a client no more tokens, for good; the one it has ends within ten minutes."""
    clients.revoke(call.session, client_id=client_id, now=call.now)
    return {"client_id": client_id}


def _first_client(call: Call, role: Role, party_id: str) -> str:
    """The new party's client, which has the key of the body."""
    return clients.register_client(
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
