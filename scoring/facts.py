"""Trade facts as columns: what was invoiced, when due, when settled, and when each became known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ScoringError

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Bools = NDArray[np.bool_]

NOT_SETTLED = int(np.iinfo(np.int32).max)
"""`settled_day` of an invoice that is still open."""

MAX_DAY = 1_000_000
"""Last day accepted (year 4707): keeps `group * 2**20 + day` inside int64."""

MAX_FACE_MINOR = 10**13
"""Largest face accepted: 900,000 such invoices of one obligor still sum inside int64."""


class ColumnsUneven(ScoringError):
    """Columns must be one-dimensional and of one length."""

    code = "facts_columns_uneven"


class ColumnNotInteger(ScoringError):
    """A column holds something other than integers (NaN, fractions, text) or a value beyond its width."""

    code = "facts_column_not_integer"


class DayOutOfRange(ScoringError):
    """A day lies outside 1970-01-01 .. `MAX_DAY`."""

    code = "facts_day_out_of_range"


class DueBeforeIssue(ScoringError):
    """An invoice falls due before it is issued."""

    code = "facts_due_before_issue"


class FaceOutOfRange(ScoringError):
    """A face amount is not within 1 .. `MAX_FACE_MINOR`."""

    code = "facts_face_out_of_range"


class CodeOutOfRange(ScoringError):
    """An obligor or seller code is negative."""

    code = "facts_code_out_of_range"


@dataclass(frozen=True, eq=False)
class Trades:
    """Invoices as read-only columns of one length n.

    Days count from 1970-01-01. An invoice is known from `issue_day`, its settlement from `known_day`. A
    settlement before the issue day is a prepayment and is accepted: it becomes known together with the
    invoice. Refuses: ColumnsUneven, ColumnNotInteger, DayOutOfRange, DueBeforeIssue, FaceOutOfRange,
    CodeOutOfRange.
    """

    obligor: Int64s
    seller: Int64s
    face_minor: Int64s
    issue_day: Int32s
    due_day: Int32s
    settled_day: Int32s

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "obligor",
        "seller",
        "face_minor",
        "issue_day",
        "due_day",
        "settled_day",
    )

    def __post_init__(self) -> None:
        """Take the columns in their exact types, check every rule and freeze them."""
        for field in fields(self):
            column = _integers(getattr(self, field.name), name=field.name)
            column.flags.writeable = False
            object.__setattr__(self, field.name, column)
        if len({len(getattr(self, name)) for name in self.COLUMNS}) != 1:
            raise ColumnsUneven("columns differ in length")
        self._check_values()

    def _check_values(self) -> None:
        """Refuse values that no invoice can have, naming the first offending row."""
        _refuse_any((self.obligor < 0) | (self.seller < 0), refusal=CodeOutOfRange)
        _refuse_any((self.face_minor < 1) | (self.face_minor > MAX_FACE_MINOR), refusal=FaceOutOfRange)
        for day in (self.issue_day, self.due_day, np.where(self.is_open, 0, self.settled_day)):
            _refuse_any((day < 0) | (day > MAX_DAY), refusal=DayOutOfRange)
        _refuse_any(self.due_day < self.issue_day, refusal=DueBeforeIssue)

    def __len__(self) -> int:
        """Return the number of invoices."""
        return len(self.obligor)

    @property
    def is_open(self) -> Bools:
        """Whether each invoice is still unsettled."""
        return np.asarray(self.settled_day == NOT_SETTLED)

    @property
    def known_day(self) -> Int32s:
        """The day from which each settlement is known; NOT_SETTLED where it is not."""
        return np.maximum(self.settled_day, self.issue_day)

    def take(self, rows: NDArray[np.integer] | Bools) -> Self:
        """Return the chosen rows (positions or a mask), in the order asked for."""
        return type(self)(*(getattr(self, name)[rows] for name in self.COLUMNS))

    def known_by(self, day: int) -> Self:
        """Return what was known at the end of `day`: later invoices gone, later settlements open again."""
        seen = self.take(self.issue_day <= day)
        settled = np.where(seen.known_day <= day, seen.settled_day, NOT_SETTLED)
        return type(self)(seen.obligor, seen.seller, seen.face_minor, seen.issue_day, seen.due_day, settled)

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[int | None]]) -> Self:
        """Build from rows in the order of `COLUMNS`; a `settled_day` of None means still open."""
        filled = [[*row[:5], NOT_SETTLED if row[5] is None else row[5]] for row in rows if _six(row)]
        columns = zip(*filled, strict=True) if filled else ((),) * 6
        return cls(*(_integers(list(column), name=name) for name, column in zip(cls.COLUMNS, columns, strict=True)))

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Join parts, keeping their order; no parts give no rows."""
        tables = [*parts]
        if not tables:
            return cls.from_rows(())
        return cls(*(np.concatenate([getattr(part, name) for part in tables]) for name in cls.COLUMNS))


def _six(row: Sequence[int | None]) -> bool:
    """Return True for a row of six cells; refuse any other."""
    if len(row) != len(Trades.COLUMNS):
        raise ColumnsUneven(f"a row has {len(row)} cells, not {len(Trades.COLUMNS)}")
    return True


def _integers(values: object, *, name: str) -> NDArray[Any]:
    """Return a private one-dimensional copy in the column's type; refuse what would lose a value."""
    width = np.int32 if name.endswith("_day") else np.int64
    given = np.array(values)
    if given.ndim != 1:
        raise ColumnsUneven(f"{name} is not one-dimensional")
    if given.size == 0:
        return np.empty(0, dtype=width)
    limits = np.iinfo(width)
    if given.dtype.kind not in "iu" or int(given.min()) < limits.min or int(given.max()) > limits.max:
        raise ColumnNotInteger(f"{name} is not a column of {np.dtype(width).name}")
    return given.astype(width)


def _refuse_any(bad: Bools, *, refusal: type[ScoringError]) -> None:
    """Raise `refusal` naming the first row where `bad` holds."""
    if bad.any():
        raise refusal(f"row {int(np.argmax(bad))}")
