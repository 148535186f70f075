"""What models look like on the wire."""

import marshmallow as ma

from exchange.schemas import Boolean, Integer, Schema, Text

VERSION = "mdl_[0-9a-f]{16}"


class TrainingSchema(Schema):
    """How to train: more than `horizon_days` late is the outcome that a model predicts.

    The first model is in force at once, a later one is a candidate in shadow. `at_once` is for rehearsals: refused
    where a model works and the clock is real.
    """

    horizon_days = Integer(1, 365, required=True)
    at_once = Boolean()
    reason = Text(200)


class WorkAccepted(ma.Schema):
    """The work has been put on the list."""

    job = ma.fields.String(required=True)


class ReasonSchema(Schema):
    """Why."""

    reason = Text(200, required=True)


class RestoreSchema(ReasonSchema):
    """Back to `version`, which was in force once; without it to the one before."""

    version = Text(20, pattern=VERSION)


class InForce(ma.Schema):
    """The model that scores from here on."""

    version = ma.fields.String(required=True)


class CurrentModel(ma.Schema):
    """The model in force: `version` is the hash of its content, `card` says what it was made of."""

    version = ma.fields.String(required=True)
    card = ma.fields.Dict(required=True)


class ModelShown(CurrentModel):
    """A model: `in_force`, `candidate` (it scores in shadow), `retired` or `dropped`, since a day."""

    state = ma.fields.String(required=True)
    since = ma.fields.Date(required=True)
    trained_at = ma.fields.AwareDateTime(required=True)


class ModelsShown(ma.Schema):
    """A page of models."""

    items = ma.fields.List(ma.fields.Nested(ModelShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class EventShown(ma.Schema):
    """What became of a model, by whom, why, on what evidence."""

    event = ma.fields.String(required=True)
    by = ma.fields.String(required=True)
    reason = ma.fields.String(required=True)
    evidence = ma.fields.Dict(required=True)
    business_date = ma.fields.Date(required=True)
    recorded_at = ma.fields.AwareDateTime(required=True)


class EvaluationShown(ma.Schema):
    """A finding: `comparison` with what was in force (better, no_different, worse, too_thin), or `drift`.

    Of drift the verdict is stable or drifted.
    """

    kind = ma.fields.String(required=True)
    verdict = ma.fields.String(required=True)
    figures = ma.fields.Dict(required=True)
    by = ma.fields.String(required=True)
    business_date = ma.fields.Date(required=True)
    recorded_at = ma.fields.AwareDateTime(required=True)


class WholeModel(ModelShown):
    """A model with the last hundred things that became of it and were found of it, newest first."""

    events = ma.fields.List(ma.fields.Nested(EventShown), required=True)
    evaluations = ma.fields.List(ma.fields.Nested(EvaluationShown), required=True)


class LossRateShown(ma.Schema):
    """A rate as learned: the mean over `outcomes`, mixed with a prior that counts as `prior_weight` of them."""

    kind = ma.fields.String(required=True)
    version = ma.fields.Integer(required=True)
    rate_ppm = ma.fields.Integer(required=True)
    outcomes = ma.fields.Integer(required=True)
    prior_ppm = ma.fields.Integer(required=True)
    prior_weight = ma.fields.Integer(required=True)
    learned_on = ma.fields.Date(required=True)


class LossRatesShown(ma.Schema):
    """All versions of both rates, newest first; none while the labelled priors stand."""

    items = ma.fields.List(ma.fields.Nested(LossRateShown), required=True)
