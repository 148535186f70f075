"""What reports look like on the wire."""

import marshmallow as ma

from exchange.schemas import Id, IsoDate, Moment, Schema, Text


class AssetShown(ma.Schema):
    """An asset in all its lifecycles: title, claim, performance. A funder sees who owes it once it holds it."""

    asset_id = Id("ast", required=True)
    originator_id = Id("org", required=True)
    state = ma.fields.String(required=True)
    product = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    face_minor = ma.fields.Integer(required=True)
    outstanding_minor = ma.fields.Integer(required=True, allow_none=True)
    issue_date = ma.fields.Date(required=True)
    due_date = ma.fields.Date(required=True)
    recourse = ma.fields.String(required=True)
    confirmation = ma.fields.String(required=True, allow_none=True)
    confirmation_grade = ma.fields.String(required=True, allow_none=True)
    grade = ma.fields.String(required=True, allow_none=True)
    pd_ppm = ma.fields.Integer(required=True, allow_none=True)
    late_ppm = ma.fields.Integer(required=True, allow_none=True)
    expected_loss_ppm = ma.fields.Integer(required=True, allow_none=True)
    reasons = ma.fields.List(ma.fields.String(), required=True, allow_none=True)
    model_version = ma.fields.String(required=True, allow_none=True)
    claim = ma.fields.String(required=True, allow_none=True)
    pool_id = Id("pol", required=True, allow_none=True)
    holder = Id("fnd", required=True, allow_none=True)
    performance = ma.fields.String(required=True, allow_none=True)


class AssetsShown(ma.Schema):
    """A page of assets."""

    items = ma.fields.List(ma.fields.Nested(AssetShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class InstalmentOwed(ma.Schema):
    """An instalment, and what of it is open: what was paid counts for the oldest."""

    number = ma.fields.Integer(required=True)
    due_date = ma.fields.Date(required=True)
    amount_minor = ma.fields.Integer(required=True)
    open_minor = ma.fields.Integer(required=True)


class ScheduleShown(ma.Schema):
    """What of an asset falls due when. What is due all at once is one instalment.

    `version` counts how often it was scheduled anew, from 1; `average_due_date` is weighted by what was owed, rounded
    down to a day.
    """

    asset_id = Id("ast", required=True)
    version = ma.fields.Integer(required=True)
    average_due_date = ma.fields.Date(required=True)
    instalments = ma.fields.List(ma.fields.Nested(InstalmentOwed), required=True)


class SignedRecord(ma.Schema):
    """One link of an asset's chain: a JWS, the disclosures the caller may see, and its place in the log."""

    sequence = ma.fields.Integer(required=True)
    kind = ma.fields.String(required=True)
    jws = ma.fields.String(required=True)
    disclosures = ma.fields.List(ma.fields.String(), required=True)
    log_index = ma.fields.Integer(required=True)


class ChainShown(ma.Schema):
    """An asset's signed life so far."""

    items = ma.fields.List(ma.fields.Nested(SignedRecord), required=True)


class Position(ma.Schema):
    """What a funder holds in one pool: `due_minor` is price and discount less what was collected."""

    currency = ma.fields.String(required=True)
    pool_id = Id("pol", required=True)
    mandate_id = Id("mdt", required=True)
    asset_count = ma.fields.Integer(required=True)
    outstanding_minor = ma.fields.Integer(required=True)
    price_minor = ma.fields.Integer(required=True)
    due_minor = ma.fields.Integer(required=True)


class PositionsShown(ma.Schema):
    """What a funder holds now."""

    items = ma.fields.List(ma.fields.Nested(Position), required=True)


class ReportQuery(Schema):
    """As of the end of which day (today), as it was known at which moment (now)."""

    as_of = IsoDate()
    known_at = Moment()


class TapeQuery(ReportQuery):
    """`identifier` is the securitisation's (CRPL1); without it your own id stands for it."""

    identifier = Text(28)


class StatementQuery(Schema):
    """The first and the last day (today), as it was known at which moment (now)."""

    from_date = IsoDate(required=True)
    to_date = IsoDate()
    known_at = Moment()


class SummaryShown(ma.Schema):
    """What the exchange comes to; amounts by currency, all integers."""

    assets = ma.fields.Dict(required=True)
    grades = ma.fields.Dict(required=True)
    volume = ma.fields.Dict(required=True)
    financed_share_bps = ma.fields.Dict(required=True)
    yields = ma.fields.Dict(required=True)
    lateness = ma.fields.Dict(required=True)
    losses = ma.fields.Dict(required=True)
    dilution = ma.fields.Dict(required=True)
    unapplied = ma.fields.Dict(required=True)
    calibration = ma.fields.Dict(required=True)
    callbacks = ma.fields.Dict(required=True)
    log = ma.fields.Dict(required=True)
