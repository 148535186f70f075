"""The database: one engine a process, one transaction a request or job item."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import orjson
from psycopg import sql
from sqlalchemy import Engine, MetaData, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import NullPool

from ledger.tables import metadata as ledger_metadata

RETRIES = 5
RETRYABLE = frozenset({"40001", "40P01", "55P03"})
"""Serialisation failure, deadlock, lock not available: the whole transaction is right to try again."""
LOST = ("08", "57P01", "57P02", "57P03")
"""How the SQLSTATE of a lost connection begins: connection failure, server stopped, crashed, starting."""
FIRST_PAUSE_SECONDS = 0.05

APP_ROLE = "exchange_app"
"""What the service may do in the database, whoever it logs in as; `exchange migrate` makes it."""
AUDITOR_ROLE = "exchange_auditor"
"""Who may read the books and the log, and nothing else."""
FUNDER_ROLE, FUNDER_SETTING = "exchange_funder", "exchange.funder_id"
"""As who a funder's request works, and the setting that says which funder's rows there are for it."""
PATIENCE = "-c timezone=UTC -c lock_timeout=10s -c idle_in_transaction_session_timeout=10min"
"""Nobody waits without end for a lock, and nobody who forgot a transaction holds one without end."""
ASSUME = """
    SELECT set_config('role', rolname, false) FROM pg_roles
    WHERE rolname = %s AND pg_has_role(session_user, oid, 'MEMBER')
"""

SEE_ONLY = text("SELECT set_config('role', :role, true), set_config(:setting, :funder_id, true)")

Result = TypeVar("Result")

NAMING = ledger_metadata.naming_convention


class Base(DeclarativeBase):
    """Every table of the exchange."""

    metadata = MetaData(naming_convention=NAMING)


class OutcomeUnknown(OperationalError):
    """The connection was lost at COMMIT: only a repetition with the same key tells whether the work was done."""


class Database:
    """Transactions on one PostgreSQL, with the rights of `role` where the login may have them (None: its own)."""

    def __init__(self, url: str, *, pooled: bool = True, role: str | None = APP_ROLE) -> None:
        options: dict[str, Any] = (
            {"pool_size": 10, "max_overflow": 10, "pool_use_lifo": True} if pooled else {"poolclass": NullPool}
        )
        self.url = url
        self.engine: Engine = create_engine(
            url,
            connect_args={"options": PATIENCE},
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            **options,
        )
        if role is not None:
            event.listen(self.engine, "connect", partial(assume, role))

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end of the block and rolls back when the block raises (`OutcomeUnknown`)."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session
            session.flush()
            try:
                session.commit()
            except DBAPIError as error:
                if is_lost(error):
                    raise OutcomeUnknown(error.statement, error.params, error.orig or error) from error
                raise

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session that sees one moment of the database from its first read to its last."""
        engine = self.engine.execution_options(isolation_level="REPEATABLE READ")
        with Session(engine) as session, session.begin():
            yield session

    def run(self, work: Callable[[Session], Result]) -> Result:
        """`work` in a transaction of its own, again as a whole when that is right (`OutcomeUnknown`)."""
        for attempt in range(RETRIES - 1):
            try:
                with self.transaction() as session:
                    return work(session)
            except OperationalError as error:
                if not is_retryable(error):
                    raise
                pause(error, attempt=attempt)
        with self.transaction() as session:
            return work(session)

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def is_retryable(error: OperationalError) -> bool:
    """Whether the transaction left nothing, and failed only by what others did at the time or by a lost connection."""
    if isinstance(error, OutcomeUnknown):
        return False
    return getattr(error.orig, "sqlstate", None) in RETRYABLE or is_lost(error)


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection broke, or there was none to be had; without a SQLSTATE it is the client that noticed."""
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, OperationalError)
    return str(state).startswith(LOST)


def pause(error: OperationalError, *, attempt: int) -> None:
    """Give a server that went away a moment to come back, longer each time; a conflict is tried again at once."""
    if is_lost(error):
        time.sleep(FIRST_PAUSE_SECONDS * 2**attempt)


def assume(role: str, connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's, as SQLAlchemy hands it on
    """Take on `role` for the whole life of a new connection."""
    with connection.cursor() as cursor:
        cursor.execute(ASSUME, (role,))
    connection.commit()


def see_only(session: Session, *, funder_id: str) -> None:
    """For the rest of the transaction there are no rows of other funders (exchange/migrations/policies.py)."""
    session.execute(SEE_ONLY, {"role": FUNDER_ROLE, "setting": FUNDER_SETTING, "funder_id": funder_id})
    session.info[FUNDER_SETTING] = funder_id


def copy_rows(session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write many rows with `COPY`, inside the session's transaction; PostgreSQL copies none where rows are hidden."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    if FUNDER_SETTING in session.info:
        places = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), names, places)
        with raw_cursor(session) as cursor:
            cursor.executemany(insert, rows)
        return
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
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
