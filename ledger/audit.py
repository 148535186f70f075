"""The log's auditor: reads every row of the log and names each one that is not what it must be.

Each hash of the tree has two witnesses: what is below it, from which it is computed again, and what is above
it (the parent tile, in the end a signed checkpoint), which vouches for it. A tile that disagrees with what is
below it is itself at fault, unless it is vouched for; then what is below it is.
"""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from ledger import merkle, notes
from ledger.errors import LedgerError
from ledger.log import Checkpoint, LogDamaged, read_tiles, root_at
from ledger.log_tables import log_checkpoint, log_leaf, log_tile
from ledger.merkle import HASH_BYTES
from ledger.tiles import TILE_HEIGHT, TILE_WIDTH, TOP_LEVEL, hashes_at_level, split_hashes

_ROWS_AT_ONCE = 256
_UNKNOWN = bytes(HASH_BYTES)
"""Stands for the hash of an entry that is missing, where no tile has its hash either."""


class Finding(NamedTuple):
    """One thing wrong: its kind (a stable code), the row as `table key`, and what about it."""

    kind: str
    where: str
    detail: str


def check_log(connection: Connection, *, keys: Collection[notes.Verifier]) -> list[Finding]:
    """Everything wrong with the log, or an empty list: entries, gaps, tiles, roots, signatures, stray rows.

    `keys` are the log's verifier keys, present and past. Memory stays flat: 256 entries at a time. While
    entries are being appended it needs a REPEATABLE READ transaction. What no hash covers it cannot see:
    `published_at`, and whether a checkpoint's row is gone.
    """
    audit = _Audit(connection, keys)
    audit.run()
    return audit.findings


class _Audit:
    """One walk from the first entry to the last, with the open tile of each level in hand."""

    def __init__(self, connection: Connection, keys: Collection[notes.Verifier]) -> None:
        self.findings: list[Finding] = []
        self._connection = connection
        self._keys = keys
        newest = self._newest_signed()
        self._covered = newest.size if newest else 0
        self._edge_vouched = newest is not None and self._tiles_lead_to(newest)
        self._size = max(self._covered, self._extent_of_leaves(), self._extent_of_tiles())
        self._open: list[list[bytes]] = [[] for _ in range(TOP_LEVEL + 1)]
        self._held: dict[int, tuple[int, list[bytes]]] = {}

    def run(self) -> None:
        """Walk the log and collect the findings."""
        self._check_strays()
        for index in range(_tiles_for(self._size)):
            below = self._entry_hashes(index)
            self._check_checkpoints(index * TILE_WIDTH, below)
            self._close(0, index, below)
        for level, below in enumerate(self._open):
            if below:
                self._check_tile(level, self._size >> TILE_HEIGHT * (level + 1), below)

    def _add(self, kind: str, where: str, detail: str) -> None:
        self.findings.append(Finding(kind, where, detail))

    def _extent_of_leaves(self) -> int:
        """How long the log is by its entries: counted, so that a row far outside does not stretch it."""
        count = select(func.count()).select_from(log_leaf)
        within = log_leaf.c.index.between(0, count.scalar_subquery() - 1)
        return self._connection.scalar(count.where(within)) or 0

    def _extent_of_tiles(self) -> int:
        """How long the log is by its tiles, counted likewise."""
        count = select(func.count()).where(log_tile.c.level == 0)
        within = and_(log_tile.c.level == 0, log_tile.c.index < count.scalar_subquery())
        size_bytes = self._connection.scalar(select(func.sum(func.octet_length(log_tile.c.hashes))).where(within))
        return int(size_bytes or 0) // HASH_BYTES

    def _check_strays(self) -> None:
        """Rows outside the log: no walk over it would meet them."""
        leaf, tile = log_leaf.c, log_tile.c
        for index in self._connection.scalars(select(leaf.index).where(~leaf.index.between(0, self._size - 1))):
            self._add("leaf_stray", f"log_leaf {index}", f"the log has {self._size} entries")
        bounds = [
            and_(
                tile.level == level,
                tile.index.between(0, _tiles_for(hashes_at_level(level, size=self._size)) - 1),
            )
            for level in range(TOP_LEVEL + 1)
        ]
        for level, index in self._connection.execute(select(tile.level, tile.index).where(~or_(*bounds))):
            self._add("tile_stray", f"log_tile {level}/{index}", f"the log has {self._size} entries")
        for checkpoint in self._checkpoints(~log_checkpoint.c.size.between(1, self._size)):
            self._check_checkpoint(checkpoint, merkle.EMPTY_ROOT)

    def _newest_signed(self) -> Checkpoint | None:
        rows = self._connection.execute(
            select(log_checkpoint).order_by(log_checkpoint.c.size.desc()),
            execution_options={"yield_per": _ROWS_AT_ONCE},
        )
        with rows:
            return next((row for row in map(Checkpoint._make, rows) if self._signed(row)), None)

    def _signed(self, checkpoint: Checkpoint) -> bool:
        """Whether a key of the log has signed exactly this size and root."""
        for key in self._keys:
            try:
                head = notes.open_checkpoint(checkpoint.note, log=key)
            except LedgerError:
                continue
            return (head.size, head.root) == (checkpoint.size, checkpoint.root)
        return False

    def _tiles_lead_to(self, checkpoint: Checkpoint) -> bool:
        try:
            return root_at(self._connection, size=checkpoint.size) == checkpoint.root
        except LogDamaged:
            return False

    def _check_checkpoints(self, first: int, below: list[bytes]) -> None:
        """The checkpoints that end among these entries, the first of which is entry `first`."""
        within = log_checkpoint.c.size.between(first + 1, first + len(below))
        for checkpoint in self._checkpoints(within):
            roots = [part for hashes in reversed(self._open[1:]) for part in _subtree_roots(hashes)]
            roots += _subtree_roots(below[: checkpoint.size - first])
            self._check_checkpoint(checkpoint, merkle.fold(roots))

    def _check_checkpoint(self, checkpoint: Checkpoint, root: bytes) -> None:
        where = f"log_checkpoint {checkpoint.size}"
        if not self._signed(checkpoint):
            self._add("checkpoint_unsigned", where, "no key of the log has signed this size and root")
        elif checkpoint.root != root and not self._tiles_lead_to(checkpoint):
            self._add("checkpoint_contradicted", where, "neither the entries nor the tiles lead to its root")

    def _checkpoints(self, where: ColumnElement[bool]) -> list[Checkpoint]:
        rows = self._connection.execute(select(log_checkpoint).where(where).order_by(log_checkpoint.c.size))
        return [Checkpoint(*row) for row in rows]

    def _entry_hashes(self, index: int) -> list[bytes]:
        """The hashes of the entries below level-0 tile `index`; for a missing one what the tile holds."""
        first = index * TILE_WIDTH
        expected = range(first, min(first + TILE_WIDTH, self._size))
        within = log_leaf.c.index.between(expected[0], expected[-1])
        rows = self._connection.execute(select(log_leaf).where(within))
        found = {position: merkle.leaf_hash(leaf) for position, leaf in rows}
        missing = [position for position in expected if position not in found]
        for _, group in groupby(enumerate(missing), key=lambda pair: pair[1] - pair[0]):
            run = [position for _, position in group]
            rows_missing = f"{run[0]}" if len(run) == 1 else f"{run[0]}..{run[-1]}"
            self._add("leaf_missing", f"log_leaf {rows_missing}", "there is no such row")
        stored = self._tile(0, index) if missing else []
        for position in missing:
            found[position] = stored[position - first] if position - first < len(stored) else _UNKNOWN
        return [found[position] for position in expected]

    def _close(self, level: int, index: int, below: list[bytes]) -> None:
        """Check the tile over `below` once it is full, and hand its root up; an unfilled one stays open."""
        if len(below) < TILE_WIDTH:
            self._open[level] = below
            return
        root = self._check_tile(level, index, below)
        self._open[level] = []
        self._close(level + 1, index // TILE_WIDTH, [*self._open[level + 1], root])

    def _check_tile(self, level: int, index: int, below: list[bytes]) -> bytes:
        """Compare a tile with what is below it; gives the root to compare the parent with."""
        where = f"log_tile {level}/{index}"
        stored = self._tile(level, index)
        if not stored:
            self._add("tile_missing", where, "there is no such row")
        elif len(stored) != len(below):
            self._add("tile_altered", where, f"it has {len(stored)} hashes where there must be {len(below)}")
        pairs = zip(stored, below, strict=False)
        differing = [offset for offset, (held, computed) in enumerate(pairs) if held != computed]
        verdicts = [self._blame(level, index, offset) for offset in differing]
        if False in verdicts:
            self._add("tile_altered", where, "it differs from what is below it, and nothing vouches for it")
            return merkle.root(below)
        # What is below has been named; its change must not count against the tiles above too.
        return merkle.root(stored if differing else below)

    def _blame(self, level: int, index: int, offset: int) -> bool | None:
        """Name the row below where a tile vouched for differs from it; gives the verdict of `_vouched`."""
        vouched = self._vouched(level, index, offset)
        tile, position = f"log_tile {level}/{index}", index * TILE_WIDTH + offset
        if vouched and level:
            below = f"log_tile {level - 1}/{position}"
            self._add("tile_altered", below, f"it was rewritten with what is below it; {tile} has the signed hash")
        elif vouched:
            self._add("leaf_altered", f"log_leaf {position}", f"{tile} has the signed hash, and it is another")
        elif vouched is None and level == 0:
            self._add(
                "leaf_unvouched",
                f"log_leaf {position}",
                f"it or {tile} was altered since the last checkpoint",
            )
        elif vouched is None:
            return False
        return vouched

    def _vouched(self, level: int, index: int, offset: int) -> bool | None:
        """Whether a signed root vouches for a hash of a tile; None when no checkpoint covers it yet.

        The newest checkpoint vouches for the tiles it ended in, as far as it went; for others their parent.
        """
        covered = hashes_at_level(level, size=self._covered)
        position = index * TILE_WIDTH + offset
        if position < covered and index == covered // TILE_WIDTH:
            return self._edge_vouched
        stored = self._tile(level, index)
        if len(stored) < TILE_WIDTH:
            return None
        parent = self._tile(level + 1, index // TILE_WIDTH)
        above = index % TILE_WIDTH
        if above >= len(parent) or parent[above] != merkle.root(stored):
            return False
        return self._vouched(level + 1, index // TILE_WIDTH, above)

    def _tile(self, level: int, index: int) -> list[bytes]:
        """A tile's hashes as stored, none without the row; the last one read of each level is kept."""
        held = self._held.get(level)
        if held is None or held[0] != index:
            data = read_tiles(self._connection, keys=[(level, index)]).get((level, index), b"")
            held = self._held[level] = (index, split_hashes(data))
        return held[1]


def _tiles_for(hashes: int) -> int:
    """How many tiles of a level hold that many hashes."""
    return -(-hashes // TILE_WIDTH)


def _subtree_roots(hashes: Sequence[bytes]) -> list[bytes]:
    """The roots of the complete subtrees over hashes of one level, for `merkle.fold`."""
    return [
        merkle.root(hashes[index << level : (index + 1) << level])
        for level, index in merkle.complete_subtrees(0, len(hashes))
    ]
