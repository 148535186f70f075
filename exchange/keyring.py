"""The exchange's own keys, one small file each, made when they are first needed."""

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import OKPKey

from exchange.entropy import Entropy
from exchange.settings import Settings, SettingsError
from ledger.keys import FileSigner
from ledger.notes import NoteSigner

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """What the exchange signs and seals with.

    `record_signer` signs asset records, `note_signer` checkpoints, `token_key` access tokens, `callback_key` callbacks;
    `fingerprint_key` blinds fingerprints and identities, `vault` seals what nobody may read.
    """

    record_signer: FileSigner
    note_signer: NoteSigner
    token_key: OKPKey
    callback_key: Ed25519PrivateKey
    fingerprint_key: bytes
    vault: AESGCM


def open_keyring(settings: Settings, *, entropy: Entropy) -> Keyring:
    """The keys in `home/keys`, made on first use; under a seed they come from the seed and no file is touched."""

    def secret(name: str) -> bytes:
        if settings.seed is not None:
            return entropy(KEY_BYTES, "key", name)
        return _kept(settings.home / "keys" / f"{name}.key", entropy=entropy)

    return Keyring(
        record_signer=FileSigner.from_seed(secret("record")),
        note_signer=NoteSigner(settings.log_name, Ed25519PrivateKey.from_private_bytes(secret("log"))),
        token_key=OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(secret("token"))),
        callback_key=Ed25519PrivateKey.from_private_bytes(secret("callback")),
        fingerprint_key=secret("fingerprint"),
        vault=AESGCM(secret("vault")),
    )


def _kept(path: Path, *, entropy: Entropy) -> bytes:
    """The secret in `path`. Whoever comes first writes it: the link is atomic, so all processes read one secret.

    Refuses a file with anything else in it (`SettingsError`): an empty one would be a key that everybody knows.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_first(path, entropy(KEY_BYTES, "key", path.stem).hex())
    try:
        secret = bytes.fromhex(path.read_text())
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise SettingsError(f"{path} is not a key of {KEY_BYTES} bytes in hexadecimal: bring it back from a backup")
    return secret


def _write_first(path: Path, content: str) -> None:
    """Write `path` for its owner's eyes, whole and on the disk, unless another process has written it by now."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        Path(draft).unlink()
