"""How money and losses are shared out. Integers only: every part is named and none is lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from exchange import books
from exchange.currencies import commodity
from ledger.books import Leg

WATERFALL = ("funder", "holder")
"""Who is paid from a collection, in order: the funder up to price and discount, then the holdback of who sold."""


@dataclass(frozen=True, slots=True)
class Position:
    """A claim when money or a credit note arrives. Without `funder_id` it is its holder's own.

    `holder_id` is the company that holds it or sold it to the funder: the seller, unless the claim was handed on.
    `funder_due_minor` is what the funder still expects from the obligor, never more than is outstanding: price and
    discount less what it has collected and what the seller owes it for earlier credit notes.
    """

    asset_id: str
    seller_id: str
    holder_id: str
    currency: str
    outstanding_minor: int
    funder_id: str | None
    funder_due_minor: int


@dataclass(frozen=True, slots=True)
class Shares:
    """A collection's parts in minor units: to the funder, to the holder, and what is more than was owed."""

    funder_minor: int
    holder_minor: int
    unapplied_minor: int

    @property
    def applied_minor(self) -> int:
        """What the collection takes off the claim."""
        return self.funder_minor + self.holder_minor


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


def share(position: Position, *, amount_minor: int) -> Shares:
    """Share a collection by `WATERFALL`; the three parts sum to the amount."""
    applied_minor = min(amount_minor, position.outstanding_minor)
    dues = {"funder": position.funder_due_minor, "holder": applied_minor}
    parts: dict[str, int] = {}
    left_minor = applied_minor
    for party in WATERFALL:
        parts[party] = min(left_minor, dues[party])
        left_minor -= parts[party]
    return Shares(parts["funder"], parts["holder"], amount_minor - applied_minor)


def dilute(position: Position, *, amount_minor: int, seller_cash_minor: int) -> Dilution:
    """The effect of a credit note of at most what is outstanding: the holdback shrinks first, then the seller owes."""
    left_minor = position.outstanding_minor - amount_minor
    shortfall_minor = max(position.funder_due_minor - left_minor, 0)
    return Dilution(amount_minor, shortfall_minor, min(shortfall_minor, max(seller_cash_minor, 0)))


def collection_legs(position: Position, shares: Shares, *, amount_minor: int) -> Sequence[Leg]:
    """Money from the bank to whom it belongs, and the title that ends with it."""
    money = commodity(position.currency)
    legs = [Leg(books.BANK, money, -amount_minor)]
    if position.funder_id is not None:
        legs.append(Leg(books.funder_cash(position.funder_id), money, shares.funder_minor))
    legs.append(Leg(books.seller_cash(position.holder_id), money, shares.holder_minor))
    legs.append(Leg(books.UNAPPLIED, money, shares.unapplied_minor))
    legs += _title_ends(position, shares.applied_minor)
    return [leg for leg in legs if leg.amount_minor]


def dilution_legs(position: Position, dilution: Dilution) -> Sequence[Leg]:
    """What the seller pays now, what it owes on, and the title that ends with the credit note.

    A seller that handed its claim on owes the holder what the holder loses by the seller's own credit note.
    """
    money = commodity(position.currency)
    owed_minor = dilution.owed_minor
    legs: list[Leg] = []
    if position.holder_id != position.seller_id:
        lost_minor = dilution.amount_minor - dilution.shortfall_minor
        legs.append(Leg(books.seller_recourse(position.seller_id), money, -lost_minor))
        legs.append(Leg(books.seller_recourse(position.holder_id), money, lost_minor))
    if position.funder_id is not None:
        legs.append(Leg(books.seller_cash(position.seller_id), money, -dilution.paid_minor))
        legs.append(Leg(books.funder_cash(position.funder_id), money, dilution.paid_minor))
        legs.append(Leg(books.seller_recourse(position.seller_id), money, -owed_minor))
        legs.append(Leg(books.funder_recourse(position.funder_id), money, owed_minor))
    legs += _title_ends(position, dilution.amount_minor)
    return [leg for leg in legs if leg.amount_minor]


def _title_ends(position: Position, amount_minor: int) -> list[Leg]:
    """A funder's title goes back to where it was issued; a company's own was never issued."""
    if position.funder_id is None:
        return []
    title = books.funder_title(position.funder_id)
    return [Leg(title, position.asset_id, -amount_minor), Leg(books.ISSUED, position.asset_id, amount_minor)]


@dataclass(frozen=True, slots=True)
class Standing:
    """A claim when a payment on it is taken back: its state, and whose it is."""

    state: str
    holder_id: str
    funder_id: str | None


def why_not_reopened(asset_id: str, standing: Standing, *, taken_back: Sequence[Leg]) -> str | None:
    """Why a payment on a claim cannot be undone by itself, None if it can.

    `taken_back` undoes its posting. Nothing is owed on a closed claim whose title is retired, parts stand for a split
    one, and a claim that changed hands since would give title and debts to another than was paid.
    """
    if standing.state in {"closed", "split"}:
        return f"asset_{standing.state}"
    titles = {leg.path for leg in taken_back if leg.commodity == asset_id} - {books.ISSUED}
    holders = {leg.path for leg in taken_back if leg.path.startswith("seller/")}
    owner = {books.funder_title(standing.funder_id)} if standing.funder_id else set()
    moved = titles != owner or holders - {books.seller_cash(standing.holder_id)}
    return "title_moved" if moved else None


def funder_part_minor(taken_back: Sequence[Leg], funder_id: str | None) -> int:
    """What of a payment the funder got, by the legs that undo its posting."""
    paths = {books.funder_cash(funder_id)} if funder_id else set()
    return -sum(leg.amount_minor for leg in taken_back if leg.path in paths)
