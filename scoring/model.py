"""One model: the chances of paying late and very late, days late, grade, loss and reasons, in integers."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scoring import features, grades
from scoring.days import TREES, Band, DaysForest
from scoring.errors import ScoringError
from scoring.facts import MAX_DAY, Bools, Int64s, Trades
from scoring.heads import Head
from scoring.model_file import ModelFormatOld
from scoring.odds import probability_ppm

Floats = NDArray[np.float64]

FORMAT = 2
PPM = 1_000_000
BPS = 10_000
EVENTS_MIN = 30
"""With fewer outcomes of either kind a head is not fitted; the prior speaks."""

LGD_PRIOR_BPS = 4_000
"""Foundation IRB, senior unsecured corporate claims (Basel III final reforms, 2017): a prior, not learned."""

PRIOR_SERIOUS_PPM = 20_000
PRIOR_LATE_PPM = 300_000
PRIOR_ROWS = 50
"""The prior PD counts as much as this many matured invoices of the payer."""

GROWING = frozenset(
    {
        "payer_issued_count",
        "payer_settled_count",
        "payer_matured_count",
        "payer_serious_count",
        "payer_relation_days",
        "pair_settled_count",
    }
)
"""Features that grow with the calendar: a fitted head would drift with them, so only the prior reads them."""

STEADY_NAMES = tuple(name for name in features.NAMES if name not in GROWING)
STEADY = [features.NAMES.index(name) for name in STEADY_NAMES]

WARM_UP_DAYS = 60
"""The first days of a history know too little about anyone to be learned from, if enough comes after them."""

RECENT_DAYS = 45
"""The intercept is shifted towards the rate of the labels that matured within this many last days ..."""

SHIFT_PRIOR_EVENTS = 100
"""... as far as their bad outcomes outweigh this many that came as foretold."""


class ModelUnreadable(ScoringError):
    """A model's JSON is damaged or of another format."""

    code = "model_unreadable"


class ModelHashMismatch(ScoringError):
    """A model's content does not have the hash that it names."""

    code = "model_hash_mismatch"


class FeaturesUneven(ScoringError):
    """A feature matrix has not the columns the model was made for, or holds infinite values."""

    code = "model_features_uneven"


class HorizonOutOfRange(ScoringError):
    """The horizon is not a positive number of days."""

    code = "model_horizon_out_of_range"


@dataclass(frozen=True, eq=False)
class Scores:
    """One value per row: chances in ppm, grade as index into `grades.NAMES`, days, expected loss in ppm."""

    pd_ppm: Int64s
    late_ppm: Int64s
    grade: Int64s
    days_late: Int64s
    lgd_bps: Int64s
    expected_loss_ppm: Int64s
    reason_codes: list[list[str]]


@dataclass(frozen=True, eq=False)
class Model:
    """Three heads, each fitted or None (then the labelled prior speaks), and a card telling how it was made.

    `serious` gives the chance of more than `horizon_days` late, `late` that of any lateness.
    """

    serious: Head | None = None
    late: Head | None = None
    days: DaysForest | None = None
    lgd_bps: int = LGD_PRIOR_BPS
    card: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def prior(cls) -> Self:
        """Return the model for when there are no outcomes: the payer's own rate mixed with a fixed prior."""
        return cls(card={"kind": "prior", "why": "no_training", "lgd": "prior"})

    @cached_property
    def _text(self) -> str:
        """The content in canonical JSON."""
        body = {
            "format": FORMAT,
            "features": features.NAMES,
            "serious": None if self.serious is None else self.serious.to_body(),
            "late": None if self.late is None else self.late.to_body(),
            "days": None if self.days is None else self.days.to_body(),
            "lgd_bps": self.lgd_bps,
            "card": self.card,
        }
        return _canonical(body)

    @cached_property
    def version(self) -> str:
        """The content's hash: equal versions score equally."""
        return _version_of(self._text)

    def to_json(self) -> str:
        """Return the whole model and its version as canonical JSON."""
        return f'{{"body":{self._text},"version":"{self.version}"}}'

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Refuses: ModelUnreadable, ModelHashMismatch, ModelFormatOld, its parts'."""
        try:
            outer = json.loads(text)
            body, named = outer["body"], outer["version"]
            found, made = _version_of(_canonical(body)), (body["format"], body["features"])
        except (KeyError, TypeError, ValueError) as fault:
            raise ModelUnreadable(repr(fault)) from fault
        if found != named:
            raise ModelHashMismatch(f"named {named}, content {found}")
        if made != (FORMAT, list(features.NAMES)):
            raise ModelFormatOld(f"it is of format {made[0]!r} and reads features of its own, read is {FORMAT}: train")
        names = ("serious", "late", "days", "lgd_bps", "card")
        serious, late, days, lgd_bps, card = (body.get(name) for name in names)
        if not isinstance(card, dict) or type(lgd_bps) is not int or not 0 <= lgd_bps <= BPS:
            raise ModelUnreadable("it has a part of another kind")
        return cls(
            serious=None if serious is None else Head.from_body(serious),
            late=None if late is None else Head.from_body(late),
            days=None if days is None else DaysForest.from_body(days, width=len(STEADY)),
            lgd_bps=lgd_bps,
            card=card,
        )

    def score(self, matrix: Floats) -> Scores:
        """Score an (n, len(features.NAMES)) matrix from `features.build`. Refuses: FeaturesUneven."""
        _check(matrix)
        if self.serious is None:
            pd_ppm, codes = self.pd_ppm(matrix), [["prior_model"] for _ in range(len(matrix))]
        else:
            logit_micro, codes = self.serious.explained(matrix)
            pd_ppm = np.maximum(probability_ppm(logit_micro), grades.PD_FLOOR_PPM)
        return Scores(
            pd_ppm=pd_ppm,
            late_ppm=self.late_ppm(matrix),
            grade=grades.grade_of(pd_ppm),
            days_late=self.days_late(matrix),
            lgd_bps=np.full(len(matrix), self.lgd_bps, dtype=np.int64),
            expected_loss_ppm=(2 * pd_ppm * self.lgd_bps + BPS) // (2 * BPS),
            reason_codes=codes,
        )

    def pd_ppm(self, matrix: Floats) -> Int64s:
        """Return the chance of more than the horizon's days late, not below the floor. Refuses: FeaturesUneven."""
        _check(matrix)
        raw = probability_ppm(self.serious.logit_micro(matrix)) if self.serious else _prior_serious(matrix)
        return np.maximum(raw, grades.PD_FLOOR_PPM)

    def late_ppm(self, matrix: Floats) -> Int64s:
        """Return the chance of paying late at all. Refuses: FeaturesUneven."""
        _check(matrix)
        return probability_ppm(self.late.logit_micro(matrix)) if self.late else _prior_late(matrix)

    def days_late(self, matrix: Floats) -> Int64s:
        """Return the expected days late. Refuses: FeaturesUneven."""
        _check(matrix)
        return self.days.predict(matrix[:, STEADY]) if self.days else _prior_days(matrix)

    def days_band(self, matrix: Floats) -> Band:
        """Return the days late within which four of five of these rows are expected to be paid.

        Without fitted days all the band is the expectation itself. Refuses: FeaturesUneven.
        """
        _check(matrix)
        if self.days is None:
            return Band(_prior_days(matrix), _prior_days(matrix))
        return self.days.band(matrix[:, STEADY])


def _check(matrix: Floats) -> None:
    """Refuse what is no feature matrix."""
    if matrix.shape[1:] != (len(features.NAMES),) or np.isinf(matrix).any():
        raise FeaturesUneven(f"{matrix.shape} is no finite matrix of {len(features.NAMES)} features")


def _canonical(body: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return JSON values as their one text; floats are written so that they read back bit for bit."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _version_of(text: str) -> str:
    """Return the version that names a content."""
    return "mdl_" + hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """What was known at the end of a day, the rows of it to learn from, and how late each was at least."""

    as_of_day: int
    known: Trades
    matured: Trades
    days_late: Int64s

    @property
    def age_days(self) -> Int64s:
        """Days from each row's due day to the day of training."""
        return self.as_of_day - self.matured.due_day.astype(np.int64)


def training_rows(history: Trades, *, as_of_day: int) -> TrainingRows:
    """Return the rows due by the end of `as_of_day`, without the first WARM_UP_DAYS where enough remains."""
    known = _in_order(history.known_by(as_of_day))
    matured = known.take(known.due_day <= as_of_day)
    matured = matured.take(_after_warm_up(matured))
    # What is still open on the day is at least this late.
    late = np.minimum(matured.settled_day, as_of_day + 1).astype(np.int64) - matured.due_day
    return TrainingRows(as_of_day, known, matured, late)


def train(history: Trades, *, as_of_day: int, horizon_days: int = 30) -> Model:
    """Train on what was known at the end of `as_of_day`, from labels that had matured by then.

    A row is a label for "more than h days late" once due_day + h <= as_of_day (h: `horizon_days`, and 0 for
    late at all), settled or not; its features are those of its own issue day. The same facts give the same
    bytes, whatever came later. Heads with fewer than 30 outcomes of either kind stay unfitted, and the card
    says so. Refuses: HorizonOutOfRange.
    """
    rows = training_rows(history, as_of_day=as_of_day)
    return fit(rows, matrix=features.build(rows.known, asked=rows.matured), horizon_days=horizon_days)


def fit(rows: TrainingRows, *, matrix: Floats, horizon_days: int) -> Model:
    """Fit all heads on the features of the matured rows. Refuses: HorizonOutOfRange."""
    if horizon_days < 1:
        raise HorizonOutOfRange(f"{horizon_days} days")
    age_days = rows.age_days
    old = age_days >= horizon_days
    serious, serious_facts = _fit_head(
        matrix[old], events=rows.days_late[old] > horizon_days, recent=age_days[old] < horizon_days + RECENT_DAYS
    )
    late, late_facts = _fit_head(matrix, events=rows.days_late > 0, recent=age_days < RECENT_DAYS)
    days = fit_days(rows, matrix=matrix, old=old) if late and old.any() else None
    card = {
        "kind": "prior" if serious is None else "scorecard",
        "as_of_day": rows.as_of_day,
        "horizon_days": horizon_days,
        "serious": serious_facts,
        "late": late_facts,
        "days": "prior" if days is None else "forest",
        "lgd": "prior",
    }
    return Model(serious=serious, late=late, days=days, card=card)


def fit_days(rows: TrainingRows, *, matrix: Floats, old: Bools, trees: int = TREES) -> DaysForest:
    """Fit days late on the chosen rows."""
    return DaysForest.fit(
        matrix[old][:, STEADY],
        days_late=rows.days_late[old],
        day=rows.matured.issue_day[old].astype(np.int64),
        trees=trees,
    )


def _in_order(history: Trades) -> Trades:
    """Return the rows in an order of their content, so that the order of delivery cannot change the model."""
    return history.take(np.lexsort([getattr(history, name) for name in Trades.COLUMNS]))


def _after_warm_up(matured: Trades) -> Bools:
    """Return the rows issued after the warm-up; all of them if that would leave less than half."""
    warm = matured.issue_day >= matured.issue_day.min(initial=MAX_DAY) + WARM_UP_DAYS
    return warm if 2 * int(warm.sum()) >= len(matured) else np.ones_like(warm)


def enough(events: Bools) -> bool:
    """Return whether there are EVENTS_MIN outcomes of either kind."""
    bad = int(events.sum())
    return min(bad, len(events) - bad) >= EVENTS_MIN


def _fit_head(matrix: Floats, *, events: Bools, recent: Bools) -> tuple[Head | None, dict[str, Any]]:
    """Fit one head where there are outcomes enough, and tell what it was made of."""
    facts: dict[str, Any] = {"rows": len(events), "events": int(events.sum())}
    if not enough(events):
        return None, facts | {"kind": "prior", "why": "too_few_outcomes"}
    head = Head.fit(matrix, events=events, names=STEADY_NAMES)
    shifted = enough(events[recent])
    if shifted:
        head.shift(matrix[recent], events=events[recent], prior_events=SHIFT_PRIOR_EVENTS)
    silent = {STEADY_NAMES[at]: why for at, why in head.card.dropped_.items()}
    return head, facts | {"kind": "scorecard", "dropped": silent, "shifted": shifted}


def _column(matrix: Floats, *, name: str) -> Floats:
    """Return one feature of every row, missing as zero."""
    return np.nan_to_num(matrix[:, features.NAMES.index(name)], nan=0.0)


def _prior_serious(matrix: Floats) -> Int64s:
    """Return the payer's matured rate of serious delay mixed with PRIOR_ROWS imagined rows, in ppm."""
    bad, rows = (
        np.rint(_column(matrix, name=name)).astype(np.int64) for name in ("payer_serious_count", "payer_matured_count")
    )
    return np.asarray((bad * PPM + PRIOR_ROWS * PRIOR_SERIOUS_PPM) // (rows + PRIOR_ROWS), dtype=np.int64)


def _prior_late(matrix: Floats) -> Int64s:
    """Return the payer's shrunk share of late invoices in ppm; a fixed prior where nothing is known."""
    share = matrix[:, features.NAMES.index("payer_late_share")]
    return np.rint(np.where(np.isnan(share), PRIOR_LATE_PPM, share * PPM)).astype(np.int64)


def _prior_days(matrix: Floats) -> Int64s:
    """Return the payer's mean days late, 0 where nothing is known."""
    return np.rint(_column(matrix, name="payer_days_late_mean")).astype(np.int64)
