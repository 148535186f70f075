"""The log's static layout (C2SP tlog-tiles): tile paths, entry bundles, and which tile holds a node.

A tile holds up to 256 hashes of one tree level out of eight: hash i of tile (level, index) is the node
(8 * level, 256 * index + i). A tile of fewer hashes is the beginning of the full one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError
from ledger.merkle import HASH_BYTES, Node

TILE_HEIGHT = 8
TILE_WIDTH = 256
TOP_LEVEL = 7
"""The highest tile level a log of fewer than 2^63 entries can reach."""
LARGEST_SIZE = 2**63 - 1
"""Entries of the largest log; the database counts them in eight bytes."""
LARGEST_ENTRY = 2**16 - 1
"""Bytes of one entry; a bundle gives its length in two bytes."""

_PATH = re.compile(
    r"tile/(?P<level>entries|[0-7])/(?P<index>(x\d{3}/)*\d{3})(\.p/(?P<width>[1-9]\d{0,2}))?",
    re.ASCII,
)
_LONGEST_PATH = 64


class MalformedTilePath(LedgerError):
    """The path names no tile, or not in the one way tiles are named."""

    code = "malformed_tile_path"


class MalformedBundle(LedgerError):
    """The bundle is not a sequence of entries with their lengths, or an entry is too long for one."""

    code = "malformed_bundle"


@dataclass(frozen=True, slots=True)
class TileAddress:
    """A tile of hashes, or a bundle of entries when `level` is None. `width` counts its hashes or entries."""

    level: int | None
    index: int
    width: int = TILE_WIDTH


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node is the root over `count` hashes from `start` in tile (level, index)."""

    level: int
    index: int
    start: int
    count: int


def tile_path(address: TileAddress) -> str:
    """A tile's path below the log's address: 1234067 is spelt x001/x234/067, a width below 256 .p/<width>."""
    level = "entries" if address.level is None else str(address.level)
    groups = [f"{address.index % 1000:03d}"]
    rest = address.index // 1000
    while rest:
        groups.insert(0, f"x{rest % 1000:03d}")
        rest //= 1000
    partial = "" if address.width == TILE_WIDTH else f".p/{address.width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_tile_path(path: str) -> TileAddress:
    """The tile that `path` names. Refuses `MalformedTilePath` for every other spelling of it."""
    match = _PATH.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if not match:
        raise MalformedTilePath("The path is not that of a tile.")
    level = None if match["level"] == "entries" else int(match["level"])
    index = int(match["index"].replace("x", "").replace("/", ""))
    address = TileAddress(level, index, int(match["width"] or TILE_WIDTH))
    if address.index > LARGEST_SIZE // TILE_WIDTH or address.width > TILE_WIDTH or tile_path(address) != path:
        raise MalformedTilePath("The path is not the one spelling of that tile's.")
    return address


def node_place(node: Node) -> NodePlace:
    """Where the tiles hold a complete subtree: within the lowest tile level that spans it."""
    level, index = node
    tile_level, height = divmod(level, TILE_HEIGHT)
    tile_index, start = divmod(index << height, TILE_WIDTH)
    return NodePlace(tile_level, tile_index, start, 1 << height)


def hashes_at_level(level: int, *, size: int) -> int:
    """How many hashes the tiles of `level` hold, in all, in a log of `size` entries."""
    return size >> TILE_HEIGHT * level


def split_hashes(tile: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [tile[begin : begin + HASH_BYTES] for begin in range(0, len(tile), HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The entries, each after its length in two big-endian bytes. Refuses `MalformedBundle`."""
    if any(len(entry) > LARGEST_ENTRY for entry in entries):
        raise MalformedBundle(f"An entry has more than {LARGEST_ENTRY} bytes.")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(bundle: bytes) -> list[bytes]:
    """The entries in a bundle. Refuses `MalformedBundle` when it ends within one."""
    entries = []
    position = 0
    while position < len(bundle):
        begin = position + 2
        position = begin + int.from_bytes(bundle[position:begin], "big")
        if begin > len(bundle) or position > len(bundle):
            raise MalformedBundle("The bundle ends within an entry.")
        entries.append(bundle[begin:position])
    return entries
