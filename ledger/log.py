"""The transparency log in PostgreSQL: append entries, publish checkpoints, prove.

Entries get their indexes here, in batches, under one advisory lock; whatever the transaction rolls back was
never in the log. The tree is kept in tiles (`ledger.tiles`), so a root or a proof reads a handful of rows
whatever the log's size. Readers need no lock: an entry never changes and a tile only grows, so what a proof
reads stays true.
"""

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from psycopg import Connection as DriverConnection
from sqlalchemy import Connection, func, insert, select, text

from ledger import merkle, notes, tiles
from ledger.checkpoint_file import CheckpointKeeper, Kept
from ledger.errors import LedgerError
from ledger.log_tables import log_checkpoint, log_leaf
from ledger.merkle import HASH_BYTES, Node, Range
from ledger.tiles import TILE_WIDTH, NodePlace

_LOCK = 0x6C6F675F76310000
"""The advisory lock of the one sequencer ("log_v1")."""
_TILE_BYTES = TILE_WIDTH * HASH_BYTES

_COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_ROW = struct.Struct("!hiqi").pack
"""Two columns: an index after its length, and the length of what follows."""
_COPY_END = b"\xff\xff"
_READ = text("""
    SELECT log_tile.level, log_tile.index, log_tile.hashes
    FROM unnest(cast(:levels AS smallint[]), cast(:indexes AS bigint[])) AS wanted (level, index)
    JOIN log_tile ON log_tile.level = wanted.level AND log_tile.index = wanted.index
""")
_GROW = text("""
    INSERT INTO log_tile (level, index, hashes)
    SELECT * FROM unnest(cast(:levels AS smallint[]), cast(:indexes AS bigint[]), cast(:hashes AS bytea[]))
    ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes
""")

TileKey = tuple[int, int]


class LogRefused(LedgerError):
    """Base of what the log refuses."""

    code = "log_refused"


class LogDamaged(LogRefused):
    """The tables do not hold what the log's size says they must; `audit.check_log` names the rows."""

    code = "log_damaged"


class LogForked(LogRefused):
    """The log does not begin with what a checkpoint signed before states; it signs nothing more."""

    code = "log_forked"


class LogRolledBack(LogForked):
    """The log is shorter than a checkpoint signed before: newer data was lost, or an old backup brought back."""

    code = "log_rolled_back"


class GuardUnreadable(LogRefused):
    """The guard holds something, and it is not a checkpoint that a key of this log has signed."""

    code = "guard_unreadable"


class GuardUnreachable(LogRefused):
    """The guard does not answer: nothing is signed that it does not have first."""

    code = "guard_unreachable"


class GuardMoved(LogRefused):
    """Somebody else put a checkpoint into the guard in this moment; nothing of ours went out."""

    code = "guard_moved"


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


class CheckpointSigner(Protocol):
    """Whatever signs for a log: one key, or several while one follows another."""

    @property
    def name(self) -> str:
        """The log's origin."""

    def sign(self, text: str) -> str:
        """The note: `text` and the signature lines."""


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
    _grow_tiles(connection, first=first, hashes=merkle.leaf_hashes(leaves))
    return range(first, first + len(leaves))


def publish(
    connection: Connection,
    *,
    signer: CheckpointSigner,
    now: datetime,
    guard: CheckpointKeeper | None = None,
    keys: Collection[notes.Verifier] = (),
) -> Checkpoint:
    """Sign and keep a checkpoint over all entries; without new ones, give the last again. Takes `lock`.

    Every entry has to be committed: the `guard` is kept apart from the database, and has the note, under one of
    `keys`, before anybody else. A note found there and not here was signed by somebody who then died: it is kept as
    it is, so no size is ever signed twice. `now` is aware. Refuses `LogRolledBack` and `LogForked` when the log does
    not begin with what was signed before, `GuardUnreadable`, `GuardMoved` and `LogDamaged`.
    """
    lock(connection)
    entries = size(connection)
    last = latest_checkpoint(connection)
    kept = guard.read() if guard else None
    if last and entries == last.size and (kept.note if kept else None) == (last.note if guard else None):
        return last
    if last:
        _check_begins(connection, head=notes.TreeHead(signer.name, last.size, last.root), since=last.published_at)
    if kept:
        head = guarded_head(kept, keys=keys)
        _check_begins(connection, head=head, since=kept.since)
        if last is None or head.size > last.size:
            last = _keep(connection, Checkpoint(head.size, head.root, kept.note, now))
    if last is None or entries > last.size:
        root = root_at(connection, size=entries)
        note = signer.sign(notes.checkpoint_text(notes.TreeHead(signer.name, entries, root)))
        _guard(guard, note, kept)
        return _keep(connection, Checkpoint(entries, root, note, now))
    _guard(guard, last.note, kept)
    return last


def check_guard(connection: Connection, *, guard: CheckpointKeeper, keys: Collection[notes.Verifier]) -> None:
    """Hold the guard's checkpoint against the log, in a transaction that has read nothing before.

    Refuses `LogRolledBack`, `LogForked`, `GuardUnreadable` and `LogDamaged`. An empty guard is none yet.
    """
    kept = guard.read()
    if kept:
        _check_begins(connection, head=guarded_head(kept, keys=keys), since=kept.since)


def guarded_head(kept: Kept, *, keys: Collection[notes.Verifier]) -> notes.TreeHead:
    """The head of what a guard keeps. Refuses `GuardUnreadable`."""
    try:
        return notes.read_checkpoint(kept.note, logs=keys).head
    except notes.NoteRefused as error:
        raise GuardUnreadable(
            f"The guard holds no checkpoint of this log ({error} [{error.code}]). Bring the guard back as it was. If "
            "it is lost for good, remove it: it then starts from the last checkpoint in the database."
        ) from error


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


def proof_file(connection: Connection, *, index: int, checkpoint: Checkpoint | None = None) -> str:
    """The proof file for entry `index` under `checkpoint` (else the latest), with the entry itself as extra data.

    Refuses `EntryNotCovered` and `LogDamaged`.
    """
    checkpoint = checkpoint or latest_checkpoint(connection)
    if not checkpoint or not 0 <= index < checkpoint.size:
        raise EntryNotCovered(f"No checkpoint covers entry {index}.")
    leaf = connection.scalar(select(log_leaf.c.leaf).where(log_leaf.c.index == index))
    if leaf is None:
        raise LogDamaged(f"Entry {index} is missing from the log.")
    hashes = inclusion_proof(connection, index=index, size=checkpoint.size)
    return notes.proof_text(notes.Proof(index, tuple(hashes), checkpoint.note, leaf))


def read_tiles(connection: Connection, *, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
    """The tiles stored under these (level, index), as they are; a missing one is left out."""
    wanted = list(keys)
    places = {"levels": [level for level, _ in wanted], "indexes": [index for _, index in wanted]}
    rows = connection.execute(_READ, places)
    return {(level, index): hashes for level, index, hashes in rows}


def _check_begins(connection: Connection, *, head: notes.TreeHead, since: datetime) -> None:
    """Refuse a log that does not begin with what was signed (`LogRolledBack`, `LogForked`)."""
    signed = f"checkpoint {head.size}, which was signed on {since:%Y-%m-%d at %H:%M:%S %Z}"
    entries = size(connection)
    if entries < head.size:
        raise LogRolledBack(
            f"The database has {entries} log entries and is older than {signed}. Bring the newer data back: signing "
            "over it would be a fork, and whoever holds that checkpoint could prove it."
        )
    if root_at(connection, size=head.size) != head.root:
        raise LogForked(
            f"The log's first {head.size} entries are not those of {signed}. They were changed, or are another "
            "history: bring the right data back, never sign over it."
        )


def _guard(guard: CheckpointKeeper | None, note: str, kept: Kept | None) -> None:
    if guard and not guard.swap(note, expected=kept.note if kept else None):
        raise GuardMoved("Another process put a checkpoint into the guard in this moment; the next turn looks anew.")


def _keep(connection: Connection, checkpoint: Checkpoint) -> Checkpoint:
    connection.execute(insert(log_checkpoint), checkpoint._asdict())
    return checkpoint


def _copy_leaves(connection: Connection, *, first: int, leaves: Sequence[bytes]) -> None:
    """Stream the entries in by COPY, on the driver's connection and so in the same transaction.

    The rows are put together here, in PostgreSQL's binary COPY format: row by row the driver takes four times as long.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, DriverConnection)  # noqa: S101 - the dialect is psycopg; for the type checker
    parts = [_COPY_BEGIN]
    for index, leaf in enumerate(leaves, start=first):
        parts += (_COPY_ROW(2, 8, index, len(leaf)), leaf)
    parts.append(_COPY_END)
    with (
        driver.cursor() as cursor,
        cursor.copy("COPY log_leaf (index, leaf) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(b"".join(parts))


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
        rows += [(level, index + place, part) for place, part in enumerate(parts)]
        hashes = [merkle.root(tiles.split_hashes(part)) for part in parts if len(part) == _TILE_BYTES]
        level, first = level + 1, index
    if rows:
        connection.execute(
            _GROW, dict(zip(("levels", "indexes", "hashes"), map(list, zip(*rows, strict=True)), strict=True))
        )


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
