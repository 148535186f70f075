"""The transparency log in PostgreSQL: append entries, publish checkpoints, prove.

Entries get their indexes here, in batches, under one advisory lock; whatever the transaction rolls back was
never in the log. The tree is kept in tiles (`ledger.tiles`), so a root or a proof reads a handful of rows
whatever the log's size. Readers need no lock: an entry never changes and a tile only grows, so what a proof
reads stays true.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection as DriverConnection
from sqlalchemy import Connection, func, insert, select, tuple_
from sqlalchemy.dialects import postgresql

from ledger import merkle, notes, tiles
from ledger.errors import LedgerError
from ledger.log_tables import log_checkpoint, log_leaf, log_tile
from ledger.merkle import HASH_BYTES, Node, Range
from ledger.tiles import TILE_WIDTH, NodePlace

_LOCK = 0x6C6F675F76310000
"""The advisory lock of the one sequencer ("log_v1")."""
_TILE_BYTES = TILE_WIDTH * HASH_BYTES

TileKey = tuple[int, int]


class LogRefused(LedgerError):
    """Base of what the log refuses."""

    code = "log_refused"


class LogDamaged(LogRefused):
    """The tables do not hold what the log's size says they must; `audit.check_log` names the rows."""

    code = "log_damaged"


class LogForked(LogRefused):
    """The log does not begin with what its last checkpoint states; it signs nothing more."""

    code = "log_forked"


class EntryNotCovered(LogRefused):
    """No published checkpoint covers the entry yet."""

    code = "entry_not_covered"


class TileNotFound(LogRefused):
    """The log has not reached that tile, or not that width of it."""

    code = "tile_not_found"


class Checkpoint(NamedTuple):
    """A published tree head: `note` is the signed text that went out."""

    size: int
    root: bytes
    note: str
    published_at: datetime


def lock(connection: Connection) -> None:
    """Become the one sequencer until the transaction (READ COMMITTED) ends, after whoever is it now."""
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def size(connection: Connection) -> int:
    """How many entries the log has, published or not."""
    last = connection.scalar(select(func.max(log_leaf.c.index)))
    return 0 if last is None else last + 1


def append(connection: Connection, *, leaves: Sequence[bytes]) -> range:
    """Add entries at the end of the log, in order, and give their indexes. Takes `lock`.

    Made for batches of 1,000 to 5,000. Refuses `LogDamaged`.
    """
    lock(connection)
    first = size(connection)
    _copy_leaves(connection, first=first, leaves=leaves)
    _grow_tiles(connection, first=first, hashes=[merkle.leaf_hash(leaf) for leaf in leaves])
    return range(first, first + len(leaves))


def publish(connection: Connection, *, signer: notes.NoteSigner, now: datetime) -> Checkpoint:
    """Sign and keep a checkpoint over all entries; without new ones, give the last again. Takes `lock`.

    `now` is aware. Refuses `LogForked` when the log is shorter than its last checkpoint or no longer leads to
    its root, and `LogDamaged`.
    """
    lock(connection)
    entries = size(connection)
    last = latest_checkpoint(connection)
    if last:
        if entries < last.size or root_at(connection, size=last.size) != last.root:
            raise LogForked(f"The log does not begin with the {last.size} entries of its last checkpoint.")
        if entries == last.size:
            return last
    root = root_at(connection, size=entries)
    note = signer.sign(notes.checkpoint_text(notes.TreeHead(signer.name, entries, root)))
    checkpoint = Checkpoint(entries, root, note, now)
    connection.execute(insert(log_checkpoint), checkpoint._asdict())
    return checkpoint


def latest_checkpoint(connection: Connection) -> Checkpoint | None:
    """The last checkpoint published, or None before the first."""
    row = connection.execute(select(log_checkpoint).order_by(log_checkpoint.c.size.desc()).limit(1)).first()
    return Checkpoint(*row) if row else None


def root_at(connection: Connection, *, size: int) -> bytes:
    """The root over the first `size` entries. Refuses `merkle.OutsideTree`, `LogDamaged` beyond the tiles."""
    return _range_roots(connection, ranges=[(0, size)])[0]


def inclusion_proof(connection: Connection, *, index: int, size: int) -> list[bytes]:
    """The hashes from entry `index` to the root at `size`. Refuses `merkle.OutsideTree` and `LogDamaged`."""
    return _range_roots(connection, ranges=merkle.inclusion_ranges(index, size=size))


def consistency_proof(connection: Connection, *, old: int, new: int) -> list[bytes]:
    """The hashes that show size `new` to begin with `old`. Refuses `merkle.OutsideTree` and `LogDamaged`."""
    return _range_roots(connection, ranges=merkle.consistency_ranges(old, new=new))


def tile(connection: Connection, *, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
    """The first `width` hashes of a tile, 32 bytes each. Refuses `TileNotFound`."""
    held = read_tiles(connection, keys=[(level, index)]).get((level, index), b"")
    if not 0 < width <= len(held) // HASH_BYTES:
        raise TileNotFound(f"Tile {level}/{index} does not have {width} hashes.")
    return held[: width * HASH_BYTES]


def entries(connection: Connection, *, index: int, width: int = TILE_WIDTH) -> bytes:
    """The bundle of the first `width` entries below level-0 tile `index`. Refuses `TileNotFound`."""
    first = index * TILE_WIDTH
    within = log_leaf.c.index.between(first, first + width - 1)
    leaves = connection.scalars(select(log_leaf.c.leaf).where(within).order_by(log_leaf.c.index)).all()
    if not 0 < width == len(leaves) <= TILE_WIDTH:
        raise TileNotFound(f"Bundle {index} does not have {width} entries.")
    return tiles.encode_bundle(leaves)


def proof_file(connection: Connection, *, index: int) -> str:
    """The proof file for entry `index` under the latest checkpoint, with the entry itself as extra data.

    Refuses `EntryNotCovered` and `LogDamaged`.
    """
    checkpoint = latest_checkpoint(connection)
    if not checkpoint or not 0 <= index < checkpoint.size:
        raise EntryNotCovered(f"No checkpoint covers entry {index}.")
    leaf = connection.scalar(select(log_leaf.c.leaf).where(log_leaf.c.index == index))
    if leaf is None:
        raise LogDamaged(f"Entry {index} is missing from the log.")
    hashes = inclusion_proof(connection, index=index, size=checkpoint.size)
    return notes.proof_text(notes.Proof(index, tuple(hashes), checkpoint.note, leaf))


def read_tiles(connection: Connection, *, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
    """The tiles stored under these (level, index), as they are; a missing one is left out."""
    key = tuple_(log_tile.c.level, log_tile.c.index)
    rows = connection.execute(select(log_tile).where(key.in_(list(keys))))
    return {(level, index): hashes for level, index, hashes in rows}


def _copy_leaves(connection: Connection, *, first: int, leaves: Iterable[bytes]) -> None:
    """Stream the entries in by COPY, on the driver's connection and so in the same transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, DriverConnection)  # noqa: S101 - the dialect is psycopg; for the type checker
    with (
        driver.cursor() as cursor,
        cursor.copy("COPY log_leaf (index, leaf) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["int8", "bytea"])
        for row in enumerate(leaves, start=first):
            copy.write_row(row)


def _grow_tiles(connection: Connection, *, first: int, hashes: Sequence[bytes]) -> None:
    """Add `hashes` to level 0 from `first` on, and the root of each tile that fills up to the level above."""
    rows = []
    level = 0
    while hashes:
        index, offset = divmod(first, TILE_WIDTH)
        held = read_tiles(connection, keys=[(level, index)]).get((level, index), b"") if offset else b""
        if len(held) != offset * HASH_BYTES:
            raise LogDamaged(f"Tile {level}/{index} does not have {offset} hashes.")
        grown = held + b"".join(hashes)
        parts = [grown[begin : begin + _TILE_BYTES] for begin in range(0, len(grown), _TILE_BYTES)]
        rows += [{"level": level, "index": index + place, "hashes": part} for place, part in enumerate(parts)]
        hashes = [merkle.root(tiles.split_hashes(part)) for part in parts if len(part) == _TILE_BYTES]
        level, first = level + 1, index
    if rows:
        upsert = postgresql.insert(log_tile)
        grow = upsert.on_conflict_do_update(index_elements=["level", "index"], set_={"hashes": upsert.excluded.hashes})
        connection.execute(grow, rows)


def _range_roots(connection: Connection, *, ranges: Sequence[Range]) -> list[bytes]:
    """The root over each range, from one read of the tiles that hold its subtrees."""
    if any(end > tiles.LARGEST_SIZE for _, end in ranges):
        raise merkle.OutsideTree("No log is that large.")
    covers = [merkle.complete_subtrees(begin, end) for begin, end in ranges]
    places = {node: tiles.node_place(node) for cover in covers for node in cover}
    held = read_tiles(connection, keys={(place.level, place.index) for place in places.values()})
    roots: dict[Node, bytes] = {node: _node_root(place, held) for node, place in places.items()}
    return [merkle.fold([roots[node] for node in cover]) for cover in covers]


def _node_root(place: NodePlace, held: Mapping[TileKey, bytes]) -> bytes:
    begin, end = place.start * HASH_BYTES, (place.start + place.count) * HASH_BYTES
    data = held.get((place.level, place.index), b"")
    if len(data) < end:
        raise LogDamaged(f"Tile {place.level}/{place.index} does not reach {place.start + place.count} hashes.")
    return merkle.root(tiles.split_hashes(data[begin:end]))
