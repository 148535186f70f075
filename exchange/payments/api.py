"""Payment accounts, payments, their files and the bank's answers."""

from typing import Any

from flask import Response

from exchange.auth import Role
from exchange.bulk import read_items
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.payments import accounts, actions, approvals, queries
from exchange.payments import schemas as wire
from exchange.payments.answers import take_answer
from exchange.payments.files import content_of, make_file
from exchange.payments.models import Payment
from exchange.payments.refunds import refund
from exchange.payments.rules import Creditor, Kind
from exchange.schemas import PageQuery

room = Room("payments", __name__, url_prefix="/v1", description="Money out: accounts, payments, files")

PARTIES = [Role.FUNDER, Role.PLATFORM, Role.OBLIGOR]
SECOND = [*PARTIES, Role.OPERATOR]
READERS = [*SECOND, Role.AUDITOR]


@room.operation(
    "/payout-accounts",
    method="POST",
    roles=PARTIES,
    body=wire.NewPayoutAccount,
    result=wire.PayoutAccountEntered,
    status=201,
    idempotent=True,
)
def enter_payout_account(call: Call) -> dict[str, Any]:
    """Enter where your money, or a seller's, shall go; somebody else has to approve it."""
    party_id = accounts.party_of(call.session, call.caller, seller=call.body.get("seller"))
    account = accounts.enter_account(
        call.session,
        services=call.services,
        party_id=party_id,
        currency=call.body["currency"],
        creditor=_creditor(call.body),
        client_id=call.caller.client_id,
        now=call.now,
    )
    return {"account_id": account.account_id}


@room.operation("/payout-accounts", roles=READERS, query=PageQuery, result=wire.PayoutAccountPage)
def list_payout_accounts(call: Call) -> dict[str, Any]:
    """Payout accounts with their history, oldest first."""
    limit = call.query["limit"]
    items = queries.accounts(call.session, caller=call.caller, after=call.after, limit=limit)
    return call.page(items, by="account_id")


@room.operation(
    "/payout-accounts/decisions",
    method="POST",
    roles=SECOND,
    bulk=wire.PayoutDecisionsSchema,
    result=wire.PaymentResults,
    idempotent=True,
)
def decide_payout_accounts(call: Call) -> dict[str, Any]:
    """Approve up to 1,000 accounts that somebody else entered, or decline them."""
    read = read_items(call.raw, wire.PayoutDecisionItem, wire.PayoutDecisionSchema())
    decided = accounts.decide_accounts(
        call.session, services=call.services, items=read.good, caller=call.caller, now=call.now
    )
    return read.judged(decided)


@room.operation(
    "/payout-accounts/<account_id>/closure",
    method="POST",
    roles=SECOND,
    body=wire.CallingOffSchema,
    result=wire.PayoutAccountClosed,
    status=201,
    idempotent=True,
)
def close_payout_account(call: Call, account_id: str) -> dict[str, Any]:
    """Send nothing more to an account, at once; payments to it that no bank knows of are cancelled."""
    cancelled = accounts.close(
        call.session,
        services=call.services,
        account_id=account_id,
        caller=call.caller,
        reason=call.body["reason"],
        now=call.now,
    )
    return {"account_id": account_id, "cancelled": cancelled}


@room.operation(
    "/payments",
    method="POST",
    roles=[Role.PLATFORM],
    body=wire.NewPayment,
    result=wire.PaymentMade,
    status=201,
    idempotent=True,
)
def pay_seller(call: Call) -> dict[str, Any]:
    """Pay a seller what it is owed, to its account in force."""
    party_id = accounts.party_of(call.session, call.caller, seller=call.body["seller"])
    return _pay(call, Kind.PRICE, party_id)


@room.operation(
    "/withdrawals",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.NewWithdrawal,
    result=wire.PaymentMade,
    status=201,
    idempotent=True,
)
def withdraw_cash(call: Call) -> dict[str, Any]:
    """Pay yourself what of your cash is free, to your account in force."""
    return _pay(call, Kind.WITHDRAWAL, str(call.caller.party_id))


@room.operation(
    "/refunds",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.NewRefund,
    result=wire.PaymentMade,
    status=201,
    idempotent=True,
)
def refund_receipt(call: Call) -> dict[str, Any]:
    """Send money that nobody could place back to where it came from."""
    creditor = call.body.get("creditor")
    payment = refund(
        call.session,
        services=call.services,
        receipt_id=call.body["receipt_id"],
        amount_minor=call.body.get("part_minor"),
        creditor=_creditor(creditor) if creditor else None,
        client_id=call.caller.client_id,
        now=call.now,
    )
    return _made(payment)


@room.operation("/payments", roles=READERS, query=wire.PaymentQuery, result=wire.PaymentPage)
def list_payments(call: Call) -> dict[str, Any]:
    """Payments of your money, or of all, oldest first."""
    state, limit = call.query.get("state"), call.query["limit"]
    items = queries.payments(call.session, caller=call.caller, state=state, after=call.after, limit=limit)
    return call.page(items, by="payment_id")


@room.operation("/payments/<payment_id>", roles=READERS, result=wire.PaymentInFull)
def show_payment(call: Call, payment_id: str) -> dict[str, Any]:
    """A payment and all its steps: who, when, why."""
    found = queries.payment(call.session, caller=call.caller, payment_id=payment_id)
    if found is None:
        raise NotFound("There is no such payment.")
    return found


@room.operation(
    "/payments/approvals",
    method="POST",
    roles=SECOND,
    bulk=wire.PaymentApprovalsSchema,
    result=wire.PaymentResults,
    idempotent=True,
)
def approve_payments(call: Call) -> dict[str, Any]:
    """Approve up to 1,000 payments that somebody else proposed, or decline them."""
    read = read_items(call.raw, wire.PaymentApprovalItem, wire.PaymentApprovalSchema())
    decided = approvals.decide_payments(
        call.session, services=call.services, items=read.good, caller=call.caller, now=call.now
    )
    return read.judged(decided)


@room.operation(
    "/payments/<payment_id>/cancellation",
    method="POST",
    roles=SECOND,
    body=wire.CallingOffSchema,
    result=wire.PaymentMade,
    status=201,
    idempotent=True,
)
def cancel_payment(call: Call, payment_id: str) -> dict[str, Any]:
    """Call a payment off while no bank knows of it."""
    payment = approvals.cancel_payment(
        call.session,
        services=call.services,
        payment_id=payment_id,
        caller=call.caller,
        reason=call.body["reason"],
        now=call.now,
    )
    return _made(payment)


@room.operation(
    "/payment-files",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.NewFile,
    result=wire.FileShown,
    status=201,
    idempotent=True,
)
def make_payment_file(call: Call) -> dict[str, Any]:
    """Make the file that instructs the bank to pay what is due."""
    file = make_file(
        call.session,
        services=call.services,
        account=call.body["account"],
        message=call.body["message"],
        client_id=call.caller.client_id,
        now=call.now,
    )
    names = wire.FileShown().fields
    return {name: getattr(file, name) for name in names}


@room.operation("/payment-files", roles=[Role.OPERATOR, Role.AUDITOR], query=PageQuery, result=wire.FilePage)
def list_payment_files(call: Call) -> dict[str, Any]:
    """Files, oldest first, and where their payments are."""
    items = queries.files(call.session, after=call.after, limit=call.query["limit"])
    return call.page(items, by="file_id")


@room.operation(
    "/payment-files/<file_id>",
    roles=[Role.OPERATOR],
    result={"type": "string", "format": "binary"},
    content_type="application/xml",
)
def download_payment_file(call: Call, file_id: str) -> Response:
    """The file as the bank takes it (pain.001): the same bytes each time."""
    content = content_of(call.session, file_id=file_id)
    headers = {"Content-Disposition": f'attachment; filename="{file_id}.xml"', "Cache-Control": "no-store"}
    return Response(content, content_type="application/xml", headers=headers)


@room.operation(
    "/payment-answers",
    method="POST",
    roles=[Role.OPERATOR],
    result=wire.AnswerTaken,
    idempotent=True,
    uploads=True,
    most_bytes=lambda settings: settings.statement_bytes,
)
def post_payment_answer(call: Call) -> dict[str, Any]:
    """Enter the bank's answer to a file (pain.002)."""
    client_id = call.caller.client_id
    taken = take_answer(call.session, content=call.raw, client_id=client_id, today=call.today, now=call.now)
    return taken._asdict()


def _pay(call: Call, kind: Kind, party_id: str) -> dict[str, Any]:
    payment = actions.pay_party(
        call.session,
        services=call.services,
        order=(kind, party_id, call.body["currency"]),
        amount_minor=call.body.get("part_minor"),
        by=call.caller.client_id,
        now=call.now,
    )
    return _made(payment)


def _creditor(body: dict[str, Any]) -> Creditor:
    return Creditor(body["holder_name"], body["account"], body.get("agent", ""))


def _made(payment: Payment) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in wire.PaymentMade().fields}
