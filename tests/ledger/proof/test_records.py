import base64
import hashlib
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as jose
from joserfc.jwk import OKPKey

from ledger.canonical import NotCanonical, canonical_bytes
from ledger.disclosures import SaltRefused, disclosure_digest
from ledger.encoding import base64url, parse_base64url
from ledger.keys import FileSigner
from ledger.records import (
    LARGEST_SIGNING_INPUT,
    Leaf,
    MalformedLeaf,
    MalformedRecord,
    RecordTooLarge,
    SealedRecord,
    leaf,
    open_record,
    parse_leaf,
    seal,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY: dict[str, Any] = {"type": "asset.confirmed", "asset": "ast_1", "sequence": 1, "prev": None}
Make = Callable[..., SealedRecord]


def salt(name: str) -> bytes:
    """Sixteen bytes that only the name decides."""
    return hashlib.sha256(name.encode()).digest()[:16]


def test_the_pinned_record(vectors: Callable[[str], Any]) -> None:
    """The same inputs give the same record, disclosures and log entry, byte for byte, for ever."""
    vector = vectors("record")
    signer = FileSigner.from_seed(bytes.fromhex(vector["seed_hex"]))
    sealed = seal(vector["body"], disclosable=vector["disclosable"], signer=signer, salt=salt)
    assert sealed.jws == vector["jws"]
    assert sealed.digest.hex() == vector["digest_hex"]
    assert list(sealed.disclosures) == vector["disclosures"]
    entry = leaf(
        vector["body"]["asset"],
        kind=vector["body"]["type"],
        sequence=vector["body"]["sequence"],
        prev=bytes.fromhex(vector["body"]["prev"]),
        digest=sealed.digest,
        kid=signer.kid,
        recorded_at=datetime.fromisoformat(vector["recorded_at"]),
    )
    assert entry == vector["leaf"].encode()


def test_the_disclosure_of_rfc_9901(vectors: Callable[[str], Any]) -> None:
    """The RFC's disclosure has the RFC's digest."""
    example = vectors("rfc9901")
    assert disclosure_digest(example["disclosure"]) == example["digest"]


@given(
    st.dictionaries(
        st.sampled_from(["debtor", "seller", "invoice"]), st.text(st.characters(codec="utf-8"), max_size=40)
    ),
    st.dictionaries(st.sampled_from(["face_minor", "goods"]), st.integers(0, 2**53 - 1)),
    st.data(),
)
def test_a_record_opens_to_what_was_sealed(
    signer: FileSigner, hidden: dict[str, str], members: dict[str, int], data: st.DataObject
) -> None:
    """Body and any chosen disclosures come back; what is not disclosed is nowhere in the record."""
    sealed = seal(BODY | members, disclosable=hidden, signer=signer, salt=salt)
    shown = data.draw(st.sets(st.sampled_from(sealed.disclosures))) if hidden else set()
    opened = open_record(sealed.jws, keys={signer.kid: signer.public_key}, disclosures=list(shown))
    assert opened.body == BODY | members
    assert (opened.kid, opened.type) == (signer.kid, "asset.confirmed")
    assert opened.disclosed == {
        name: value
        for (name, value), disclosure in zip(hidden.items(), sealed.disclosures, strict=True)
        if disclosure in shown
    }
    assert sealed.digest == hashlib.sha256(sealed.jws.encode()).digest()
    assert not any(name in base64.urlsafe_b64decode(sealed.jws.split(".")[1] + "==").decode() for name in hidden)


def test_one_value_in_two_records_has_two_digests(signer: FileSigner) -> None:
    """Salts keep equal debtors from being seen to be equal."""
    first = seal(BODY, disclosable={"debtor": "x"}, signer=signer, salt=salt)
    second = seal(BODY, disclosable={"debtor": "x"}, signer=signer, salt=lambda name: salt(name + "2"))
    assert first.disclosures != second.disclosures
    assert first.jws != second.jws


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 renamed it; banks still ask for the old name
def test_another_library_verifies_the_record(make_record: Make, signer: FileSigner) -> None:
    """An off-the-shelf JOSE library accepts the record and finds the disclosures' digests in it."""
    sealed = make_record(disclosable={"debtor": "株式会社"})
    key = OKPKey.import_key(dict(signer.public_jwk))
    obj = jose.deserialize_compact(sealed.jws, key, algorithms=["EdDSA"])
    assert obj.headers() == {"alg": "EdDSA", "kid": key.thumbprint(), "typ": "asset.confirmed+jws"}
    payload = json.loads(obj.payload)
    (disclosure,) = sealed.disclosures
    digest = base64.urlsafe_b64encode(hashlib.sha256(disclosure.encode()).digest()).rstrip(b"=").decode()
    assert payload["_sd"] == [digest]
    assert payload["_sd_alg"] == "sha-256"
    assert json.loads(base64.urlsafe_b64decode(disclosure + "=="))[1:] == ["debtor", "株式会社"]


def test_openssl_verifies_the_record(make_record: Make, signer: FileSigner, tmp_path: Path) -> None:
    """`openssl` with the public key in PEM accepts the bytes before the last dot, and no other."""
    signing_input, _, signature = make_record().jws.rpartition(".")
    (tmp_path / "key.pem").write_bytes(signer.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin"]
    command += ["-in", "message", "-sigfile", "signature"]
    for message, accepted in ((signing_input, True), (signing_input + "A", False)):
        (tmp_path / "message").write_text(message)
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=30)
        assert (ran.returncode == 0) is accepted


@pytest.mark.parametrize(
    "change",
    [
        {"type": None},
        {"type": "Asset"},
        {"type": "a b"},
        {"type": ""},
        {"type": "asset\n"},
        {"asset": None},
        {"asset": ""},
        {"sequence": 0},
        {"sequence": True},
        {"sequence": "1"},
        {"sequence": 2},
        {"prev": "ab" * 32},
        {"sequence": 2, "prev": "AB" * 32},
        {"sequence": 2, "prev": "ab" * 31},
        {"sequence": 2, "prev": b"\xab" * 32},
        {"salt": "x"},
        {"_sd": []},
        {"_sd_alg": "sha-256"},
        {"...": "x"},
        {"debtor": "shown and hidden"},
    ],
    ids=repr,
)
def test_a_body_out_of_form_is_not_signed(signer: FileSigner, change: dict[str, object]) -> None:
    """A missing or bad type or place, and reserved or doubled names, are refused."""
    with pytest.raises(MalformedRecord):
        seal(BODY | change, disclosable={"debtor": "x"}, signer=signer, salt=salt)


@pytest.mark.parametrize("name", ["salt", "_sd", "_sd_alg", "..."])
def test_a_reserved_name_cannot_be_disclosable(signer: FileSigner, name: str) -> None:
    """RFC 9901 keeps these names for itself."""
    with pytest.raises(MalformedRecord):
        seal(BODY, disclosable={name: "x"}, signer=signer, salt=salt)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_salt_of_another_length_is_refused(signer: FileSigner, length: int) -> None:
    """A salt has 128 bits."""
    with pytest.raises(SaltRefused, match="salt"):
        seal(BODY, disclosable={}, signer=signer, salt=lambda _name: bytes(length))


@pytest.mark.parametrize("where", ["body", "disclosable"])
def test_floats_are_not_signed(signer: FileSigner, where: str) -> None:
    """A float has no canonical form, shown or hidden."""
    extra: dict[str, object] = {"rate": 0.5}
    with pytest.raises(NotCanonical):
        seal(
            BODY | (extra if where == "body" else {}),
            disclosable=extra if where == "disclosable" else {},
            signer=signer,
            salt=salt,
        )


def test_a_record_of_the_largest_size(signer: FileSigner) -> None:
    """Up to 4,095 bytes are signed and opened; a little more is refused."""

    def sealed(filler: int) -> SealedRecord:
        return seal(BODY | {"goods": "x" * filler}, disclosable={}, signer=signer, salt=salt)

    # Three bytes of payload are four of base64, so three steps cross the limit from just below.
    spare = LARGEST_SIGNING_INPUT - len(sealed(0).jws.rpartition(".")[0])
    largest = sealed(spare * 3 // 4 - 1)
    assert 0 <= LARGEST_SIGNING_INPUT - len(largest.jws.rpartition(".")[0]) < 4
    assert open_record(largest.jws, keys={signer.kid: signer.public_key}).type == BODY["type"]
    with pytest.raises(RecordTooLarge):
        sealed(spare * 3 // 4 + 2)


def test_a_leaf_survives_and_says_nothing_commercial(signer: FileSigner, make_record: Make) -> None:
    """A log entry gives its parts back and holds no member beyond them."""
    sealed = make_record(sequence=2, prev="cd" * 32)
    entry = leaf(
        "ast_1",
        kind="asset.confirmed",
        sequence=2,
        prev=b"\xcd" * 32,
        digest=sealed.digest,
        kid=signer.kid,
        recorded_at=NOW.astimezone(timezone(timedelta(hours=8))) + timedelta(microseconds=999_999),
    )
    assert parse_leaf(entry) == Leaf(
        kind="asset.confirmed",
        asset="ast_1",
        sequence=2,
        prev=b"\xcd" * 32,
        digest=sealed.digest,
        kid=signer.kid,
        time="2026-01-01T12:00:00Z",
    )
    assert len(json.loads(entry)) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Not A Token"},
        {"sequence": 0},
        {"sequence": 2},
        {"prev": bytes(32)},
        {"digest": bytes(31)},
        {"recorded_at": NOW.replace(tzinfo=None)},
        {"recorded_at": NOW.replace(year=99)},
    ],
    ids=repr,
)
def test_a_leaf_out_of_form_is_not_made(change: dict[str, Any]) -> None:
    """A bad kind, place, digest or time never reaches the log."""
    members: dict[str, Any] = {"kind": "a", "sequence": 1, "prev": None, "digest": bytes(32), "kid": "k"}
    with pytest.raises(MalformedLeaf):
        leaf("ast_1", **(members | {"recorded_at": NOW} | change))


@pytest.mark.parametrize(
    "change",
    [
        {"apiVersion": "exchange/v2"},
        {"price_minor": 1},
        {"kid": 1},
        {"kind": 1},
        {"time": "2026-01-01T00:00:00+00:00"},
        {"record": None},
        {"asset": ""},
    ],
    ids=repr,
)
def test_a_leaf_out_of_form_is_not_read(change: dict[str, object]) -> None:
    """Another version, other members, other types: refused."""
    entry = json.loads(leaf("ast_1", kind="a", sequence=1, prev=None, digest=bytes(32), kid="k", recorded_at=NOW))
    assert parse_leaf(canonical_bytes(entry)).sequence == 1
    with pytest.raises(MalformedLeaf):
        parse_leaf(canonical_bytes(entry | change))


@pytest.mark.parametrize("data", [b"", b"[]", b"entry-0", b'{"a":1}'])
def test_other_entries_are_not_leaves(data: bytes) -> None:
    """Whatever is not a leaf is refused by name."""
    with pytest.raises(MalformedLeaf):
        parse_leaf(data)


def test_the_payload_is_canonical(make_record: Make) -> None:
    """The signed payload is JCS: sorted, no spaces."""
    payload = parse_base64url(make_record().jws.split(".")[1])
    assert payload == canonical_bytes(json.loads(payload))
    assert base64url(payload) == make_record().jws.split(".")[1]
