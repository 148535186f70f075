"""What is lost when it goes wrong: rates that begin as labelled priors and learn from what came back."""

from typing import NamedTuple

from scoring.errors import ScoringError

PPM = 1_000_000


class OutcomesContradict(ScoringError):
    """More was lost than was at stake, or an amount is negative."""

    code = "loss_outcomes_contradict"


class Prior(NamedTuple):
    """A rate in ppm that stands for so many outcomes."""

    rate_ppm: int
    weight: int


LGD = Prior(400_000, 20)
"""Foundation IRB, senior unsecured corporate claims (Basel III final reforms, 2017)."""
DILUTION = Prior(5_000, 500)
"""Half a percent of face credited away: a guess, labelled as one; 500 invoices outweigh it."""


class Learned(NamedTuple):
    """A rate in ppm, the outcomes it was learned from, and the prior that was mixed in."""

    rate_ppm: int
    outcomes: int
    prior: Prior


def learn(outcomes: int, *, lost_ppm: int, prior: Prior) -> Learned:
    """Return the mean share lost over so many outcomes, whose shares in ppm sum to `lost_ppm`, mixed with the prior.

    Each outcome counts once whatever its size: a large one tells no more about the next than a small one. To the
    nearest ppm. Refuses: OutcomesContradict.
    """
    if not 0 <= lost_ppm <= outcomes * PPM:
        raise OutcomesContradict(f"{outcomes} outcomes lose between nothing and all, not {lost_ppm} ppm together")
    total = lost_ppm + prior.rate_ppm * prior.weight
    rows = outcomes + prior.weight
    return Learned((2 * total + rows) // (2 * rows), outcomes, prior)
