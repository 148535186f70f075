"""What witnesses said is kept, and decides what is published; the guard decides what is signed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ledger import cosignatures, log
from ledger.checkpoint_file import Kept
from ledger.cosignatures import Cosignature
from ledger.notes import Cosigner, NoteSigner, TreeHead, checkpoint_text
from ledger.policy import Group, Log, Policy, Witness

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIME_S = 1_767_225_600
COSIGNERS = [
    Cosigner(f"witness.example/w{n}", Ed25519PrivateKey.from_private_bytes(bytes([n + 1]) * 32)) for n in (0, 1)
]
WITNESSES = tuple(Witness(f"w{number}", one.verifier) for number, one in enumerate(COSIGNERS))


@dataclass
class Memory:
    """A keeper in memory; `moved` is what somebody else puts there between read and swap."""

    note: str | None = None
    moved: str | None = None

    def read(self) -> Kept | None:
        """What is kept."""
        return None if self.note is None else Kept(self.note, NOW)

    def swap(self, note: str, *, expected: str | None) -> bool:
        """Swap, unless somebody else did."""
        self.note = self.moved or self.note
        if self.note != expected:
            return False
        self.note = note
        return True


@pytest.fixture
def policy(note_signer: NoteSigner) -> Policy:
    """Both witnesses have to have cosigned."""
    return Policy("both", (Log(note_signer.verifier),), WITNESSES, (Group("both", 2, ("w0", "w1")),))


def grown(connection: Connection, signer: NoteSigner, *, by: int = 3) -> log.Checkpoint:
    """The checkpoint after so many entries more."""
    log.append(connection, leaves=[b"entry"] * by)
    return log.publish(connection, signer=signer, now=NOW)


def word(number: int, checkpoint: log.Checkpoint, *, time_s: int = TIME_S) -> Cosignature:
    """What a witness says about a checkpoint."""
    line = COSIGNERS[number].cosign(checkpoint.note.rpartition("\n\n")[0] + "\n", time_s=time_s)
    return Cosignature(COSIGNERS[number].verifier, checkpoint.size, time_s, line)


def test_what_the_quorum_cosigned_is_published(connection: Connection, note_signer: NoteSigner, policy: Policy) -> None:
    """One of two is not enough; the checkpoint shown carries both, in the policy's order, and satisfies it."""
    first, second = grown(connection, note_signer), grown(connection, note_signer)
    assert cosignatures.published_checkpoint(connection, policy=None) == second
    assert cosignatures.published_checkpoint(connection, policy=policy) is None
    assert not cosignatures.keep(connection, cosignature=word(1, first), policy=policy, now=NOW)
    assert not cosignatures.keep(connection, cosignature=word(0, second), policy=policy, now=NOW)
    assert cosignatures.published_checkpoint(connection, policy=policy) is None
    assert cosignatures.keep(connection, cosignature=word(0, first), policy=policy, now=NOW)
    shown = cosignatures.published_checkpoint(connection, policy=policy)
    assert shown is not None
    assert shown.note == first.note + word(0, first).line + word(1, first).line
    assert policy.check(shown.note) == TreeHead(note_signer.name, 3, first.root)
    assert cosignatures.keep(connection, cosignature=word(1, second), policy=policy, now=NOW + timedelta(hours=1))
    shown = cosignatures.published_checkpoint(connection, policy=policy)
    assert shown is not None
    assert shown.size == 6


def test_the_newest_word_counts(connection: Connection, note_signer: NoteSigner, policy: Policy) -> None:
    """A renewed cosignature takes the place of the older one, and never the other way round."""
    witness = COSIGNERS[0].verifier
    assert cosignatures.newest(connection, witness=witness) is None
    checkpoint = grown(connection, note_signer)
    for time_s, kept in ((TIME_S, TIME_S), (TIME_S + 9, TIME_S + 9), (TIME_S + 5, TIME_S + 9)):
        cosignatures.keep(connection, cosignature=word(0, checkpoint, time_s=time_s), policy=policy, now=NOW)
        assert cosignatures.newest(connection, witness=witness) == word(0, checkpoint, time_s=kept)
    assert cosignatures.cosignatures(connection, size=3, policy=policy) == [word(0, checkpoint, time_s=TIME_S + 9)]


def test_nothing_is_kept_about_a_checkpoint_we_do_not_have(connection: Connection, policy: Policy) -> None:
    """The database itself refuses it, and a time below nothing."""
    stranger = log.Checkpoint(5, bytes(32), f"x\n5\n\n— x {'A' * 8}\n", NOW)
    with pytest.raises(DBAPIError, match="foreign key"):
        cosignatures.keep(connection, cosignature=word(0, stranger), policy=policy, now=NOW)


def test_a_time_below_nothing_is_refused(connection: Connection, note_signer: NoteSigner) -> None:
    """Bounds hold in the database itself."""
    grown(connection, note_signer)
    with pytest.raises(DBAPIError, match="time_from_zero"):
        connection.execute(text("INSERT INTO log_cosignature VALUES ('w', 3, -1, 'line')"))


def guarded(connection: Connection, signer: NoteSigner, guard: Memory) -> log.Checkpoint:
    """Publish under a guard."""
    return log.publish(connection, signer=signer, now=NOW, guard=guard, keys=[signer.verifier])


def test_the_guard_has_it_first(connection: Connection, note_signer: NoteSigner) -> None:
    """Each checkpoint is in the guard; one that only the guard has becomes the row, byte for byte."""
    guard = Memory()
    log.append(connection, leaves=[b"entry"] * 3)
    first = guarded(connection, note_signer, guard)
    assert guard.note == first.note
    assert guarded(connection, note_signer, guard) == first
    log.append(connection, leaves=[b"entry"] * 3)
    with connection.begin_nested() as savepoint:
        second = guarded(connection, note_signer, guard)
        savepoint.rollback()
    log.append(connection, leaves=[b"entry"] * 3)
    third = guarded(connection, note_signer, guard)
    sizes = connection.execute(text("SELECT size, note FROM log_checkpoint ORDER BY size")).all()
    assert [tuple(row) for row in sizes] == [(one.size, one.note) for one in (first, second, third)]
    log.check_guard(connection, guard=guard, keys=[note_signer.verifier])


def test_the_guard_alone_has_the_first_and_nothing_is_new(connection: Connection, note_signer: NoteSigner) -> None:
    """Dead between guard and row, and nothing came since: the guard's note is the row, and nothing is signed."""
    guard = Memory()
    log.append(connection, leaves=[b"entry"] * 3)
    with connection.begin_nested() as savepoint:
        first = guarded(connection, note_signer, guard)
        savepoint.rollback()
    assert guarded(connection, note_signer, guard).note == first.note == guard.note


def test_an_empty_or_older_guard_is_brought_forward(connection: Connection, note_signer: NoteSigner) -> None:
    """From the database's last checkpoint, once the log leads to it."""
    first, second = grown(connection, note_signer), grown(connection, note_signer)
    for note in (None, first.note):
        guard = Memory(note)
        assert guarded(connection, note_signer, guard) == second
        assert guard.note == second.note
    log.check_guard(connection, guard=Memory(), keys=[])


def test_the_guard_stands_against_a_shorter_or_another_log(connection: Connection, note_signer: NoteSigner) -> None:
    """Shorter, or with another root at that size: nothing is signed, and the check says the same."""
    grown(connection, note_signer)
    for size, refusal in ((4, log.LogRolledBack), (2, log.LogForked), (3, log.LogForked)):
        guard = Memory(note_signer.sign(checkpoint_text(TreeHead(note_signer.name, size, bytes(32)))))
        for held in (guarded, lambda c, s, g: log.check_guard(c, guard=g, keys=[s.verifier])):
            with pytest.raises(refusal, match="2026-01-01 at 00:00:00 UTC"):
                held(connection, note_signer, guard)


def test_somebody_elses_swap_and_note(connection: Connection, note_signer: NoteSigner) -> None:
    """A guard moved meanwhile, and one that holds no checkpoint of this log."""
    log.append(connection, leaves=[b"entry"])
    with pytest.raises(log.GuardMoved):
        guarded(connection, note_signer, Memory(moved="theirs"))
    with pytest.raises(log.GuardUnreadable, match="malformed_note"):
        guarded(connection, note_signer, Memory("nothing of ours"))
