"""The Merkle tree of RFC 6962 (section 2.1) and RFC 9162 (section 2.1), without storage.

Hashes are 32-byte SHA-256 digests. The tree over entries d[0:n] splits at the largest power of two below n. A
range of entries is a pair (begin, end); a node (level, index) is the root over the 2^level entries from index
* 2^level.
"""

import hashlib
from collections.abc import Iterable, Sequence

from ledger.errors import LedgerError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Range = tuple[int, int]
Node = tuple[int, int]


class OutsideTree(LedgerError):
    """The index or the size asked about lies outside the tree."""

    code = "outside_tree"


class InclusionNotProven(LedgerError):
    """The hashes do not lead from the entry to the root."""

    code = "inclusion_not_proven"


class ConsistencyNotProven(LedgerError):
    """The hashes do not show that the larger tree begins with the smaller one."""

    code = "consistency_not_proven"


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256 of 00 and the entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The leaf hash of each entry: `leaf_hash` for many."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 01 and the two children's hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes, or over nodes of one level; `EMPTY_ROOT` over none."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    sha256 = hashlib.sha256  # looked up once: this loop hashes every entry of a busy log
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        # An odd last node moves up as it is: the split at a power of two leaves it without a sibling.
        level = above + level[2 * len(above) :]
    return level[0]


def inclusion_ranges(index: int, *, size: int) -> list[Range]:
    """The ranges whose roots are the inclusion proof of entry `index` in the tree of `size`, sibling first.

    RFC 6962, section 2.1.1 (PATH). Refuses `OutsideTree`.
    """
    if not 0 <= index < size:
        raise OutsideTree(f"Entry {index} is not in a tree of {size}.")
    begin, end = 0, size
    ranges = []
    while end - begin > 1:
        split = begin + _split(end - begin)
        if index < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((begin, split))
            begin = split
    return ranges[::-1]


def consistency_ranges(old: int, *, new: int) -> list[Range]:
    """The ranges whose roots are the proof that the tree of size `new` begins with that of size `old`.

    RFC 6962, section 2.1.2 (SUBPROOF); the empty tree begins every tree and needs no hash. Refuses
    `OutsideTree`.
    """
    if not 0 <= old <= new:
        raise OutsideTree(f"A tree of {old} does not begin a tree of {new}.")
    begin, end = 0, new
    ranges = []
    while old not in {0, end}:
        split = begin + _split(end - begin)
        if old <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((begin, split))
            begin = split
    if begin:
        ranges.append((begin, end))
    return ranges[::-1]


def complete_subtrees(begin: int, end: int) -> list[Node]:
    """The fewest nodes that cover the range, left to right; `fold` makes its root of their hashes.

    For ranges from the two functions above and for (0, size).
    """
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append((level, begin >> level))
        begin += 1 << level
    return nodes


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over subtrees that shrink from left to right, as `complete_subtrees` lists them."""
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


def verify_inclusion(entry_hash: bytes, *, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> None:
    """Check that `entry_hash` is at `index` in the tree of `size` with `root_hash`.

    RFC 9162, section 2.1.3.2. Refuses `InclusionNotProven`.
    """
    if not 0 <= index < size:
        raise InclusionNotProven(f"Entry {index} is not in a tree of {size}.")
    position, last = index, size - 1
    computed = entry_hash
    for sibling in proof:
        if last == 0:
            raise InclusionNotProven("The proof has too many hashes.")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last or computed != root_hash:
        raise InclusionNotProven("The proof does not lead to the root.")


def verify_consistency(*, old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree of size `new` begins with the tree of size `old`.

    RFC 9162, section 2.1.4.2, with the empty tree beginning every tree. Refuses `ConsistencyNotProven`.
    """
    if not 0 <= old <= new:
        raise ConsistencyNotProven(f"A tree of {old} does not begin a tree of {new}.")
    if old in {0, new}:
        if proof or old_root != (new_root if old == new else EMPTY_ROOT):
            raise ConsistencyNotProven("The two roots are not those of one tree.")
        return
    # A complete old tree is itself a node of the new one, so the proof leaves its root out.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ConsistencyNotProven("The proof has no hashes.")
    if _climb(path, old=old, new=new) != (old_root, new_root):
        raise ConsistencyNotProven("The proof does not lead to both roots.")


def _climb(path: Sequence[bytes], *, old: int, new: int) -> tuple[bytes, bytes] | None:
    """The old and the new root that the path leads to, or None when it has too few or too many hashes."""
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old_root, new_root = node_hash(sibling, old_root), node_hash(sibling, new_root)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_root = node_hash(new_root, sibling)
        position, last = position >> 1, last >> 1
    return None if last else (old_root, new_root)


def _split(size: int) -> int:
    """The largest power of two below `size` (at least 2)."""
    return 1 << (size - 1).bit_length() - 1
