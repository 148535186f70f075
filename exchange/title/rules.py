"""What may be done to a claim besides selling it, and how amounts are shared out. Integers only: none is lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import NamedTuple

from exchange import books
from exchange.auth import Caller, Role
from exchange.errors import Fault, Refusal
from exchange.parties.rules import identifier_fault
from exchange.schedules.schedule import Schedule, split
from exchange.shares import apportion
from ledger.books import Leg

MAX_PARTS = 50
"""So many parts are named in one signed record; a part can be split again."""
KINDS = ("pledge", "lien", "court_order", "set_off")
PRIORITY = 100
"""An encumbrance's priority where none is stated: then time decides."""


class AlreadyReleased(Refusal):
    """The encumbrance holds nothing any more."""

    code = "already_released"
    title = "The encumbrance was released before"


class AlreadyAcknowledged(Refusal):
    """The obligor's acknowledgement is recorded already."""

    code = "already_acknowledged"
    title = "The notice was acknowledged before"


class EvidenceNeeded(Refusal):
    """Whoever speaks for the obligor has to show on what ground."""

    code = "evidence_needed"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The digest of the obligor's acknowledgement is needed"


class Refused(NamedTuple):
    """Why one item of a batch is not done: a status that reads like HTTP's, and the fault."""

    status: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Title:
    """A claim under its lock, as title sees it. `holder` is the company as `scheme:value`; amounts in minor units."""

    asset_id: str
    root_id: str
    originator_id: str
    obligor_id: str
    holder_id: str
    holder: str
    held_since: date
    currency: str
    due_date: date
    outstanding_minor: int
    encumbered_minor: int
    state: str
    pool_id: str | None
    funder_id: str | None
    schedule: Schedule = ()
    """The instalments still open, where not all is due on `due_date`."""
    disputed: bool = False

    @property
    def free_minor(self) -> int:
        """What is owed and not encumbered."""
        return self.outstanding_minor - self.encumbered_minor

    def may_be_moved_by(self, caller: Caller) -> bool:
        """Whether the caller disposes of it: its funder, or before that the platform that serves its holder."""
        if caller.role is Role.FUNDER:
            return self.state == "assigned" and self.funder_id == caller.party_id
        return caller.role is Role.OPERATOR or self.originator_id == caller.party_id


class Priced(NamedTuple):
    """What a funder's pool says of an asset: the parts of its face, and what it still expects from the obligor."""

    price_minor: int
    discount_minor: int
    due_minor: int


class Part(NamedTuple):
    """A part of a claim: an asset of its own. `schedule` are its instalments, where not all is due on `due_date`."""

    asset_id: str
    amount_minor: int
    due_date: date
    schedule: Schedule = ()

    @property
    def schedule_version(self) -> int | None:
        """The version of its instalments that is in force."""
        return 1 if self.schedule else None


class PartPrice(NamedTuple):
    """The same for one part: price, discount and holdback sum to `face_minor`."""

    face_minor: int
    price_minor: int
    discount_minor: int
    holdback_minor: int


def cover(amounts_minor: Sequence[int], *, outstanding_minor: int) -> list[int]:
    """What encumbrances, highest rank first, still hold of a claim of which so much is owed.

    What is paid or credited uses up the free amount first, then the lowest rank.
    """
    left_minor = outstanding_minor
    held = []
    for amount_minor in amounts_minor:
        held.append(min(amount_minor, left_minor))
        left_minor -= held[-1]
    return held


def parts_of(title: Title, *, asset_ids: Sequence[str], amounts_minor: Sequence[int]) -> list[Part]:
    """The parts of a claim: what is open of each instalment is shared among them. One instalment is a due date."""
    if not title.schedule:
        return [Part(*one, title.due_date) for one in zip(asset_ids, amounts_minor, strict=True)]
    shared = split(title.schedule, shares_minor=amounts_minor)
    return [
        Part(asset_id, amount_minor, schedule[-1].due_date, schedule if len(schedule) > 1 else ())
        for asset_id, amount_minor, schedule in zip(asset_ids, amounts_minor, shared, strict=True)
    ]


def split_price(priced: Priced, *, amounts_minor: Sequence[int]) -> list[PartPrice]:
    """What each part of a funded asset is worth to its pool: `amounts_minor` sum to what is owed.

    What the funder still expects is shared in proportion to the parts, and of that the discount in proportion to its
    place in price and discount; the rest of a part is holdback.
    """
    dues = apportion(priced.due_minor, amounts_minor)
    discount_minor = priced.discount_minor * priced.due_minor // max(priced.price_minor + priced.discount_minor, 1)
    discounts = apportion(discount_minor, dues) if priced.due_minor else [0] * len(dues)
    return [
        PartPrice(amount_minor, due_minor - part_discount_minor, part_discount_minor, amount_minor - due_minor)
        for amount_minor, due_minor, part_discount_minor in zip(amounts_minor, dues, discounts, strict=True)
    ]


def split_legs(title: Title, *, parts: Sequence[Part]) -> tuple[Leg, ...]:
    """A funder's units of the asset are retired, and units of its parts issued, in one transfer."""
    holder = books.funder_title(str(title.funder_id))
    legs = [Leg(holder, title.asset_id, -title.outstanding_minor)]
    legs.append(Leg(books.ISSUED, title.asset_id, title.outstanding_minor))
    for part in parts:
        units_minor = part.amount_minor
        legs += [Leg(books.ISSUED, part.asset_id, -units_minor), Leg(holder, part.asset_id, units_minor)]
    return tuple(legs)


def refuse_split(
    title: Title | None, *, caller: Caller, asset_id: str, amounts_minor: Sequence[int], today: date, at: str
) -> Refused | None:
    """Why the caller cannot split a claim into these parts, or None."""
    if title is None or not title.may_be_moved_by(caller):
        return not_found(asset_id, at)
    if title.disputed or title.state != ("assigned" if caller.role is Role.FUNDER else "free"):
        return _in_state(title, at)
    if today > title.due_date:
        return _past_due(title, at)
    if sum(amounts_minor) != title.outstanding_minor:
        message = f"parts have to sum to what is owed, {title.outstanding_minor}"
        return Refused(422, Fault("parts_differ", f"{at}/amounts_minor", message, sum(amounts_minor)))
    if amounts_minor[0] < title.encumbered_minor:
        message = f"the first part takes over what is encumbered, {title.encumbered_minor}"
        return Refused(422, Fault("encumbrance_not_covered", f"{at}/amounts_minor/0", message, amounts_minor[0]))
    return None


def refuse_transfer(
    title: Title | None, *, caller: Caller, asset_id: str, effective_date: date, today: date, at: str
) -> Refused | None:
    """Why the caller cannot hand a claim on from that day, whoever the new holder is, or None."""
    if title is None or not title.may_be_moved_by(caller):
        return not_found(asset_id, at)
    if title.disputed or title.state != "free":
        return _in_state(title, at)
    if title.encumbered_minor:
        message = "split the encumbered amount off first"
        return Refused(409, Fault("claim_encumbered", f"{at}/asset_id", message, title.encumbered_minor))
    if today > title.due_date:
        return _past_due(title, at)
    if not title.held_since <= effective_date <= today:
        message = f"from {title.held_since}, since when its holder has it, to today, {today}"
        return Refused(422, Fault("effective_date_out_of_order", f"{at}/effective_date", message, effective_date))
    return None


def refuse_identifier(scheme: str, value: str, *, at: str) -> Refused | None:
    """Why this names no company, or None."""
    fault = identifier_fault(scheme, value)
    return None if fault is None else Refused(422, Fault(fault[0], f"{at}/holder/value", fault[1], value))


def refuse_holder(title: Title, *, holder_id: str, at: str) -> Refused | None:
    """Why a company cannot be the next holder, or None: the debt of who holds the claim would be its own."""
    if holder_id == title.holder_id:
        return Refused(422, Fault("same_holder", f"{at}/holder", "the holder has it already"))
    if holder_id == title.obligor_id:
        return Refused(422, Fault("holder_is_obligor", f"{at}/holder", "nobody holds a claim on itself"))
    return None


def refuse_encumbrance(
    title: Title | None, *, caller: Caller, asset_id: str, kind: str, amount_minor: int, at: str
) -> Refused | None:
    """Why so much of a claim cannot be encumbered, or None. A court's order takes an asset out of an offer."""
    if title is None or not title.may_be_moved_by(caller):
        return not_found(asset_id, at)
    if title.state == "assigned" and caller.role is Role.PLATFORM:
        return _in_state(title, at)
    offered = title.state in {"reserved", "committed"}
    if title.state in {"split", "closed"} or (offered and kind != "court_order"):
        return _in_state(title, at)
    if amount_minor > title.free_minor:
        message = f"not above the free amount, {title.free_minor}"
        return Refused(422, Fault("more_than_free", f"{at}/amount_minor", message, amount_minor))
    return None


def not_found(asset_id: str, at: str) -> Refused:
    """There is no such asset, or it is not the caller's."""
    return Refused(404, Fault("not_found", f"{at}/asset_id", "no such asset", asset_id))


def _in_state(title: Title, at: str) -> Refused:
    if title.disputed:
        return Refused(409, Fault("claim_disputed", f"{at}/asset_id", "its obligor disputes it", title.asset_id))
    message = f"the claim is {title.state}"
    return Refused(409, Fault("claim_not_free", f"{at}/asset_id", message, title.asset_id))


def _past_due(title: Title, at: str) -> Refused:
    message = f"it was due on {title.due_date}"
    return Refused(409, Fault("claim_past_due", f"{at}/asset_id", message, title.asset_id))
