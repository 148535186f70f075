"""What the tests of errors try: every operation with a right body, and everything that is wrong with it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tests.exchange.good_bodies import ACCOUNT, ASSET, BULK, CLAIM, DAY, OFFER, ORIGINATOR, PAYMENT, SINGLE
from tests.exchange.house import CONTRACT

QUERY = {
    "currency": "CNY",
    "product": "receivable_factoring",
    "subject": "none",
    "from": DAY,
    "to": DAY,
    "from_date": DAY,
    "until_date": DAY,
    "scheme": "uscc",
    "value": "none",
}
"""A right value for each parameter without which there is no answer."""


class Operation(NamedTuple):
    """One operation of the contract."""

    name: str
    method: str
    path: str
    roles: tuple[str, ...]
    reads_body: bool
    idempotent: bool

    def at(self, **parts: str) -> str:
        """The path with its parameters filled in, with ids that nobody has where none are given."""
        known = {"asset_id": ASSET, "offer_id": OFFER, "mandate_id": "mdt_01h455vb4pex5vsknk084sn02q"}
        known |= {"run_id": "rec_01h455vb4pex5vsknk084sn02q", "break_id": "brk_01h455vb4pex5vsknk084sn02q"}
        known |= {"work_id": "1", "version": "mdl_0123456789abcdef"}
        known |= {"encumbrance_id": "enc_01h455vb4pex5vsknk084sn02q", "notice_id": "ntc_01h455vb4pex5vsknk084sn02q"}
        known |= {"repurchase_id": "rep_01h455vb4pex5vsknk084sn02q", "number": "1"}
        known |= {"client_id": "cli_01h455vb4pex5vsknk084sn02q", "thumbprint": "A" * 43}
        known |= {"account_id": ACCOUNT, "payment_id": PAYMENT, "file_id": "pmf_01h455vb4pex5vsknk084sn02q"}
        ids = {"case": "cas", "task": "tsk", "letter": "ltr", "plan": "pln", "referral": "rfr", "company": "com"}
        ids |= {"auction": "auc", "bid": "bid", "listing": "lst"}
        ids |= {"round": "rnd", "rehearsal": "rhs"}
        known |= {f"{name}_id": f"{prefix}_01h455vb4pex5vsknk084sn02q" for name, prefix in ids.items()}
        known |= {"forbearance_id": "fbr_01h455vb4pex5vsknk084sn02q", "business_date": DAY}
        known |= {"facility_id": "fac_01h455vb4pex5vsknk084sn02q", "call_id": "cll_01h455vb4pex5vsknk084sn02q"}
        known |= {"redemption_id": "rdm_01h455vb4pex5vsknk084sn02q", "version": "1"}
        known |= {"item_id": "rvw_01h455vb4pex5vsknk084sn02q", "grant_id": "rgr_01h455vb4pex5vsknk084sn02q"}
        known |= {"sequence": "1"}
        known |= {"sandbox_id": "sbx_01h455vb4pex5vsknk084sn02q"}
        known |= {"suspension_id": "sus_01h455vb4pex5vsknk084sn02q"}
        known |= {"controller_id": "ctl_01h455vb4pex5vsknk084sn02q", "erasure_id": "ers_01h455vb4pex5vsknk084sn02q"}
        known |= {"originator_id": ORIGINATOR, "kind": "invoice", "claim_id": CLAIM} | parts
        return self.path.format(**known)

    @property
    def query(self) -> str:
        """What has to be asked besides."""
        parameters = CONTRACT["paths"][self.path][self.method.lower()].get("parameters", [])
        needed = [one["name"] for one in parameters if one.get("in") == "query" and one.get("required")]
        return "?" + "&".join(f"{name}={QUERY[name]}" for name in needed) if needed else ""

    @property
    def body(self) -> dict[str, Any]:
        """A body of the right form."""
        return {"items": [BULK[self.name]]} if self.name in BULK else SINGLE[self.name]


def operations() -> Iterator[Operation]:
    """Every operation of the contract for callers with a token; the token endpoint is for those without."""
    for path, methods in CONTRACT["paths"].items():
        for method, one in methods.items():
            if method == "parameters" or not one["security"]:
                continue
            names = {parameter.get("name") for parameter in one.get("parameters", [])}
            yield Operation(
                name=one["operationId"],
                method=method.upper(),
                path=path,
                roles=tuple(one["x-roles"]),
                reads_body="application/json" in one.get("requestBody", {}).get("content", {}),
                idempotent="Idempotency-Key" in names,
            )


NEVER = (
    b"null",
    b"{}",
    b"1.5",
    b"1e5",
    b"1.0",
    b"-1",
    b"-0.0",
    b"1" * 31,
    b'""',
    b'"a\\u0000b"',
    b'"line\\nend"',
    b'"' + b"x" * 5000 + b'"',
    b"[" * 60 + b"]" * 60,
    b'[{"kind": 1}]',
)
"""JSON values that fit no field of any operation."""

NOT_TEXT = (b"true", b"0.1", b"12", b'["a"]')
NOT_NUMBERS = (b'"1"', '"１２"'.encode(), b'"1e5"', b"true", b"[1]", b"9223372036854775808", b'"NaN"')
NOT_DATES = (
    b'"2026-02-30"',
    b'"2026-3-1"',
    '"２０２６-03-02"'.encode(),
    b'"2026-03-02T00:00:00Z"',
    b'"0000-00-00"',
    b'"20260302"',
    b'" 2026-03-02"',
    b"20260302",
)
NOT_WORDS = ('"ｗｉｔｈ"'.encode(), b'"WITH"', b'"with "', b"1", b'["with"]')

BROKEN = (
    b"",
    b" ",
    b"{",
    b'{"items": [}',
    b'{"items": [],}',
    b"{'items': []}",
    b"NaN",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": 01}',
    b'{"a": "\xff"}',
    b'{"a": "\\ud800"}',
    b'{"\\udc00": 1}',
    b'{"a": "\x00"}',
    b"\xef\xbb\xbf{}",
    '{"a": 1}'.encode("utf-16"),
    b"{} {}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 3000 + b"]" * 3000,
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": 1e999}',
)
"""Bodies that are not JSON, or not to be read."""

FOREIGN = (
    b"null",
    b"1",
    b'"text"',
    b"[]",
    b"[[[]]]",
    b'{"unknown": 1}',
    b'{"_schema": 1}',
    b'{"/~": 1}',
    b'{"items": 1, "items": []}',
    b'{"items": {}, "items": [{}], "name": 1, "name": {}}',
    b'{"a": ' + b"9" * 1000 + b"}",
    b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"a": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
    b"{" + b",".join(b'"u%d": 1' % n for n in range(5000)) + b"}",
)
"""JSON that no operation reads."""


def spoiled(good: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every way to put a wrong value into one field of a right body: the field's pointer, and the body."""
    for pointer, value, parent in _fields(good, ""):
        for wrong in _wrong_for(value):
            yield pointer, _with(good, parent, pointer.rpartition("/")[2], wrong)
    for pointer, value, _ in [*_fields(good, ""), ("", good, good)]:
        if isinstance(value, dict):
            yield f"{pointer}/surprise", _with(good, value, "surprise", b"1")
            for name in value:
                missing = {key: kept for key, kept in value.items() if key != name}
                if name in ALWAYS:
                    yield f"{pointer}/{name}", _swap(good, value, missing)


ALWAYS = {"invoice_number", "currency", "face_minor", "amount_minor", "issue_date", "now", "reference", "scheme", "kty"}
"""Fields that are required wherever they stand."""


def _fields(value: Any, at: str) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - a JSON value
    if isinstance(value, dict):
        for name, below in value.items():
            yield f"{at}/{name}", below, value
            yield from _fields(below, f"{at}/{name}")
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _fields(below, f"{at}/{index}")


def _wrong_for(value: Any) -> tuple[bytes, ...]:  # noqa: ANN401 - a JSON value
    if isinstance(value, bool | list | dict):
        return (*NEVER, b'"true"', b"0", b"1")
    if isinstance(value, int):
        return (*NEVER, *NOT_NUMBERS)
    if value.startswith("20") and value.endswith("Z"):
        moments = (b'"2026-02-30T00:00:00Z"', b'"2026-03-02T00:00:00"', b'"2026-03-02"', b'"now"')
        return (*NEVER, *NOT_TEXT, *moments)
    if value.startswith("20"):
        return (*NEVER, *NOT_TEXT, *NOT_DATES)
    if value in {
        "without",
        "explicit",
        "refused",
        "return",
        "platform",
        "receivable_factoring",
        "OKP",
        "Ed25519",
        "with",
        "pledge",
    }:
        return (*NEVER, *NOT_TEXT, *NOT_WORDS)
    return (*NEVER, *NOT_TEXT)


def _with(good: dict[str, Any], parent: dict[str, Any], name: str, wrong: bytes) -> bytes:
    return _swap(good, parent, parent | {name: msgspec.Raw(wrong)})


def _swap(value: Any, old: Any, new: Any) -> bytes:  # noqa: ANN401 - a JSON value
    def walk(one: Any) -> Any:  # noqa: ANN401 - same
        if one is old:
            return new
        if isinstance(one, dict):
            return {name: walk(below) for name, below in one.items()}
        return [walk(below) for below in one] if isinstance(one, list) else one

    return msgspec.json.encode(walk(value))
