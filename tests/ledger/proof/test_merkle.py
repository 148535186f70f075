from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import (
    EMPTY_ROOT,
    ConsistencyNotProven,
    InclusionNotProven,
    OutsideTree,
    Range,
    complete_subtrees,
    consistency_ranges,
    fold,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

MOST = 70
LEAVES = [leaf_hash(bytes([number])) for number in range(MOST)]

sizes = st.integers(1, MOST)


def split(size: int) -> int:
    """RFC 6962: the largest power of two smaller than `size`."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def tree_hash(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return node_hash(tree_hash(hashes[:k]), tree_hash(hashes[k:]))


def path(m: int, hashes: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of RFC 6962, section 2.1.1."""
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if m < k:
        return [*path(m, hashes[:k]), tree_hash(hashes[k:])]
    return [*path(m - k, hashes[k:]), tree_hash(hashes[:k])]


def subproof(m: int, hashes: list[bytes], whole: bool) -> list[bytes]:  # noqa: FBT001 - the RFC's own argument
    """SUBPROOF(m, D[n], b) of RFC 6962, section 2.1.2."""
    if m == len(hashes):
        return [] if whole else [tree_hash(hashes)]
    k = split(len(hashes))
    if m <= k:
        return [*subproof(m, hashes[:k], whole), tree_hash(hashes[k:])]
    return [*subproof(m - k, hashes[k:], whole=False), tree_hash(hashes[:k])]


def roots(ranges: list[Range]) -> list[bytes]:
    """The proof that ranges stand for, over the test's leaves."""
    return [root(LEAVES[begin:end]) for begin, end in ranges]


def altered(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """The proof with one byte flipped, one hash dropped, doubled or added."""
    place = data.draw(st.integers(0, len(proof) - 1))
    match data.draw(st.sampled_from(["flip", "drop", "double", "add"])):
        case "flip":
            changed = bytearray(proof[place])
            changed[data.draw(st.integers(0, 31))] ^= data.draw(st.integers(1, 255))
            return [*proof[:place], bytes(changed), *proof[place + 1 :]]
        case "drop":
            return proof[:place] + proof[place + 1 :]
        case "double":
            return [*proof[:place], proof[place], *proof[place:]]
        case _:
            return [*proof, bytes(32)]


def test_reference_roots(vectors: Callable[[str], Any]) -> None:
    """The reference leaves of RFC 6962 give the reference roots at every size."""
    vector = vectors("rfc6962")
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in vector["leaves_hex"]]
    for size, expected in enumerate(vector["roots_hex"]):
        assert root(leaves[:size]).hex() == expected


@given(st.integers(0, MOST))
def test_root_is_the_recursive_definition(size: int) -> None:
    """The root, taken level by level or from complete subtrees, is the RFC's."""
    nodes = [root(LEAVES[index << level : (index + 1) << level]) for level, index in complete_subtrees(0, size)]
    assert root(LEAVES[:size]) == tree_hash(LEAVES[:size]) == fold(nodes)


@given(sizes, st.data())
def test_inclusion_is_the_recursive_definition_and_verifies(size: int, data: st.DataObject) -> None:
    """A proof is PATH, its ranges are complete subtrees folded, and it verifies."""
    index = data.draw(st.integers(0, size - 1))
    proof = roots(inclusion_ranges(index, size=size))
    assert proof == path(index, LEAVES[:size])
    verify_inclusion(LEAVES[index], index=index, size=size, proof=proof, root_hash=root(LEAVES[:size]))


@given(sizes, st.data())
def test_consistency_is_the_recursive_definition_and_verifies(new: int, data: st.DataObject) -> None:
    """A proof is SUBPROOF and verifies."""
    old = data.draw(st.integers(1, new))
    proof = roots(consistency_ranges(old, new=new))
    assert proof == subproof(old, LEAVES[:new], whole=True)
    verify_consistency(old=old, new=new, proof=proof, old_root=root(LEAVES[:old]), new_root=root(LEAVES[:new]))


@given(sizes, st.data())
def test_every_range_is_the_fold_of_its_subtrees(size: int, data: st.DataObject) -> None:
    """What the log reads from its tiles is what the definition says."""
    index = data.draw(st.integers(0, size - 1))
    for begin, end in inclusion_ranges(index, size=size) + consistency_ranges(index, new=size):
        nodes = [root(LEAVES[place << level : (place + 1) << level]) for level, place in complete_subtrees(begin, end)]
        assert fold(nodes) == tree_hash(LEAVES[begin:end])


@given(st.integers(2, MOST), st.data())
def test_an_altered_inclusion_proof_is_found(size: int, data: st.DataObject) -> None:
    """No changed proof, entry, index or size leads to the root."""
    index = data.draw(st.integers(0, size - 1))
    proof = roots(inclusion_ranges(index, size=size))
    root_hash = root(LEAVES[:size])
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index))
    with pytest.raises(InclusionNotProven):
        verify_inclusion(LEAVES[index], index=index, size=size, proof=altered(proof, data), root_hash=root_hash)
    with pytest.raises(InclusionNotProven):
        verify_inclusion(LEAVES[other], index=index, size=size, proof=proof, root_hash=root_hash)
    with pytest.raises(InclusionNotProven):
        verify_inclusion(LEAVES[index], index=other, size=size, proof=proof, root_hash=root_hash)


@given(st.integers(2, MOST), st.data())
def test_an_altered_consistency_proof_is_found(new: int, data: st.DataObject) -> None:
    """No changed proof leads to both roots, and no proof to other roots."""
    old = data.draw(st.integers(1, new - 1))
    proof = roots(consistency_ranges(old, new=new))
    old_root, new_root = root(LEAVES[:old]), root(LEAVES[:new])
    with pytest.raises(ConsistencyNotProven):
        verify_consistency(old=old, new=new, proof=altered(proof, data), old_root=old_root, new_root=new_root)
    with pytest.raises(ConsistencyNotProven):
        verify_consistency(old=old, new=new, proof=proof, old_root=bytes(32), new_root=new_root)
    with pytest.raises(ConsistencyNotProven):
        verify_consistency(old=old, new=new, proof=proof, old_root=old_root, new_root=bytes(32))


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (0, 0), (1, 1), (5, 4)])
def test_an_index_outside_the_tree_is_refused(index: int, size: int) -> None:
    """Nothing is proven about entries that are not there."""
    with pytest.raises(OutsideTree):
        inclusion_ranges(index, size=size)
    with pytest.raises(InclusionNotProven):
        verify_inclusion(LEAVES[0], index=index, size=size, proof=[], root_hash=LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(-1, 1), (2, 1), (-2, -1)])
def test_a_shrinking_tree_is_refused(old: int, new: int) -> None:
    """A smaller tree does not begin with a larger one."""
    with pytest.raises(OutsideTree):
        consistency_ranges(old, new=new)
    with pytest.raises(ConsistencyNotProven):
        verify_consistency(old=old, new=new, proof=[], old_root=LEAVES[0], new_root=LEAVES[0])


def test_the_empty_tree_begins_every_tree() -> None:
    """From nothing no hash is needed, and none is accepted; the empty root has one value."""
    assert consistency_ranges(0, new=5) == []
    verify_consistency(old=0, new=5, proof=[], old_root=EMPTY_ROOT, new_root=LEAVES[0])
    verify_consistency(old=0, new=0, proof=[], old_root=EMPTY_ROOT, new_root=EMPTY_ROOT)
    with pytest.raises(ConsistencyNotProven):
        verify_consistency(old=0, new=5, proof=[bytes(32)], old_root=EMPTY_ROOT, new_root=LEAVES[0])
    with pytest.raises(ConsistencyNotProven):
        verify_consistency(old=0, new=5, proof=[], old_root=LEAVES[0], new_root=LEAVES[0])


def test_a_tree_is_consistent_with_itself_only() -> None:
    """At one size there is one root."""
    verify_consistency(old=3, new=3, proof=[], old_root=LEAVES[0], new_root=LEAVES[0])
    with pytest.raises(ConsistencyNotProven):
        verify_consistency(old=3, new=3, proof=[], old_root=LEAVES[0], new_root=LEAVES[1])


def test_a_consistency_proof_without_hashes_is_refused() -> None:
    """Growth has to be shown."""
    for old in (3, 4):
        with pytest.raises(ConsistencyNotProven):
            verify_consistency(old=old, new=6, proof=[], old_root=LEAVES[0], new_root=LEAVES[0])
