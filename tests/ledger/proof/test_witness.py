"""The witness's rules, request by request and over whole lives: it never cosigns two histories."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger import merkle, witness
from ledger.encoding import base64_standard
from ledger.errors import LedgerError
from ledger.merkle import leaf_hash
from ledger.notes import (
    LARGEST_NOTE,
    Cosigner,
    NoteRefused,
    NoteSigner,
    TreeHead,
    checkpoint_text,
    open_checkpoint,
    parse_proof,
    read_checkpoint,
)
from ledger.witness import Request, render_request

TIME_S = 1_767_225_600
LOG = NoteSigner("log.example/ar", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
NEXT_KEY = NoteSigner(LOG.name, Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
COSIGNER = Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))
LOGS = {LOG.name: [LOG.verifier, NEXT_KEY.verifier]}
LEAVES = [leaf_hash(b"entry-%d" % number) for number in range(70)]
OTHERS = [*LEAVES[:20], *(leaf_hash(b"other-%d" % number) for number in range(50))]
"""A fork: the same log up to its twentieth entry."""


def checkpoint(size: int, *, leaves: list[bytes] = LEAVES, signer: NoteSigner = LOG) -> str:
    """The log's signed checkpoint at a size."""
    return signer.sign(checkpoint_text(TreeHead(LOG.name, size, merkle.root(leaves[:size]))))


def proof(old: int, new: int, *, leaves: list[bytes] = LEAVES) -> tuple[bytes, ...]:
    """The consistency proof between two sizes."""
    return tuple(merkle.root(leaves[begin:end]) for begin, end in merkle.consistency_ranges(old, new=new))


def ask(body: bytes, held: str | None = None, *, time_s: int = TIME_S) -> witness.Decision:
    """Send a request to a witness that keeps `held`."""
    return witness.add_checkpoint(body, logs=LOGS, held=lambda _: held, cosigner=COSIGNER, time_s=time_s)


def grow(held: str | None, old: int, new: int) -> witness.Decision:
    """A right request from one size to another."""
    return ask(render_request(Request(old, proof(old, new), checkpoint(new))), held)


def test_the_cross_checked_cosignature(vectors: Callable[[str], Any]) -> None:
    """Our cosignature of the vector's checkpoint is the one that two other implementations wrote, byte for byte."""
    vector = vectors("tlog")
    note = parse_proof(vector["proof"]).checkpoint
    first, _, second = note.rpartition("— witness")
    cosigner = Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))
    decision = witness.add_checkpoint(
        render_request(Request(0, (), first)),
        logs=LOGS,
        held=lambda _: None,
        cosigner=cosigner,
        time_s=vector["cosigned_at_s"],
    )
    assert decision.answer == f"— witness{second}"
    assert decision.note == note
    assert Cosigner.parse(cosigner.skey()).verifier.vkey == vector["witness_vkey"]


def test_a_log_is_followed_as_it_grows() -> None:
    """From nothing over full trees and odd ones; asking twice is answered twice, each time with the present time."""
    held: str | None = None
    old = 0
    for new in (1, 2, 3, 8, 9, 9, 64, 70):
        decision = grow(held, old, new)
        assert (decision.origin, decision.replaces) == (LOG.name, held)
        assert open_checkpoint(
            checkpoint(new) + decision.answer, log=LOG.verifier, witnesses=[COSIGNER.verifier]
        ) == TreeHead(LOG.name, new, merkle.root(LEAVES[:new]))
        held, old = decision.note, new
    later = ask(render_request(Request(70, (), checkpoint(70))), held, time_s=TIME_S + 9)
    times_s = read_checkpoint(later.note, logs=[LOG.verifier], witnesses=[COSIGNER.verifier]).times_s
    assert list(times_s.values()) == [TIME_S + 9]


def test_an_empty_log_is_cosigned_as_empty_only() -> None:
    """Size 0 has one root."""
    held = grow(None, 0, 0).note
    assert grow(held, 0, 5).note
    wrong = LOG.sign(checkpoint_text(TreeHead(LOG.name, 0, bytes(32))))
    with pytest.raises(witness.WrongOldSize):
        ask(render_request(Request(0, (), wrong)), None)


HELD = grow(None, 0, 20).note
REFUSED: dict[str, tuple[bytes, int, int | None]] = {
    "no text": (b"\xff", 400, None),
    "nothing": (b"", 400, None),
    "no old size": (render_request(Request(20, (), checkpoint(21)))[3:], 400, None),
    "an old size with a zero before it": (b"old 020\n\n" + checkpoint(20).encode(), 400, None),
    "an old size below nothing": (b"old -1\n\n" + checkpoint(20).encode(), 400, None),
    "an old size in other digits": ("old ٢\n\n".encode() + checkpoint(20).encode(), 400, None),
    "no blank line": (b"old 20\n" + checkpoint(20).encode().partition(b"\n\n")[0], 400, None),
    "a hash that is none": (b"old 20\nx\n\n" + checkpoint(21).encode(), 400, None),
    "a hash too short": (render_request(Request(20, (bytes(31),), checkpoint(21))), 400, None),
    "a proof too long": (render_request(Request(20, (bytes(32),) * 64, checkpoint(21))), 400, None),
    "a request too long": (render_request(Request(0, (), "x" * witness.LARGEST_REQUEST)), 400, None),
    "no note": (render_request(Request(20, (), f"{LOG.name}\n21\n")), 400, None),
    "no checkpoint": (render_request(Request(20, (), LOG.sign(f"{LOG.name}\n20\n"))), 400, None),
    "an old size beyond the new": (render_request(Request(21, (), checkpoint(20))), 400, None),
    "an unknown log": (render_request(Request(20, (), checkpoint(21).replace(LOG.name, "log.example/x"))), 404, None),
    "a changed size": (render_request(Request(20, (), checkpoint(21).replace("\n21\n", "\n22\n"))), 403, None),
    "another key": (
        render_request(Request(20, (), checkpoint(21, signer=NoteSigner(LOG.name, COSIGNER.private_key)))),
        403,
        None,
    ),
    "an old size behind": (render_request(Request(19, proof(19, 21), checkpoint(21))), 409, 20),
    "an old size ahead": (render_request(Request(21, proof(21, 22), checkpoint(22))), 409, 20),
    "from nothing again": (render_request(Request(0, (), checkpoint(21))), 409, 20),
    "another root at the same size": (
        render_request(Request(20, (), checkpoint(20, leaves=[*LEAVES[:19], bytes(32)]))),
        409,
        20,
    ),
    "a fork": (
        render_request(
            Request(
                20,
                proof(20, 30, leaves=[bytes(32), *LEAVES[1:]]),
                checkpoint(30, leaves=[bytes(32), *LEAVES[1:]]),
            )
        ),
        422,
        None,
    ),
    "no proof": (render_request(Request(20, (), checkpoint(30))), 422, None),
    "a proof that is not needed": (render_request(Request(20, (bytes(32),), checkpoint(20))), 422, None),
    "a proof of another growth": (render_request(Request(20, proof(20, 31), checkpoint(30))), 422, None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_has_its_status(name: str) -> None:
    """As tlog-witness says; a 409 tells the size to start from."""
    body, status, size = REFUSED[name]
    with pytest.raises(witness.CheckpointRefused) as refused:
        ask(body, HELD)
    assert refused.value.status == status
    assert getattr(refused.value, "size", None) == size


def test_from_nothing_no_proof_is_taken() -> None:
    """The first checkpoint comes without hashes."""
    with pytest.raises(witness.NotConsistent):
        ask(render_request(Request(0, (bytes(32),), checkpoint(5))))


def test_a_log_changes_its_key() -> None:
    """Either key of the log will do, and what was kept under the old one still counts."""
    assert ask(render_request(Request(20, proof(20, 21), checkpoint(21, signer=NEXT_KEY))), HELD).note


def test_a_lost_state_cosigns_nothing() -> None:
    """What is kept must be the witness's own word: anything else is a damaged state, and no reason to start anew."""
    for damaged in ("", "x", checkpoint(20), HELD.replace("\n20\n", "\n19\n"), HELD[:-5]):
        with pytest.raises(NoteRefused):
            grow(damaged, 20, 30)


def test_foreign_signatures_do_not_spoil_the_state() -> None:
    """Other witnesses' lines are kept as they came; lines under our own name are not, nor more than can be read."""
    foreign = f"— witness.example/other {base64_standard(bytes(76))}\n"
    forged = f"— {COSIGNER.name} {base64_standard(COSIGNER.verifier.key_id + bytes(72))}\n"
    decision = ask(render_request(Request(0, (), checkpoint(20) + foreign + forged)))
    assert foreign in decision.note
    assert forged not in decision.note
    assert grow(decision.note, 20, 21).note
    padded = checkpoint(20) + foreign * ((LARGEST_NOTE - len(checkpoint(20))) // len(foreign))
    with pytest.raises(witness.MalformedRequest, match="too many"):
        ask(render_request(Request(0, (), padded)))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_by_name(body: bytes) -> None:
    """Nothing raises anything but a refusal, and nothing of it is cosigned."""
    with pytest.raises(witness.CheckpointRefused):
        ask(body, HELD)


@given(st.data())
def test_one_character_changed_is_never_cosigned_wrongly(data: st.DataObject) -> None:
    """A right request with one byte changed is refused, unless it still is the log's own true checkpoint."""
    body = bytearray(render_request(Request(20, proof(20, 30), checkpoint(30))))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    try:
        decision = ask(bytes(body), HELD)
    except LedgerError:
        return
    head = open_checkpoint(checkpoint(30) + decision.answer, log=LOG.verifier, witnesses=[COSIGNER.verifier])
    assert head.root == merkle.root(LEAVES[:30])


class WitnessLife(RuleBasedStateMachine):
    """A log that may lie, and a witness that keeps what it said last; requests may race."""

    def __init__(self) -> None:
        super().__init__()
        self.held: str | None = None
        self.size = 0
        self.cosigned: dict[int, bytes] = {}
        self.waiting: list[tuple[witness.Decision, int, bytes]] = []

    @rule(
        known=st.booleans(),
        any_old=st.integers(0, 70),
        step=st.integers(-5, 15),
        lying=st.booleans(),
        now=st.booleans(),
    )
    def ask(self, known: bool, any_old: int, step: int, lying: bool, now: bool) -> None:  # noqa: FBT001 - drawn
        """Ask from the size the witness knows or any, of either history; what is granted is kept at once, or later."""
        old = self.size if known else any_old
        new = min(max(old + step, 0), len(LEAVES))
        leaves = OTHERS if lying else LEAVES
        sent = Request(old, proof(old, new, leaves=leaves) if old <= new else (), checkpoint(new, leaves=leaves))
        try:
            decision = ask(render_request(sent), self.held)
        except witness.CheckpointRefused:
            return
        assert old == self.size
        self.waiting.append((decision, new, merkle.root(leaves[:new])))
        if now:
            self.keep(len(self.waiting) - 1)

    @rule(number=st.integers(0, 5))
    def keep(self, number: int) -> None:
        """Keep what was granted, by compare and swap: only then its cosignature leaves."""
        if number < len(self.waiting):
            decision, size, root = self.waiting.pop(number)
            if decision.replaces == self.held:
                self.held, self.size = decision.note, size
                assert self.cosigned.setdefault(size, root) == root

    @invariant()
    def one_history(self) -> None:
        """All cosigned checkpoints are of one history, and the size never goes back."""
        histories = [
            all(root == merkle.root(leaves[:size]) for size, root in self.cosigned.items())
            for leaves in (LEAVES, OTHERS)
        ]
        assert any(histories)
        assert self.size == max(self.cosigned, default=0)


TestWitnessLife = WitnessLife.TestCase
TestWitnessLife.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_line_that_counts_is_found_in_an_answer() -> None:
    """Among lines of others, of our name under another key, and no lines at all; one that does not hold is refused."""
    text = checkpoint_text(TreeHead(LOG.name, 5, bytes(32)))
    line = COSIGNER.cosign(text, time_s=TIME_S)
    namesake = Cosigner(COSIGNER.name, Ed25519PrivateKey.from_private_bytes(bytes(32))).cosign(text, time_s=1)
    answer = f"stray\n— witness.example/w2 AAAAAAA=\n{namesake}{line}\n"
    assert witness.read_answer(answer, text=text, witness=COSIGNER.verifier) == (line, TIME_S)
    for wrong in ("", "stray\n", namesake, line.replace(" ", "  "), COSIGNER.cosign(text + "more\n", time_s=TIME_S)):
        with pytest.raises(NoteRefused):
            witness.read_answer(wrong, text=text, witness=COSIGNER.verifier)
