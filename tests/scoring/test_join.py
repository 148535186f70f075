"""B and C: both sides count by how much is known of them, and the worse one caps."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring import evaluation, join, model_file
from scoring.join import Join, Sides


def sides(*, rows: int = 8_000, seed: int = 1) -> tuple[Sides, NDArray[np.bool_]]:
    """Return log-odds of two sides, of which the worse decides, and the outcomes."""
    chance = np.random.default_rng(seed)
    company, controller = chance.normal(-2, 1, rows), chance.normal(-2, 1, rows)
    events = chance.random(rows) < 1 / (1 + np.exp(-np.maximum(company, controller)))
    many = np.full(rows, 1_000.0)
    return Sides(company, controller, many, many), events


def one(company: float, controller: float, *, company_rows: float = 1e6, controller_rows: float = 1e6) -> Sides:
    """Return a single pair."""
    return Sides(*(np.array([value]) for value in (company, controller, company_rows, controller_rows)))


@pytest.fixture(scope="module")
def fitted() -> Join:
    """Return a join fitted on `sides`."""
    known, events = sides()
    return Join.fit(known, events=events)


def test_the_worse_side_caps(fitted: Join) -> None:
    """The joined chance ranks better than either side, and a bad controller outweighs a good company."""
    known, events = sides(seed=2)
    joined = evaluation.auc(fitted.log_odds(known), outcome=events)
    for alone in (known.company, known.controller):
        assert joined > evaluation.auc(alone, outcome=events) + 0.02
    assert fitted.log_odds(one(-4, 1))[0] > fitted.log_odds(one(-2, -2))[0]
    assert fitted.weights[2] > max(fitted.weights[:2])


def test_no_side_improves_by_getting_worse(fitted: Join) -> None:
    """Raising either side's risk never lowers the joined one."""
    for low, high in ((one(-3, -1), one(-2, -1)), (one(-3, -1), one(-3, 0)), (one(0, 0), one(3, 0))):
        assert fitted.log_odds(low)[0] <= fitted.log_odds(high)[0]
    assert min(fitted.weights) >= 0


def test_little_known_is_little_believed(fitted: Join) -> None:
    """With fewer rows a side is drawn to the average; with none, or without log-odds, it says nothing."""
    average = fitted.log_odds(one(fitted.average, fitted.average))[0]
    near, far = (fitted.log_odds(one(2, fitted.average, company_rows=rows))[0] for rows in (1, 1_000))
    assert average < near < far
    assert fitted.log_odds(one(2, fitted.average, company_rows=0))[0] == pytest.approx(average)
    assert fitted.log_odds(one(float("nan"), fitted.average))[0] == pytest.approx(average)


def test_the_file_gives_the_same_answers(fitted: Join) -> None:
    """Read back, the join is the same; a damaged file is refused."""
    assert Join.from_json(fitted.to_json()).__dict__ == fitted.__dict__
    body = json.loads(fitted.to_json())["content"]["body"] | {"weights": [1, 2]}
    with pytest.raises(model_file.ModelFileUnreadable):
        Join.from_json(model_file.write(join.KIND, body))


def test_uneven_sides_and_one_class_are_refused() -> None:
    """Columns of unlike length, counts below zero, and outcomes of one kind."""
    known, events = sides(rows=20)
    with pytest.raises(join.SidesUneven):
        replace(known, company=known.company[1:])
    with pytest.raises(join.SidesUneven):
        replace(known, company_rows=-known.company_rows)
    with pytest.raises(join.SidesUneven):
        Join.fit(known, events=events[1:])
    with pytest.raises(join.JoinSingleClass):
        Join.fit(known, events=np.zeros(20, dtype=np.bool_))
