"""How a payment is shared over the claims that it names, under the terms that hold for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from exchange.services import Services
from exchange.settlement import charges, rules
from exchange.settlement.charges import Penalty
from exchange.settlement.claims import Claims
from exchange.settlement.policies import Policies
from exchange.settlement.rules import Position, Shares
from exchange.settlement.schemas import ReceiptItem
from exchange.settlement.write_offs import GivingUp
from exchange.shares import apportion_down


@dataclass(slots=True)
class Sharing:
    """What receipts are shared by, and what comes of it: the claims, brought forward from line to line."""

    services: Services
    claims: Claims
    policies: Policies
    now: datetime
    penalties: list[Penalty] = field(default_factory=list)
    forgiven: list[GivingUp] = field(default_factory=list)


def share(sharing: Sharing, item: ReceiptItem) -> list[tuple[Position, int, Shares]]:
    """How a payment is shared over what it names, in proportion to what is owed on each part; claims go forward.

    What is more than that brings back what was given up; the rest is the last one's, unapplied.
    """
    met = [one for one in sharing.claims.open_below(item.reference) if one.currency == item.currency]
    if not met:
        return []
    met = [_penalised(sharing, position, item) for position in met]
    owed = {position.asset_id: position.owed_minor for position in met}
    within_minor, parts = min(item.amount_minor, sum(owed.values())), sharing.claims.parts
    due = apportion_down(within_minor, item.reference, parts=parts, weights=owed)
    amounts = [due.get(position.asset_id, 0) for position in met]
    left_minor = item.amount_minor - sum(amounts)
    for place, position in enumerate(met):
        back_minor = min(left_minor, position.lost_minor)
        amounts[place] += back_minor
        left_minor -= back_minor
    amounts[-1] += left_minor
    shared = []
    for position, amount_minor in zip(met, amounts, strict=True):
        if amount_minor:
            terms = sharing.policies.of(position.originator_id, position.product)
            shared.append((position, amount_minor, rules.share(position, amount_minor=amount_minor, order=terms.order)))
    _bring_forward(sharing, met, shared)
    return shared


def _penalised(sharing: Sharing, position: Position, item: ReceiptItem) -> Position:
    terms = sharing.policies.of(position.originator_id, position.product)
    on, services = item.value_date, sharing.services
    late, penalty = charges.penalise(position, terms=terms, on=on, services=services, now=sharing.now)
    if penalty is not None:
        sharing.penalties.append(penalty)
    return late


def _bring_forward(sharing: Sharing, met: Sequence[Position], shared: Sequence[tuple[Position, int, Shares]]) -> None:
    """The claims after a payment; where all that is missing is within the tolerance, the rest is given up."""
    after = {position.asset_id: position for position in met}
    after |= {position.asset_id: rules.after_shares(position, shares) for position, _, shares in shared}
    terms = sharing.policies.of(met[0].originator_id, met[0].product)
    short_minor = sum(position.owed_minor for position in after.values())
    owed_minor = sum(position.owed_minor for position in met)
    if terms.tolerance.allows(short_minor, owed_minor=owed_minor):
        for asset_id, position in after.items():
            if position.outstanding_minor:
                given_up = (position.outstanding_minor, "small_difference", "within the tolerance", terms.order)
                sharing.forgiven.append(GivingUp(position, *given_up))
                # What comes for it later in the same batch is unapplied: it was paid.
                after[asset_id] = replace(position, outstanding_minor=0, funder_due_minor=0, discount_due_minor=0)
    sharing.claims.positions.update(after)
