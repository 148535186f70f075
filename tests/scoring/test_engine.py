"""The whole that judges: written and read to the bit, damaged files refused, company and controller heard."""

import json
from dataclasses import replace

import numpy as np
import pytest

from scoring import features, model_file
from scoring.engine import PRIOR_JOIN, Engine, KnownSides, Rates, VoiceUnknown, train
from scoring.facts import Trades
from scoring.join import Join
from scoring.model import FeaturesUneven, Model, ModelHashMismatch
from scoring.model_file import LibraryMismatch, ModelFileHashMismatch, ModelFileUnreadable
from scoring.odds import MICRO
from tests.scoring.conftest import synthetic_book

LAST_DAY = 18_365


@pytest.fixture(scope="module")
def book() -> Trades:
    """Return 1,500 synthetic invoices."""
    return synthetic_book(rows=1_500, seed=11)


@pytest.fixture(scope="module")
def engine(book: Trades) -> Engine:
    """Return an engine with every part."""
    said: list[str] = []
    made = train(book, as_of_day=LAST_DAY, horizon_days=30, say=said.append)
    assert len(said) == 4
    return made


@pytest.fixture(scope="module")
def matrix(book: Trades) -> features.Floats:
    """Return the features of the newest 300 invoices."""
    return features.build(book, asked=book.take(np.arange(len(book))[-300:]))


def sides(rows: int, **columns: int) -> KnownSides:
    """Return the same knowledge for every row."""
    names = KnownSides._fields
    return KnownSides(*(np.full(rows, columns.get(name, 0), dtype=np.int64) for name in names))


def test_a_file_reads_back_to_the_bit(engine: Engine, matrix: features.Floats) -> None:
    """The same version, and the same integers in every column, one by one or all at once."""
    again = Engine.from_json(engine.to_json())
    assert again.version == engine.version
    first, second = engine.judge(matrix), again.judge(matrix)
    one_by_one = [again.judge(matrix[at : at + 1]) for at in range(0, 300, 60)]
    for found in (second, None):
        rows = slice(None) if found else slice(0, 300, 60)
        for name in ("champion_ppm", "challenger_ppm", "unpaid_ppm", "dilution_loss_ppm"):
            other = getattr(found, name) if found else np.concatenate([getattr(one, name) for one in one_by_one])
            assert np.array_equal(getattr(first, name)[rows], other)
    assert first.scores.reason_codes == second.scores.reason_codes


def test_the_same_facts_give_the_same_bytes(engine: Engine, book: Trades) -> None:
    """In whatever order they come."""
    order = np.random.default_rng(0).permutation(len(book))
    assert train(book.take(order), as_of_day=LAST_DAY, horizon_days=30).to_json() == engine.to_json()


def test_a_bare_champion_is_the_file_it_always_was(engine: Engine, matrix: features.Floats) -> None:
    """What an exchange kept before reads as an engine of the same version that scores as it did."""
    old = engine.champion
    read = Engine.from_json(old.to_json())
    assert (read.version, read.to_json()) == (old.version, old.to_json())
    judged, scores = read.judge(matrix).scores, old.score(matrix)
    for name in ("pd_ppm", "late_ppm", "grade", "days_late", "lgd_bps", "expected_loss_ppm"):
        assert np.array_equal(getattr(judged, name), getattr(scores, name))
    assert read.judge(matrix).challenger_ppm is None


def test_damaged_files_are_refused(engine: Engine) -> None:
    """By a code: a changed figure, another library, a part that is missing, text that is none, another kind."""
    text = engine.to_json()
    changed = text.replace('"voice":"scorecard"', '"voice":"challenger"')
    with pytest.raises(ModelFileHashMismatch):
        Engine.from_json(changed)
    outer = json.loads(text)
    for name, refusal in (("libraries", LibraryMismatch), ("body", ModelFileUnreadable), ("kind", ModelFileUnreadable)):
        content = {**outer["content"], name: {"numpy": "0.1"} if name != "kind" else "hazard"}
        canonical = model_file._canonical(content)
        sealed = f'{{"content":{canonical},"sha256":"{model_file._digest(canonical)}"}}'
        with pytest.raises(refusal):
            Engine.from_json(sealed)
    with pytest.raises(ModelFileUnreadable):
        Engine.from_json('{"content":')
    bare = Model.prior().to_json().replace("4000", "4001")
    with pytest.raises(ModelHashMismatch):
        Engine.from_json(bare)


def test_voices(engine: Engine, matrix: features.Floats) -> None:
    """Either part may give the chance; the other stays beside it; a voice that was not fitted is refused."""
    other = engine.speaking("challenger")
    assert other.version != engine.version
    assert other.speaking("scorecard").version == engine.version
    judged = other.judge(matrix)
    assert judged.challenger_ppm is not None
    assert np.array_equal(judged.scores.pd_ppm, judged.challenger_ppm)
    assert np.array_equal(judged.champion_ppm, engine.pd_ppm(matrix))
    assert Engine.from_json(other.to_json()).voice == "challenger"
    for voice in ("challenger", "oracle"):
        with pytest.raises(VoiceUnknown):
            Engine().speaking(voice)


def test_expected_loss_has_both_risks(engine: Engine, matrix: features.Floats) -> None:
    """PD x LGD and dilution x LGD, each to the nearest ppm."""
    judged = engine.judge(matrix, rates=Rates(2_500, 10_000))
    assert set(judged.dilution_loss_ppm.tolist()) == {2_500}
    wanted = (judged.scores.pd_ppm * 2_500 + 5_000) // 10_000 + 2_500
    assert np.array_equal(judged.scores.expected_loss_ppm, wanted)


def test_nothing_known_moves_nothing(engine: Engine, matrix: features.Floats) -> None:
    """Rows without papers are judged as if there were no join."""
    assert np.array_equal(
        engine.judge(matrix, sides=KnownSides.nothing(300)).scores.pd_ppm, engine.judge(matrix).scores.pd_ppm
    )


def test_the_worse_side_caps(engine: Engine, matrix: features.Floats) -> None:
    """A bad controller raises every chance, the more rows it is known by; a good one lowers; reasons say so."""
    plain = engine.judge(matrix).scores
    bad = [
        engine.judge(matrix, sides=sides(300, controller_micro=2 * MICRO, controller_rows=rows)).scores
        for rows in (2, 8, 80)
    ]
    good = engine.judge(matrix, sides=sides(300, controller_micro=-9 * MICRO, controller_rows=80)).scores
    assert (bad[0].pd_ppm <= bad[1].pd_ppm).all()
    assert (bad[1].pd_ppm <= bad[2].pd_ppm).all()
    safe = plain.pd_ppm < 20_000
    assert safe.any()
    assert (bad[2].pd_ppm[safe] > plain.pd_ppm[safe]).all()
    assert (good.pd_ppm < bad[0].pd_ppm).all()
    assert {codes[0] for codes in bad[2].reason_codes} == {"controller_facts_raises_risk"}
    assert {codes[0] for codes in good.reason_codes} == {"controller_facts_lowers_risk"}
    company = engine.judge(matrix, sides=sides(300, company_micro=MICRO, company_rows=10)).scores
    assert {codes[0] for codes in company.reason_codes} == {"company_facts_raises_risk"}


def test_a_join_of_its_own_is_another_version(engine: Engine) -> None:
    """Fitted weights are part of the content."""
    fitted = replace(engine, join=Join(-3.0, (1.0, 0.5, 0.0), -3.0))
    assert fitted.version != engine.version
    assert Engine.from_json(fitted.to_json()).join.weights == (1.0, 0.5, 0.0)
    assert (fitted.card["join"], engine.card["join"]) == ("fitted", "prior")
    assert PRIOR_JOIN.weights == (0.7, 0.2, 0.3)


def test_too_little_to_learn_from(book: Trades) -> None:
    """One class, or next to no rows: the prior speaks, labelled, and nothing else is fitted."""
    paid = replace(book, settled_day=book.due_day)
    made = train(paid, as_of_day=LAST_DAY, horizon_days=30)
    assert (made.champion.serious, made.challenger, made.hazard) == (None, None, None)
    assert made.card["kind"] == "prior"


def test_what_is_no_matrix(engine: Engine) -> None:
    """Too narrow, or infinite: refused by a code."""
    for wrong in (np.zeros((2, 3)), np.full((1, len(features.NAMES)), np.inf)):
        with pytest.raises(FeaturesUneven):
            engine.judge(wrong)


def test_rows_of_which_nothing_is_known(engine: Engine) -> None:
    """All values missing is a payer without a record: a chance like any other, with its reasons."""
    judged = engine.judge(np.full((2, len(features.NAMES)), np.nan)).scores
    assert ((judged.pd_ppm >= 500) & (judged.pd_ppm < 1_000_000)).all()
    assert judged.reason_codes[0] == judged.reason_codes[1]
