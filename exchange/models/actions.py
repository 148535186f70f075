"""Train, compare, promote, restore; learn rates of loss; look for drift. Rows say who, when and why."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from exchange.errors import NotFound
from exchange.models import queries, rules
from exchange.models.models import ModelEvaluation
from exchange.risk import engines, losses
from exchange.risk.facts import all_trades, day_number
from exchange.risk.models import LossRate
from exchange.risk.rules import MONTH_DAYS
from scoring import card, engine, features
from scoring import losses as loss_rates
from scoring.engine import VOICES, Engine
from scoring.facts import Trades
from scoring.promotion import EvidenceTooThin, compare

Say = Callable[[str], None]

MOST_JUDGED = 50_000
"""A comparison reads so many of the newest outcomes."""
THE_LOOP = "closed loop"
DRIFT_ROWS = 10_000
PPM = 1_000_000
PRIORS = {"lgd": loss_rates.LGD, "dilution": loss_rates.DILUTION}


class By(NamedTuple):
    """Who acts, why, on which business date, at which moment."""

    who: str
    reason: str
    today: date
    now: datetime


class Judged(NamedTuple):
    """Invoices whose outcome became known after a day, with their features and how it came."""

    asked: Trades
    matrix: features.Floats
    bad: np.ndarray[Any, np.dtype[np.bool_]]


def silent(_: str) -> None:
    """Say nothing."""


def train(
    session: Session, *, horizon_days: int, at_once: bool, by: By, virtual: bool, say: Say = silent
) -> str | None:
    """Train on every fact known at the end of yesterday; the version, None where there are too few outcomes.

    It becomes a candidate, which scores in shadow. The first one, and one trained because what is in force cannot be
    read, comes into force at once; so does any `at_once` on a virtual clock, where nothing real depends on it
    (`ShadowNeeded` elsewhere).
    """
    free = not works(session)
    if at_once and not free and not virtual:
        raise rules.ShadowNeeded(
            f"Leave out at_once: it begins {losses.policy(session).terms.shadow_days} days of shadow."
        )
    join = queries.learned_join(session, today=by.today, horizon_days=horizon_days) or engine.PRIOR_JOIN
    made = engine.train(
        all_trades(session), as_of_day=day_number(by.today) - 1, horizon_days=horizon_days, join=join, say=say
    )
    if made.champion.serious is None:
        return None
    if made.version not in {queries.version_in_force(session), *engines.candidates(session)}:
        engines.keep(session, engine=made, now=by.now)
        _note(session, made.version, "promoted" if free or at_once else "candidate", by)
    return made.version


def evaluate(session: Session, *, version: str, by: By, say: Say = silent) -> dict[str, Any]:
    """Compare a model, in each of its voices, with what is in force, on outcomes that neither could have learned from.

    Keeps and returns the figures of the better voice (`NotFound`). A comparison on too little says `too_thin`.
    """
    candidate, incumbent = engines.read(session, version=version), engines.in_force(session)
    cut = max(one.card.get("as_of_day", -1) for one in (candidate, incumbent))
    horizon_days = candidate.card.get("horizon_days", MONTH_DAYS)
    say(f"outcomes that became known after day {cut}")
    judged = later_outcomes(session, cut=cut, today=by.today, horizon_days=horizon_days)
    figures: dict[str, Any] = {"against": incumbent.version, "rows": len(judged.bad), "events": int(judged.bad.sum())}
    try:
        verdict, found = _better_voice(candidate, incumbent, judged)
    except EvidenceTooThin as refusal:
        verdict, found = "too_thin", {"why": str(refusal)}
    figures |= found
    _keep_evaluation(session, version=version, kind="comparison", verdict=verdict, figures=figures, by=by)
    return figures | {"version": version, "verdict": verdict}


def promote(session: Session, *, version: str, by: By) -> str:
    """Put a candidate in force, in the voice that its comparison found better; the version that scores from here on.

    Other candidates that are older are dropped: they were compared with what scores no more. Refuses: what
    `rules.check_promotion` refuses, `NotFound`.
    """
    terms = losses.policy(session).terms
    made = engines.read(session, version=version)
    found = queries.candidate(session, version=version)
    candidate = rules.check_promotion(found, version=version, today=by.today, terms=terms)
    figures = candidate.figures or {}
    made = made.speaking(figures["voice"])
    if made.version != version:
        engines.keep(session, engine=made, now=by.now)
        _note(session, version, "dropped", by._replace(reason=f"promoted as {made.version}, voice {made.voice}"))
    _note(session, made.version, "promoted", by, evidence=figures)
    for other in engines.candidates(session):
        if other != version and queries.since(session, version=other) <= candidate.since:
            _note(session, other, "dropped", by._replace(reason=f"{made.version} was promoted"))
    return made.version


def drop(session: Session, *, version: str, by: By) -> None:
    """Let a candidate go."""
    _note(session, version, "dropped", by)


def restore(session: Session, *, version: str | None, by: By) -> str:
    """Go back to the model that was in force before, or to any that once was; the version (`NothingToRestore`)."""
    now_in_force = queries.version_in_force(session)
    before = [one for one in queries.once_in_force(session) if one != now_in_force]
    if not before or (version is not None and version not in before):
        raise rules.NothingToRestore(f"{version or 'No other model'} was not in force before.")
    wanted = version or before[0]
    engines.read(session, version=wanted)
    _note(session, wanted, "restored", by, evidence={"instead_of": now_in_force})
    return wanted


def watch(session: Session, *, by: By) -> dict[str, Any] | None:
    """Compare what the model in force scored in the last month with what it learned from; None where it cannot be.

    The chance decides the verdict; each feature is told beside it, those that drifted most first.
    """
    scores = engines.in_force(session)
    rows = queries.scored_since(session, version=scores.version, days=MONTH_DAYS, now=by.now, limit=DRIFT_ROWS)
    if not rows or not scores.references:
        return None
    matrix = np.array([np.frombuffer(row.features, dtype="<f8") for row in rows])
    places = {name: matrix[:, at] for at, name in enumerate(features.NAMES)} | {"pd": scores.pd_ppm(matrix)}
    found = {name: one.stability(places[name]) for name, one in scores.references.items()}
    told = {
        name: {"psi_ppm": round(one.psi * PPM), "critical_ppm": round(one.critical * PPM), "drifted": one.drifted}
        for name, one in sorted(found.items(), key=lambda item: (item[0] != "pd", item[1].critical - item[1].psi))
    }
    figures = {"rows": len(rows), "learned_rows": found["pd"].learned_rows, "figures": told}
    verdict = "drifted" if found["pd"].drifted else "stable"
    _keep_evaluation(session, version=scores.version, kind="drift", verdict=verdict, figures=figures, by=by)
    return figures | {"verdict": verdict}


def learn_losses(session: Session, *, today: date, now: datetime) -> None:
    """Learn the rates of loss anew from what came back and what was credited; a version each time more is known."""
    for kind, prior in PRIORS.items():
        outcomes, lost_ppm = queries.lost(session, kind=kind, today=today)
        newest = queries.loss_rate(session, kind=kind)
        made = loss_rates.learn(outcomes, lost_ppm=lost_ppm, prior=prior)
        if (made.rate_ppm, made.outcomes) == ((newest.rate_ppm, newest.outcomes) if newest else (prior.rate_ppm, 0)):
            continue
        values = {"kind": kind, "version": newest.version + 1 if newest else 1, "rate_ppm": made.rate_ppm}
        counts = {"outcomes": made.outcomes, "prior_ppm": prior.rate_ppm, "prior_weight": prior.weight}
        session.execute(insert(LossRate).values(**values, **counts, learned_on=today, recorded_at=now))


def later_outcomes(session: Session, *, cut: int, today: date, horizon_days: int) -> Judged:
    """The newest invoices whose outcome became known after the day `cut` and by yesterday, as of their issue days."""
    history = all_trades(session)
    judged_on = history.due_day.astype(np.int64) + horizon_days
    rows = np.flatnonzero((judged_on > cut) & (judged_on < day_number(today)))
    rows = np.sort(rows[np.argsort(judged_on[rows], kind="stable")][-MOST_JUDGED:])
    asked = history.take(rows)
    late = np.minimum(asked.settled_day, day_number(today)).astype(np.int64) - asked.due_day
    return Judged(asked, features.build(history, asked=asked), late > horizon_days)


def _better_voice(candidate: Engine, incumbent: Engine, judged: Judged) -> tuple[str, dict[str, Any]]:
    """The comparison of the voice with the lower loss, and the figures that a card shows of both."""
    if not len(judged.bad):
        raise EvidenceTooThin("no outcome has become known since both were trained")
    old_ppm = incumbent.pd_ppm(judged.matrix)
    voices = [voice for voice in VOICES if voice == VOICES[0] or candidate.challenger is not None]
    found = {}
    for voice in voices:
        new_ppm = candidate.speaking(voice).pd_ppm(judged.matrix)
        found[voice] = compare(old_ppm, new_ppm, outcome=judged.bad, payer=judged.asked.obligor), new_ppm
    best = min(voices, key=lambda voice: found[voice][0].candidate)
    comparison, new_ppm = found[best]
    shown = {
        "candidate": card.curves(new_ppm, outcome=judged.bad),
        "incumbent": card.curves(old_ppm, outcome=judged.bad),
    }
    told = {
        name: getattr(comparison, name) for name in ("payers", "incumbent", "candidate", "difference", "low", "high")
    }
    verdict = "better" if comparison.better else ("worse" if comparison.low > 0 else "no_different")
    return verdict, {"voice": best, "log_loss": told, "curves": shown}


def works(session: Session) -> bool:
    """Whether a trained model is in force and can be read."""
    try:
        return engines.in_force(session).champion.serious is not None
    except (engines.ModelUnusable, NotFound):
        return False


def _note(session: Session, version: str, event: str, by: By, *, evidence: dict[str, Any] | None = None) -> None:
    engines.note(
        session, version=version, event=event, by=by.who, reason=by.reason, today=by.today, now=by.now,
        evidence=evidence,
    )  # fmt: skip


def _keep_evaluation(
    session: Session, *, version: str, kind: str, verdict: str, figures: dict[str, Any], by: By
) -> None:
    values = {"version": version, "kind": kind, "verdict": verdict, "figures": figures, "by": by.who}
    session.execute(insert(ModelEvaluation).values(**values, business_date=by.today, recorded_at=by.now))
