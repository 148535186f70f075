import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from ledger import books
from tests.ledger.books.sample import ASSET, CNY, NOW, TODAY, balance, hold, move, post, resolve, rows

VOID = books.Resolution("h", "voided")


def capture(amount_minor: int, key: str = "c", hold_key: str = "h") -> books.Resolution:
    """A capture that pays an amount from the reservation to b."""
    return books.Resolution(hold_key, "captured", move(key, "reserved", "b", amount_minor))


def test_a_hold_sets_an_amount_aside(opened: Connection) -> None:
    """Held money is no longer the source's to spend; holding it again is a replay."""
    [held] = hold(opened, "h", 70)
    assert hold(opened, "h", 70) == [held._replace(replayed=True)]
    assert [balance(opened, "a"), balance(opened, "reserved")] == [30, 70]
    with pytest.raises(books.InsufficientFunds):
        hold(opened, "h2", 31)
    assert books.check(opened) == []


def test_a_void_gives_it_back(opened: Connection) -> None:
    """A void returns the whole amount on its own day, under a key of its own."""
    hold(opened, "h", 70)
    later = TODAY + dt.timedelta(days=9)
    [voided] = books.resolve_holds(opened, resolutions=[VOID], effective_date=later, now=NOW)
    assert voided.key == "h/void"
    assert [balance(opened, "a"), balance(opened, "reserved")] == [100, 0]
    last = books.statement(opened, path="a", commodity=CNY)[-1]
    assert (last.effective_date, last.memo) == (later, "void of h")
    assert books.check(opened) == []


def test_a_capture_may_spend_a_part(opened: Connection) -> None:
    """What a capture does not spend goes back to the source in the same transfer."""
    hold(opened, "h", 70)
    legs = (*move("", "reserved", "b", 60).legs, *move("", "reserved", "a", 10).legs)
    resolve(opened, books.Resolution("h", "captured", books.Transfer("c", TODAY, "", legs)))
    assert [balance(opened, path) for path in ("a", "b", "reserved")] == [40, 60, 0]
    assert books.check(opened) == []


def test_one_transfer_captures_money_and_title(opened: Connection) -> None:
    """Both holds of a deal end in the one transfer that settles it."""
    post(opened, move("issue", "issue", "a", 500, ASSET))
    hold(opened, "money", 70)
    hold(opened, "title", 500, ASSET)
    legs = (*move("", "reserved", "b", 70).legs, *move("", "reserved", "b", 500, ASSET).legs)
    deal = books.Transfer("deal", TODAY, "", legs)
    ends = [books.Resolution("money", "captured", deal), books.Resolution("title", "captured", deal)]
    first, second = resolve(opened, *ends)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.transfer_id == second.transfer_id
    assert [balance(opened, "b"), balance(opened, "b", ASSET)] == [70, 500]
    assert books.check(opened) == []


def test_holds_end_in_batches(opened: Connection) -> None:
    """Captures and voids mix in one call; a repetition in the call counts once."""
    for key, amount in (("h1", 20), ("h2", 30), ("h3", 40)):
        hold(opened, key, amount)
    ends = [
        books.Resolution("h1", "voided"),
        capture(30, "c2", "h2"),
        books.Resolution("h3", "voided"),
        books.Resolution("h1", "voided"),
    ]
    posted = resolve(opened, *ends)
    assert [end.key for end in posted] == ["h1/void", "c2", "h3/void", "h1/void"]
    assert [end.replayed for end in posted] == [False, False, False, True]
    assert [balance(opened, path) for path in ("a", "b", "reserved")] == [70, 30, 0]
    assert all(end.replayed for end in resolve(opened, *ends))
    assert rows(opened, "books_resolutions") == 3
    assert books.check(opened) == []


def test_no_holds_to_end(opened: Connection) -> None:
    """An empty batch resolves nothing."""
    assert resolve(opened) == []


@pytest.mark.parametrize("first", [VOID, capture(70)])
@pytest.mark.parametrize("second", [VOID, capture(70), capture(70, "c2")])
def test_a_hold_ends_once(opened: Connection, first: books.Resolution, second: books.Resolution) -> None:
    """The same end again is a replay; any other is refused, in a later call or in the same one."""
    hold(opened, "h", 70)
    if first != second:
        with pytest.raises(books.HoldResolved):
            resolve(opened, first, second)
    resolve(opened, first)
    if first == second:
        assert resolve(opened, second)[0].replayed
    else:
        with pytest.raises(books.HoldResolved, match=f"hold h was {first.outcome} already"):
            resolve(opened, second)
    assert balance(opened, "reserved") == 0
    assert books.check(opened) == []


def test_a_second_end_is_refused_by_the_table_too(opened: Connection) -> None:
    """Whoever writes the row, a hold has one resolution."""
    hold(opened, "h", 70)
    resolve(opened, VOID)
    again = "INSERT INTO books_resolutions (hold_id, transfer_id, outcome) SELECT hold_id, transfer_id, outcome"
    with pytest.raises(IntegrityError, match="pk_books_resolutions"):
        opened.exec_driver_sql(f"{again} FROM books_resolutions")


@pytest.mark.parametrize("amount_minor", [69, 71])
def test_a_capture_takes_exactly_the_hold(opened: Connection, amount_minor: int) -> None:
    """Neither a rest nor another hold's money can be taken along."""
    hold(opened, "h", 70)
    hold(opened, "other", 30)
    with pytest.raises(books.HoldMismatch) as refused:
        resolve(opened, capture(amount_minor))
    assert (refused.value.held_minor, refused.value.taken_minor) == (70, amount_minor)
    assert str(refused.value) == (f"transfer c takes {amount_minor} of CNY/2 from reserved, where 70 is held")
    with pytest.raises(books.HoldMismatch, match="takes 0"):
        resolve(opened, books.Resolution("h", "captured", move("c", "bank", "b", 70)))
    assert resolve(opened, capture(70))[0].replayed is False


def test_a_capture_is_a_transfer_like_any_other(opened: Connection) -> None:
    """The rules of posting refuse a capture as they refuse a transfer, and the hold stays open."""
    hold(opened, "h", 70)
    post(opened, move("more", "a", "b", 30))
    legs = (*move("", "reserved", "b", 70).legs, *move("", "a", "b", 1).legs)
    with pytest.raises(books.InsufficientFunds):
        resolve(opened, books.Resolution("h", "captured", books.Transfer("short", TODAY, "", legs)))
    with pytest.raises(books.KeyReused):
        resolve(opened, capture(70, "more"))
    assert resolve(opened, VOID)[0].replayed is False


def test_an_old_transfer_cannot_capture(opened: Connection) -> None:
    """A transfer that was posted before, not as a capture, does not become one."""
    hold(opened, "h", 30)
    hold(opened, "h2", 30)
    resolve(opened, capture(30, "c", "h"))
    with pytest.raises(books.KeyReused, match="key c "):
        resolve(opened, capture(30, "c", "h2"))
    assert books.check(opened) == []


def test_a_hold_is_not_a_transfer(opened: Connection) -> None:
    """The same legs under the same key, once plain and once held, are two requests."""
    hold(opened, "h", 70)
    plain = books.Transfer("h", TODAY, "", move("", "a", "reserved", 70).legs)
    with pytest.raises(books.KeyReused):
        post(opened, plain)


@pytest.mark.parametrize("key", ["nothing", "plain", "refused", "", "a\0"])
def test_only_holds_end(opened: Connection, key: str) -> None:
    """No hold, a plain transfer, a refused hold, a key that cannot be: all unknown."""
    post(opened, move("plain", "bank", "reserved", 70))
    with pytest.raises(books.InsufficientFunds):
        hold(opened, "refused", 101)
    for end in (books.Resolution(key, "voided"), capture(70, "c", key)):
        with pytest.raises(books.UnknownHold, match="no hold"):
            resolve(opened, end)


def test_a_capture_names_its_transfer_and_a_void_does_not(opened: Connection) -> None:
    """The other two combinations have no meaning."""
    for end in (books.Resolution("h", "captured"), books.Resolution("h", "voided", move("1", "a", "b", 1))):
        with pytest.raises(books.InvalidResolution, match="a capture names its transfer"):
            resolve(opened, end)


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"amount_minor": 0}, "positive"),
    ({"amount_minor": -1}, "positive"),
    ({"amount_minor": 1.5}, "positive"),
    ({"amount_minor": 10**15 + 1}, "amount"),
    ({"reservation_path": "a"}, "two accounts"),
    ({"key": "k" * 196}, "at most 193"),
    ({"key": ""}, "key"),
]


@pytest.mark.parametrize(("change", "fault"), FAULTS)
def test_malformed_holds_are_refused(opened: Connection, change: dict[str, Any], fault: str) -> None:
    """A hold moves a positive amount between two accounts, and leaves room for the key of its void."""
    request = books.HoldRequest("h", "a", "reserved", CNY, 10, TODAY)._replace(**change)
    with pytest.raises(books.InvalidTransfer, match=fault):
        books.hold(opened, requests=[request], now=NOW)
