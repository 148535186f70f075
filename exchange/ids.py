"""TypeIDs: a prefix and a UUIDv7 in Crockford base 32, sorted by time of birth."""

import re
from datetime import datetime

from exchange.entropy import Entropy

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PATTERN = r"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"

_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]


def new_id(prefix: str, *, now: datetime, entropy: Entropy, purpose: str) -> str:
    """A new id such as `ast_01h455vb4pex5vsknk084sn02q` (RFC 9562 UUIDv7, TypeID 0.3 text).

    `purpose` names the thing; under a seeded entropy it alone decides the random part.
    """
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(entropy(10, "id", prefix, purpose))
    value = milliseconds << 80 | 0x7 << 76 | (random >> 64 & 0xFFF) << 64 | 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return f"{prefix}_{_base32(value)}"


def is_id(value: str, *, prefix: str) -> bool:
    """Whether `value` is written like an id of this prefix."""
    return re.fullmatch(PATTERN.format(prefix=re.escape(prefix)), value) is not None


def _base32(value: int) -> str:
    """26 digits of 5 bits: 130 bits, of which 128 are used."""
    return "".join(_PAIRS[value >> shift & 0x3FF] for shift in range(120, -1, -10))
