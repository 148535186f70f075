"""A right body for each operation that reads one: what the battery spoils."""

from typing import Any

from tests.exchange.collections.bodies import COLLECTION_POLICY
from tests.exchange.facilities.bodies import FACILITY_BODIES
from tests.exchange.facts.bodies import FACT_POLICY, FACTS
from tests.exchange.house import mandate, receivable
from tests.exchange.reviews.bodies import REVIEW_POLICY
from tests.exchange.trading.bodies import TRADING

DAY = "2026-03-02"
ASSET = "ast_01h455vb4pex5vsknk084sn02q"
ORIGINATOR = "org_01h455vb4pex5vsknk084sn02q"
OFFER = "ofr_01h455vb4pex5vsknk084sn02q"
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
CLAIM = "icl_01h455vb4pex5vsknk084sn02q"
RATING_GRANT = {
    "funder_id": "fnd_01h455vb4pex5vsknk084sn02q",
    "company_id": "com_01h455vb4pex5vsknk084sn02q",
    "purpose": "monitoring",
    "consent": "a" * 64,
    "from_date": DAY,
    "until_date": "2027-03-02",
}
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

ACCOUNT = "poa_01h455vb4pex5vsknk084sn02q"
PAYMENT = "pay_01h455vb4pex5vsknk084sn02q"
CREDITOR = {"holder_name": "A plant", "account": "6228000111122223333", "agent": "BKCHCNBJ"}
PAYER = {"account": "6222000011112222", "name": "The exchange", "agent": "BKCHCNBJ"}
ADVICE = {"asset_id": ASSET, "amount_minor": 1, "paid_date": DAY, "account": "6222000011112222"}

BULK: dict[str, dict[str, Any]] = {
    "answer_settlements": {"sequence": 1, "answer": "disputed", "reason": "not ours"},
    **FACTS,
    "decide_payout_accounts": {"account_id": ACCOUNT, "outcome": "declined", "reason": "not ours"},
    "approve_payments": {"payment_id": PAYMENT, "outcome": "declined", "reason": "not owed"},
    "advise_payments": ADVICE,
    "acknowledge_alarms": {"alarm_id": "alm_01h455vb4pex5vsknk084sn02q", "reason": "the bank is asked"},
    "enter_virtual_accounts": {
        "number": "622200001111222201",
        "account": "6222000011112222",
        "asset_id": ASSET,
        "company_id": "com_01h455vb4pex5vsknk084sn02q",
        "closed": False,
    },
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
    "create_sandbox": {"name": "Integration", "start_date": "2031-03-03", "seed": 5},
    "advance_clock": {"days": 3, "stop_at": ["offer.made"]},
    "begin_scenario": {"kind": "late_payer"},
    "put_fact_policy": FACT_POLICY,
    "read_national_id": {"purpose": "legal_request", "reason": "court letter 7"},
    "ask_erasure": {"reason": "the person asked"},
    "decide_erasure": {"decision": "approved"},
    **TRADING,
    **FACILITY_BODIES,
    "grant_rating": RATING_GRANT,
    "revoke_rating_grant": {"reason": "the consent was withdrawn"},
    "decide_review": {"decision": "confirmed", "reason": "they are one", "suspend": True},
    "put_review_policy": REVIEW_POLICY,
    "put_collection_policy": COLLECTION_POLICY,
    "put_letter_language": {"language": "en"},
    "log_contact": {
        "channel": "phone",
        "reached": True,
        "person": "accounts payable",
        "said": "pays soon",
        "contact_date": DAY,
    },
    "enter_promise": {
        "asset_ids": [ASSET],
        "currency": "CNY",
        "amount_minor": 1,
        "due_date": "2026-03-09",
        "promised_by": "director",
    },
    "propose_plan": {"asset_id": ASSET, "instalments": [{"due_date": "2026-03-09", "amount_minor": 1}]},
    "decide_plan": {"reschedule_id": "fbr_01h455vb4pex5vsknk084sn02q"},
    "refer_case": {"kind": "agency", "to": "An agency", "reference": "A-1", "fee_bps": 1000},
    "end_referral": {"reason": "nothing came in"},
    "give_up_case": {"result": "uncollectable", "reason": "dissolved"},
    "take_task_step": {"step": "assigned", "assignee": "E-1"},
    "note_letter_sent": {"channel": "email", "reference": "M-1", "sent_date": DAY},
    "release_encumbrance": {"reason": "repaid"},
    "dispute_asset": {"amount_minor": 1, "reason": "quality", "statement": "it melts"},
    "resolve_dispute": {
        "outcome": "partly_upheld",
        "finding": "it does",
        "credited_minor": 1,
        "note_number": "CN-1",
    },
    "repurchase_asset": {"reason": "a better customer"},
    "refuse_repurchase": {"reason": "it is fine"},
    "write_off_asset": {"amount_minor": 1, "reason": "insolvent"},
    "decide_write_off": {"outcome": "approved"},
    "recover_asset": {
        "bank_reference": "B-1",
        "value_date": DAY,
        "amount_minor": 1,
        "currency": "CNY",
        "payer_name": "A guarantor",
    },
    "charge_fee": {"reference": "F-1", "amount_minor": 1},
    "put_settlement_policy": {
        "originator_id": ORIGINATOR,
        "product": "working_capital",
        "order": {
            "steps": [
                {
                    "legs": [{"due": "fees", "share_ppm": 500_000}, {"due": "penalty", "share_ppm": 500_000}],
                    "remainder": "fees",
                },
                {"legs": [{"due": "discount"}]},
                {"legs": [{"due": "principal"}]},
                {"legs": [{"due": "holdback"}]},
            ]
        },
        "penalty_bps": 1,
        "penalty_grace_days": 1,
        "tolerance_minor": 1,
        "tolerance_bps": 1,
        "write_offs": [{"days_late": 180, "share_ppm": 500_000}],
        "second_person_minor": 1,
        "limited_recourse_ppm": 1,
        "recourse_days": 1,
    },
    "acknowledge_notice": {"acknowledged_date": DAY, "evidence": "0" * 64},
    "switch_callback_endpoint": {"enabled": True},
    "recover_events": {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"},
    "send_example": {"type": "offer.made"},
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
    "decide_break": {
        "decision": "assign",
        "reason": "look at it",
        "team": "finance",
        "assigned_to": "cli_01h455vb4pex5vsknk084sn02q",
    },
    "decide_work": {"decision": "retry", "reason": "mended"},
    "enter_payout_account": CREDITOR | {"currency": "CNY", "seller": {"scheme": "platform", "value": "seller-1"}},
    "close_payout_account": {"reason": "it was lost"},
    "pay_seller": {"seller": {"scheme": "platform", "value": "seller-1"}, "currency": "CNY", "part_minor": 1},
    "withdraw_cash": {"currency": "CNY", "part_minor": 1},
    "refund_receipt": {"receipt_id": "rcp_01h455vb4pex5vsknk084sn02q", "part_minor": 1, "creditor": CREDITOR},
    "cancel_payment": {"reason": "a mistake"},
    "make_payment_file": {"account": "6222000011112222", "message": "pain.001.001.09"},
    "put_payment_policy": {
        "approve_above": [{"currency": "CNY", "amount_minor": 1}],
        "pay_from": [{"currency": "CNY", "amount_minor": 1}],
        "payers": [PAYER],
        "cut_off": "16:00",
        "cooling_days": 1,
        "calendar": "CN",
        "most_payments": 100,
        "advice_days": 3,
        "late_share_bps": 3000,
        "late_obligors": 3,
    },
    "put_servicing_policy": {
        "originator_id": ORIGINATOR,
        "product": "working_capital",
        "effective_from": "2027-03-02",
        "terms": {
            "grace_days": 1,
            "calendar": "CN",
            "convention": "following",
            "reminder_days": [3],
            "buckets": [{"from_day": 1, "to_day": 30}, {"from_day": 31}],
            "near_breach_day": 40,
            "default_day": 60,
            "charge_off_day": 90,
            "suspends_at": "late_31",
            "suspends_group": True,
            "lifting": {"by": "person", "second_person": True},
            "forbearance": {"max_pause_days": 1, "max_extension_days": 1, "max_count": 1},
        },
    },
    "propose_forbearance": {
        "kind": "reschedule",
        "from_date": DAY,
        "until_date": "2026-03-09",
        "instalments": [{"due_date": "2026-04-02", "amount_minor": 1}],
        "reason": "flood",
    },
    "answer_forbearance": {"outcome": "refused", "reason": "no"},
    "put_forbearance_consent": {"kinds": ["pause"], "max_days": 10, "max_count": 1},
    "suspend_limits": {"obligor_id": "com_01h455vb4pex5vsknk084sn02q", "reason": "rumours"},
    "lift_suspension": {"reason": "all well"},
    "move_clock": {"now": "2026-03-02T02:00:00Z"},
    "create_funder": {"name": "A fund", "public_jwk": JWK},
    "create_originator": {"name": "A platform", "public_jwk": JWK},
    "create_partner": {"name": "Another platform", "public_jwk": JWK},
    "release_invoice_claim": {"reason": "cancelled"},
    "create_originator_client": {"public_jwk": JWK},
    "add_client_key": {"public_jwk": JWK},
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
    "rehearse_mandate": {name: value for name, value in mandate().items() if name != "name"},
    "create_mandate": mandate(advance_bps=9000, auto_commit=False, rank=1, grade_spreads_bps=[0, 10]),
    "train_model": {"horizon_days": 30, "at_once": False, "reason": "quarter end"},
    "evaluate_model": {"reason": "shadow is over"},
    "promote_model": {"reason": "better"},
    "roll_back_model": {"reason": "worse", "version": "mdl_0123456789abcdef"},
    "put_risk_policy": {
        "expected_loss_budget_minor": 20_000_000,
        "most_tenor_days": [360, 360, 270, 180, 180, 180, 120, 120, 90, 60, 30],
        "automatic": False,
    },
    "commit_to_offer": {"asset_ids": [ASSET]},
    "refuse_offer": {"reason": "too dear"},
}
"""A right body for each other operation that reads one."""
