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
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
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
    """A person who controls companies. The national id is a keyed hash and a sealed value, shown to nobody.

    Of one who was erased neither is left: the id that rows and records name stands for nobody any more.
    """

    __tablename__ = "controller"
    __table_args__ = (
        CheckConstraint("(identity_hash IS NULL) = (erased_at IS NOT NULL)", name="hash_until_erased"),
        CheckConstraint("erased_at IS NULL OR coalesce(identity_sealed, '') = ''", name="sealed_until_erased"),
        Index("ix_controller_identity_sealed", "identity_sealed"),
    )

    controller_id: Mapped[str] = mapped_column(String, primary_key=True)
    identity_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    identity_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    erased_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PersonalAccess(Base):
    """Somebody was shown personal data: which, of whom or of what, and why. Never changed."""

    __tablename__ = "personal_access"
    __table_args__ = (
        Index("ix_personal_access_subject", "subject", "access_id"),
        Index("ix_personal_access_client_id", "client_id", "access_id"),
    )

    access_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subject: Mapped[str] = mapped_column(String)
    field: Mapped[str] = mapped_column(String)
    purpose: Mapped[str] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    client_id: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    accessed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Erasure(Base):
    """One client asks that a person be erased, another one decides. What was decided stays."""

    __tablename__ = "erasure"
    __table_args__ = (
        CheckConstraint("decision IN ('approved', 'declined')", name="decision_known"),
        CheckConstraint("num_nonnulls(decision, decided_by, decided_at) IN (0, 3)", name="decided_whole"),
        CheckConstraint("decided_by <> asked_by", name="second_person"),
        Index("uq_erasure_open", "controller_id", unique=True, postgresql_where=text("decision IS NULL")),
        Index("ix_erasure_controller_id", "controller_id"),
    )

    erasure_id: Mapped[str] = mapped_column(String, primary_key=True)
    controller_id: Mapped[str] = mapped_column(ForeignKey("controller.controller_id"))
    reason: Mapped[str] = mapped_column(String)
    asked_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    decision: Mapped[str | None] = mapped_column(String)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


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
