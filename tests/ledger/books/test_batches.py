from collections.abc import Sequence
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import books
from tests.ledger.books.sample import ACCOUNTS, ASSET, CNY, move, post

MOVES = st.tuples(st.permutations(["bank", "a", "b"]), st.integers(1, 40)) | st.tuples(
    st.permutations(["issue", "a", "b"]), st.integers(1, 40)
)
Lines = dict[tuple[str, str], list[tuple[str, int, int, int]]]


def transfers_of(moves: list[tuple[list[str], int]]) -> list[books.Transfer]:
    """One transfer for each move, in title where the issue takes part."""
    return [
        move(f"t{number}", paths[0], paths[1], amount, ASSET if "issue" in paths else CNY)
        for number, (paths, amount) in enumerate(moves)
    ]


def lines_after(connection: Connection, batches: Sequence[Sequence[books.Transfer]]) -> Lines:
    """Post the batches to fresh books, each as far as it goes, and read all accounts."""
    with connection.begin_nested() as savepoint:
        books.open_accounts(connection, accounts=ACCOUNTS)
        for batch in batches:
            with suppress(books.InsufficientFunds):
                post(connection, *batch)
        assert books.check(connection) == []
        lines = {
            (path, commodity): [
                (entry.key, entry.version, entry.amount_minor, entry.balance_after_minor)
                for entry in books.statement(connection, path=path, commodity=commodity)
            ]
            for path, commodity, _ in ACCOUNTS
        }
        savepoint.rollback()
    return lines


def opening() -> list[books.Transfer]:
    """Enough for every move to come, in any order."""
    return [move(f"{path} {commodity}".replace(" ", "-"), source, path, 1000, commodity)
            for path in ("a", "b") for source, commodity in (("bank", CNY), ("issue", ASSET))]  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(MOVES, min_size=1, max_size=12), cut=st.integers(0, 12), data=st.data())
def test_batch_equals_one_by_one_equals_shuffled(
    connection: Connection, moves: list[tuple[list[str], int]], cut: int, data: st.DataObject
) -> None:
    """However transfers are cut into batches, the entries are the same; in any order, the balances."""
    transfers = transfers_of(moves)
    whole = lines_after(connection, [opening(), transfers])
    assert lines_after(connection, [opening(), *[[transfer] for transfer in transfers]]) == whole
    assert lines_after(connection, [opening(), transfers[:cut], transfers[cut:]]) == whole
    shuffled = lines_after(connection, [opening(), data.draw(st.permutations(transfers))])
    for account, lines in whole.items():
        assert sum(line[2] for line in shuffled[account]) == sum(line[2] for line in lines)
        assert [line[3] for line in shuffled[account]][-1:] == [line[3] for line in lines][-1:]
        assert {(line[0], line[2]) for line in shuffled[account]} == {(line[0], line[2]) for line in lines}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(MOVES, min_size=1, max_size=8))
def test_a_batch_short_of_funds_is_as_if_never_posted(
    connection: Connection, moves: list[tuple[list[str], int]]
) -> None:
    """A batch posts what its transfers would post one by one, or, if one of them is refused, nothing."""
    transfers = transfers_of(moves)
    together = lines_after(connection, [transfers])
    singly = lines_after(connection, [[transfer] for transfer in transfers])
    refused = {transfer.key for transfer in transfers} - {line[0] for lines in singly.values() for line in lines}
    assert together == ({account: [] for account in singly} if refused else singly)
