"""What a reader of records refuses, with records signed here by hand, outside the code under test."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.disclosures import (
    DuplicateDisclosure,
    DuplicateMember,
    ForeignDisclosure,
    MalformedDisclosure,
    SaltRefused,
    disclosure_digest,
)
from ledger.errors import RecordRefused
from ledger.keys import FileSigner
from ledger.records import (
    BadSignature,
    IncompleteRecord,
    KeyInHeader,
    MalformedRecord,
    PayloadNotCanonical,
    RecordTooLarge,
    ReencodedRecord,
    SealedRecord,
    SymmetricAlgorithm,
    UnknownKey,
    UnsignedRecord,
    WrongAlgorithm,
    WrongType,
    open_record,
)
from ledger.verify.record import UndatedRecord

Make = Callable[..., SealedRecord]
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BODY: dict[str, Any] = {"type": "asset.confirmed", "asset": "ast_1", "sequence": 1, "prev": None}


def b64(data: bytes) -> str:
    """Base64url as RFC 7515 has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value: object) -> bytes:
    """Sorted JSON without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def signed(header: bytes, payload: bytes) -> str:
    """A JWS over any header and payload, with a good signature."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    return f"{signing_input}.{b64(PRIVATE_KEY.sign(signing_input.encode()))}"


@pytest.fixture(scope="module")
def keys(signer: FileSigner) -> dict[str, Any]:
    """The keys a reader trusts."""
    return {signer.kid: signer.public_key}


@pytest.fixture(scope="module")
def header(signer: FileSigner) -> dict[str, Any]:
    """The header a record should have."""
    return {"alg": "EdDSA", "kid": signer.kid, "typ": "asset.confirmed+jws"}


@pytest.fixture(scope="module")
def with_disclosures(header: dict[str, Any]) -> Callable[..., tuple[str, list[str]]]:
    """Signs a record that vouches for disclosures of any content."""

    def sign(*contents: bytes) -> tuple[str, list[str]]:
        disclosures = [b64(content) for content in contents]
        digests = [disclosure_digest(disclosure) for disclosure in disclosures]
        payload = BODY | {"_sd": digests, "_sd_alg": "sha-256"}
        return signed(compact(header), compact(payload)), disclosures

    return sign


@given(st.data())
def test_any_byte_flipped_is_found(make_record: Make, keys: Mapping[str, Any], data: st.DataObject) -> None:
    """One character of a record changed, removed or added: refused by name."""
    jws = make_record(disclosable={"debtor": "x"}).jws
    place = data.draw(st.integers(0, len(jws) - 1))
    character = data.draw(st.characters(max_codepoint=0x7F) | st.characters())
    changed = data.draw(
        st.sampled_from(
            [
                jws[:place] + character + jws[place + 1 :],
                jws[:place] + jws[place + 1 :],
                jws[:place] + character + jws[place:],
                jws + character,
            ]
        ).filter(lambda text: text != jws)
    )
    with pytest.raises(RecordRefused):
        open_record(changed, keys=keys)


@given(st.data())
def test_any_byte_of_a_disclosure_flipped_is_found(
    make_record: Make, keys: Mapping[str, Any], data: st.DataObject
) -> None:
    """One character of a disclosure changed: refused by name."""
    sealed = make_record(disclosable={"debtor": "91310000MA1FL5W23X"})
    (disclosure,) = sealed.disclosures
    place = data.draw(st.integers(0, len(disclosure) - 1))
    character = data.draw(st.characters(max_codepoint=0x7F).filter(lambda it: it != disclosure[place]))
    with pytest.raises((MalformedDisclosure, ForeignDisclosure)):
        open_record(sealed.jws, keys=keys, disclosures=[disclosure[:place] + character + disclosure[place + 1 :]])


@pytest.mark.parametrize(
    ("jws", "refusal"),
    [
        ("", IncompleteRecord),
        (".", IncompleteRecord),
        ("a", IncompleteRecord),
        ("a.b", IncompleteRecord),
        ("..", MalformedRecord),
        ("e30.e30.e30", MalformedRecord),
        ("{}.{}.", ReencodedRecord),
        ("\ud800.e30.e30", ReencodedRecord),
        ("é.é.é", ReencodedRecord),
    ],
)
def test_what_is_no_compact_jws_is_refused(keys: Mapping[str, Any], jws: str, refusal: type[RecordRefused]) -> None:
    """Three parts of base64url, or nothing."""
    with pytest.raises(refusal):
        open_record(jws, keys=keys)


def test_four_parts_are_refused(make_record: Make, keys: Mapping[str, Any]) -> None:
    """A second dot within the payload is no base64."""
    with pytest.raises(ReencodedRecord):
        open_record(make_record().jws + ".e30", keys=keys)


def test_other_spellings_of_a_record_are_refused(make_record: Make, keys: Mapping[str, Any]) -> None:
    """The same bytes spelt otherwise would have another digest, so they are not the record."""
    jws = make_record().jws
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(jws[-1])
    stray = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last + 1]
    for spelling in (jws + "=", jws + "==", jws + "\n", " " + jws, jws[:-1] + stray):
        with pytest.raises(ReencodedRecord):
            open_record(spelling, keys=keys)


def test_an_unknown_key_is_refused(make_record: Make) -> None:
    """A reader trusts only the keys it was given."""
    with pytest.raises(UnknownKey):
        open_record(make_record().jws, keys={})


def test_a_signature_of_another_key_is_refused(make_record: Make, signer: FileSigner) -> None:
    """A key id is no proof of the key."""
    with pytest.raises(BadSignature):
        open_record(make_record().jws, keys={signer.kid: FileSigner.from_seed(bytes(32)).public_key})


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(make_record: Make, keys: Mapping[str, Any], length: int) -> None:
    """An Ed25519 signature has 64 bytes."""
    signing_input = make_record().jws.rpartition(".")[0]
    with pytest.raises(BadSignature):
        open_record(f"{signing_input}.{b64(bytes(length))}", keys=keys)


def test_both_names_of_the_algorithm_are_read(header: dict[str, Any], keys: Mapping[str, Any]) -> None:
    """RFC 9864 renamed EdDSA to Ed25519."""
    for alg in ("EdDSA", "Ed25519"):
        assert open_record(signed(compact(header | {"alg": alg}), compact(BODY)), keys=keys).body == BODY


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256", "eddsa", "", None, 1, [], {}])
def test_other_algorithms_are_refused(header: dict[str, Any], keys: Mapping[str, Any], alg: object) -> None:
    """No other algorithm, whatever the signature."""
    special = {"none": UnsignedRecord, "HS256": SymmetricAlgorithm}
    expected = special.get(alg, WrongAlgorithm) if isinstance(alg, str) else WrongAlgorithm
    with pytest.raises(expected) as refused:
        open_record(signed(compact(header | {"alg": alg}), compact(BODY)), keys=keys)
    assert type(refused.value) is expected


def test_a_record_without_signature_is_refused(header: dict[str, Any], keys: Mapping[str, Any]) -> None:
    """The attack of alg none: no signature at all."""
    jws = f"{b64(compact(header | {'alg': 'none'}))}.{b64(compact(BODY))}."
    with pytest.raises(UnsignedRecord):
        open_record(jws, keys=keys)


def test_the_public_key_as_a_shared_secret_is_refused(
    header: dict[str, Any], keys: Mapping[str, Any], signer: FileSigner
) -> None:
    """The attack of HS256: a MAC that everybody can make with the public key."""
    signing_input = f"{b64(compact(header | {'alg': 'HS256'}))}.{b64(compact(BODY))}"
    mac = hmac.digest(signer.public_key.public_bytes_raw(), signing_input.encode(), "sha256")
    with pytest.raises(SymmetricAlgorithm):
        open_record(f"{signing_input}.{b64(mac)}", keys=keys)


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c", "crit", "b64", "cty"])
def test_other_header_members_are_refused(
    header: dict[str, Any], keys: Mapping[str, Any], signer: FileSigner, member: str
) -> None:
    """A record cannot bring its own key, or change how it is to be read."""
    with pytest.raises(KeyInHeader if member in {"jku", "x5u", "jwk", "x5c"} else MalformedRecord):
        open_record(signed(compact(header | {member: signer.public_jwk}), compact(BODY)), keys=keys)


@pytest.mark.parametrize("change", [{"kid": 1}, {"kid": None}, {"typ": 1}, {"typ": "JWT"}, {"typ": "asset.confirmed"}])
def test_a_header_out_of_form_is_refused(
    header: dict[str, Any], keys: Mapping[str, Any], change: dict[str, Any]
) -> None:
    """The key and the type are strings of their forms."""
    with pytest.raises(WrongType if "typ" in change else MalformedRecord):
        open_record(signed(compact(header | change), compact(BODY)), keys=keys)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'"x"', b"{}", b'{"alg":"none","alg":"EdDSA"}', b"\xff"])
def test_a_header_that_is_no_canonical_object_is_refused(keys: Mapping[str, Any], raw: bytes) -> None:
    """Duplicate members and other values are refused before any key is looked up."""
    with pytest.raises(DuplicateMember if b"none" in raw else MalformedRecord):
        open_record(signed(raw, compact(BODY)), keys=keys)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":0.5}',
        b'{"a":9007199254740993}',
    ],
)
def test_a_payload_not_canonical_is_refused(header: dict[str, Any], keys: Mapping[str, Any], payload: bytes) -> None:
    """A good signature over bytes that can be read two ways is not enough."""
    with pytest.raises(DuplicateMember if payload.count(b"a") == 2 else PayloadNotCanonical):
        open_record(signed(compact(header), payload), keys=keys)


@pytest.mark.parametrize(
    "payload",
    [
        [],
        {},
        BODY | {"type": "asset.released"},
        BODY | {"sequence": 0},
        BODY | {"_sd": "x"},
        BODY | {"_sd": {}},
        BODY | {"_sd": [], "_sd_alg": "sha-512"},
    ],
    ids=repr,
)
def test_a_payload_out_of_form_is_refused(header: dict[str, Any], keys: Mapping[str, Any], payload: object) -> None:
    """No object, another type than the header's, no place, other digests: refused."""
    other_type = isinstance(payload, dict) and payload.get("type") == "asset.released"
    with pytest.raises(WrongType if other_type else MalformedRecord):
        open_record(signed(compact(header), compact(payload)), keys=keys)


def test_a_record_too_large_is_refused_unread(keys: Mapping[str, Any]) -> None:
    """Size is checked before anything is decoded."""
    with pytest.raises(RecordTooLarge):
        open_record("A" * 10_000_000 + ".A.A", keys=keys)
    with pytest.raises(RecordTooLarge):  # a shorter signature does not make room for more
        open_record("A" * 4_000 + "." + "A" * 95 + ".A", keys=keys)


def test_a_disclosure_of_another_record_is_refused(make_record: Make, keys: Mapping[str, Any]) -> None:
    """A disclosure belongs to the record that holds its digest."""
    other = make_record(disclosable={"debtor": "y"})
    for record in (make_record(disclosable={"debtor": "x"}), make_record()):
        with pytest.raises(ForeignDisclosure):
            open_record(record.jws, keys=keys, disclosures=other.disclosures)


def test_a_disclosure_given_twice_is_refused(make_record: Make, keys: Mapping[str, Any]) -> None:
    """One field is disclosed once."""
    sealed = make_record(disclosable={"debtor": "x"})
    with pytest.raises(DuplicateDisclosure):
        open_record(sealed.jws, keys=keys, disclosures=sealed.disclosures * 2)


def test_two_values_of_one_field_are_refused(
    with_disclosures: Callable[..., tuple[str, list[str]]], keys: Mapping[str, Any]
) -> None:
    """A record that vouches for two debtors discloses none."""
    jws, disclosures = with_disclosures(b'["a","debtor","x"]', b'["b","debtor","y"]')
    with pytest.raises(DuplicateDisclosure):
        open_record(jws, keys=keys, disclosures=disclosures)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"{}",
        b'["a","debtor"]',
        b'["a","debtor","x","y"]',
        b'[1,"debtor","x"]',
        b'["a",1,"x"]',
        b'["a", "debtor", "x"]',
        b'["a","debtor",0.5]',
        b'["a","asset","ast_2"]',
        b'["a","_sd",[]]',
        b'["a","...","x"]',
        b'["a","salt","x"]',
    ],
)
def test_a_disclosure_out_of_form_is_refused(
    with_disclosures: Callable[..., tuple[str, list[str]]], keys: Mapping[str, Any], content: bytes
) -> None:
    """Even one that the record vouches for: not canonical, not a triple, a taken or reserved name."""
    jws, disclosures = with_disclosures(content)
    with pytest.raises(MalformedDisclosure):
        open_record(jws, keys=keys, disclosures=disclosures)


@pytest.mark.parametrize("text", ["", "!", "e30=", "é"])
def test_a_disclosure_that_is_no_base64_is_refused(make_record: Make, keys: Mapping[str, Any], text: str) -> None:
    """Base64url in its one spelling, here too."""
    with pytest.raises(MalformedDisclosure):
        open_record(make_record().jws, keys=keys, disclosures=[text])


def test_a_disclosure_with_a_name_twice_is_refused(
    with_disclosures: Callable[..., tuple[str, list[str]]], keys: Mapping[str, Any]
) -> None:
    """A disclosed object cannot be read two ways either."""
    jws, disclosures = with_disclosures(b'["a","debtor",{"x":1,"x":2}]')
    with pytest.raises(DuplicateMember) as refused:
        open_record(jws, keys=keys, disclosures=disclosures)
    assert refused.value.field == "disclosures/0"


def test_every_refusal_has_its_own_code() -> None:
    """Codes are told apart by callers, so no two are equal."""
    refusals = [*RecordRefused.__subclasses__(), *WrongAlgorithm.__subclasses__()]
    assert {SaltRefused, UndatedRecord} < set(refusals)
    assert len({refusal.code for refusal in refusals}) == len(refusals) == 19
