"""Other platforms ask and claim, blind; whoever is concerned sees what clashed."""

from collections.abc import Sequence
from typing import Any

from exchange.auth import Role
from exchange.bulk import Read, failed, read_items
from exchange.duplicates import actions, queries, rules
from exchange.duplicates.actions import Answer
from exchange.duplicates.marks import Keys, Marks, keys_from, stored
from exchange.duplicates.queries import Checked
from exchange.duplicates.rules import Asked
from exchange.duplicates.schemas import (
    CheckResults,
    ClaimEnded,
    ClaimResults,
    ClaimsShown,
    ClashesShown,
    ClashQuery,
    EndOfClaim,
    GroupKey,
    InvoiceItem,
    InvoiceSchema,
    InvoicesSchema,
    elsewhere_json,
)
from exchange.http import Call, Room
from exchange.paging import decode_cursor
from exchange.schemas import PageQuery

room = Room("duplicates", __name__, url_prefix="/v1", description="Ask, and claim invoices, without showing them")


@room.operation("/duplicates/key", roles=[Role.PARTNER], result=GroupKey)
def show_group_key(call: Call) -> dict[str, Any]:
    """The key under which all platforms of the group compute the marks of their invoices."""
    return {"key": _keys(call).group.hex(), "namespace": call.caller.party_id}


@room.operation(
    "/duplicate-checks",
    method="POST",
    roles=[Role.PARTNER],
    bulk=InvoicesSchema,
    result=CheckResults,
    idempotent=True,
)
def check_invoices(call: Call) -> dict[str, Any]:
    """Ask of up to 1,000 invoices whether they are financed already; nothing is claimed by it."""
    read, valid = _read(call)
    checked = queries.check(call.session, asked=_asked(call, valid))
    results = {index: _checked(index, one) for (index, _), one in zip(valid, checked, strict=True)}
    return read.answer(results)


@room.operation(
    "/invoice-claims",
    method="POST",
    roles=[Role.PARTNER],
    bulk=InvoicesSchema,
    result=ClaimResults,
    idempotent=True,
)
def claim_invoices(call: Call) -> dict[str, Any]:
    """Claim shares of up to 1,000 invoices that you finance; nobody else can have them until you release them."""
    read, valid = _read(call)
    entropy = call.services.entropy
    answers = actions.claim(call.session, asked=_asked(call, valid), prefix="icl", now=call.now, entropy=entropy)
    results = {index: _claimed(index, item, answer) for (index, item), answer in zip(valid, answers, strict=True)}
    return read.answer(results)


@room.operation("/invoice-claims", roles=[Role.PARTNER], query=PageQuery, result=ClaimsShown)
def list_invoice_claims(call: Call) -> dict[str, Any]:
    """Your claims."""
    after, limit = call.after or "", call.query["limit"]
    items = queries.list_claims(call.session, holder_id=_holder(call), after=after, limit=limit)
    return call.page(items, by="claim_id")


@room.operation(
    "/invoice-claims/<claim_id>/release",
    method="POST",
    roles=[Role.PARTNER],
    body=EndOfClaim,
    result=ClaimEnded,
    idempotent=True,
)
def release_invoice_claim(call: Call, claim_id: str) -> dict[str, Any]:
    """End a claim: cancelled, its share is free again; repaid, it is used up."""
    repaid = call.body["reason"] == "repaid"
    actions.end_claim(call.session, claim_id=claim_id, holder_id=_holder(call), repaid=repaid, now=call.now)
    return {"claim_id": claim_id, "state": "consumed" if repaid else "released"}


@room.operation("/clashes", roles=[Role.OPERATOR, Role.PARTNER, Role.PLATFORM], query=ClashQuery, result=ClashesShown)
def list_clashes(call: Call) -> dict[str, Any]:
    """Claims that may be one debt: the operator sees all, others those on one of whose sides they stand."""
    position = decode_cursor(call.query.get("after"), int)
    after, limit = int(position[0]) if position else 0, call.query["limit"]
    items = queries.list_clashes(
        call.session, holder_id=call.caller.party_id, claim_id=call.query.get("claim_id"), after=after, limit=limit
    )
    return call.page(items, by="clash_id")


def _keys(call: Call) -> Keys:
    return keys_from(call.services.keyring.fingerprint_key)


def _holder(call: Call) -> str:
    return str(call.caller.party_id)


def _read(call: Call) -> tuple[Read[InvoiceItem], Sequence[tuple[int, InvoiceItem]]]:
    """The items, and those of them that can be judged, which are counted."""
    read = read_items(call.raw, InvoiceItem, InvoiceSchema())
    for index, item in read.good:
        at = f"/items/{index}/invoice_face_minor"
        if faults := rules.face_faults(item.invoice_face_minor, amount_minor=item.amount_minor, at=at):
            read.bad[index] = faults
    valid = [(index, item) for index, item in read.good if index not in read.bad]
    if valid:
        today = call.today
        actions.meter(call.session, partner_id=_holder(call), count=len(valid), today=today)
    return read, valid


def _asked(call: Call, items: Sequence[tuple[int, InvoiceItem]]) -> list[Asked]:
    """What the items ask, with their marks as they are kept."""
    holder, secret = _holder(call), _keys(call).secret
    asked = []
    for _, item in items:
        similar = tuple(dict.fromkeys((one.kind, bytes.fromhex(one.mark)) for one in item.similar))
        own = tuple(map(bytes.fromhex, dict.fromkeys(item.documents)))
        marks = stored(secret, Marks(bytes.fromhex(item.invoice), own, similar))
        purpose = f"{holder}/{marks.invoice.hex()}"
        asked.append(Asked(holder, purpose, marks, item.currency, item.invoice_face_minor, item.amount_minor))
    return asked


def _checked(index: int, one: Checked) -> dict[str, Any]:
    told = {"code": one.code, "free_minor": one.free_minor, "similar": list(one.kinds) or None}
    known = {name: value for name, value in told.items() if value is not None}
    return {"index": index, "status": 200, "verdict": one.verdict} | known


def _claimed(index: int, item: InvoiceItem, answer: Answer) -> dict[str, Any]:
    if answer.code:
        fault = rules.refusal_fault(answer.code, at=f"/items/{index}", value=item.invoice)
        free = {} if answer.free_minor is None else {"free_minor": answer.free_minor}
        return failed(index, 409, [fault]) | free
    told = {"similar_to": list(answer.similar), "similar_elsewhere": elsewhere_json(answer.elsewhere)}
    return {"index": index, "status": 201, "claim_id": answer.claim_id} | {k: v for k, v in told.items() if v}
