"""The books in a pack: transfers balance, legs follow each other, and every account comes to what is stated."""

import hashlib
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from ledger.verify.lines import Chunk

ACCOUNTS, TRANSFERS, LEGS = "books/accounts.ndjson.gz", "books/transfers.ndjson.gz", "books/legs.ndjson.gz"
_NAME_BYTES = 16
_LARGEST = 2**63 - 1
WAITING = 2**18
"""Legs that may stand before the one they follow: a batch numbers its transfers in another order than it posts them."""

Report = Callable[..., None]
"""Takes a code, a message and, by name, `file` and `byte`."""
Row = tuple[int, dict[str, Any]]


class _Leg(NamedTuple):
    """What an account's next leg is: its byte in the file, the amount, the balance it leaves."""

    at: int
    amount: int
    after: int


class Books:
    """Some 50 bytes an account, whatever the number of legs: balance, version, and the commodity's digest."""

    def __init__(self, report: Report) -> None:
        self.transfers = 0
        self.legs = 0
        self._report = report
        self._ids = array("q")
        self._balances = array("q")
        self._stated = array("q")
        self._versions = array("q")
        self._last = array("q")
        self._commodities = bytearray()
        self._waiting: dict[tuple[int, int], _Leg] = {}

    def check(self, chunks: Callable[[str], Iterable[Chunk]]) -> None:
        """Read accounts and transfers, then legs by transfer; report what does not come out."""
        for at, row in self._rows(ACCOUNTS, chunks):
            self._open(at, row)
        amounts: defaultdict[bytes, int] = defaultdict(int)
        transfers = self._rows(TRANSFERS, chunks)
        current = next(transfers, None)
        count = 0
        for at, row in self._rows(LEGS, chunks):
            transfer_id = _whole(row, "transfer_id")
            while current is not None and transfer_id > _whole(current[1], "transfer_id"):
                self._close(current, amounts, count)
                current, count = next(transfers, None), 0
            if current is None or transfer_id < _whole(current[1], "transfer_id"):
                self._report("foreign_leg", f"There is no transfer {transfer_id} in this place.", file=LEGS, byte=at)
                continue
            count += 1
            self._post(at, row, amounts)
        while current is not None:
            self._close(current, amounts, count)
            current, count = next(transfers, None), 0
        self._compare()

    def _open(self, at: int, row: dict[str, Any]) -> None:
        account_id = _whole(row, "account_id")
        if self._ids and account_id <= self._ids[-1]:
            self._report("rows_out_of_order", f"Account {account_id} is not in its place.", file=ACCOUNTS, byte=at)
            return
        self._ids.append(account_id)
        self._stated.append(_whole(row, "balance_minor"))
        self._last.append(_whole(row, "version"))
        self._balances.append(0)
        self._versions.append(0)
        name = str(row.get("commodity")).encode(errors="replace")
        self._commodities += hashlib.sha256(name).digest()[:_NAME_BYTES]

    def _post(self, at: int, row: dict[str, Any], amounts: defaultdict[bytes, int]) -> None:
        self.legs += 1
        account_id, amount = _whole(row, "account_id"), _whole(row, "amount_minor")
        place = bisect_left(self._ids, account_id)
        if place == len(self._ids) or self._ids[place] != account_id:
            self._report("unknown_account", f"There is no account {account_id}.", file=LEGS, byte=at)
            return
        start = place * _NAME_BYTES
        amounts[bytes(self._commodities[start : start + _NAME_BYTES])] += amount
        self._follow(place, _whole(row, "version"), _Leg(at, amount, _whole(row, "balance_after_minor")))

    def _follow(self, place: int, version: int, leg: "_Leg") -> None:
        """Take an account's legs by their versions, whatever their order in the file."""
        ahead = version - self._versions[place]
        if ahead < 1 or (place, version) in self._waiting:
            message = f"Account {self._ids[place]} has two legs of version {version}."
            self._report("version_repeated", message, file=LEGS, byte=leg.at)
        elif ahead > 1 and len(self._waiting) >= WAITING:
            self._miss(place, version, leg)
        else:
            self._waiting[place, version] = leg
        while (found := self._waiting.pop((place, self._versions[place] + 1), None)) is not None:
            self._versions[place] += 1
            total = self._balances[place] + found.amount
            self._balances[place] = found.after
            if total != found.after:
                message = f"Account {self._ids[place]} comes to {total} with this leg, not {found.after}."
                self._report("running_balance", message, file=LEGS, byte=found.at)

    def _miss(self, place: int, version: int, leg: "_Leg") -> None:
        message = f"Account {self._ids[place]} has no leg that version {version} follows."
        self._report("version_missing", message, file=LEGS, byte=leg.at)

    def _close(self, transfer: Row, amounts: defaultdict[bytes, int], legs: int) -> None:
        """The transfer's legs are all there: they must come to nothing in each commodity."""
        at, row = transfer
        self.transfers += 1
        name = f"Transfer {row.get('key')!s:.100}"
        if any(amounts.values()):
            self._report("unbalanced_transfer", f"{name} does not balance.", file=TRANSFERS, byte=at)
        if (legs == 0) != (row.get("refusal") is not None):
            self._report("transfer_legs", f"{name} has {legs} legs.", file=TRANSFERS, byte=at)
        amounts.clear()

    def _compare(self) -> None:
        for (place, version), leg in sorted(self._waiting.items()):
            self._miss(place, version, leg)
        came_to = zip(self._ids, self._balances, self._versions, self._stated, self._last, strict=True)
        for account_id, total, legs, balance, version in came_to:
            if (total, legs) != (balance, version):
                message = f"Account {account_id} comes to {total} after {legs} legs, not {balance} after {version}."
                self._report("balance_mismatch", message, file=ACCOUNTS)

    def _rows(self, file: str, chunks: Callable[[str], Iterable[Chunk]]) -> Iterator[Row]:
        for chunk in chunks(file):
            at = chunk.at
            for line in chunk.data.split(b"\n")[:-1]:
                try:
                    row = orjson.loads(line)
                    needed = {name for name in _NEEDED[file] if type(row[name]) is not int or abs(row[name]) > _LARGEST}
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    row, needed = {}, _NEEDED[file]
                if needed:
                    self._report("not_a_row", f"The line lacks {', '.join(sorted(needed))}.", file=file, byte=at)
                else:
                    yield at, row
                at += len(line) + 1


_NEEDED: dict[str, set[str]] = {
    ACCOUNTS: {"account_id", "balance_minor", "version"},
    TRANSFERS: {"transfer_id"},
    LEGS: {"transfer_id", "account_id", "version", "amount_minor", "balance_after_minor"},
}


def _whole(row: dict[str, Any], name: str) -> int:
    """A number that `_rows` has made sure of."""
    number: int = row[name]
    return number
