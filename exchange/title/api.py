"""Parts, transfers, encumbrances, notices of assignment, filings, and who held what when."""

from typing import Any

from flask import Response

from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.receivables.api import origin_of
from exchange.title import actions, encumbrances, history, notices, papers, queries
from exchange.title import schemas as wire
from exchange.title.rules import Refused

CSV = "text/csv"
EVERYBODY = [Role.PLATFORM, Role.FUNDER, Role.OPERATOR, Role.AUDITOR]

room = Room("title", __name__, url_prefix="/v1", description="Title besides its sale: parts, holders, encumbrances")


@room.operation(
    "/splits",
    method="POST",
    roles=[Role.PLATFORM, Role.FUNDER],
    bulk=wire.SplitsSchema,
    result=wire.SplitResults,
    idempotent=True,
)
def split_assets(call: Call) -> dict[str, Any]:
    """Split up to 1,000 assets, a platform its holders' free ones and a funder its own; each part is an asset."""
    read = read_items(call.raw, wire.SplitItem, wire.SplitSchema())
    outcomes = actions.split(
        call.session,
        services=call.services,
        caller=call.caller,
        items=read.good,
        today=call.today,
        now=call.now,
    )
    results = {}
    for index, outcome in outcomes.items():
        made = [] if isinstance(outcome, Refused) else outcome
        parts = [{"asset_id": part.asset_id, "face_minor": part.amount_minor} for part in made]
        results[index] = _result(index, outcome, parts=parts)
    return read.answer(results)


@room.operation(
    "/transfers",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=wire.TransfersSchema,
    result=wire.TransferResults,
    idempotent=True,
)
def transfer_assets(call: Call) -> dict[str, Any]:
    """Hand up to 1,000 free assets on to their next holders."""
    read = read_items(call.raw, wire.TransferItem, wire.TransferSchema())
    outcomes = actions.transfer(
        call.session, services=call.services, caller=call.caller, origin=origin_of(call), items=read.good
    )
    return read.answer({index: _result(index, outcome, hop=outcome) for index, outcome in outcomes.items()})


@room.operation(
    "/encumbrances",
    method="POST",
    roles=[Role.PLATFORM, Role.FUNDER, Role.OPERATOR],
    bulk=wire.EncumbrancesSchema,
    result=wire.EncumbranceResults,
    idempotent=True,
)
def encumber_assets(call: Call) -> dict[str, Any]:
    """Enter up to 1,000 rights of others; what is encumbered is offered to nobody."""
    read = read_items(call.raw, wire.EncumbranceItem, wire.EncumbranceSchema())
    outcomes = encumbrances.encumber(
        call.session,
        services=call.services,
        caller=call.caller,
        items=read.good,
        today=call.today,
        now=call.now,
    )
    return read.answer({index: _result(index, outcome, encumbrance_id=outcome) for index, outcome in outcomes.items()})


@room.operation(
    "/encumbrances/<encumbrance_id>/release",
    method="POST",
    roles=[Role.PLATFORM, Role.FUNDER, Role.OPERATOR],
    body=wire.ReleaseSchema,
    result=wire.Released,
    status=201,
    idempotent=True,
)
def release_encumbrance(call: Call, encumbrance_id: str) -> dict[str, Any]:
    """End an encumbrance that you entered."""
    title = encumbrances.release(
        call.session,
        caller=call.caller,
        encumbrance_id=encumbrance_id,
        reason=call.body["reason"],
        today=call.today,
        now=call.now,
    )
    return {"encumbrance_id": encumbrance_id, "asset_id": title.asset_id, "free_minor": title.free_minor}


@room.operation("/assets/<asset_id>/holders", roles=EVERYBODY, query=wire.HoldersQuery, result=wire.HoldersShown)
def show_holders(call: Call, asset_id: str) -> dict[str, Any]:
    """Who held an asset on a day, as far as was recorded by a moment, and the signed records that say so."""
    if not queries.may_see(call.session, caller=call.caller, asset_id=asset_id):
        raise NotFound("There is no such asset.")
    at, recorded_by = call.query.get("at") or call.today, call.query.get("recorded_at") or call.now
    chains = queries.chains(call.session, asset_id=asset_id, recorded_by=recorded_by)
    return {
        "asset_id": asset_id,
        "at": at,
        "recorded_at": recorded_by,
        "holders": [queries.shown(one, call.caller) for one in history.holdings(chains, root_id=asset_id, at=at)],
        "rests_on": [
            {
                "asset_id": entry.asset_id,
                "kind": entry.kind,
                "sequence": entry.sequence,
                "digest": entry.digest.hex() if entry.digest else None,
                "log_index": entry.log_index,
            }
            for entry in history.evidence(chains, root_id=asset_id, at=at)
        ],
    }


@room.operation(
    "/notices", roles=[Role.PLATFORM, Role.FUNDER, Role.OBLIGOR], query=wire.NoticeQuery, result=wire.NoticesShown
)
def list_notices(call: Call) -> dict[str, Any]:
    """The notices of assignment that concern you, oldest first."""
    items = queries.notices(
        call.session,
        caller=call.caller,
        state=call.query.get("state"),
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="notice_id")


@room.operation("/notices/<notice_id>", roles=[Role.PLATFORM, Role.FUNDER, Role.OBLIGOR], result=wire.NoticeInFull)
def show_notice(call: Call, notice_id: str) -> dict[str, Any]:
    """A notice with its text, and the assets it names."""
    return _notice(call, notice_id)


@room.operation(
    "/notices/<notice_id>/acknowledgement",
    method="POST",
    roles=[Role.OBLIGOR, Role.PLATFORM],
    body=wire.AcknowledgementSchema,
    result=wire.NoticeInFull,
    status=201,
    idempotent=True,
)
def acknowledge_notice(call: Call, notice_id: str) -> dict[str, Any]:
    """Acknowledge a notice as the obligor, or record that it did, with the digest of the evidence."""
    notices.acknowledge(
        call.session,
        caller=call.caller,
        notice_id=notice_id,
        acknowledged_on=call.body["acknowledged_date"],
        evidence=call.body.get("evidence"),
        today=call.today,
        now=call.now,
    )
    return _notice(call, notice_id)


@room.operation(
    "/filings",
    roles=[Role.FUNDER],
    query=wire.FilingQuery,
    result={"type": "string", "description": "UTF-8 with a byte order mark, one line for each asset"},
    content_type=CSV,
)
def export_filings(call: Call) -> Response:
    """What you bought in a time and hold, for the public registry of movable property."""
    bought_from, bought_to = call.query["from_"], call.query["to"]
    if bought_from > bought_to:
        fault = Fault("contradictory_dates", "/from", f"not after to, {bought_to}", bought_from)
        raise InvalidRequest("The time ends before it begins.", faults=(fault,))
    assets = queries.assigned(
        call.session, funder_id=str(call.caller.party_id), bought_from=bought_from, bought_to=bought_to
    )
    headers = {"Content-Disposition": f'attachment; filename="filings-{bought_from}-{bought_to}.csv"'}
    return Response(papers.filing_csv(assets), content_type=f"{CSV}; charset=utf-8", headers=headers)


@room.operation(
    "/filings",
    method="POST",
    roles=[Role.FUNDER],
    bulk=wire.FilingsSchema,
    result=wire.FilingResults,
    idempotent=True,
)
def keep_filings(call: Call) -> dict[str, Any]:
    """Record up to 1,000 numbers under which you filed what you hold."""
    read = read_items(call.raw, wire.FilingItem, wire.FilingSchema())
    outcomes = notices.keep_filings(
        call.session, funder_id=str(call.caller.party_id), items=read.good, today=call.today, now=call.now
    )
    return read.answer({index: _result(index, outcome) for index, outcome in outcomes.items()})


def _notice(call: Call, notice_id: str) -> dict[str, Any]:
    found = queries.notice(call.session, caller=call.caller, notice_id=notice_id)
    if found is None:
        raise NotFound("There is no such notice.")
    return found


def _result(index: int, outcome: object, **found: object) -> dict[str, Any]:
    """What an item of a bulk answer says."""
    if isinstance(outcome, Refused):
        return failed(index, outcome.status, [outcome.fault])
    return {"index": index, "status": 201} | found
