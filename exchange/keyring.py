"""The exchange's own keys: small files, made when they are first needed, or keys in a token that never shows them."""

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import OKPKey

from exchange.entropy import Entropy
from exchange.settings import Pkcs11, Settings, SettingsError
from ledger.keys import FileSigner, Signer
from ledger.pkcs11 import Token

KEY_BYTES, NONCE_BYTES, NUMBER_BYTES = 32, 12, 2

log = structlog.get_logger()


class KeyStore(Protocol):
    """Where private halves are kept, each under a label."""

    @property
    def name(self) -> str:
        """How rows that speak of a key name this kind of store."""

    def find(self, label: str) -> Signer | None:
        """The key of that label, None where there is none."""

    def create(self, label: str) -> Signer:
        """The key of that label, made unless it is there."""


class KeyFiles:
    """Keys in files of one folder; under a seed they come from the seed and no file is touched."""

    name = "file"

    def __init__(self, settings: Settings, *, entropy: Entropy) -> None:
        self._folder = settings.home / "keys"
        self._seeded = settings.seed is not None
        self._entropy = entropy

    def secret(self, label: str) -> bytes:
        """The 32 bytes of that label, made on first use. Refuses `SettingsError` for a damaged file."""
        if self._seeded:
            return self._entropy(KEY_BYTES, "key", label)
        return _kept(self._path(label), entropy=self._entropy)

    def count(self, label: str) -> int:
        """How many secrets there are by this name: `label`, `label-2` and so on without a gap; at least one."""
        number = 1
        while not self._seeded and self._path(numbered(label, number + 1)).exists():
            number += 1
        return number

    def find(self, label: str) -> FileSigner | None:
        """The key of that label, None where there is no such file. Refuses `SettingsError` for a damaged one."""
        return self.create(label) if self._seeded or self._path(label).exists() else None

    def create(self, label: str) -> FileSigner:
        """The key of that label, made unless it is there. Refuses `SettingsError` for a damaged file."""
        return FileSigner.from_seed(self.secret(label))

    def _path(self, label: str) -> Path:
        return self._folder / f"{label}.key"


class TokenKeys:
    """Keys in a PKCS#11 token."""

    name = "pkcs11"

    def __init__(self, settings: Pkcs11) -> None:
        try:
            pin = settings.pin_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"EXCHANGE_PKCS11: {settings.pin_file} cannot be read: {error.strerror}") from error
        token = Token(module=settings.module, label=settings.token, pin=pin)
        self.find, self.create = token.find, token.create


class SigningKeys:
    """The private halves that this process can reach: in the token where one is set, in files.

    What is signed under which key, and since when, is no matter of one process: rows say it (`registry.keys`).
    """

    def __init__(self, *stores: KeyStore) -> None:
        self._stores = {store.name: store for store in stores}
        self._preferred = stores[0]
        self._held: dict[str, Signer] = {}
        self._told: set[str] = set()

    def create(self, label: str) -> tuple[str, Signer]:
        """The key of that label in the preferred store, and the store's name."""
        return self._preferred.name, self._preferred.create(label)

    def holds(self, kid: str, *, store: str, label: str) -> bool:
        """Whether this process could sign with the key `kid`."""
        place = self._stores.get(store)
        signer = place.find(label) if place else None
        return signer is not None and signer.kid == kid

    def find(self, kid: str, *, store: str, label: str) -> Signer | None:
        """The key `kid`; None, as the log says once, where its store is not set up or holds none or another there."""
        signer = self._held.get(kid)
        if signer is None:
            place = self._stores.get(store)
            signer = place.find(label) if place else None
            if signer is not None and signer.kid == kid:
                self._held[kid] = signer
            elif kid not in self._told:
                self._told.add(kid)
                other = signer.kid if signer else None
                log.warning("signing key not held here", kid=kid, store=store, label=label, found=other)
        return self._held.get(kid)


class Vault:
    """Seals what nobody may read (AES-256-GCM): number of the key, nonce, ciphertext. The newest key seals."""

    def __init__(self, files: KeyFiles, *, label: str = "vault") -> None:
        self._files, self._label = files, label
        self.newest = files.count(label)

    @property
    def prefix(self) -> bytes:
        """With what everything begins that is sealed under the newest key; what is older sorts before it."""
        return self.newest.to_bytes(NUMBER_BYTES)

    def seal(self, plain: bytes, *, place: bytes, nonce: bytes) -> bytes:
        """`plain` sealed so that it opens in its own `place` only."""
        return self.prefix + nonce + self._key(self.newest).encrypt(nonce, plain, place)

    def open(self, sealed: bytes, *, place: bytes) -> bytes:
        """What was sealed there. Refuses `SettingsError` where its key is not, `InvalidTag` for anything changed."""
        number, rest = int.from_bytes(sealed[:NUMBER_BYTES]), sealed[NUMBER_BYTES:]
        return self._key(number).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], place)

    def rotate(self) -> int:
        """Make the next key, which seals from now on; its number."""
        self.newest += 1
        self._files.secret(numbered(self._label, self.newest))
        return self.newest

    def _key(self, number: int) -> AESGCM:
        if not 1 <= number <= max(self.newest, self._files.count(self._label)):  # it may be younger than this process
            raise SettingsError(f"the key {numbered(self._label, number)} is not here: bring its file from a backup")
        return AESGCM(self._files.secret(numbered(self._label, number)))


def numbered(label: str, number: int) -> str:
    """The label of the `number`th secret of a name."""
    return label if number == 1 else f"{label}-{number}"


@dataclass(frozen=True, slots=True)
class Keyring:
    """What the exchange signs and seals with.

    `signing` has the keys of asset records and checkpoints, `token_key` signs access tokens, `callback_key` callbacks;
    `fingerprint_key` blinds fingerprints and identities, `vault` seals what nobody may read, `nonce_key` makes nonces.
    """

    signing: SigningKeys
    token_key: OKPKey
    callback_key: Ed25519PrivateKey
    fingerprint_key: bytes
    vault: Vault
    nonce_key: bytes


def open_keyring(settings: Settings, *, entropy: Entropy) -> Keyring:
    """The keys in `home/keys`, made on first use, and those of the token, if one is set."""
    files = KeyFiles(settings, entropy=entropy)
    return Keyring(
        signing=SigningKeys(*([TokenKeys(settings.pkcs11)] if settings.pkcs11 else []), files),
        token_key=OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(files.secret("token"))),
        callback_key=Ed25519PrivateKey.from_private_bytes(files.secret("callback")),
        fingerprint_key=files.secret("fingerprint"),
        vault=Vault(files),
        nonce_key=files.secret("nonce"),
    )


def _kept(path: Path, *, entropy: Entropy) -> bytes:
    """The secret in `path`. Whoever comes first writes it: the link is atomic, so all processes read one secret.

    Refuses a file with anything else in it (`SettingsError`): an empty one would be a key that everybody knows.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_first(path, entropy(KEY_BYTES, "key", path.stem).hex())
    try:
        secret = bytes.fromhex(path.read_text())
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise SettingsError(f"{path} is not a key of {KEY_BYTES} bytes in hexadecimal: bring it back from a backup")
    return secret


def write_first(path: Path, content: str) -> None:
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
