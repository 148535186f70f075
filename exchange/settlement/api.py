"""Statements, bank lines and credit notes in; what waits for a person, and what it decides."""

from typing import Any

from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.receivables.api import origin_of
from exchange.schemas import PageQuery
from exchange.settlement import charges, policies, policy_schemas, queries
from exchange.settlement import virtual_accounts as numbers
from exchange.settlement.decisions import decide_lines
from exchange.settlement.dilution import enter_credit_notes
from exchange.settlement.receipts import Entered, Refused, enter_receipts
from exchange.settlement.schemas import (
    CreditNoteItem,
    CreditNoteResults,
    CreditNoteSchema,
    CreditNotesSchema,
    ReceiptItem,
    ReceiptResults,
    ReceiptSchema,
    ReceiptsSchema,
)
from exchange.settlement.statement_schemas import (
    AccountBody,
    AccountShown,
    DecisionItem,
    DecisionResults,
    DecisionSchema,
    DecisionsSchema,
    LinePage,
    LineQuery,
    StatementPage,
    StatementQuery,
    StatementsEntered,
    VirtualAccountItem,
    VirtualAccountPage,
    VirtualAccountResults,
    VirtualAccountSchema,
    VirtualAccountsSchema,
)
from exchange.settlement.statements import File, enter_statements, put_account
from exchange.title.queries import may_see

room = Room("settlement", __name__, url_prefix="/v1", description="Money from the bank, and credit notes")


@room.operation(
    "/receipts",
    method="POST",
    roles=[Role.OPERATOR],
    bulk=ReceiptsSchema,
    result=ReceiptResults,
    idempotent=True,
)
def post_receipts(call: Call) -> dict[str, Any]:
    """Enter up to 1,000 credit lines of the collection account's statement."""
    read = read_items(call.raw, ReceiptItem, ReceiptSchema())
    today = call.today
    entered = enter_receipts(call.session, services=call.services, items=read.good, today=today, now=call.now)
    return read.answer({index: _receipt_result(index, entered[index], item) for index, item in read.good})


@room.operation(
    "/credit-notes",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=CreditNotesSchema,
    result=CreditNoteResults,
    idempotent=True,
)
def post_credit_notes(call: Call) -> dict[str, Any]:
    """Enter up to 1,000 credit notes."""
    read = read_items(call.raw, CreditNoteItem, CreditNoteSchema())
    refused = enter_credit_notes(call.session, origin=origin_of(call), items=read.good)
    return read.judged(refused)


@room.operation(
    "/settlement-policies",
    method="PUT",
    roles=[Role.OPERATOR],
    body=policy_schemas.SettlementPolicyBody,
    result=policy_schemas.SettlementPolicyEntered,
)
def put_settlement_policy(call: Call) -> dict[str, Any]:
    """Set how collections are shared and losses taken, from now on."""
    data = dict(call.body)
    of = {"originator_id": data.pop("originator_id", None), "product": data.pop("product", None)}
    terms, client_id = policies.read_terms(data), call.caller.client_id
    return {"version": policies.put_policy(call.session, terms=terms, client_id=client_id, now=call.now, **of)}


@room.operation(
    "/settlement-policies",
    roles=[Role.OPERATOR, Role.AUDITOR],
    query=policy_schemas.SettlementPolicyQuery,
    result=policy_schemas.SettlementPoliciesShown,
)
def list_settlement_policies(call: Call) -> dict[str, Any]:
    """Every version of all terms, oldest first."""
    return {"items": policies.versions(call.session, **call.query)}


@room.operation(
    "/assets/<asset_id>/charges",
    method="POST",
    roles=[Role.OPERATOR],
    body=policy_schemas.FeeBody,
    result=policy_schemas.FeeEntered,
    status=201,
    idempotent=True,
)
def charge_fee(call: Call, asset_id: str) -> dict[str, Any]:
    """Charge the obligor of an asset a fee; what it pays is shared by the policy's order."""
    charge_id = charges.enter_fee(
        call.session,
        services=call.services,
        asset_id=asset_id,
        client_id=call.caller.client_id,
        today=call.today,
        now=call.now,
        **call.body,
    )
    return {"charge_id": charge_id}


@room.operation(
    "/assets/<asset_id>/charges",
    roles=[Role.PLATFORM, Role.FUNDER, Role.OPERATOR, Role.AUDITOR],
    result=policy_schemas.ChargesShown,
)
def list_charges(call: Call, asset_id: str) -> dict[str, Any]:
    """What the obligor of an asset owes on top of it, and what it paid of that."""
    if not may_see(call.session, caller=call.caller, asset_id=asset_id):
        raise NotFound("There is no such asset.")
    return {"items": charges.charges(call.session, asset_id=asset_id)}


@room.operation("/bank-accounts", method="PUT", roles=[Role.OPERATOR], body=AccountBody, result=AccountShown)
def put_bank_account(call: Call) -> dict[str, Any]:
    """Enter a collection account whose statements are taken, or the columns of its tables anew."""
    account, currency, columns = call.body["account"], call.body["currency"], call.body.get("table")
    known = put_account(call.session, account=account, currency=currency, columns=columns, now=call.now)
    return {"account": known, "currency": currency, "has_table": columns is not None}


@room.operation(
    "/virtual-accounts",
    method="POST",
    roles=[Role.OPERATOR],
    bulk=VirtualAccountsSchema,
    result=VirtualAccountResults,
    idempotent=True,
)
def enter_virtual_accounts(call: Call) -> dict[str, Any]:
    """Give up to 1,000 numbers to assets and companies, or close them."""
    read = read_items(call.raw, VirtualAccountItem, VirtualAccountSchema())
    client_id = call.caller.client_id
    entered = numbers.enter_virtual_accounts(call.session, items=read.good, client_id=client_id, now=call.now)
    return read.judged(entered)


@room.operation("/virtual-accounts", roles=[Role.OPERATOR, Role.AUDITOR], query=PageQuery, result=VirtualAccountPage)
def list_virtual_accounts(call: Call) -> dict[str, Any]:
    """The numbers that were given, and what they stand for."""
    items = numbers.virtual_accounts(call.session, after=call.after or "", limit=call.query["limit"])
    return call.page(items, by="number")


@room.operation(
    "/statements",
    method="POST",
    roles=[Role.OPERATOR],
    query=StatementQuery,
    result=StatementsEntered,
    status=201,
    idempotent=True,
    uploads=True,
    most_bytes=lambda settings: settings.statement_bytes,
)
def post_statements(call: Call) -> dict[str, Any]:
    """Enter a bank's file: camt.053 or camt.054 (XML), MT940 (text/plain), or a table (text/csv)."""
    file = File(call.raw, call.media_type, call.query.get("account"), call.query["encoding"], call.caller.client_id)
    kept = enter_statements(call.session, file=file, entropy=call.services.entropy, now=call.now)
    return {"items": [one._asdict() for one in kept]}


@room.operation("/statements", roles=[Role.OPERATOR, Role.AUDITOR], query=PageQuery, result=StatementPage)
def list_statements(call: Call) -> dict[str, Any]:
    """Statements in the order in which they were entered, and what became of their lines."""
    return call.page(
        queries.statements(call.session, after=(call.after or ""), limit=call.query["limit"]), by="statement_id"
    )


@room.operation("/bank-lines", roles=[Role.OPERATOR, Role.AUDITOR], query=LineQuery, result=LinePage)
def list_bank_lines(call: Call) -> dict[str, Any]:
    """Lines of statements, oldest first; those that are `open` are the work list."""
    state, limit = call.query.get("state"), call.query["limit"]
    items = queries.bank_lines(call.session, state=state, after=(call.after or ""), limit=limit)
    return call.page(items, by="line_id")


@room.operation(
    "/bank-lines/decisions",
    method="POST",
    roles=[Role.OPERATOR],
    bulk=DecisionsSchema,
    result=DecisionResults,
    idempotent=True,
)
def decide_bank_lines(call: Call) -> dict[str, Any]:
    """Decide about up to 1,000 lines that wait, each once."""
    read = read_items(call.raw, DecisionItem, DecisionSchema())
    today = call.today
    decided = decide_lines(
        call.session,
        services=call.services,
        items=read.good,
        client_id=call.caller.client_id,
        today=today,
        now=call.now,
    )
    return read.judged(decided)


def _receipt_result(index: int, outcome: Entered | Refused, item: ReceiptItem) -> dict[str, Any]:
    if isinstance(outcome, Refused):
        return failed(index, 409 if outcome.duplicate else 422, [outcome.fault])
    result = {
        "index": index,
        "status": 201,
        "receipt_id": outcome.receipt_id,
        "outcome": outcome.outcome,
        "asset_id": outcome.asset_id,
        "funder_id": outcome.funder_id,
        "applied_minor": outcome.applied_minor,
        "unapplied_minor": item.amount_minor - outcome.applied_minor,
    }
    return {name: value for name, value in result.items() if value is not None}
