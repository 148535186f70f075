"""Base64 in its one exact spelling: every byte string has one text, and any other text is refused."""

import binascii

from ledger.errors import LedgerError

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
"""To the standard alphabet; what only that has, padding too, becomes what no alphabet has."""
_PADDING = (b"", b"===", b"==", b"=")
"""By the text's length modulo 4; three signs are always one too many."""
_LAST_CHARACTERS = (None, b"", b"AQgw", b"AEIMQUYcgkosw048")
"""By the text's length modulo 4: the characters that leave no stray bits behind the last byte."""


class MalformedBase64(LedgerError):
    """The text is not base64, or is another spelling of the bytes it stands for."""

    code = "malformed_base64"


def base64url(data: bytes) -> str:
    """`data` as base64url without padding (RFC 7515, section 2)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def base64url_ascii(data: bytes) -> bytes:
    """`data` as base64url without padding, left as ASCII bytes for what is hashed or signed next."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL)


def parse_base64url(text: str | bytes) -> bytes:
    """The bytes of an unpadded base64url text. Refuses `MalformedBase64` for any other spelling of them."""
    try:
        spelt = text.encode("ascii") if isinstance(text, str) else text
        rest = len(spelt) % 4
        data = binascii.a2b_base64(spelt.translate(_FROM_URL) + _PADDING[rest], strict_mode=True)
    except ValueError as error:
        raise MalformedBase64("The text is not base64url without padding.") from error
    last = _LAST_CHARACTERS[rest]
    if last is not None and spelt[-1] not in last:
        raise MalformedBase64("The text is not the one unpadded base64url spelling of its bytes.")
    return data


def base64_standard(data: bytes) -> str:
    """`data` as padded base64 of the standard alphabet (RFC 4648, section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def parse_base64_standard(text: str) -> bytes:
    """The bytes of a padded base64 text. Refuses `MalformedBase64` for any other spelling of them."""
    data = _decode(text)
    if base64_standard(data) != text:
        raise MalformedBase64("The text is not the one base64 spelling of its bytes.")
    return data


def _decode(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise MalformedBase64("The text is not base64.") from error
