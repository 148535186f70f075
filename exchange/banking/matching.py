"""Which open items a bank line pays: by what it names, by who pays, by its amount; with a score, reasons, and doubt.

What is certain may be booked; the rest is a proposal for a person. Lines and items are taken in an order of their own
content, so the order of delivery changes nothing, and no item is used beyond what is owed on it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from exchange.banking import names
from exchange.banking.statement import Line

VIRTUAL = "virtual_account"
"""How a payer is known that pays to a number of its own: whoever sends the money, the debt is that payer's."""
MOST_IN_SUM = 16
"""Open items of one payer among which a sum is looked for: 2^16 sums take a moment."""


class OpenItem(NamedTuple):
    """Something owed. `references` are whatever a payer may call it: asset id, invoice number, virtual account."""

    item_id: str
    payer_id: str
    currency: str
    outstanding_minor: int
    due_date: date
    references: tuple[str, ...]


class Payer(NamedTuple):
    """Who may pay, by any of its names and bank accounts."""

    payer_id: str
    names: tuple[str, ...]
    accounts: tuple[str, ...] = ()


class Tolerance(NamedTuple):
    """What may be missing from a payment for the rest to be a small write-off: the smaller of both."""

    minor: int = 0
    bps: int = 0

    def allows(self, short_minor: int, *, owed_minor: int) -> bool:
        """Whether so little is missing that the item counts as paid."""
        return 0 < short_minor <= min(self.minor, owed_minor * self.bps // 10_000)


EXACT = Tolerance()
"""Nothing may be missing."""


class Allocation(NamedTuple):
    """Part of a line for an item; `write_off_minor` is what the tolerance forgives on top."""

    item_id: str
    amount_minor: int
    write_off_minor: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a line pays. `score` (0 to 100) says how well it fits, `certain` whether nobody has to look.

    `kind` is payment, reversal (of the line `reverses`), duplicate, or unmatched.
    """

    line: Line
    kind: str
    allocations: tuple[Allocation, ...] = ()
    unapplied_minor: int = 0
    score: int = 0
    reasons: tuple[str, ...] = ()
    certain: bool = False
    payer_id: str | None = None
    reverses: str | None = None


class _Choice(NamedTuple):
    """Items to pay with a line, in order, and how sure that is."""

    items: tuple[str, ...]
    score: int
    reasons: tuple[str, ...]
    certain: bool


@dataclass(slots=True)
class _Book:
    """The open items and payers, by everything a line may say; what is owed shrinks as lines are matched."""

    items: dict[str, OpenItem] = field(default_factory=dict)
    owed: dict[str, int] = field(default_factory=dict)
    by_reference: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_payer: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    by_amount: dict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    accounts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    longest: int = 1

    def open_of(self, payer_id: str, currency: str) -> list[str]:
        """What a payer still owes, the oldest first."""
        return [one for one in self.by_payer.get((payer_id, currency), ()) if self.owed[one]]


def match(
    lines: Iterable[Line],
    *,
    items: Iterable[OpenItem],
    payers: Iterable[Payer],
    tolerance: Tolerance = EXACT,
    known_references: frozenset[str] = frozenset(),
) -> list[Proposal]:
    """A proposal for each line, in the order of booking date and reference.

    Lines that name items go first, then those whose payer is known, then the rest: a guess takes nothing from one who
    said what it pays. `known_references` are bank references booked before.
    """
    book = _book(items, payers)
    ordered = sorted(lines, key=lambda line: (line.booking_date, line.value_date, line.bank_reference))
    incoming: dict[tuple[str, int], list[Line]] = defaultdict(list)
    for line in {line.bank_reference: line for line in reversed(ordered)}.values():
        incoming[line.currency, line.amount_minor].append(line)
    proposals: dict[int, Proposal] = {}
    seen = set(known_references)
    waiting: list[tuple[int, Line]] = []
    for at, line in enumerate(ordered):
        if line.bank_reference in seen:
            proposals[at] = Proposal(line, "duplicate", score=100, reasons=("reference_known",), certain=True)
        elif line.amount_minor <= 0:
            proposals[at] = _outgoing(line, incoming[line.currency, -line.amount_minor])
        else:
            waiting.append((at, line))
        seen.add(line.bank_reference)
    for step in (_by_reference, _by_payer, _by_amount):
        left = []
        for at, line in waiting:
            choice = step(book, line, tolerance)
            if choice is None:
                left.append((at, line))
            else:
                proposals[at] = _settle(book, line, choice, tolerance)
        waiting = left
    for at, line in waiting:
        payer = _payer(book, line)[0]
        reasons = ("payer_owes_nothing",) if payer else ("payer_unknown",)
        proposals[at] = Proposal(line, "unmatched", unapplied_minor=line.amount_minor, reasons=reasons, payer_id=payer)
    return [proposals[at] for at in range(len(ordered))]


def _book(items: Iterable[OpenItem], payers: Iterable[Payer]) -> _Book:
    book = _Book()
    for item in sorted(items, key=lambda one: (one.due_date, one.item_id)):
        book.items[item.item_id] = item
        book.owed[item.item_id] = item.outstanding_minor
        book.by_payer[item.payer_id, item.currency].append(item.item_id)
        book.by_amount[item.currency, item.outstanding_minor].append(item.item_id)
        for reference in dict.fromkeys(map(names.reference, item.references)):
            if reference:
                book.by_reference[reference].append(item.item_id)
    for payer in payers:
        for account in payer.accounts:
            book.accounts[names.account(account)].add(payer.payer_id)
        for name in payer.names:
            book.names[names.company(name)].add(payer.payer_id)
    return book


def _outgoing(line: Line, incoming: Sequence[Line]) -> Proposal:
    """Money that left: the reversal of a line of the same amount that came before it, if one fits alone."""
    named = set(names.references(line))
    fits = [
        one
        for one in incoming
        if one.booking_date <= line.booking_date
        and (
            (line.end_to_end_id and one.end_to_end_id == line.end_to_end_id)
            or (
                line.is_reversal and line.counterparty_account and one.counterparty_account == line.counterparty_account
            )
            or names.reference(one.bank_reference) in named
        )
    ]
    if not fits:
        return Proposal(line, "unmatched", unapplied_minor=line.amount_minor, reasons=("money_out",))
    reverses = fits[0].bank_reference if len(fits) == 1 else None
    return Proposal(
        line,
        "reversal",
        unapplied_minor=line.amount_minor,
        score=95 if reverses else 50,
        reasons=("reverses_a_line",),
        certain=reverses is not None,
        reverses=reverses,
    )


def _by_reference(book: _Book, line: Line, tolerance: Tolerance) -> _Choice | None:
    """The items that the line names, in the order in which it names them."""
    named: dict[str, None] = {}
    ambiguous = False
    payer, _ = _payer(book, line)
    for reference in names.references(line):
        here = [one for one in book.by_reference.get(reference, ()) if book.items[one].currency == line.currency]
        if len(here) > 1:
            own = [one for one in here if book.items[one].payer_id == payer]
            here, ambiguous = (own, ambiguous) if len(own) == 1 else (here, True)
        named |= dict.fromkeys(one for one in here if book.owed[one])
    if not named:
        return None
    chosen = tuple(named)
    reasons = ["reference"]
    strange = payer is not None and any(book.items[one].payer_id != payer for one in chosen)
    if strange:
        reasons.append("paid_by_another")
    if ambiguous:
        reasons.append("reference_ambiguous")
    total = sum(book.owed[one] for one in chosen)
    short = total - line.amount_minor
    fits = short <= 0 or len(chosen) == 1 or tolerance.allows(short, owed_minor=total)
    if not fits:
        reasons.append("short_of_those_named")
    score = 100 - 15 * strange - 40 * ambiguous - 20 * (not fits)
    return _Choice(chosen, score, tuple(reasons), certain=fits and not ambiguous)


def _by_payer(book: _Book, line: Line, tolerance: Tolerance) -> _Choice | None:
    """What the payer owes that makes up the amount: one item, all of them, the oldest, or a sum."""
    payer, how = _payer(book, line)
    items = book.open_of(payer, line.currency) if payer is not None else []
    if not items:
        return None
    amount, by_account = line.amount_minor, how in {VIRTUAL, "payer_account"}
    exact = [one for one in items if book.owed[one] == amount]
    if exact:
        alone = len(exact) == 1
        score = (85 if by_account else 75) if alone else 60
        reasons = (how, "amount") if alone else (how, "amount", "several_alike")
        return _Choice((exact[0],), score, reasons, certain=(alone and by_account) or how == VIRTUAL)
    oldest = _oldest(book, items, amount)
    if oldest is not None:
        whole = len(oldest) == len(items)
        reason, certain = "all_open" if whole else "oldest_first", (whole and by_account) or how == VIRTUAL
        return _Choice(oldest, 85 if whole else 70, (how, reason), certain)
    return _nearly(book, line, items, how, tolerance)


def _nearly(book: _Book, line: Line, items: Sequence[str], how: str, tolerance: Tolerance) -> _Choice:
    """What a payer may mean whose amount fits nothing; to its own number it pays what it owed first."""
    amount = line.amount_minor
    if how == VIRTUAL:
        return _Choice(tuple(items), 70, (how, "oldest_first_partly"), certain=True)
    near = [one for one in items if tolerance.allows(book.owed[one] - amount, owed_minor=book.owed[one])]
    if near:
        return _Choice((near[0],), 60 if len(near) == 1 else 50, (how, "amount_nearly"), certain=False)
    sums = _sums(book, items, amount)
    if sums:
        return _Choice(sums[0], 65 if len(sums) == 1 else 45, (how, "sum_of_items"), certain=False)
    return _Choice(tuple(items), 40, (how, "oldest_first_partly"), certain=False)


def _by_amount(book: _Book, line: Line, _: Tolerance) -> _Choice | None:
    """The one item of this very amount, when nothing else is known."""
    items = [
        one for one in book.by_amount.get((line.currency, line.amount_minor), ()) if book.owed[one] == line.amount_minor
    ]
    if len(items) != 1 or _payer(book, line)[0] is not None:
        return None
    return _Choice((items[0],), 30, ("amount_alone",), certain=False)


def _payer(book: _Book, line: Line) -> tuple[str | None, str]:
    """Who pays, if the account or else the name is one payer's alone; and by what it is known."""
    own = set().union(*(book.accounts.get(names.account(one), ()) for one in line.references))
    for found, how in (
        (own, VIRTUAL),
        (book.accounts.get(names.account(line.counterparty_account)), "payer_account"),
        (book.names.get(names.company(line.counterparty_name)), "payer_name"),
    ):
        if found and len(found) == 1:
            return next(iter(found)), how
    return None, ""


def _oldest(book: _Book, items: Sequence[str], amount: int) -> tuple[str, ...] | None:
    """The oldest items that make up the amount exactly."""
    left = amount
    for count, one in enumerate(items, start=1):
        left -= book.owed[one]
        if left <= 0:
            return tuple(items[:count]) if left == 0 else None
    return None


def _sums(book: _Book, items: Sequence[str], amount: int) -> list[tuple[str, ...]]:
    """Up to two sets among the oldest items that make up the amount: with a second one the first is a guess."""
    reached: dict[int, list[tuple[str, ...]]] = {0: [()]}
    for one in items[:MOST_IN_SUM]:
        owed = book.owed[one]
        for total in sorted(reached, reverse=True):
            if total + owed <= amount:
                kept = reached.setdefault(total + owed, [])
                kept += [(*subset, one) for subset in reached[total]][: 2 - len(kept)]
    return [subset for subset in reached.get(amount, []) if subset]


def _settle(book: _Book, line: Line, choice: _Choice, tolerance: Tolerance) -> Proposal:
    """Spread the line over the items chosen, in order; what is left over is unapplied."""
    left = line.amount_minor
    total = sum(book.owed[one] for one in choice.items)
    forgiven = total - left if tolerance.allows(total - left, owed_minor=total) else 0
    allocations = []
    reasons = list(choice.reasons)
    for one in choice.items:
        paid = min(left, book.owed[one])
        last = forgiven if one == choice.items[-1] and paid + forgiven == book.owed[one] else 0
        if paid:
            allocations.append(Allocation(one, paid, last))
            book.owed[one] -= paid + last
            left -= paid
    if left:
        reasons.append("overpaid")
    elif forgiven:
        reasons.append("short_within_tolerance")
    elif total > line.amount_minor:
        reasons.append("partial")
    return Proposal(
        line,
        "payment",
        allocations=tuple(allocations),
        unapplied_minor=left,
        score=choice.score,
        reasons=tuple(reasons),
        certain=choice.certain,
        payer_id=book.items[choice.items[0]].payer_id,
    )
