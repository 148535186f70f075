"""The public log and keys: static, cacheable, without login (C2SP tlog-tiles)."""

from datetime import timedelta

import orjson
from flask import Blueprint, Response
from sqlalchemy import Connection

from exchange.errors import NotFound
from exchange.http import JSON, services
from exchange.registry import checkpoints, queries, waiting
from exchange.registry.progress import log_status
from ledger import keys, log, tiles

public = Blueprint("log", __name__)

TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
FOREVER = f"public, max-age={int(timedelta(days=365).total_seconds())}, immutable"
BRIEFLY = "public, max-age=2"


@public.get("/log/checkpoint")
def checkpoint() -> Response:
    """The last published checkpoint: signed, and cosigned by the quorum where there is a witness policy."""
    with services().database.transaction() as session:
        last = checkpoints.published(session, services=services())
    if last is None:
        raise NotFound("Nothing is in the log yet.")
    return _cached(last.note, TEXT, BRIEFLY)


@public.get("/log/tile/<path:place>")
def tile(place: str) -> Response:
    """A tile of hashes, or an entry bundle."""
    try:
        address = tiles.parse_tile_path(f"tile/{place}")
        with services().database.transaction() as session:
            data = _tile(session.connection(), address)
    except (tiles.MalformedTilePath, log.TileNotFound) as error:
        raise NotFound(str(error)) from None
    return _cached(data, BINARY, FOREVER)


@public.get("/log/proof/<int:index>")
def proof(index: int) -> Response:
    """The proof that the log holds entry `index`, for a verifier without network (C2SP tlog-proof)."""
    try:
        with services().database.transaction() as session:
            last = checkpoints.published(session, services=services())
            if last is None:
                raise NotFound("Nothing is in the log yet.")
            text = log.proof_file(session.connection(), index=index, checkpoint=last)
    except log.EntryNotCovered as error:
        raise NotFound(str(error)) from None
    return _cached(text, TEXT, BRIEFLY)


@public.get("/.well-known/jwks.json")
def jwks() -> Response:
    """The public keys under which asset records were, are and will be signed, oldest first."""
    with services().database.transaction() as session:
        published = keys.jwks(queries.record_keys(session))
    return _cached(orjson.dumps(published), JSON, BRIEFLY)


@public.get("/.well-known/log-key")
def log_key() -> Response:
    """The verifier keys of the log's checkpoints (C2SP signed-note vkeys), one a line, the current one first."""
    with services().database.transaction() as session:
        published = queries.log_keys(session, log_name=services().settings.log_name)
    return _cached("".join(f"{key.vkey}\n" for key in published), TEXT, BRIEFLY)


@public.get("/log/status")
def status() -> Response:
    """How far the log is: what is signed, published and cosigned, and why nothing more can be signed, if so."""
    return _cached(orjson.dumps(log_status(services())), JSON, BRIEFLY)


@public.before_app_request
def mark_wait() -> None:
    """See `Prefer: wait`."""
    waiting.mark(services())


@public.after_app_request
def wait_for_checkpoint(response: Response) -> Response:
    """See `Prefer: wait`."""
    return waiting.wait(services(), response)


def _cached(body: str | bytes, content_type: str, cache: str) -> Response:
    return Response(body, content_type=content_type, headers={"Cache-Control": cache})


def _tile(connection: Connection, address: tiles.TileAddress) -> bytes:
    if address.level is None:
        return log.entries(connection, index=address.index, width=address.width)
    return log.tile(connection, level=address.level, index=address.index, width=address.width)
