import datetime as dt
import hashlib
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection

from ledger import books
from tests.ledger.books.sample import ASSET, CNY, NOW, TODAY, balance, move, post, rows

LEG = books.Leg("bank", CNY, -1)


def test_money_and_title_move_together(opened: Connection) -> None:
    """Delivery versus payment is one transfer in two commodities."""
    post(opened, move("issue", "issue", "b", 500, ASSET))
    legs = (*move("", "a", "b", 90).legs, *move("", "b", "a", 500, ASSET).legs)
    [posted] = post(opened, books.Transfer("purchase", TODAY, "采购", legs))
    assert not posted.replayed
    assert posted.key == "purchase"
    assert [balance(opened, "a"), balance(opened, "b")] == [10, 90]
    assert [balance(opened, "a", ASSET), balance(opened, "b", ASSET)] == [500, 0]
    assert books.check(opened) == []


def test_an_empty_batch(opened: Connection) -> None:
    """Nothing to post is nothing posted."""
    assert post(opened) == []


def test_a_batch_is_all_or_nothing(opened: Connection) -> None:
    """One transfer without funds refuses those before and after it."""
    with pytest.raises(books.InsufficientFunds):
        post(opened, move("1", "a", "b", 60), move("2", "a", "b", 60), move("3", "bank", "b", 1))
    assert [balance(opened, "a"), balance(opened, "b")] == [100, 0]
    assert post(opened, move("1", "a", "b", 60), move("3", "bank", "b", 1))[0].replayed is False
    assert books.check(opened) == []


def test_a_batch_is_posted_in_its_order(opened: Connection) -> None:
    """What an earlier transfer brings, a later one may spend; not the other way round."""
    post(opened, move("1", "a", "b", 100), move("2", "b", "a", 70))
    with pytest.raises(books.InsufficientFunds) as refused:
        post(opened, move("3", "b", "bank", 31), move("4", "a", "b", 1))
    assert (refused.value.needed_minor, refused.value.available_minor) == (31, 30)


def test_insufficient_funds_names_the_account(opened: Connection) -> None:
    """The refusal gives key, account, and both amounts, counted up to the transfer refused."""
    with pytest.raises(books.InsufficientFunds) as refused:
        post(opened, move("1", "a", "b", 60), move("2", "a", "b", 41))
    error = refused.value
    assert (error.key, error.path, error.commodity, error.needed_minor, error.available_minor) == (
        "2", "a", CNY, 41, 40,
    )  # fmt: skip
    assert str(error) == "transfer 2 needs 41 of CNY/2 in a, which has 40"


def test_legs_may_meet_in_one_account(opened: Connection) -> None:
    """Every leg is kept; only what a transfer takes in all must be there, whatever the order of its legs."""
    amounts = {"a": (-120, 50, -30), "b": (40, 60)}
    legs = tuple(books.Leg(path, CNY, amount) for path in amounts for amount in amounts[path])
    post(opened, books.Transfer("meet", TODAY, "", legs))
    entries = books.statement(opened, path="a", commodity=CNY, after_version=1)
    assert [entry.amount_minor for entry in entries] == [50, -120, -30]
    assert [entry.balance_after_minor for entry in entries] == [150, 30, 0]
    assert balance(opened, "b") == 100
    assert books.check(opened) == []


def test_the_same_key_again_gives_the_first_answer(opened: Connection) -> None:
    """A replay posts nothing, in a later call or in the same batch."""
    first, second = post(opened, move("1", "a", "b", 10), move("1", "a", "b", 10))
    assert (first.replayed, second.replayed) == (False, True)
    [third, new] = post(opened, move("1", "a", "b", 10), move("2", "a", "b", 1))
    assert (third.replayed, new.replayed) == (True, False)
    assert first.transfer_id == second.transfer_id == third.transfer_id != new.transfer_id
    assert balance(opened, "b") == 11


CHANGES = [
    {"memo": "other"},
    {"effective_date": TODAY + dt.timedelta(days=1)},
    {"legs": move("1", "a", "b", 11).legs},
    {"legs": move("1", "a", "b", 10).legs[::-1]},
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_key_belongs_to_one_request(opened: Connection, change: dict[str, Any]) -> None:
    """Any other request under the key is refused, in the same batch and later; the books go on."""
    first = move("1", "a", "b", 10)
    with pytest.raises(books.KeyReused):
        post(opened, first, first._replace(**change))
    post(opened, first)
    with pytest.raises(books.KeyReused, match="key 1 belongs to another request"):
        post(opened, move("0", "a", "b", 1), first._replace(**change))
    assert balance(opened, "b") == 10


def test_a_lack_of_funds_is_an_outcome(opened: Connection) -> None:
    """A key once refused stays refused with the same numbers, though the funds are there now."""
    with pytest.raises(books.InsufficientFunds) as first:
        post(opened, move("1", "a", "b", 101))
    post(opened, move("more", "bank", "a", 500))
    with pytest.raises(books.InsufficientFunds) as second:
        post(opened, move("0", "a", "b", 1), move("1", "a", "b", 101))
    assert str(first.value) == str(second.value)
    with pytest.raises(books.KeyReused):
        post(opened, move("1", "a", "b", 10))
    assert balance(opened, "b") == 0
    assert books.check(opened) == []


def test_a_refusal_rolled_back_leaves_the_key_free(opened: Connection) -> None:
    """What was never committed was never an outcome."""
    with pytest.raises(books.InsufficientFunds), opened.begin_nested():
        post(opened, move("1", "a", "b", 101))
    post(opened, move("more", "bank", "a", 1))
    assert post(opened, move("1", "a", "b", 101))[0].replayed is False


def test_unknown_accounts_are_refused(opened: Connection) -> None:
    """Both path and commodity must be open, and the key stays free."""
    for path, commodity in (("nobody", CNY), ("bank", "EUR/2")):
        legs = (books.Leg(path, commodity, 1), books.Leg("a", commodity, -1))
        with pytest.raises(books.UnknownAccount) as refused:
            post(opened, books.Transfer("1", TODAY, "", legs))
        assert str(refused.value) == f"no account {path!r} in {commodity!r}"
    assert post(opened, move("1", "a", "b", 1))[0].replayed is False


def test_unbalanced_transfers_are_refused(opened: Connection) -> None:
    """Legs that only balance across commodities, or across transfers, do not balance."""
    crossed = (books.Leg("a", CNY, -1), books.Leg("a", ASSET, 1))
    with pytest.raises(books.Unbalanced, match=f"transfer 1 sums to -1 in {CNY}"):
        post(opened, books.Transfer("1", TODAY, "", crossed))
    taken = books.Transfer("2", TODAY, "", (LEG, LEG))
    given = books.Transfer("3", TODAY, "", (LEG._replace(amount_minor=1),) * 2)
    with pytest.raises(books.Unbalanced) as refused:
        post(opened, taken, given)
    assert (refused.value.key, refused.value.sum_minor) == ("2", -2)


NOT_AMOUNTS: list[Any] = [0, 10**15 + 1, -(10**15) - 1, 10**30, 1.0, Decimal(1), "1", True, None]
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"key": ""}, "key"),
    ({"key": "a b"}, "key"),
    ({"key": "k" * 201}, "key"),
    ({"effective_date": NOW}, "date"),
    ({"effective_date": "2026-01-01"}, "date"),
    ({"memo": "two\nlines"}, "memo"),
    ({"memo": "nul\0"}, "memo"),
    ({"memo": "\ud800"}, "memo"),
    ({"memo": "m" * 501}, "memo"),
    ({"legs": ()}, "legs"),
    ({"legs": (LEG,)}, "legs"),
    ({"legs": (LEG,) * 10_001}, "legs"),
    ({"legs": (LEG, LEG._replace(path="a\0"))}, "not an account"),
    ({"legs": (LEG, LEG._replace(commodity=""))}, "not an account"),
    *[({"legs": (LEG, books.Leg("a", CNY, amount))}, "amount") for amount in NOT_AMOUNTS],
]


@pytest.mark.parametrize(("change", "fault"), FAULTS)
def test_malformed_transfers_are_refused(opened: Connection, change: dict[str, Any], fault: str) -> None:
    """What could not be posted, or would be posted as something else, never reaches the database."""
    with pytest.raises(books.InvalidTransfer, match=fault):
        post(opened, move("1", "bank", "a", 1)._replace(**change))


def test_limits_on_time_and_size(opened: Connection) -> None:
    """A time without zone and a batch without end are refused."""
    with pytest.raises(books.InvalidTransfer, match="no time zone"):
        post(opened, move("1", "a", "b", 1), now=NOW.replace(tzinfo=None))
    with pytest.raises(books.InvalidTransfer, match="batch"):
        post(opened, *[move(f"t{number}", "a", "b", 1) for number in range(10_001)])


def test_the_largest_amounts(opened: Connection) -> None:
    """A balance reaches 64 bits through many transfers and refuses the one beyond."""
    legs = move("", "bank", "b", 10**15).legs * 3074
    batch = [books.Transfer(str(number), TODAY, "", legs) for number in range(3)]
    post(opened, *batch)
    assert balance(opened, "b") == 3 * 3074 * 10**15
    with pytest.raises(books.BalanceOutOfRange, match="range"), opened.begin_nested():
        post(opened, move("last", "bank", "b", 10**15), move("last2", "bank", "b", 10**15))
    assert balance(opened, "b") == 3 * 3074 * 10**15


def test_time_never_runs_backwards_in_an_account(opened: Connection) -> None:
    """A clock stepped back an hour still gives rising times; accounts that did not move take its own."""
    post(opened, move("1", "a", "b", 1), now=NOW - dt.timedelta(hours=1))
    post(opened, move("2", "a", "b", 1), now=NOW + dt.timedelta(hours=1))
    post(opened, move("3", "issue", "b", 1, ASSET), now=NOW)
    at = [entry.recorded_at for entry in books.statement(opened, path="a", commodity=CNY)]
    assert at == [NOW, NOW + dt.timedelta(microseconds=1), NOW + dt.timedelta(hours=1)]
    assert books.statement(opened, path="b", commodity=ASSET)[0].recorded_at == NOW


def test_the_fingerprint_is_pinned(opened: Connection) -> None:
    """The bytes behind a fingerprint never change: keys posted years ago must still be recognised."""
    post(opened, move("vector", "a", "b", 7))
    stored = opened.exec_driver_sql("SELECT fingerprint FROM books_transfers WHERE key = 'vector'").scalar_one()
    request = b"transfer\nvector\n2026-03-02\na\tCNY/2\t-7\nb\tCNY/2\t7\na to b"
    assert stored == hashlib.sha256(request).digest()


def test_other_database_errors_are_not_disguised(opened: Connection) -> None:
    """A failure that is no refusal stays what it is, so that the caller can retry."""
    opened.exec_driver_sql("SET LOCAL statement_timeout = 1")
    batch = [move(f"t{number}", "bank", "b", 1) for number in range(5000)]
    with pytest.raises(Exception, match="canceling statement due to statement timeout"):
        post(opened, *batch)


def test_one_call_writes_one_header_per_transfer(opened: Connection) -> None:
    """Nothing is written but headers and legs: no row appears or vanishes with replays and refusals."""
    with pytest.raises(books.KeyReused):
        post(opened, move("opening", "bank", "a", 99))
    post(opened, move("opening", "bank", "a", 100))
    assert (rows(opened, "books_transfers"), rows(opened, "books_entries")) == (1, 2)
