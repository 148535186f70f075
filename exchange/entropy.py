"""Randomness with a name.

In production every draw comes from the operating system. Under a seed (replays only) a draw is a function of the seed
and of what it is for, so the same book gives the same ids, salts and keys, whichever process draws first.
"""

import hashlib
import hmac
import os
from collections.abc import Callable

Entropy = Callable[..., bytes]
"""`entropy(size, *purpose)`: `size` bytes nobody can guess, for what `purpose` names (at most 64)."""


def system_entropy(size: int, *_purpose: str) -> bytes:
    """`size` bytes from the operating system."""
    return os.urandom(size)


def seeded_entropy(seed: int) -> Entropy:
    """Bytes that only `seed` and the purpose decide. The purpose has to be unique for each draw."""
    key = hashlib.sha512(b"exchange replay seed\0" + str(seed).encode()).digest()

    def draw(size: int, *purpose: str) -> bytes:
        return hmac.digest(key, "\0".join(purpose).encode(), "sha512")[:size]

    return draw


def entropy_for(seed: int | None) -> Entropy:
    """The system's randomness, or the seed's."""
    return system_entropy if seed is None else seeded_entropy(seed)
