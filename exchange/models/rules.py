"""When to train, when a candidate may take over, and what is refused."""

from datetime import date
from typing import Any, NamedTuple

from exchange.errors import Refusal
from exchange.risk.rules import RiskTerms

FEWEST_LABELS = 100
"""A week with fewer new outcomes teaches nothing."""


class ShadowNeeded(Refusal):
    """A model that works is in force: a new one has to show in shadow that it is better."""

    code = "shadow_needed"
    title = "Another model is in force"


class NotACandidate(Refusal):
    """The model is in force already, was dropped, or never was a candidate."""

    code = "not_a_candidate"
    title = "This model is no candidate"


class ShadowNotOver(Refusal):
    """The candidate has not been in shadow long enough."""

    code = "shadow_not_over"
    title = "The candidate's time in shadow is not over"


class NotBetter(Refusal):
    """The newest comparison does not show that the candidate is better, or there is none."""

    code = "candidate_not_better"
    title = "The candidate is not shown to be better"


class NothingToRestore(Refusal):
    """No other model was in force before."""

    code = "nothing_to_restore"
    title = "There is no model to go back to"


class Candidate(NamedTuple):
    """A model in shadow since a day, and its newest comparison: verdict, figures, the day it was made."""

    version: str
    since: date
    verdict: str | None = None
    figures: dict[str, Any] | None = None
    compared_on: date | None = None


def training_is_due(*, terms: RiskTerms, labels: int, days: int | None) -> bool:
    """Whether to train: so many new outcomes since the last model, or days enough with some (`days` None: no model)."""
    if labels >= terms.retrain_labels:
        return True
    return days is not None and days >= terms.retrain_days and labels >= FEWEST_LABELS


def shadow_is_over(since: date, *, today: date, terms: RiskTerms) -> bool:
    """Whether a candidate has waited long enough."""
    return (today - since).days >= terms.shadow_days


def check_promotion(candidate: Candidate | None, *, version: str, today: date, terms: RiskTerms) -> Candidate:
    """Let only a candidate take over whose shadow is over and whose comparison since then is below zero throughout.

    Refuses: NotACandidate, ShadowNotOver, NotBetter.
    """
    if candidate is None:
        raise NotACandidate(f"{version} is not in shadow: train one, or see GET /v1/models.")
    if not shadow_is_over(candidate.since, today=today, terms=terms):
        days = terms.shadow_days - (today - candidate.since).days
        raise ShadowNotOver(f"It is in shadow since {candidate.since}; {days} days are left.", days_left=days)
    over = candidate.compared_on is not None and shadow_is_over(
        candidate.since, today=candidate.compared_on, terms=terms
    )
    if not over:
        raise NotBetter("It was not compared since its shadow ended: POST /v1/models/<version>/evaluation.")
    if candidate.verdict != "better":
        raise NotBetter(f"The comparison of {candidate.compared_on} says: {candidate.verdict}.")
    return candidate
