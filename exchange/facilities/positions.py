"""Facilities as they stand: rules, state, health, and tranches with who holds them and what they earned."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.errors import NotFound
from exchange.facilities import rules
from exchange.facilities.models import Facility
from exchange.facilities.rules import Move, Placed
from exchange.facilities.terms import TRANCHE, Rank, Terms
from exchange.schedules.daycount import DayCount
from exchange.waterfalls.layers import Layer

TERMS = text("""
    SELECT terms FROM facility_rules WHERE facility_id = :id AND applied_on IS NOT NULL ORDER BY version DESC LIMIT 1
""")
FACTS = text("""
    SELECT DISTINCT ON (axis, test, reason_of_trigger) axis, value, test, reason FROM (
        SELECT *, CASE axis WHEN 'trigger' THEN reason ELSE '' END AS reason_of_trigger FROM facility_fact
        WHERE facility_id = :id
    ) AS fact ORDER BY axis, test, reason_of_trigger, number DESC
""")
OWNERS = text("""
    SELECT tranche_id, funder_id, committed_minor, principal_minor, lost_minor, interest_paid_minor,
           coalesce((SELECT sum(amount_minor - paid_minor) FROM redemption
                     WHERE redemption.tranche_id = holding.tranche_id AND redemption.funder_id = holding.funder_id
                       AND outcome IS NULL), 0)::bigint AS wanted_minor
    FROM tranche_holding AS holding JOIN tranche USING (tranche_id) WHERE facility_id = :id
    ORDER BY tranche_id, funder_id
""")
MOVES = text("""
    SELECT tranche_id, funder_id, business_date, move.kind, amount_minor FROM tranche_movement AS move
    JOIN tranche USING (tranche_id) WHERE facility_id = :id ORDER BY tranche_id, funder_id, number
""")
TRANCHES = text("""
    SELECT tranche_id, name, kind, rank, size_minor, rate_bps, day_count, min_subordination_bps, per_loss_minor,
           per_loss_ppm
    FROM tranche WHERE facility_id = :id ORDER BY rank
""")


class At(NamedTuple):
    """When something happens."""

    today: date
    now: datetime


class Standing(NamedTuple):
    """State and health of a facility, why it is so, and which triggers are on, as (test, what it turns)."""

    state: str
    healthy: bool
    reason: str
    triggers: frozenset[tuple[str, str]]


class Owner(NamedTuple):
    """A holder of a tranche: what of its commitment is paid in, lost, wanted back, and owed as interest."""

    funder_id: str
    committed_minor: int
    principal_minor: int
    lost_minor: int
    wanted_minor: int
    interest_minor: int


@dataclass(frozen=True, slots=True)
class Position:
    """A tranche with its holders."""

    tranche_id: str
    rank: Rank
    size_minor: int
    rate_bps: int
    day_count: DayCount
    per_loss_minor: int | None
    per_loss_ppm: int | None
    owners: tuple[Owner, ...]
    moves: tuple[Move, ...]

    @property
    def name(self) -> str:
        """The tranche's name."""
        return self.rank.name

    @property
    def is_tranche(self) -> bool:
        """Whether it has a rank in the pool, and is no cover beside it."""
        return self.rank.kind == TRANCHE

    @property
    def placed(self) -> Placed:
        """Rank and principal."""
        return Placed(self.rank, self.sum("principal_minor"))

    @property
    def layer(self) -> Layer:
        """What of a loss it can bear."""
        return Layer(self.name, self.sum("principal_minor"), self.per_loss_minor, self.per_loss_ppm)

    def sum(self, name: str) -> int:
        """An amount of all holders together."""
        return sum(getattr(owner, name) for owner in self.owners)


def lock(session: Session, *, facility_id: str) -> Facility:
    """The facility, whose money and state nobody else decides about until the transaction ends (`NotFound`)."""
    query = select(Facility).where(Facility.facility_id == facility_id).with_for_update()
    return _found(session.execute(query).scalar_one_or_none())


def facility(session: Session, *, facility_id: str) -> Facility:
    """The facility (`NotFound`)."""
    return _found(session.get(Facility, facility_id))


def terms(session: Session, *, facility_id: str) -> Terms:
    """The rules in force."""
    found: Terms = msgspec.convert(session.execute(TERMS, {"id": facility_id}).scalar_one(), Terms)
    return found


def standing(session: Session, *, facility_id: str) -> Standing:
    """State and health, from the last fact on each axis."""
    facts = session.execute(FACTS, {"id": facility_id}).all()
    last = {row.axis: row for row in facts if row.axis != "trigger"}
    raised = {(row.test, row.reason) for row in facts if row.axis == "trigger" and row.value == "raised"}
    health = last["health"]
    return Standing(last["state"].value, health.value == "healthy", health.reason, frozenset(raised))


def positions(session: Session, *, facility_id: str, until: date) -> list[Position]:
    """The tranches by rank, with interest due to the holders up to a day."""
    key = {"id": facility_id}
    moves: dict[tuple[str, str], list[Move]] = defaultdict(list)
    for tranche_id, funder_id, *move in session.execute(MOVES, key):
        moves[tranche_id, funder_id].append(Move(*move))
    owners: dict[str, list[Any]] = defaultdict(list)
    for row in session.execute(OWNERS, key):
        owners[row.tranche_id].append(row)
    found = []
    for row in session.execute(TRANCHES, key).all():
        convention = DayCount(row.day_count)
        held = owners[row.tranche_id]
        own = [moves[row.tranche_id, one.funder_id] for one in held]
        earned = [rules.earned_minor(some, rate_bps=row.rate_bps, convention=convention, until=until) for some in own]
        found.append(
            Position(
                row.tranche_id,
                Rank(row.name, row.kind, row.rank, row.min_subordination_bps),
                row.size_minor,
                row.rate_bps,
                convention,
                row.per_loss_minor,
                row.per_loss_ppm,
                tuple(_owner(one, earned_minor) for one, earned_minor in zip(held, earned, strict=True)),
                tuple(move for some in own for move in some),
            )
        )
    return found


def placed(tranches: Sequence[Position]) -> list[Placed]:
    """Ranks and principals."""
    return [one.placed for one in tranches]


def principal_minor(tranches: Sequence[Position]) -> int:
    """The principal of all tranches, covers apart."""
    return sum(one.sum("principal_minor") for one in tranches if one.is_tranche)


def _owner(row: Any, earned_minor: int) -> Owner:  # noqa: ANN401 - a row
    due_minor = max(earned_minor - row.interest_paid_minor, 0)
    return Owner(row.funder_id, row.committed_minor, row.principal_minor, row.lost_minor, row.wanted_minor, due_minor)


def _found(row: Facility | None) -> Facility:
    if row is None:
        raise NotFound("There is no such facility.")
    return row
