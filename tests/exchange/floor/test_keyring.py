"""The exchange's own keys: made once, kept whole, read by nobody else."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from exchange.entropy import seeded_entropy, system_entropy
from exchange.keyring import KeyFiles, Keyring, SigningKeys, open_keyring
from exchange.settings import Pkcs11, Settings, SettingsError
from ledger.keys import FileSigner

NAMES = {"record", "log", "token", "callback", "fingerprint", "vault", "nonce"}
SIGNING = ("record", "log")


def _prints(keyring: Keyring) -> tuple[object, ...]:
    return (
        *(keyring.signing.create(label)[1].kid for label in SIGNING),
        keyring.token_key.thumbprint(),
        keyring.callback_key.public_key().public_bytes_raw(),
        keyring.fingerprint_key,
        keyring.vault.seal(b"", place=b"", nonce=bytes(12)),
    )


def test_keys_are_made_once(tmp_path: Path) -> None:
    """The second process finds the keys of the first; all differ; only the owner may read them."""
    settings = Settings(home=tmp_path)
    made = _prints(open_keyring(settings, entropy=system_entropy))
    assert _prints(open_keyring(settings, entropy=system_entropy)) == made
    files = list((tmp_path / "keys").iterdir())
    assert {file.stem for file in files} == NAMES
    assert len({file.read_text() for file in files}) == len(NAMES)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    """Whoever comes first decides, also among processes with the same number (as in containers); no draft is left."""
    settings, together = Settings(home=tmp_path), Barrier(8)

    def opened(_: int) -> tuple[object, ...]:
        together.wait()
        return _prints(open_keyring(settings, entropy=system_entropy))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(opened, range(8)))) == 1
    assert {file.name for file in (tmp_path / "keys").iterdir()} == {f"{name}.key" for name in NAMES}


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "00" * 33, "00" * 31, "０" * 64])
def test_a_damaged_key_is_refused(tmp_path: Path, content: str) -> None:
    """An empty fingerprint key would blind nothing: no file but one with 32 bytes is used."""
    settings = Settings(home=tmp_path)
    open_keyring(settings, entropy=system_entropy)
    (tmp_path / "keys" / "fingerprint.key").write_text(content)
    with pytest.raises(SettingsError, match=r"fingerprint\.key"):
        open_keyring(settings, entropy=system_entropy)


def test_under_a_seed_no_file_is_touched(tmp_path: Path) -> None:
    """A replay's keys are the seed's; another seed has others."""
    seeded = [_prints(open_keyring(Settings(home=tmp_path, seed=n), entropy=seeded_entropy(n))) for n in (1, 1, 2)]
    assert seeded[0] == seeded[1]
    assert not set(seeded[0]) & set(seeded[2])
    assert list(tmp_path.iterdir()) == []


def _signing(home: Path) -> SigningKeys:
    return SigningKeys(KeyFiles(Settings(home=home), entropy=system_entropy))


def test_a_signing_key_is_found_where_it_was_made(tmp_path: Path) -> None:
    """Another process finds it by label and name, and signs the same; looking makes nothing."""
    assert _signing(tmp_path).find("kid", store="file", label="record") is None
    assert not (tmp_path / "keys").exists()
    store, made = _signing(tmp_path).create("record")
    found = _signing(tmp_path).find(made.kid, store=store, label="record")
    assert found is not None
    assert (store, found.kid, found.sign(b"text")) == ("file", made.kid, made.sign(b"text"))


def test_a_key_that_is_not_held_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another key under its label, no file, a store that is not set up: None, and one line for each key."""
    keys = _signing(tmp_path)
    _, other = keys.create("record")
    for _ in range(3):
        assert keys.find("foreign", store="file", label="record") is None
        assert keys.find("absent", store="file", label="record-2") is None
        assert keys.find("elsewhere", store="pkcs11", label="record") is None
    lines = [line for line in "".join(capsys.readouterr()).splitlines() if "signing key not held here" in line]
    assert len(lines) == 3
    assert other.kid in lines[0]


def test_a_key_that_is_brought_later_is_found(tmp_path: Path) -> None:
    """A process that missed a key finds it once its file is there."""
    keys, seed = _signing(tmp_path), bytes(range(32))
    kid = FileSigner.from_seed(seed).kid
    assert keys.find(kid, store="file", label="record-2") is None
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "record-2.key").write_text(seed.hex())
    found = keys.find(kid, store="file", label="record-2")
    assert found is not None
    assert found.kid == kid


def test_a_token_without_its_pin_is_refused(tmp_path: Path) -> None:
    """The file with the PIN is named in the refusal."""
    token = Pkcs11(tmp_path / "lib.so", "exchange", pin_file=tmp_path / "pin")
    with pytest.raises(SettingsError, match="pin cannot be read"):
        open_keyring(Settings(home=tmp_path, pkcs11=token), entropy=system_entropy)
