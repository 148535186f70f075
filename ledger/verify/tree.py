"""A copy of the log: the whole tree computed again from its entries, and what it says of any checkpoint.

Files are named as the log serves them (C2SP tlog-tiles): `checkpoint`, `tile/<level>/<n>`, `tile/entries/<n>`.
"""

from collections.abc import Callable

from ledger import merkle
from ledger.errors import LedgerError
from ledger.merkle import leaf_hash
from ledger.notes import TreeHead
from ledger.tiles import (
    LARGEST_ENTRY,
    TILE_HEIGHT,
    TILE_WIDTH,
    MalformedBundle,
    TileAddress,
    decode_bundle,
    hashes_at_level,
    node_place,
    split_hashes,
    tile_path,
)
from ledger.verify.stores import DamagedZip, FileMissing, Files, FileTooLarge, read_small

_LARGEST_BUNDLE = TILE_WIDTH * (LARGEST_ENTRY + 2)

Report = Callable[..., None]
"""Takes a code, a message and, by name, `field`: the file of the log it is about."""
Step = Callable[[int], None]
"""Takes how many entries are dealt with."""


class TileMismatch(LedgerError):
    """A tile of hashes is not what its entries or the tiles below it make it."""

    code = "tile_mismatch"


class ForkedLog(LedgerError):
    """The log's entries do not have the root that a checkpoint states: two histories of one log."""

    code = "forked_log"


class LogCopy:
    """The log in a store, up to `size` entries."""

    def __init__(self, store: Files, *, size: int) -> None:
        self.size = size
        self._store = store

    def walk(self, *, report: Report, take: Callable[[int, bytes], None], step: Step) -> bytes | None:
        """Compute the tree again from the first entry; the root, or None where entries are missing.

        `take` gets each entry's index and leaf hash. Tiles that differ are reported, and so is what cannot be read.
        """
        builder = _Builder(self._tile, report)
        for bundle in range(hashes_at_level(1, size=self.size) + (self.size % TILE_WIDTH > 0)):
            entries = self._entries(bundle, report)
            if entries is None:
                return None
            for entry in entries:
                hashed = leaf_hash(entry)
                take(builder.size, hashed)
                builder.add(hashed)
            step(builder.size)
        return builder.finish()

    def root_at(self, size: int) -> bytes:
        """The root of the first `size` entries, at most all there are, from the tiles.

        Refuses `TileMismatch` and what `read_small` refuses.
        """
        return merkle.fold([self._node(node) for node in merkle.complete_subtrees(0, size)])

    def check_head(self, head: TreeHead) -> None:
        """Check that this is the log a checkpoint speaks of. Refuses `ForkedLog` and what `root_at` refuses."""
        if self.root_at(head.size) != head.root:
            raise ForkedLog(f"The first {head.size} entries have another root than the checkpoint says.")

    def _entries(self, bundle: int, report: Report) -> list[bytes] | None:
        width = min(TILE_WIDTH, self.size - bundle * TILE_WIDTH)
        path = tile_path(TileAddress(None, bundle, width))
        try:
            entries = decode_bundle(read_small(self._store, path, limit=_LARGEST_BUNDLE))
        except (FileMissing, FileTooLarge, DamagedZip, MalformedBundle) as refusal:
            report(refusal.code, str(refusal), field=path)
            return None
        if len(entries) != width:
            report(MalformedBundle.code, f"The bundle has {len(entries)} entries, not {width}.", field=path)
            return None
        return entries

    def _tile(self, level: int, index: int) -> tuple[str, bytes]:
        width = min(TILE_WIDTH, hashes_at_level(level, size=self.size) - index * TILE_WIDTH)
        path = tile_path(TileAddress(level, index, width))
        return path, read_small(self._store, path)

    def _node(self, node: merkle.Node) -> bytes:
        place = node_place(node)
        path, tile = self._tile(place.level, place.index)
        hashes = split_hashes(tile)[place.start : place.start + place.count]
        if len(hashes) != place.count:
            raise TileMismatch(f"{path} has too few hashes.")
        return merkle.root(hashes)


class _Builder:
    """The tree so far: the open tile of each level."""

    def __init__(self, tile: Callable[[int, int], tuple[str, bytes]], report: Report) -> None:
        self.size = 0
        self._tile = tile
        self._report = report
        self._open: list[list[bytes]] = [[]]

    def add(self, hashed: bytes) -> None:
        """Add an entry's hash."""
        self.size += 1
        self._open[0].append(hashed)
        level = 0
        while len(self._open[level]) == TILE_WIDTH:
            tile, self._open[level] = self._open[level], []
            level += 1
            self._check(level - 1, ((self.size >> TILE_HEIGHT * level) - 1), tile)
            if level == len(self._open):
                self._open.append([])
            self._open[level].append(merkle.root(tile))

    def finish(self) -> bytes:
        """Check the tiles that are not full; the root."""
        root: list[bytes] = []
        for level, tile in enumerate(self._open):
            if tile:
                self._check(level, self.size >> TILE_HEIGHT * (level + 1), tile)
            if tile or root:
                root = [merkle.root([*tile, *root])]
        return root[0] if root else merkle.EMPTY_ROOT

    def _check(self, level: int, index: int, tile: list[bytes]) -> None:
        try:
            path, stored = self._tile(level, index)
        except LedgerError as refusal:
            self._report(refusal.code, str(refusal), field=f"tile/{level}")
            return
        if stored != b"".join(tile):
            self._report(TileMismatch.code, "The tile is not what the entries below it make it.", field=path)
