"""What the operator sees on the wire."""

import marshmallow as ma

from exchange.schemas import Moment, OneOf, Schema


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
