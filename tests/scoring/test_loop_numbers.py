"""Drift, promotion, losses learned, papers, products: the numbers of the closed loop."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import losses, products, promotion, sides
from scoring.drift import DriftUndecidable, Reference
from scoring.losses import OutcomesContradict, Prior
from scoring.products import Known, ladder, tailor
from scoring.promotion import EvidenceTooThin
from scoring.sides import Said


def test_same_population_is_rarely_called_drift() -> None:
    """At 99 % about one in a hundred samples of the same population is above the critical value, small or large."""
    chance = np.random.default_rng(1)
    for seen in (60, 2_000):
        alarms = sum(
            Reference.of(chance.normal(size=5_000)).stability(chance.normal(size=seen)).drifted for _ in range(200)
        )
        assert alarms <= 8


def test_another_population_is_drift() -> None:
    """A shift of half a deviation is seen in 500 rows; missing values that were not there before are drift as well."""
    chance = np.random.default_rng(2)
    learned = Reference.of(chance.normal(size=5_000))
    assert learned.stability(chance.normal(0.5, 1, 500)).drifted
    values = chance.normal(size=500)
    values[:50] = np.nan
    assert learned.stability(values).drifted


def test_psi_by_hand() -> None:
    """Two bins of 50/50 against 75/25: (0.25) ln(1.5) + (-0.25) ln(0.5); a constant or missing column has one bin."""
    found = Reference([0.0], [50, 50, 0]).stability(np.array([-1.0] * 75 + [1.0] * 25))
    assert found.psi == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))
    for flat in (np.full(10, 3.0), np.full(10, np.nan)):
        assert Reference.of(flat).stability(flat).psi == 0.0


def test_nothing_to_compare_is_refused() -> None:
    """No rows on a side is no stability."""
    with pytest.raises(DriftUndecidable):
        Reference.of([1.0, 2.0]).stability([])
    with pytest.raises(DriftUndecidable):
        Reference.of([]).stability([1.0])


def outcomes(*, payers: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true chances in ppm, outcomes drawn from them, and payers, ten rows each."""
    chance = np.random.default_rng(seed)
    truth = np.repeat(chance.uniform(0.02, 0.6, payers), 10)
    bad = chance.random(len(truth)) < truth
    return np.rint(truth * 1_000_000).astype(np.int64), bad, np.repeat(np.arange(payers), 10)


def test_the_truth_beats_a_guess() -> None:
    """A model that knows the chances is better than one that says the average, and the other way round worse."""
    truth, bad, payer = outcomes(payers=200)
    flat = np.full(len(bad), int(bad.mean() * 1_000_000))
    won = promotion.compare(flat, truth, outcome=bad, payer=payer)
    assert won.better
    assert won.low <= won.difference <= won.high < 0
    lost = promotion.compare(truth, flat, outcome=bad, payer=payer)
    assert not lost.better
    assert lost.low > 0
    assert promotion.compare(flat, truth, outcome=bad, payer=payer) == won


def test_rows_of_one_payer_count_together() -> None:
    """The same rows repeated within their payers narrow nothing: the interval is that of the payers."""
    truth, bad, payer = outcomes(payers=60)
    flat = np.full(len(bad), 300_000)
    once = promotion.compare(flat, truth, outcome=bad, payer=payer)
    often = promotion.compare(np.tile(flat, 9), np.tile(truth, 9), outcome=np.tile(bad, 9), payer=np.tile(payer, 9))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_a_model_is_not_better_than_itself() -> None:
    """No difference is no reason to change; certainty that was wrong is finite."""
    truth, bad, payer = outcomes(payers=60)
    assert not promotion.compare(truth, truth, outcome=bad, payer=payer).better
    sure = np.where(bad, 0, 1_000_000)
    assert np.isfinite(promotion.compare(truth, sure, outcome=bad, payer=payer).high)


@pytest.mark.parametrize(("payers", "spoil"), [(0, False), (29, False), (60, True)])
def test_thin_evidence_is_refused(payers: int, *, spoil: bool) -> None:
    """Nobody, too few payers, or a single class."""
    truth, bad, payer = outcomes(payers=payers)
    with pytest.raises(EvidenceTooThin):
        promotion.compare(truth, truth, outcome=bad & (not spoil), payer=payer)


def test_a_rate_begins_as_its_prior_and_forgets_it() -> None:
    """Nothing seen: the prior; as many outcomes as it weighs: half way; very many: what was seen."""
    prior = Prior(400_000, 20)
    assert losses.learn(0, lost_ppm=0, prior=prior).rate_ppm == 400_000
    assert losses.learn(20, lost_ppm=20 * 200_000, prior=prior).rate_ppm == 300_000
    assert losses.learn(10**6, lost_ppm=10**6 * 200_000, prior=prior).rate_ppm == pytest.approx(200_000, abs=5)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_learned_rate_lies_between(outcomes_seen: int, share_ppm: int) -> None:
    """Between prior and what was seen, always."""
    found = losses.learn(outcomes_seen, lost_ppm=outcomes_seen * share_ppm, prior=losses.LGD).rate_ppm
    assert min(share_ppm, 400_000) <= found <= max(share_ppm, 400_000)


@pytest.mark.parametrize(("seen", "lost_ppm"), [(1, 1_000_001), (1, -1), (0, 1)])
def test_losses_that_cannot_be(seen: int, lost_ppm: int) -> None:
    """More than all, less than nothing."""
    with pytest.raises(OutcomesContradict):
        losses.learn(seen, lost_ppm=lost_ppm, prior=losses.LGD)


SOUND = {
    "total_assets": 100.0, "total_liabilities": 40.0, "current_assets": 60.0, "current_liabilities": 25.0,
    "retained_earnings": 30.0, "ebit": 12.0,
}  # fmt: skip


def test_altman_by_hand() -> None:
    """6.56 x 0.35 + 3.26 x 0.30 + 6.72 x 0.12 + 1.05 x 60/40; without liabilities or assets there is none."""
    assert sides.altman(SOUND) == pytest.approx(6.56 * 0.35 + 3.26 * 0.3 + 6.72 * 0.12 + 1.05 * 1.5)
    for name in ("total_assets", "total_liabilities", "current_assets", "current_liabilities"):
        assert sides.altman({key: value for key, value in SOUND.items() if key != name}) is None


def test_papers_speak_in_the_right_direction() -> None:
    """Losses and debts raise the odds, an old statement weighs half, no paper weighs nothing."""
    sound = sides.statement_said(SOUND, age_days=100)
    poor = sides.statement_said(SOUND | {"ebit": -30.0, "retained_earnings": -40.0}, age_days=100)
    assert poor.logit_micro > sound.logit_micro
    assert sides.statement_said(SOUND, age_days=900).rows * 2 == sound.rows
    assert sides.statement_said({}, age_days=1) == sides.report_said(None) == sides.together([]) == Said()
    both = sides.together([sound, poor])
    assert sound.logit_micro < both.logit_micro < poor.logit_micro
    assert both.rows == sound.rows + poor.rows


REPORT = {"loans_minor": 1_000, "overdue_minor": 0, "worst_days_past_due": 0}


def test_a_report_speaks_in_the_right_direction() -> None:
    """Each figure that is worse raises the odds, a good score lowers them; what is absent moves nothing."""
    clean = sides.report_said(REPORT)
    assert clean == Said(round((sides.AVERAGE + sides.CLEAN) * 1_000_000), sides.REPORT_ROWS)
    worse: list[dict[str, int]] = [
        {"overdue_minor": 1}, {"overdue_minor": 1_000}, {"worst_days_past_due": 30}, {"worst_days_past_due": 120},
        {"court_cases": 1}, {"court_cases": 5}, {"inquiries": 3}, {"guarantees_minor": 500}, {"score": 500},
    ]  # fmt: skip
    assert all(sides.report_said(REPORT | one).logit_micro > clean.logit_micro for one in worse)
    assert sides.report_said(REPORT | {"score": 800}).logit_micro < clean.logit_micro
    assert sides.report_said(REPORT | {"court_cases": 5}) == sides.report_said(REPORT | {"court_cases": 500})
    assert sides.report_said({"loans_minor": 0, "overdue_minor": 9, "worst_days_past_due": 0}).rows


NEWCOMER = Known(
    identified=True, grade=None, settled=0, record_days=0, overdue=0, statements=0, report=False, controller=False
)
OLD_FRIEND = Known(
    identified=True, grade=2, settled=50, record_days=800, overdue=0, statements=3, report=True, controller=True,
    growth_bps=2_000, standing_bps=8_000,
)  # fmt: skip


def opened(known: Known) -> list[str]:
    """The products that are open."""
    return [one.product for one in ladder(known) if one.open]


def test_the_ladder_opens_with_what_is_known() -> None:
    """Nobody has anything before it was graded; each rung needs the ones below, and more."""
    assert opened(NEWCOMER) == []
    known = NEWCOMER._replace(grade=8)
    steps: list[dict[str, Any]] = [
        {},
        {"settled": 6, "record_days": 90},
        {"settled": 12, "record_days": 180, "statements": 1, "report": True, "grade": 6},
        {"record_days": 360, "statements": 2, "controller": True, "grade": 5},
        {"settled": 24, "growth_bps": 0, "standing_bps": 5_000},
    ]
    for count, step in enumerate(steps, start=1):
        known = known._replace(**step)
        assert opened(known) == [rung.product for rung in products.LADDER[:count]]


@pytest.mark.parametrize("change", [{"overdue": 1}, {"suspended": True}, {"identified": False}, {"grade": 10}])
def test_what_closes_everything(change: dict[str, Any]) -> None:
    """Something overdue, a suspended limit, nobody we can name, the worst grade."""
    assert opened(OLD_FRIEND) == [rung.product for rung in products.LADDER]
    assert opened(OLD_FRIEND._replace(**change)) == []


@given(st.none() | st.integers(-10_000, 10**6), st.none() | st.integers(0, 10_000))
def test_terms_to_measure_stay_near_the_rule(growth_bps: int | None, standing_bps: int | None) -> None:
    """Never more than 30 % off; more of the limit always goes with a longer term and a margin that is no higher."""
    known = OLD_FRIEND._replace(growth_bps=growth_bps, standing_bps=standing_bps)
    made = tailor(known, limit_minor=10**6, most_tenor_days=100, margin_bps=150)
    assert 700_000 <= made.limit_minor <= 1_300_000
    assert (made.limit_minor >= 10**6) == (made.most_tenor_days >= 100)
    assert made.margin_bps <= 150 if made.wider_bps >= 0 else made.margin_bps >= 150


def test_terms_to_measure_by_hand() -> None:
    """Growth of 20 % (a fifth of the way to half as much again, twice) and the 80th place of a hundred."""
    made = tailor(OLD_FRIEND, limit_minor=10**6, most_tenor_days=100, margin_bps=150)
    assert made == products.Tailored(1_150_000, 115, 128, 1_500)
