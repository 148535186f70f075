"""A right policy with everything in it that one can have."""

DUNNING = {"template": "dunning_1", "team": "finance", "due_days": 1, "letter": "dunning_1"}
APPROVAL = {"template": "approval", "team": "risk", "due_days": 1, "second_to": "dunning_1"}
COLLECTION_POLICY = {
    "strategies": [
        {
            "code": "large",
            "when": {
                "products": ["working_capital"],
                "grades": ["D2"],
                "over": [{"currency": "CNY", "amount_minor": 1}],
            },
            "stages": [
                {"code": "first", "from_days": 4, "tasks": [DUNNING, APPROVAL]},
                {"code": "default", "on": "default", "tasks": []},
            ],
        },
        {"code": "standard", "stages": [{"code": "first", "from_days": 4, "tasks": []}]},
    ],
    "on_broken_promise": [DUNNING],
    "most_open_promises": 2,
    "longest_promise_days": 30,
    "promise_grace_days": 1,
    "reply_days": 7,
    "most_agency_fee_bps": 3000,
    "language": "zh",
    "calendar": "CN",
}
