"""What rounds look like on the wire."""

import marshmallow as ma

from exchange.pools.schemas import TermsSchema
from exchange.schemas import Id, IsoDate, OneOf, PageQuery, Schema, Text

DIGITS = "[0-9]{1,40}"


class RoundAsked(ma.Schema):
    """The round that was entered."""

    round_id = Id("rnd", required=True)
    state = ma.fields.String(required=True)


class RoundQuery(PageQuery):
    """Which rounds."""

    state = OneOf("waiting", "open", "solved", "done")


class CurrencyQuery(Schema):
    """Which currency of a round."""

    currency = Text(3, pattern="[A-Z]{3}", required=True)


class SolverStep(ma.Schema):
    """How far the solver is: `done` of `of` (0: not known) in this step."""

    step = ma.fields.String(required=True)
    done = ma.fields.Integer(required=True)
    of = ma.fields.Integer(required=True)


class ClearingShown(ma.Schema):
    """One currency of a round. `outcome`: placed, nothing_placed, nothing_fits, no_mandates, no_assets, or solving.

    Value and bound are decimals: minor units times basis points times days. No placement is worth more than the bound.
    An answer is `complete` but where a small market's search was at its count of steps before it was at an end.
    """

    currency = ma.fields.String(required=True)
    outcome = ma.fields.String(required=True)
    asset_count = ma.fields.Integer(required=True)
    mandate_count = ma.fields.Integer(required=True)
    eligible_count = ma.fields.Integer(required=True, allow_none=True)
    placed_count = ma.fields.Integer(required=True)
    placed_minor = ma.fields.Integer(required=True)
    inputs_digest = ma.fields.String(required=True)
    head_digest = ma.fields.String(required=True, allow_none=True)
    value = ma.fields.String(required=True, allow_none=True)
    bound = ma.fields.String(required=True, allow_none=True)
    complete = ma.fields.Boolean(required=True, allow_none=True)
    progress = ma.fields.Nested(SolverStep, required=True, allow_none=True)


class DroppedShown(ma.Schema):
    """What the answer gave to a mandate and could not be done any more, and why."""

    asset_id = Id("ast", required=True)
    mandate_id = Id("mdt", required=True)
    amount_minor = ma.fields.Integer(required=True)
    code = ma.fields.String(required=True)


class RoundShown(ma.Schema):
    """A round, as far as it concerns the caller: of a funder, `matched` counts what is its own."""

    round_id = Id("rnd", required=True)
    cut_off_at = ma.fields.AwareDateTime(required=True)
    state = ma.fields.String(required=True)
    asked_by = ma.fields.String(required=True, allow_none=True)
    seed = ma.fields.String(required=True)
    finished_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    asset_count = ma.fields.Integer(required=True, allow_none=True)
    matched_count = ma.fields.Integer(required=True)
    matched_face = ma.fields.Dict(required=True)


class RoundsShown(ma.Schema):
    """A page of rounds, oldest first."""

    items = ma.fields.List(ma.fields.Nested(RoundShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class RoundInFull(RoundShown):
    """A round with its currencies, and what was dropped. A funder sees its own drops, and no currency's counts."""

    clearings = ma.fields.List(ma.fields.Nested(ClearingShown), required=True)
    dropped = ma.fields.List(ma.fields.Nested(DroppedShown), required=True)


class CostShown(ma.Schema):
    """What a limit costs: `step` more of it, in `unit`, is worth at most `gain`, as much as placing that much face."""

    limit = ma.fields.String(required=True)
    mandate_id = Id("mdt", required=True, allow_none=True)
    key = ma.fields.Raw(required=True, allow_none=True)
    step = ma.fields.Integer(required=True)
    unit = ma.fields.String(required=True)
    gain = ma.fields.String(required=True)
    like_placing_minor = ma.fields.Integer(required=True)
    words = ma.fields.String(required=True)


class CostsShown(ma.Schema):
    """The limits that held something back, the dearest first."""

    items = ma.fields.List(ma.fields.Nested(CostShown), required=True)


class RehearsalSchema(TermsSchema):
    """Terms to try out, and the days whose rounds they would have been in, both included."""

    from_date = IsoDate()
    to_date = IsoDate()


class RehearsalAsked(ma.Schema):
    """The rehearsal that was entered."""

    rehearsal_id = Id("rhs", required=True)


class Matched(ma.Schema):
    """What a mandate gets: amounts in minor units; the mean rate in bps a year, weighted by price and days."""

    matched_count = ma.fields.Integer(required=True)
    face_minor = ma.fields.Integer(required=True)
    price_minor = ma.fields.Integer(required=True)
    discount_minor = ma.fields.Integer(required=True)
    mean_rate_bps = ma.fields.Integer(required=True)


class MatchedAsset(ma.Schema):
    """An asset that it would get, and at what price."""

    asset_id = Id("ast", required=True)
    face_minor = ma.fields.Integer(required=True)
    due_date = ma.fields.Date(required=True)
    price_minor = ma.fields.Integer(required=True)
    discount_minor = ma.fields.Integer(required=True)
    holdback_minor = ma.fields.Integer(required=True)
    rate_bps = ma.fields.Integer(required=True)


class RefusalCount(ma.Schema):
    """How many assets break a rule of the mandate."""

    code = ma.fields.String(required=True)
    count = ma.fields.Integer(required=True)


class MatchedNow(Matched):
    """What is free now: the first hundred assets it would get, which rules keep others out, what its limits cost."""

    free_count = ma.fields.Integer(required=True)
    assets = ma.fields.List(ma.fields.Nested(MatchedAsset), required=True)
    refusals = ma.fields.List(ma.fields.Nested(RefusalCount), required=True)
    costs = ma.fields.List(ma.fields.Nested(CostShown), required=True)


class MatchedThen(Matched):
    """What it would have bought, and what became of that: `days_late` of all together, what was given up of the faces.

    What became of it is null where it is of fewer than five obligors.
    """

    round_count = ma.fields.Integer(required=True)
    late_count = ma.fields.Integer(required=True, allow_none=True)
    late_30_count = ma.fields.Integer(required=True, allow_none=True)
    days_late = ma.fields.Integer(required=True, allow_none=True)
    lost_minor = ma.fields.Integer(required=True, allow_none=True)
    open_count = ma.fields.Integer(required=True, allow_none=True)


class RehearsalShown(RehearsalAsked):
    """A rehearsal; `now` is null until it is done, `past` unless it was asked for."""

    terms = ma.fields.Dict(required=True)
    from_date = ma.fields.Date(required=True, allow_none=True)
    to_date = ma.fields.Date(required=True, allow_none=True)
    asked_at = ma.fields.AwareDateTime(required=True)
    done_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    now = ma.fields.Nested(MatchedNow, required=True, allow_none=True)
    past = ma.fields.Nested(MatchedThen, required=True, allow_none=True)
