"""What collections, credit notes and write-offs are in the books: money, title, and memos of what is expected."""

from collections.abc import Sequence
from dataclasses import dataclass

from exchange import books
from exchange.currencies import commodity
from exchange.settlement.rules import Dilution, Loss, Position, Shares, after_dilution, after_shares
from ledger.books import Leg


def collection_legs(position: Position, shares: Shares, *, amount_minor: int) -> Sequence[Leg]:
    """Money from the bank to whom it belongs, and the title that ends with it."""
    money = commodity(position.currency)
    fees_minor = shares.charged_minor - shares.penalty_minor
    legs = [Leg(books.BANK, money, -amount_minor), Leg(books.FEES, money, fees_minor)]
    funder_minor, holder_minor = shares.funder_minor, shares.holder_minor
    if position.funder_id is not None:
        legs.append(Leg(books.funder_cash(position.funder_id), money, funder_minor + shares.penalty_minor))
    else:
        holder_minor += shares.penalty_minor
    legs.append(Leg(books.seller_cash(position.holder_id), money, holder_minor))
    legs.append(Leg(books.UNAPPLIED, money, shares.unapplied_minor))
    legs += _title_ends(position, shares.applied_minor)
    legs += memo_legs(position, due_falls_minor=funder_minor)
    for one in shares.recovered:
        legs.append(Leg(books.seller_cash(one.lost.holder_id), money, one.holder_minor))
        if one.lost.funder_id is not None:
            legs.append(Leg(books.funder_cash(one.lost.funder_id), money, one.funder_minor))
            legs += _loss_legs(one.lost.funder_id, money, -one.funder_minor)
    if position.recourse_minor:
        legs += release_legs(position, after_shares(position, shares))
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
    legs += memo_legs(position, due_falls_minor=dilution.shortfall_minor)
    if position.recourse_minor:
        legs += release_legs(position, after_dilution(position, dilution))
    return [leg for leg in legs if leg.amount_minor]


def loss_legs(position: Position, loss: Loss) -> Sequence[Leg]:
    """The title that ends with a write-off, and what the funder has lost by it."""
    legs = _title_ends(position, loss.amount_minor)
    if position.funder_id is not None:
        legs += _loss_legs(position.funder_id, commodity(position.currency), loss.funder_minor)
    legs += memo_legs(position, due_falls_minor=loss.funder_minor)
    return [leg for leg in legs if leg.amount_minor]


def memo_legs(position: Position, *, due_falls_minor: int) -> list[Leg]:
    """What a charged-off asset's funder expects of it less than before."""
    if not position.charged_off or position.funder_id is None:
        return []
    money = commodity(position.currency)
    funder = books.funder_charged_off(position.funder_id)
    return [Leg(funder, money, -due_falls_minor), Leg(books.CHARGED_OFF, money, due_falls_minor)]


def release_legs(position: Position, after: Position) -> list[Leg]:
    """The holder does not owe any more, for the obligor's default, what the funder got otherwise."""
    released_minor = position.recourse_minor - after.recourse_minor
    if not released_minor or position.funder_id is None:
        return []
    money = commodity(position.currency)
    debtor, creditor = books.seller_recourse(position.holder_id), books.funder_recourse(position.funder_id)
    return [Leg(debtor, money, released_minor), Leg(creditor, money, -released_minor)]


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
    holders = {leg.path for leg in taken_back if leg.path.startswith("seller/") and leg.path.endswith("/cash")}
    owner = {books.funder_title(standing.funder_id)} if standing.funder_id else set()
    moved = titles != owner or holders - {books.seller_cash(standing.holder_id)}
    return "title_moved" if moved else None


def funder_parts(taken_back: Sequence[Leg]) -> dict[str, int]:
    """What each funder got of a payment, by the legs that undo its posting."""
    parts: dict[str, int] = {}
    for leg in taken_back:
        kind, _, place = leg.path.partition("/")
        if kind == "funder" and place.endswith("/cash"):
            funder_id = place.removesuffix("/cash")
            parts[funder_id] = parts.get(funder_id, 0) - leg.amount_minor
    return parts


def released_minor(taken_back: Sequence[Leg], holder_id: str) -> int:
    """What of the holder's debt for the obligor's default a payment released, by the same legs."""
    return -sum(leg.amount_minor for leg in taken_back if leg.path == books.seller_recourse(holder_id))


def _loss_legs(funder_id: str, money: str, amount_minor: int) -> list[Leg]:
    return [
        Leg(books.funder_losses(funder_id), money, amount_minor),
        Leg(books.WRITTEN_OFF, money, -amount_minor),
    ]


def _title_ends(position: Position, amount_minor: int) -> list[Leg]:
    """A funder's title goes back to where it was issued; a company's own was never issued."""
    if position.funder_id is None:
        return []
    title = books.funder_title(position.funder_id)
    return [Leg(title, position.asset_id, -amount_minor), Leg(books.ISSUED, position.asset_id, amount_minor)]
