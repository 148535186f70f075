"""Who held an asset on a day, as its signed chain tells it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from ledger.records import OpenedRecord

BIRTHS = frozenset({"asset.confirmed", "asset.split_off"})
MOVES = frozenset({"asset.assigned", "asset.transferred", "asset.repurchased"})
ENDS = frozenset({"asset.released", "asset.superseded"})
SPLIT = "asset.split"
SELLER, UNDISCLOSED = "the seller", "an undisclosed holder"
"""Who holds an asset first, and who later, where the records do not disclose the name."""

Chains = Callable[[Collection[str]], Mapping[str, Sequence[OpenedRecord]]]


class Holding(NamedTuple):
    """Who held an asset on the day asked for, by which record and since when.

    `state` is `held`, `split` (then its parts are told, too), `ended`, or `unborn` (no record was in effect yet).
    """

    asset: str
    state: str
    holder: str | None = None
    sequence: int | None = None
    since: date | None = None


def holders_at(asset: str, *, at: date, chains: Chains) -> list[Holding]:
    """The holder of an asset at the end of a day, or of each of its parts, the asset first.

    `chains` gives the verified chains of the assets it is asked for.
    """
    holdings: list[Holding] = []
    wanted, seen = [asset], {asset}
    while wanted:
        found = chains(wanted)
        holdings += [holder_at(name, found[name], at=at) for name in wanted]
        split = [holding.asset for holding in holdings if holding.asset in wanted and holding.state == "split"]
        wanted = [part for name in split for part in _parts(found[name]) if part not in seen]
        seen.update(wanted)
    return holdings


def holder_at(asset: str, chain: Sequence[OpenedRecord], *, at: date) -> Holding:
    """The holder at the end of a day. Birth comes first; of one day, the later record counts."""
    facts = [(record.type not in BIRTHS, effective_date(record), record) for record in chain if _moves(record)]
    holding = Holding(asset, "unborn")
    for _, since, record in sorted(facts, key=lambda fact: fact[:2]):
        if since > at:
            continue
        sequence = record.body["sequence"]
        if record.type in BIRTHS:
            holding = Holding(asset, "held", _holder(record, ("holder", "seller"), SELLER), sequence, since)
        elif record.type in MOVES:
            holding = Holding(asset, "held", _holder(record, ("holder",), UNDISCLOSED), sequence, since)
        else:
            holding = Holding(asset, "split" if record.type == SPLIT else "ended", holding.holder, sequence, since)
    return holding


def effective_date(record: OpenedRecord) -> date:
    """The day from which on a fact counts: the one it names, else that on which it was recorded (UTC)."""
    match record.body:
        case {"effective_date": str(day)} | {"confirmation": {"date": str(day)}}:
            return date.fromisoformat(day)
    return datetime.fromtimestamp(record.body.get("recorded_at", 0), UTC).date()


def _moves(record: OpenedRecord) -> bool:
    return record.type in BIRTHS or record.type in MOVES or record.type in ENDS or record.type == SPLIT


def _holder(record: OpenedRecord, members: Sequence[str], otherwise: str) -> str:
    content = record.disclosed | record.body
    return next((str(content[member]) for member in members if member in content), otherwise)


def _parts(chain: Sequence[OpenedRecord]) -> list[str]:
    """The assets that a split left in place of this one."""
    parts = [part for record in chain if record.type == SPLIT for part in record.body.get("parts", [])]
    return [part for part in parts if isinstance(part, str)]
