"""Assets, their signed chains, positions and the summary."""

from typing import Any

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.registry.queries import chain
from exchange.reports import queries
from exchange.reports.schemas import AssetShown, AssetsShown, ChainShown, PositionsShown, ScheduleShown, SummaryShown
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


def _asset(call: Call, asset_id: str) -> dict[str, Any]:
    found = queries.asset(call.session, caller=call.caller, asset_id=asset_id)
    if found is None:
        raise NotFound("There is no such asset.")
    return found
