"""The SQL of a pack of the whole exchange: each query gives the lines of one file."""

from typing import NamedTuple

from sqlalchemy import Identity, Table

from exchange.packs import tables

BALANCES = ("version", "balance_minor", "last_recorded_at")

TAPE = """
    SELECT '{"disclosures":['
           || CASE disclosures WHEN '' THEN '' ELSE '"' || replace(disclosures, '~', '","') || '"' END
           || '],"index":' || log_index || ',"jws":"' || jws || '"}'
    FROM asset_event ORDER BY asset_id COLLATE "C", sequence
"""
"""A record a line, in canonical JSON: neither a JWS nor a disclosure holds a character that JSON would escape."""


class Part(NamedTuple):
    """A file of the pack, and the query that gives its lines in their order."""

    path: str
    query: str


def whole() -> list[Part]:
    """The files of a pack of the whole exchange."""
    parts = [Part(tables.RECORDS, TAPE)]
    parts += [Part(tables.file_of(table.name), rows_of(table)) for table in tables.packed()]
    return [*parts, Part(tables.SEQUENCES, _sequences())]


def rows_of(table: Table) -> str:
    """The rows of a table as JSON objects, by primary key."""
    if table.name == "books_accounts":
        names = [f"a.{name}" for name in tables.columns_of(table)] + [f"b.{name}" for name in BALANCES]
        source = "books_accounts a JOIN books_balances b USING (account_id)"
        return as_lines(f"SELECT {', '.join(names)} FROM {source}", "account_id")  # noqa: S608 - names of ours
    names = [f'"{name}"' for name in tables.columns_of(table)]
    return as_lines(f'SELECT {", ".join(names)} FROM "{table.name}"', tables.order_of(table))  # noqa: S608 - names of ours


def as_lines(query: str, order: str) -> str:
    """The rows of a query as JSON objects, in an order."""
    return f"SELECT row_to_json(packed) FROM ({query}) AS packed ORDER BY {order}"  # noqa: S608 - names of ours


def identities() -> list[tuple[str, str]]:
    """The columns that number their rows, as (table, column)."""
    return [
        (table.name, column.name)
        for table in tables.packed()
        for column in table.columns
        if isinstance(column.identity, Identity)
    ]


def _sequences() -> str:
    """How far each numbering column has come: a number is not given twice, even if its row is gone."""
    names = ", ".join(f"('{table}', '{column}')" for table, column in identities())
    last = 'pg_sequence_last_value(pg_get_serial_sequence("table", "column"))'
    query = f'SELECT *, {last} AS last_value FROM (VALUES {names}) AS numbered("table", "column")'  # noqa: S608 - names of ours
    return as_lines(query, '"table" COLLATE "C"')
