"""Runs and breaks on the wire."""

import marshmallow as ma

from exchange.reconciliation.rules import Kind, Team
from exchange.schemas import Id, OneOf, PageQuery, Schema, Text


class RunShown(ma.Schema):
    """A run: how far it is, and what it found. `digest` is there once it is finished."""

    run_id = Id("rec", required=True)
    business_date = ma.fields.Date(required=True)
    asked_by = ma.fields.String(required=True, metadata={"description": "`schedule`, or a client"})
    asked_at = ma.fields.AwareDateTime(required=True)
    step = ma.fields.Integer(required=True, metadata={"description": "Checks done, of `steps`"})
    steps = ma.fields.Integer(required=True)
    checked = ma.fields.Integer(required=True, metadata={"description": "Things looked at"})
    found = ma.fields.Integer(required=True, metadata={"description": "Breaks there are, old and new"})
    opened = ma.fields.Integer(required=True)
    closed = ma.fields.Integer(required=True, metadata={"description": "Breaks that are gone"})
    parts = ma.fields.Dict(required=True, metadata={"description": "By check: what was looked at and found, with sums"})
    finished_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    digest = ma.fields.String(required=True, allow_none=True)


class RunsShown(ma.Schema):
    """A page of runs."""

    items = ma.fields.List(ma.fields.Nested(RunShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class BreakQuery(PageQuery):
    """Which breaks."""

    state = OneOf("open", "explained", "resolved")
    kind = OneOf(*Kind)
    team = OneOf(*Team)
    subject = Text(100)
    assigned_to = Id("cli")


class BreakShown(ma.Schema):
    """A break: `found` is `difference` more (or less) than `expected`, in minor units of a currency or in pieces."""

    break_id = Id("brk", required=True)
    kind = ma.fields.String(required=True)
    subject = ma.fields.String(required=True)
    holder = ma.fields.String(required=True)
    unit = ma.fields.String(required=True)
    expected = ma.fields.Integer(required=True)
    found = ma.fields.Integer(required=True)
    difference = ma.fields.Integer(required=True)
    detail = ma.fields.Dict(required=True)
    first_seen = ma.fields.Date(required=True)
    last_seen = ma.fields.Date(required=True)
    age_days = ma.fields.Integer(required=True)
    state = ma.fields.String(required=True)
    team = ma.fields.String(required=True)
    assigned_to = ma.fields.String(required=True, allow_none=True)
    resolved_on = ma.fields.Date(required=True, allow_none=True)


class BreaksShown(ma.Schema):
    """A page of breaks."""

    items = ma.fields.List(ma.fields.Nested(BreakShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class BreakFactShown(ma.Schema):
    """Something that happened to a break."""

    number = ma.fields.Integer(required=True)
    fact = ma.fields.String(required=True)
    by = ma.fields.String(required=True, metadata={"description": "A run, or a client"})
    reason = ma.fields.String(required=True, allow_none=True)
    numbers = ma.fields.Dict(required=True)
    recorded_at = ma.fields.AwareDateTime(required=True)


class BreakInFull(BreakShown):
    """A break with all that happened to it."""

    facts = ma.fields.List(ma.fields.Nested(BreakFactShown), required=True)


class BreakDecisionSchema(Schema):
    """Give a break to a team or an operator, explain this very difference, or open an explained one again."""

    decision = OneOf("assign", "explain", "reopen", required=True)
    reason = Text(500, required=True)
    team = OneOf(*Team)
    assigned_to = Id("cli")
