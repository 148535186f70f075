"""The rows from which an asset's history is computed: who owes it, what was agreed and paid, which policy holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.schedules.schedule import Instalment, Schedule, bullet
from exchange.servicing.rules import Agreed, Clock, Movement, Pause, Rule
from exchange.servicing.terms import STANDARD, Terms

Scope = tuple[str, str]
"""An originator's id and a product; '' is any."""

LOCK = text("""
    SELECT asset_id FROM claim WHERE asset_id = ANY(:ids) ORDER BY root_id, asset_id FOR NO KEY UPDATE
""")
"""Nobody pays, credits or splits a claim while its history is computed."""

CLAIMS = text("""
    SELECT claim.asset_id, claim.root_id, claim.face_minor, claim.outstanding_minor, claim.due_date, claim.state,
           claim.schedule_version, (claim.listed_at AT TIME ZONE :zone)::date AS listed_on, receivable.originator_id,
           receivable.product, company.number AS obligor, company.controller_id, pool.funder_id
    FROM claim
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company ON company.company_id = receivable.obligor_id
    LEFT JOIN pool ON pool.pool_id = claim.pool_id AND claim.state IN ('assigned', 'closed')
    WHERE claim.asset_id = ANY(:ids) ORDER BY claim.asset_id
""")

MOVEMENTS = text("""
    WITH paid AS (
        SELECT asset_id, value_date, reversed_on, applied_minor - charged_minor AS amount_minor
        FROM receipt WHERE asset_id = ANY(:ids)
        UNION ALL
        SELECT share.asset_id, value_date, reversed_on, share.amount_minor - coalesce((
                   SELECT sum(charge_payment.amount_minor) FROM charge_payment JOIN charge USING (charge_id)
                   WHERE charge_payment.receipt_id = share.receipt_id AND charge.asset_id = share.asset_id
               ), 0)::bigint
        FROM receipt_share AS share JOIN receipt USING (receipt_id) WHERE share.asset_id = ANY(:ids)
    )
    SELECT asset_id, value_date AS day, amount_minor FROM paid
    UNION ALL
    SELECT asset_id, greatest(reversed_on, value_date), -amount_minor FROM paid WHERE reversed_on IS NOT NULL
    UNION ALL
    SELECT asset_id, issue_date, amount_minor FROM credit_note WHERE asset_id = ANY(:ids)
    UNION ALL
    SELECT asset_id, business_date, amount_minor FROM write_off
    WHERE asset_id = ANY(:ids) AND cause = 'small_difference'
""")
"""Everything that changed what the obligor owes, by the day from which on it counts: rows that settlement wrote.

Charges are paid beside it. A write-off is the owner's loss and pays nothing, so that nobody is cured by it; a small
difference is forgiven.
"""

FORBEARANCES = text("""
    WITH RECURSIVE line AS (
        SELECT asset_id AS part_id, asset_id, parent_id FROM claim WHERE asset_id = ANY(:ids)
        UNION ALL
        SELECT line.part_id, claim.asset_id, claim.parent_id
        FROM line JOIN claim ON claim.asset_id = line.parent_id
    )
    SELECT line.part_id, forbearance.asset_id, kind, effective_on, until_date, schedule_version, previous_version,
           previous_due_date
    FROM line JOIN forbearance ON forbearance.asset_id = line.asset_id AND outcome = 'accepted'
    ORDER BY effective_on, answered_at, forbearance_id
""")
"""What was agreed on an asset, and on those it was split off from."""

INSTALMENTS = text("""
    SELECT asset_id, version, number, due_date, amount_minor FROM instalment WHERE asset_id = ANY(:ids)
    ORDER BY asset_id, version, number
""")

POLICIES = text("SELECT originator_id, product, effective_from, terms FROM servicing_policy ORDER BY effective_from")


@dataclass(frozen=True, slots=True)
class Policies:
    """Every version there is, by scope."""

    versions: Mapping[Scope, Sequence[tuple[date, Terms]]]

    def rules(self, originator_id: str, product: str) -> tuple[Rule, ...]:
        """What holds for an originator's product, day by day: the narrowest scope that has a version in force."""
        scopes = [(originator_id, product), (originator_id, ""), ("", product), ("", "")]
        days = sorted({start for scope in scopes for start, _ in self.versions.get(scope, ())})
        return tuple(Rule(day, self._in_force(scopes, day)) for day in [date.min, *days])

    def terms(self, day: date) -> set[Terms]:
        """The terms that hold for anybody on a day."""
        latest = [[terms for start, terms in versions if start <= day] for versions in self.versions.values()]
        return {STANDARD, *(versions[-1] for versions in latest if versions)}

    def changes_on(self, day: date) -> bool:
        """Whether any version comes into force that day."""
        return any(start == day for versions in self.versions.values() for start, _ in versions)

    def _in_force(self, scopes: Iterable[Scope], day: date) -> Terms:
        for scope in scopes:
            begun = [terms for start, terms in self.versions.get(scope, ()) if start <= day]
            if begun:
                return begun[-1]
        return STANDARD


def policies(session: Session) -> Policies:
    """The versions of every policy."""
    versions: dict[Scope, list[tuple[date, Terms]]] = {}
    for row in session.execute(POLICIES):
        scope = (row.originator_id, row.product)
        versions.setdefault(scope, []).append((row.effective_from, msgspec.convert(row.terms, Terms)))
    return Policies(versions)


def lock(session: Session, *, asset_ids: Sequence[str]) -> None:
    """Lock the claims, in the one order in which all do."""
    session.execute(LOCK, {"ids": list(asset_ids)})


def claims(session: Session, *, asset_ids: Sequence[str], time_zone: str) -> list[Any]:
    """The claims among the assets, with whose they are."""
    return list(session.execute(CLAIMS, {"ids": list(asset_ids), "zone": time_zone}))


def clocks(session: Session, *, rows: Sequence[Any], in_force: Policies) -> dict[str, Clock]:
    """The clock of each of the claims."""
    ids = [row.asset_id for row in rows]
    movements = _by_asset(session.execute(MOVEMENTS, {"ids": ids}), "asset_id")
    agreed = _by_asset(session.execute(FORBEARANCES, {"ids": ids}), "part_id")
    scheduled = [row.asset_id for row in rows if row.schedule_version is not None]
    instalments = _by_asset(session.execute(INSTALMENTS, {"ids": scheduled}) if scheduled else (), "asset_id")
    scopes = {(row.originator_id, row.product) for row in rows}
    rules = {scope: in_force.rules(*scope) for scope in scopes}
    return {
        row.asset_id: Clock(
            listed_on=row.listed_on,
            face_minor=row.face_minor,
            schedules=_schedules(row, agreed.get(row.asset_id, ()), instalments.get(row.asset_id, ())),
            movements=tuple(Movement(one.day, one.amount_minor) for one in movements.get(row.asset_id, ())),
            pauses=tuple(_pauses(agreed.get(row.asset_id, ()))),
            resets=tuple(one.effective_on for one in agreed.get(row.asset_id, ()) if one.kind == "reset"),
            rules=rules[row.originator_id, row.product],
        )
        for row in rows
    }


def _by_asset(rows: Iterable[Any], name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(getattr(row, name), []).append(row)
    return found


def _schedules(claim: Any, agreed: Sequence[Any], instalments: Sequence[Any]) -> tuple[Agreed, ...]:  # noqa: ANN401 - a row
    """What was agreed at first, and each reschedule of the asset itself; a part was born with its own schedule."""
    versions: dict[int, list[Instalment]] = {}
    for row in instalments:
        versions.setdefault(row.version, []).append(Instalment(row.number, row.due_date, row.amount_minor))
    changes = [one for one in agreed if one.kind == "reschedule" and one.asset_id == claim.asset_id]
    version, due_date = claim.schedule_version, claim.due_date
    if changes:
        version, due_date = changes[0].previous_version, changes[0].previous_due_date

    def schedule(number: int | None) -> Schedule:
        return bullet(due_date, amount_minor=claim.face_minor) if number is None else tuple(versions[number])

    later = (Agreed(one.effective_on, schedule(one.schedule_version)) for one in changes)
    return (Agreed(date.min, schedule(version)), *later)


def _pauses(agreed: Sequence[Any]) -> Iterable[Pause]:
    """Each pause up to its end, or to the day on which somebody ended it."""
    for one in agreed:
        if one.kind == "pause":
            ends = [
                resume.effective_on
                for resume in agreed
                if resume.kind == "resume" and one.effective_on <= resume.effective_on < one.until_date
            ]
            yield Pause(one.effective_on, min(ends, default=one.until_date))
