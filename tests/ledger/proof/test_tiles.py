import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tiles import (
    LARGEST_ENTRY,
    MalformedBundle,
    MalformedTilePath,
    TileAddress,
    decode_bundle,
    encode_bundle,
    hashes_at_level,
    node_place,
    parse_tile_path,
    split_hashes,
    tile_path,
)

addresses = st.builds(
    TileAddress,
    st.none() | st.integers(0, 7),
    st.integers(0, 2**55 - 1),
    st.integers(1, 256),
)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (TileAddress(0, 0), "tile/0/000"),
        (TileAddress(0, 1234067), "tile/0/x001/x234/067"),
        (TileAddress(None, 999, 5), "tile/entries/999.p/5"),
        (TileAddress(3, 1000, 255), "tile/3/x001/000.p/255"),
    ],
)
def test_paths_of_the_specification(address: TileAddress, path: str) -> None:
    """The specification's spelling, both ways."""
    assert tile_path(address) == path
    assert parse_tile_path(path) == address


@given(addresses)
def test_paths_survive(address: TileAddress) -> None:
    """A tile has one path, and the path one tile."""
    assert parse_tile_path(tile_path(address)) == address


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/8/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/000.p/01",
        "tile/0/٠٠٠",
        "tile/0/000\n",
        "/tile/0/000",
        "tile/entries/../000",
        tile_path(TileAddress(0, 2**55)),
        "tile/0/" + "x999/" * 40 + "999",
    ],
)
def test_other_spellings_are_refused(path: str) -> None:
    """A tile is not found under a second name."""
    with pytest.raises(MalformedTilePath):
        parse_tile_path(path)


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_bundles_survive(entries: list[bytes]) -> None:
    """A bundle gives its entries back."""
    assert decode_bundle(encode_bundle(entries)) == entries


def test_the_bytes_of_a_bundle() -> None:
    """Two big-endian bytes of length, then the entry."""
    assert encode_bundle([b"a" * 258, b""]) == b"\x01\x02" + b"a" * 258 + b"\x00\x00"


def test_an_entry_too_long_is_refused() -> None:
    """What two bytes cannot count does not fit."""
    assert len(encode_bundle([bytes(LARGEST_ENTRY)])) == LARGEST_ENTRY + 2
    with pytest.raises(MalformedBundle):
        encode_bundle([bytes(LARGEST_ENTRY + 1)])


@pytest.mark.parametrize("bundle", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01a\x00"])
def test_a_bundle_cut_off_is_refused(bundle: bytes) -> None:
    """A bundle ends where an entry ends."""
    with pytest.raises(MalformedBundle):
        decode_bundle(bundle)


@given(st.integers(0, 40), st.integers(0, 2**20))
def test_a_node_lies_within_one_tile(level: int, index: int) -> None:
    """The place of a node spans the node's own entries, aligned, within one tile."""
    place = node_place((level, index))
    span = 256**place.level
    assert (place.index * 256 + place.start) * span == index << level
    assert place.count * span == 1 << level
    assert place.start % place.count == 0
    assert place.start + place.count <= 256


def test_hashes_at_each_level() -> None:
    """A level counts only what is complete below it."""
    assert [hashes_at_level(level, size=70_000) for level in range(3)] == [70_000, 273, 1]


def test_hashes_are_split_as_they_lie() -> None:
    """Thirty-two bytes to a hash."""
    assert split_hashes(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
