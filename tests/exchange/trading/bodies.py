"""Right bodies of this room's operations, for the tests of errors."""

from typing import Any

ASSET = "ast_01h455vb4pex5vsknk084sn02q"
MANDATE = "mdt_01h455vb4pex5vsknk084sn02q"

TRADING: dict[str, dict[str, Any]] = {
    "create_auction": {
        "currency": "CNY",
        "opens_at": "2026-03-02T02:00:00Z",
        "closes_at": "2026-03-03T02:00:00Z",
        "reserve_bps": 800,
        "advance_bps": 9_000,
        "pricing": "uniform",
        "min_part_minor": 1,
        "lots": [[ASSET]],
    },
    "bid_in_auction": {
        "lot": 0,
        "mandate_id": MANDATE,
        "discount_bps": 500,
        "amount_minor": 1,
        "salt": "0" * 32,
    },
    "create_co_funding": {"asset_id": ASSET, "shares": [{"mandate_id": MANDATE, "amount_minor": 1}] * 2},
    "create_listing": {
        "asset_ids": [ASSET],
        "currency": "CNY",
        "price_ppm": 990_000,
        "min_part_minor": 1,
        "valid_until": "2026-03-03T02:00:00Z",
    },
    "take_listing": {"mandate_id": MANDATE, "asset_ids": [ASSET], "part_minor": 1},
}
