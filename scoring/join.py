"""B and C as one: what is known of a company and of the person who controls it, joined into one chance."""

import json
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from scoring import model_file
from scoring.errors import ScoringError
from scoring.facts import Bools

Floats = NDArray[np.float64]

KIND = "company_and_controller"
TRUST_ROWS = 20.0
"""A side seen in so many rows is believed by half."""

PENALTY = 1.0
STEPS_MAX = 300


class SidesUneven(ScoringError):
    """The columns of the two sides differ in length, or a count is negative."""

    code = "join_sides_uneven"


class JoinSingleClass(ScoringError):
    """Joining has to be learned from good and bad outcomes."""

    code = "join_single_class"


@dataclass(frozen=True, eq=False)
class Sides:
    """Log-odds of a bad outcome by the company's and by the controller's scorecard, and the rows each was seen in.

    NaN log-odds or no rows: nothing is known of that side. Refuses: SidesUneven.
    """

    company: Floats
    controller: Floats
    company_rows: Floats
    controller_rows: Floats

    def __post_init__(self) -> None:
        """Check lengths and counts."""
        columns = (self.company, self.controller, self.company_rows, self.controller_rows)
        if len({np.shape(column) for column in columns}) != 1 or np.ndim(self.company) != 1:
            raise SidesUneven("columns differ in length")
        if (self.company_rows < 0).any() or (self.controller_rows < 0).any():
            raise SidesUneven("a side cannot be seen in fewer than no rows")


@dataclass(frozen=True, eq=False)
class Join:
    """A logistic on both sides' log-odds and on the worse of the two, each first drawn towards the average.

    A side seen in n rows counts n / (n + `trust_rows`). No weight is below zero, so neither side can be made worse to
    improve the whole, and the worse side caps: what it says is heard twice.
    """

    average: float
    weights: tuple[float, float, float]
    intercept: float
    trust_rows: float = TRUST_ROWS

    @classmethod
    def fit(cls, sides: Sides, *, events: Bools, trust_rows: float = TRUST_ROWS) -> Self:
        """Fit on sides with known outcomes. Refuses: JoinSingleClass, SidesUneven."""
        bad = np.asarray(events, dtype=np.float64)
        if bad.shape != sides.company.shape:
            raise SidesUneven("as many outcomes as rows are needed")
        if not 0 < bad.sum() < len(bad):
            raise JoinSingleClass(f"of {len(bad)} outcomes, {int(bad.sum())} are bad")
        average = float(np.log(bad.mean() / (1 - bad.mean())))
        design = np.column_stack((_drawn(sides, average=average, trust_rows=trust_rows), np.ones(len(bad))))

        def loss(at: Floats) -> tuple[float, Floats]:
            logit = np.einsum("ij,j->i", design, at)  # one order of summing on every machine, unlike BLAS
            value = np.logaddexp(0.0, logit).sum() - (bad * logit).sum() + 0.5 * PENALTY * (at[:-1] ** 2).sum()
            slope = np.einsum("ij,i->j", design, expit(logit) - bad)
            slope[:-1] += PENALTY * at[:-1]
            return float(value), slope

        found = minimize(
            loss, np.array([0.0, 0.0, 0.0, average]), jac=True, method="L-BFGS-B",
            bounds=[(0.0, None)] * 3 + [(None, None)], options={"maxiter": STEPS_MAX},
        ).x.tolist()  # fmt: skip
        return cls(average, (found[0], found[1], found[2]), found[3], trust_rows)

    def log_odds(self, sides: Sides) -> Floats:
        """Return the joined log-odds of a bad outcome."""
        drawn = _drawn(sides, average=self.average, trust_rows=self.trust_rows)
        return np.asarray(np.einsum("ij,j->i", drawn, np.array(self.weights)) + self.intercept, dtype=np.float64)

    def to_json(self) -> str:
        """Return the join as a model file."""
        return model_file.write(KIND, json.loads(json.dumps(vars(self))))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a model file; it answers identically. Refuses: what `model_file.read` refuses."""
        body = model_file.read(text, kind=KIND)
        try:
            first, second, worse = (float(weight) for weight in body["weights"])
            return cls(
                float(body["average"]), (first, second, worse), float(body["intercept"]), float(body["trust_rows"])
            )
        except (KeyError, TypeError, ValueError) as fault:
            raise model_file.ModelFileUnreadable(repr(fault)) from fault


def _drawn(sides: Sides, *, average: float, trust_rows: float) -> Floats:
    """Return both sides relative to the average, by how far each is to be believed, and the worse of the two."""

    def side(logit: ArrayLike, rows: ArrayLike) -> Floats:
        seen = np.asarray(rows, dtype=np.float64)
        distance = np.nan_to_num(np.asarray(logit, dtype=np.float64) - average, nan=0.0)
        return np.asarray(distance * seen / (seen + trust_rows), dtype=np.float64)

    company, controller = side(sides.company, sides.company_rows), side(sides.controller, sides.controller_rows)
    return np.column_stack((company, controller, np.maximum(company, controller)))
