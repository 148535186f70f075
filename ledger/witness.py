"""What a witness decides (C2SP tlog-witness): whether a log's new checkpoint grows from the last one it cosigned.

Pure: whoever runs a witness keeps the state, and must replace it by the new checkpoint, compared and swapped, before
the cosignature leaves.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import ClassVar, NamedTuple

from ledger import merkle, notes
from ledger.encoding import MalformedBase64, base64_standard, parse_base64_standard
from ledger.errors import LedgerError
from ledger.merkle import HASH_BYTES
from ledger.notes import Cosigner, NoteRefused, TreeHead, Verifier

LARGEST_REQUEST = 128 * 1024
"""Bytes of a request that are read at all: the longest proof and the largest note."""
SIZE_TYPE = "text/x.tlog.size"
"""The content type of a 409's body, which is the size of the checkpoint cosigned last."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)


class CheckpointRefused(LedgerError):
    """Base of what a witness refuses; `status` is the protocol's."""

    code = "checkpoint_refused"
    status: ClassVar[int]


class MalformedRequest(CheckpointRefused):
    """The request is not an old size, a proof and a checkpoint, or the old size is beyond the new one."""

    code = "malformed_request"
    status = 400


class NotSignedByLog(CheckpointRefused):
    """No key the witness knows for the log has signed the checkpoint."""

    code = "not_signed_by_log"
    status = 403


class UnknownLog(CheckpointRefused):
    """The witness does not know the log."""

    code = "unknown_log"
    status = 404


class WrongOldSize(CheckpointRefused):
    """The proof starts elsewhere than at the checkpoint cosigned last, or that one has another root at this size."""

    code = "wrong_old_size"
    status = 409

    def __init__(self, detail: str, *, size: int) -> None:
        super().__init__(detail)
        self.size = size


class NotConsistent(CheckpointRefused):
    """The proof does not show that the log grew from the checkpoint cosigned last: it may have forked."""

    code = "not_consistent"
    status = 422


class Request(NamedTuple):
    """A request to cosign; nothing of it is verified."""

    old: int
    proof: tuple[bytes, ...]
    note: str


class Decision(NamedTuple):
    """A yes: `answer` may leave once `note`, the checkpoint with the cosignature, is kept in place of `replaces`."""

    origin: str
    answer: str
    note: str
    replaces: str | None


def add_checkpoint(
    body: bytes,
    *,
    logs: Mapping[str, Collection[Verifier]],
    held: Callable[[str], str | None],
    cosigner: Cosigner,
    time_s: int,
) -> Decision:
    """Decide on the body of an `add-checkpoint` request that came at `time_s` or later.

    `logs` are the keys known for each origin, `held(origin)` is the note kept for it last. Refuses
    `CheckpointRefused`, and what `held_head` refuses.
    """
    request = parse_request(body)
    origin = notes.origin_of(request.note)
    if origin not in logs:
        raise UnknownLog(f"The log {origin!r} is not known here.")
    try:
        text, head, _ = notes.read_checkpoint(request.note, logs=logs[origin])
    except (notes.MalformedNote, notes.MalformedCheckpoint) as error:
        raise MalformedRequest(str(error)) from error
    except NoteRefused as error:
        raise NotSignedByLog(str(error)) from error
    last = held(origin)
    _check_growth(request, head=head, last=held_head(last, witness=cosigner.verifier))
    answer = cosigner.cosign(text, time_s=time_s)
    signatures = request.note.rpartition("\n\n")[2].splitlines(keepends=True)
    others = [line for line in signatures if not line.startswith(f"— {cosigner.name} ")]
    note = "".join([text, "\n", *others, answer])
    if len(note) > notes.LARGEST_NOTE:
        raise MalformedRequest("The checkpoint has too many signatures to keep it.")
    return Decision(origin, answer, note, last)


def held_head(note: str | None, *, witness: Verifier) -> TreeHead:
    """The head of the note kept last; that of an empty log before the first.

    Refuses `notes.NoteRefused` for a note that the witness did not cosign: nothing may be cosigned upon it.
    """
    if note is None:
        return TreeHead("", 0, merkle.EMPTY_ROOT)
    return notes.checkpoint_head(notes.open_note(note, required=[witness]))


def parse_request(body: bytes) -> Request:
    """The request in `body`. Refuses `MalformedRequest`."""
    try:
        text = body.decode() if len(body) <= LARGEST_REQUEST else ""
    except UnicodeDecodeError as error:
        raise MalformedRequest("The request is not text.") from error
    top, blank, note = text.partition("\n\n")
    first, *lines = top.split("\n")
    old = _OLD.fullmatch(first)
    if not old or not blank or len(lines) > notes.LONGEST_PROOF:
        raise MalformedRequest("The request is not an old size, up to 63 hashes, a blank line and a checkpoint.")
    try:
        proof = tuple(map(parse_base64_standard, lines))
    except MalformedBase64 as error:
        raise MalformedRequest("A hash of the proof is not base64.") from error
    if any(len(digest) != HASH_BYTES for digest in proof):
        raise MalformedRequest(f"A hash of the proof has another length than {HASH_BYTES} bytes.")
    return Request(int(old[1]), proof, note)


def render_request(request: Request) -> bytes:
    """The body of an `add-checkpoint` request."""
    lines = [f"old {request.old}", *map(base64_standard, request.proof), "", request.note]
    return "\n".join(lines).encode()


def read_answer(answer: str, *, text: str, witness: Verifier) -> tuple[str, int]:
    """The signature line by which `witness` cosigned the checkpoint of that text, and its time.

    Lines of others do not count. Refuses `notes.NoteRefused` when none holds.
    """
    for line in answer.split("\n"):
        if line.startswith(f"— {witness.name} "):
            try:
                notes.open_note(f"{text}\n{line}\n", required=[witness])
            except notes.MissingNoteSignature:
                continue
            return f"{line}\n", int.from_bytes(parse_base64_standard(line.rpartition(" ")[2])[4:12], "big")
    raise notes.MissingNoteSignature(f"The answer has no signature of {witness.name}.")


def _check_growth(request: Request, *, head: TreeHead, last: TreeHead) -> None:
    if request.old > head.size:
        raise MalformedRequest(f"The old size {request.old} is beyond the checkpoint's, {head.size}.")
    if request.old != last.size:
        raise WrongOldSize(f"The checkpoint cosigned last has the size {last.size}.", size=last.size)
    if head.size == last.size and head.root != last.root:
        raise WrongOldSize(f"The checkpoint cosigned last, of size {last.size}, has another root.", size=last.size)
    try:
        merkle.verify_consistency(
            old=last.size, new=head.size, proof=request.proof, old_root=last.root, new_root=head.root
        )
    except merkle.ConsistencyNotProven as error:
        raise NotConsistent(str(error)) from error
