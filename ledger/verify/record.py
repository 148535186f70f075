"""One record with its proof: signed, its disclosures its own, and in the log."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger import records, schedules
from ledger.errors import LedgerError, RecordRefused
from ledger.notes import Verifier, parse_proof, verify_proof
from ledger.records import Leaf, OpenedRecord, open_record, parse_leaf

LATEST_TIME_S = 253_402_300_799
"""The last second of the year 9999; a log entry can tell no later one."""


class LeafMismatch(LedgerError):
    """The logged entry is about another record, or tells of it otherwise than the record itself."""

    code = "leaf_mismatch"


class UndatedRecord(RecordRefused):
    """The record does not say when it was recorded, so its log entry cannot be told."""

    code = "undated_record"


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """A record, its log entry, where the log has it, and the size of the log whose root was signed."""

    record: OpenedRecord
    leaf: Leaf
    index: int
    size: int


def verify_record(
    jws: str,
    *,
    proof: str,
    keys: Mapping[str, Ed25519PublicKey],
    log: Verifier,
    disclosures: Sequence[str] = (),
    witnesses: Collection[Verifier] = (),
) -> VerifiedRecord:
    """Check that a record was signed, that its disclosures are its own, and that the log holds it.

    `proof` is the text of the proof file, with the log entry as its extra data; `keys` are the record keys
    trusted, by thumbprint. Refuses everything `records.open_record`, `records.parse_leaf`,
    `notes.parse_proof` and `notes.verify_proof` refuse, `schedules.ScheduleMismatch` and `LeafMismatch`.
    """
    record = open_record(jws, keys=keys, disclosures=disclosures)
    check_terms(record)
    parsed = parse_proof(proof)
    head = verify_proof(parsed.extra, proof=parsed, log=log, witnesses=witnesses)
    leaf = parse_leaf(parsed.extra)
    stated = (leaf.digest, leaf.kid, leaf.kind, leaf.asset, leaf.sequence, leaf.prev and leaf.prev.hex())
    body = record.body
    digest = hashlib.sha256(jws.encode("ascii")).digest()
    if stated != (digest, record.kid, record.type, body["asset"], body["sequence"], body.get("prev")):
        raise LeafMismatch(f"The log entry {parsed.index} is not that of this record.")
    return VerifiedRecord(record, leaf, parsed.index, head.size)


def check_terms(record: OpenedRecord) -> None:
    """Check that what a record says agrees with itself. Refuses `schedules.ScheduleMismatch`."""
    schedules.read(record.body)


def recorded_at_s(record: OpenedRecord) -> int:
    """When the record says it was recorded, in unix seconds. Refuses `UndatedRecord`."""
    time_s = record.body.get("recorded_at")
    if type(time_s) is not int or not 0 <= time_s <= LATEST_TIME_S:
        raise UndatedRecord("recorded_at is not a time in unix seconds.", field="payload")
    return time_s


def leaf_of(record: OpenedRecord, *, digest: bytes) -> bytes:
    """The log entry that tells of the record whose JWS has this digest. Refuses `UndatedRecord`."""
    body = record.body
    prev = body.get("prev")
    return records.leaf(
        body["asset"],
        kind=record.type,
        sequence=body["sequence"],
        prev=None if prev is None else bytes.fromhex(prev),
        digest=digest,
        kid=record.kid,
        recorded_at=datetime.fromtimestamp(recorded_at_s(record), UTC),
    )
