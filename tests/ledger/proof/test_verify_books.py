"""Books in a pack: each leg in its place, whatever the order of the transfers, and one fault told where it is."""

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.verify import books
from ledger.verify.books import ACCOUNTS, LEGS, TRANSFERS, Books
from ledger.verify.lines import Chunk
from tests.ledger.proof.archive import lines

Rows = dict[str, list[dict[str, Any]]]


def lived(seed: int, *, transfers: int = 12, accounts: int = 4) -> Rows:
    """Random books in one commodity, whose transfers are numbered in another order than they were posted in."""
    chance = random.Random(seed)
    balances, versions = Counter[int](), Counter[int]()
    legs = []
    for transfer_id in chance.sample(range(1, transfers + 1), transfers):
        amounts = [chance.randrange(-50, 50) for _ in range(chance.randrange(1, 4))]
        for leg, amount in enumerate([*amounts, -sum(amounts)], start=1):
            account = chance.randrange(1, accounts + 1)
            versions[account] += 1
            balances[account] += amount
            legs.append(
                {
                    "transfer_id": transfer_id,
                    "leg": leg,
                    "account_id": account,
                    "version": versions[account],
                    "amount_minor": amount,
                    "balance_after_minor": balances[account],
                }
            )
    return {
        ACCOUNTS: [
            {"account_id": one, "commodity": "CNY/2", "version": versions[one], "balance_minor": balances[one]}
            for one in range(1, accounts + 1)
        ],
        TRANSFERS: [{"transfer_id": one, "key": f"t{one}"} for one in range(1, transfers + 1)],
        LEGS: sorted(legs, key=lambda leg: (leg["transfer_id"], leg["leg"])),
    }


def found(rows: Rows) -> list[tuple[str, int | None]]:
    """Codes of what is found in books, and in which line of its file."""
    findings: list[tuple[str, int | None]] = []

    def report(code: str, _message: str, *, file: str, byte: int | None = None) -> None:
        findings.append((code, None if byte is None else lines(rows[file])[:byte].count(b"\n")))

    def chunks(file: str) -> Iterable[Chunk]:
        return [Chunk(0, lines(rows[file]))]

    Books(report).check(chunks)
    return findings


@given(st.integers())
def test_order_does_not_matter(seed: int) -> None:
    """A batch numbers its transfers by their keys, and posts them as they were asked for."""
    assert found(lived(seed)) == []


@given(st.integers(), st.data())
def test_one_number_altered_is_told_once_more_than_it_is_used(seed: int, data: st.DataObject) -> None:
    """An amount breaks its transfer and its account at that leg; a balance, that leg and the next, or the account."""
    rows = lived(seed)
    place = data.draw(st.integers(0, len(rows[LEGS]) - 1))
    name = data.draw(st.sampled_from(["amount_minor", "balance_after_minor"]))
    leg = rows[LEGS][place]
    leg[name] += data.draw(st.integers(-9, 9).filter(bool))
    assert ("running_balance", place) in found(rows)
    codes = Counter(code for code, _ in found(rows))
    is_last = leg["version"] == rows[ACCOUNTS][leg["account_id"] - 1]["version"]
    if name == "amount_minor":
        assert codes == {"running_balance": 1, "unbalanced_transfer": 1}
    else:
        assert codes == ({"running_balance": 1, "balance_mismatch": 1} if is_last else {"running_balance": 2})


def test_a_leg_gone_with_its_counterpart() -> None:
    """A whole transfer taken out, and balances with it: the versions tell."""
    rows = lived(7)
    gone = next(leg["transfer_id"] for leg in rows[LEGS] if leg["version"] == 1)
    rows[LEGS] = [leg for leg in rows[LEGS] if leg["transfer_id"] != gone]
    rows[TRANSFERS] = [row for row in rows[TRANSFERS] if row["transfer_id"] != gone]
    assert {"version_missing", "balance_mismatch"} <= {code for code, _ in found(rows)}


@pytest.mark.parametrize("version", [0, -1, 1])
def test_a_version_twice(version: int) -> None:
    """Or one below the first."""
    rows = lived(1)
    place = next(place for place, leg in enumerate(rows[LEGS]) if leg["version"] == 2)
    rows[LEGS][place]["version"] = version
    assert "version_repeated" in {code for code, _ in found(rows)}


def test_a_version_twice_before_its_turn() -> None:
    """Of two legs with one version, both ahead of their turn, the second is refused."""
    rows = lived(1)
    ahead = [place for place, leg in enumerate(rows[LEGS]) if leg["account_id"] == 1 and leg["version"] > 2]
    first, second = ahead[:2]
    rows[LEGS][first]["version"] = rows[LEGS][second]["version"] = 1000
    assert ("version_repeated", second) in found(rows)
    assert ("version_missing", first) in found(rows)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose legs all stand before those they follow does not fill the memory: it is refused."""
    rows = lived(3)
    monkeypatch.setattr(books, "WAITING", len(rows[LEGS]))
    assert found(rows) == []
    monkeypatch.setattr(books, "WAITING", 1)
    assert "version_missing" in {code for code, _ in found(rows)}
    in_turn: Rows = {
        ACCOUNTS: [{"account_id": 1, "commodity": "x", "version": 2, "balance_minor": 0}],
        TRANSFERS: [{"transfer_id": 1}],
        LEGS: [
            {"transfer_id": 1, "account_id": 1, "version": 1, "amount_minor": 5, "balance_after_minor": 5},
            {"transfer_id": 1, "account_id": 1, "version": 2, "amount_minor": -5, "balance_after_minor": 0},
        ],
    }
    monkeypatch.setattr(books, "WAITING", 0)
    assert found(in_turn) == []
