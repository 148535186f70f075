"""Runs of the comparison, the breaks they found, and what became of each."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class ReconciliationRun(Base):
    """One comparison of everything, as it stood while it ran, for a business date.

    It goes on from check `step` behind `place` whoever takes it up. `parts` counts by check what was looked at and what
    was found, with the sums that a person reads. `digest` is the SHA-256 of all that it found.
    """

    __tablename__ = "reconciliation_run"
    __table_args__ = (
        CheckConstraint("(finished_at IS NULL) = (digest IS NULL)", name="digest_when_finished"),
        CheckConstraint("checked >= 0 AND found >= 0 AND opened >= 0 AND closed >= 0", name="counts"),
        Index("ix_reconciliation_run_unfinished", "run_id", postgresql_where=text("finished_at IS NULL")),
    )

    run_id: Mapped[str] = mapped_column(String, primary_key=True)
    business_date: Mapped[date]
    asked_by: Mapped[str] = mapped_column(String)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    step: Mapped[int] = mapped_column(default=0)
    place: Mapped[str] = mapped_column(String, default="")
    checked: Mapped[int] = mapped_column(BigInteger, default=0)
    found: Mapped[int] = mapped_column(default=0)
    opened: Mapped[int] = mapped_column(default=0)
    closed: Mapped[int] = mapped_column(default=0)
    parts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    digest: Mapped[str | None] = mapped_column(String(64))


class ReconciliationBreak(Base):
    """Two places that differ about `subject` (and `holder`, where it is about somebody's), by `found` - `expected`.

    open: nobody has said why; explained: somebody has, for this very difference; resolved: a run found it gone, nobody
    can talk it away. While it is not resolved the same break is this row: it ages and does not double.
    """

    __tablename__ = "reconciliation_break"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'explained', 'resolved')", name="state_known"),
        CheckConstraint("expected <> found", name="differs"),
        CheckConstraint("last_seen >= first_seen", name="seen_in_order"),
        CheckConstraint("(state = 'resolved') = (resolved_on IS NOT NULL)", name="resolved_on_a_day"),
        Index(
            "uq_reconciliation_break_live",
            "kind",
            "subject",
            "holder",
            unique=True,
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index("ix_reconciliation_break_state", "state", "break_id"),
        Index("ix_reconciliation_break_subject", "subject"),
        Index("ix_reconciliation_break_run_id", "run_id"),
    )

    break_id: Mapped[str] = mapped_column(String, primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    subject: Mapped[str] = mapped_column(String)
    holder: Mapped[str] = mapped_column(String)
    unit: Mapped[str] = mapped_column(String)
    expected: Mapped[int] = mapped_column(BigInteger)
    found: Mapped[int] = mapped_column(BigInteger)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    first_seen: Mapped[date]
    last_seen: Mapped[date]
    run_id: Mapped[str] = mapped_column(ForeignKey("reconciliation_run.run_id"))
    state: Mapped[str] = mapped_column(String)
    team: Mapped[str] = mapped_column(String)
    assigned_to: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    resolved_on: Mapped[date | None]


class BreakFact(Base):
    """What happened to a break, from 1: found, changed, gone, by a run; assigned, explained, reopened, by a person.

    Rows are only added.
    """

    __tablename__ = "reconciliation_break_fact"
    __table_args__ = (
        CheckConstraint("fact IN ('found', 'changed', 'gone', 'assigned', 'explained', 'reopened')", name="fact_known"),
    )

    break_id: Mapped[str] = mapped_column(ForeignKey("reconciliation_break.break_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fact: Mapped[str] = mapped_column(String)
    by: Mapped[str] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    numbers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
