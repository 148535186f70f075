"""What the tests of errors try: a right body for each operation, and everything that is wrong with it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tests.exchange.house import CONTRACT, mandate, receivable

DAY = "2026-03-02"
ASSET = "ast_01h455vb4pex5vsknk084sn02q"
ORIGINATOR = "org_01h455vb4pex5vsknk084sn02q"
OFFER = "ofr_01h455vb4pex5vsknk084sn02q"
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
CLAIM = "icl_01h455vb4pex5vsknk084sn02q"
DOCUMENTS = [{"kind": "invoice", "sha256": "0" * 64}]

SELLER = {
    "scheme": "platform",
    "value": "seller-1",
    "name": "Sunrise Plastics",
    "sector": "plastics",
    "region": "Zhejiang",
    "controller": {"national_id": "110101199003071234"},
}
SUBMISSION = receivable("INV-1", documents=DOCUMENTS, seller=SELLER, invoice_face_minor=10**9)
ANSWER = {
    "asset_id": ASSET,
    "outcome": "corrected",
    "due_date": "2026-05-02",
    "reason_code": "other",
    "reason": "no",
}
CONFIRMATION = ANSWER | {"grade": "explicit", "confirmed_date": DAY}
CREDIT_NOTE = {"asset_id": ASSET, "number": "CN-1", "amount_minor": 1, "reason": "return", "issue_date": DAY}
RECEIPT = {
    "bank_reference": "B-1",
    "value_date": DAY,
    "amount_minor": 1,
    "currency": "CNY",
    "reference": "who knows",
    "payer_name": "Somebody",
}
DECISION = {
    "line_id": "bln_01h455vb4pex5vsknk084sn02q",
    "decision": "allocate",
    "allocations": [{"reference": ASSET, "amount_minor": 1}],
    "reverses": "bln_01h455vb4pex5vsknk084sn02q",
}
TRADE = {
    "invoice_number": "OLD-1",
    "seller": {"scheme": "platform", "value": "seller-1"},
    "obligor": {"scheme": "platform", "value": "obligor-1"},
    "currency": "CNY",
    "face_minor": 1000,
    "issue_date": "2025-01-02",
    "due_date": "2025-02-01",
    "settled_date": "2025-02-03",
}

BLIND = {
    "invoice": "a" * 64,
    "currency": "CNY",
    "invoice_face_minor": 1000,
    "amount_minor": 400,
    "documents": ["b" * 64],
    "similar": [{"kind": "order", "mark": "c" * 64}],
}

TRANSFER = {
    "asset_id": ASSET,
    "holder": {"scheme": "platform", "value": "supplier-1", "name": "A supplier"},
    "effective_date": DAY,
    "recourse": "with",
}
ENCUMBRANCE = {
    "asset_id": ASSET,
    "kind": "pledge",
    "beneficiary": "A bank",
    "ground": "a contract",
    "amount_minor": 1,
    "priority": 1,
}
FILING = {"asset_id": ASSET, "number": "F-1", "filed_date": DAY, "expires_date": "2027-03-02"}

BULK: dict[str, dict[str, Any]] = {
    "split_assets": {"asset_id": ASSET, "amounts_minor": [1, 2]},
    "transfer_assets": TRANSFER,
    "encumber_assets": ENCUMBRANCE,
    "keep_filings": FILING,
    "submit_receivables": SUBMISSION,
    "confirm_receivables": CONFIRMATION,
    "answer_receivables": ANSWER,
    "approve_receivables": {"asset_id": ASSET, "outcome": "declined", "reason": "no order"},
    "create_confirmation_requests": {"asset_id": ASSET, "valid_days": 30},
    "post_credit_notes": CREDIT_NOTE,
    "correct_assets": {"asset_id": ASSET, "reason": "clerical_error", "confirmed_date": DAY},
    "supersede_assets": {"asset_id": ASSET, "reason": "wrong_terms", "replacement": SUBMISSION},
    "post_receipts": RECEIPT,
    "decide_bank_lines": DECISION,
    "keep_trade_history": TRADE,
    "check_invoices": BLIND,
    "claim_invoices": BLIND,
}
"""One right item for each bulk operation."""

SINGLE: dict[str, dict[str, Any]] = {
    "release_encumbrance": {"reason": "repaid"},
    "acknowledge_notice": {"acknowledged_date": DAY, "evidence": "0" * 64},
    "put_callback_endpoint": {"url": "https://funder.example/callbacks"},
    "put_bank_account": {
        "account": "6222000011112222",
        "currency": "CNY",
        "table": {
            "columns": {"booking_date": "Date", "amount": "Amount"},
            "date_format": "%d.%m.%Y",
            "decimal_mark": ",",
            "thousands_mark": ".",
            "delimiter": ";",
            "newest_first": True,
        },
    },
    "move_clock": {"now": "2026-03-02T02:00:00Z"},
    "create_funder": {"name": "A fund", "public_jwk": JWK},
    "create_originator": {"name": "A platform", "public_jwk": JWK},
    "create_partner": {"name": "Another platform", "public_jwk": JWK},
    "release_invoice_claim": {"reason": "cancelled"},
    "create_originator_client": {"public_jwk": JWK},
    "create_obligor": {
        "scheme": "platform",
        "value": "obligor-1",
        "name": "A plant",
        "originator_id": ORIGINATOR,
        "public_jwk": JWK,
    },
    "put_policy": {
        "approvals": [{"currency": "CNY", "over_minor": 100}],
        "silence": [{"product": "working_capital", "jurisdiction": "CN", "after_days": 15}],
    },
    "create_mandate": mandate(advance_bps=9000, auto_commit=False, rank=1, grade_spreads_bps=[0, 10]),
    "train_model": {"horizon_days": 30},
    "commit_to_offer": {"asset_ids": [ASSET]},
    "refuse_offer": {"reason": "too dear"},
}
"""A right body for each other operation that reads one."""


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
        known |= {"encumbrance_id": "enc_01h455vb4pex5vsknk084sn02q", "notice_id": "ntc_01h455vb4pex5vsknk084sn02q"}
        known |= {"originator_id": ORIGINATOR, "kind": "invoice", "claim_id": CLAIM} | parts
        return self.path.format(**known)

    @property
    def body(self) -> dict[str, Any]:
        """A body of the right form."""
        return {"items": [BULK[self.name]]} if self.name in BULK else SINGLE[self.name]


def operations() -> Iterator[Operation]:
    """Every operation of the contract."""
    for path, methods in CONTRACT["paths"].items():
        for method, one in methods.items():
            if method == "parameters":
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
