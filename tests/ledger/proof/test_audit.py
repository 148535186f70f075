"""The auditor against a database owner who switches the seals off and changes one thing."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text

from ledger import log
from ledger.audit import Finding, check_log
from ledger.notes import NoteSigner, TreeHead, checkpoint_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLIPPED_ROOT = "UPDATE log_checkpoint SET root = set_byte(root, 0, get_byte(root, 0) # 1) WHERE size = "


def fill(connection: Connection, signer: NoteSigner, *, sizes: tuple[int, ...]) -> None:
    """Append up to each size and publish there, then switch the seals off."""
    for first, last in zip((0, *sizes), sizes, strict=False):
        log.append(connection, leaves=[b"entry-%d" % number for number in range(first, last)])
        log.publish(connection, signer=signer, now=NOW)
    for table in ("log_leaf", "log_tile", "log_checkpoint"):
        connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))


def flip(tile: str, *, place: int = 0) -> str:
    """The statement that flips a bit of byte `place` of the tile `level/index`."""
    level, index = tile.split("/")
    changed = f"set_byte(hashes, {place}, get_byte(hashes, {place}) # 1)"
    return f"UPDATE log_tile SET hashes = {changed} WHERE level = {level} AND index = {index}"  # noqa: S608 - ours


@pytest.fixture
def filled(connection: Connection, note_signer: NoteSigner) -> Connection:
    """An unsealed log of 900 entries: three full tiles, an open one, the last 50 under no checkpoint."""
    fill(connection, note_signer, sizes=(100, 600, 850))
    log.append(connection, leaves=[b"entry-%d" % number for number in range(850, 900)])
    return connection


def found(connection: Connection, signer: NoteSigner) -> list[tuple[str, str]]:
    """Kind and place of every finding."""
    return [(finding.kind, finding.where) for finding in check_log(connection, keys=[signer.verifier])]


def test_an_empty_log_is_clean(connection: Connection, note_signer: NoteSigner) -> None:
    """Nothing to find, before and after the first checkpoint."""
    assert found(connection, note_signer) == []
    log.publish(connection, signer=note_signer, now=NOW)
    assert found(connection, note_signer) == []


@pytest.mark.parametrize("count", [1, 255, 256, 257, 512, 700])
def test_a_sound_log_is_clean(connection: Connection, note_signer: NoteSigner, count: int) -> None:
    """Around the edges of tiles, with checkpoints within and without."""
    for first in range(0, count, 100):
        leaves = [b"entry-%d" % number for number in range(first, min(first + 100, count))]
        log.append(connection, leaves=leaves)
        if first != 200:
            log.publish(connection, signer=note_signer, now=NOW)
    assert found(connection, note_signer) == []


# One change each, and exactly the rows the auditor must name.
TAMPERINGS = {
    "an entry in a full tile": (
        "UPDATE log_leaf SET leaf = 'x' WHERE index = 300",
        [("leaf_altered", "log_leaf 300")],
    ),
    "an entry in the open tile": (
        "UPDATE log_leaf SET leaf = 'x' WHERE index = 800",
        [("leaf_altered", "log_leaf 800")],
    ),
    "an entry no checkpoint covers": (
        "UPDATE log_leaf SET leaf = 'x' WHERE index = 899",
        [("leaf_unvouched", "log_leaf 899")],
    ),
    "an entry removed": ("DELETE FROM log_leaf WHERE index = 300", [("leaf_missing", "log_leaf 300")]),
    "a run of entries removed": (
        "DELETE FROM log_leaf WHERE index BETWEEN 250 AND 260 OR index = 263",
        [
            ("leaf_missing", "log_leaf 250..255"),
            ("leaf_missing", "log_leaf 256..260"),
            ("leaf_missing", "log_leaf 263"),
        ],
    ),
    "the last entry removed": (
        "DELETE FROM log_leaf WHERE index = 899",
        [("leaf_missing", "log_leaf 899")],
    ),
    "two entries swapped": (
        "UPDATE log_leaf SET leaf = convert_to('entry-' || (601 - index), 'UTF8') WHERE index IN (300, 301)",
        [("leaf_altered", "log_leaf 300"), ("leaf_altered", "log_leaf 301")],
    ),
    "an entry added far out": (
        "INSERT INTO log_leaf VALUES (1000000000000, 'x')",
        [("leaf_stray", "log_leaf 1000000000000")],
    ),
    "a hash in a full tile": (
        flip("0/1", place=100),
        [("tile_altered", "log_tile 0/1")],
    ),
    "a hash in the open tile": (
        flip("0/3"),
        [("tile_altered", "log_tile 0/3")],
    ),
    "a hash of a covered tile in level 1": (flip("1/0", place=40), [("tile_altered", "log_tile 1/0")]),
    "a tile cut short": (
        "UPDATE log_tile SET hashes = substring(hashes FOR 320) WHERE level = 0 AND index = 1",
        [("tile_altered", "log_tile 0/1")],
    ),
    "a tile removed": (
        "DELETE FROM log_tile WHERE level = 0 AND index = 1",
        [("tile_missing", "log_tile 0/1")],
    ),
    "a tile of level 1 removed": (
        "DELETE FROM log_tile WHERE level = 1 AND index = 0",
        [("tile_missing", "log_tile 1/0")],
    ),
    "a tile added far out": (
        "INSERT INTO log_tile SELECT 0, 1000000, hashes FROM log_tile WHERE level = 0 AND index = 1",
        [("tile_stray", "log_tile 0/1000000")],
    ),
    "a tile added high up": (
        "INSERT INTO log_tile SELECT 5, 0, hashes FROM log_tile WHERE level = 0 AND index = 1",
        [("tile_stray", "log_tile 5/0")],
    ),
    "a checkpoint's root": (
        FLIPPED_ROOT + "600",
        [("checkpoint_unsigned", "log_checkpoint 600")],
    ),
    "the newest checkpoint's root": (
        FLIPPED_ROOT + "850",
        [("checkpoint_unsigned", "log_checkpoint 850")],
    ),
    "a checkpoint's size": (
        "UPDATE log_checkpoint SET size = 601 WHERE size = 600",
        [("checkpoint_unsigned", "log_checkpoint 601")],
    ),
    "a checkpoint's note": (
        "UPDATE log_checkpoint SET note = replace(note, E'\\n600\\n', E'\\n601\\n') WHERE size = 600",
        [("checkpoint_unsigned", "log_checkpoint 600")],
    ),
    "a checkpoint added far out": (
        "INSERT INTO log_checkpoint SELECT 1000, root, note, now() FROM log_checkpoint WHERE size = 600",
        [("checkpoint_unsigned", "log_checkpoint 1000")],
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_the_row_that_was_changed_is_named(filled: Connection, note_signer: NoteSigner, name: str) -> None:
    """One change by the owner: that row is named, and no other."""
    statement, expected = TAMPERINGS[name]
    assert filled.execute(text(statement)).rowcount
    assert found(filled, note_signer) == expected


def test_rows_changed_in_a_log_of_three_levels(connection: Connection, note_signer: NoteSigner) -> None:
    """Past 65,536 entries a change is still named at its own level."""
    fill(connection, note_signer, sizes=(600, 65_000, 66_000))
    assert found(connection, note_signer) == []
    for statement, expected in (
        ("UPDATE log_leaf SET leaf = 'x' WHERE index = 40000", ("leaf_altered", "log_leaf 40000")),
        (flip("0/156"), ("tile_altered", "log_tile 0/156")),
        (flip("1/0", place=5000), ("tile_altered", "log_tile 1/0")),
        (flip("1/1"), ("tile_altered", "log_tile 1/1")),
        (flip("2/0"), ("tile_altered", "log_tile 2/0")),
    ):
        with connection.begin_nested() as savepoint:
            connection.execute(text(statement))
            assert found(connection, note_signer) == [expected]
            savepoint.rollback()


def test_the_log_of_these_tests_is_clean(filled: Connection, note_signer: NoteSigner) -> None:
    """What the tamperings change is sound before."""
    assert found(filled, note_signer) == []


def test_a_tile_that_filled_up_after_the_checkpoint(connection: Connection, note_signer: NoteSigner) -> None:
    """The newest checkpoint still vouches for the entries it covers, and not for the rest."""
    log.append(connection, leaves=[b"entry-%d" % number for number in range(200)])
    log.publish(connection, signer=note_signer, now=NOW)
    log.append(connection, leaves=[b"entry-%d" % number for number in range(200, 300)])
    connection.execute(text("ALTER TABLE log_leaf DISABLE TRIGGER USER"))
    connection.execute(text("UPDATE log_leaf SET leaf = 'x' WHERE index IN (150, 250)"))
    assert found(connection, note_signer) == [
        ("leaf_altered", "log_leaf 150"),
        ("leaf_unvouched", "log_leaf 250"),
    ]


def test_tiles_changed_before_any_checkpoint(connection: Connection, note_signer: NoteSigner) -> None:
    """Nothing is signed yet, and a tile still cannot differ from what is below it."""
    log.append(connection, leaves=[b"entry-%d" % number for number in range(300)])
    connection.execute(text("ALTER TABLE log_tile DISABLE TRIGGER USER"))
    connection.execute(text(flip("1/0")))
    assert found(connection, note_signer) == [("tile_altered", "log_tile 1/0")]


def test_an_entry_rewritten_with_its_tile(filled: Connection, note_signer: NoteSigner) -> None:
    """Entry and tile changed to agree: the parent, for which a signed root vouches, convicts the tile."""
    filled.execute(text("UPDATE log_leaf SET leaf = 'x' WHERE index = 300"))
    filled.execute(
        text(
            "UPDATE log_tile SET hashes = overlay(hashes PLACING sha256('\\x0078') FROM (300 - 256) * 32 + 1)"
            " WHERE level = 0 AND index = 1"
        )
    )
    assert found(filled, note_signer) == [("tile_altered", "log_tile 0/1")]


def test_an_open_edge_rewritten_whole(filled: Connection, note_signer: NoteSigner) -> None:
    """Entry and open tile changed to agree: the checkpoint that covers them says otherwise."""
    filled.execute(text("UPDATE log_leaf SET leaf = 'x' WHERE index = 768"))
    filled.execute(
        text(
            "UPDATE log_tile SET hashes = overlay(hashes PLACING sha256('\\x0078') FROM 1)"
            " WHERE level = 0 AND index = 3"
        )
    )
    assert ("checkpoint_contradicted", "log_checkpoint 850") in found(filled, note_signer)


def test_a_log_truncated_whole_is_missed(filled: Connection, note_signer: NoteSigner) -> None:
    """Entries and tiles gone, checkpoints left: every tile and run of entries is missing."""
    filled.execute(text("TRUNCATE log_leaf, log_tile"))
    kinds = {finding.kind for finding in check_log(filled, keys=[note_signer.verifier])}
    assert kinds == {"leaf_missing", "tile_missing", "checkpoint_contradicted"}


def test_a_fork_signed_with_the_right_key_is_named(filled: Connection, note_signer: NoteSigner) -> None:
    """A checkpoint the key did sign, over a root the log never had."""
    note = note_signer.sign(checkpoint_text(TreeHead(note_signer.name, 650, bytes(32))))
    filled.execute(
        text("INSERT INTO log_checkpoint VALUES (650, :root, :note, now())"),
        {"root": bytes(32), "note": note},
    )
    assert found(filled, note_signer) == [("checkpoint_contradicted", "log_checkpoint 650")]


def test_a_log_signed_by_no_known_key(filled: Connection) -> None:
    """Without the right key every checkpoint is unsigned; with past and present keys all are signed."""
    other = NoteSigner("log.example/ar", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert found(filled, other) == [("checkpoint_unsigned", f"log_checkpoint {size}") for size in (100, 600, 850)]
    assert check_log(filled, keys=[]) != []


def test_a_rotated_key_is_accepted(connection: Connection, note_signer: NoteSigner) -> None:
    """A log that changed its key is clean under both keys."""
    other = NoteSigner("log.example/ar", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    for signer in (other, note_signer):
        log.append(connection, leaves=[signer.verifier.public_key])
        log.publish(connection, signer=signer, now=NOW)
    assert check_log(connection, keys=[note_signer.verifier, other.verifier]) == []
    assert check_log(connection, keys=[note_signer.verifier]) == [
        Finding("checkpoint_unsigned", "log_checkpoint 1", "no key of the log has signed this size and root")
    ]
