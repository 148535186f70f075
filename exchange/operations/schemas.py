"""What the operator sees on the wire."""

import marshmallow as ma

from exchange.parties.privacy import PURPOSES
from exchange.schemas import Id, Moment, OneOf, PageQuery, Schema, Text


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


class ControllerShown(ma.Schema):
    """A person who controls companies. `kept`: a national id is here, sealed; nobody is shown it without a reason."""

    controller_id = Id("ctl", required=True)
    companies = ma.fields.List(ma.fields.String(), required=True)
    kept = ma.fields.Boolean(required=True)
    erased_at = ma.fields.AwareDateTime(required=True, allow_none=True)


class AccessBody(Schema):
    """What the national id is needed for."""

    purpose = OneOf(*PURPOSES, required=True)
    reason = Text(300, required=True, metadata={"description": "Such as the number of the case"})


class NationalIdShown(ma.Schema):
    """A national id in the clear, and the number under which it is noted that you saw it."""

    access_id = ma.fields.Integer(required=True)
    controller_id = Id("ctl", required=True)
    national_id = ma.fields.String(required=True)


class PersonalAccessQuery(PageQuery):
    """Whose data, seen by whom."""

    subject = Text(60, metadata={"description": "A controller or a case"})
    client_id = Id("cli")


class PersonalAccessShown(ma.Schema):
    """Somebody was shown personal data."""

    access_id = ma.fields.Integer(required=True)
    subject = ma.fields.String(required=True)
    field = ma.fields.String(required=True)
    purpose = ma.fields.String(required=True)
    reason = ma.fields.String(required=True, allow_none=True)
    client_id = Id("cli", required=True)
    role = ma.fields.String(required=True)
    accessed_at = ma.fields.AwareDateTime(required=True)


class PersonalAccessesShown(ma.Schema):
    """A page of accesses."""

    items = ma.fields.List(ma.fields.Nested(PersonalAccessShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class ErasureBody(Schema):
    """Why a person is to be erased."""

    reason = Text(300, required=True)


class ErasureDecision(Schema):
    """What another client decides."""

    decision = OneOf("approved", "declined", required=True)


class ErasureQuery(PageQuery):
    """Requests in a state."""

    state = OneOf("open", "approved", "declined")


class ErasureShown(ma.Schema):
    """A request to erase a person, and what came of it."""

    erasure_id = Id("ers", required=True)
    controller_id = Id("ctl", required=True)
    reason = ma.fields.String(required=True)
    asked_by = Id("cli", required=True)
    asked_at = ma.fields.AwareDateTime(required=True)
    decision = ma.fields.String(required=True, allow_none=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = ma.fields.AwareDateTime(required=True, allow_none=True)


class ErasuresShown(ma.Schema):
    """A page of requests."""

    items = ma.fields.List(ma.fields.Nested(ErasureShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)
