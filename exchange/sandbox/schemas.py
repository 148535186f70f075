"""What sandboxes look like on the wire."""

from typing import Any

import marshmallow as ma

from exchange.callbacks.rules import EVENT_TYPES
from exchange.parties.schemas import PublicJwk
from exchange.sandbox.rules import KINDS, MAX_SEED, MOST_ASSETS, MOST_DAYS, MOST_SCENARIOS
from exchange.schemas import Id, Integer, IsoDate, List, Moment, Nested, OneOf, Schema, Text

STATES = ("making", "open", "resetting", "ending", "ended")


def _fields() -> dict[str, Any]:
    """A field for each parameter of any kind."""
    words: dict[str, list[str]] = {}
    bounds: dict[str, list[int]] = {}
    for known in KINDS.values():
        for name, one in known.items():
            (words.setdefault(name, []).extend if one.words else bounds.setdefault(name, []).extend)(
                one.words or (one.low, one.high)  # type: ignore[arg-type]  # words are words, bounds are numbers
            )
    texts = {name: OneOf(*dict.fromkeys(found)) for name, found in words.items()}
    return texts | {name: Integer(min(found), max(found)) for name, found in bounds.items()}


class NewSandbox(Schema):
    """A sandbox begins at nine in the morning of `start_date`, else of the exchange's business date.

    The same `seed` gives the same invoices. Its client has `public_jwk`, or the keys that yours has here.
    """

    name = Text(200, required=True)
    start_date = IsoDate()
    seed = Integer(0, MAX_SEED)
    public_jwk = Nested(PublicJwk)


class SandboxShown(ma.Schema):
    """A sandbox. Its API is at `issuer`, which is what client assertions are for and tokens are by.

    `now` is its own time; while its clock moves, `until` is where to. `trouble` is what keeps it from going on.
    """

    sandbox_id = Id("sbx", required=True)
    name = ma.fields.String(required=True)
    seed = ma.fields.Integer(required=True)
    start_date = ma.fields.Date(required=True)
    state = OneOf(*STATES, required=True)
    issuer = ma.fields.String(required=True)
    client_id = ma.fields.String(required=True, allow_none=True)
    funder_id = ma.fields.String(required=True, allow_none=True)
    deposit_reference = ma.fields.String(required=True, allow_none=True)
    now = ma.fields.AwareDateTime(required=True, allow_none=True)
    until = ma.fields.AwareDateTime(required=True, allow_none=True)
    stopped_by = ma.fields.String(required=True, allow_none=True)
    trouble = ma.fields.String(required=True, allow_none=True)
    created_at = ma.fields.AwareDateTime(required=True)


class SandboxPage(ma.Schema):
    """A page of sandboxes."""

    items = ma.fields.List(ma.fields.Nested(SandboxShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class Advance(Schema):
    """So many `days`, to the same time of day, or `until` a moment; no further than an event of a type in `stop_at`."""

    days = Integer(1, MOST_DAYS)
    until = Moment()
    stop_at = List(OneOf(*sorted(EVENT_TYPES)), 0, 20)


ScenarioParameters = type(
    "ScenarioParameters",
    (Schema,),
    {"__doc__": "What a scenario is about; each kind has some of these.", **_fields()},
)


class NewScenario(Schema):
    """Something to happen. What is left out of `parameters` is as usual, a face what the seed draws."""

    kind = OneOf(*KINDS, required=True)
    parameters = Nested(ScenarioParameters)


class ScenarioAsset(ma.Schema):
    """An asset that the scenario began with, as it was graded; without an id it was refused."""

    asset_id = Id("ast", required=True, allow_none=True)
    grade = ma.fields.String(required=True, allow_none=True)
    pd_ppm = ma.fields.Integer(required=True, allow_none=True)
    face_minor = ma.fields.Integer(required=True, allow_none=True)
    due_date = ma.fields.Date(required=True, allow_none=True)


class ScenarioShown(ma.Schema):
    """A scenario; one that waits has no assets yet."""

    number = Integer(1, MOST_SCENARIOS, required=True)
    kind = OneOf(*KINDS, required=True)
    state = OneOf("waiting", "begun", required=True)
    parameters = ma.fields.Nested(ScenarioParameters, required=True)
    begun_on = ma.fields.Date(required=True, allow_none=True)
    assets = ma.fields.List(ma.fields.Nested(ScenarioAsset), required=True, validate=ma.validate.Length(0, MOST_ASSETS))


class ScenarioPage(ma.Schema):
    """A page of scenarios."""

    items = ma.fields.List(ma.fields.Nested(ScenarioShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class DayShown(ma.Schema):
    """What a day brought: your events by type, what the others did, and what of that was refused, by code."""

    day = IsoDate(required=True)
    events = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)
    deeds = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)
    refused = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)


class DayPage(ma.Schema):
    """A page of days."""

    items = ma.fields.List(ma.fields.Nested(DayShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)
