"""Facts in, one operation a kind; what is known, how old it is, and what is missing."""

from http import HTTPStatus
from typing import Any

import marshmallow as ma
from msgspec import Struct

from exchange.auth import Role
from exchange.bulk import Read, failed, read_items
from exchange.errors import NotFound
from exchange.facts import actions, policies, queries
from exchange.facts import schemas as wire
from exchange.facts.actions import Teller, Told
from exchange.facts.kinds import BY_PLURAL, KINDS, Kind
from exchange.facts.policies import Policy, Wanted
from exchange.facts.reading import read_file, struct_of
from exchange.http import Call, Room
from exchange.schemas import List, Nested, Schema

TELLERS = [Role.OPERATOR, Role.PLATFORM]
SHOWN_REFUSALS = 1000

room = Room("facts", __name__, url_prefix="/v1", description="What is known of companies and who controls them")


def _tell(name: str, kind: Kind) -> None:
    """Declare how facts of one kind are told."""

    def tell(call: Call) -> dict[str, Any]:
        return _kept(call, name, read_items(call.raw, struct_of(kind.schema), kind.schema()))

    tell.__name__ = f"tell_{kind.plural.replace('-', '_')}"
    tell.__doc__ = f"Tell up to 1,000 facts of the kind `{name}`.\n\n{kind.schema.__doc__}"
    many: dict[str, ma.fields.Field[Any]] = {"items": List(Nested(kind.schema), 1, 1000, required=True)}
    bulk = type(f"{kind.schema.__name__}s", (Schema,), {"__doc__": "Up to 1,000 facts, each judged by itself.", **many})
    declare = room.operation(
        f"/facts/{kind.plural}", method="POST", roles=TELLERS, bulk=bulk, result=wire.FactResults, idempotent=True
    )
    declare(tell)


for _name, _kind in KINDS.items():
    _tell(_name, _kind)


@room.operation(
    "/facts/<kind>/files",
    method="POST",
    roles=TELLERS,
    result=wire.FileResults,
    idempotent=True,
    uploads=True,
)
def upload_facts(call: Call, kind: str) -> dict[str, Any]:
    """Tell up to 10,000 facts of a kind in a file, `text/csv` or `application/x-ndjson`."""
    if kind not in BY_PLURAL:
        raise NotFound("There is no such kind of fact.")
    name = BY_PLURAL[kind]
    read = read_file(call.raw, media_type=call.media_type, schema=KINDS[name].schema)
    items = _kept(call, name, read)["items"]
    counts = {word: sum(one["status"] == status for one in items) for word, status in (("kept", 201), ("known", 200))}
    refused = [one for one in items if one["status"] >= HTTPStatus.BAD_REQUEST]
    return {**counts, "refused": len(refused), "items": refused[:SHOWN_REFUSALS]}


@room.operation(
    "/fact-withdrawals",
    method="POST",
    roles=TELLERS,
    bulk=wire.Withdrawals,
    result=wire.FactResults,
    idempotent=True,
)
def withdraw_facts(call: Call) -> dict[str, Any]:
    """Say of up to 1,000 facts which you told that they are not so, and why."""
    read = read_items(call.raw, struct_of(wire.Withdrawal), wire.Withdrawal())
    return read.judged(actions.withdraw(call.session, services=call.services, teller=_teller(call), items=read.good))


@room.operation("/companies/<company_id>/facts", roles=TELLERS, query=wire.FactQuery, result=wire.FactsShown)
def list_facts(call: Call, company_id: str) -> dict[str, Any]:
    """Everything told of a company, with what was corrected; a platform sees what it told itself."""
    asked = {"kind": call.query.get("kind"), "after": call.after or "", "limit": call.query["limit"]}
    tellers = None if call.caller.role is Role.OPERATOR else [str(call.caller.party_id)]
    items = queries.page(call.session, company_id=_visible(call, company_id), tellers=tellers, **asked)
    return call.page(items, by="fact_id")


@room.operation("/companies/<company_id>/sources", roles=TELLERS, result=wire.SourcesShown)
def list_sources(call: Call, company_id: str) -> dict[str, Any]:
    """The sources of what is known of a company, their age, and which are too old to count."""
    found = policies.sources(
        call.session, company_id=_visible(call, company_id), tellers=_tellers(call), today=call.today, now=call.now
    )
    return {"items": found}


@room.operation("/companies/<company_id>/checklist", roles=TELLERS, query=wire.ChecklistQuery, result=wire.Checklist)
def show_checklist(call: Call, company_id: str) -> dict[str, Any]:
    """What a company still has to bring for a product, and why it matters."""
    return policies.checklist(
        call.session,
        company_id=_visible(call, company_id),
        product=call.query["product"],
        tellers=_tellers(call),
        today=call.today,
        now=call.now,
    )


@room.operation("/fact-policy", roles=TELLERS, result=wire.FactPolicyShown)
def get_fact_policy(call: Call) -> dict[str, Any]:
    """How long facts count, and what each product asks for."""
    return _policy(*policies.in_force(call.session))


@room.operation(
    "/fact-policy",
    method="PUT",
    replaces=True,
    roles=[Role.OPERATOR],
    body=wire.FactPolicySchema,
    result=wire.FactPolicyShown,
)
def put_fact_policy(call: Call) -> dict[str, Any]:
    """Say how long facts count, and what each product asks for."""
    policy = Policy(
        {one["kind"]: one["days"] for one in call.body["age_limits"]},
        {one["product"]: [Wanted(**item) for item in one["items"]] for one in call.body["checklists"]},
    )
    return _policy(policies.put(call.session, policy=policy, client_id=call.caller.client_id, now=call.now), policy)


def _teller(call: Call) -> Teller:
    party = "" if call.caller.role is Role.OPERATOR else str(call.caller.party_id)
    return Teller(party, call.caller.client_id, call.now, call.today)


def _tellers(call: Call) -> list[str] | None:
    """Whose facts count for the caller: a platform's own and those of the exchange; all for an operator."""
    return None if call.caller.role is Role.OPERATOR else ["", str(call.caller.party_id)]


def _visible(call: Call, company_id: str) -> str:
    """A company that the caller may know (`NotFound`)."""
    originator_id = None if call.caller.role is Role.OPERATOR else str(call.caller.party_id)
    if not queries.is_visible(call.session, company_id=company_id, originator_id=originator_id):
        raise NotFound("There is no such company.")
    return company_id


def _kept(call: Call, kind: str, read: Read[Struct]) -> dict[str, Any]:
    """Keep what could be read; what became of each item."""
    told = actions.tell(call.session, services=call.services, teller=_teller(call), kind=kind, items=read.good)
    return read.answer({index: _result(index, one) for index, one in told.items()})


def _result(index: int, told: Told) -> dict[str, Any]:
    if told.faults:
        return failed(index, told.status, told.faults)
    return {"index": index, "status": told.status, "fact_id": told.fact_id}


def _policy(version: int, policy: Policy) -> dict[str, Any]:
    limits = [{"kind": kind, "days": days} for kind, days in policy.max_age_days.items()]
    lists = [{"product": product, "items": items} for product, items in policy.checklists.items()]
    return {"version": version, "age_limits": limits, "checklists": lists}
