"""Reads of facilities: a holder sees the pool's figures and its own part, and nothing of other holders."""

from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.errors import NotFound
from exchange.facilities import positions, rules
from exchange.facilities.actions import leaving
from exchange.facilities.models import Facility, FacilityDay
from exchange.facilities.positions import Owner, Position

SEEN = """
    (cast(:party AS text) IS NULL OR EXISTS (
        SELECT FROM tranche_holding JOIN tranche USING (tranche_id)
        WHERE tranche.facility_id = facility.facility_id AND tranche_holding.funder_id = :party))
"""
LAST = """
    (SELECT value FROM facility_fact WHERE facility_fact.facility_id = facility.facility_id AND axis = '{axis}'
     ORDER BY number DESC LIMIT 1)
"""
FACILITIES = f"""
    SELECT facility_id, name, currency, opened_on, {LAST.format(axis="state")} AS state,
           {LAST.format(axis="health")} AS health, {LAST.format(axis="health").replace("value", "reason")} AS reason
    FROM facility
"""  # noqa: S608 - put together from constants
CALLS = text("""
    SELECT call_id, tranche.name AS tranche, share.funder_id, share.amount_minor, called_on, due_date, paid_on,
           CASE WHEN paid_on IS NOT NULL THEN 'paid' WHEN due_date < :today THEN 'overdue' ELSE 'open' END AS state
    FROM called_share AS share JOIN capital_call USING (call_id) JOIN tranche USING (tranche_id)
    WHERE facility_id = :id AND (cast(:party AS text) IS NULL OR share.funder_id = :party)
    ORDER BY call_id, share.funder_id
""")
REDEMPTIONS = text("""
    SELECT redemption_id, tranche.name AS tranche, funder_id, amount_minor, paid_minor, asked_on, outcome, ended_on
    FROM redemption JOIN tranche USING (tranche_id)
    WHERE facility_id = :id AND (cast(:party AS text) IS NULL OR funder_id = :party) ORDER BY redemption_id
""")
FACTS = text("""
    SELECT lpad(number::text, 9, '0') AS place, number, axis, value, test, reason, numbers, business_date, recorded_at
    FROM facility_fact WHERE facility_id = :id AND lpad(number::text, 9, '0') > :after ORDER BY number LIMIT :limit
""")
DISTRIBUTIONS = text("""
    SELECT payment_date::text AS place, payment_date, state, waterfall, paid_on,
           coalesce((SELECT jsonb_agg(jsonb_build_object('tranche', name, 'kind', tranche_movement.kind,
                                                         'amount_minor', amount_minor) ORDER BY rank, number)
                     FROM tranche_movement JOIN tranche USING (tranche_id)
                     WHERE tranche.facility_id = :id AND funder_id = :party
                       AND transfer = :id || '/distribution/' || payment_date), '[]') AS own
    FROM distribution WHERE facility_id = :id AND payment_date::text > :after ORDER BY payment_date LIMIT :limit
""")
LOSSES = text("""
    SELECT * FROM (
        SELECT asset_id || '/' || lpad(number::text, 9, '0') AS place, asset_id, amount_minor, parts, business_date
        FROM facility_loss WHERE facility_id = :id
    ) AS loss WHERE place > :after ORDER BY place LIMIT :limit
""")
RULES = text("""
    SELECT version, announced_on, effective_on, applied_on, withdrawn_on, terms FROM facility_rules
    WHERE facility_id = :id ORDER BY version
""")


def facilities(session: Session, *, caller: Caller, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The facilities a caller may see, by id."""
    query = text(f"""
        {FACILITIES} WHERE {SEEN} AND (cast(:after AS text) IS NULL OR facility_id > :after)
        ORDER BY facility_id LIMIT :limit
    """)
    rows = session.execute(query, {"party": caller.party_id, "after": after, "limit": limit}).mappings()
    return [dict(row) for row in rows]


def seen(session: Session, *, caller: Caller, facility_id: str) -> Facility:
    """The facility, if the caller may see it (`NotFound`)."""
    query = text(f"SELECT FROM facility WHERE facility_id = :id AND {SEEN}")
    if session.execute(query, {"id": facility_id, "party": caller.party_id}).first() is None:
        raise NotFound("There is no such facility.")
    return positions.facility(session, facility_id=facility_id)


def shown(session: Session, *, caller: Caller, facility: Facility, today: date) -> dict[str, Any]:
    """A facility with its tranches and rules."""
    query = text(f"{FACILITIES} WHERE facility_id = :id")
    row = session.execute(query, {"id": facility.facility_id}).mappings().one()
    rows = session.execute(RULES, {"id": facility.facility_id}).mappings()
    in_force = [one["terms"] for one in rows if one["applied_on"]][-1]
    standing = positions.standing(session, facility_id=facility.facility_id)
    tranches = positions.positions(session, facility_id=facility.facility_id, until=today)
    return {
        **row,
        "funder_id": facility.funder_id,
        "mandate_id": facility.mandate_id,
        "tranches": [_tranche(one, caller) for one in tranches],
        "triggers": [{"test": test, "turns": turns} for test, turns in sorted(standing.triggers)],
        "rules": in_force,
    }


def holdings(session: Session, *, facility_id: str, today: date) -> list[dict[str, Any]]:
    """Who holds what, by rank."""
    tranches = positions.positions(session, facility_id=facility_id, until=today)
    return [
        {"tranche": one.name, "funder_id": owner.funder_id} | _amounts([owner])
        for one in tranches
        for owner in one.owners
    ]


def calls(session: Session, *, caller: Caller, facility_id: str, today: date) -> list[dict[str, Any]]:
    """Shares of calls: a holder's own."""
    rows = session.execute(CALLS, {"id": facility_id, "party": caller.party_id, "today": today}).mappings()
    return [dict(row) for row in rows]


def redemptions(session: Session, *, caller: Caller, facility_id: str) -> list[dict[str, Any]]:
    """Redemptions: a holder's own."""
    rows = session.execute(REDEMPTIONS, {"id": facility_id, "party": caller.party_id}).mappings()
    return [dict(row) for row in rows]


def facts(session: Session, *, facility_id: str, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The turns of a facility, oldest first."""
    rows = session.execute(FACTS, {"id": facility_id, "after": after or "", "limit": limit}).mappings()
    return [dict(row) for row in rows]


def distributions(
    session: Session, *, caller: Caller, facility_id: str, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Distributions, oldest first, with the caller's own parts."""
    key = {"id": facility_id, "party": caller.party_id, "after": after or "", "limit": limit}
    rows = [dict(row) for row in session.execute(DISTRIBUTIONS, key).mappings()]
    return [row.pop("waterfall") | row for row in rows]


def losses(session: Session, *, facility_id: str, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Losses and recoveries by asset."""
    rows = session.execute(LOSSES, {"id": facility_id, "after": after or "", "limit": limit}).mappings()
    return [dict(row) for row in rows]


def rules_versions(session: Session, *, facility_id: str, today: date) -> list[dict[str, Any]]:
    """The versions of the rules, and which of them waits, is blocked, or in force."""
    rows = [dict(row) for row in session.execute(RULES, {"id": facility_id}).mappings()]
    blocked = leaving(session, facility_id=facility_id)
    last = max((row["version"] for row in rows if row["applied_on"]), default=0)
    for row in rows:
        withdrawn_on = row.pop("withdrawn_on")
        if withdrawn_on:
            row["state"] = "withdrawn"
        elif row["applied_on"]:
            row["state"] = "in_force" if row["version"] == last else "past"
        else:
            row["state"] = "blocked" if blocked and row["effective_on"] <= today else "waiting"
    return rows


def kept(session: Session, *, facility_id: str, day: date) -> dict[str, Any]:
    """The figures of the close of a day (`NotRecorded`)."""
    row = session.get(FacilityDay, (facility_id, day))
    if row is None:
        raise rules.NotRecorded(f"There is no close of {day}.")
    return row.figures


def _tranche(one: Position, caller: Caller) -> dict[str, Any]:
    own = [owner for owner in one.owners if caller.role is Role.FUNDER and owner.funder_id == caller.party_id]
    return {
        "tranche_id": one.tranche_id,
        **one.rank._asdict(),
        "size_minor": one.size_minor,
        "rate_bps": one.rate_bps,
        "day_count": one.day_count.value,
        **_amounts(one.owners),
        "own": _amounts(own) if own else None,
    }


def _amounts(owners: list[Owner] | tuple[Owner, ...]) -> dict[str, int]:
    names = {"interest_due_minor": "interest_minor", "redeeming_minor": "wanted_minor"}
    wanted = ("committed_minor", "principal_minor", "lost_minor", *names)
    return {name: sum(getattr(owner, names.get(name, name)) for owner in owners) for name in wanted}
