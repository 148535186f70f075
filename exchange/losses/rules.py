"""When an asset has gone wrong, who may ask for what; and the refusals."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from exchange.errors import Fault, Refusal
from exchange.settlement.rules import Position

PPM = 1_000_000
DISPUTED = {
    "goods_returned": "return",
    "not_delivered": "short_delivery",
    "short_delivery": "short_delivery",
    "quality": "price_adjustment",
    "price": "price_adjustment",
    "set_off": "set_off",
    "other": "price_adjustment",
}
"""What obligors object to, and what the credit note says where they are right."""
OUTCOMES = ("rejected", "upheld", "partly_upheld")


class NothingOwed(Refusal):
    """Nobody owes anything on the claim."""

    code = "nothing_owed"
    title = "Nothing is owed on this asset"


class MoreThanOutstanding(Refusal):
    """The amount is more than there is."""

    code = "more_than_outstanding"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "More than what is owed"


class AlreadyResolved(Refusal):
    """The dispute has its outcome."""

    code = "already_resolved"
    title = "The dispute was resolved before"


class ResolutionRefused(Refusal):
    """The outcome and what is credited do not go together, or the credit note cannot be entered."""

    code = "resolution_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The dispute cannot be resolved like this"


class NotHeld(Refusal):
    """No funder holds the asset, or not the one that was asked."""

    code = "not_held"
    title = "No funder holds this asset"


class ClaimEncumbered(Refusal):
    """Somebody else has a right in the asset."""

    code = "claim_encumbered"
    title = "The asset is encumbered"


class AlreadyProposed(Refusal):
    """The funder was asked before and has not answered."""

    code = "already_proposed"
    title = "A repurchase of this asset waits for an answer"


class AlreadyAnswered(Refusal):
    """The repurchase, or the write-off, has its answer."""

    code = "already_answered"
    title = "This was answered before"


class NotEnoughCash(Refusal):
    """The holder has less here than the price. Nothing is done; the same request is right once it has it."""

    code = "not_enough_cash"
    title = "The holder has not enough money here"
    definitive = False


class MilderThanPolicy(Refusal):
    """The schedule gives up more by now."""

    code = "milder_than_policy"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The policy gives up more"


class SecondPersonNeeded(Refusal):
    """Who asked for it cannot be who approves it."""

    code = "second_person_needed"
    title = "Somebody else has to decide"


class AlreadyRequested(Refusal):
    """A write-off of the asset waits for a second person."""

    code = "already_requested"
    title = "A write-off of this asset waits for a decision"


class NothingToRecover(Refusal):
    """The asset counts as good, and nothing of it was given up."""

    code = "nothing_to_recover"
    title = "There is nothing to recover on this asset"


def check_amount(amount_minor: int, *, owed_minor: int) -> None:
    """Refuse where nothing is owed (`NothingOwed`), and more than is (`MoreThanOutstanding`)."""
    if not owed_minor:
        raise NothingOwed("The claim is closed.")
    if amount_minor > owed_minor:
        fault = Fault("more_than_outstanding", "/amount_minor", f"not above {owed_minor}", amount_minor)
        raise MoreThanOutstanding("Ask for less.", faults=(fault,), outstanding_minor=owed_minor)


def credited_minor(outcome: str, *, disputed_minor: int, owed_minor: int, body: dict[str, Any]) -> int:
    """What a dispute's outcome credits: nothing, all of it as far as it is owed still, or what the body says.

    Refuses (`ResolutionRefused`) an amount or a note's number that do not go with the outcome.
    """
    asked, note = body.get("credited_minor"), body.get("note_number")
    faults = []
    if (outcome == "partly_upheld") != (asked is not None):
        faults.append(
            Fault("contradictory_amount", "/credited_minor", "for what is upheld in part, and only then", asked)
        )
    if (outcome != "rejected") != (note is not None):
        faults.append(Fault("contradictory_note", "/note_number", "for what is upheld, and only then", note))
    if asked is not None and asked >= disputed_minor:
        faults.append(Fault("not_a_part", "/credited_minor", f"below what is disputed, {disputed_minor}", asked))
    if faults:
        raise ResolutionRefused("Outcome and credit note have to fit.", faults=tuple(faults))
    if outcome == "rejected":
        return 0
    if not owed_minor:
        raise NothingOwed("Nothing is left to credit: reject it.")
    return min(disputed_minor if asked is None else asked, owed_minor)


def recourse_minor(position: Position, *, recourse: str, limited_ppm: int) -> int:
    """What the holder answers for when the obligor defaults: all the funder lacks, a share of it, or nothing."""
    share_ppm = {"with": PPM, "limited": limited_ppm, "without": 0}[recourse]
    return position.funder_lacks_minor * share_ppm // PPM


def still_to_give_up(position: Position, *, given_up_minor: int, share_ppm: int) -> int:
    """What is missing to the share of a schedule: of what would be owed had nothing been given up."""
    whole_minor = position.outstanding_minor + given_up_minor
    return min(max(whole_minor * share_ppm // PPM - given_up_minor, 0), position.outstanding_minor)


def check_mildness(amount_minor: int, *, least_minor: int) -> None:
    """Refuse to give up less than the schedule has by now (`MilderThanPolicy`)."""
    if amount_minor < least_minor:
        fault = Fault("milder_than_policy", "/amount_minor", f"not below {least_minor}", amount_minor)
        raise MilderThanPolicy("The schedule gives up more.", faults=(fault,), least_minor=least_minor)


def owed_minor(positions: Sequence[Position]) -> int:
    """What is owed on claims together, without charges."""
    return sum(position.outstanding_minor for position in positions)
