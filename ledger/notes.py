"""Signed notes, checkpoints, proof files (C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof).

A checkpoint is the log's signed statement of its size and root. A proof file carries one with the hashes that
lead to it from an entry, so it can be checked with nothing but the log's verifier key (vkey).
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.encoding import MalformedBase64, base64_standard, parse_base64_standard
from ledger.errors import LedgerError
from ledger.keys import SEED_BYTES, KeyRefused, public_key_from_bytes
from ledger.merkle import HASH_BYTES, leaf_hash, verify_inclusion

ED25519 = 1
"""Signature type of a log: Ed25519 over the note's text."""
COSIGNATURE = 4
"""Signature type of a witness: Ed25519 over a time and the note's text."""
LARGEST_NOTE = 64 * 1024
"""Characters of a note or proof file that are read at all."""
LONGEST_PROOF = 63
"""Hashes that lead to the root of the largest log."""
LATEST_TIME_S = 2**63 - 1
"""The latest time a cosignature can state (tlog-cosignature)."""

_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_SIGNATURE = re.compile(r"— ([^\s+]+) (\S+)")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_PROOF_TITLE = "c2sp.org/tlog-proof@v1"
_SECRET_TITLE = "PRIVATE+KEY"  # noqa: S105 - the fixed first words of a note key's text form, no secret


class NoteRefused(LedgerError):
    """Base of what is refused about notes, checkpoints and proof files."""

    code = "note_refused"


class MalformedNoteKey(NoteRefused):
    """The text is not a note key, its key id is another key's, or its signature type is not in use here."""

    code = "malformed_note_key"


class MalformedNote(NoteRefused):
    """The text is not a signed note."""

    code = "malformed_note"


class BadNoteSignature(NoteRefused):
    """A signature under a trusted key does not hold, or is there twice."""

    code = "bad_note_signature"


class MissingNoteSignature(NoteRefused):
    """A key whose signature is required has not signed the note."""

    code = "missing_note_signature"


class MalformedCheckpoint(NoteRefused):
    """The note's text is not an origin, a size and a root."""

    code = "malformed_checkpoint"


class WrongOrigin(NoteRefused):
    """The checkpoint is another log's."""

    code = "wrong_origin"


class MalformedProof(NoteRefused):
    """The text is not a proof file."""

    code = "malformed_proof"


class TreeHead(NamedTuple):
    """What a checkpoint states: the log's origin, its number of entries, its root."""

    origin: str
    size: int
    root: bytes


class Cosigned(NamedTuple):
    """A checkpoint that its log has signed: its text, its head, and when each witness says it had seen it."""

    text: str
    head: TreeHead
    times_s: dict["Verifier", int]


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof file's content; nothing vouches for `extra`, and `checkpoint` is a note yet to be verified."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public note key: its name, its signature type, its 32 bytes."""

    name: str
    signature_type: int
    public_key: bytes

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """The key that `vkey` spells. Refuses `MalformedNoteKey`, also for a key of low order."""
        key = cls(*_parse_key(vkey))
        if key.vkey != vkey:
            raise MalformedNoteKey("The key id is not that of the name and key.")
        if key.signature_type not in {ED25519, COSIGNATURE}:
            raise MalformedNoteKey(f"Signature type {key.signature_type} is not in use here.")
        try:
            public_key_from_bytes(key.public_key)
        except KeyRefused as error:
            raise MalformedNoteKey(str(error)) from error
        return key

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature names this key."""
        material = self.name.encode() + b"\n" + self._typed_key
        return hashlib.sha256(material).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text: name, key id and key, between plus signs."""
        return f"{self.name}+{self.key_id.hex()}+{base64_standard(self._typed_key)}"

    @property
    def _typed_key(self) -> bytes:
        return bytes([self.signature_type]) + self.public_key

    def check(self, signature: bytes, *, text: str) -> int:
        """Check a signature of a note's text, without its key id; gives a cosignature's time, 0 for a log's.

        Refuses `BadNoteSignature`.
        """
        message = text.encode()
        time_s = 0
        if self.signature_type == COSIGNATURE:
            time_s = int.from_bytes(signature[:_TIME_BYTES], "big")
            signature = signature[_TIME_BYTES:]
            message = _cosigned_message(text, time_s)
        try:
            public_key_from_bytes(self.public_key).verify(signature, message)
        except InvalidSignature as error:
            raise BadNoteSignature(f"The signature of {self.name} does not hold.") from error
        if time_s > LATEST_TIME_S:
            raise BadNoteSignature(f"The signature of {self.name} states a time that cannot be.")
        return time_s


@dataclass(frozen=True, slots=True)
class _NoteKey:
    """A signing key and its name: a URL without scheme, space or plus."""

    name: str
    private_key: Ed25519PrivateKey

    signature_type: ClassVar[int]

    @classmethod
    def parse(cls, skey: str) -> Self:
        """The key that `skey` spells. Refuses `MalformedNoteKey`."""
        title, secret = skey[: len(_SECRET_TITLE)], skey[len(_SECRET_TITLE) + 1 :]
        name, signature_type, seed = _parse_key(secret)
        if title != _SECRET_TITLE or signature_type != cls.signature_type or len(seed) != SEED_BYTES:
            raise MalformedNoteKey(f"The text is not a note signing key of type {cls.signature_type}.")
        key = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if key.skey() != skey:
            raise MalformedNoteKey("The key id is not that of the name and key.")
        return key

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self.signature_type, self.private_key.public_key().public_bytes_raw())

    def skey(self) -> str:
        """The key as text. It is the secret itself: keep it as one."""
        typed_seed = bytes([self.signature_type]) + self.private_key.private_bytes_raw()
        return f"{_SECRET_TITLE}+{self.name}+{self.verifier.key_id.hex()}+{base64_standard(typed_seed)}"

    def _line(self, signature: bytes) -> str:
        return f"— {self.name} {base64_standard(self.verifier.key_id + signature)}\n"


class NoteSigner(_NoteKey):
    """A log's signing key and its name, which is the log's origin."""

    __slots__ = ()

    signature_type = ED25519

    def sign(self, text: str) -> str:
        """The note: `text`, which ends with a newline, a blank line, and the signature line."""
        return f"{text}\n{self._line(self.private_key.sign(text.encode()))}"


class Cosigner(_NoteKey):
    """A witness's signing key and name (tlog-cosignature, Ed25519)."""

    __slots__ = ()

    signature_type = COSIGNATURE

    def cosign(self, text: str, *, time_s: int) -> str:
        """The signature line by which the witness states that at `time_s` it knew no longer log than `text` tells."""
        signature = self.private_key.sign(_cosigned_message(text, time_s))
        return self._line(time_s.to_bytes(_TIME_BYTES, "big") + signature)


def open_note(note: str, *, required: Collection[Verifier]) -> str:
    """The text of a note that all `required` keys have signed; signatures of other keys are passed over.

    Refuses `MalformedNote`, `BadNoteSignature` and `MissingNoteSignature`.
    """
    text, times_s = _verified(note, known=required)
    if not required:
        raise MissingNoteSignature("A note signed by nobody trusted is not to be read.")
    missing = sorted(key.name for key in required if key not in times_s)
    if missing:
        raise MissingNoteSignature(f"The note lacks the signature of {', '.join(missing)}.")
    return text


def checkpoint_text(head: TreeHead) -> str:
    """The text of a checkpoint: what a log signs."""
    return f"{head.origin}\n{head.size}\n{base64_standard(head.root)}\n"


def open_checkpoint(note: str, *, log: Verifier, witnesses: Collection[Verifier] = ()) -> TreeHead:
    """The tree head in a checkpoint that the log and every one of `witnesses` have signed.

    Refuses what `open_note` refuses, `MalformedCheckpoint` and `WrongOrigin`.
    """
    return _head_of(open_note(note, required=[log, *witnesses]), logs=[log])


def read_checkpoint(note: str, *, logs: Collection[Verifier], witnesses: Collection[Verifier] = ()) -> Cosigned:
    """The checkpoint that at least one of `logs` has signed, with the times of those of `witnesses` that did too.

    A log that changes its key has two for a while. Refuses what `open_checkpoint` refuses; of a witness that did not
    sign nothing is said, but a signature under a known key must hold.
    """
    text, times_s = _verified(note, known=[*logs, *witnesses])
    if times_s.keys().isdisjoint(logs):
        raise MissingNoteSignature("No key of the log has signed the checkpoint.")
    head = _head_of(text, logs=[log for log in logs if log in times_s])
    return Cosigned(text, head, {witness: times_s[witness] for witness in witnesses if witness in times_s})


def checkpoint_head(text: str) -> TreeHead:
    """What the text of a checkpoint states; nothing vouches for it. Refuses `MalformedCheckpoint`."""
    match text.split("\n")[:-1]:
        case [origin, size, root_text, *extensions] if origin and _NUMBER.fullmatch(size) and all(extensions):
            root = _parse_hash(root_text)
            if root is not None:
                return TreeHead(origin, int(size), root)
    raise MalformedCheckpoint("The checkpoint's text is not an origin, a size and a root.")


def origin_of(note: str) -> str:
    """Whose checkpoint the note says it is: the first line, nothing of it verified."""
    return note.partition("\n")[0]


def proof_text(proof: Proof) -> str:
    """The proof file (extension .tlog-proof)."""
    extra = [f"extra {base64_standard(proof.extra)}"] if proof.extra else []
    hashes = map(base64_standard, proof.hashes)
    return "\n".join([_PROOF_TITLE, *extra, f"index {proof.index}", *hashes, "", proof.checkpoint])


def parse_proof(text: str) -> Proof:
    """The content of a proof file, nothing of it verified. Refuses `MalformedProof`."""
    if len(text) > LARGEST_NOTE:
        raise MalformedProof(f"The text is longer than {LARGEST_NOTE} characters.")
    head, _, checkpoint = text.partition("\n\n")
    _, *lines = head.split("\n")
    extra = lines.pop(0).removeprefix("extra ") if lines and lines[0].startswith("extra ") else ""
    index = lines.pop(0).removeprefix("index ") if lines else ""
    hashes = tuple(filter(None, map(_parse_hash, lines)))
    try:
        proof = Proof(int(index) if _NUMBER.fullmatch(index) else 0, hashes, checkpoint, parse_base64_standard(extra))
    except MalformedBase64 as error:
        raise MalformedProof("The extra data is not base64.") from error
    # Whatever was passed over above is missing now: title, blank line, stray lines, other spellings.
    if proof_text(proof) != text or len(hashes) > LONGEST_PROOF:
        raise MalformedProof(f"The text is not a {_PROOF_TITLE} file.")
    return proof


def verify_proof(entry: bytes, *, proof: Proof, log: Verifier, witnesses: Collection[Verifier] = ()) -> TreeHead:
    """The tree head, signed by the log and each of `witnesses`, under which the proof shows `entry` to be.

    Refuses what `open_checkpoint` refuses and `merkle.InclusionNotProven`.
    """
    head = open_checkpoint(proof.checkpoint, log=log, witnesses=witnesses)
    verify_inclusion(
        leaf_hash(entry),
        index=proof.index,
        size=head.size,
        proof=proof.hashes,
        root_hash=head.root,
    )
    return head


def _parse_key(key: str) -> tuple[str, int, bytes]:
    """Name, signature type and key bytes of `name+hex+base64`; the caller compares the key's own spelling."""
    parts = key.split("+", 2)
    if len(parts) < 3 or not parts[0] or re.search(r"\s", parts[0]):  # noqa: PLR2004 - name, id, key
        raise MalformedNoteKey("The text is not a name, a key id and a key between plus signs.")
    try:
        typed_key = parse_base64_standard(parts[2])
    except MalformedBase64 as error:
        raise MalformedNoteKey("The key is not base64.") from error
    return parts[0], typed_key[0] if typed_key else 0, typed_key[1:]


def _cosigned_message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _verified(note: str, *, known: Iterable[Verifier]) -> tuple[str, dict[Verifier, int]]:
    """A note's text, and the time each of the `known` keys that signed it gave (0 where the key gives none)."""
    text, signatures = _split_note(note)
    by_id = {(key.name, key.key_id): key for key in known}
    times_s: dict[Verifier, int] = {}
    for name, signature in signatures:
        key = by_id.get((name, signature[:_KEY_ID_BYTES]))
        if key is None:
            continue
        if key in times_s:
            raise BadNoteSignature(f"{name} has signed the note twice.")
        times_s[key] = key.check(signature[_KEY_ID_BYTES:], text=text)
    return text, times_s


def _head_of(text: str, *, logs: Collection[Verifier]) -> TreeHead:
    """What a checkpoint's text states, once it is that of one of the logs that have signed it."""
    head = checkpoint_head(text)
    if head.origin not in {log.name for log in logs}:
        names = ", ".join(sorted(log.name for log in logs))
        raise WrongOrigin(f"The checkpoint is that of {head.origin!r}, not of {names}.")
    return head


def _split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """A note's text and its signatures, each a key name with key id and signature."""
    text, blank, rest = note.rpartition("\n\n")
    controls = any(character < " " and character != "\n" for character in note)
    if len(note) > LARGEST_NOTE or controls or not blank or not rest.endswith("\n"):
        raise MalformedNote("The text is not a note and its signature lines.")
    try:
        note.encode()
        signatures = [_parse_signature(line) for line in rest[:-1].split("\n")]
    except (MalformedBase64, UnicodeEncodeError) as error:
        raise MalformedNote("A signature is not base64, or the note is not text.") from error
    return text + "\n", signatures


def _parse_signature(line: str) -> tuple[str, bytes]:
    match = _SIGNATURE.fullmatch(line)
    signature = parse_base64_standard(match[2]) if match else b""
    if not match or len(signature) <= _KEY_ID_BYTES:
        raise MalformedNote("A signature line is not a name and a signature.")
    return match[1], signature


def _parse_hash(line: str) -> bytes | None:
    """The hash a line spells, or None."""
    try:
        digest = parse_base64_standard(line)
    except MalformedBase64:
        return None
    return digest if len(digest) == HASH_BYTES else None
