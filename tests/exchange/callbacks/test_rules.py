"""Where callbacks may go, what they are made of, and when they are tried again."""

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_network
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.callbacks import events, rules
from exchange.callbacks.rules import AddressNotAllowed, Attempt, BadEndpointUrl, Target
from ledger.canonical import canonical_bytes, parse_canonical

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SHANGHAI = datetime(2000, 1, 1, tzinfo=timezone(timedelta(hours=8)))
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

INTERNAL = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", INTERNAL)
def test_internal_addresses_are_refused(address: str) -> None:
    """No callback goes to an address that only we can reach, however it is dressed up."""
    with pytest.raises(AddressNotAllowed):
        rules.check_address(address, secure=True, networks=())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:1.1.1.1"])
def test_public_addresses_need_https(address: str) -> None:
    """The public internet is fine over https, and only so."""
    rules.check_address(address, secure=True, networks=())
    with pytest.raises(AddressNotAllowed, match="only https"):
        rules.check_address(address, secure=False, networks=LOOPBACK)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_the_operator_opens_networks(address: str) -> None:
    """An address in an allowed network is fine, without https too; its neighbours are not."""
    rules.check_address(address, secure=False, networks=LOOPBACK)
    with pytest.raises(AddressNotAllowed):
        rules.check_address("10.0.0.1", secure=True, networks=LOOPBACK)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "https://bank.example/hooks?a=1",
            Target(secure=True, host="bank.example", port=443, path="/hooks?a=1"),
        ),
        ("HTTPS://Bank.Example:8443", Target(secure=True, host="bank.example", port=8443, path="/")),
        ("https://1.1.1.1/", Target(secure=True, host="1.1.1.1", port=443, path="/")),
        ("https://[2606:4700::1111]/", Target(secure=True, host="2606:4700::1111", port=443, path="/")),
    ],
)
def test_urls_are_taken_apart(url: str, target: Target) -> None:
    """An endpoint's URL says whom to ask, where, and for what."""
    assert rules.parse_url(url, networks=()) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bank.example",
        "ftp://bank.example/",
        "file:///etc/passwd",
        "http://bank.example/",
        "https://",
        "https:///path",
        "https://user:secret@bank.example/",
        "https://bank.example/#part",
        "https://bank.example:0/",
        "https://bank.example:99999/",
        "https://bank.example:x/",
        "https://[::1/",
        "https://bank.example/a b",
        "https://bank.example/\r\nHost: x",
        "https://b\u00e4nk.example/",
        "https://bank.example\\@127.0.0.1/",
        "https://bank.example/" + "x" * 500,
    ],
)
def test_bad_urls_are_refused(url: str) -> None:
    """What cannot be called, or only by a trick, is refused with a pointer."""
    with pytest.raises(BadEndpointUrl) as refused:
        rules.parse_url(url, networks=())
    assert refused.value.as_problem()["errors"][0]["pointer"] == "/url"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "127.1",
        "1.0x",
    ],
)
def test_addresses_in_urls_are_checked_at_once(host: str) -> None:
    """An internal address in the URL is refused when it is put, in every spelling a resolver understands."""
    with pytest.raises(AddressNotAllowed):
        rules.parse_url(f"https://{host}/", networks=())


def test_plain_http_is_for_sandboxes() -> None:
    """Where the operator allows networks, http may be put; the address decides later."""
    assert rules.parse_url("http://sandbox.test/", networks=LOOPBACK).port == 80
    assert rules.parse_url("http://127.0.0.1:9/", networks=LOOPBACK).secure is False


def test_unknown_and_large_events_are_refused() -> None:
    """The contract's types only, and only what fits into 20 kB."""
    rules.check_event("offer.made", data=b"x" * rules.MAX_DATA_BYTES)
    with pytest.raises(rules.UnknownEventType):
        rules.check_event("offer.maid", data=b"{}")
    with pytest.raises(rules.EventTooLarge):
        rules.check_event("offer.made", data=b"x" * (rules.MAX_DATA_BYTES + 1))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text('az"\\/\n\x00\x7f\u00e9\u2028\u4e2d\U0001f600', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abz_", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    data=st.dictionaries(st.text("abz_", max_size=3), VALUES, max_size=4),
    prev=st.none() | st.binary(min_size=32, max_size=32),
    log_index=st.none() | st.integers(0, 2**53 - 1),
    moment=st.integers(-(10**15), 4 * 10**15).map(lambda us: SHANGHAI + timedelta(microseconds=us)),
)
def test_bodies_are_canonical(
    data: dict[str, Any], prev: bytes | None, log_index: int | None, moment: datetime
) -> None:
    """The spliced bytes are the canonical bytes of the whole envelope, under 20 kB."""
    body = rules.event_body(
        "offer.made",
        data=canonical_bytes(data),
        recorded_at=moment,
        sequence=7,
        prev=prev,
        log_index=log_index,
    )
    event = parse_canonical(body)
    assert datetime.fromisoformat(event.pop("timestamp")) == moment
    assert event == {
        "type": "offer.made",
        "data": data,
        "sequence": 7,
        "prev": prev.hex() if prev else None,
        "log_index": log_index,
    }
    assert len(body) - len(canonical_bytes(data)) < 20_000 - rules.MAX_DATA_BYTES


@given(event_id=st.text(), attempts=st.integers(1, 7))
def test_waits_grow_with_jitter(event_id: str, attempts: int) -> None:
    """Each wait is its step of the schedule and up to a fifth more, and always the same for one event."""
    attempt = Attempt(status=500)
    again = rules.next_attempt(attempt, event_id=event_id, attempts=attempts, now=NOW)
    assert again is not None
    wait = rules.WAITS[attempts - 1]
    assert wait <= again - NOW <= wait * 1.2
    assert again == rules.next_attempt(attempt, event_id=event_id, attempts=attempts, now=NOW)


def test_the_eighth_failure_is_the_last() -> None:
    """Eight attempts are made, then the event waits in the feed."""
    assert rules.next_attempt(Attempt(status=500), event_id="e", attempts=8, now=NOW) is None


@pytest.mark.parametrize(
    ("header", "shortest", "longest"),
    [
        ("120", 120, 120),
        ("Mon, 23 Nov 2026 09:02:00 GMT", 120, 120),
        ("Mon, 23 Nov 2026 09:02:00 -0000", 120, 120),
        ("999999999", 86_400, 86_400),
        ("0", 5, 6),
        ("Mon, 23 Nov 2020 09:02:00 GMT", 5, 6),
        ("soon", 5, 6),
        ("-1", 5, 6),
        ("\u0661\u0662\u0660", 5, 6),
        ("1" * 5000, 5, 6),
        ("Mon, 99 Nov 9999 99:99:99 GMT", 5, 6),
    ],
)
def test_retry_after_is_honoured(header: str, shortest: int, longest: int) -> None:
    """A receiver may ask for a longer wait, not for a shorter one nor for ever; nonsense is passed over."""
    attempt = Attempt(status=503, retry_after=header)
    again = rules.next_attempt(attempt, event_id="e", attempts=1, now=NOW)
    assert again is not None
    assert timedelta(seconds=shortest) <= again - NOW <= timedelta(seconds=longest)


@pytest.mark.parametrize(
    ("status", "delivered"),
    [(200, True), (204, True), (299, True), (199, False), (301, False), (None, False)],
)
def test_only_2xx_is_delivered(status: int | None, *, delivered: bool) -> None:
    """A redirect is a failure like any other."""
    assert Attempt(status=status).delivered is delivered


def test_gone_and_five_days_of_failure_disable() -> None:
    """410 disables at once, anything else after five days without one success."""
    judge = rules.reason_to_disable
    assert judge(Attempt(status=410), failing_since=NOW, now=NOW) == "gone"
    assert judge(Attempt(status=500), failing_since=NOW, now=NOW + timedelta(days=4, hours=23)) is None
    assert judge(Attempt(status=500), failing_since=NOW, now=NOW + timedelta(days=5)) == "failing"


@given(seconds=st.floats(0, 1e7))
def test_rests_grow_within_bounds(seconds: float) -> None:
    """The longer an endpoint fails, the longer it is left alone."""
    rest = rules.rest(failing_since=NOW, now=NOW + timedelta(seconds=seconds))
    assert rules.SHORTEST_REST <= rest <= rules.LONGEST_REST


def test_every_event_has_its_schema() -> None:
    """The data of each type, and of the heartbeat, has a schema that is one, closed and without holes."""
    for kind in (*events.DATA, events.HEARTBEAT):
        found = events.schema(kind)
        jsonschema.Draft202012Validator.check_schema(found)
        assert set(found["required"]) <= set(found["properties"])
        assert not found["additionalProperties"]
    assert events.schema("payment.paid")["properties"]["reason"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert "listing_id" not in events.schema("trade.settled")["required"]


def leg(path: str, amount_minor: int, unit: str = "CNY") -> rules.Moved:
    """What a transfer did to an account."""
    return rules.Moved(path=path, unit=unit, amount_minor=amount_minor, moves=1, balance_minor=0)


@pytest.mark.parametrize(
    ("key", "memo", "legs", "step"),
    [
        ("rcp_1/receipt", "receipt deposited", [leg("funder/fnd_1/cash", 5)], "deposited"),
        ("rcp_1/receipt", "", [leg("funder/fnd_1/cash", 5)], "collected"),
        ("rcp_1/receipt", "", [leg("funder/fnd_1/losses", -5)], "recovered"),
        ("rcp_1/receipt", "", [leg("funder/fnd_2/losses", -5)], "collected"),
        ("ofr_1/hold/void", "", [], "released"),
        ("trd_1/anything", "", [], "traded"),
        ("new_1/thing", "", [], "posted"),
    ],
)
def test_the_step_of_a_transfer(key: str, memo: str, legs: list[rules.Moved], step: str) -> None:
    """By the key under which it was posted; what was lost and comes back is a recovery, of whose loss it was."""
    assert rules.settlement_type(key, memo, legs, "fnd_1") == f"settlement.{step}"


def test_what_others_got_is_told_of_ones_own_transfers() -> None:
    """With another funder in it, nobody learns what seller and exchange got."""
    shared = [leg("funder/fnd_1/cash", -7), leg("seller/org_1", 5), leg("exchange/fees", 2)]
    told = rules.moved_data(shared, funder_id="fnd_1")
    assert (told["seller_minor"], told["fees_minor"], len(told["legs"])) == (5, 2, 1)
    assert set(rules.moved_data([*shared, leg("funder/fnd_2/cash", -1)], funder_id="fnd_1")) == {"legs"}


def test_a_cursor_that_is_no_moment_is_named() -> None:
    """The refusal shows what was sent."""
    (fault,) = rules.bad_place("yesterday").faults
    assert (fault.code, fault.pointer) == ("bad_cursor", "/after")
