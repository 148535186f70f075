from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import log
from ledger.disclosures import ForeignDisclosure
from ledger.errors import LedgerError
from ledger.keys import FileSigner
from ledger.merkle import leaf_hash, root
from ledger.notes import (
    MissingNoteSignature,
    NoteSigner,
    Proof,
    TreeHead,
    checkpoint_text,
    parse_proof,
    proof_text,
)
from ledger.records import MalformedLeaf, SealedRecord, leaf
from ledger.verify import BrokenChain, LeafMismatch, verify_chain, verify_record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Make = Callable[..., SealedRecord]


def entry_for(sealed: SealedRecord, signer: FileSigner, **changes: Any) -> bytes:  # noqa: ANN401 - any member
    """The log entry for a record of `make_record`, with members changed."""
    members: dict[str, Any] = {
        "asset": "ast_1",
        "kind": "asset.confirmed",
        "sequence": 1,
        "prev": None,
        "digest": sealed.digest,
        "kid": signer.kid,
        "recorded_at": NOW,
    }
    members |= changes
    return leaf(members.pop("asset"), **members)


def proof_for(entry: bytes, note_signer: NoteSigner) -> str:
    """The proof file of a log with this one entry."""
    note = note_signer.sign(checkpoint_text(TreeHead(note_signer.name, 1, root([leaf_hash(entry)]))))
    return proof_text(Proof(0, (), note, entry))


@pytest.fixture(scope="session")
def trusted(signer: FileSigner, note_signer: NoteSigner) -> dict[str, Any]:
    """What an auditor starts from: public keys."""
    return {"keys": {signer.kid: signer.public_key}, "log": note_signer.verifier}


def test_a_record_from_the_log_verifies_offline(
    connection: Connection,
    make_record: Make,
    signer: FileSigner,
    note_signer: NoteSigner,
    trusted: dict[str, Any],
) -> None:
    """Record, disclosures and the log's proof file are enough."""
    sealed = make_record(disclosable={"debtor": "x"})
    others = [b"entry-%d" % number for number in range(300)]
    log.append(connection, leaves=[*others, entry_for(sealed, signer), *others])
    log.publish(connection, signer=note_signer, now=NOW)
    proof = log.proof_file(connection, index=300)
    verified = verify_record(sealed.jws, proof=proof, disclosures=sealed.disclosures, **trusted)
    assert (verified.index, verified.size) == (300, 601)
    assert verified.record.disclosed == {"debtor": "x"}
    assert verified.leaf.digest == sealed.digest
    assert verified.leaf.time == "2026-01-01T00:00:00Z"
    assert verify_record(sealed.jws, proof=proof, **trusted).record.disclosed == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"asset": "ast_2"},
        {"kind": "asset.released"},
        {"sequence": 2, "prev": bytes(32)},
        {"digest": bytes(32)},
        {"kid": "another"},
    ],
    ids=repr,
)
def test_an_entry_that_tells_otherwise_is_refused(
    make_record: Make,
    signer: FileSigner,
    note_signer: NoteSigner,
    trusted: dict[str, Any],
    changes: dict[str, Any],
) -> None:
    """A logged entry about another asset, type, place, record or key is not this record's."""
    sealed = make_record()
    verify_record(sealed.jws, proof=proof_for(entry_for(sealed, signer), note_signer), **trusted)
    proof = proof_for(entry_for(sealed, signer, **changes), note_signer)
    with pytest.raises(LeafMismatch):
        verify_record(sealed.jws, proof=proof, **trusted)


def test_a_later_record_verifies(
    make_record: Make, signer: FileSigner, note_signer: NoteSigner, trusted: dict[str, Any]
) -> None:
    """Its entry names the record before it."""
    first = make_record()
    second = make_record(sequence=2, prev=first.digest.hex())
    proof = proof_for(entry_for(second, signer, sequence=2, prev=first.digest), note_signer)
    assert verify_record(second.jws, proof=proof, **trusted).leaf.prev == first.digest
    other = proof_for(entry_for(second, signer, sequence=2, prev=bytes(32)), note_signer)
    with pytest.raises(LeafMismatch):
        verify_record(second.jws, proof=other, **trusted)


def test_an_entry_that_is_no_leaf_is_refused(
    make_record: Make, note_signer: NoteSigner, trusted: dict[str, Any]
) -> None:
    """A sound proof of something else proves nothing about the record."""
    for entry in (b"", b"entry-0"):
        with pytest.raises(MalformedLeaf):
            verify_record(make_record().jws, proof=proof_for(entry, note_signer), **trusted)


def test_an_entry_swapped_in_the_file_is_refused(
    make_record: Make, signer: FileSigner, note_signer: NoteSigner, trusted: dict[str, Any]
) -> None:
    """The extra data is trusted only as far as the proof reaches."""
    sealed = make_record()
    proof = parse_proof(proof_for(b"entry-0", note_signer))
    swapped = proof_text(replace(proof, extra=entry_for(sealed, signer)))
    with pytest.raises(LedgerError, match="does not lead to the root"):
        verify_record(sealed.jws, proof=swapped, **trusted)


def test_disclosures_and_witnesses_are_checked(
    make_record: Make, signer: FileSigner, note_signer: NoteSigner, trusted: dict[str, Any]
) -> None:
    """A foreign disclosure or a missing witness refuses the whole."""
    sealed, other = make_record(disclosable={"debtor": "x"}), make_record(disclosable={"debtor": "y"})
    proof = proof_for(entry_for(sealed, signer), note_signer)
    with pytest.raises(ForeignDisclosure):
        verify_record(sealed.jws, proof=proof, disclosures=other.disclosures, **trusted)
    with pytest.raises(MissingNoteSignature):
        verify_record(sealed.jws, proof=proof, witnesses=[replace(trusted["log"], name="witness")], **trusted)


@given(st.data())
def test_any_character_changed_anywhere_is_found(
    make_record: Make,
    signer: FileSigner,
    note_signer: NoteSigner,
    trusted: dict[str, Any],
    data: st.DataObject,
) -> None:
    """One character changed in record, disclosure or proof file: refused by name."""
    sealed = make_record(disclosable={"debtor": "x"})
    parts = [sealed.jws, sealed.disclosures[0], proof_for(entry_for(sealed, signer), note_signer)]
    which = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(parts[which]) - 1))
    character = data.draw(st.characters(max_codepoint=0x7F).filter(lambda it: it != parts[which][place]))
    parts[which] = parts[which][:place] + character + parts[which][place + 1 :]
    with pytest.raises(LedgerError):
        verify_record(parts[0], disclosures=[parts[1]], proof=parts[2], **trusted)


@pytest.fixture(scope="session")
def chain(make_record: Make) -> list[SealedRecord]:
    """Four records of one asset."""
    records = [make_record()]
    for sequence in (2, 3, 4):
        records.append(make_record(sequence=sequence, prev=records[-1].digest.hex()))
    return records


def test_a_chain_verifies(chain: list[SealedRecord], trusted: dict[str, Any]) -> None:
    """From the first record to any later one; nothing is a chain too."""
    opened = verify_chain([sealed.jws for sealed in chain], keys=trusted["keys"])
    assert [record.body["sequence"] for record in opened] == [1, 2, 3, 4]
    assert verify_chain([], keys=trusted["keys"]) == []


@given(order=st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_only_the_chain_in_order_verifies(chain: list[SealedRecord], trusted: dict[str, Any], order: list[int]) -> None:
    """Records missing, doubled or out of order are found."""
    picked = [chain[place].jws for place in order]
    if order == list(range(len(order))):
        assert verify_chain(picked, keys=trusted["keys"])
    else:
        with pytest.raises(BrokenChain):
            verify_chain(picked, keys=trusted["keys"])


def test_a_chain_of_two_assets_is_refused(
    chain: list[SealedRecord], make_record: Make, trusted: dict[str, Any]
) -> None:
    """A record of another asset does not follow, even when it names the right one before it."""
    stray = make_record(asset="ast_2", sequence=2, prev=chain[0].digest.hex())
    with pytest.raises(BrokenChain, match="another asset"):
        verify_chain([chain[0].jws, stray.jws], keys=trusted["keys"])


def test_a_chain_with_a_rewritten_record_is_refused(
    chain: list[SealedRecord], make_record: Make, trusted: dict[str, Any]
) -> None:
    """A record re-signed with other content no longer leads to the next."""
    rewritten = make_record(sequence=2, prev=chain[0].digest.hex(), face_minor=1)
    with pytest.raises(BrokenChain):
        verify_chain([chain[0].jws, rewritten.jws, chain[2].jws], keys=trusted["keys"])
