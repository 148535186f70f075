"""Who held an asset on a day, from the signed facts of its chain and those of its parts.

The offline verifier answers the same question from the same records, so only they count here: no row of state does.
A fact counts from its own date on (`effective_date`, a payment's `value_date`, a credit note's `issue_date`), whenever
it was recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

BIRTHS = frozenset({"asset.confirmed", "asset.split_off"})
REDUCTIONS = {
    "asset.paid": "value_date",
    "asset.payment_reversed": "value_date",
    "asset.diluted": "issue_date",
    "asset.written_off": "effective_date",
}
"""What makes an asset smaller (by less than nothing, if a payment is taken back), and the member that dates it."""
MOVES = frozenset({"asset.transferred", "asset.assigned", "asset.repurchased"})
ENDS = frozenset({"asset.split", "asset.released"})
RIGHTS = frozenset({"asset.encumbered", "asset.disencumbered"})
COUNTED = BIRTHS | REDUCTIONS.keys() | MOVES | ENDS | RIGHTS


class Entry(NamedTuple):
    """A fact of one asset, in the order of its chain: `content` has body and disclosures; unsigned ones no digest."""

    asset_id: str
    kind: str
    content: Mapping[str, Any]
    sequence: int | None
    digest: bytes | None
    log_index: int | None


@dataclass(slots=True)
class Right:
    """Somebody else's right in an asset, in minor units."""

    encumbrance_id: str
    kind: str
    beneficiary: str | None
    priority: int
    amount_minor: int


@dataclass(slots=True)
class Holding:
    """What one asset came to on a day. `holder` is None where nobody disclosed it: its seller, or a company."""

    asset_id: str
    holder: str | None
    since: date
    amount_minor: int
    rights: list[Right] = field(default_factory=list)
    parts: tuple[str, ...] = ()


def holdings(chains: Mapping[str, Sequence[Entry]], *, root_id: str, at: date) -> list[Holding]:
    """Who held how much of `root_id` at the end of day `at`: one for each part alive, in order of their birth.

    `chains` has the facts, of the kinds `COUNTED`, of the asset and of every part below it.
    """
    return list(_alive(chains, root_id, at))


def evidence(chains: Mapping[str, Sequence[Entry]], *, root_id: str, at: date) -> list[Entry]:
    """The facts that `holdings` counts: those of the day or before."""
    chain = chains.get(root_id, ())
    found = [entry for entry in chain if _day(entry) <= at]
    for part in _parts(chain):
        found += evidence(chains, root_id=part, at=at)
    return found


def _alive(chains: Mapping[str, Sequence[Entry]], asset_id: str, at: date) -> Iterator[Holding]:
    chain = chains.get(asset_id, ())
    holding = _replayed(chain, at)
    if holding is None:
        return
    for part in holding.parts:
        yield from _alive(chains, part, at)
    if not holding.parts:
        # A payment dated before a split may be recorded after it, in the chain of a part.
        holding.amount_minor -= sum(_reductions(chains, part, at) for part in _parts(chain))
        if holding.amount_minor:
            yield holding


def _replayed(chain: Sequence[Entry], at: date) -> Holding | None:
    """The asset as its own facts leave it on the day, None before its birth."""
    holding: Holding | None = None
    for entry in sorted(chain, key=lambda entry: (entry.kind not in BIRTHS, _day(entry))):
        day, content = _day(entry), entry.content
        if day > at:
            break
        if entry.kind in BIRTHS:
            holder = content.get("holder") or content.get("seller")
            holding = Holding(entry.asset_id, holder, day, int(content["face_minor"]))
        elif holding is not None:
            _apply(holding, entry.kind, content, day)
    return holding


def _apply(holding: Holding, kind: str, content: Mapping[str, Any], day: date) -> None:
    if kind in REDUCTIONS:
        holding.amount_minor -= int(content["amount_minor"])
    elif kind in MOVES:
        holding.holder, holding.since = content.get("holder"), day
    elif kind in RIGHTS:
        _change_rights(holding, kind, content)
    elif kind == "asset.split":
        holding.parts = tuple(content["parts"])
    else:
        holding.amount_minor = 0


def _change_rights(holding: Holding, kind: str, content: Mapping[str, Any]) -> None:
    """Rights stay in the order of their rank: the sort is stable, so that time settles equal priorities."""
    name = content["encumbrance"]
    if kind == "asset.encumbered":
        held = Right(name, content["kind"], content.get("beneficiary"), content["priority"], content["amount_minor"])
        holding.rights = sorted([*holding.rights, held], key=lambda right: right.priority)
        return
    for right in holding.rights:
        if right.encumbrance_id == name:
            right.amount_minor = content["left_minor"]
    holding.rights = [right for right in holding.rights if right.amount_minor]


def _reductions(chains: Mapping[str, Sequence[Entry]], asset_id: str, at: date) -> int:
    """What was paid and credited on an asset and its parts by the day."""
    chain = chains.get(asset_id, ())
    own = sum(int(one.content["amount_minor"]) for one in chain if one.kind in REDUCTIONS and _day(one) <= at)
    return own + sum(_reductions(chains, part, at) for part in _parts(chain))


def _parts(chain: Sequence[Entry]) -> list[str]:
    return [part for entry in chain if entry.kind == "asset.split" for part in entry.content["parts"]]


def _day(entry: Entry) -> date:
    """The day from which on a fact counts."""
    content = entry.content
    if entry.kind == "asset.confirmed":
        return date.fromisoformat(content["confirmation"]["date"])
    return date.fromisoformat(content[REDUCTIONS.get(entry.kind, "effective_date")])
