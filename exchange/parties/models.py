"""Parties and the API clients that speak for them."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Originator(Base):
    """A trading platform that submits receivables and services them."""

    __tablename__ = "originator"

    originator_id: Mapped[str] = mapped_column(String, primary_key=True)
    name: Mapped[str] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Funder(Base):
    """A bank, factor or fund that buys. Money that names `deposit_reference` is its cash."""

    __tablename__ = "funder"

    funder_id: Mapped[str] = mapped_column(String, primary_key=True)
    name: Mapped[str] = mapped_column(String)
    deposit_reference: Mapped[str] = mapped_column(String, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Partner(Base):
    """Another platform: it asks and claims by blind marks, and sells nothing here."""

    __tablename__ = "partner"

    partner_id: Mapped[str] = mapped_column(String, primary_key=True)
    name: Mapped[str] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Controller(Base):
    """A person who controls companies. The national id is a keyed hash and a sealed value, shown to nobody."""

    __tablename__ = "controller"

    controller_id: Mapped[str] = mapped_column(String, primary_key=True)
    identity_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    identity_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Company(Base):
    """A seller or obligor; `number` is its short name in columns of facts.

    A `platform` value belongs to the originator that gave it; USCC and LEI are everybody's.
    """

    __tablename__ = "company"
    __table_args__ = (
        UniqueConstraint("scheme", "namespace", "value"),
        CheckConstraint("scheme IN ('uscc', 'lei', 'platform')", name="scheme_known"),
        CheckConstraint("(scheme = 'platform') = (namespace <> '')", name="namespace_of_platform"),
    )

    company_id: Mapped[str] = mapped_column(String, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    scheme: Mapped[str] = mapped_column(String)
    namespace: Mapped[str] = mapped_column(String)
    value: Mapped[str] = mapped_column(String)
    name: Mapped[str | None] = mapped_column(String)
    sector: Mapped[str | None] = mapped_column(String)
    region: Mapped[str | None] = mapped_column(String)
    controller_id: Mapped[str | None] = mapped_column(ForeignKey("controller.controller_id"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ApiClient(Base):
    """A program that calls the exchange for a party, known by its keys. `scopes` are all it may ever ask for."""

    __tablename__ = "api_client"
    __table_args__ = (
        CheckConstraint(
            "role IN ('operator', 'platform', 'funder', 'auditor', 'obligor', 'partner')", name="role_known"
        ),
        CheckConstraint("(role IN ('operator', 'auditor')) = (party_id IS NULL)", name="party_of_role"),
    )

    client_id: Mapped[str] = mapped_column(String, primary_key=True)
    role: Mapped[str] = mapped_column(String)
    party_id: Mapped[str | None] = mapped_column(String)
    scopes: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ClientKey(Base):
    """A public key of a client, named by its thumbprint (RFC 7638). A retired one stays: it signed what it signed."""

    __tablename__ = "client_key"

    client_id: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"), primary_key=True)
    thumbprint: Mapped[str] = mapped_column(String(43), primary_key=True)
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    retired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class SignedRequest(Base):
    """A request that a client signed (RFC 9421), word for word, with what it is about. Never changed."""

    __tablename__ = "signed_request"
    __table_args__ = (
        ForeignKeyConstraint(["client_id", "thumbprint"], ["client_key.client_id", "client_key.thumbprint"]),
    )

    request_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subject: Mapped[str] = mapped_column(String, index=True)
    client_id: Mapped[str] = mapped_column(String)
    thumbprint: Mapped[str] = mapped_column(String(43))
    method: Mapped[str] = mapped_column(String)
    url: Mapped[str] = mapped_column(String)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class UsedAssertion(Base):
    """A client assertion that was used: none is accepted twice."""

    __tablename__ = "used_assertion"

    client_id: Mapped[str] = mapped_column(String, primary_key=True)
    jti: Mapped[str] = mapped_column(String, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
