"""The whole that judges a trade: scorecard, challenger, time to pay, company and controller, under one version.

The scorecard gives points and reasons. The challenger speaks beside it (in shadow) or for it (`voice`). What is known
of the company and of its controller moves the chance by `join`, where anything is known of either. All that leaves is
integers: probabilities are read from log-odds in millionths, so that a decision can be made again to the bit.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from scoring import features, grades, model_file, reasons
from scoring.challenger import Challenger
from scoring.drift import Reference
from scoring.errors import ScoringError
from scoring.facts import Int64s, Trades
from scoring.hazard import TimeToPay
from scoring.join import Join, Sides
from scoring.model import BPS, LGD_PRIOR_BPS, PPM, STEADY, Model, Scores, TrainingRows, enough, fit, training_rows
from scoring.odds import MICRO, probability_ppm

Floats = NDArray[np.float64]

Say = Callable[[str], None]

KIND = "engine"
VOICES = ("scorecard", "challenger")
PARTS = {"champion", "challenger", "hazard", "join", "voice", "references"}
PRIOR_AVERAGE = -3.891820298110627
"""Log-odds of 2 %, the labelled prior's rate of serious delay."""
PRIOR_JOIN = Join(PRIOR_AVERAGE, (0.7, 0.2, 0.3), PRIOR_AVERAGE)
"""A prior, not learned: the company speaks loudest, either side is heard, the worse of the two twice."""

HAZARD_ROWS = 12_000
"""Time to pay is learned from so many of the newest invoices: it follows habits, and habits change."""

COMPANY_REASON = "company_facts"
CONTROLLER_REASON = "controller_facts"
JOIN_TOLD_MICRO = 50_000
"""A side no farther from the average than this is no reason."""


class VoiceUnknown(ScoringError):
    """The engine has no such voice, or it was not fitted."""

    code = "engine_voice_unknown"


class KnownSides(NamedTuple):
    """What is known of both beside trade: log-odds in millionths, and the rows each is worth (0: none)."""

    company_micro: Int64s
    company_rows: Int64s
    controller_micro: Int64s
    controller_rows: Int64s

    @classmethod
    def nothing(cls, rows: int) -> Self:
        """Nothing is known of so many rows."""
        return cls(*(np.zeros(rows, dtype=np.int64) for _ in range(4)))


class Rates(NamedTuple):
    """What is lost of a defaulted claim, and what of a claim is credited away (`scoring.losses`)."""

    lgd_bps: int = LGD_PRIOR_BPS
    dilution_ppm: int = 0


@dataclass(frozen=True, eq=False)
class Judgement:
    """One value per row. `scores` is what counts; beside it what each part said.

    `unpaid_ppm` (n, edges) is the chance of being unpaid so many days after the due day, None where no curve is fitted.
    """

    scores: Scores
    champion_ppm: Int64s
    challenger_ppm: Int64s | None
    unpaid_ppm: Int64s | None
    dilution_loss_ppm: Int64s


@dataclass(frozen=True, eq=False)
class Engine:
    """All parts and which voice gives the chance; equal versions judge equally."""

    champion: Model = field(default_factory=Model.prior)
    challenger: Challenger | None = None
    hazard: TimeToPay | None = None
    join: Join = PRIOR_JOIN
    voice: str = VOICES[0]
    references: dict[str, Reference] = field(default_factory=dict)

    @cached_property
    def _text(self) -> str:
        """The engine as a file; a bare champion is written as it always was."""
        if self.challenger is None and self._join_is_prior:
            return self.champion.to_json()
        return model_file.write(
            KIND,
            {
                "champion": json.loads(self.champion.to_json()),
                "challenger": self.challenger and self.challenger.to_body(),
                "hazard": self.hazard and json.loads(self.hazard.to_json()),
                "join": json.loads(self.join.to_json()),
                "voice": self.voice,
                "references": {name: one._asdict() for name, one in self.references.items()},
            },
        )

    @cached_property
    def version(self) -> str:
        """The content's hash."""
        if self.challenger is None and self._join_is_prior:
            return self.champion.version
        return "mdl_" + hashlib.sha256(self._text.encode()).hexdigest()[:16]

    @property
    def _join_is_prior(self) -> bool:
        return vars(self.join) == vars(PRIOR_JOIN)

    @property
    def card(self) -> dict[str, Any]:
        """How it was made."""
        challenger = "boosted" if self.challenger else None
        join = "prior" if self._join_is_prior else "fitted"
        return self.champion.card | {"challenger": challenger, "voice": self.voice, "join": join}

    def to_json(self) -> str:
        """Return the engine as a model file: content, its hash, the libraries it depends on."""
        return self._text

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a model file, or a champion alone as exchanges kept it before.

        Refuses: ModelFormatOld, what `model_file.read`, `Model` and the other parts refuse.
        """
        if '"content"' not in text[:20]:
            return cls(Model.from_json(text))
        body = model_file.read(text, kind=KIND)
        if not isinstance(body, dict) or body.keys() != PARTS:
            raise model_file.ModelFormatOld(f"it has other parts than {', '.join(sorted(PARTS))}: train another")
        try:
            parts = [body[name] for name in ("champion", "challenger", "hazard", "join", "voice")]
            references = {name: Reference(**one) for name, one in body["references"].items()}
        except (KeyError, TypeError, AttributeError) as fault:
            raise model_file.ModelFileUnreadable(repr(fault)) from fault
        champion, challenger, hazard, join, voice = parts
        made = cls(
            champion=Model.from_json(json.dumps(champion)),
            challenger=challenger and Challenger.from_body(challenger),
            hazard=hazard and TimeToPay.from_json(json.dumps(hazard)),
            join=Join.from_json(json.dumps(join)),
            voice=voice,
            references=references,
        )
        return made.speaking(voice)

    def speaking(self, voice: str) -> Self:
        """Return the same parts with another voice giving the chance. Refuses: VoiceUnknown."""
        if voice not in VOICES or (voice == VOICES[1] and self.challenger is None):
            raise VoiceUnknown(f"{voice!r} is none of {', '.join(VOICES)}, or was not fitted")
        return self if voice == self.voice else replace(self, voice=voice)

    def pd_ppm(self, matrix: Floats) -> Int64s:
        """Return the chance of a serious delay by the voice, before company and controller. Refuses: FeaturesUneven."""
        challenger = self.challenger_ppm(matrix) if self.voice == VOICES[1] else None
        return self.champion.pd_ppm(matrix) if challenger is None else challenger

    def challenger_ppm(self, matrix: Floats) -> Int64s | None:
        """Return what the challenger says, not below the floor; None where there is none."""
        if self.challenger is None:
            return None
        logit_micro = np.rint(self.challenger.decision_function(matrix[:, STEADY]) * MICRO).astype(np.int64)
        return np.maximum(probability_ppm(logit_micro), grades.PD_FLOOR_PPM)

    def unpaid_ppm(self, matrix: Floats) -> Int64s | None:
        """Return the chance of being unpaid at each of `hazard.edges` days after the due day; None without a curve."""
        if self.hazard is None:
            return None
        return np.rint(self.hazard.unpaid(matrix[:, STEADY]) * PPM).astype(np.int64)

    def judge(self, matrix: Floats, *, sides: KnownSides | None = None, rates: Rates | None = None) -> Judgement:
        """Judge an (n, len(features.NAMES)) matrix from `features.build`. Refuses: FeaturesUneven.

        Expected loss is PD x LGD of the claim, and what is credited away as far as its seller does not make it good:
        dilution x LGD, the seller's default being lost like the payer's.
        """
        rates = rates or Rates(self.champion.lgd_bps)
        scores = self.champion.score(matrix)
        challenger = self.challenger_ppm(matrix)
        spoken = challenger if self.voice == VOICES[1] and challenger is not None else scores.pd_ppm
        pd_ppm, codes = self._joined(matrix, spoken, sides, scores.reason_codes)
        lgd_bps = np.full(len(matrix), rates.lgd_bps, dtype=np.int64)
        dilution_loss = np.full(len(matrix), _rounded(rates.dilution_ppm * rates.lgd_bps, by=BPS), dtype=np.int64)
        counted = replace(
            scores,
            pd_ppm=pd_ppm,
            grade=grades.grade_of(pd_ppm),
            lgd_bps=lgd_bps,
            expected_loss_ppm=(2 * pd_ppm * lgd_bps + BPS) // (2 * BPS) + dilution_loss,
            reason_codes=codes,
        )
        return Judgement(counted, scores.pd_ppm, challenger, self.unpaid_ppm(matrix), dilution_loss)

    def _joined(
        self, matrix: Floats, pd_ppm: Int64s, known: KnownSides | None, codes: list[list[str]]
    ) -> tuple[Int64s, list[list[str]]]:
        """Move the chances of the rows whose company or controller is known, and say so among the reasons."""
        if known is None or not (rows := np.flatnonzero(known.company_rows + known.controller_rows)).size:
            return pd_ppm, codes
        said = sides_of(matrix[rows], pd_ppm[rows], KnownSides(*(column[rows] for column in known)))
        joined = np.rint(self.join.log_odds(said) * MICRO).astype(np.int64)
        moved = pd_ppm.copy()
        moved[rows] = np.maximum(probability_ppm(joined), grades.PD_FLOOR_PPM)
        codes = list(codes)
        for row in rows.tolist():
            codes[row] = [*self._told(known, row), *codes[row]]
        return moved, codes

    def _told(self, known: KnownSides, row: int) -> list[str]:
        """Return the reasons that company and controller give, where they are off the average."""
        average_micro = self.join.average * MICRO
        said = (
            (COMPANY_REASON, int(known.company_micro[row]), int(known.company_rows[row])),
            (CONTROLLER_REASON, int(known.controller_micro[row]), int(known.controller_rows[row])),
        )
        return [
            topic + (reasons.RAISES if micro > average_micro else reasons.LOWERS)
            for topic, micro, rows in said
            if rows and abs(micro - average_micro) >= JOIN_TOLD_MICRO
        ]


def sides_of(matrix: Floats, pd_ppm: Int64s, known: KnownSides) -> Sides:
    """Return both sides as `Join` wants them: the company's trade and papers weighed by rows, the controller's own."""
    trade_rows = np.nan_to_num(matrix[:, features.NAMES.index("payer_matured_count")], nan=0.0)
    chance = pd_ppm / PPM
    trade = np.log(chance / (1 - np.minimum(chance, 1 - 1 / PPM)))
    rows = trade_rows + known.company_rows
    papers = known.company_micro / MICRO
    company = np.where(rows > 0, (trade * trade_rows + papers * known.company_rows) / np.maximum(rows, 1), np.nan)
    return Sides(company, known.controller_micro / MICRO, rows, known.controller_rows.astype(np.float64))


def _silent(_: str) -> None:
    """Say nothing."""


def train(history: Trades, *, as_of_day: int, horizon_days: int, join: Join = PRIOR_JOIN, say: Say = _silent) -> Engine:
    """Train every part on what was known at the end of `as_of_day`, from labels that had matured by then.

    With too few outcomes of either kind the champion is the prior, and nothing else is fitted. The same facts give the
    same bytes. Refuses: HorizonOutOfRange.
    """
    rows = training_rows(history, as_of_day=as_of_day)
    say(f"features of {len(rows.matured):,} matured invoices")
    matrix = features.build(rows.known, asked=rows.matured)
    say("scorecard")
    champion = fit(rows, matrix=matrix, horizon_days=horizon_days)
    old = rows.age_days >= horizon_days
    events = rows.days_late[old] > horizon_days
    if champion.serious is None or not enough(events):
        return Engine(champion, join=join)
    say("challenger")
    challenger = Challenger().fit(matrix[old][:, STEADY], events)
    say("time to pay")
    hazard = _hazard(rows, matrix=matrix)
    made = Engine(champion, challenger, hazard, join)
    columns = {"pd": made.pd_ppm(matrix[old])} | {features.NAMES[at]: matrix[old][:, at] for at in STEADY}
    return replace(made, references={name: Reference.of(values) for name, values in columns.items()})


def _hazard(rows: TrainingRows, *, matrix: Floats) -> TimeToPay:
    """Fit time to pay, in days after the due day, on the newest rows."""
    due = rows.matured.due_day.astype(np.int64)
    newest = np.sort(np.argsort(due, kind="stable")[-HAZARD_ROWS:])
    paid = np.minimum(rows.matured.settled_day.astype(np.int64), rows.as_of_day + 1) - due
    return TimeToPay(learner=Challenger(bags=1, rounds=40, learning_rate=0.18)).fit(
        matrix[newest][:, STEADY], paid_day=paid[newest], seen_day=rows.as_of_day - due[newest]
    )


def _rounded(amount: int, *, by: int) -> int:
    return (2 * amount + by) // (2 * by)
