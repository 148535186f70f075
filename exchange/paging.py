"""Lists are read page by page with an opaque cursor: a stable order, no totals, no offsets."""

import base64
import binascii
from http import HTTPStatus

import orjson

from exchange.errors import Fault, Refusal

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class BadCursor(Refusal):
    """The cursor is not one this list gave."""

    code = "bad_cursor"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The cursor is not one this list gave"


def encode_cursor(*position: str | int) -> str:
    """The place after which the next page begins."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, *kinds: type) -> tuple[str | int, ...] | None:
    """The position in `cursor`, or None when there is none; refuses any other text (`BadCursor`)."""
    if cursor is None:
        return None
    try:
        position = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True))
    except (binascii.Error, ValueError):
        position = None
    known = isinstance(position, list) and [type(part) for part in position] == list(kinds)
    if not known or "\0" in "".join(map(str, position)):
        fault = Fault("bad_cursor", "/after", "use the `next` value of an earlier page, unchanged", cursor)
        raise BadCursor("The cursor cannot be read.", faults=(fault,))
    return tuple(position)
