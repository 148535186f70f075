"""A funder says where it receives, and reads its stream."""

from typing import Any

import marshmallow as ma
import msgspec

from exchange.auth import Role
from exchange.callbacks import actions, queries, rules
from exchange.clock import system_now
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.paging import DEFAULT_LIMIT, MAX_LIMIT
from exchange.schemas import MAX_MINOR, QueryInteger, Schema, Text

room = Room("callbacks", __name__, url_prefix="/v1", description="Signed callbacks, and the stream they come from")


class EndpointBody(Schema):
    """Where to send callbacks."""

    url = Text(500, required=True, metadata={"example": "https://funder.example/callbacks"})


class EndpointSecret(Schema):
    """What a receiver verifies callbacks with (Standard Webhooks)."""

    url = ma.fields.String(required=True)
    secret = ma.fields.String(required=True, metadata={"description": "whsec_: for `v1` signatures; shown only here"})
    public_key = ma.fields.String(required=True, metadata={"description": "whpk_: for `v1a` signatures"})


class EndpointState(Schema):
    """An endpoint and how far its stream has come."""

    url = ma.fields.String(required=True)
    public_key = ma.fields.String(required=True)
    created_at = ma.fields.AwareDateTime(required=True)
    failing_since = ma.fields.AwareDateTime(required=True, allow_none=True)
    disabled_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    disabled_reason = ma.fields.String(required=True, allow_none=True)
    last_sequence = ma.fields.Integer(required=True)
    undelivered = ma.fields.Integer(required=True)


class FeedQuery(Schema):
    """Which part of the stream."""

    after = QueryInteger(
        0, MAX_MINOR, load_default=0, metadata={"description": "The sequence of the last event you have"}
    )
    limit = QueryInteger(1, MAX_LIMIT, load_default=DEFAULT_LIMIT)


class Event(Schema):
    """One event, byte for byte as it is pushed: canonical JSON (RFC 8785)."""

    type = ma.fields.String(required=True)
    timestamp = ma.fields.AwareDateTime(required=True)
    data = ma.fields.Dict(required=True)
    sequence = ma.fields.Integer(required=True)
    prev = ma.fields.String(required=True, allow_none=True, metadata={"description": "SHA-256 of the event before"})
    log_index = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "Entry in the public log"})


class Feed(Schema):
    """A part of the stream; `next` is the `after` of the next part, null at the end."""

    items = ma.fields.List(ma.fields.Nested(Event), required=True)
    next = ma.fields.Integer(required=True, allow_none=True)


@room.operation("/callback-endpoint", method="PUT", roles=[Role.FUNDER], body=EndpointBody, result=EndpointSecret)
def put_callback_endpoint(call: Call) -> dict[str, Any]:
    """Receive callbacks at a URL from now on, and everything not delivered yet."""
    secret = actions.put_endpoint(
        call.session,
        funder_id=_funder_id(call),
        url=call.body["url"],
        networks=call.services.settings.callback_networks,
        keyring=call.services.keyring,
        entropy=call.services.entropy,
        now=call.now,
        machine_now=system_now(),
    )
    return {"url": call.body["url"], "secret": secret, "public_key": _public_key(call)}


@room.operation("/callback-endpoint", roles=[Role.FUNDER], result=EndpointState)
def get_callback_endpoint(call: Call) -> dict[str, Any]:
    """Look at your endpoint: whether it works, and how far your stream has come."""
    view = queries.endpoint(call.session, funder_id=_funder_id(call))
    if view is None:
        raise NotFound("You have no callback endpoint: make one with PUT.")
    return {"public_key": _public_key(call), **msgspec.to_builtins(view)}


@room.operation("/events", roles=[Role.FUNDER], query=FeedQuery, result=Feed)
def get_events(call: Call) -> dict[str, Any]:
    """Read your stream: the same bytes as by callback, whether they arrived or not."""
    limit = call.query["limit"]
    items = queries.feed(call.session, funder_id=_funder_id(call), after=call.query["after"], limit=limit)
    more = items[-1].sequence if len(items) == limit else None
    return {"items": [msgspec.Raw(item.body) for item in items], "next": more}


def _public_key(call: Call) -> str:
    return rules.public_key_text(call.services.keyring.callback_key)


def _funder_id(call: Call) -> str:
    if call.caller.party_id is None:  # pragma: no cover - the database allows no funder's client without its funder
        raise NotFound("Your client belongs to no funder.")
    return call.caller.party_id
