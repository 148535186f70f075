"""The callbacks in the contract: one webhook an event type, with the schema of its envelope."""

from collections.abc import Iterator
from typing import Any

from exchange.callbacks.events import DATA, schema

HEADERS = {
    "webhook-id": {
        "schema": {"type": "string", "pattern": "^[^.]+$", "maxLength": 100},
        "description": "Equal over retries",
    },
    "webhook-timestamp": {
        "schema": {"type": "string", "pattern": "^[0-9]{10}$", "maxLength": 10},
        "description": "Of this attempt, in unix seconds",
    },
    "webhook-signature": {
        "schema": {"type": "string", "maxLength": 1000},
        "description": "`v1,` HMAC-SHA256 and `v1a,` Ed25519 in base64, a space between, over `id.timestamp.body`",
    },
}
ANSWERS = {
    "2XX": "Taken. Whatever the body says, it is not sent again",
    "410": "Nothing more is wanted: the endpoint is disabled",
    "429": "Not now: sent again, not before `Retry-After`",
    "default": "Not taken: sent again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. A redirect is not followed",
}


def schema_name(kind: str) -> str:
    """What the schema of an event is called: `EventOfferMade` for `offer.made`."""
    return "Event" + "".join(part.title() for part in kind.replace("_", ".").split("."))


def event_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON Schema of every event as it is sent, by its name among the components."""
    for kind in sorted(DATA):
        members: dict[str, Any] = {
            "type": {"const": kind},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": schema(kind),
            "sequence": {"type": "integer", "minimum": 1, "description": "One after the event before"},
            "prev": {
                "type": ["string", "null"],
                "pattern": "^[0-9a-f]{64}$",
                "description": "SHA-256 of the body before",
            },
            "log_index": {"type": ["integer", "null"], "minimum": 0, "description": "Entry in the public log"},
        }
        yield (
            schema_name(kind),
            {"type": "object", "properties": members, "required": sorted(members), "additionalProperties": False},
        )


def webhooks() -> dict[str, Any]:
    """The webhooks, by event type."""
    return {
        kind: {
            "post": {
                "operationId": f"on_{kind.replace('.', '_')}",
                "tags": ["callbacks"],
                "summary": f"We tell you of `{kind}`.",
                "security": [],
                "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema_name(kind)}"}}},
                },
                "responses": {status: {"description": text} for status, text in ANSWERS.items()},
            }
        }
        for kind in sorted(DATA)
    }


def parameters() -> dict[str, Any]:
    """The headers of a callback (Standard Webhooks 1.0)."""
    return {name: {"in": "header", "name": name, "required": True, **one} for name, one in HEADERS.items()}
