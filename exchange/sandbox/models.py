"""Which sandboxes there are, what is asked of each, and what their days brought. All else is in their own databases.

`moment`, `until`, `start_on`, `begun_on` and `day` are a sandbox's own time, all other moments are the machine's.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Sandbox(Base):
    """One sandbox. It is advancing while `until` is set; the keeper looks at it again at `due_at`.

    `secret_sealed` is what all its keys and ids come from, `heard` the last event of its funder that was counted.
    """

    __tablename__ = "sandbox"
    __table_args__ = (
        CheckConstraint("state IN ('making', 'open', 'resetting', 'ending', 'ended')", name="state_known"),
        CheckConstraint("until IS NULL OR (state = 'open' AND until > moment)", name="until_ahead"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended_when"),
        CheckConstraint("state <> 'open' OR (moment IS NOT NULL AND client_id IS NOT NULL)", name="open_whole"),
        Index("ix_sandbox_due_at", "due_at", postgresql_where=text("state <> 'ended'")),
        Index("ix_sandbox_funder_id", "funder_id", "sandbox_id"),
    )

    sandbox_id: Mapped[str] = mapped_column(String, primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    name: Mapped[str] = mapped_column(String)
    public_jwks: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    seed: Mapped[int] = mapped_column(BigInteger)
    start_on: Mapped[date] = mapped_column(Date)
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String)
    generation: Mapped[int] = mapped_column(server_default=text("1"))
    client_id: Mapped[str | None] = mapped_column(String)
    played: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    moment: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    stop_at: Mapped[list[str]] = mapped_column(ARRAY(String), server_default=text("'{}'"))
    stopped_by: Mapped[str | None] = mapped_column(String)
    heard: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    trouble: Mapped[str | None] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class SandboxScenario(Base):
    """Something to happen in a sandbox: begun on `begun_on`, and then day by day. What it began with is `assets`."""

    __tablename__ = "sandbox_scenario"
    __table_args__ = (
        CheckConstraint("(begun_on IS NULL) = (assets IS NULL)", name="begun_whole"),
        Index("ix_sandbox_scenario_waiting", "sandbox_id", postgresql_where=text("begun_on IS NULL")),
        Index("ix_sandbox_scenario_funder_id", "funder_id"),
    )

    sandbox_id: Mapped[str] = mapped_column(ForeignKey("sandbox.sandbox_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    kind: Mapped[str] = mapped_column(String)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    begun_on: Mapped[date | None] = mapped_column(Date)
    assets: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))


class SandboxDay(Base):
    """What a day of a sandbox brought: events of its funder by type, deeds of others, and what of these was refused."""

    __tablename__ = "sandbox_day"
    __table_args__ = (Index("ix_sandbox_day_funder_id", "funder_id"),)

    sandbox_id: Mapped[str] = mapped_column(ForeignKey("sandbox.sandbox_id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    events: Mapped[dict[str, int]] = mapped_column(JSONB)
    deeds: Mapped[dict[str, int]] = mapped_column(JSONB)
    refused: Mapped[dict[str, int]] = mapped_column(JSONB)
