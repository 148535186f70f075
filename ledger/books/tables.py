"""The tables of the books. All but balances are written once and sealed by the triggers beside them (ledger/sql)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ledger.tables import metadata

# The writing transaction's number, kept on a header and on its legs: a trigger then refuses a leg that is added in any
# later transaction. A bigint, because drivers and tools know no xid8.
OWN_XID = text("((pg_current_xact_id())::text)::bigint")
# A fingerprint separates names by tabs and line feeds.
PRINTABLE = "'^[!-~]{1,200}$'"

accounts = Table(
    "books_accounts",
    metadata,
    Column("account_id", BigInteger, Identity(always=True), primary_key=True),
    Column("may_overdraw", Boolean, nullable=False),
    Column("path", Text, nullable=False),
    Column("commodity", Text, nullable=False),
    UniqueConstraint("path", "commodity"),
    CheckConstraint(f"path ~ {PRINTABLE}", name="path_printable"),
    CheckConstraint(f"commodity ~ {PRINTABLE}", name="commodity_printable"),
    Index(None, "path", postgresql_ops={"path": "text_pattern_ops"}),  # all accounts of one holder
)

# The one mutable table and the only one with locked rows. Each page has room, so that updates stay within it.
balances = Table(
    "books_balances",
    metadata,
    Column("account_id", BigInteger, ForeignKey(accounts.c.account_id), primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("balance_minor", BigInteger, nullable=False, server_default="0"),
    Column("last_recorded_at", DateTime(timezone=True)),
    Column("may_overdraw", Boolean, nullable=False),
    CheckConstraint("may_overdraw OR balance_minor >= 0", name="not_overdrawn"),
    postgresql_with={"fillfactor": 70},
)

# One row per request with an outcome. A refused one has `refusal` and no legs, so one unique key covers both.
transfers = Table(
    "books_transfers",
    metadata,
    Column("transfer_id", BigInteger, Identity(always=True), primary_key=True),
    Column("xid", BigInteger, nullable=False, server_default=OWN_XID),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("hold", Boolean, nullable=False, server_default=false()),
    Column("key", Text, nullable=False, unique=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("memo", Text, nullable=False),
    Column("refusal", JSONB),
    Column("expires_at", DateTime(timezone=True)),
    CheckConstraint("strpos(key, chr(10)) = 0 AND strpos(memo, chr(10)) = 0", name="one_line"),
    CheckConstraint("expires_at IS NULL OR hold", name="only_holds_expire"),
)

# That a leg's account is open and its header of the same transaction is checked once a statement, not by row.
entries = Table(
    "books_entries",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer_id", BigInteger, nullable=False),
    Column("xid", BigInteger, nullable=False, server_default=OWN_XID),
    Column("amount_minor", BigInteger, nullable=False),
    Column("balance_after_minor", BigInteger, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("leg", SmallInteger, nullable=False),
    UniqueConstraint("transfer_id", "leg"),
    CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
    CheckConstraint("version > 0", name="version_positive"),
    Index(None, "account_id", "effective_date"),
)
entries.add_is_dependent_on(balances)
entries.add_is_dependent_on(transfers)

# The primary key is the rule: a hold is resolved once.
resolutions = Table(
    "books_resolutions",
    metadata,
    Column("hold_id", BigInteger, ForeignKey(transfers.c.transfer_id), primary_key=True, autoincrement=False),
    Column("transfer_id", BigInteger, nullable=False, index=True),
    Column("xid", BigInteger, nullable=False, server_default=OWN_XID),
    Column("outcome", Text, nullable=False),
    CheckConstraint("outcome IN ('captured', 'voided', 'expired')", name="outcome_known"),
)

# Again the primary key is the rule: a transfer is undone once, and by a transfer that undoes nothing else.
reversals = Table(
    "books_reversals",
    metadata,
    Column("reversed_id", BigInteger, ForeignKey(transfers.c.transfer_id), primary_key=True, autoincrement=False),
    Column("transfer_id", BigInteger, nullable=False, unique=True),
    Column("xid", BigInteger, nullable=False, server_default=OWN_XID),
    CheckConstraint("transfer_id > reversed_id", name="later"),
)
