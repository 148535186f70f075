"""Verification for whoever does not trust the exchange: no service, only files and public keys."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.notes import Verifier, parse_proof, verify_proof
from ledger.records import Leaf, OpenedRecord, open_record, parse_leaf


class LeafMismatch(LedgerError):
    """The logged entry is about another record, or tells of it otherwise than the record itself."""

    code = "leaf_mismatch"


class BrokenChain(LedgerError):
    """The records are not one asset's chain from its first record on."""

    code = "broken_chain"


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
    `notes.parse_proof` and `notes.verify_proof` refuse, and `LeafMismatch`.
    """
    record = open_record(jws, keys=keys, disclosures=disclosures)
    parsed = parse_proof(proof)
    head = verify_proof(parsed.extra, proof=parsed, log=log, witnesses=witnesses)
    leaf = parse_leaf(parsed.extra)
    stated = (leaf.digest, leaf.kid, leaf.kind, leaf.asset, leaf.sequence, leaf.prev and leaf.prev.hex())
    body = record.body
    if stated != (_digest(jws), record.kid, record.type, body["asset"], body["sequence"], body.get("prev")):
        raise LeafMismatch(f"The log entry {parsed.index} is not that of this record.")
    return VerifiedRecord(record, leaf, parsed.index, head.size)


def verify_chain(chain: Sequence[str], *, keys: Mapping[str, Ed25519PublicKey]) -> list[OpenedRecord]:
    """Check that these records are one asset's, from its first on, none missing between them or out of order.

    What may be missing is the end: compare the last `sequence` with what the log or another party knows.
    Refuses `BrokenChain` and what `records.open_record` refuses.
    """
    opened: list[OpenedRecord] = []
    prev = None
    for sequence, jws in enumerate(chain, start=1):
        record = open_record(jws, keys=keys)
        body = record.body
        if (body["sequence"], body.get("prev")) != (sequence, prev):
            raise BrokenChain(f"Record {sequence} of the chain does not follow the one before it.")
        if body["asset"] != (opened or [record])[0].body["asset"]:
            raise BrokenChain(f"Record {sequence} of the chain is about another asset.")
        opened.append(record)
        prev = _digest(jws).hex()
    return opened


def _digest(jws: str) -> bytes:
    return hashlib.sha256(jws.encode("ascii")).digest()
