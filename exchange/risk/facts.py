"""Trade facts between PostgreSQL and the columns that `scoring` reads."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from sqlalchemy.orm import Session

from exchange.db import raw_cursor
from scoring.facts import Trades

EPOCH = date(1970, 1, 1)

COLUMNS = "obligor, seller, face_minor, issue_day, due_day, settled_day"
# COPY BINARY: a 19-byte header, then rows of a 2-byte field count and fields with a 4-byte length; all fixed width.
HEADER_BYTES = 19
ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("obligor_length", ">i4"),
        ("obligor", ">i8"),
        ("seller_length", ">i4"),
        ("seller", ">i8"),
        ("face_length", ">i4"),
        ("face_minor", ">i8"),
        ("issue_length", ">i4"),
        ("issue_day", ">i4"),
        ("due_length", ">i4"),
        ("due_day", ">i4"),
        ("settled_length", ">i4"),
        ("settled_day", ">i4"),
    ]
)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def all_trades(session: Session) -> Trades:
    """Every trade fact the exchange has."""
    return _copied(session, f"COPY (SELECT {COLUMNS} FROM trade) TO STDOUT (FORMAT BINARY)")  # noqa: S608 - no input


def trades_of(session: Session, *, obligors: Sequence[int], sellers: Sequence[int]) -> Trades:
    """The facts of these obligors and these sellers: all that features of their trades are made of."""
    return _copied(
        session,
        f"COPY (SELECT {COLUMNS} FROM trade WHERE obligor IN ({_listed(obligors)}) OR seller IN ({_listed(sellers)})) "  # noqa: S608 - integers
        "TO STDOUT (FORMAT BINARY)",
    )


def _listed(numbers: Sequence[int]) -> str:
    """Numbers as SQL; `int` makes sure that they are nothing else (COPY takes no parameters)."""
    return ", ".join(str(int(number)) for number in numbers)


def _copied(session: Session, statement: str) -> Trades:
    with raw_cursor(session) as cursor, cursor.copy(statement) as copy:
        data = b"".join(bytes(part) for part in copy)
    rows = np.frombuffer(data, dtype=ROW, offset=HEADER_BYTES, count=(len(data) - HEADER_BYTES) // ROW.itemsize)
    return Trades(
        obligor=rows["obligor"].astype(np.int64),
        seller=rows["seller"].astype(np.int64),
        face_minor=rows["face_minor"].astype(np.int64),
        issue_day=rows["issue_day"].astype(np.int32),
        due_day=rows["due_day"].astype(np.int32),
        settled_day=rows["settled_day"].astype(np.int32),
    )
