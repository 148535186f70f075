"""A right body for each operation of facilities."""

from typing import Any

from tests.exchange.house import mandate

DAY = "2026-03-02"
PURCHASES = {name: value for name, value in mandate(advance_bps=9000).items() if name not in {"name", "auto_commit"}}
WATERFALL = {
    "steps": [
        {"legs": [{"due": "fees", "payee": "exchange"}], "when": "revolving"},
        {
            "legs": [
                {"due": "senior_interest", "payee": "senior", "share_ppm": 500_000},
                {"due": "reserve", "payee": "reserve", "share_ppm": 500_000},
            ],
            "remainder": "senior",
            "unless": "unhealthy",
        },
    ]
}
FACILITY_RULES = {
    "purchases": PURCHASES,
    "payments": {"first_date": DAY, "every_months": 1, "calendar": "CN", "convention": "following"},
    "eligibility": {
        "products": ["working_capital"],
        "recourse": ["with"],
        "confirmation_grades": ["explicit"],
        "max_pd_ppm": 1,
        "max_tenor_days": 1,
        "max_days_late": 1,
        "max_score_age_days": 1,
        "max_silence_days": 1,
        "max_late_share_ppm": 1,
    },
    "limits": [{"by": "sector", "share_ppm": 1, "amount_minor": 1, "of": "plastics"}],
    "triggers": [{"test": "delinquency", "threshold": 1, "turns": "stop"}],
    "profit": WATERFALL,
    "principal": {"steps": [{"legs": [{"due": "senior_principal", "payee": "senior"}]}]},
    "losses": ["first", "senior"],
    "advance_bps": 9_000,
    "dilution_bps": 20_000,
    "discount_bps": 600,
    "late": [{"days": 30, "share_ppm": 500_000}],
    "silence": [{"days": 30, "share_ppm": 500_000}],
    "stale": [{"days": 30, "share_ppm": 500_000}],
    "late_days": 30,
    "window_days": 90,
    "reserve_minor": 1,
    "reserve_ppm": 1,
    "fee_bps": 1,
    "notice_days": 1,
    "revolving_from": DAY,
    "revolving_until": "2027-03-02",
}
TRANCHE = {"kind": "tranche", "size_minor": 1, "rate_bps": 1, "day_count": "ACT/360"}
SENIOR = TRANCHE | {"name": "senior", "rank": 1, "min_subordination_bps": 1}
COVER = TRANCHE | {"name": "first", "kind": "cover", "rank": 2, "per_loss_minor": 1, "per_loss_ppm": 1}
FACILITY_BODIES: dict[str, dict[str, Any]] = {
    "open_facility": {"name": "A facility", "tranches": [SENIOR, COVER], "rules": FACILITY_RULES},
    "announce_rules": FACILITY_RULES,
    "enter_commitment": {"tranche": "senior", "funder_id": "fnd_01h455vb4pex5vsknk084sn02q", "amount_minor": 1},
    "call_capital": {"tranche": "senior", "amount_minor": 1, "due_date": DAY},
    "redeem_principal": {"tranche": "senior", "amount_minor": 1},
    "turn_facility": {"state": "amortising", "reason": "the end of it"},
    "report_servicing": {"currency": "CNY", "asset_count": 1, "outstanding_minor": 1},
}
