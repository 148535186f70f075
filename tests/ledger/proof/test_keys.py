import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from ledger.encoding import base64url, parse_base64url
from ledger.keys import (
    FileSigner,
    KeyFileExists,
    KeyFileUnusable,
    KeyRefused,
    Signer,
    jwk,
    jwks,
    keyring,
    public_key_from_bytes,
    public_key_from_jwk,
    thumbprint,
)

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    """Affine addition on the curve (RFC 8032, section 5.1.4), slow and plain."""
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def encode(point: Point) -> bytes:
    """RFC 8032, section 5.1.2."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def torsion() -> list[Point]:
    """The eight points whose order divides 8, from a point of order 8 found on the curve equation.

    A point has order 4 where y = 0, and doubles to that where x^2 = -y^2, so d y^4 + 2 y^2 - 1 = 0.
    """
    root_of_minus_one = pow(2, (P - 1) // 4, P)
    discriminant = pow(1 + D, (P + 3) // 8, P)
    if discriminant**2 % P != (1 + D) % P:
        discriminant = discriminant * root_of_minus_one % P
    for root in (discriminant, -discriminant):
        square = (root - 1) * pow(D, -1, P) % P
        for y in (pow(square, (P + 3) // 8, P), pow(square, (P + 3) // 8, P) * root_of_minus_one % P):
            if y * y % P == square:
                generator = (y * root_of_minus_one % P, y)
                points = [(0, 1)]
                for _ in range(7):
                    points.append(add(points[-1], generator))
                return points
    raise AssertionError


def pem(private_key: Any) -> bytes:  # noqa: ANN401 - any kind of private key
    """PKCS#8 without a password."""
    data: bytes = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return data


def test_the_example_of_rfc_8037(vectors: Callable[[str], Any]) -> None:
    """The RFC's key has the RFC's public half and thumbprint."""
    example = vectors("rfc8037")
    signer = FileSigner.from_seed(parse_base64url(example["seed_base64url"]))
    assert signer.kid == example["thumbprint"]
    assert signer.public_jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": example["x"],
        "kid": example["thumbprint"],
        "alg": "EdDSA",
        "use": "sig",
    }


def test_the_signature_of_rfc_8037(vectors: Callable[[str], Any]) -> None:
    """The RFC's key signs the RFC's JWS to the same bytes."""
    example = vectors("rfc8037")
    signer: Signer = FileSigner.from_seed(parse_base64url(example["seed_base64url"]))
    signing_input, _, signature = example["jws"].rpartition(".")
    assert base64url(signer.sign(signing_input.encode())) == signature


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    """Only 32 bytes make a key."""
    with pytest.raises(KeyRefused):
        FileSigner.from_seed(bytes(length))


def test_created_and_loaded_again(tmp_path: Path) -> None:
    """A key file holds its key, readable by its owner alone, with nothing left beside it."""
    path = tmp_path / "key.pem"
    created = FileSigner.create(path, bytes)
    assert FileSigner.load(path).kid == created.kid == FileSigner.from_seed(bytes(32)).kid
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """A careless umask does not open the file."""
    previous = os.umask(0)
    try:
        FileSigner.create(tmp_path / "key.pem", bytes)
    finally:
        os.umask(previous)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Creating over a key is refused and leaves it as it is."""
    path = tmp_path / "key.pem"
    FileSigner.create(path, bytes)
    before = path.read_bytes()
    with pytest.raises(KeyFileExists):
        FileSigner.create(path, lambda size: b"\x01" * size)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_in_the_way_is_refused_and_left(tmp_path: Path) -> None:
    """Another creation under way is not disturbed."""
    draft = tmp_path / f".key.pem.{os.getpid()}"
    draft.touch()
    with pytest.raises(KeyFileExists):
        FileSigner.create(tmp_path / "key.pem", bytes)
    assert list(tmp_path.iterdir()) == [draft]


def test_too_little_entropy_leaves_no_file(tmp_path: Path) -> None:
    """A key of fewer bytes is refused before anything is written."""
    with pytest.raises(KeyRefused):
        FileSigner.create(tmp_path / "key.pem", lambda size: bytes(size - 1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o644, 0o777])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """A key that others may read or change is not used."""
    path = tmp_path / "key.pem"
    FileSigner.create(path, bytes)
    path.chmod(mode)
    with pytest.raises(KeyFileUnusable, match="open to others"):
        FileSigner.load(path)


def test_a_key_the_group_may_read_is_loaded(tmp_path: Path) -> None:
    """Secret mounts give a service its key by group."""
    path = tmp_path / "key.pem"
    FileSigner.create(path, bytes)
    path.chmod(0o440)
    assert FileSigner.load(path).kid == FileSigner.from_seed(bytes(32)).kid


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """No file is a refusal, not an OSError."""
    with pytest.raises(KeyFileUnusable, match="cannot be read"):
        FileSigner.load(tmp_path / "key.pem")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        pem(generate_private_key(SECP256R1())),
        Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
        ),
        pem(Ed25519PrivateKey.from_private_bytes(bytes(32)))[:60],
    ],
    ids=["empty", "text", "another curve", "encrypted", "cut off"],
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever is not a plain Ed25519 key in PEM is refused by name."""
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileUnusable, match="holds"):
        FileSigner.load(path)


@given(st.binary(min_size=32, max_size=32))
def test_every_real_key_is_accepted(seed: bytes) -> None:
    """No key made from a seed is refused, and it survives its JWK."""
    public_key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    again = public_key_from_jwk(jwk(public_key))
    assert again.public_bytes_raw() == public_key.public_bytes_raw()


def test_points_of_low_order_are_refused() -> None:
    """All eight points of the small subgroup, computed here from the curve, are refused."""
    points = torsion()
    assert len(set(points)) == 8
    assert add(points[-1], points[1]) == points[0]
    for point in points:
        with pytest.raises(KeyRefused, match="low order"):
            public_key_from_bytes(encode(point))


@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_the_identity_with_either_sign_is_refused(sign: int) -> None:
    """Their x is 0 and has no negative; both spellings are refused."""
    for y in (1, P - 1):
        with pytest.raises(KeyRefused):
            public_key_from_bytes((y | sign).to_bytes(32, "little"))


@pytest.mark.parametrize("excess", range(19))
def test_a_y_not_below_p_is_refused(excess: int) -> None:
    """A second spelling of a point is refused."""
    with pytest.raises(KeyRefused, match="canonical"):
        public_key_from_bytes((P + excess).to_bytes(32, "little"))


def test_half_of_all_bytes_are_no_point() -> None:
    """Bytes that are not on the curve are refused, those that are pass."""
    refused = 0
    for y in range(2, 202):
        try:
            public_key_from_bytes(y.to_bytes(32, "little"))
        except KeyRefused as refusal:
            assert "curve" in str(refusal)  # noqa: PT017 - both outcomes are counted
            refused += 1
    assert 70 < refused < 130


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "EC"},
        {"crv": "X25519"},
        {"x": None},
        {"x": 1},
        {"x": "AAAA"},
        {"x": "not base64url!"},
        {"x": base64url(bytes(32))},
        {"kid": "another"},
        {"kid": None},
        {"d": base64url(bytes(32))},
    ],
)
def test_a_jwk_of_another_form_is_refused(signer: FileSigner, change: dict[str, object]) -> None:
    """Another kind, no key, a bad key, a foreign name or a private half: refused."""
    with pytest.raises(KeyRefused):
        public_key_from_jwk(signer.public_jwk | change)


def test_a_jwk_needs_no_name(signer: FileSigner) -> None:
    """The thumbprint follows from the key."""
    members = {name: signer.public_jwk[name] for name in ("kty", "crv", "x")}
    assert thumbprint(public_key_from_jwk(members)) == signer.kid


def test_sets_of_keys(signer: FileSigner) -> None:
    """A JWK set keeps the order, a keyring finds by thumbprint."""
    other: Ed25519PublicKey = FileSigner.from_seed(bytes(32)).public_key
    both = [signer.public_key, other]
    assert jwks(both) == {"keys": [signer.public_jwk, jwk(other)]}
    assert keyring(both) == {signer.kid: signer.public_key, thumbprint(other): other}
