"""What the operator sees on the wire."""

import marshmallow as ma

from exchange.schemas import Moment, OneOf, Schema, Text


class ClockSchema(Schema):
    """Where to move the virtual clock."""

    now = Moment(required=True)


class Pending(ma.Schema):
    """How much is not finished, by kind."""

    work = ma.fields.Integer(required=True)
    unsealed = ma.fields.Integer(required=True)
    unpublished = ma.fields.Integer(required=True)
    undelivered = ma.fields.Integer(required=True)


class ClockQuery(Schema):
    """What a caller that sends `Prefer: wait` waits for."""

    until = OneOf("idle", "quiet", load_default="quiet")


class ClockShown(ma.Schema):
    """The exchange's time. `idle`: every schedule up to now has fired, all work is done; `quiet`: and all is told."""

    now = ma.fields.AwareDateTime(required=True)
    virtual = ma.fields.Boolean(required=True)
    idle = ma.fields.Boolean(required=True)
    quiet = ma.fields.Boolean(required=True)
    pending = ma.fields.Nested(Pending, required=True)


class BookBreak(ma.Schema):
    """Where the books do not add up."""

    kind = ma.fields.String(required=True)
    where = ma.fields.String(required=True)
    expected = ma.fields.String(required=True)
    found = ma.fields.String(required=True)


class LogFinding(ma.Schema):
    """Where the log is not what it was."""

    kind = ma.fields.String(required=True)
    where = ma.fields.String(required=True)
    detail = ma.fields.String(required=True)


class ChecksShown(ma.Schema):
    """What the checkers found; two empty lists are a clean exchange."""

    books = ma.fields.List(ma.fields.Nested(BookBreak), required=True)
    log = ma.fields.List(ma.fields.Nested(LogFinding), required=True)


class WorkerShown(ma.Schema):
    """A worker process."""

    worker = ma.fields.String(required=True, metadata={"description": "Host and process"})
    started_at = ma.fields.AwareDateTime(required=True)
    seen_at = ma.fields.AwareDateTime(required=True)


class WorkersShown(ma.Schema):
    """The workers of the last day."""

    items = ma.fields.List(ma.fields.Nested(WorkerShown), required=True)


class WorkShown(ma.Schema):
    """A piece of work that fails."""

    work_id = ma.fields.Integer(required=True)
    job = ma.fields.String(required=True)
    payload = ma.fields.Dict(required=True)
    attempts = ma.fields.Integer(required=True)
    due_at = ma.fields.AwareDateTime(required=True, metadata={"description": "When it is tried again"})
    last_error = ma.fields.String(required=True, allow_none=True)
    set_aside = ma.fields.Boolean(
        required=True, metadata={"description": "Workers die of it: it waits for somebody to retry or discard it"}
    )


class FailingWork(ma.Schema):
    """A page of work that fails."""

    items = ma.fields.List(ma.fields.Nested(WorkShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class WorkDecisionSchema(Schema):
    """What to do with work that fails."""

    decision = OneOf("retry", "discard", required=True)
    reason = Text(500, required=True)


class WorkDecided(ma.Schema):
    """What was decided."""

    work_id = ma.fields.Integer(required=True)
    decision = ma.fields.String(required=True)
