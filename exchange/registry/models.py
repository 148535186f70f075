"""Facts that wait for their signature, the signed chain of every asset, and the keys that sign."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class PendingEvent(Base):
    """A fact of a committed transaction, not signed yet. The sealer takes exact rows, in the order of `pending_id`.

    `body` and `disclosable` are JSON objects as text: nobody looks into them before they are signed.
    """

    __tablename__ = "pending_event"
    __table_args__ = (Index("ix_pending_event_keys", "pending_id", postgresql_where=text("asset_id = 'keys'")),)

    pending_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    asset_id: Mapped[str] = mapped_column(String)
    kind: Mapped[str] = mapped_column(String)
    body: Mapped[str] = mapped_column(String)
    disclosable: Mapped[str] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SetAsideEvent(Base):
    """A pending fact that cannot be signed, and why. Its asset's chain waits behind it; the others go on.

    Without the pending fact the row says nothing; a foreign key would cost every sealed fact a look into this table.
    """

    __tablename__ = "set_aside_event"

    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    pending_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    code: Mapped[str] = mapped_column(String)
    detail: Mapped[str] = mapped_column(String)
    set_aside_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class AssetEvent(Base):
    """One signed link of an asset's chain: `digest` is what the next link names as `prev` and the log holds.

    `disclosures` stand as they follow a JWS in SD-JWT (RFC 9901): joined by `~`, empty where there are none.
    """

    __tablename__ = "asset_event"

    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    jws: Mapped[str] = mapped_column(String)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    disclosures: Mapped[str] = mapped_column(String)
    pending_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    log_index: Mapped[int] = mapped_column(BigInteger, unique=True)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SigningKey(Base):
    """The life of a key that signs asset records (`record`) or checkpoints (`log`): next, current, retired.

    A key that another has superseded is retired at once for records; for checkpoints it cosigns until somebody retires
    it. `store` and `label` say where its private half is. `in_force_index` is the log index of its activation: from
    there on it signs, so the log itself says which key has to sign what.
    """

    __tablename__ = "signing_key"
    __table_args__ = (
        CheckConstraint("use IN ('record', 'log')", name="use_known"),
        CheckConstraint("octet_length(public_key) = 32", name="public_key_whole"),
        CheckConstraint("superseded_at IS NULL OR activated_at IS NOT NULL", name="superseded_was_active"),
        CheckConstraint(
            "retired_at IS NULL OR (superseded_at IS NULL) = (activated_at IS NULL)", name="current_not_retired"
        ),
        CheckConstraint("use = 'log' OR superseded_at IS NULL OR retired_at IS NOT NULL", name="one_record_key_signs"),
        CheckConstraint("compromised_since IS NULL OR retired_at IS NOT NULL", name="compromised_is_retired"),
        CheckConstraint("in_force_index IS NULL OR activated_at IS NOT NULL", name="in_force_is_activated"),
        UniqueConstraint("use", "ordinal"),
        UniqueConstraint("store", "label"),
        Index(
            "uq_signing_key_current",
            "use",
            unique=True,
            postgresql_where=text("activated_at IS NOT NULL AND superseded_at IS NULL"),
        ),
    )

    kid: Mapped[str] = mapped_column(String, primary_key=True)
    use: Mapped[str] = mapped_column(String)
    ordinal: Mapped[int] = mapped_column(SmallInteger)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    store: Mapped[str] = mapped_column(String)
    label: Mapped[str] = mapped_column(String)
    introduced_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    activated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    superseded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    retired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    compromised_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    in_force_index: Mapped[int | None] = mapped_column(BigInteger, unique=True)
