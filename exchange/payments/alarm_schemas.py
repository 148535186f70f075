"""What advices and alarms look like on the wire."""

from datetime import date
from typing import Annotated

import marshmallow as ma
from msgspec import Meta, Struct

from exchange.bulk import ItemResult
from exchange.ids import PATTERN
from exchange.receivables.schemas import AssetId, Minor, Words
from exchange.schemas import MAX_MINOR, Id, Integer, IsoDate, List, Nested, OneOf, PageQuery, Schema, Text

KINDS = ("missing_receipt", "wrong_account", "late_share")
STATES = ("raised", "acknowledged", "cleared")
ACCOUNT = "[0-9A-Za-z][0-9A-Za-z ./-]{0,63}"

AlarmId = Annotated[str, Meta(pattern=PATTERN.format(prefix="alm")[:-1] + r"\Z")]
AccountNumber = Annotated[str, Meta(pattern=f"^{ACCOUNT}\\Z")]


class AdviceItem(Struct, forbid_unknown_fields=True, frozen=True):
    """Somebody paid."""

    asset_id: AssetId
    amount_minor: Minor
    paid_date: date
    account: AccountNumber


class AlarmAcknowledgementItem(Struct, forbid_unknown_fields=True, frozen=True):
    """Somebody looks into an alarm."""

    alarm_id: AlarmId
    reason: Words


class AdviceSchema(Schema):
    """What was paid on an asset, when, and to which account."""

    asset_id = Id("ast", required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)
    paid_date = IsoDate(required=True)
    account = Text(64, pattern=ACCOUNT, required=True)


class AdvicesSchema(Schema):
    """Up to 1,000 advices, each judged by itself."""

    items = List(Nested(AdviceSchema), 1, 1000, required=True)


class AdviceResults(ma.Schema):
    """One result for each item, in the same order. 201: kept; 404, 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)


class AlarmAcknowledgementSchema(Schema):
    """Why an alarm is known and no worse than it is."""

    alarm_id = Id("alm", required=True)
    reason = Text(200, required=True)


class AlarmAcknowledgementsSchema(Schema):
    """Up to 1,000 acknowledgements, each judged by itself."""

    items = List(Nested(AlarmAcknowledgementSchema), 1, 1000, required=True)


class AlarmAcknowledgementResults(ma.Schema):
    """One result for each item, in the same order. 201: noted; 404, 409: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)


class AlarmQuery(PageQuery):
    """Which alarms."""

    state = OneOf(*STATES)


class AlarmShown(ma.Schema):
    """An alarm: about an advice, or about an originator. The money itself clears it; somebody may acknowledge it."""

    alarm_id = Id("alm", required=True)
    kind = OneOf(*KINDS, required=True)
    state = OneOf(*STATES, required=True)
    originator_id = Id("org", required=True)
    advice_id = Id("adv", required=True, allow_none=True)
    asset_id = Id("ast", required=True, allow_none=True)
    raised_on = ma.fields.Date(required=True)
    numbers = ma.fields.Dict(required=True)
    acknowledged_by = ma.fields.String(required=True, allow_none=True)
    acknowledged_at = ma.fields.DateTime(required=True, allow_none=True)
    acknowledged_reason = ma.fields.String(required=True, allow_none=True)
    cleared_at = ma.fields.DateTime(required=True, allow_none=True)


class AlarmPage(ma.Schema):
    """A page of alarms."""

    items = ma.fields.List(ma.fields.Nested(AlarmShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)
