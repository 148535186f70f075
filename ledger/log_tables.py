"""The log's tables. `ledger/sql/log_v1.sql` seals the first three: rows are only ever added, tiles only ever grow."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, LargeBinary, SmallInteger, Table, Text

from ledger.tables import metadata

log_leaf = Table(
    "log_leaf",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    CheckConstraint("index >= 0", name="index_from_zero"),
    CheckConstraint("octet_length(leaf) <= 65535", name="fits_a_bundle"),
    comment="The log's entries, in the order they were sequenced.",
)

log_tile = Table(
    "log_tile",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    CheckConstraint("level BETWEEN 0 AND 7 AND index >= 0", name="in_the_tree"),
    CheckConstraint(
        "octet_length(hashes) BETWEEN 32 AND 8192 AND mod(octet_length(hashes), 32) = 0", name="whole_hashes"
    ),
    comment="The Merkle tree over the entries, 256 hashes a row; a level's last row grows in place.",
)

log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("size >= 0", name="size_from_zero"),
    CheckConstraint("octet_length(root) = 32", name="whole_root"),
    comment="Every tree head ever signed, as the note that went out.",
)

log_cosignature = Table(
    "log_cosignature",
    metadata,
    Column("witness", Text, primary_key=True),
    Column("size", BigInteger, ForeignKey(log_checkpoint.c.size), primary_key=True),
    Column("time_s", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
    CheckConstraint("time_s >= 0", name="time_from_zero"),
    comment="Which witness (by its vkey) cosigned which checkpoint, the newest time it did, as its signature line.",
)

log_publication = Table(
    "log_publication",
    metadata,
    Column("size", BigInteger, ForeignKey(log_checkpoint.c.size), primary_key=True, autoincrement=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    comment="The checkpoints that the quorum of the witness policy has cosigned.",
)
