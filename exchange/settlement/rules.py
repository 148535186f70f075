"""How money and losses are shared out. Integers only: every part is named and none is lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

from exchange.waterfalls import orders
from exchange.waterfalls.orders import Order

DUES = ("fees", "penalty", "discount", "principal", "holdback")
"""What a collection may be for. The exchange gets fees, whoever owns the claim penalty, discount and principal."""
WATERFALL = orders.in_turn(*DUES)
"""Who is paid from a collection, in order, where no policy says otherwise."""
OWNERS = ("discount", "principal")
YEAR_DAYS = 360
"""ACT/360."""
BPS = 10_000


class OpenCharge(NamedTuple):
    """What is still owed of a fee or of interest for being late."""

    charge_id: str
    kind: str
    open_minor: int


class Lost(NamedTuple):
    """What is given up of a claim and has not come back: what of it is the funder's, what the holder's."""

    number: int
    funder_id: str | None
    holder_id: str
    funder_minor: int
    holder_minor: int

    @property
    def open_minor(self) -> int:
        """All of it."""
        return self.funder_minor + self.holder_minor


class Recovered(NamedTuple):
    """What comes back of a write-off."""

    lost: Lost
    funder_minor: int
    holder_minor: int

    @property
    def amount_minor(self) -> int:
        """All of it."""
        return self.funder_minor + self.holder_minor


class Turn(NamedTuple):
    """A company that answers for a claim it handed on: its place in the chain from 1, and when its turn comes."""

    rank: int
    company_id: str
    due_on: date


class Charged(NamedTuple):
    """What a charge gets of a payment."""

    charge: OpenCharge
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Position:
    """A claim when money or a credit note arrives. Without `funder_id` it is its holder's own.

    `holder_id` is the company that holds it or sold it to the funder: the seller, unless the claim was handed on.
    `funder_due_minor` is what the funder still expects from the obligor, never more than is outstanding: price and
    discount less what it has collected, what the seller owes it for credit notes, and what was written off;
    `discount_due_minor` is what of it is discount. `recourse_minor` is what the holder owes for the obligor's default.
    """

    asset_id: str
    seller_id: str
    holder_id: str
    currency: str
    outstanding_minor: int
    funder_id: str | None
    funder_due_minor: int
    discount_due_minor: int = 0
    pool_id: str | None = None
    due_date: date = date.max
    originator_id: str = ""
    product: str = ""
    charged_off: bool = False
    charges: tuple[OpenCharge, ...] = ()
    penalised_until: date | None = None
    recourse_minor: int = 0
    lost: tuple[Lost, ...] = ()

    @property
    def charges_minor(self) -> int:
        """What is owed on top of the claim."""
        return sum(charge.open_minor for charge in self.charges)

    @property
    def owed_minor(self) -> int:
        """What the obligor still owes, with charges and without what was given up."""
        return self.outstanding_minor + self.charges_minor

    @property
    def lost_minor(self) -> int:
        """What was given up and has not come back."""
        return sum(lost.open_minor for lost in self.lost)

    @property
    def funder_lacks_minor(self) -> int:
        """What the funder has not got back of price and discount, hoped for or given up."""
        return self.funder_due_minor + sum(lost.funder_minor for lost in self.lost if lost.funder_id == self.funder_id)

    def dues(self) -> dict[str, int]:
        """What is due under each of the names of `DUES`."""
        charged = {"fees": 0, "penalty": 0}
        for charge in self.charges:
            charged["fees" if charge.kind == "fee" else "penalty"] += charge.open_minor
        return charged | self.stakes()

    def stakes(self) -> dict[str, int]:
        """What of the claim itself is whose."""
        return {
            "discount": self.discount_due_minor,
            "principal": self.funder_due_minor - self.discount_due_minor,
            "holdback": self.outstanding_minor - self.funder_due_minor,
        }


@dataclass(frozen=True, slots=True)
class Shares:
    """A collection's parts in minor units: to the funder, to the holder, and what is more than was owed.

    Beside what comes off the claim: `charged` to fees and penalties, `recovered` of what was given up. `discount_minor`
    is what of the funder's part was discount.
    """

    funder_minor: int
    holder_minor: int
    unapplied_minor: int
    discount_minor: int = 0
    charged: tuple[Charged, ...] = ()
    recovered: tuple[Recovered, ...] = ()

    @property
    def applied_minor(self) -> int:
        """What the collection takes off the claim."""
        return self.funder_minor + self.holder_minor

    @property
    def charged_minor(self) -> int:
        """What it pays of charges."""
        return sum(one.amount_minor for one in self.charged)

    @property
    def recovered_minor(self) -> int:
        """What it brings back of what was given up."""
        return sum(one.amount_minor for one in self.recovered)

    @property
    def penalty_minor(self) -> int:
        """What it pays of interest for being late."""
        return sum(one.amount_minor for one in self.charged if one.charge.kind == "penalty")

    @property
    def used_minor(self) -> int:
        """All that was owed by somebody."""
        return self.applied_minor + self.charged_minor + self.recovered_minor


@dataclass(frozen=True, slots=True)
class Dilution:
    """What a credit note does.

    `shortfall_minor` is what the funder can no longer get from the obligor; the seller's money pays `paid_minor` of it.
    """

    amount_minor: int
    shortfall_minor: int
    paid_minor: int

    @property
    def owed_minor(self) -> int:
        """What the seller owes the funder on."""
        return self.shortfall_minor - self.paid_minor


@dataclass(frozen=True, slots=True)
class Loss:
    """What a write-off does: the funder bears `funder_minor` of it, the holder the rest."""

    amount_minor: int
    funder_minor: int


def share(position: Position, *, amount_minor: int, order: Order = WATERFALL) -> Shares:
    """Share a collection by an order of `DUES`, then over what was given up, the last first; the parts sum to it."""
    paid = dict.fromkeys(DUES, 0)
    for payment in orders.run(order, amount_minor, position.dues()):
        paid[payment.due] += payment.amount_minor
    left_minor = amount_minor - sum(paid.values())
    recovered = tuple(recover(position.lost, amount_minor=left_minor)) if position.lost else ()
    return Shares(
        funder_minor=paid["discount"] + paid["principal"],
        holder_minor=paid["holdback"],
        unapplied_minor=left_minor - sum(one.amount_minor for one in recovered),
        discount_minor=paid["discount"],
        charged=tuple(_charged(position.charges, paid)) if position.charges else (),
        recovered=recovered,
    )


def recover(lost: Sequence[Lost], *, amount_minor: int) -> Iterator[Recovered]:
    """Who gets what comes back: the last write-off first, and of each the funder before the holder, who lost first."""
    for one in sorted(lost, key=lambda one: -one.number):
        funder_minor = min(amount_minor, one.funder_minor)
        holder_minor = min(amount_minor - funder_minor, one.holder_minor)
        if funder_minor + holder_minor:
            yield Recovered(one, funder_minor, holder_minor)
        amount_minor -= funder_minor + holder_minor


def after_shares(position: Position, shares: Shares) -> Position:
    """The claim after a collection."""
    paid = {one.charge.charge_id: one.amount_minor for one in shares.charged}
    back = {one.lost.number: one for one in shares.recovered}
    charges = (
        charge._replace(open_minor=charge.open_minor - paid.get(charge.charge_id, 0)) for charge in position.charges
    )
    lost = (
        one._replace(
            funder_minor=one.funder_minor - back[one.number].funder_minor,
            holder_minor=one.holder_minor - back[one.number].holder_minor,
        )
        if one.number in back
        else one
        for one in position.lost
    )
    after = replace(
        position,
        outstanding_minor=position.outstanding_minor - shares.applied_minor,
        funder_due_minor=position.funder_due_minor - shares.funder_minor,
        discount_due_minor=position.discount_due_minor - shares.discount_minor,
        charges=tuple(charge for charge in charges if charge.open_minor),
        lost=tuple(one for one in lost if one.open_minor),
    )
    return _after_release(after)


def dilute(position: Position, *, amount_minor: int, seller_cash_minor: int) -> Dilution:
    """The effect of a credit note of at most what is outstanding: the holdback shrinks first, then the seller owes."""
    left_minor = position.outstanding_minor - amount_minor
    shortfall_minor = max(position.funder_due_minor - left_minor, 0)
    return Dilution(amount_minor, shortfall_minor, min(shortfall_minor, max(seller_cash_minor, 0)))


def after_dilution(position: Position, effect: Dilution) -> Position:
    """The claim after a credit note."""
    return _after_release(_smaller(position, effect.amount_minor, effect.shortfall_minor))


def lose(position: Position, *, amount_minor: int, order: Order = WATERFALL) -> Loss:
    """Who bears it when at most what is outstanding is given up: the order of collections backwards."""
    borne = orders.losses(order, amount_minor, position.stakes())
    return Loss(amount_minor, sum(one.amount_minor for one in borne if one.due in OWNERS))


def after_loss(position: Position, loss: Loss, *, number: int) -> Position:
    """The claim after a write-off."""
    holder_minor = loss.amount_minor - loss.funder_minor
    lost = Lost(number, position.funder_id, position.holder_id, loss.funder_minor, holder_minor)
    smaller = _smaller(position, loss.amount_minor, loss.funder_minor)
    return replace(smaller, lost=(*position.lost, lost))


def penalty_days(position: Position, *, grace_days: int, on: date) -> tuple[date, date] | None:
    """From when to when interest for being late has still to be charged when money comes with value of a day."""
    if position.due_date == date.max or not position.outstanding_minor:
        return None
    begins = position.due_date + timedelta(days=grace_days)
    begins = max(begins, position.penalised_until or begins)
    return (begins, on) if begins < on else None


def penalty_minor(position: Position, *, rate_bps: int, days: int) -> int:
    """Interest on what is outstanding: rate x days / 360, rounded down (ACT/360)."""
    return position.outstanding_minor * rate_bps * days // (BPS * YEAR_DAYS)


def unearned_minor(*, discount_minor: int, bought_on: date, due_date: date, on: date) -> int:
    """What of a discount is not earned yet on a day, straight line from purchase to due date; earned is rounded up."""
    tenor_days = max((due_date - bought_on).days, 1)
    left_days = min(max((due_date - on).days, 0), tenor_days)
    return discount_minor * left_days // tenor_days


def turns(chain: Sequence[tuple[str, str]], *, holder_id: str, first_on: date, days: int) -> list[Turn]:
    """Who answers to a claim's holder, latest first, each `days` after the one before (recourse of endorsers).

    `chain` has who handed it on, from the first, `with` recourse or `without`. Whoever did so without is passed over.
    A company that stands in it twice answers at its first place only, and nobody to one that stands before itself.
    """
    places: dict[str, int] = {}
    for rank, (company_id, recourse) in enumerate(chain, start=1):
        if company_id == holder_id:
            break
        if recourse == "with":
            places.setdefault(company_id, rank)
    latest_first = sorted(((rank, company_id) for company_id, rank in places.items()), reverse=True)
    return [
        Turn(rank, company_id, first_on + timedelta(days=days * place))
        for place, (rank, company_id) in enumerate(latest_first)
    ]


def _charged(charges: Sequence[OpenCharge], paid: dict[str, int]) -> Iterator[Charged]:
    """What was paid of fees and penalties, over the charges: the oldest first."""
    left = {"fee": paid["fees"], "penalty": paid["penalty"]}
    for charge in charges:
        amount_minor = min(left[charge.kind], charge.open_minor)
        if amount_minor:
            yield Charged(charge, amount_minor)
            left[charge.kind] -= amount_minor


def _smaller(position: Position, amount_minor: int, due_falls_minor: int) -> Position:
    """A claim of which less is owed though nobody paid: principal is lost before discount."""
    due_minor = position.funder_due_minor - due_falls_minor
    return replace(
        position,
        outstanding_minor=position.outstanding_minor - amount_minor,
        funder_due_minor=due_minor,
        discount_due_minor=min(position.discount_due_minor, due_minor),
    )


def _after_release(position: Position) -> Position:
    recourse_minor = min(position.recourse_minor, position.funder_lacks_minor)
    return replace(position, recourse_minor=recourse_minor)
