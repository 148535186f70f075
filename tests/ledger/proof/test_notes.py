import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.encoding import base64_standard
from ledger.errors import LedgerError
from ledger.merkle import InclusionNotProven, inclusion_ranges, leaf_hash, root
from ledger.notes import (
    COSIGNATURE,
    LARGEST_NOTE,
    BadNoteSignature,
    MalformedCheckpoint,
    MalformedNote,
    MalformedNoteKey,
    MalformedProof,
    MissingNoteSignature,
    NoteSigner,
    Proof,
    TreeHead,
    Verifier,
    WrongOrigin,
    checkpoint_text,
    open_checkpoint,
    open_note,
    parse_proof,
    proof_text,
    verify_proof,
)


@pytest.fixture(scope="session")
def vector(vectors: Callable[[str], Any]) -> dict[str, Any]:
    """The vector that other implementations agree on."""
    content: dict[str, Any] = vectors("tlog")
    return content


@pytest.fixture(scope="session")
def log(vector: dict[str, Any]) -> Verifier:
    """The vector's log."""
    return Verifier.parse(vector["log_vkey"])


@pytest.fixture(scope="session")
def witness(vector: dict[str, Any]) -> Verifier:
    """The vector's witness."""
    return Verifier.parse(vector["witness_vkey"])


def cosign(note: str, *, seed: bytes, witness: Verifier, time_s: int) -> str:
    """The note with a witness's cosignature (C2SP tlog-cosignature), made here by hand."""
    text = note.rpartition("\n\n")[0] + "\n"
    message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
    signature = struct.pack(">Q", time_s) + Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    return f"{note}— {witness.name} {base64_standard(witness.key_id + signature)}\n"


def test_the_cross_checked_vector_is_written_byte_for_byte(
    vector: dict[str, Any], note_signer: NoteSigner, witness: Verifier
) -> None:
    """Our checkpoint and proof file are the bytes that two other implementations wrote."""
    hashes = [leaf_hash(entry.encode()) for entry in vector["entries"]]
    note = note_signer.sign(checkpoint_text(TreeHead(note_signer.name, 5, root(hashes))))
    seed = bytes.fromhex(vector["witness_seed_hex"])
    note = cosign(note, seed=seed, witness=witness, time_s=vector["cosigned_at_s"])
    path = tuple(root(hashes[begin:end]) for begin, end in inclusion_ranges(2, size=5))
    assert proof_text(Proof(2, path, note)) == vector["proof"]
    assert note_signer.verifier.vkey == vector["log_vkey"]


def test_the_cross_checked_vector_verifies(vector: dict[str, Any], log: Verifier, witness: Verifier) -> None:
    """The vector's proof shows its entry and no other, under log and witness."""
    proof = parse_proof(vector["proof"])
    head = verify_proof(b"entry-2", proof=proof, log=log, witnesses=[witness])
    assert (head.origin, head.size, proof.index) == ("log.example/ar", 5, 2)
    with pytest.raises(InclusionNotProven):
        verify_proof(b"entry-1", proof=proof, log=log)


@given(st.data())
def test_any_character_of_a_proof_changed_is_found(
    vector: dict[str, Any], log: Verifier, witness: Verifier, data: st.DataObject
) -> None:
    """One character of a proof file changed, removed or added: refused by name."""
    text: str = vector["proof"]
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(max_codepoint=0x7F) | st.characters())
    changed = data.draw(
        st.sampled_from(
            [
                text[:place] + character + text[place + 1 :],
                text[:place] + text[place + 1 :],
                text[:place] + character + text[place:],
            ]
        ).filter(lambda it: it != text)
    )
    with pytest.raises(LedgerError):
        verify_proof(b"entry-2", proof=parse_proof(changed), log=log, witnesses=[witness])


@given(st.text(max_size=200))
def test_arbitrary_text_is_refused_by_name(log: Verifier, text: str) -> None:
    """No text raises anything but a refusal."""
    for read in (Verifier.parse, NoteSigner.parse, parse_proof):
        with pytest.raises(LedgerError):
            read(text)
    with pytest.raises(LedgerError):
        open_checkpoint(text, log=log)


def test_keys_survive_their_text(note_signer: NoteSigner, log: Verifier, witness: Verifier) -> None:
    """A vkey and an skey give their keys back."""
    assert note_signer.verifier == log
    assert Verifier.parse(witness.vkey) == witness
    assert witness.signature_type == COSIGNATURE
    assert NoteSigner.parse(note_signer.skey()).verifier == log


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        "+cfa7503d+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "log example+cfa7503d+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "log.example/ar+cfa7503e+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "log.example/ar+CFA7503D+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "log.example/ar+cfa7503d+AQOhB7/zzhC-HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "log.example/ar+cfa7503d+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4\n",
        "log.example/ar+cfa7503d+",
        Verifier("log.example/ar", 6, bytes(32)).vkey,
        Verifier("log.example/ar", 1, bytes(32)).vkey,
        Verifier("log.example/ar", 1, bytes(31)).vkey,
    ],
)
def test_a_vkey_out_of_form_is_refused(vkey: str) -> None:
    """Another id, spelling, type or a key of low order: refused."""
    with pytest.raises(MalformedNoteKey):
        Verifier.parse(vkey)


def test_an_skey_out_of_form_is_refused(note_signer: NoteSigner) -> None:
    """Another title, id, type or length: refused."""
    skey = note_signer.skey()
    typed = base64_standard(b"\x04" + bytes(range(32)))
    for text in (
        skey.replace("PRIVATE", "PUBLIC"),
        skey.replace("+cfa7503d+", "+cfa7503e+"),
        skey + "=",
        f"PRIVATE+KEY+log.example/ar+cfa7503d+{typed}",
        f"PRIVATE+KEY+log.example/ar+cfa7503d+{base64_standard(bytes([1]) + bytes(31))}",
    ):
        with pytest.raises(MalformedNoteKey):
            NoteSigner.parse(text)


def test_signatures_of_unknown_keys_are_passed_over(note_signer: NoteSigner, log: Verifier) -> None:
    """A witness the reader does not know does not matter, whatever it wrote."""
    note = note_signer.sign("text\n") + f"— witness.example/w9 {base64_standard(bytes(76))}\n"
    assert open_note(note, required=[log]) == "text\n"


def test_a_text_may_have_blank_lines(note_signer: NoteSigner, log: Verifier) -> None:
    """The last blank line parts text from signatures."""
    assert open_note(note_signer.sign("one\n\ntwo\n"), required=[log]) == "one\n\ntwo\n"


def test_a_missing_signature_is_refused(note_signer: NoteSigner, log: Verifier, witness: Verifier) -> None:
    """Every required key must have signed, and at least one is required."""
    note = note_signer.sign("text\n")
    with pytest.raises(MissingNoteSignature, match=witness.name):
        open_note(note, required=[log, witness])
    with pytest.raises(MissingNoteSignature):
        open_note(note, required=[])


def test_a_signature_given_twice_is_refused(note_signer: NoteSigner, log: Verifier) -> None:
    """One key signs once."""
    note = note_signer.sign("text\n")
    line = note.split("\n")[-2]
    with pytest.raises(BadNoteSignature, match="twice"):
        open_note(f"{note}{line}\n", required=[log])


def test_a_bad_signature_under_a_known_key_is_refused(log: Verifier, witness: Verifier) -> None:
    """A known name and id with other bytes refuses the whole note, of any length."""
    for key in (log, witness):
        for length in (1, 8, 64, 72):
            note = f"text\n\n— {key.name} {base64_standard(key.key_id + bytes(length))}\n"
            with pytest.raises(BadNoteSignature):
                open_note(note, required=[key])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name",
        "text\n\n— name AAAA\n",
        "text\n\n— name AAAAAAA\n",
        "text\n\n— name AAAAAAA= \n",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n—  AAAAAAA=\n",
        "text\n\n— na+me AAAAAAA=\n",
        "te\rxt\n\n— name AAAAAAA=\n",
        "te\x00xt\n\n— name AAAAAAA=\n",
        "te\ud800xt\n\n— name AAAAAAA=\n",
        "x" * LARGEST_NOTE + "\n\n— name AAAAAAA=\n",
    ],
)
def test_a_note_out_of_form_is_refused(log: Verifier, note: str) -> None:
    """No signature lines, stray characters, too long: refused before any key is used."""
    with pytest.raises(MalformedNote):
        open_note(note, required=[log])


ROOT = base64_standard(bytes(32))


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "5\n",
        f"05\n{ROOT}\n",
        f"-1\n{ROOT}\n",
        f"٥\n{ROOT}\n",
        f"1e3\n{ROOT}\n",
        f"{10**19}\n{ROOT}\n",
        f"5\n{ROOT[:-1]}\n",
        f"5\n{base64_standard(bytes(31))}\n",
        f"5\n{ROOT}\n\n",
    ],
)
def test_a_checkpoint_out_of_form_is_refused(note_signer: NoteSigner, log: Verifier, rest: str) -> None:
    """A good signature over no tree head is not a checkpoint."""
    with pytest.raises(MalformedCheckpoint):
        open_checkpoint(note_signer.sign(f"{log.name}\n{rest}"), log=log)


def test_a_checkpoint_of_another_origin_is_refused(note_signer: NoteSigner, log: Verifier) -> None:
    """A key that signs for two logs does not mix them up."""
    note = note_signer.sign(checkpoint_text(TreeHead("log.example/other", 5, bytes(32))))
    with pytest.raises(WrongOrigin):
        open_checkpoint(note, log=log)


def test_a_checkpoint_may_have_extension_lines(note_signer: NoteSigner, log: Verifier) -> None:
    """Signed lines we do not know are passed over, as the specification asks."""
    note = note_signer.sign(f"{log.name}\n0\n{ROOT}\nextension\n")
    assert open_checkpoint(note, log=log) == TreeHead(log.name, 0, bytes(32))


@given(st.binary(max_size=300), st.integers(0, 2**62), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_proof_files_survive(vector: dict[str, Any], extra: bytes, index: int, hashes: list[bytes]) -> None:
    """A proof file gives its content back."""
    proof = replace(parse_proof(vector["proof"]), extra=extra, index=index, hashes=tuple(hashes))
    assert parse_proof(proof_text(proof)) == proof


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@v1", "@v2"),
        ("index 2", "index 02"),
        ("index 2", "index -2"),
        ("index 2", "index"),
        ("index 2\n", ""),
        ("index 2", "extra AAAA\nextra AAAA\nindex 2"),
        ("index 2", "extra A\nindex 2"),
        ("index 2", "extra \nindex 2"),
        ("J0eb", "J0e"),
        ("J0eb", "stray\nJ0eb"),
        ("\n\nlog", "\nlog"),
        (
            "J0ebarMh0u5HdFL2i6UndI6GPK/o+9HfK/idFXDRtpc=\n",
            "J0ebarMh0u5HdFL2i6UndI6GPK/o+9HfK/idFXDRtpc=\n" * 62,
        ),
        ("log.example/ar\n5", "x" * LARGEST_NOTE),
    ],
)
def test_a_proof_file_out_of_form_is_refused(vector: dict[str, Any], old: str, new: str) -> None:
    """Another title, index, spelling, too many hashes, too long: refused."""
    text = vector["proof"].replace(old, new, 1)
    assert text != vector["proof"]
    with pytest.raises(MalformedProof):
        parse_proof(text)
