"""Keys in a token: SoftHSM, where it is installed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger import pkcs11
from ledger.keys import FileSigner, Signer, public_key_from_jwk
from ledger.pkcs11 import Token, TokenUnusable
from ledger.records import open_record, seal
from tests.softhsm import LIBRARY, PIN, make_token, needs_softhsm

Open = Callable[..., Token]


@pytest.fixture(scope="module")
def open_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens the one token `exchange` of a fresh SoftHSM, as another process would."""
    with pytest.MonkeyPatch.context() as patch:
        make_token(tmp_path_factory.mktemp("softhsm") / "home", patch)

        def opened(*, label: str = "exchange", pin: str = PIN, module: Path | None = LIBRARY) -> Token:
            assert module is not None
            return Token(module=module, label=label, pin=pin)

        yield opened


@needs_softhsm
def test_a_key_in_a_token_signs_like_any_other(open_token: Open) -> None:
    """Its public half is a sound key, a record signed by it opens, and Ed25519 elsewhere accepts the signature."""
    signer: Signer = open_token().create("record")
    assert public_key_from_jwk(signer.public_jwk).public_bytes_raw() == signer.public_key.public_bytes_raw()
    body = {"type": "asset.confirmed", "asset": "ast_1", "sequence": 1, "prev": None}
    record = seal(body, disclosable={"seller": "s"}, signer=signer, salt=lambda _: bytes(16))
    opened = open_record(record.jws, keys={signer.kid: signer.public_key}, disclosures=record.disclosures)
    assert (opened.kid, opened.disclosed) == (signer.kid, {"seller": "s"})
    signer.public_key.verify(signer.sign(b""), b"")
    signer.public_key.verify(signer.sign(b"x" * 4095), b"x" * 4095)


@needs_softhsm
def test_a_key_is_made_once_and_found_again(open_token: Open) -> None:
    """Looking makes nothing; what was made is there for the next session, under its own label alone."""
    token = open_token()
    assert token.find("record-2") is None
    made = token.create("record-2")
    again = open_token()
    found = again.find("record-2")
    assert found is not None
    assert found.kid == made.kid == again.create("record-2").kid
    assert token.create("log").kid != made.kid
    assert found.sign(b"text") == made.sign(b"text")


@needs_softhsm
def test_the_private_half_stays_in_the_token(open_token: Open, tmp_path: Path) -> None:
    """It is marked so that the token gives it to nobody."""
    token = open_token()
    token.create("kept").sign(b"text")
    private = token._private_keys["kept"]
    attribute = pkcs11._PACKAGE.Attribute
    assert private[attribute.SENSITIVE] is True
    assert private[attribute.EXTRACTABLE] is False
    assert list(tmp_path.iterdir()) == []


@needs_softhsm
def test_threads_take_turns(open_token: Open) -> None:
    """Many threads on one token: every signature is right."""
    signer = open_token().create("busy")
    messages = [f"message {number}".encode() for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(signer.sign, messages))
    for message, signature in zip(messages, signatures, strict=True):
        signer.public_key.verify(signature, message)


@needs_softhsm
def test_a_token_that_failed_is_opened_again(open_token: Open) -> None:
    """A session that broke is refused by name, and the next signature finds a new one."""
    token = open_token()
    signer = token.create("steady")
    signer.sign(b"text")
    token._session.close()
    with pytest.raises(TokenUnusable, match="The token exchange"):
        signer.sign(b"text")
    signer.public_key.verify(signer.sign(b"text"), b"text")


@needs_softhsm
@pytest.mark.parametrize("wrong", [{"label": "another"}, {"module": Path("/nonexistent.so")}], ids=["token", "module"])
def test_a_token_that_cannot_be_used_is_refused(open_token: Open, wrong: dict[str, object]) -> None:
    """Another token, no library: one kind of refusal, which names the token."""
    token = open_token(**wrong)
    with pytest.raises(TokenUnusable, match=str(wrong.get("label", "exchange"))):
        token.find("record")


@needs_softhsm
def test_a_wrong_pin_is_refused(open_token: Open) -> None:
    """By a process of its own: one that is logged in already is not asked again."""
    token = open_token()
    program = (
        "from pathlib import Path\n"
        "from ledger.pkcs11 import Token, TokenUnusable\n"
        "try:\n"
        f"    Token(module=Path({str(token._module)!r}), label='exchange', pin='0000').find('record')\n"
        "except TokenUnusable as refusal:\n"
        "    print(refusal)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "PinIncorrect" in done.stdout


@needs_softhsm
def test_two_keys_under_one_label_are_refused(open_token: Open) -> None:
    """Nobody could say which one signs."""
    token = open_token()
    token.create("twin")
    token._generate("twin")
    with pytest.raises(TokenUnusable, match="2 keys labelled twin"):
        open_token().find("twin")


@needs_softhsm
def test_a_key_that_is_gone_is_refused(open_token: Open) -> None:
    """Only the public half is left: it is found, and cannot sign."""
    token = open_token()
    signer = token.create("gone")
    private = token._session.get_key(object_class=pkcs11._PACKAGE.ObjectClass.PRIVATE_KEY, label="gone")
    private.destroy()
    with pytest.raises(TokenUnusable, match="NoSuchKey"):
        signer.sign(b"text")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setattr(pkcs11, "_PACKAGE", None)
    with pytest.raises(TokenUnusable, match="install the extra `hsm`"):
        Token(module=Path("/lib.so"), label="exchange", pin=PIN).find("record")


@pytest.mark.parametrize("prefix", [b"", b"\x04\x20"], ids=["bare", "in a DER octet string"])
def test_both_ways_to_write_a_point_are_read(monkeypatch: pytest.MonkeyPatch, prefix: bytes) -> None:
    """PKCS #11 2.40 wraps the point, 3.0 allows it bare; both are in use."""
    raw = FileSigner.from_seed(bytes(32)).public_key.public_bytes_raw()

    class Attributes:
        """The one that is read."""

        EC_POINT = "point"

    class Package:
        """Only its names."""

        Attribute = Attributes

    monkeypatch.setattr(pkcs11, "_PACKAGE", Package)
    assert pkcs11._public_key({"point": prefix + raw}).public_bytes_raw() == raw
