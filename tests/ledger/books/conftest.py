import pytest
from sqlalchemy import Connection, Engine

from ledger import books
from tests.ledger.books.sample import ACCOUNTS, move, post


def furnish(connection: Connection) -> None:
    """Open the sample's accounts and give 100 to a."""
    books.open_accounts(connection, accounts=ACCOUNTS)
    post(connection, move("opening", "bank", "a", 100))


@pytest.fixture
def opened(connection: Connection) -> Connection:
    """A connection to books with the sample's accounts, 100 in a."""
    furnish(connection)
    return connection


@pytest.fixture
def opened_engine(engine: Engine) -> Engine:
    """The same books, committed, for several connections."""
    with engine.begin() as connection:
        furnish(connection)
    return engine
