"""The rating centre: ratings for who may ask, grants, and who asked."""

from datetime import date
from typing import Any

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.paging import decode_cursor
from exchange.ratings import actions, queries, rules
from exchange.ratings import schemas as wire
from exchange.schemas import PageQuery

ASKING = [Role.OPERATOR, Role.AUDITOR, Role.FUNDER]
WATCHING = [Role.OPERATOR, Role.AUDITOR]

room = Room("ratings", __name__, url_prefix="/v1", description="How obligors are and were rated, for who may know")


@room.operation("/rated-companies", roles=ASKING, query=wire.NumberQuery, result=wire.CompanyFound)
def find_rated_company(call: Call) -> dict[str, Any]:
    """The company with a registered number, if you may ask about it."""
    company_id = queries.find(call.session, **call.query)
    if company_id is None:
        raise NotFound("There is no such company.")
    _ask(call, company_id, "find")
    return {"company_id": company_id}


@room.operation("/companies/<company_id>/rating", roles=ASKING, query=wire.AsOf, result=wire.CompanyRating)
def show_rating(call: Call, company_id: str) -> dict[str, Any]:
    """A company's rating on a day, with reasons, its place among peers, and its prompt payment index."""
    company, day = _ask(call, company_id, "rating"), _day(call)
    found = queries.history(call.session, number=company.number, day=day, limit=1)
    fresh = [one for one in found if (day - one["rated_on"]).days < queries.STALE_DAYS]
    paid = queries.paid(call.session, company_id=company_id, number=company.number, day=day)
    index = {
        "index": rules.payment_index(paid),
        "invoices": len(paid),
        "amount_minor": sum(amount_minor for _, amount_minor in paid),
    }
    return {
        "company_id": company_id,
        "as_of": day,
        "rating": fresh[0] if fresh else None,
        "peers": queries.peers(call.session, number=company.number, day=day),
        "payment_index": index,
    }


@room.operation("/companies/<company_id>/ratings", roles=ASKING, query=wire.HistoryQuery, result=wire.RatingHistory)
def list_ratings(call: Call, company_id: str) -> dict[str, Any]:
    """How a company was rated over time, newest first."""
    company = _ask(call, company_id, "history")
    found = queries.history(call.session, number=company.number, day=_day(call), limit=call.query["limit"])
    return {"items": found}


@room.operation("/rating-migration", roles=ASKING, query=wire.PeriodQuery, result=wire.Migration)
def show_migration(call: Call) -> dict[str, Any]:
    """How the grades of all obligors moved between two days; a funder needs a grant for all companies."""
    _ask(call, None, "migration")
    return {"items": queries.matrix(call.session, **call.query)}


@room.operation(
    "/rating-grants",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.GrantSchema,
    result=wire.GrantMade,
    status=201,
    idempotent=True,
)
def grant_rating(call: Call) -> dict[str, Any]:
    """Let a funder ask about a company, for a purpose, on its consent, in a time."""
    grant_id = actions.grant(
        call.session, services=call.services, terms=call.body, client_id=call.caller.client_id, now=call.now
    )
    return {"grant_id": grant_id}


@room.operation("/rating-grants", roles=ASKING, query=PageQuery, result=wire.GrantsShown)
def list_rating_grants(call: Call) -> dict[str, Any]:
    """Grants; a funder sees its own."""
    funder_id = call.caller.party_id if call.caller.role is Role.FUNDER else None
    asked = {"funder_id": funder_id, "after": call.after or "", "limit": call.query["limit"]}
    return call.page(queries.page(call.session, queries.GRANTS, **asked), by="grant_id")


@room.operation(
    "/rating-grants/<grant_id>/revocation",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.RevocationSchema,
    result=wire.GrantMade,
    status=201,
    idempotent=True,
)
def revoke_rating_grant(call: Call, grant_id: str) -> dict[str, Any]:
    """End a grant at once."""
    actions.revoke(call.session, grant_id=grant_id, reason=call.body["reason"], now=call.now)
    return {"grant_id": grant_id}


@room.operation("/rating-accesses", roles=WATCHING, query=wire.AccessQuery, result=wire.AccessesShown)
def list_rating_accesses(call: Call) -> dict[str, Any]:
    """Who asked what about whom, oldest first."""
    position = decode_cursor(call.query.get("after"), int)
    asked = {"company_id": call.query.get("company_id"), "after": position[0] if position else 0}
    found = queries.page(call.session, queries.ACCESSES, limit=call.query["limit"], **asked)
    return call.page(found, by="access_id")


def _ask(call: Call, company_id: str | None, asked: str) -> Any:  # noqa: ANN401 - a row
    return actions.ask(
        call.session, caller=call.caller, company_id=company_id, asked=asked, today=call.today, now=call.now
    )


def _day(call: Call) -> date:
    return min(call.query.get("as_of") or call.today, call.today)
