"""The wire of callbacks, streams and settlements."""

import marshmallow as ma

from exchange.bulk import ItemResult
from exchange.callbacks.events import DATA
from exchange.paging import DEFAULT_LIMIT, MAX_LIMIT
from exchange.schemas import MAX_MINOR, Boolean, Integer, Moment, OneOf, PageQuery, QueryInteger, Schema, Text


class EndpointBody(Schema):
    """Where to send callbacks, and how."""

    url = Text(500, required=True, metadata={"example": "https://funder.example/callbacks"})
    heartbeat_seconds = Integer(
        10,
        86_400,
        allow_none=True,
        metadata={"description": "So often the last sequence is sent; null: never. 300 unless told"},
    )
    per_minute = Integer(1, 1_000_000, allow_none=True, metadata={"description": "At most"})
    ordered = Boolean(metadata={"description": "Nothing of an asset while something before it waits"})


class EndpointSecret(Schema):
    """What a receiver verifies callbacks with (Standard Webhooks)."""

    url = ma.fields.String(required=True)
    secret = ma.fields.String(required=True, metadata={"description": "whsec_: for `v1` signatures; shown only here"})
    public_key = ma.fields.String(required=True, metadata={"description": "whpk_: for `v1a` signatures"})


class Statistics(Schema):
    """The attempts of the last 24 hours."""

    attempts = ma.fields.Integer(required=True)
    delivered = ma.fields.Integer(required=True)
    failed = ma.fields.Integer(required=True)
    median_milliseconds = ma.fields.Integer(required=True, allow_none=True)
    p99_milliseconds = ma.fields.Integer(required=True, allow_none=True)


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
    held = ma.fields.Integer(required=True, metadata={"description": "Events that wait for the endpoint to be enabled"})
    heartbeat_seconds = ma.fields.Integer(required=True, allow_none=True)
    per_minute = ma.fields.Integer(required=True, allow_none=True)
    ordered = ma.fields.Boolean(required=True)
    statistics = ma.fields.Nested(Statistics, required=True)


class SwitchBody(Schema):
    """Whether callbacks are sent, or held."""

    enabled = Boolean(required=True)


class Switched(Schema):
    """Whether callbacks are sent."""

    enabled = ma.fields.Boolean(required=True)


class RotatedSecret(Schema):
    """A new secret; until then what is sent is signed under the one before, too."""

    secret = ma.fields.String(required=True, metadata={"description": "whsec_: shown only here"})
    previous_until = ma.fields.AwareDateTime(required=True)


class EventRecoveryBody(Schema):
    """From when to when (by the events' own timestamps), both included."""

    since = Moment(required=True)
    until = Moment(required=True)


class EventsRecovered(Schema):
    """How many events are sent again."""

    events = ma.fields.Integer(required=True)


class Resent(Schema):
    """The event that is sent again."""

    sequence = ma.fields.Integer(required=True)


class ExampleBody(Schema):
    """Of which type."""

    type = OneOf(*sorted(DATA), required=True)


class ExampleAsked(Schema):
    """The example that is sent."""

    type = ma.fields.String(required=True)


class Attempted(Schema):
    """One request to the endpoint."""

    attempt_id = ma.fields.Integer(required=True)
    event_id = ma.fields.String(required=True)
    sequence = ma.fields.Integer(required=True, allow_none=True)
    at = ma.fields.AwareDateTime(required=True)
    milliseconds = ma.fields.Integer(required=True)
    status = ma.fields.Integer(required=True, allow_none=True)
    error = ma.fields.String(required=True, allow_none=True)


class AttemptQuery(PageQuery):
    """Which attempts."""

    sequence = QueryInteger(1, MAX_MINOR, metadata={"description": "Those of one event"})


class AttemptPage(Schema):
    """A page of attempts, the newest first."""

    items = ma.fields.List(ma.fields.Nested(Attempted), required=True)
    next = ma.fields.String(required=True, allow_none=True)


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


class SettlementAnswerSchema(Schema):
    """A funder's word on one settlement event."""

    sequence = Integer(1, MAX_MINOR, required=True)
    answer = OneOf("acknowledged", "disputed", required=True)
    reason = Text(500, metadata={"description": "Of who disputes"})


class SettlementAnswersSchema(Schema):
    """Up to 1,000 answers."""

    items = ma.fields.List(
        ma.fields.Nested(SettlementAnswerSchema), required=True, validate=ma.validate.Length(1, 1000)
    )


class SettlementAnswerResults(Schema):
    """One result for each answer, in order."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)


class Settled(Schema):
    """A settlement event and what its funder said of it."""

    funder_id = ma.fields.String(required=True)
    sequence = ma.fields.Integer(required=True)
    event_id = ma.fields.String(required=True)
    type = ma.fields.String(required=True)
    log_index = ma.fields.Integer(required=True, allow_none=True)
    transfer_id = ma.fields.Integer(required=True, allow_none=True)
    business_date = ma.fields.Date(required=True)
    recorded_at = ma.fields.AwareDateTime(required=True)
    answer = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True, allow_none=True)
    answered_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    age_days = ma.fields.Integer(required=True)


class SettledQuery(PageQuery):
    """Which settlement events."""

    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(["open", "acknowledged", "disputed"]))


class UnansweredQuery(PageQuery):
    """How long is too long."""

    days = QueryInteger(0, 3650, load_default=3, metadata={"description": "Open for longer than so many days"})


class SettledPage(Schema):
    """A page of settlement events, the oldest first."""

    items = ma.fields.List(ma.fields.Nested(Settled), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class DayQuery(Schema):
    """In which form."""

    format = ma.fields.String(load_default="ndjson", validate=ma.validate.OneOf(["ndjson", "csv"]))
