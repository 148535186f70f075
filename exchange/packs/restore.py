"""Bring a pack back into an empty database: all of it in one transaction, and only if it proves to be the same."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import DataError, IntegrityError
from psycopg.sql import SQL, Composable, Identifier
from sqlalchemy import Table, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from exchange.db import Database, raw_cursor
from exchange.errors import Refusal
from exchange.packs import queries, tables
from exchange.packs.export import LINES, Step, revision
from exchange.packs.files import Pack, PackRefused, open_pack
from exchange.registry.guard import guard_of
from exchange.services import Services
from ledger import books, log, tiles
from ledger.log import LogRefused
from ledger.log_tables import log_cosignature
from ledger.tiles import MalformedBundle
from ledger.verify.belief import Beliefs
from ledger.verify.run import verify_files
from ledger.verify.session import Session as VerifierSession

APPEND_AT_ONCE = 16
"""Bundles of the log that are appended together: 4,096 entries."""

SEALED = {
    "jws": "record.jws",
    "digest": "sha256(convert_to(record.jws, 'UTF8'))",
    "disclosures": "coalesce((SELECT string_agg(one, '~' ORDER BY place) FROM "
    "json_array_elements_text(record.disclosures) WITH ORDINALITY AS told(one, place)), '')",
}
"""The columns of an event that the tape has, and what they are there."""
TAPE = """
    JOIN (
        SELECT (line ->> 'index')::bigint AS place, line ->> 'jws' AS jws, line -> 'disclosures' AS disclosures
        FROM pack_record
    ) AS record ON record.place = row.log_index
"""
BALANCES = """
    UPDATE books_balances SET version = stated.version, balance_minor = stated.balance_minor,
                              last_recorded_at = stated.last_recorded_at
    FROM pack_line CROSS JOIN LATERAL json_populate_record(NULL::books_balances, pack_line.line) AS stated
    WHERE stated.account_id = books_balances.account_id
"""
SEQUENCES = """
    SELECT setval(pg_get_serial_sequence(line ->> 'table', line ->> 'column'), (line ->> 'last_value')::bigint)
    FROM pack_line WHERE line ->> 'last_value' IS NOT NULL
"""


class NotEmpty(Refusal):
    """There is something in the database already; a pack is never mixed with it."""

    code = "not_empty"
    title = "The database is not empty"


class Restored(NamedTuple):
    """What was brought back: whose pack, of which log; `notes` say in words whom its verification believed."""

    scope: str
    size: int
    root: bytes
    notes: tuple[str, ...]


def import_pack(services: Services, *, folder: Path, trusted: str | None = None, step: Step) -> Restored:
    """Restore the pack in `folder` into the services' database, which is migrated and empty.

    It is verified first, as anybody would: `trusted` is the thumbprint of a record key known from elsewhere. Then
    balances and tree are computed again, and have to come out as the pack states them. Refuses `NotEmpty`, and
    `PackRefused` for a pack that is damaged, of another revision, or not what it says of itself.
    """
    notes = _verified(folder, trusted)
    pack = open_pack(folder)
    # The books' rows are the owner's to write: the service itself may only post.
    database = Database(services.database.url, pooled=False, role=None)
    with database.transaction() as session:
        _check_target(session, pack)
        with _explained():
            _restore(session, pack, step=step)
            _prove(session, pack)
        last = log.latest_checkpoint(session.connection())
    guard = guard_of(services.settings)
    if last and guard.read() is None:
        guard.swap(last.note, expected=None)
    head = pack.manifest["log"]
    return Restored(pack.scope, head["size"], base64.b64decode(head["root"]), notes)


def _verified(folder: Path, trusted: str | None) -> tuple[str, ...]:
    """Verify the pack as anybody would; gives in words whom that believed."""
    session = VerifierSession(Beliefs(root=trusted))
    verify_files([folder], session)
    (report,) = session.reports
    for finding in session.findings.kept:
        raise PackRefused(f"{finding.message} [{finding.code}, {finding.field or finding.asset or folder.name}]")
    if report.undecided or report.kind != "pack":
        raise PackRefused(report.undecided or f"{folder} is not a pack.")
    return tuple(report.notes)


def _check_target(session: Session, pack: Pack) -> None:
    """Refuse a database of another revision, or one with a row in it; and let nobody write until we are done."""
    here = revision(session.connection())
    if here != pack.manifest["revision"]:
        told = f"The pack has revision {pack.manifest['revision']}, the database {here}."
        raise PackRefused(f"{told} Import it with the release that wrote it; then migrate.")
    with raw_cursor(session) as cursor:
        names = [Identifier(table.name) for table in tables.tables()]
        cursor.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(SQL(", ").join(names)))
        for table in tables.tables():
            if cursor.execute(SQL("SELECT FROM {} LIMIT 1").format(Identifier(table.name))).rowcount:
                raise NotEmpty(f"{table.name} has rows; a pack is imported into a fresh, migrated database.")


def _restore(session: Session, pack: Pack, *, step: Step) -> None:
    _append_log(session, pack, step=step)
    with raw_cursor(session) as cursor:
        cursor.execute("SET LOCAL exchange.restoring = 'on'")  # what the legs tell was told, or waits in the pack
        cursor.execute("CREATE TEMP TABLE pack_line (line json NOT NULL) ON COMMIT DROP")
        cursor.execute("CREATE TEMP TABLE pack_record (line json NOT NULL) ON COMMIT DROP")
        _stage(cursor, pack, tables.RECORDS, into="pack_record", step=step)
        for table in tables.packed():
            if tables.file_of(table.name) in pack.files:
                _stage(cursor, pack, tables.file_of(table.name), into="pack_line", step=step)
                _insert(cursor, table)
                cursor.execute("TRUNCATE pack_line")
        if tables.SEQUENCES in pack.files:
            _stage(cursor, pack, tables.SEQUENCES, into="pack_line", step=step)
            cursor.execute(SEQUENCES)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _append_log(session: Session, pack: Pack, *, step: Step) -> None:
    """Append the log's entries anew: the tree over them is computed, not copied."""
    size = int(pack.manifest["log"]["size"])
    leaves: list[bytes] = []
    for first in range(0, size, tiles.TILE_WIDTH):
        width = min(size - first, tiles.TILE_WIDTH)
        leaves += tiles.decode_bundle(
            pack.read(f"log/{tiles.tile_path(tiles.TileAddress(None, first // tiles.TILE_WIDTH, width))}")
        )
        if len(leaves) >= APPEND_AT_ONCE * tiles.TILE_WIDTH or first + width == size:
            log.append(session.connection(), leaves=leaves)
            leaves = []
            step("log/tile", first + width)


def _stage(cursor: Any, pack: Pack, path: str, *, into: str, step: Step) -> None:  # noqa: ANN401 - as `raw_cursor` gives it
    statement = SQL("COPY {} (line) FROM STDIN WITH {}").format(Identifier(into), SQL(LINES))
    with cursor.copy(statement) as copy:
        for chunk in pack.chunks(path):
            copy.write(chunk)
    if cursor.rowcount != pack.files[path].rows:
        raise PackRefused(f"{path} has {cursor.rowcount} rows, not {pack.files[path].rows}.")
    step(path, cursor.rowcount)


def _insert(cursor: Any, table: Table) -> None:  # noqa: ANN401 - as `raw_cursor` gives it
    """The staged lines as rows of the table: the columns that they have, which have to be columns that a pack has."""
    cursor.execute("SELECT json_object_keys(line) FROM (SELECT line FROM pack_line LIMIT 1) AS first")
    told = [name for (name,) in cursor.fetchall()]
    balances = queries.BALANCES if table.name == "books_accounts" else ()
    if not {*told} <= {*tables.columns_of(table), *balances}:
        raise PackRefused(f"{tables.file_of(table.name)} has columns that a pack does not have.")
    columns = [name for name in told if name not in balances]
    if not columns:
        return
    given: list[Composable] = [SQL("row.{}").format(Identifier(name)) for name in columns]
    source = SQL("pack_line CROSS JOIN LATERAL json_populate_record(NULL::{}, pack_line.line) AS row").format(
        Identifier(table.name)
    )
    for name in tables.left_out_of(table):
        columns.append(name)
        given.append(SQL("''"))
    if table.name == tables.EVENTS:
        columns += SEALED
        given += [SQL(value) for value in SEALED.values()]
        source += SQL(TAPE)
    statement = SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
        Identifier(table.name), SQL(", ").join(map(Identifier, columns)), SQL(", ").join(given), source
    )
    cursor.execute(statement)
    if balances:
        cursor.execute(BALANCES)


def _prove(session: Session, pack: Pack) -> None:
    """Compute balances and tree again, and hold them against what the pack states. Refuses `PackRefused`."""
    connection = session.connection()
    for one in books.check(connection):
        raise PackRefused(f"The books do not add up: {one.kind} at {one.where}, {one.expected} is {one.found}.")
    told = pack.manifest["log"]
    last = log.latest_checkpoint(connection)
    root = log.root_at(connection, size=told["size"])
    if (
        last is None
        or (last.size, last.root) != (told["size"], root)
        or base64.b64encode(root).decode() != told["root"]
    ):
        raise PackRefused("The log's entries do not lead to the root that the pack states.")
    said = connection.scalars(select(log_cosignature.c.line).where(log_cosignature.c.size == last.size)).all()
    head, _, rest = pack.read("log/checkpoint").decode("utf-8", "replace").partition(last.note)
    if head or not set(rest.splitlines(keepends=True)) <= set(said):
        raise PackRefused("log/checkpoint is not the last of the checkpoints, with what witnesses said of it.")
    with raw_cursor(session) as cursor:
        events, records = (pack.files[tables.file_of(tables.EVENTS)].rows, pack.files[tables.RECORDS].rows)
        (restored,) = cursor.execute("SELECT count(*) FROM asset_event").fetchone()
        if not restored == events == records:
            raise PackRefused(f"The tape has {records} records, the registry {events}, and {restored} fit together.")


@contextmanager
def _explained() -> Iterator[None]:
    """What the database or the log refuses is the pack's fault, and is said as such."""
    try:
        yield
    except (DataError, IntegrityError, DBAPIError) as error:
        raise PackRefused(f"The database refuses a row of the pack: {error}".partition("\n")[0]) from error
    except (MalformedBundle, LogRefused) as error:
        raise PackRefused(f"The log refuses its entries: {error}") from error
