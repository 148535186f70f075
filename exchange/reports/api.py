"""Assets, their signed chains, positions and the summary."""

from typing import Any

from flask import Response

from exchange.auth import Role
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.registry.queries import chain
from exchange.reports import files, queries, tapes
from exchange.reports.schemas import (
    AssetShown,
    AssetsShown,
    ChainShown,
    PositionsShown,
    ReportQuery,
    ScheduleShown,
    StatementQuery,
    SummaryShown,
    TapeQuery,
)
from exchange.reports.summary import summary
from exchange.risk.facts import day_number
from exchange.schemas import PageQuery

READERS = [Role.OPERATOR, Role.PLATFORM, Role.FUNDER, Role.AUDITOR]

room = Room("reports", __name__, url_prefix="/v1", description="Assets through their lifecycles, positions, summary")


@room.operation("/assets", roles=READERS, query=PageQuery, result=AssetsShown)
def list_assets(call: Call) -> dict[str, Any]:
    """The assets you may see: a platform its own, a funder those offered to it or held by it."""
    items = queries.assets(call.session, caller=call.caller, after=call.after, limit=call.query["limit"])
    return call.page(items, by="asset_id")


@room.operation("/assets/<asset_id>", roles=READERS, result=AssetShown)
def show_asset(call: Call, asset_id: str) -> dict[str, Any]:
    """One asset."""
    return _asset(call, asset_id)


@room.operation("/assets/<asset_id>/records", roles=READERS, result=ChainShown)
def show_records(call: Call, asset_id: str) -> dict[str, Any]:
    """An asset's signed life, to be verified without us."""
    disclosed = queries.sees_disclosures(_asset(call, asset_id), call.caller) or (
        call.caller.role is Role.FUNDER
        and queries.holds_part(call.session, funder_id=str(call.caller.party_id), asset_id=asset_id)
    )
    return {"items": chain(call.session, asset_id=asset_id, disclosed=disclosed, reader=call.caller.party_id)}


@room.operation("/assets/<asset_id>/schedule", roles=READERS, result=ScheduleShown)
def show_schedule(call: Call, asset_id: str) -> dict[str, Any]:
    """What of an asset falls due when, and what of it is paid."""
    return queries.schedule(call.session, asset=_asset(call, asset_id))


@room.operation("/positions", roles=[Role.FUNDER], result=PositionsShown)
def show_positions(call: Call) -> dict[str, Any]:
    """What you hold now."""
    return {"items": queries.positions(call.session, funder_id=str(call.caller.party_id))}


@room.operation("/summary", roles=[Role.OPERATOR, Role.AUDITOR], result=SummaryShown)
def show_summary(call: Call) -> dict[str, Any]:
    """What the exchange comes to."""
    today = call.today
    return summary(call.session, today=day_number(today))


DOWNLOADS = {
    "loan-tape": (TapeQuery, "What you hold, in the shape of ESMA's Annex IV (corporate underlying exposures)"),
    "positions": (ReportQuery, "What you held at the end of a day, by currency and pool"),
    "statement": (StatementQuery, "Your accounts over some days: opening, each movement, closing"),
}


def _download(name: str, form: str) -> None:
    query, what = DOWNLOADS[name]

    def download(call: Call) -> Response:
        asked = call.query
        until, since = asked.get("as_of") or asked.get("to_date") or call.today, asked.get("from_date", call.today)
        if "from_date" in asked and since > until:
            fault = Fault("contradictory_dates", "/from_date", f"not after {until}", since.isoformat())
            raise InvalidRequest("The statement ends before it begins.", faults=(fault,))
        of = tapes.Asked(
            str(call.caller.party_id), until, asked.get("known_at", call.now), since, asked.get("identifier")
        )
        rows = tapes.batches(call.session, name=name, asked=of)
        return files.answer(f"{name}-{until}", form, tapes.REPORTS[name].columns, rows)

    download.__name__ = f"download_{name.replace('-', '_')}_{form}"
    download.__doc__ = f"{what}, as a file ({form}) with its digest in `Repr-Digest`."
    room.operation(
        f"/reports/{name}.{form}",
        roles=[Role.FUNDER],
        query=query,
        result={"type": "string", "format": "binary", "description": f"{what} ({form})"},
        content_type=files.TYPES[form],
    )(download)


for _name in DOWNLOADS:
    for _form in files.TYPES:
        _download(_name, _form)


def _asset(call: Call, asset_id: str) -> dict[str, Any]:
    found = queries.asset(call.session, caller=call.caller, asset_id=asset_id)
    if found is None:
        raise NotFound("There is no such asset.")
    return found
