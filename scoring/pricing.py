"""The discount an asset must bear: expected loss, money and margin, each shown."""

from dataclasses import dataclass

from scoring.errors import ScoringError

PPM = 1_000_000
BPS = 10_000
PPM_PER_BPS = 100
YEAR_DAYS = 360
"""Money-market year: actual days over 360."""


class PriceInputOutOfRange(ScoringError):
    """A probability or share is outside 0 .. 1, or a tenor or rate is negative."""

    code = "price_input_out_of_range"


class DiscountExceedsFace(ScoringError):
    """The required discount would take the whole face: there is no price."""

    code = "price_discount_exceeds_face"


@dataclass(frozen=True)
class Discount:
    """A required discount in bps of face, and its parts in ppm; `rounding_ppm` makes them sum exactly."""

    expected_loss_ppm: int
    dilution_ppm: int
    funding_ppm: int
    margin_ppm: int
    rounding_ppm: int
    total_bps: int


def required_discount_bps(
    pd_ppm: int,
    *,
    lgd_bps: int,
    tenor_days: int,
    cost_of_funds_bps: int,
    margin_bps: int,
    dilution_loss_ppm: int = 0,
) -> Discount:
    """Return the discount on face that covers expected loss, dilution, funding and margin over the tenor.

    Expected loss is PD x LGD of this one asset, `dilution_loss_ppm` what credit notes take; `cost_of_funds_bps` and
    `margin_bps` are simple yearly rates on face, by actual days over 360. Each part is rounded up to 1 ppm and the
    total up to 1 bps, in the funder's favour. Refuses: PriceInputOutOfRange, DiscountExceedsFace (100 % or more).
    """
    shares_fit = 0 <= pd_ppm <= PPM and 0 <= lgd_bps <= BPS and 0 <= dilution_loss_ppm <= PPM
    if not shares_fit or min(tenor_days, cost_of_funds_bps, margin_bps) < 0:
        raise PriceInputOutOfRange("PD and LGD must lie within 0 .. 1; tenor and rates must not be negative")
    expected_loss_ppm = _divide_up(pd_ppm * lgd_bps, by=BPS)
    funding_ppm = _divide_up(cost_of_funds_bps * PPM_PER_BPS * tenor_days, by=YEAR_DAYS)
    margin_ppm = _divide_up(margin_bps * PPM_PER_BPS * tenor_days, by=YEAR_DAYS)
    exact_ppm = expected_loss_ppm + dilution_loss_ppm + funding_ppm + margin_ppm
    total_bps = _divide_up(exact_ppm, by=PPM_PER_BPS)
    if total_bps >= BPS:
        raise DiscountExceedsFace(f"a discount of {total_bps} bps leaves nothing to pay")
    rounding_ppm = total_bps * PPM_PER_BPS - exact_ppm
    return Discount(expected_loss_ppm, dilution_loss_ppm, funding_ppm, margin_ppm, rounding_ppm, total_bps)


def _divide_up(amount: int, *, by: int) -> int:
    """Return amount / by rounded up."""
    return -(-amount // by)
