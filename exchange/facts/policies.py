"""How long facts count, and what each product asks of a company: data, with a default that comes with the code."""

from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from exchange.errors import Fault, InvalidRequest
from exchange.facts import queries, rules
from exchange.facts.kinds import KINDS
from exchange.facts.models import FactPolicy

DEFAULT = Path(__file__).parent / "policy.json"
SOURCES = text(f"""
    SELECT kind, source, count(*) AS facts, max(effective_date) AS newest, max(known_at) AS known_at
    FROM company_fact AS fact
    WHERE (company_id = :id
           OR (kind = 'person_report' AND controller_id IN
               (SELECT controller_id FROM company_fact WHERE company_id = :id AND kind = 'control')))
      AND (cast(:tellers AS text[]) IS NULL OR teller = ANY(:tellers)) AND {queries.STANDING}
    GROUP BY kind, source ORDER BY kind, source
""")  # noqa: S608 - constants of ours
TURN = text("SELECT pg_advisory_xact_lock(hashtext('facts.policy'))")


class Wanted(Struct, frozen=True):
    """A kind of fact that a product is decided on, and why, in English and Chinese."""

    kind: str
    needed: bool
    why: dict[str, str]


class Policy(Struct, frozen=True):
    """For how many days after its own day a fact of each kind counts; what each product asks for."""

    max_age_days: dict[str, int]
    checklists: dict[str, list[Wanted]]


@cache
def default() -> Policy:
    """The policy before anybody set one."""
    return msgspec.json.decode(DEFAULT.read_bytes(), type=Policy)


def in_force(session: Session) -> tuple[int, Policy]:
    """The policy that counts now, and its version; 0 is the one that comes with the code."""
    row = session.execute(select(FactPolicy).order_by(FactPolicy.version.desc()).limit(1)).scalar_one_or_none()
    return (0, default()) if row is None else (row.version, msgspec.convert(row.terms, Policy))


def put(session: Session, *, policy: Policy, client_id: str, now: datetime) -> int:
    """Put a policy in force; gives its version. Refuses one that does not speak of every kind (`InvalidRequest`)."""
    named = {wanted.kind for items in policy.checklists.values() for wanted in items} | policy.max_age_days.keys()
    faults = [Fault("unknown_kind", "", f"one of {', '.join(KINDS)}", kind) for kind in sorted(named - KINDS.keys())]
    missing = [
        Fault("missing", "/age_limits", "say how long it counts", kind)
        for kind in KINDS.keys() - policy.max_age_days.keys()
    ]
    missing += [
        Fault("missing", "/checklists", "say what it asks for", one)
        for one in default().checklists.keys() - policy.checklists.keys()
    ]
    if faults + missing:
        raise InvalidRequest("A policy speaks of every kind and every product.", faults=(*faults, *missing))
    session.execute(TURN)
    version = in_force(session)[0] + 1
    terms = msgspec.to_builtins(policy)
    session.execute(insert(FactPolicy).values(version=version, terms=terms, set_by=client_id, set_at=now))
    return version


def sources(
    session: Session, *, company_id: str, tellers: list[str] | None, today: date, now: datetime
) -> list[dict[str, Any]]:
    """What is known of a company by kind and source, and how old it is, in days; of `tellers` only, None for all."""
    limits = in_force(session)[1].max_age_days
    rows = session.execute(SOURCES, {"id": company_id, "tellers": tellers, "as_of": now}).mappings()
    found = []
    for row in rows:
        age, limit = rules.age_days(row["newest"], today=today), limits[row["kind"]]
        found.append({**row, "age_days": age, "max_age_days": limit, "too_old": age > limit})
    return found


def checklist(
    session: Session, *, company_id: str, product: str, tellers: list[str] | None, today: date, now: datetime
) -> dict[str, Any]:
    """What a company still has to bring for a product: what is missing or too old, and why it matters."""
    policy = in_force(session)[1]
    newest: dict[str, dict[str, Any]] = {}
    for one in sources(session, company_id=company_id, tellers=tellers, today=today, now=now):
        newest[one["kind"]] = min(one, newest.get(one["kind"], one), key=lambda source: source["age_days"])
    items = []
    for wanted in policy.checklists[product]:
        there = newest.get(wanted.kind)
        state = "missing" if there is None else "too_old" if there["too_old"] else "present"
        age = {"newest": there and there["newest"], "age_days": there and there["age_days"]}
        limit = {"max_age_days": policy.max_age_days[wanted.kind], "state": state}
        items.append(msgspec.to_builtins(wanted) | age | limit)
    complete = all(item["state"] == "present" for item in items if item["needed"])
    return {"company_id": company_id, "product": product, "complete": complete, "items": items}
