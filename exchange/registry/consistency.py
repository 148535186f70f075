"""What the log, the signed chains and the guard must say of each other; names everything where they do not."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy import BigInteger, bindparam, select
from sqlalchemy.orm import Session

from exchange.registry import checkpoints
from exchange.registry.guard import guard_of
from exchange.registry.models import AssetEvent
from exchange.services import Services
from ledger import log
from ledger.audit import Finding
from ledger.log_tables import log_leaf
from ledger.records import MalformedLeaf, parse_leaf

AT_ONCE = 2000

FIRST, LAST = bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger)
LEAVES = select(log_leaf.c.index, log_leaf.c.leaf).where(log_leaf.c.index.between(FIRST, LAST))
RECORDS = select(
    AssetEvent.log_index, AssetEvent.asset_id, AssetEvent.sequence, AssetEvent.kind, AssetEvent.jws, AssetEvent.digest
).where(AssetEvent.log_index.between(FIRST, LAST))


def check_guard(services: Services) -> list[Finding]:
    """Whether the log still begins with what its guard holds. Looks at the database as it is now, not at a snapshot."""
    refusal = checkpoints.refusal(services)
    if refusal is not None:
        return [Finding(refusal.code, "checkpoint guard", str(refusal))]
    if guard_of(services.settings).read() is None:
        with services.database.transaction() as session:
            last = log.latest_checkpoint(session.connection())
        if last is not None:
            return [Finding("guard_lost", "checkpoint guard", f"it is empty, and checkpoint {last.size} was signed")]
    return []


def check_records(session: Session) -> Iterator[Finding]:
    """Every record that is not the one its log entry names, every entry without a record, every record without one.

    Memory stays flat: so many at a time.
    """
    size = log.size(session.connection())
    for first, after in pairwise([*range(0, size, AT_ONCE), size]):
        yield from _check_window(session, first=first, last=after - 1)
    strays = select(AssetEvent.asset_id, AssetEvent.sequence).where(AssetEvent.log_index >= size)
    for asset_id, sequence in session.execute(strays.order_by(AssetEvent.log_index)):
        yield Finding("record_stray", _place(asset_id, sequence), f"it names an entry beyond the log's {size}")


def _check_window(session: Session, *, first: int, last: int) -> Iterator[Finding]:
    window = {"first": first, "last": last}
    leaves: dict[int, bytes] = dict(list(session.execute(LEAVES, window)))
    records = {row.log_index: row for row in session.execute(RECORDS, window)}
    for index in sorted(leaves.keys() | records.keys()):
        record = records.get(index)
        if record is None:
            yield Finding("record_missing", f"log_leaf {index}", "no record belongs to it")
            continue
        where = _place(record.asset_id, record.sequence)
        if index not in leaves:
            yield Finding("record_unlogged", where, f"there is no log entry {index}")
        elif hashlib.sha256(record.jws.encode()).digest() != bytes(record.digest):
            yield Finding("record_altered", where, "its digest is not that of its JWS")
        elif not _agrees(leaves[index], record):
            yield Finding("record_contradicted", where, f"log entry {index} names another")


def _agrees(leaf: bytes, record: Any) -> bool:  # noqa: ANN401 - a row of RECORDS
    try:
        named = parse_leaf(leaf)
    except MalformedLeaf:
        return False
    return (named.asset, named.sequence, named.kind, named.digest) == (
        record.asset_id,
        record.sequence,
        record.kind,
        bytes(record.digest),
    )


def _place(asset_id: str, sequence: int) -> str:
    return f"asset_event {asset_id}/{sequence}"
