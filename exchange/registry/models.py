"""Facts that wait for their signature, and the signed chain of every asset."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class PendingEvent(Base):
    """A fact of a committed transaction, not signed yet. The sealer takes exact rows, in the order of `pending_id`.

    `body` and `disclosable` are JSON objects as text: nobody looks into them before they are signed.
    """

    __tablename__ = "pending_event"

    pending_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    asset_id: Mapped[str] = mapped_column(String)
    kind: Mapped[str] = mapped_column(String)
    body: Mapped[str] = mapped_column(String)
    disclosable: Mapped[str] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


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
