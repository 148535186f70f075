"""What of the database goes into a pack of the whole exchange, in which file, and what stays at home."""

from collections.abc import Mapping

from sqlalchemy import String, Table

from exchange.db import Base
from exchange.migrations.tables import METADATA
from ledger.tables import metadata as ledger_metadata

LEFT_OUT: Mapping[str, str] = {
    "bid.sealed": "bids for auctions that are not over; their bidders bid anew where it is restored",
    "callback_endpoint": "secrets under which callbacks are signed; each funder registers its endpoint anew",
    "collection_contact.person": "who was spoken to; what was said stays",
    "payment_promise.promised_by": "who gave the word; the promise stays",
    "controller.identity_sealed": "personal data, sealed under a key that never leaves; the keyed hash stays",
    "idempotency_outcome": "answers kept for repeated requests; they end with this instance",
    "used_assertion": "sign-ins of the last minutes",
    "worker_heartbeat": "which processes lived here lately",
    "request_count": "requests of the last minute",
    "used_proof": "proofs of the last minutes",
    "sandbox": "funders' worlds for trying things in; they end with this instance",
    "sandbox_scenario": "what they asked for there",
    "sandbox_day": "what came of it",
}
"""Tables and columns that hold secrets, personal data, or nothing that outlives the instance: each with why."""

ELSEWHERE = frozenset({"log_leaf", "log_tile", "books_balances"})
"""Tables that are whole in other files: the log's tiles and bundles; balances with their accounts."""

BOOKS = "books_"
LEGS = "books_entries"
SEALED_ELSEWHERE = frozenset({"jws", "digest", "disclosures"})
"""Columns of `asset_event` that are the tape."""

OWN_TRANSACTION = "xid"
"""A column of this name holds its writing transaction's number. It means nothing elsewhere: whoever imports writes its
own, so that no later transaction can add a leg."""

RECORDS = "records.ndjson.gz"
EVENTS = "asset_event"
SEQUENCES = "tables/sequences.ndjson.gz"


def tables() -> list[Table]:
    """Every table of the database, each after those it refers to."""
    assert set(METADATA) == {ledger_metadata, Base.metadata}  # noqa: S101 - else this order would miss some
    return [*ledger_metadata.sorted_tables, *Base.metadata.sorted_tables]


def packed() -> list[Table]:
    """The tables that a pack has a file of, in the order in which they are restored."""
    return [table for table in tables() if table.name not in LEFT_OUT and table.name not in ELSEWHERE]


def file_of(table: str) -> str:
    """The pack's file for a table."""
    if table.startswith(BOOKS):
        return f"books/{'legs' if table == LEGS else table.removeprefix(BOOKS)}.ndjson.gz"
    return f"tables/{table}.ndjson.gz"


def columns_of(table: Table) -> list[str]:
    """The columns of a table that go into its file."""
    gone = {OWN_TRANSACTION} | (SEALED_ELSEWHERE if table.name == EVENTS else set())
    return [name for name in table.columns.keys() if name not in gone and f"{table.name}.{name}" not in LEFT_OUT]  # noqa: SIM118 - a column collection iterates over columns


def left_out_of(table: Table) -> list[str]:
    """The columns that stay at home though their rows go; where they are restored they are empty."""
    places = (place.partition(".") for place in LEFT_OUT)
    return [column for name, _, column in places if name == table.name and column]


def order_of(table: Table) -> str:
    """The SQL order of a file's rows: by primary key, text by its bytes, so that every host writes the same file."""
    if table.name == LEGS:
        return "transfer_id, leg"  # a reader that checks each transfer's balance meets its legs together
    keys = ((f'"{one.name}"', isinstance(one.type, String)) for one in table.primary_key.columns)
    return ", ".join(f'{name} COLLATE "C"' if is_text else name for name, is_text in keys)
