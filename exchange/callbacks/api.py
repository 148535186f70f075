"""A funder says where it receives, reads its stream, and answers what was settled."""

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from flask import Response

from exchange.auth import Role
from exchange.bulk import read_items
from exchange.callbacks import actions, days, endpoints, queries, rules, settlements
from exchange.callbacks import schemas as wire
from exchange.clock import system_now
from exchange.conventions import repr_digest
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.paging import decode_cursor, encode_cursor

room = Room("callbacks", __name__, url_prefix="/v1", description="Signed callbacks, and the stream they come from")

NDJSON, CSV = "application/x-ndjson", "text/csv"
OPTIONS = ("heartbeat_seconds", "per_minute", "ordered")


@room.operation(
    "/callback-endpoint", method="PUT", roles=[Role.FUNDER], body=wire.EndpointBody, result=wire.EndpointSecret
)
def put_callback_endpoint(call: Call) -> dict[str, Any]:
    """Receive callbacks at a URL from now on, and everything not delivered yet."""
    secret = actions.put_endpoint(
        call.session,
        funder_id=_funder_id(call),
        url=call.body["url"],
        services=call.services,
        now=call.now,
        machine_now=system_now(),
        options={name: call.body[name] for name in OPTIONS if name in call.body},
    )
    return {"url": call.body["url"], "secret": secret, "public_key": _public_key(call)}


@room.operation("/callback-endpoint", roles=[Role.FUNDER], result=wire.EndpointState)
def get_callback_endpoint(call: Call) -> dict[str, Any]:
    """Look at your endpoint: whether it works, how far your stream has come, what the last day's attempts came to."""
    view = queries.endpoint(call.session, funder_id=_funder_id(call), now=system_now())
    if view is None:
        raise NotFound("You have no callback endpoint: make one with PUT.")
    return {"public_key": _public_key(call), **msgspec.to_builtins(view)}


@room.operation(
    "/callback-endpoint/state", method="PUT", roles=[Role.FUNDER], body=wire.SwitchBody, result=wire.Switched
)
def switch_callback_endpoint(call: Call) -> dict[str, Any]:
    """Hold all callbacks, or send again: what was held comes in its order."""
    enabled = call.body["enabled"]
    endpoints.switch(call.session, funder_id=_funder_id(call), enabled=enabled, machine_now=system_now())
    return {"enabled": enabled}


@room.operation("/callback-endpoint/secret", method="PUT", roles=[Role.FUNDER], result=wire.RotatedSecret)
def rotate_callback_secret(call: Call) -> dict[str, Any]:
    """Have another secret. For a day what is sent is signed under the one before, too."""
    secret, until = endpoints.rotate(
        call.session, services=call.services, funder_id=_funder_id(call), machine_now=system_now()
    )
    return {"secret": secret, "previous_until": until}


@room.operation(
    "/callback-endpoint/recoveries",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.EventRecoveryBody,
    result=wire.EventsRecovered,
    status=201,
    idempotent=True,
)
def recover_events(call: Call) -> dict[str, Any]:
    """Have every event of a time sent again, in order, under its id; your endpoint may have taken it before."""
    funder_id, when = _funder_id(call), call.body
    count = endpoints.recover(call.session, funder_id=funder_id, machine_now=system_now(), **when)
    return {"events": count}


@room.operation(
    "/events/<sequence>/deliveries",
    method="POST",
    roles=[Role.FUNDER],
    result=wire.Resent,
    status=201,
    idempotent=True,
)
def resend_event(call: Call, sequence: str) -> dict[str, Any]:
    """Have one event sent again, under its id."""
    number = int(sequence) if sequence.isascii() and sequence.isdigit() and len(sequence) < len(str(2**63)) else 0
    endpoints.resend(call.session, funder_id=_funder_id(call), sequence=number, machine_now=system_now())
    return {"sequence": number}


@room.operation(
    "/callback-endpoint/examples",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.ExampleBody,
    result=wire.ExampleAsked,
    status=201,
    idempotent=True,
)
def send_example(call: Call) -> dict[str, Any]:
    """Have an example of an event sent, signed as all are: it has no sequence, and no place in your stream."""
    endpoints.ask_example(call.session, funder_id=_funder_id(call), kind=call.body["type"])
    return {"type": call.body["type"]}


@room.operation("/callback-attempts", roles=[Role.FUNDER], query=wire.AttemptQuery, result=wire.AttemptPage)
def list_callback_attempts(call: Call) -> dict[str, Any]:
    """The requests to your endpoint of the last 30 days, the newest first, and what came of each."""
    position = decode_cursor(call.query.get("after"), int)
    items = queries.attempts(
        call.session,
        funder_id=_funder_id(call),
        sequence=call.query.get("sequence"),
        before=None if position is None else int(position[0]),
        limit=call.query["limit"],
    )
    return call.page(items, by="attempt_id")


@room.operation("/events", roles=[Role.FUNDER], query=wire.FeedQuery, result=wire.Feed)
def get_events(call: Call) -> dict[str, Any]:
    """Read your stream: the same bytes as by callback, whether they arrived or not."""
    limit = call.query["limit"]
    items = queries.feed(call.session, funder_id=_funder_id(call), after=call.query["after"], limit=limit)
    more = items[-1].sequence if len(items) == limit else None
    return {"items": [msgspec.Raw(item.body) for item in items], "next": more}


@room.operation("/settlements", roles=[Role.FUNDER], query=wire.SettledQuery, result=wire.SettledPage)
def list_settlements(call: Call) -> dict[str, Any]:
    """Your settlement events, the oldest first; `state=open` are those you have not answered."""
    position = decode_cursor(call.query.get("after"), int)
    items = settlements.page(
        call.session,
        funder_id=_funder_id(call),
        state=call.query["state"],
        after=0 if position is None else int(position[0]),
        limit=call.query["limit"],
    )
    return call.page(_aged(call, items), by="sequence")


@room.operation(
    "/settlement-answers",
    method="POST",
    roles=[Role.FUNDER],
    bulk=wire.SettlementAnswersSchema,
    result=wire.SettlementAnswerResults,
    idempotent=True,
)
def answer_settlements(call: Call) -> dict[str, Any]:
    """Acknowledge up to 1,000 settlement events, or dispute them with a reason."""
    read = read_items(call.raw, settlements.AnswerItem, wire.SettlementAnswerSchema())
    refused = settlements.answer(
        call.session,
        funder_id=_funder_id(call),
        client_id=call.caller.client_id,
        items=read.good,
        now=call.now,
    )
    return read.judged(refused)


@room.operation(
    "/unacknowledged-settlements",
    roles=[Role.OPERATOR, Role.AUDITOR],
    query=wire.UnansweredQuery,
    result=wire.SettledPage,
)
def list_unacknowledged_settlements(call: Call) -> dict[str, Any]:
    """What funders have left open for longer than some days, and what they dispute, the oldest first."""
    position = decode_cursor(call.query.get("after"), str, str, int)
    after = None if position is None else (_moment(str(position[0])), str(position[1]), int(position[2]))
    limit = call.query["limit"]
    before = call.now - timedelta(days=call.query["days"])
    items = settlements.unanswered(call.session, before=before, after=after, limit=limit)
    last = items[-1] if len(items) == limit else None
    more = last and encode_cursor(last["recorded_at"].isoformat(), last["funder_id"], last["sequence"])
    return {"items": _aged(call, items), "next": more}


@room.operation(
    "/settlement-days/<business_date>",
    roles=[Role.FUNDER],
    result={"type": "string", "description": "One JSON text (RFC 8785) a line: opening, each event, closing"},
    content_type=NDJSON,
)
def get_settlement_day(call: Call, business_date: str) -> Response:
    """A closed day: opening position, every settlement event, closing position; the same bytes whenever you ask."""
    made = _file(call, business_date)
    return _download(made.ndjson, made.digests[0], business_date, NDJSON)


@room.operation(
    "/settlement-days/<business_date>/csv",
    roles=[Role.FUNDER],
    result={"type": "string", "description": "One line a leg or position"},
    content_type=CSV,
)
def get_settlement_day_csv(call: Call, business_date: str) -> Response:
    """The same as a table."""
    made = _file(call, business_date)
    return _download(made.csv, made.digests[1], business_date, CSV)


def _file(call: Call, business_date: str) -> days.DayFile:
    try:
        day = date.fromisoformat(business_date)
    except ValueError:
        day = date.max
    if day.isoformat() != business_date:
        raise NotFound("There is no such day.")
    if day >= call.today:
        raise days.DayOpen("It is not over.")
    return days.day_file(call.session, funder_id=_funder_id(call), day=day)


def _download(content: bytes, digest: str, day: str, kind: str) -> Response:
    name = f'attachment; filename="settlements-{day}.{"csv" if kind == CSV else "ndjson"}"'
    headers = {"Content-Disposition": name, "Repr-Digest": repr_digest(bytes.fromhex(digest))}
    return Response(content, content_type=f"{kind}; charset=utf-8" if kind == CSV else kind, headers=headers)


def _aged(call: Call, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | {"age_days": (call.today - one["business_date"]).days} for one in items]


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise rules.bad_place(text) from None


def _public_key(call: Call) -> str:
    return rules.public_key_text(call.services.keyring.callback_key)


def _funder_id(call: Call) -> str:
    if call.caller.party_id is None:  # pragma: no cover - the database allows no funder's client without its funder
        raise NotFound("Your client belongs to no funder.")
    return call.caller.party_id
