"""Keys that let something happen before they sign: a crash, a pause."""

from collections.abc import Callable
from dataclasses import replace

from exchange.keyring import KeyFiles, SigningKeys
from exchange.services import Services
from ledger.keys import Signer


class HookedSigner:
    """A key, but something happens before each signature."""

    def __init__(self, signer: Signer, before: Callable[[], object]) -> None:
        self.alg, self.kid = signer.alg, signer.kid
        self.public_key, self.public_jwk = signer.public_key, signer.public_jwk
        self._sign, self._before = signer.sign, before

    def sign(self, message: bytes) -> bytes:
        """The signature, after what happens before it."""
        self._before()
        return self._sign(message)


class HookedKeys(SigningKeys):
    """The keys of some services; those of one use are hooked."""

    def __init__(self, services: Services, use: str, before: Callable[[], object]) -> None:
        super().__init__(KeyFiles(services.settings, entropy=services.entropy))
        self._use, self._before = use, before

    def find(self, kid: str, *, store: str, label: str) -> Signer | None:
        """The key, hooked if it is of that use."""
        signer = super().find(kid, store=store, label=label)
        return HookedSigner(signer, self._before) if signer and label.startswith(self._use) else signer


def hooked(services: Services, before: Callable[[], object], *, use: str = "record") -> Services:
    """The same services, but `before` happens before each signature."""
    return replace(services, keyring=replace(services.keyring, signing=HookedKeys(services, use, before)))
