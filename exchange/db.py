"""The database: one engine a process, one transaction a request or job item."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
from psycopg import sql
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import NullPool

from ledger.tables import metadata as ledger_metadata

RETRIES = 5
RETRYABLE = frozenset({"40001", "40P01", "55P03"})
"""Serialisation failure, deadlock, lock not available: the whole transaction is right to try again."""

Result = TypeVar("Result")

NAMING = ledger_metadata.naming_convention


class Base(DeclarativeBase):
    """Every table of the exchange."""

    metadata = MetaData(naming_convention=NAMING)


class Database:
    """Transactions on one PostgreSQL."""

    def __init__(self, url: str, *, pooled: bool = True) -> None:
        options: dict[str, Any] = (
            {"pool_size": 10, "max_overflow": 10, "pool_use_lifo": True} if pooled else {"poolclass": NullPool}
        )
        self.url = url
        self.engine: Engine = create_engine(
            url,
            connect_args={"options": "-c timezone=UTC"},
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            **options,
        )

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end of the block and rolls back when the block raises."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session, session.begin():
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session that sees one moment of the database from its first read to its last."""
        engine = self.engine.execution_options(isolation_level="REPEATABLE READ")
        with Session(engine) as session, session.begin():
            yield session

    def run(self, work: Callable[[Session], Result]) -> Result:
        """`work` in a transaction of its own, again as a whole when PostgreSQL asks for that."""
        for _ in range(RETRIES - 1):
            try:
                with self.transaction() as session:
                    return work(session)
            except OperationalError as error:
                if not is_retryable(error):
                    raise
        with self.transaction() as session:
            return work(session)

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def is_retryable(error: OperationalError) -> bool:
    """Whether the transaction failed only because of others that ran at the same time."""
    return getattr(error.orig, "sqlstate", None) in RETRYABLE


def copy_rows(session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write many rows with `COPY`, inside the session's transaction."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with raw_cursor(session) as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def raw_cursor(session: Session) -> Iterator[Any]:
    """A psycopg cursor on the session's own connection and transaction."""
    session.flush()
    connection = session.connection().connection.driver_connection
    if connection is None:  # pragma: no cover - SQLAlchemy types it so; a live session always has one
        raise RuntimeError("the session has no connection")
    with connection.cursor() as cursor:
        yield cursor


def constraint_of(error: Exception) -> str:
    """The name of the constraint a database error speaks of, or an empty string."""
    diagnostic = getattr(getattr(error, "orig", None), "diag", None)
    return getattr(diagnostic, "constraint_name", None) or ""
