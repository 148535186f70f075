"""What a callback is made of, where it may go, and what follows from each attempt to deliver it."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.callbacks import events
from exchange.errors import Fault, Refusal
from exchange.paging import BadCursor
from exchange.settings import Network

EVENT_TYPES = frozenset(events.DATA)
PUBLISHER_LOCK = 0x63616C6C  # "call": one publisher at a time
MINUTE = timedelta(minutes=1)
DAY_CLOSED = "settlement.day_closed"
TITLE = "title"
STEPS = {
    ("ofr", "hold"): "reserved",
    ("bid", "hold"): "reserved",
    ("ofr", "purchase"): "purchased",
    ("trd", ""): "traded",
    ("rcp", "receipt"): "collected",
    ("rcp", "reversal"): "reversed",
    ("ast", "credit"): "diluted",
    ("ast", "charge_off"): "charged_off",
    ("ast", "write_off"): "written_off",
    ("ast", "recourse"): "recourse_claimed",
    ("ast", "debt"): "recourse_paid",
    ("ast", "repurchase"): "repurchased",
    ("pay", "proposed"): "payout_taken",
    ("pay", "paid"): "payout_paid",
    ("pay", "back"): "payout_back",
    ("pay", "returned"): "payout_returned",
    ("fac", "distribution"): "distributed",
    ("fac", "loss"): "written_off",
    ("cll", ""): "capital_paid_in",
}
"""The step of a transfer, by what its key begins with and names next."""
REFERENCES = {
    "ast_": "asset_id",
    "bid_": "bid_id",
    "ofr_": "offer_id",
    "pay_": "payment_id",
    "rcp_": "receipt_id",
    "trd_": "trade_id",
}
MAX_DATA_BYTES = 19_000
"""Leaves the envelope room under the 20 kB that Standard Webhooks sets for a body."""

WAITS = tuple(
    timedelta(**wait)
    for wait in (
        {"seconds": 5},
        {"minutes": 5},
        {"minutes": 30},
        {"hours": 2},
        {"hours": 5},
        {"hours": 10},
        {"hours": 10},
    )
)
"""How long to wait after the first failure, the second, ...; after one more the event is given up."""
LONGEST_WAIT = timedelta(hours=24)
SHORTEST_REST = timedelta(seconds=1)
LONGEST_REST = timedelta(minutes=5)
PATIENCE = timedelta(days=5)
"""How long an endpoint may do nothing but fail."""

URL = re.compile(r"(https?)://[!-~]{1,490}", re.ASCII | re.IGNORECASE)
GLOBAL_UNICAST = IPv6Network("2000::/3")
SIX_TO_FOUR = IPv6Network("2002::/16")


class UnknownEventType(Refusal):
    """The event type is not part of the contract with the funders."""

    code = "unknown_event_type"
    title = "The contract names no such event"


class EventTooLarge(Refusal):
    """The event would not fit into a callback."""

    code = "event_too_large"
    title = "The event is too large for a callback"


class BadEndpointUrl(Refusal):
    """Callbacks cannot be sent to this URL."""

    code = "bad_endpoint_url"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Callbacks cannot be sent to this URL"


class AddressNotAllowed(Refusal):
    """The address is not one of the public internet, nor one that the operator allows."""

    code = "address_not_allowed"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Callbacks are not sent to this address"


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver's URL, taken apart; `path` includes the query."""

    secure: bool
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending a callback: a status and `Retry-After`, or the error there was instead."""

    status: int | None = None
    retry_after: str | None = None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it: any 2xx, nothing else."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class Moved:
    """What a transfer did to one account; all titles of a funder are one, in the unit `title`."""

    path: str
    unit: str
    amount_minor: int
    moves: int
    balance_minor: int

    @property
    def funder_id(self) -> str | None:
        """Whose account it is, if a funder's."""
        words = self.path.split("/")
        return words[1] if words[0] == "funder" else None

    def account_of(self, funder_id: str) -> str | None:
        """The account among those of this funder, if it is one."""
        return self.path.removeprefix(f"funder/{funder_id}/") if self.funder_id == funder_id else None


def check_event(kind: str, *, data: bytes) -> None:
    """Refuse an event of an unknown type (`UnknownEventType`) or too much `data` (`EventTooLarge`)."""
    if kind not in EVENT_TYPES:
        raise UnknownEventType(f"{kind!r} is not one of {', '.join(sorted(EVENT_TYPES))}.")
    if len(data) > MAX_DATA_BYTES:
        raise EventTooLarge("Name the things and let the funder read them.", size=len(data), limit=MAX_DATA_BYTES)


def is_settlement(kind: str) -> bool:
    """Whether an event tells of money or title, and is to be acknowledged."""
    return kind.startswith("settlement.") and kind != DAY_CLOSED


def settlement_type(key: str, memo: str, legs: Sequence[Moved], funder_id: str) -> str:
    """The event that tells of a transfer, by the key under which its room posted it."""
    words = key.split("/")
    step = "released" if words[-1] in {"void", "expiry"} else _step(key[:3], words[1:2])
    if step == "collected" and memo == "receipt deposited":
        step = "deposited"
    elif step == "collected" and any(leg.account_of(funder_id) == "losses" and leg.amount_minor < 0 for leg in legs):
        step = "recovered"
    return f"settlement.{step}"


def _step(prefix: str, named: Sequence[str]) -> str:
    return STEPS.get((prefix, named[0] if named else "")) or STEPS.get((prefix, ""), "posted")


def references(key: str) -> dict[str, str]:
    """What a transfer's key names, as events name it."""
    of = key.partition("/")[0]
    found = {REFERENCES[of[:4]]: of} if of[:4] in REFERENCES else {}
    return found | ({"end_to_end_id": of} if "payment_id" in found else {})


def moved_data(legs: Sequence[Moved], *, funder_id: str) -> dict[str, Any]:
    """What a transfer moved on one funder's accounts; if no other funder is in it, what sellers and fees got too."""
    own = [(account, leg) for leg in legs if (account := leg.account_of(funder_id)) is not None]
    data: dict[str, Any] = {
        "legs": [
            {
                "account": account,
                "commodity": leg.unit,
                "amount_minor": leg.amount_minor,
                "balance_minor": leg.balance_minor,
            }
            for account, leg in own
            if leg.unit != TITLE
        ]
    }
    for _, leg in own:
        if leg.unit == TITLE:
            data["title"] = {"moves": leg.moves, "amount_minor": leg.amount_minor}
    if len({leg.funder_id for leg in legs if leg.funder_id}) == 1:
        sellers_minor = sum(leg.amount_minor for leg in legs if leg.path.startswith("seller/"))
        fees_minor = sum(leg.amount_minor for leg in legs if leg.path == "exchange/fees")
        data |= {"seller_minor": sellers_minor} if sellers_minor else {}
        data |= {"fees_minor": fees_minor} if fees_minor else {}
    return data


def event_body(
    kind: str, *, data: bytes, recorded_at: datetime, sequence: int, prev: bytes | None, log_index: int | None
) -> bytes:
    """The bytes of an event: JCS (RFC 8785) of its envelope, spliced around `data`, which is JCS already."""
    link = "null" if prev is None else f'"{prev.hex()}"'
    index = "null" if log_index is None else log_index
    moment = recorded_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    rest = f',"log_index":{index},"prev":{link},"sequence":{sequence},"timestamp":"{moment}","type":"{kind}"}}'
    return b'{"data":' + data + rest.encode()


def signature_header(
    body: bytes, *, event_id: str, timestamp: int, secrets: Sequence[bytes], private_key: Ed25519PrivateKey
) -> str:
    """`webhook-signature` (Standard Webhooks 1.0): HMAC-SHA256 under each secret as `v1`, Ed25519 as `v1a`."""
    message = f"{event_id}.{timestamp}.".encode() + body
    shared = [base64.b64encode(hmac.digest(secret, message, "sha256")).decode() for secret in secrets]
    public = base64.b64encode(private_key.sign(message)).decode()
    return " ".join([*(f"v1,{one}" for one in shared), f"v1a,{public}"])


def loose_body(kind: str, *, data: bytes, now: datetime) -> bytes:
    """The bytes of what has no place in the stream, a heartbeat or an example: JCS without sequence and link."""
    moment = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return b'{"data":' + data + f',"timestamp":"{moment}","type":"{kind}"}}'.encode()


def secret_text(secret: bytes) -> str:
    """A shared secret as receivers configure it."""
    return "whsec_" + base64.b64encode(secret).decode()


def public_key_text(private_key: Ed25519PrivateKey) -> str:
    """The public half of the exchange's callback key as receivers configure it."""
    return "whpk_" + base64.b64encode(private_key.public_key().public_bytes_raw()).decode()


def parse_url(url: str, *, networks: tuple[Network, ...]) -> Target:
    """The receiver at `url`. Refuses `BadEndpointUrl`, and `AddressNotAllowed` for an address written in it.

    Plain http is for sandboxes: it needs `networks`, and when connecting an address inside them.
    """
    if not URL.fullmatch(url) or "\\" in url:
        raise _bad_url(url, "write an https URL of at most 500 ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad_url(url, str(error)) from None
    host = parts.hostname
    if not host or "@" in parts.netloc or parts.fragment or port == 0:
        raise _bad_url(url, "write a host, and no user name, fragment or port 0")
    secure = parts.scheme == "https"
    if not secure and not networks:
        raise _bad_url(url, "write https")
    if _is_number(host.rpartition(".")[2]) or ":" in host:
        check_address(host, secure=secure, networks=networks)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure=secure, host=host, port=port or (443 if secure else 80), path=path)


def check_address(address: str, *, secure: bool, networks: tuple[Network, ...]) -> None:
    """Refuse (`AddressNotAllowed`) what is neither in `networks` nor, for https, on the public internet."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        raise _not_allowed(address, "it is not a plain IP address") from None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in networks):
        return
    if not _is_public(ip):
        raise _not_allowed(address, "it is not on the public internet")
    if not secure:
        raise _not_allowed(address, "over the public internet only https is used")


def next_attempt(attempt: Attempt, *, event_id: str, attempts: int, now: datetime) -> datetime | None:
    """When to try again after the failed `attempt`, the `attempts`-th (from 1); None: never.

    Up to a fifth longer than `WAITS`, by the event's id: what failed together does not come back together.
    """
    if attempts > len(WAITS):
        return None
    draw = int.from_bytes(hashlib.sha256(f"{event_id}/{attempts}".encode()).digest()[:4])
    wait = WAITS[attempts - 1] * (1 + draw / 2**32 / 5)
    return now + min(max(wait, _asked_wait(attempt.retry_after, now=now)), LONGEST_WAIT)


def rest(*, failing_since: datetime, now: datetime) -> timedelta:
    """How long an endpoint that just failed rests: half the time it has been failing, within bounds."""
    return min(max((now - failing_since) / 2, SHORTEST_REST), LONGEST_REST)


def reason_to_disable(attempt: Attempt, *, failing_since: datetime, now: datetime) -> str | None:
    """Why an endpoint gets nothing more after the failed `attempt`, if so."""
    if attempt.status == HTTPStatus.GONE:
        return "gone"
    return "failing" if now - failing_since >= PATIENCE else None


def _asked_wait(retry_after: str | None, *, now: datetime) -> timedelta:
    """`Retry-After` (RFC 9110, section 10.2.3), in seconds or as a date; nothing if it cannot be read."""
    if retry_after is None:
        return timedelta(0)
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return timedelta(seconds=int(retry_after))
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return timedelta(0)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Stricter than `is_global`: no multicast, no address that carries another (6to4, NAT64, Teredo)."""
    if not ip.is_global or ip.is_multicast:
        return False
    return isinstance(ip, IPv4Address) or (ip in GLOBAL_UNICAST and ip not in SIX_TO_FOUR)


def _is_number(label: str) -> bool:
    """Whether some resolver would read a host that ends so as an IPv4 address (WHATWG URL, section 3.5)."""
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", label) is not None


def bad_place(text: str) -> BadCursor:
    """The refusal of a cursor whose moment is none."""
    return BadCursor("The cursor cannot be read.", faults=(Fault("bad_cursor", "/after", "no moment", text),))


def _bad_url(url: str, message: str) -> BadEndpointUrl:
    return BadEndpointUrl(
        f"The URL cannot be used: {message}.", faults=(Fault("bad_endpoint_url", "/url", message, url),)
    )


def _not_allowed(address: str, message: str) -> AddressNotAllowed:
    fault = Fault("address_not_allowed", "/url", message, address)
    return AddressNotAllowed(f"Callbacks are not sent to {address}: {message}.", faults=(fault,))
