"""Fields that only some may see (SD-JWT, RFC 9901): salted digests in the record, the values beside it."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from ledger.canonical import DuplicateKey, NotCanonical, canonical_bytes, parse_canonical
from ledger.encoding import MalformedBase64, base64url, base64url_ascii, parse_base64url
from ledger.errors import RecordRefused

SALT_BYTES = 16
RESERVED = frozenset({"_sd", "_sd_alg", "...", "salt"})
"""Names that RFC 9901 or the record itself keeps for its own use."""
_MEMBERS = 3
"""Salt, name and value."""


class SaltRefused(RecordRefused):
    """A salt has not 128 bits."""

    code = "salt_refused"


class MalformedDisclosure(RecordRefused):
    """The disclosure is not the canonical form of salt, name and value, or its name is taken."""

    code = "malformed_disclosure"


class ForeignDisclosure(RecordRefused):
    """The disclosure's digest is not in the record: it belongs to another record, or was altered."""

    code = "foreign_disclosure"


class DuplicateDisclosure(RecordRefused):
    """One field was disclosed twice."""

    code = "duplicate_disclosure"


class DuplicateMember(RecordRefused):
    """An object in the header, the payload or a disclosure has one name twice."""

    code = "duplicate_member"


def salt_text(salt: Callable[[str], bytes], name: str) -> str:
    """The salt drawn for `name` as base64url. Refuses `SaltRefused`."""
    drawn = salt(name)
    if len(drawn) != SALT_BYTES:
        raise SaltRefused(f"The salt of {name} has {len(drawn)} bytes, not {SALT_BYTES}.")
    return base64url(drawn)


def hide(fields: Mapping[str, object], *, salt: Callable[[str], bytes]) -> tuple[tuple[str, ...], list[str]]:
    """The fields as they travel beside their record (RFC 9901, section 4.2.1), and their digests, sorted.

    Refuses `SaltRefused` and `canonical.NotCanonical`.
    """
    spelt = [base64url_ascii(canonical_bytes([salt_text(salt, name), name, value])) for name, value in fields.items()]
    digests = [base64url_ascii(sha256(text).digest()).decode("ascii") for text in spelt]
    digests.sort()
    return tuple([text.decode("ascii") for text in spelt]), digests


def disclosure_digest(text: str) -> str:
    """The base64url SHA-256 by which a payload names a disclosure (RFC 9901, section 4.2.3)."""
    return base64url(sha256(text.encode("ascii")).digest())


def reveal(disclosures: Sequence[str], *, digests: Sequence[object], body: Mapping[str, object]) -> dict[str, Any]:
    """The fields in `disclosures`, each of which one of the record's `digests` has to vouch for.

    Refuses `MalformedDisclosure`, `DuplicateMember`, `ForeignDisclosure` and `DuplicateDisclosure`.
    """
    disclosed: dict[str, Any] = {}
    for number, text in enumerate(disclosures):
        try:
            spelt = text.encode("ascii")
            parts = parse_canonical(parse_base64url(spelt))
        except DuplicateKey as error:
            raise DuplicateMember(f"In a disclosure: {error}", field=f"disclosures/{number}") from error
        except (MalformedBase64, NotCanonical, UnicodeEncodeError) as error:
            raise _malformed(number, "is not base64url of canonical JSON") from error
        if type(parts) is not list or len(parts) != _MEMBERS or type(parts[0]) is not str:
            raise _malformed(number, "is not salt, name and value")
        name = parts[1]
        if type(name) is not str or name in RESERVED or name in body:
            raise _malformed(number, "has no name, or one that is taken")
        if base64url(sha256(spelt).digest()) not in digests:
            message = f"The record does not vouch for the disclosure of {name}."
            raise ForeignDisclosure(message, field=f"disclosures/{number}")
        if name in disclosed:
            raise DuplicateDisclosure(f"The field {name} is disclosed twice.", field=f"disclosures/{number}")
        disclosed[name] = parts[2]
    return disclosed


def _malformed(number: int, what: str) -> MalformedDisclosure:
    return MalformedDisclosure(f"Disclosure {number} {what}.", field=f"disclosures/{number}")
