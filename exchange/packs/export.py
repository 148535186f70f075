"""Write an exit pack from one snapshot of the database, streamed: its size in memory is that of a row."""

import base64
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from exchange.db import raw_cursor
from exchange.packs import queries, sight, tables
from exchange.packs.files import PackRefused, PackWriter
from exchange.packs.queries import Part
from exchange.parties.models import Funder
from exchange.registry import checkpoints
from exchange.registry.keys import current_record_key, held_key
from exchange.registry.queries import log_keys, record_keys, signing_keys
from exchange.services import Services
from ledger import keys, log, tiles
from ledger.cosignatures import cosignatures
from ledger.keys import Signer
from ledger.log import Checkpoint
from ledger.log_tables import log_leaf, log_tile
from ledger.merkle import HASH_BYTES

EXCHANGE = "exchange"
LINES = r"(FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')"
"""`COPY` of lines as they are: JSON writes no control character, so nothing is quoted."""
READ_AT_ONCE = 4096

Step = Callable[[str, int], object]
"""Told now and then which file is being written or read, and how many of its lines are done."""


def export_pack(services: Services, *, folder: Path, funder_id: str | None = None, step: Step) -> None:
    """Write the pack of the whole exchange, or of what one funder may see, to the new folder `folder`.

    It is written under another name beside it and renamed when it is whole. Two packs of one state of the database
    are equal byte for byte. Refuses `PackRefused` for a folder that exists and a funder that does not.
    """
    if folder.exists():
        raise PackRefused(f"{folder} exists; a pack is written to a new folder.")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    draft.mkdir(parents=True)
    try:
        writer = PackWriter(draft)
        with _published_snapshot(services) as session:
            facts = _write(session, writer, services=services, funder_id=funder_id, step=step)
            signer = _signer(session, services=services)
        writer.finish(facts, signer=signer)
        os.sync()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _published_snapshot(services: Services) -> Iterator[Session]:
    """A snapshot in which a checkpoint covers every entry of the log: none is sealed between the two."""
    with ExitStack() as stack:
        with services.database.transaction() as holder:
            holder.execute(text("SELECT pg_advisory_xact_lock(hashtext('registry.seal'))"))
            checkpoints.publish(services)
            session = stack.enter_context(services.database.snapshot())
            session.execute(text("SELECT 1"))  # the snapshot is taken with its first statement
        yield session


def _write(
    session: Session, writer: PackWriter, *, services: Services, funder_id: str | None, step: Step
) -> Mapping[str, Any]:
    """Every file but the manifest; gives what the manifest says beside its files."""
    connection = session.connection()
    checkpoint = log.latest_checkpoint(connection)
    if checkpoint is None or not checkpoint.size:
        raise PackRefused("Nothing is in the log yet.")
    if checkpoint.size < log.size(connection):
        raise PackRefused("No checkpoint covers the newest entries: export where the log's key is held.")
    if funder_id is not None and session.get(Funder, funder_id) is None:
        raise PackRefused(f"There is no funder {funder_id}.")
    _write_trust(session, writer, services=services)
    writer.write("log/checkpoint", _cosigned(connection, checkpoint, services=services).encode())
    _write_tiles(connection, writer, size=checkpoint.size, step=step)
    with raw_cursor(session) as cursor:
        for statement in sight.PREPARE if funder_id else ():
            cursor.execute(statement, {"funder": funder_id})
        for part in sight.of_funder() if funder_id else queries.whole():
            _copy_out(cursor, writer, part, funder_id=funder_id, step=step)
    return {
        "scope": funder_id or EXCHANGE,
        "made_at": f"{services.clock.now(session):%Y-%m-%dT%H:%M:%SZ}",
        "revision": revision(connection),
        "left_out": dict(sight.LEFT_OUT if funder_id else tables.LEFT_OUT),
        "log": {
            "origin": services.settings.log_name,
            "size": checkpoint.size,
            "root": base64.b64encode(checkpoint.root).decode(),
        },
    }


def revision(connection: Connection) -> str:
    """The schema revision of the database."""
    return str(MigrationContext.configure(connection).get_current_revision())


def _signer(session: Session, *, services: Services) -> Signer:
    """The current record key. Refuses `PackRefused` where its private half is not held."""
    current = current_record_key(signing_keys(session))
    signer = held_key(current, services=services) if current else None
    if signer is None:
        raise PackRefused("The current record key is not held here: export where records are signed.")
    return signer


def _write_trust(session: Session, writer: PackWriter, *, services: Services) -> None:
    """The keys under which records were ever signed, and what it takes to believe a checkpoint."""
    writer.write("keys.json", orjson.dumps(keys.jwks(record_keys(session))))
    policy = services.settings.witness_policy
    if policy is None:
        trusted = log_keys(session, log_name=services.settings.log_name)
        text = "".join(f"log {key.vkey}\n" for key in trusted) + "quorum none\n"
        writer.write("policy.txt", text.encode())
    else:
        writer.write("policy.txt", policy.read_bytes())


def _cosigned(connection: Connection, checkpoint: Checkpoint, *, services: Services) -> str:
    """The checkpoint's note with what the policy's witnesses have said about it so far."""
    policy = services.witness_policy
    found = cosignatures(connection, size=checkpoint.size, policy=policy) if policy else []
    return "".join([checkpoint.note, *(one.line for one in found)])


def _write_tiles(connection: Connection, writer: PackWriter, *, size: int, step: Step) -> None:
    """The log's tree and entries as they are served, in a log of `size` entries (C2SP tlog-tiles)."""
    rows = connection.execution_options(yield_per=READ_AT_ONCE).scalars(
        select(log_leaf.c.leaf).where(log_leaf.c.index < size).order_by(log_leaf.c.index)
    )
    for index, bundle in enumerate(rows.partitions(tiles.TILE_WIDTH)):
        address = tiles.TileAddress(None, index, len(bundle))
        writer.write(f"log/{tiles.tile_path(address)}", tiles.encode_bundle(bundle))
        step("log/tile", index * tiles.TILE_WIDTH + len(bundle))
    for level, index, hashes in connection.execution_options(yield_per=tiles.TILE_WIDTH).execute(
        select(log_tile).order_by(log_tile.c.level, log_tile.c.index)
    ):
        width = min(tiles.hashes_at_level(level, size=size) - index * tiles.TILE_WIDTH, tiles.TILE_WIDTH)
        address = tiles.TileAddress(level, index, width)
        writer.write(f"log/{tiles.tile_path(address)}", hashes[: width * HASH_BYTES])


def _copy_out(cursor: Any, writer: PackWriter, part: Part, *, funder_id: str | None, step: Step) -> None:  # noqa: ANN401 - as `raw_cursor` gives it
    statement = f"COPY ({part.query}) TO STDOUT WITH {LINES}"
    with writer.lines(part.path) as lines, cursor.copy(statement, {"funder": funder_id} if funder_id else None) as copy:
        for line in copy:
            lines.write(line)
            if lines.rows % READ_AT_ONCE == 0:
                step(part.path, lines.rows)
    step(part.path, lines.rows)
