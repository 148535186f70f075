"""The books in a few lines of plain Python: what the database must agree with."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ledger import books
from tests.ledger.books.sample import ACCOUNTS

Account = tuple[str, str]
OVER = "hold that is over"
"""The kind of a hold whose time is over; any other kind that begins with "hold" still has time."""
STRICT = {(account.path, account.commodity) for account in ACCOUNTS if not account.may_overdraw}


class Request(NamedTuple):
    """What a key stands for, and the code of its refusal."""

    kind: str
    transfer: books.Transfer
    refusal: str | None


class End(NamedTuple):
    """A hold, how it ends, and by the transfer of which key."""

    hold_key: str
    outcome: str
    transfer_key: str


class Undoing(NamedTuple):
    """A transfer, and the key of the one that undoes it."""

    reversed_key: str
    key: str


class Answer(NamedTuple):
    """The code of a refusal, or for each transfer whether it is a replay."""

    refusal: str | None
    replayed: tuple[bool, ...] = ()


class Model:
    """The balances after each entry of an account, the request behind each key, the end of each hold."""

    def __init__(self) -> None:
        self.histories: dict[Account, list[int]] = defaultdict(list)
        self.requests: dict[str, Request] = {}
        self.ends: dict[str, End] = {}
        self.undone: dict[str, str] = {}

    def post(
        self,
        transfers: Sequence[books.Transfer],
        kind: str = "transfer",
        ends: Sequence[End] = (),
        undoings: Sequence[Undoing] = (),
    ) -> Answer:
        """Post a batch, all or none."""
        batch: dict[str, books.Transfer] = {}
        for transfer in transfers:
            if batch.setdefault(transfer.key, transfer) != transfer:
                return Answer("key_reused")
        refusal = self.key_refusal(batch, kind) or self.end_refusal(batch, ends) or self.undo_refusal(undoings)
        refusal = refusal or self.shortfall(batch, kind)
        if refusal is not None:
            return Answer(refusal)
        fresh = {key for key in batch if key not in self.requests}
        for key in fresh:
            self.requests[key] = Request(kind, batch[key], None)
        self.ends |= {end.hold_key: end for end in ends}
        self.undone |= {undoing.reversed_key: undoing.key for undoing in undoings}
        replayed = []
        for transfer in transfers:
            replayed.append(transfer.key not in fresh)
            fresh.discard(transfer.key)
        return Answer(None, tuple(replayed))

    def key_refusal(self, batch: dict[str, books.Transfer], kind: str) -> str | None:
        """Find the first key that stands for another request or for a refusal."""
        for key, transfer in batch.items():
            known = self.requests.get(key, Request(kind, transfer, None))
            if known[:2] != (kind, transfer):
                return "key_reused"
            if known.refusal is not None:
                return known.refusal
        return None

    def held(self, hold_key: str) -> books.Transfer | None:
        """Find the hold of this key."""
        known = self.requests.get(hold_key)
        return known.transfer if known and known.kind.startswith("hold") and known.refusal is None else None

    def end_refusal(self, batch: dict[str, books.Transfer], ends: Sequence[End]) -> str | None:
        """Find the first hold that cannot end so, or a transfer that takes a wrong amount."""
        held: Counter[tuple[str, Account]] = Counter()
        for end in ends:
            hold = self.held(end.hold_key)
            if hold is None:
                return "unknown_hold"
            if self.ends.get(end.hold_key, end) != end:
                return "hold_resolved"
            if end.hold_key not in self.ends:
                over = self.requests[end.hold_key].kind == OVER
                if end.transfer_key in self.requests:
                    return "key_reused"
                if (end.outcome == "captured" and over) or (end.outcome == "expired" and not over):
                    return f"hold_{'' if over else 'not_'}expired"
            held[end.transfer_key, hold.legs[1][:2]] += hold.legs[1].amount_minor
        for (key, account), amount in held.items():
            if -sum(leg.amount_minor for leg in batch[key].legs if leg[:2] == account) != amount:
                return "hold_mismatch"
        return None

    def undo_refusal(self, undoings: Sequence[Undoing]) -> str | None:
        """Find the first transfer that cannot be undone so."""
        for reversed_key, key in undoings:
            by = self.undone.get(reversed_key)
            fixed = {end.transfer_key for end in self.ends.values()} | {*self.undone.values()}
            if self.held(reversed_key) or reversed_key in fixed:
                return "not_reversible"
            if by not in {None, key}:
                return "already_reversed"
            if by is None and key in self.requests:
                return "key_reused"
        return None

    def shortfall(self, batch: dict[str, books.Transfer], kind: str) -> str | None:
        """Move what is new, one transfer after the other; on a shortfall keep only the refusal."""
        histories = defaultdict(list, {account: [*history] for account, history in self.histories.items()})
        for key, transfer in batch.items():
            if key in self.requests:
                continue
            for path, commodity, amount in sorted(transfer.legs, key=lambda leg: leg.amount_minor < 0):
                history = histories[path, commodity]
                history.append((history or [0])[-1] + amount)
            if any(history[-1] < 0 for account, history in histories.items() if account in STRICT):
                self.requests[key] = Request(kind, transfer, "insufficient_funds")
                return "insufficient_funds"
        self.histories = histories
        return None
