"""Open facilities, take commitments, call and pay in capital, take wishes for it back, change rules."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.errors import NotFound
from exchange.facilities import positions, rules
from exchange.facilities.models import (
    Facility,
    FacilityFact,
    FacilityRules,
    Holding,
    ServicerReport,
    Tranche,
)
from exchange.facilities.positions import At
from exchange.facilities.terms import Terms, check_purchases, read_terms, read_tranches
from exchange.ids import new_id
from exchange.parties.actions import register_funder
from exchange.pools.actions import create_mandate
from exchange.pools.terms import Terms as MandateTerms
from exchange.registry.actions import Fact, record_many
from exchange.services import Services

MANDATE = "facility"
"""The name of a facility's mandate."""

SERVICED = text("""
    SELECT count(*) AS assets, coalesce(sum(claim.outstanding_minor), 0)::bigint AS outstanding_minor
    FROM facility
    JOIN pool_asset AS held ON held.mandate_id = facility.mandate_id AND released_at IS NULL AND bought_on IS NOT NULL
    JOIN claim ON claim.asset_id = held.asset_id
    JOIN receivable ON receivable.asset_id = claim.root_id
    WHERE facility.currency = :currency AND receivable.originator_id = :originator
""")


def create(session: Session, *, services: Services, body: dict[str, Any], client_id: str, at: At) -> Facility:
    """Open a facility with its own funder, mandate and tranches, warehousing (`RulesRefused`, `PartyExists`)."""
    ranks = read_tranches(body["tranches"])
    terms = read_terms(body["rules"], ranks=ranks, at="/rules")
    rules.check_currency(terms, at="/rules")
    check_purchases(terms, at="/rules")
    funder_id, _ = register_funder(session, name=body["name"], now=at.now, entropy=services.entropy)
    mandate_id, _ = _mandate(session, services, funder_id, terms, now=at.now)
    facility = Facility(
        facility_id=new_id("fac", now=at.now, entropy=services.entropy, purpose=funder_id),
        funder_id=funder_id,
        mandate_id=mandate_id,
        name=body["name"],
        currency=terms.purchases["currency"],
        opened_on=at.today,
        created_by=client_id,
        created_at=at.now,
    )
    session.add(facility)
    session.flush()
    rows = [
        one | {"tranche_id": _tranche_id(services, facility, one["name"], at), "facility_id": facility.facility_id}
        for one in body["tranches"]
    ]
    names = ("per_loss_minor", "per_loss_ppm")
    session.execute(insert(Tranche), [dict.fromkeys(names) | row for row in rows])
    _announce(session, facility, terms, version=1, client_id=client_id, effective_on=at.today, at=at, applied=True)
    note(session, facility, axis="state", value="warehousing", reason="opened", at=at)
    note(session, facility, axis="health", value="healthy", reason="opened", at=at)
    paths = [books.funder_cash, books.funder_reserved, books.facility_reserve, books.facility_cover]
    books.open_money(session, currency=facility.currency, paths=[path(funder_id) for path in paths])
    books.open_money(session, currency=facility.currency, paths=[books.FEES])
    return facility


def note(
    session: Session,
    facility: Facility,
    *,
    axis: str,
    value: str,
    reason: str,
    at: At,
    test: str | None = None,
    numbers: Mapping[str, Any] | None = None,
) -> None:
    """Note a turn of the state, the health or a trigger, sign it, and tell whoever holds a tranche."""
    last = select(func.max(FacilityFact.number)).where(FacilityFact.facility_id == facility.facility_id)
    number = (session.execute(last).scalar_one() or 0) + 1
    body = {"axis": axis, "value": value, "reason": reason, "test": test, "numbers": dict(numbers or {})}
    row: dict[str, Any] = {
        "facility_id": facility.facility_id,
        "number": number,
        "business_date": at.today,
        "recorded_at": at.now,
    }
    session.execute(insert(FacilityFact).values(**row, **body))
    told = {name: one for name, one in body.items() if one is not None} | {"effective_date": at.today.isoformat()}
    tell(session, facility, kind=f"facility.{axis}", body=told, at=at)


def tell(session: Session, facility: Facility, *, kind: str, body: Mapping[str, Any], at: At) -> None:
    """Sign a fact of the facility, and tell everybody who committed to it."""
    (pending_id,) = record_many(session, facts=[Fact(facility.facility_id, kind, body)], now=at.now)
    holders = select(Holding.funder_id).distinct().join(Tranche, Tranche.tranche_id == Holding.tranche_id)
    query = holders.where(Tranche.facility_id == facility.facility_id).order_by(Holding.funder_id)
    data = dict(body) | {"facility_id": facility.facility_id}
    notices = [Notice(funder_id, kind, data, pending_id) for funder_id in session.execute(query).scalars()]
    tell_many(session, notices=notices, now=at.now)


def set_purchases(
    session: Session, *, services: Services, facility: Facility, terms: Terms, buys: bool, now: datetime
) -> None:
    """Let the facility's mandate buy by its rules, or nothing: another version of it, where that is a change."""
    wanted = _purchases(terms, buys=buys)
    last = text("SELECT terms FROM mandate WHERE mandate_id = :id ORDER BY version DESC LIMIT 1")
    if session.execute(last, {"id": facility.mandate_id}).scalar_one() != msgspec.to_builtins(wanted):
        create_mandate(session, services=services, funder_id=facility.funder_id, name=MANDATE, terms=wanted, now=now)


def change_rules(
    session: Session, *, facility_id: str, body: Mapping[str, Any], client_id: str, at: At
) -> FacilityRules:
    """Announce other rules. They wait as long as the rules in force say (`ChangeWaiting`, `RulesRefused`)."""
    facility = positions.lock(session, facility_id=facility_id)
    if _waiting(session, facility_id) is not None:
        raise rules.ChangeWaiting("Withdraw it, or wait for it.")
    tranches = positions.positions(session, facility_id=facility_id, until=at.today)
    terms = read_terms(body, ranks=[one.rank for one in tranches])
    rules.check_currency(terms, currency=facility.currency)
    check_purchases(terms)
    in_force = positions.terms(session, facility_id=facility_id)
    last = select(func.max(FacilityRules.version)).where(FacilityRules.facility_id == facility_id)
    effective_on = at.today + timedelta(days=in_force.notice_days)
    version = session.execute(last).scalar_one() + 1
    row = _announce(session, facility, terms, version=version, client_id=client_id, effective_on=effective_on, at=at)
    body = {"version": version, "effective_on": effective_on.isoformat()}
    tell(session, facility, kind="facility.rules_announced", body=body, at=at)
    return row


def withdraw_rules(session: Session, *, facility_id: str, version: int, at: At) -> None:
    """Withdraw rules that wait (`NotFound`, `ChangeOver`)."""
    positions.lock(session, facility_id=facility_id)
    row = session.get(FacilityRules, (facility_id, version), populate_existing=True)
    if row is None:
        raise NotFound("There is no such version.")
    if row.applied_on or row.withdrawn_on:
        raise rules.ChangeOver("It is in force." if row.applied_on else "It was withdrawn before.")
    row.withdrawn_on = at.today
    session.flush()


def apply_rules(session: Session, *, facility: Facility, at: At) -> bool:
    """Put the rules in force that waited long enough, unless money waits to leave; whether that was done."""
    row = _waiting(session, facility.facility_id)
    if row is None or row.effective_on > at.today or leaving(session, facility_id=facility.facility_id):
        return False
    row.applied_on = at.today
    session.flush()
    tell(session, facility, kind="facility.rules_applied", body={"version": row.version}, at=at)
    return True


def leaving(session: Session, *, facility_id: str) -> bool:
    """Whether money waits to leave."""
    query = text("""
        SELECT EXISTS (SELECT FROM redemption JOIN tranche USING (tranche_id)
                       WHERE facility_id = :id AND outcome IS NULL)
    """)
    return bool(session.execute(query, {"id": facility_id}).scalar_one())


def report(session: Session, *, originator_id: str, body: Mapping[str, Any], client_id: str, at: At) -> dict[str, Any]:
    """Take a servicer's word on what it services for facilities, and say what the exchange has. Silence ends."""
    known = session.execute(SERVICED, {"currency": body["currency"], "originator": originator_id}).one()
    values = dict(body) | {"originator_id": originator_id, "known_count": known.assets}
    values |= {"known_minor": known.outstanding_minor, "report_date": at.today}
    row = insert(ServicerReport).values(**values, reported_by=client_id, reported_at=at.now)
    if session.get(ServicerReport, (originator_id, body["currency"], at.today)) is not None:
        raise rules.ReportKnown("One report a day and currency.")
    session.execute(row)
    return values


def _announce(
    session: Session,
    facility: Facility,
    terms: Terms,
    *,
    version: int,
    client_id: str,
    effective_on: date,
    at: At,
    applied: bool = False,
) -> FacilityRules:
    row = FacilityRules(
        facility_id=facility.facility_id,
        version=version,
        terms=msgspec.to_builtins(terms),
        announced_on=at.today,
        effective_on=effective_on,
        applied_on=at.today if applied else None,
        set_by=client_id,
        set_at=at.now,
    )
    session.add(row)
    session.flush()
    return row


def _waiting(session: Session, facility_id: str) -> FacilityRules | None:
    query = select(FacilityRules).where(FacilityRules.facility_id == facility_id)
    waits = query.where(FacilityRules.applied_on.is_(None), FacilityRules.withdrawn_on.is_(None))
    return session.execute(waits).scalar_one_or_none()


def _purchases(terms: Terms, *, buys: bool) -> MandateTerms:
    wanted: MandateTerms = msgspec.convert(terms.purchases, MandateTerms)
    return msgspec.structs.replace(wanted, auto_commit=True, **({} if buys else {"budget_minor": 0}))


def _mandate(session: Session, services: Services, funder_id: str, terms: Terms, *, now: datetime) -> tuple[str, int]:
    wanted = _purchases(terms, buys=True)
    return create_mandate(session, services=services, funder_id=funder_id, name=MANDATE, terms=wanted, now=now)


def _tranche_id(services: Services, facility: Facility, name: str, at: At) -> str:
    return new_id("trn", now=at.now, entropy=services.entropy, purpose=f"{facility.facility_id}/{name}")
