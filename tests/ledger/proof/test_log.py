from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from ledger import log, merkle
from ledger.log_tables import log_tile
from ledger.merkle import EMPTY_ROOT, OutsideTree, leaf_hash, verify_consistency, verify_inclusion
from ledger.notes import NoteSigner, open_checkpoint, parse_proof, verify_proof
from ledger.tiles import decode_bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entries(count: int, *, first: int = 0) -> list[bytes]:
    """Different entries of different lengths."""
    return [f"entry-{number}".encode() * (number % 3 + 1) for number in range(first, first + count)]


def hashes(count: int) -> list[bytes]:
    """The leaf hashes of the first entries."""
    return [leaf_hash(entry) for entry in entries(count)]


def test_an_empty_log(connection: Connection, note_signer: NoteSigner) -> None:
    """Nothing appended is a log of size 0 with the empty root, and can be published."""
    assert log.append(connection, leaves=[]) == range(0)
    assert log.size(connection) == 0
    assert log.latest_checkpoint(connection) is None
    assert log.root_at(connection, size=0) == EMPTY_ROOT
    assert log.publish(connection, signer=note_signer, now=NOW).size == 0


def test_indexes_follow_each_other(connection: Connection) -> None:
    """Batches get the indexes after those before them."""
    assert log.append(connection, leaves=entries(3)) == range(3)
    assert log.append(connection, leaves=entries(1, first=3)) == range(3, 4)
    assert log.append(connection, leaves=[]) == range(4, 4)
    assert log.size(connection) == 4


# Each example rolls back to its savepoint, so the examples may share one connection.
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches=st.lists(st.integers(0, 600), min_size=1, max_size=5), data=st.data())
def test_any_batches_make_the_tree_of_the_definition(
    connection: Connection, batches: list[int], data: st.DataObject
) -> None:
    """However entries are batched, every root and proof at every size is the pure definition's."""
    with connection.begin_nested() as savepoint:
        count = 0
        for batch in batches:
            log.append(connection, leaves=entries(batch, first=count))
            count += batch
        leaves = hashes(count)
        size = data.draw(st.integers(0, count))
        assert log.root_at(connection, size=size) == merkle.root(leaves[:size])
        if size:
            index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
            verify_inclusion(
                leaves[index],
                index=index,
                size=size,
                proof=log.inclusion_proof(connection, index=index, size=size),
                root_hash=merkle.root(leaves[:size]),
            )
            verify_consistency(
                old=old,
                new=size,
                proof=log.consistency_proof(connection, old=old, new=size),
                old_root=merkle.root(leaves[:old]),
                new_root=merkle.root(leaves[:size]),
            )
        savepoint.rollback()


def test_tiles_of_three_levels(connection: Connection) -> None:
    """Past 65,536 entries the third level begins, and holds what the definition says."""
    log.append(connection, leaves=entries(65_000))
    log.append(connection, leaves=entries(1_000, first=65_000))
    leaves = hashes(66_000)
    assert log.root_at(connection, size=66_000) == merkle.root(leaves)
    assert log.tile(connection, level=2, index=0, width=1) == merkle.root(leaves[:65_536])
    assert log.tile(connection, level=1, index=1, width=1) == merkle.root(leaves[65_536:65_792])
    assert log.tile(connection, level=0, index=255) == b"".join(leaves[65_280:65_536])
    rows = connection.execute(select(log_tile.c.level, log_tile.c.index)).all()
    assert len(rows) == 258 + 2 + 1


def test_a_checkpoint_is_signed_kept_and_given_again(connection: Connection, note_signer: NoteSigner) -> None:
    """Publishing twice without new entries gives the first checkpoint; with new ones, the next."""
    log.append(connection, leaves=entries(5))
    first = log.publish(connection, signer=note_signer, now=NOW)
    assert open_checkpoint(first.note, log=note_signer.verifier) == (note_signer.name, 5, first.root)
    assert log.publish(connection, signer=note_signer, now=NOW + timedelta(hours=1)) == first
    log.append(connection, leaves=entries(1, first=5))
    second = log.publish(connection, signer=note_signer, now=NOW + timedelta(hours=2))
    assert log.latest_checkpoint(connection) == second
    assert (second.size, second.published_at) == (6, NOW + timedelta(hours=2))
    assert second.root == merkle.root(hashes(6))


def test_a_log_cut_short_signs_nothing(connection: Connection, note_signer: NoteSigner) -> None:
    """A log that lost published entries refuses to go on."""
    log.append(connection, leaves=entries(5))
    log.publish(connection, signer=note_signer, now=NOW)
    connection.execute(text("ALTER TABLE log_leaf DISABLE TRIGGER USER"))
    connection.execute(text("DELETE FROM log_leaf WHERE index > 2"))
    with pytest.raises(log.LogForked):
        log.publish(connection, signer=note_signer, now=NOW)


def test_a_log_rewritten_signs_nothing(connection: Connection, note_signer: NoteSigner) -> None:
    """A log that no longer leads to its last root refuses to sign a fork."""
    log.append(connection, leaves=entries(5))
    log.publish(connection, signer=note_signer, now=NOW)
    connection.execute(text("ALTER TABLE log_tile DISABLE TRIGGER USER"))
    connection.execute(text("UPDATE log_tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)"))
    log.append(connection, leaves=entries(1, first=5))
    with pytest.raises(log.LogForked):
        log.publish(connection, signer=note_signer, now=NOW)


def test_entries_and_tiles_are_served_by_width(connection: Connection) -> None:
    """A full or partial tile gives what was asked for, as its beginning."""
    log.append(connection, leaves=entries(300))
    leaves = hashes(300)
    assert decode_bundle(log.entries(connection, index=0)) == entries(256)
    assert decode_bundle(log.entries(connection, index=1, width=44)) == entries(44, first=256)
    assert decode_bundle(log.entries(connection, index=0, width=3)) == entries(3)
    assert log.tile(connection, level=0, index=1, width=44) == b"".join(leaves[256:])
    assert log.tile(connection, level=0, index=1, width=7) == b"".join(leaves[256:263])
    assert log.tile(connection, level=1, index=0, width=1) == merkle.root(leaves[:256])


@pytest.mark.parametrize(
    ("index", "width"), [(0, 0), (0, -1), (0, 257), (1, 45), (1, 256), (2, 1), (-1, 1), (2**54, 1)]
)
def test_tiles_not_reached_are_refused(connection: Connection, index: int, width: int) -> None:
    """What the log does not hold is not served, and not padded."""
    log.append(connection, leaves=entries(300))
    with pytest.raises(log.TileNotFound):
        log.tile(connection, level=0, index=index, width=width)
    with pytest.raises(log.TileNotFound):
        log.entries(connection, index=index, width=width)


def test_proofs_beyond_the_log_are_refused(connection: Connection) -> None:
    """No proof about entries or sizes that are not there."""
    log.append(connection, leaves=entries(5))
    with pytest.raises(OutsideTree):
        log.inclusion_proof(connection, index=5, size=5)
    with pytest.raises(OutsideTree):
        log.consistency_proof(connection, old=6, new=5)
    with pytest.raises(OutsideTree):
        log.inclusion_proof(connection, index=2**64, size=2**80)
    with pytest.raises(log.LogDamaged):
        log.inclusion_proof(connection, index=0, size=2**63 - 1)
    with pytest.raises(log.LogDamaged):
        log.inclusion_proof(connection, index=0, size=6)
    with pytest.raises(log.LogDamaged):
        log.root_at(connection, size=300)


def test_a_proof_file_is_checked_without_the_log(connection: Connection, note_signer: NoteSigner) -> None:
    """The file alone shows its entry to be in the log."""
    log.append(connection, leaves=entries(300))
    log.publish(connection, signer=note_signer, now=NOW)
    log.append(connection, leaves=entries(1, first=300))
    for index in (0, 255, 256, 299):
        proof = parse_proof(log.proof_file(connection, index=index))
        assert proof.extra == entries(1, first=index)[0]
        assert verify_proof(proof.extra, proof=proof, log=note_signer.verifier).size == 300


def test_an_entry_not_yet_covered_has_no_proof_file(connection: Connection, note_signer: NoteSigner) -> None:
    """Before a checkpoint covers an entry nothing is signed about it."""
    log.append(connection, leaves=entries(1))
    for index in (0, -1):
        with pytest.raises(log.EntryNotCovered):
            log.proof_file(connection, index=index)
    log.publish(connection, signer=note_signer, now=NOW)
    log.append(connection, leaves=entries(1, first=1))
    with pytest.raises(log.EntryNotCovered):
        log.proof_file(connection, index=1)


def test_a_proof_file_for_a_lost_entry_is_refused(connection: Connection, note_signer: NoteSigner) -> None:
    """A damaged log says so."""
    log.append(connection, leaves=entries(3))
    log.publish(connection, signer=note_signer, now=NOW)
    connection.execute(text("ALTER TABLE log_leaf DISABLE TRIGGER USER"))
    connection.execute(text("DELETE FROM log_leaf WHERE index = 1"))
    with pytest.raises(log.LogDamaged):
        log.proof_file(connection, index=1)


def test_a_log_without_its_last_tile_takes_nothing(connection: Connection) -> None:
    """Entries are not added to a damaged edge."""
    log.append(connection, leaves=entries(3))
    connection.execute(text("ALTER TABLE log_tile DISABLE TRIGGER USER"))
    connection.execute(text("DELETE FROM log_tile"))
    with pytest.raises(log.LogDamaged):
        log.append(connection, leaves=entries(1, first=3))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_leaf SET leaf = ''",
        "UPDATE log_leaf SET index = index + 100",
        "DELETE FROM log_leaf",
        "TRUNCATE log_leaf",
        "UPDATE log_checkpoint SET note = ''",
        "DELETE FROM log_checkpoint",
        "TRUNCATE log_checkpoint CASCADE",
        "DELETE FROM log_tile",
        "TRUNCATE log_tile",
        "UPDATE log_tile SET hashes = substring(hashes FOR 32)",
        "UPDATE log_tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)",
        "UPDATE log_tile SET index = 7",
        "UPDATE log_tile SET level = 3",
    ],
)
def test_what_is_sealed_stays(connection: Connection, note_signer: NoteSigner, statement: str) -> None:
    """The database refuses to change what was logged, the owner's ordinary statements included."""
    log.append(connection, leaves=entries(5))
    log.publish(connection, signer=note_signer, now=NOW)
    with pytest.raises(DBAPIError, match="is sealed"):
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO log_leaf VALUES (-1, '')",
        "INSERT INTO log_leaf VALUES (0, convert_to(repeat('x', 65536), 'UTF8'))",
        "INSERT INTO log_tile VALUES (0, 0, convert_to(repeat('x', 33), 'UTF8'))",
        "INSERT INTO log_tile VALUES (0, 0, '')",
        "INSERT INTO log_tile VALUES (8, 0, convert_to(repeat('x', 32), 'UTF8'))",
        "INSERT INTO log_checkpoint VALUES (-1, convert_to(repeat('x', 32), 'UTF8'), '', '2026-01-01Z')",
        "INSERT INTO log_checkpoint VALUES (1, '', '', '2026-01-01Z')",
    ],
)
def test_rows_that_cannot_be_right_are_refused(connection: Connection, statement: str) -> None:
    """Bounds hold in the database itself."""
    with pytest.raises(DBAPIError, match="check constraint"):
        connection.execute(text(statement))


def test_two_writers_wait_for_each_other(engine: Engine, note_signer: NoteSigner) -> None:
    """Appending from many connections at once gives every entry one index and a sound tree."""

    def write(batch: int) -> range:
        with engine.begin() as connection:
            given = log.append(connection, leaves=[b"%d-%d" % (batch, number) for number in range(50)])
            log.publish(connection, signer=note_signer, now=NOW)
            return given

    with ThreadPoolExecutor(4) as pool:
        ranges = sorted(pool.map(write, range(12)), key=lambda given: given.start)
    assert [index for given in ranges for index in given] == list(range(600))
    with engine.connect() as connection:
        held = decode_bundle(log.entries(connection, index=0)) + decode_bundle(log.entries(connection, index=1))
        held += decode_bundle(log.entries(connection, index=2, width=88))
        assert log.root_at(connection, size=600) == merkle.root([leaf_hash(entry) for entry in held])


def test_what_is_rolled_back_was_never_logged(engine: Engine) -> None:
    """Entries of a transaction that failed leave no index, hash or gap behind."""
    with engine.connect() as connection:
        log.append(connection, leaves=entries(300))
        connection.rollback()
        log.append(connection, leaves=entries(2))
        connection.commit()
    with engine.connect() as connection:
        assert log.size(connection) == 2
        assert log.root_at(connection, size=2) == merkle.root(hashes(2))


def test_readers_see_no_half_batch(engine: Engine) -> None:
    """Another connection sees a batch when it is committed, not before."""
    with engine.connect() as writer, engine.connect() as reader:
        log.append(writer, leaves=entries(3))
        assert log.size(reader) == 0
        writer.commit()
        assert log.size(reader) == 3
