"""Every event a funder may be told, and the fields of its `data`: what is not here cannot be told."""

from typing import Any

_ITEM = {"type": "object", "required": ["asset_id", "receipt_id", "amount_minor"]}
_PART = {"type": "object", "required": ["tranche", "kind", "amount_minor"]}
_DUE = {"type": "object", "required": ["due_date", "amount_minor"]}
_LEG = {"type": "object", "required": ["account", "commodity", "amount_minor", "balance_minor"]}

_DATE = {"type": "string", "format": "date"}
_OBJECT = {"type": "object"}
_FIELDS: dict[str, dict[str, Any]] = {
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "valid_until": {"type": "string", "format": "date-time"},
    "since": {"type": "string", "format": "date-time"},
    "asset_ids": {"type": "array", "items": {"type": "string"}},
    "items": {"type": "array", "items": _ITEM},
    "paid": {"type": "array", "items": _PART},
    "own": {"type": "array", "items": _PART},
    "instalments": {"type": "array", "items": _DUE},
    "numbers": _OBJECT,
    "side": {"enum": ["bought", "sold"]},
    "days_past_due": {"type": "integer"},
    "lot": {"type": "integer", "minimum": 0},
    "last_digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "events": {"type": "integer", "minimum": 1},
    "version": {"type": "integer", "minimum": 1},
    "transfer_id": {"type": "integer", "description": "The transfer in the books"},
    "transfer": {"type": "string", "description": "The key of the transfer in the books"},
    "legs": {"type": "array", "items": _LEG, "description": "What the transfer moved on your accounts"},
    "title": {"type": "object", "description": "What it moved of your title, by minor units of face"},
    "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the file as NDJSON"},
    "csv_digest": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the file as CSV"},
}
_ENDINGS: dict[str, dict[str, Any]] = {
    "_id": {"type": "string"},
    "_minor": {"type": "integer", "description": "Minor units of the currency"},
    "_bps": {"type": "integer"},
    "_count": {"type": "integer", "minimum": 0},
    "_date": _DATE,
    "_on": _DATE,
    "_sequence": {"type": "integer", "minimum": 0},
}

_POOL = "offer_id pool_id currency asset_count face_minor price_minor"
_STAGE = "asset_id business_date days_past_due outstanding_minor"
_RECEIPT = "receipt_id currency amount_minor"
_WAITING = "forbearance_id asset_id kind from_date? until_date? instalments?"
_PAYMENT = "payment_id currency amount_minor execution_date/null reason/null"
_TURN = "facility_id axis value reason? test? numbers effective_date"
_ALARM = "alarm_id kind asset_id/null numbers"
_MONEY = (
    "transfer_id transfer memo effective_date legs title? seller_minor? fees_minor? "
    "asset_id? offer_id? receipt_id? payment_id? end_to_end_id? trade_id? bid_id? reverses?"
)

_STEPS = (
    *("reserved", "released", "purchased", "traded", "deposited", "collected", "recovered", "reversed", "diluted"),
    *("charged_off", "written_off", "recourse_claimed", "recourse_paid", "repurchased", "payout_taken", "payout_paid"),
    *("payout_back", "payout_returned", "capital_paid_in", "distributed", "posted"),
)

DATA: dict[str, str] = {
    "offer.made": f"{_POOL} mandate_id valid_until",
    "offer.lapsed": "offer_id pool_id",
    "purchase.settled": f"{_POOL} effective_date transfer",
    "bid.won": "auction_id bid_id lot rate_bps taken_minor pool_id",
    "bid.lost": "auction_id bid_id lot reason",
    "listing.withdrawn": "listing_id reason",
    "trade.settled": "trade_id currency asset_count face_minor price_minor effective_date side "
    "listing_id? result_minor? pool_id?",
    "asset.late": f"{_STAGE} stage",
    "asset.near_breach": f"{_STAGE} stage",
    "asset.cured": f"{_STAGE} stage",
    "asset.defaulted": f"{_STAGE} stage",
    "asset.tag_withdrawn": "asset_id business_date tag effective_date",
    "asset.paused": f"{_WAITING} effective_date",
    "asset.resumed": f"{_WAITING} effective_date",
    "asset.rescheduled": f"{_WAITING} effective_date",
    "asset.reset": f"{_WAITING} effective_date",
    "forbearance.proposed": _WAITING,
    "asset.repaid": "asset_id value_date",
    "asset.diluted": "asset_id amount_minor reason issue_date outstanding_minor paid_minor",
    "asset.disputed": "asset_id dispute amount_minor reason effective_date",
    "asset.dispute_resolved": "asset_id dispute outcome credited_minor effective_date",
    "asset.charged_off": "asset_id amount_minor outstanding_minor effective_date",
    "asset.written_off": "asset_id amount_minor reason effective_date outstanding_minor loss_minor",
    "asset.repurchased": "asset_id effective_date reason price_minor transfer",
    "asset.duplicate_claimed": "asset_id kind",
    "repurchase.proposed": "repurchase_id asset_id price_minor reason",
    "recourse.claimed": "asset_id amount_minor due_date effective_date",
    "recourse.paid": "asset_id amount_minor cause effective_date left_minor",
    "collection.distributed": "currency amount_minor items",
    "collection.reversed": f"{_RECEIPT} asset_id",
    "deposit.received": _RECEIPT,
    "deposit.reversed": _RECEIPT,
    "case.opened": _STAGE,
    "case.closed": "asset_id business_date reason",
    "promise.broken": "asset_ids due_date currency? amount_minor? paid_minor?",
    **{
        f"payment.{state}": _PAYMENT
        for state in ["proposed", "scheduled", "instructed", "in_transit", "paid", "failed", "cancelled", "returned"]
    },
    **{f"facility.{axis}": _TURN for axis in ("state", "health", "trigger")},
    "facility.rules_announced": "facility_id version effective_on",
    "facility.rules_applied": "facility_id version",
    "facility.distributed": "facility_id state available_minor profit_minor fees_minor payment_date effective_date "
    "paid own",
    "capital.called": "facility_id call_id due_date tranche currency amount_minor",
    "alarm.raised": _ALARM,
    "alarm.cleared": _ALARM,
    **{f"settlement.{step}": _MONEY for step in _STEPS},
    "settlement.price_paid": "offer_id currency amount_minor effective_date",
    "settlement.day_closed": "business_date events first_sequence last_sequence digest csv_digest",
    "endpoint.disabled": "url reason since",
}
"""The fields by type: `?` may be missing, `/null` may be null."""

_DIGESTS = ("digest", "csv_digest", "last_digest")

HEARTBEAT = "stream.heartbeat"
"""No event: it has no place in the stream, and says how far the stream has come."""
HEARTBEAT_DATA = "last_sequence last_digest/null"


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the `data` of an event; of the heartbeat's too."""
    required, properties = [], {}
    for word in (HEARTBEAT_DATA if kind == HEARTBEAT else DATA[kind]).split():
        name = word.removesuffix("?").removesuffix("/null")
        field = _field(name)
        properties[name] = {"anyOf": [field, {"type": "null"}]} if word.endswith("/null") else field
        if not word.endswith("?"):
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def example(kind: str) -> dict[str, Any]:
    """Data of the right form, and of no meaning."""
    return {name: _sample(name, field) for name, field in schema(kind)["properties"].items()}


def _sample(name: str, field: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if "anyOf" in field:
        return None
    if "enum" in field:
        return field["enum"][0]
    if field["type"] == "object":
        return {one: _sample(one, _field(one)) for one in field.get("required", ())}
    if field["type"] == "array":
        return [_sample(name, field["items"])]
    if field["type"] == "integer":
        return 1
    formats = {"date": "2026-01-31", "date-time": "2026-01-31T00:00:00Z"}
    known = {"currency": "CNY", "commodity": "CNY/2", "account": "cash"} | dict.fromkeys(_DIGESTS, "0" * 64)
    return known.get(name) or formats.get(field.get("format", ""), f"{name}-example")


def _field(name: str) -> dict[str, Any]:
    if name in _FIELDS:
        return _FIELDS[name]
    return next((found for end, found in _ENDINGS.items() if name.endswith(end)), {"type": "string"})
