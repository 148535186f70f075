"""The challenger: a well-behaved estimator whose file holds plain numbers and is refused when anything is off."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from scoring import boosting, challenger, evaluation, model_file
from scoring.challenger import Challenger
from scoring.scorecard import Scorecard

Floats = NDArray[np.float64]


def table(*, rows: int = 2_000, seed: int = 3) -> tuple[Floats, NDArray[np.bool_]]:
    """Return four columns (rising, an interaction's two, one with gaps) and the events they cause."""
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(rows, 4))
    logit = -2 + values[:, 0] + 1.5 * values[:, 1] * values[:, 2]
    values[chance.random(rows) < 0.3, 3] = np.nan
    logit += np.isnan(values[:, 3])
    return values, chance.random(rows) < 1 / (1 + np.exp(-logit))


@pytest.fixture(scope="module")
def fitted() -> Challenger:
    """Return a challenger fitted on `table`."""
    return Challenger(bags=2).fit(*table())


@parametrize_with_checks([Challenger(bags=1, rounds=20)])  # type: ignore[untyped-decorator]  # scikit-learn has no types
def test_scikit_learn_checks(estimator: Challenger, check: Any) -> None:  # noqa: ANN401 - a partial
    """scikit-learn's own checks of an estimator pass."""
    check(estimator)


def test_it_learns_what_no_sum_can_say(fitted: Challenger) -> None:
    """An interaction is ranked on rows not seen before as no card can, and better still by bags that are free."""
    values, events = table(seed=9)
    card, free = Scorecard().fit(*table()), Challenger(bags=2, held_share=0).fit(*table())
    ranked = [evaluation.auc(made.predict_proba(values)[:, 1], outcome=events) for made in (card, fitted, free)]
    assert ranked[0] + 0.05 < ranked[1] < ranked[2] > 0.8


def test_same_rows_same_bytes(fitted: Challenger) -> None:
    """Fitted twice, read back and scored row by row: the same text and the same bits."""
    values, _ = table(rows=50, seed=5)
    again = Challenger.from_json(fitted.to_json())
    assert Challenger(bags=2).fit(*table()).to_json() == fitted.to_json() == again.to_json()
    whole = fitted.predict_proba(values)
    assert again.predict_proba(values).tobytes() == whole.tobytes()
    assert np.vstack([again.predict_proba(values[at : at + 1]) for at in range(50)]).tobytes() == whole.tobytes()


def test_rows_beyond_a_chunk_are_scored_alike(fitted: Challenger) -> None:
    """What is scored in parts is scored as if alone."""
    values, _ = table(rows=boosting.ROWS_AT_ONCE + 3)
    assert (fitted.predict_proba(values)[-3:] == fitted.predict_proba(values[-3:])).all()


def test_directions_hold() -> None:
    """A feature said to raise risk never lowers it."""
    values, events = table()
    made = Challenger(bags=1, directions=[1, 0, 0, 0]).fit(values, events)
    rising = np.zeros((50, 4))
    rising[:, 0] = np.linspace(-3, 3, 50)
    assert (np.diff(made.decision_function(rising)) >= 0).all()


def test_gaps_never_seen_are_scored(fitted: Challenger) -> None:
    """A column of nothing but gaps can be fitted, and any gap scored."""
    values, events = table()
    values[:, 0] = np.nan
    made = Challenger(bags=1).fit(values, events)
    assert np.isfinite(made.predict_proba(np.full((2, 4), np.nan))).all()
    assert np.isfinite(fitted.predict_proba(np.full((2, 4), np.nan))).all()


def test_leaves_are_as_many_as_can_be_counted() -> None:
    """A tree of one leaf, and one of more leaves than a word has bits, are refused."""
    for leaves in (1, 65):
        with pytest.raises(challenger.LeavesOutOfRange):
            Challenger(max_leaves=leaves).fit(*table(rows=50))


@pytest.mark.parametrize(("leaves", "rounds"), [(2, 20), (8, 40), (13, 15), (31, 5), (64, 5)])
def test_trees_answer_as_scikit_learn_walks_them(leaves: int, rounds: int) -> None:
    """Whatever the width of a tree: the log-odds of scikit-learn's own predictor, on cuts, beyond them and in gaps."""
    values, events = table()
    values[:, 1] = np.round(values[:, 1])
    learners = [
        boosting.grow(
            values, events=events, min_leaf_rows=3, max_leaf_nodes=leaves, max_iter=rounds, max_features=0.5,
            random_state=seed,
        )
        for seed in (1, 2)
    ]  # fmt: skip
    trees = boosting.Trees.of(learners)
    cuts = [tree["num_threshold"][tree["is_leaf"] == 0] for bag in trees.bags for tree in bag]
    asked = np.random.default_rng(2).choice(np.concatenate([[np.nan, -9.0, 9.0], *cuts]), size=(1_500, 4))
    walked = np.column_stack([learner.decision_function(asked) for learner in learners])
    assert trees.log_odds(asked) == pytest.approx(walked, abs=1e-12)


def test_held_bags_take_the_direction_that_the_rows_show() -> None:
    """A feature whose risk rises on the whole never lowers it where all bags are held; free ones follow its dip."""
    chance = np.random.default_rng(4)
    values = chance.uniform(-3, 3, size=(4_000, 2))
    bent = np.where(np.abs(values[:, 0]) < 0.5, -3.0, values[:, 0])
    events = chance.random(4_000) < 1 / (1 + np.exp(1 - bent))
    asked = np.column_stack((np.linspace(-3, 3, 61), np.zeros(61)))
    fall = [
        np.diff(Challenger(bags=2, held_share=held).fit(values, events).decision_function(asked)).min()
        for held in (2, 0)
    ]
    assert fall[0] >= 0
    assert fall[1] < -0.5


def rewritten(made: Challenger, damage: Any) -> str:  # noqa: ANN401 - a lambda
    """Return the file with its body damaged under a fitting hash."""
    body = json.loads(made.to_json())["content"]["body"]
    damage(body)
    return model_file.write(challenger.KIND, body)


@pytest.mark.parametrize(
    ("damage", "refusal"),
    [
        (lambda body: body.pop("classes"), model_file.ModelFileUnreadable),
        (lambda body: body["parameters"].update(unheard_of=1), model_file.ModelFileUnreadable),
        (lambda body: body["bags"][0].pop("baseline"), boosting.TreesUnreadable),
        (lambda body: body["bags"][0]["trees"][0]["left"].pop(), boosting.TreesUnreadable),
        (lambda body: body["bags"][0]["trees"][0]["left"].__setitem__(0, 0), boosting.TreesUnreadable),
        (
            lambda body: body["bags"][0]["trees"][0].update(body["bags"][0]["trees"][0], left=[2], right=[2]),
            boosting.TreesUnreadable,
        ),
        (lambda body: body["bags"][0]["trees"].clear(), boosting.TreesUnreadable),
        (lambda body: body["bags"].clear(), boosting.TreesUnreadable),
        (lambda body: body["bags"][0]["trees"][0]["right"].__setitem__(0, 10**6), boosting.TreesUnreadable),
        (lambda body: body["bags"][0]["trees"][0]["feature_idx"].__setitem__(0, 4), boosting.TreesUnreadable),
    ],
)
def test_damaged_files_are_refused(fitted: Challenger, damage: Any, refusal: type[Exception]) -> None:  # noqa: ANN401 - a lambda
    """A part missing, a tree that turns back, or one that points outside itself is refused by that part."""
    with pytest.raises(refusal):
        Challenger.from_json(rewritten(fitted, damage))


def test_files_of_other_hash_kind_or_library_are_refused(fitted: Challenger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed figure, another estimator's file, no file at all, and one written under another library."""
    text = fitted.to_json()
    with pytest.raises(model_file.ModelFileHashMismatch):
        Challenger.from_json(text.replace('"features":4', '"features":5'))
    for other in (model_file.write("another", {}), "", "[]", "{}"):
        with pytest.raises(model_file.ModelFileUnreadable):
            Challenger.from_json(other)
    monkeypatch.setattr(model_file, "LIBRARIES", {"numpy": "1.0", "scikit-learn": "0.1"})
    with pytest.raises(model_file.LibraryMismatch) as caught:
        Challenger.from_json(text)
    assert caught.value.code == "model_file_library_mismatch"
