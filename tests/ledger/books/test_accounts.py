import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import books
from ledger.books.accounts import is_name
from tests.ledger.books.sample import ASSET, CNY, balance, rows


def test_an_account_is_born_with_an_empty_balance(connection: Connection) -> None:
    """A balance row exists from the start, so that it can be locked."""
    books.open_accounts(connection, accounts=[books.Account("a", CNY), books.Account("a", ASSET)])
    assert balance(connection, "a") == balance(connection, "a", ASSET) == 0
    assert books.check(connection) == []


def test_opening_again_changes_nothing(connection: Connection) -> None:
    """Opening is idempotent, within a call and over calls."""
    account = books.Account("a", CNY)
    books.open_accounts(connection, accounts=[account, account])
    books.open_accounts(connection, accounts=[account, books.Account("b", CNY)])
    assert rows(connection, "books_accounts") == rows(connection, "books_balances") == 2


def test_opening_nothing(connection: Connection) -> None:
    """An empty list opens nothing."""
    books.open_accounts(connection, accounts=[])
    assert rows(connection, "books_accounts") == 0


def test_the_right_to_overdraw_is_fixed(connection: Connection) -> None:
    """An open account cannot be opened with another right, not even in the same call."""
    strict, lax = books.Account("a", CNY), books.Account("a", CNY, may_overdraw=True)
    with pytest.raises(books.AccountDiffers, match="another right"):
        books.open_accounts(connection, accounts=[strict, lax])
    books.open_accounts(connection, accounts=[strict])
    with pytest.raises(books.AccountDiffers) as refused:
        books.open_accounts(connection, accounts=[lax])
    assert (refused.value.path, refused.value.commodity) == ("a", CNY)


@pytest.mark.parametrize("name", ["", " ", "a b", "a\tb", "a\nb", "a\0b", "\ud800", "é", "a" * 201])
def test_bad_names_are_refused(connection: Connection, name: str) -> None:
    """A name that the database or a fingerprint could not take is refused before it gets there."""
    for account in (books.Account(name, CNY), books.Account("a", name)):
        with pytest.raises(books.InvalidAccount, match="not an account"):
            books.open_accounts(connection, accounts=[account])


@given(st.text(max_size=5))
def test_a_name_has_only_printable_ascii(name: str) -> None:
    """Names are 1 or more characters from ! to ~."""
    assert is_name(name) == (name != "" and all("!" <= character <= "~" for character in name))
