"""Facts that are right, one of each kind."""

from typing import Any

DAY = "2026-03-02"
COMPANY = {"scheme": "platform", "value": "obligor-1"}
SELLER = {"scheme": "platform", "value": "seller-1"}
PERSON = {"national_id": "110101199003071234"}
TOLD = {"source": "erp", "effective_date": DAY}
CREDIT = {
    "currency": "CNY",
    "loans_minor": 5_000,
    "overdue_minor": 100,
    "guarantees_minor": 10,
    "worst_days_past_due": 12,
    "inquiries": 2,
    "court_cases": 1,
    "score": 600,
}
DEALING = TOLD | {
    "company": COMPANY,
    "counterparty": SELLER,
    "number": "N-1",
    "currency": "CNY",
    "amount_minor": 70_000,
}
GOODS = DEALING | {"quantity_kg": 1_000, "material": "PP"}
ITEMS = {"total_assets": 100, "total_liabilities": 60, "equity": 40}

FACTS: dict[str, dict[str, Any]] = {
    "tell_registrations": TOLD
    | {
        "company": COMPANY,
        "name": "Obligor Plastics",
        "status": "active",
        "registered_on": "2011-05-06",
        "address": "Ningbo, Harbour Road 1",
        "sector": "plastics",
        "region": "Zhejiang",
        "person": PERSON,
    },
    "tell_controls": TOLD | {"company": COMPANY, "person": PERSON, "event": "began"},
    "tell_shareholdings": TOLD | {"company": COMPANY, "person": PERSON, "share_bps": 6_000},
    "tell_accounts": TOLD | {"company": COMPANY, "account": "6222000011112222", "bank": "ICBC", "state": "open"},
    "tell_statements": TOLD
    | {"company": COMPANY, "months": 12, "consolidated": True, "currency": "CNY", "items": ITEMS},
    "tell_reports": TOLD | {"company": COMPANY} | CREDIT,
    "tell_person_reports": TOLD | {"person": PERSON} | CREDIT,
    "tell_orders": GOODS,
    "tell_deliveries": GOODS,
    "tell_returns": GOODS,
    "tell_invoices": DEALING | {"due_date": "2026-05-01"},
    "tell_payments": DEALING | {"reference": "N-1"},
    "tell_prices": TOLD | {"series": "PP", "currency": "CNY", "price_minor": 800_000},
    "withdraw_facts": {"fact_id": "fct_01h455vb4pex5vsknk084sn02q", "reason": "a mistake"},
}
"""An item of each operation that tells or withdraws."""

FACT_POLICY = {
    "age_limits": [{"kind": "report", "days": 90}],
    "checklists": [
        {
            "product": "working_capital",
            "items": [{"kind": "report", "needed": True, "why": {"en": "debts elsewhere", "zh": "在他处的负债"}}],
        }
    ],
}
