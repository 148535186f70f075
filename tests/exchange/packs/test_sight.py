"""What is in a pack, and above all what is not."""

import base64
import re
from datetime import UTC, datetime
from typing import Any

import orjson

from exchange.migrations.tables import METADATA
from exchange.packs import sight, tables
from ledger import keys
from ledger.records import open_record
from tests.exchange.house import House
from tests.exchange.packs.folders import Packs, content, table
from tests.exchange.packs.lived import HIDDEN_NUMBER, MIDDLE, PARTS, PERSON, SHARED_NUMBER, evidence, names

NOT_FOR_FUNDERS = {
    "company_fact", "fact_policy", "review_decision", "review_item", "review_policy", "obligor_rating",
    "rating_access", "rating_grant",
    "limit_use", "loss_rate", "model_evaluation", "model_event", "risk_policy", "shadow_score",
    "api_client", "approval", "auction_asset", "auction_certificate",
    "bank_account", "bank_line", "bank_statement", "callback_attempt", "callback_delivery", "callback_endpoint",
    "callback_outbox", "case_item", "case_referral", "case_stage", "charge_payment", "clash", "client_key",
    "closed_chunk", "closed_day", "collection_case", "collection_contact", "collection_day", "collection_policy",
    "collection_task", "collection_task_step", "confirmation_request", "controller", "correspondence",
    "erasure", "personal_access",
    "dunning_letter", "exposure", "facility_loss", "servicer_report", "idempotency_outcome", "invoice",
    "invoice_claim", "invoice_document", "likeness",
    "limit_suspension", "money_alarm", "obligor_limit", "partner", "partner_day", "payer_mark", "payment",
    "payment_advice", "payment_answer", "payment_file", "payment_plan", "payment_policy", "payment_promise",
    "payment_step", "payout_account", "pending_event", "promise_verdict", "promised_asset", "reconciliation_break",
    "reconciliation_break_fact", "reconciliation_run", "recourse_call", "rehearsal", "request_count",
    "requested_answer",
    "schedule_fired", "scoring_model",
    "servicing_policy", "servicing_touched", "set_aside_event", "settlement_policy", "settlement_proof",
    "signed_request",
    "submission_policy", "supersession", "trade", "used_assertion", "used_proof", "virtual_account", "work_decision",
    "work_item", "worker_heartbeat", "write_off_request", "log_leaf", "log_tile", "books_balances",
    "round_clearing", "round_dropped", "round_part", "round_progress",
    "sandbox", "sandbox_day", "sandbox_scenario",
}  # fmt: skip
"""Tables of others, of the whole market or of the machine. The last three are in other files."""

SECRET = re.compile(r"secret|sealed|password|token|private|salt|jti")


def text_of(packs: Packs, scope: str | None) -> str:
    """Everything a pack says, with what is in base64url and hexadecimal in it."""
    told = b"\n".join(f"{path}\n".encode() + data for path, data in content(packs(scope)).items())
    text = told.decode("latin-1")
    inner = [decoded(word) for word in re.findall(r"[\w-]{20,}", text)]
    inner += [bytes.fromhex(word).decode("latin-1") for word in re.findall(r"\\x((?:[0-9a-f]{2}){4,})", text)]
    return text + "\n".join(inner)


def decoded(word: str) -> str:
    """What a word says if it is base64url."""
    return base64.urlsafe_b64decode(word[: len(word) // 4 * 4]).decode("latin-1")


def payloads(packs: Packs, scope: str) -> list[dict[str, Any]]:
    """The signed payloads of a pack's tape."""
    records = table(packs(scope), "records.ndjson.gz")
    return [orjson.loads(decoded_part(one["jws"].split(".")[1])) for one in records]


def decoded_part(part: str) -> bytes:
    """A part of a JWS."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_no_funder_learns_of_another(house: House, packs: Packs) -> None:
    """Not its name, its id, its mandates, pools, offers or customers: in no file, in no form."""
    mine, rival = house.funder_ids
    told = text_of(packs, mine)
    others = {rival, "Rival", HIDDEN_NUMBER, "CN22", "CN33", "seller/", "who knows"}
    for path, name in [("mandate", "mandate_id"), ("pool", "pool_id"), ("offer", "offer_id")]:
        rows = table(packs(None), f"tables/{path}.ndjson.gz")
        others |= {row[name] for row in rows if row["funder_id"] == rival}
    others |= {names(house)[1], evidence(names(house)[1])}
    assert len(others) > 10
    assert {other for other in others if other in told} == set()
    assert "CN11" in told, "the search finds what is there"
    whole = text_of(packs, None)
    assert {other for other in others if other not in whole} == set()


def test_an_asset_that_went_elsewhere_is_cut(house: House, packs: Packs) -> None:
    """The refused asset is in the pack as it was offered: no record of its sale, nothing of who owes it."""
    mine, rival = house.funder_ids
    whole = table(packs(None), "tables/receivable.ndjson.gz")
    (asset_id,) = (row["asset_id"] for row in whole if row["invoice_number"] == HIDDEN_NUMBER)
    kinds = {
        scope: [one["type"] for one in payloads(packs, scope) if one["asset"] == asset_id] for scope in (mine, rival)
    }
    assert "asset.confirmed" in kinds[mine]
    assert "asset.assigned" not in kinds[mine]
    assert "asset.assigned" in kinds[rival]
    assert kinds[rival][: len(kinds[mine])] == kinds[mine]
    (row,) = (row for row in table(packs(mine), "tables/receivable.ndjson.gz") if row["asset_id"] == asset_id)
    assert (row["seller_id"], row["obligor_id"]) == sight.WITHHELD
    (claim,) = (row for row in table(packs(mine), "tables/claim.ndjson.gz") if row["asset_id"] == asset_id)
    assert (claim["state"], claim["pool_id"], claim["outstanding_minor"]) == ("free", None, 1_000_000)
    disclosed = [
        one["disclosures"]
        for one, told in zip(table(packs(mine), "records.ndjson.gz"), payloads(packs, mine), strict=True)
        if told["asset"] == asset_id
    ]
    assert not any(disclosed)


def test_what_was_bought_is_disclosed(house: House, packs: Packs) -> None:
    """A holder's tape says who owes it, under the signature that stood before."""
    mine = house.funder_ids[0]
    known = keys.keyring(
        keys.public_key_from_jwk(one) for one in orjson.loads(content(packs(mine))["keys.json"])["keys"]
    )
    opened = [
        open_record(one["jws"], keys=known, disclosures=one["disclosures"])
        for one in table(packs(mine), "records.ndjson.gz")
    ]
    numbers = {one.disclosed.get("invoice_number") for one in opened}
    assert {"A-1", "A-2"} <= numbers
    assert any(one.type == "asset.assigned" and one.disclosed["price_minor"] > 0 for one in opened)


TITLE = ("endorsement", "encumbrance", "noticed_asset", "filing", "receipt_share")
"""Tables that say something of the shared invoice in each funder's pack."""


def test_each_sees_its_own_part(house: House, packs: Packs) -> None:
    """Of one invoice that two hold: whose it was before, each its own part, paper, payment; of the other's nothing."""
    (root,) = (
        row["asset_id"]
        for row in table(packs(None), "tables/receivable.ndjson.gz")
        if row["invoice_number"] == SHARED_NUMBER
    )
    claims = [row for row in table(packs(None), "tables/claim.ndjson.gz") if row["root_id"] == root]
    part = {row["face_minor"]: row["asset_id"] for row in claims if row["parent_id"] == root}
    assert sorted(part) == sorted(PARTS)
    for number, scope in enumerate(house.funder_ids):
        own, others = part[PARTS[number]], part[PARTS[1 - number]]
        family = {row["asset_id"] for row in claims} - {others}
        family -= {row["asset_id"] for row in claims if row["parent_id"] == others}
        shown = {row["asset_id"] for row in table(packs(scope), "tables/claim.ndjson.gz") if row["root_id"] == root}
        assert shown == family
        assert ({one["asset"] for one in payloads(packs, scope)} & {row["asset_id"] for row in claims}) == family
        for name in TITLE:
            about = {row["asset_id"] for row in table(packs(scope), f"tables/{name}.ndjson.gz")}
            assert about & family, name
            assert about & {row["asset_id"] for row in claims} <= family, name
        told = text_of(packs, scope)
        assert MIDDLE in told
        assert names(house)[number] in told
        assert names(house)[1 - number] not in told
        assert evidence(names(house)[number]) in told
        assert own in family
        funder = house.funders[number]
        listed = {one["asset_id"] for one in funder.get("/v1/assets?limit=100")["items"]}
        assert listed & {row["asset_id"] for row in claims} == family, "the API shows no more than the pack"
        for row in claims:
            seen = funder.call("GET", f"/v1/assets/{row['asset_id']}/records").status_code
            assert seen == (200 if row["asset_id"] in family else 404)


def test_transfers_balance_without_the_others(house: House, packs: Packs) -> None:
    """Each transfer of a funder's journal sums to nothing; the numbers in it count from 1 and tell nothing."""
    for scope in house.funder_ids:
        unit = {row["account_id"]: row["commodity"] for row in table(packs(scope), "books/accounts.ndjson.gz")}
        sums: dict[tuple[int, str], int] = {}
        for leg in table(packs(scope), "books/legs.ndjson.gz"):
            place = (leg["transfer_id"], unit[leg["account_id"]])
            sums[place] = sums.get(place, 0) + leg["amount_minor"]
        assert sums
        assert set(sums.values()) == {0}
        assert sorted(unit) == list(range(1, len(unit) + 1))
        ids = [row["transfer_id"] for row in table(packs(scope), "books/transfers.ndjson.gz")]
        assert ids == list(range(1, len(ids) + 1))


def test_every_table_was_thought_of() -> None:
    """A new table goes into the whole pack by itself; whether a funder may see it, somebody has to say."""
    names = {table.name for metadata in METADATA for table in metadata.tables.values()}
    assert set(sight.FILES) | NOT_FOR_FUNDERS == names
    assert set(sight.FILES) & NOT_FOR_FUNDERS == set()


def test_secrets_stay_at_home(packs: Packs) -> None:
    """A column that sounds like a secret is left out by name, or is one of those that only sound so."""
    columns = {f"{one.name}.{column}" for one in tables.packed() for column in tables.columns_of(one)}
    assert {column for column in columns if SECRET.search(column)} == set()
    known = {table.name: table for table in tables.tables()}
    for place in tables.LEFT_OUT:
        name, _, column = place.partition(".")
        assert not column or column in known[name].columns
    manifest = orjson.loads(content(packs(None))["manifest.json"])
    assert manifest["left_out"] == dict(tables.LEFT_OUT)
    assert "tables/callback_endpoint.ndjson.gz" not in manifest["files"]


def test_a_person_stays_unknown(house: House, packs: Packs) -> None:
    """Neither its national id nor its sealed form is in a pack; the keyed hash is in that of the exchange alone."""
    assert table(packs(None), "tables/controller.ndjson.gz")[0].keys() == {
        "controller_id", "identity_hash", "created_at", "erased_at",
    }  # fmt: skip
    for scope in (None, *house.funder_ids):
        assert PERSON not in text_of(packs, scope)
        assert scope is None or "controller" not in "".join(content(packs(scope)))


def test_a_manifest_says_what_there_is(house: House, packs: Packs) -> None:
    """Scope, moment, revision, log; rows of each table."""
    for scope in (None, *house.funder_ids):
        files = content(packs(scope))
        manifest = orjson.loads(files["manifest.json"])
        assert manifest["scope"] == scope or (scope is None and manifest["scope"] == "exchange")
        assert datetime.strptime(manifest["made_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).year == 2026
        size = manifest["log"]["size"]
        assert files["log/checkpoint"].decode().splitlines()[:2] == [manifest["log"]["origin"], str(size)]
        counted = {path: data.count(b"\n") for path, data in files.items() if path.endswith(".gz")}
        assert {path: one["rows"] for path, one in manifest["files"].items() if "rows" in one} == counted
        if scope is None:
            assert counted["records.ndjson.gz"] == size
