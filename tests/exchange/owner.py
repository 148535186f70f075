"""The rights of the database's owner, for tests that do what the service itself may not."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from exchange.db import Database


@contextmanager
def as_owner(database: Database) -> Iterator[Session]:
    """A transaction on the same database that may change the schema, tamper with rows and kill connections."""
    with Database(database.url, pooled=False, role=None).transaction() as session:
        yield session
