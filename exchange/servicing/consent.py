"""How far an originator and an owner may agree to wait, and why a proposal or an answer cannot stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from itertools import pairwise
from typing import Literal, NamedTuple

from msgspec import Struct

from exchange.errors import Fault, Refusal
from exchange.schedules.schedule import MOST_INSTALMENTS
from exchange.servicing.rules import Pause
from exchange.servicing.terms import Day, Forbearance

KINDS = ("pause", "resume", "reschedule", "reset")
Kind = Literal["pause", "resume", "reschedule", "reset"]
UNOWNED, BEFOREHAND, ALWAYS = "unowned", "consent_policy", "resume"
"""Who answered, where nobody has to be asked: nobody owns the asset, its owner agreed beforehand, it ends a pause."""


class AssetNotOpen(Refusal):
    """Nothing is owed on the asset."""

    code = "asset_closed"
    title = "Nothing is owed on the asset any more"


class AssetSplit(Refusal):
    """The asset's parts stand for it, each with an owner of its own."""

    code = "asset_split"
    title = "The asset was split: propose it for its parts"


class AssetInOffer(Refusal):
    """The terms of an offer never change."""

    code = "asset_in_offer"
    title = "The asset is in an offer"


class AlreadyPaused(Refusal):
    """Days that are paused cannot be paused again."""

    code = "already_paused"
    title = "The asset is paused already"


class NotPaused(Refusal):
    """There is no pause to end."""

    code = "not_paused"
    title = "The asset is not paused"


class ForbearancePending(Refusal):
    """One proposal at a time waits for its answer."""

    code = "forbearance_pending"
    title = "A proposal for this asset waits for its answer"


class BeyondPolicy(Refusal):
    """The servicing policy does not go so far."""

    code = "beyond_policy"
    title = "The servicing policy does not allow that"


class TermsRefused(Refusal):
    """Dates or amounts of the proposal cannot be; the faults say which."""

    code = "forbearance_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The proposal cannot stand"


class AlreadyAnswered(Refusal):
    """An answer is final."""

    code = "already_answered"
    title = "The proposal was answered before"


class OverTaken(Refusal):
    """What was proposed does not fit any more: time has passed, or something was paid."""

    code = "forbearance_overtaken"
    title = "The proposal does not fit any more"


class Due(NamedTuple):
    """What is to be due when, after a reschedule."""

    due_date: date
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an originator asks for. A pause is from a day until before another; a reschedule has its instalments."""

    kind: Kind
    from_date: date
    until_date: date | None
    instalments: tuple[Due, ...]
    reason: str


class Asset(NamedTuple):
    """The claim a proposal is about: what is owed by when, its pauses, and how often somebody waited already."""

    state: str
    outstanding_minor: int
    due_date: date
    pauses: tuple[Pause, ...]
    times: int


class Consent(Struct, forbid_unknown_fields=True, frozen=True):
    """What a funder agrees to beforehand: kinds, days of a pause or of an extension, how often for one asset."""

    kinds: tuple[Literal["pause", "reschedule", "reset"], ...]
    max_days: Day
    max_count: int


def check_open(asset: Asset) -> None:
    """Refuse an asset that nothing can be agreed on (`AssetSplit`, `AssetNotOpen`, `AssetInOffer`)."""
    if asset.state == "split":
        raise AssetSplit("Its parts stand for it.")
    if not asset.outstanding_minor:
        raise AssetNotOpen("Nothing is owed on it any more.")
    if asset.state in {"reserved", "committed"}:
        raise AssetInOffer("Its terms are those of an offer: wait for the answer.")


def check(proposal: Proposal, asset: Asset, *, policy: Forbearance, today: date) -> None:
    """Refuse a proposal that cannot stand.

    `check_open`'s, `TermsRefused`, `AlreadyPaused`, `NotPaused`, `BeyondPolicy`.
    """
    check_open(asset)
    faults = [*_date_faults(proposal, today), *_instalment_faults(proposal, asset, today)]
    if faults:
        raise TermsRefused("Its dates or amounts cannot be.", faults=tuple(faults))
    if proposal.kind == "resume":
        if not any(one.start <= today < one.end for one in asset.pauses):
            raise NotPaused("No pause is on today.")
        return
    if proposal.until_date is not None and any(
        one.start < proposal.until_date and proposal.from_date < one.end for one in asset.pauses
    ):
        raise AlreadyPaused("Some of these days are paused already.")
    most = policy.max_pause_days if proposal.kind == "pause" else policy.max_extension_days
    if days(proposal, asset) > most:
        raise BeyondPolicy("It is too long.", days=days(proposal, asset), max_days=most)
    if asset.times >= policy.max_count:
        raise BeyondPolicy("It is once too often.", count=asset.times, max_count=policy.max_count)


def days(proposal: Proposal, asset: Asset) -> int:
    """How long a proposal lets the owner wait: the days of a pause, or those a reschedule adds to the last date."""
    if proposal.until_date is not None:
        return (proposal.until_date - proposal.from_date).days
    return max((proposal.instalments[-1].due_date - asset.due_date).days, 0) if proposal.instalments else 0


def is_agreed(proposal: Proposal, asset: Asset, *, consent: Consent | None) -> bool:
    """Whether an owner agreed to this beforehand."""
    if consent is None or proposal.kind not in consent.kinds:
        return False
    return days(proposal, asset) <= consent.max_days and asset.times < consent.max_count


def check_still_fits(proposal: Proposal, asset: Asset, *, today: date) -> None:
    """Refuse to agree to what does not fit any more (`OverTaken`, and `check_open`'s)."""
    check_open(asset)
    if proposal.until_date is not None and proposal.until_date <= today:
        raise OverTaken("The pause would be over.", until_date=proposal.until_date.isoformat())
    if proposal.instalments:
        total_minor = sum(one.amount_minor for one in proposal.instalments)
        if total_minor != asset.outstanding_minor:
            raise OverTaken(
                "Something else is owed by now.", proposed_minor=total_minor, outstanding_minor=asset.outstanding_minor
            )
        if proposal.instalments[0].due_date <= today:
            raise OverTaken("Its first date is here.", due_date=proposal.instalments[0].due_date.isoformat())


def _date_faults(proposal: Proposal, today: date) -> list[Fault]:
    faults = []
    if proposal.from_date < today:
        faults.append(Fault("date_in_past", "/from_date", f"not before today, {today}", proposal.from_date))
    elif proposal.kind != "pause" and proposal.from_date > today:
        faults.append(Fault("date_in_future", "/from_date", f"today, {today}: only a pause waits", proposal.from_date))
    if (proposal.kind == "pause") != (proposal.until_date is not None):
        faults.append(Fault("until_date_of_a_pause", "/until_date", "a pause has one, nothing else", None))
    elif proposal.until_date is not None and proposal.until_date <= proposal.from_date:
        message = f"after {proposal.from_date}"
        faults.append(Fault("until_before_from", "/until_date", message, proposal.until_date))
    return faults


def _instalment_faults(proposal: Proposal, asset: Asset, today: date) -> list[Fault]:
    dues: Sequence[Due] = proposal.instalments
    if (proposal.kind == "reschedule") != bool(dues):
        return [Fault("instalments_of_a_reschedule", "/instalments", "a reschedule has them, nothing else", None)]
    faults = [
        Fault("dates_not_increasing", f"/instalments/{place}/due_date", f"after {before.due_date}", one.due_date)
        for place, (before, one) in enumerate(pairwise(dues), start=1)
        if one.due_date <= before.due_date
    ]
    if dues and dues[0].due_date <= today:
        faults.append(Fault("date_in_past", "/instalments/0/due_date", f"after today, {today}", dues[0].due_date))
    if dues and sum(one.amount_minor for one in dues) != asset.outstanding_minor:
        message = f"their sum is what is owed, {asset.outstanding_minor}"
        faults.append(Fault("not_what_is_owed", "/instalments", message, sum(one.amount_minor for one in dues)))
    if len(dues) > MOST_INSTALMENTS:
        faults.append(Fault("too_many_instalments", "/instalments", f"at most {MOST_INSTALMENTS}", len(dues)))
    return faults
