"""The model: trained only on what had matured, in integers, with reasons, and the same bytes every time."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scoring import days, evaluation, features, grades, heads, model, reasons
from scoring.facts import NOT_SETTLED, Trades
from scoring.model import Model, Scores, train
from scoring.model_file import ModelFormatOld

AS_OF = 18_300

Row = tuple[int, int, int, int, int, int | None]


@pytest.fixture(scope="module")
def trained(book: Trades) -> Model:
    """Return a model trained on the synthetic book."""
    return train(book, as_of_day=AS_OF)


@pytest.fixture(scope="module")
def later(book: Trades) -> Trades:
    """Return the invoices issued after the training day."""
    return book.take(book.issue_day > AS_OF)


@pytest.fixture(scope="module")
def matrix(book: Trades, later: Trades) -> features.Floats:
    """Return the later invoices' features."""
    return features.build(book, asked=later)


def same(one: Scores, other: Scores) -> bool:
    """Return whether two scores agree in every bit."""
    arrays = ("pd_ppm", "late_ppm", "grade", "days_late", "lgd_bps", "expected_loss_ppm")
    return one.reason_codes == other.reason_codes and all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in arrays
    )


def test_later_payers_are_ranked(trained: Model, later: Trades, matrix: features.Floats) -> None:
    """On later invoices the model ranks well above chance and beats a constant."""
    scores = trained.score(matrix)
    late = np.where(later.is_open, 999, later.settled_day - later.due_day)
    for chance_ppm, bad in ((scores.pd_ppm, late > 30), (scores.late_ppm, late > 0)):
        assert evaluation.auc(chance_ppm, outcome=bad) > 0.62
        constant = np.full(len(bad), bad.mean())
        assert evaluation.log_loss(chance_ppm / 1e6, outcome=bad) < evaluation.log_loss(constant, outcome=bad)
    paid = ~later.is_open
    assert np.abs(scores.days_late - late)[paid].mean() < np.abs(late)[paid].mean()


def test_scores_are_integers_within_their_ranges(trained: Model, matrix: features.Floats) -> None:
    """Each figure is int64 and in range; grade, floor and expected loss follow from the PD."""
    scores = trained.score(matrix)
    for name in ("pd_ppm", "late_ppm", "grade", "days_late", "lgd_bps", "expected_loss_ppm"):
        assert getattr(scores, name).dtype == np.int64
        assert getattr(scores, name).shape == (len(matrix),)
    assert scores.pd_ppm.min() >= grades.PD_FLOOR_PPM
    assert (scores.grade == grades.grade_of(scores.pd_ppm)).all()
    assert np.abs(scores.expected_loss_ppm - scores.pd_ppm * 0.4).max() <= 0.5


def test_the_future_does_not_change_the_model(trained: Model, book: Trades) -> None:
    """Training on all facts and on what was known that evening, in any order, gives the same bytes."""
    shuffled = book.known_by(AS_OF).take(np.random.default_rng(1).permutation(len(book.known_by(AS_OF))))
    assert train(shuffled, as_of_day=AS_OF).to_json() == trained.to_json()


def test_scoring_one_row_or_many_is_the_same(trained: Model, matrix: features.Floats) -> None:
    """A row's score does not depend on its company."""
    whole = trained.score(matrix)
    for at in (0, 5, len(matrix) - 1):
        alone = trained.score(matrix[at : at + 1])
        assert alone.pd_ppm[0] == whole.pd_ppm[at]
        assert alone.days_late[0] == whole.days_late[at]
        assert alone.reason_codes[0] == whole.reason_codes[at]


def test_json_round_trip_is_exact(trained: Model, matrix: features.Floats) -> None:
    """A model read back has the same version, text and scores."""
    for made in (trained, Model.prior()):
        again = Model.from_json(made.to_json())
        assert again.to_json() == made.to_json()
        assert again.version == made.version
        assert made.version.startswith("mdl_")
        assert len(made.version) == 20
        assert same(again.score(matrix), made.score(matrix))


def test_the_band_holds_four_of_five(trained: Model, later: Trades, matrix: features.Floats) -> None:
    """Of later invoices about 80 % are paid within the band; it is whole days, and never turned round."""
    band = trained.days_band(matrix)
    paid = ~later.is_open
    late = later.settled_day - later.due_day
    assert 0.72 < ((late >= band.low) & (late <= band.high))[paid].mean() < 0.88
    assert (band.low <= band.high).all()
    assert band.low.dtype == band.high.dtype == np.int64
    prior = Model.prior().days_band(matrix)
    assert (prior.low == prior.high).all()


def test_reasons_are_in_the_catalogue(trained: Model, matrix: features.Floats) -> None:
    """Every row has one to four distinct known reasons."""
    for codes in trained.score(matrix).reason_codes:
        assert 1 <= len(codes) <= heads.REASONS_MAX
        assert len({*codes}) == len(codes)
        assert {*codes} <= {*reasons.CATALOGUE}


def test_reasons_point_the_right_way(trained: Model, matrix: features.Floats) -> None:
    """The riskiest rows are explained by what raises risk, the safest by what lowers it."""
    scores = trained.score(matrix)
    assert scores.reason_codes[int(scores.pd_ppm.argmax())][0].endswith(reasons.RAISES)
    assert scores.reason_codes[int(scores.pd_ppm.argmin())][0].endswith(reasons.LOWERS)


def test_catalogue_is_complete() -> None:
    """Every feature has one topic, every topic both directions, every text both languages."""
    assert {*reasons.TOPIC_OF} == {*features.NAMES}
    assert sum(len(names) for names in reasons.TOPICS.values()) == len(features.NAMES)
    for topic in (*reasons.TOPICS, reasons.NO_HISTORY):
        assert {topic + reasons.RAISES, topic + reasons.LOWERS} <= {*reasons.CATALOGUE}
    assert all(text.english.isascii() and not text.chinese.isascii() for text in reasons.CATALOGUE.values())


def test_an_unknown_payer_is_scored_for_lack_of_history(trained: Model) -> None:
    """Nothing known gives a score whose reasons say so."""
    stranger = Trades.from_rows([(9, 9, 1_000, AS_OF, AS_OF + 30, None)])
    scores = trained.score(features.build(Trades.from_rows([]), asked=stranger))
    assert any(code.startswith(reasons.NO_HISTORY) for code in scores.reason_codes[0])


def test_too_few_outcomes_fall_back_to_the_prior(book: Trades) -> None:
    """With few matured events, with none, and with no history at all, the card says prior and why."""
    few = book.take(book.issue_day < 18_010)
    for history in (few, Trades.from_rows([])):
        small = train(history, as_of_day=18_045)
        assert small.serious is None
        assert small.card["kind"] == "prior"
        assert small.card["serious"]["why"] == "too_few_outcomes"
        assert small.score(features.build(history, asked=few)).reason_codes == [["prior_model"]] * len(few)


def test_the_prior_moves_with_the_payer() -> None:
    """A stranger gets the prior; a payer who was seriously late gets more, a prompt one less."""
    bad: list[Row] = [(1, 1, 100, day, day + 10, None) for day in range(10)]
    good: list[Row] = [(2, 1, 100, day, day + 10, day + 9) for day in range(10)]
    asked = Trades.from_rows([(payer, 1, 100, 90, 100, None) for payer in (1, 2, 3)])
    scores = Model.prior().score(features.build(Trades.from_rows(bad + good), asked=asked))
    assert scores.pd_ppm.tolist() == [11_000_000 // 60, 1_000_000 // 60, 20_000]
    assert scores.late_ppm[0] > scores.late_ppm[2] > scores.late_ppm[1]
    assert scores.days_late.tolist() == [0, -1, 0]


def test_only_matured_labels_are_used(book: Trades) -> None:
    """The rows of the 30-day head are those due 30 days ago, after the warm-up; for lateness, those due."""
    card = train(book, as_of_day=AS_OF).card
    asked = book.take((book.issue_day <= AS_OF) & (book.issue_day >= book.issue_day.min() + model.WARM_UP_DAYS))
    assert card["serious"]["rows"] == (asked.due_day + 30 <= AS_OF).sum()
    assert card["late"]["rows"] == (asked.due_day <= AS_OF).sum()
    overdue = np.where(asked.settled_day <= AS_OF, asked.settled_day, NOT_SETTLED) - asked.due_day > 30
    assert card["serious"]["events"] == (overdue & (asked.due_day + 30 <= AS_OF)).sum()


def test_bad_matrices_and_horizons_are_refused(trained: Model, matrix: features.Floats) -> None:
    """Another width, infinity, and a horizon of no days are refused."""
    for wrong in (matrix[:, 1:], matrix[0], np.full((1, matrix.shape[1]), np.inf)):
        with pytest.raises(model.FeaturesUneven):
            trained.score(wrong)
    with pytest.raises(model.HorizonOutOfRange):
        train(Trades.from_rows([]), as_of_day=1, horizon_days=0)


def rehashed(made: Model, **changes: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a model's text with parts of its body changed and the version made to fit."""
    body = json.loads(made.to_json())["body"] | changes
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps({"body": body, "version": model._version_of(text)})


def test_a_changed_model_is_found(trained: Model) -> None:
    """One figure changed under the old version is refused by its hash."""
    with pytest.raises(model.ModelHashMismatch):
        Model.from_json(trained.to_json().replace('"lgd_bps":4000', '"lgd_bps":4001'))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"format": 1}, ModelFormatOld),
        ({"features": []}, ModelFormatOld),
        ({"lgd_bps": 20_000}, model.ModelUnreadable),
        ({"lgd_bps": "much"}, model.ModelUnreadable),
        ({"card": []}, model.ModelUnreadable),
        ({"serious": []}, heads.HeadUnreadable),
        ({"serious": {"names": ["unheard_of"]}}, heads.HeadUnreadable),
        ({"days": []}, days.ForestUnreadable),
        ({"days": {}}, days.ForestUnreadable),
    ],
)
def test_unfit_parts_are_refused(trained: Model, changes: dict[str, Any], refusal: type[Exception]) -> None:
    """A body of another format, or with an unfit part under a fitting hash, is refused by that part."""
    with pytest.raises(refusal):
        Model.from_json(rehashed(trained, **changes))


def test_wild_pointers_and_names_are_refused(trained: Model) -> None:
    """A tree that points outside itself and a head that names other features are refused."""
    body = json.loads(trained.to_json())["body"]
    body["days"]["left"][0] = 10**6
    with pytest.raises(days.ForestUnreadable):
        Model.from_json(rehashed(trained, days=body["days"]))
    body["serious"]["names"][0] = "unheard_of"
    with pytest.raises(heads.HeadUnreadable):
        Model.from_json(rehashed(trained, serious=body["serious"]))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"body": {}, "version": 1}', '{"body": {"x": NaN}}'])
def test_no_model_at_all_is_refused(text: str) -> None:
    """Text that holds no model is refused."""
    with pytest.raises(model.ModelUnreadable):
        Model.from_json(text)


def test_no_shift_without_recent_events(book: Trades) -> None:
    """Where the newest labels are all good, the intercept stays where all labels put it."""
    paid_on_time = np.where(book.due_day > AS_OF - 80, book.due_day, book.settled_day)
    facts = train(replace(book, settled_day=paid_on_time), as_of_day=AS_OF).card["serious"]
    assert facts["kind"] == "scorecard"
    assert not facts["shifted"]
