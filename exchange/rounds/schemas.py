"""What rounds look like on the wire."""

import marshmallow as ma

from exchange.schemas import Id, OneOf, PageQuery, Schema, Text

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
    An answer that is not `complete` was stopped by the clock.
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
