"""Pause, resume, reschedule, reset: proposed by who services an asset, agreed to by who owns it, dated and signed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.callbacks.actions import tell
from exchange.db import copy_rows
from exchange.errors import Fault, NotFound
from exchange.ids import new_id
from exchange.pools.models import Instalment
from exchange.registry.actions import Fact, record_many
from exchange.services import Services
from exchange.servicing import clocks, consent
from exchange.servicing.consent import Asset, Consent, Due, Proposal
from exchange.servicing.models import ConsentPolicy, Forbearance
from exchange.servicing.terms import Terms
from exchange.title.actions import lock_titles
from exchange.title.rules import Title

FACTS = {
    "pause": "asset.paused",
    "resume": "asset.resumed",
    "reschedule": "asset.rescheduled",
    "reset": "asset.reset",
}
REASON_MISSING = Fault("missing", "/reason", "whoever does not accept says why")
COUNT = text("""
    SELECT count(*) FROM forbearance WHERE root_id = :root AND asset_id IN (:asset, :root) AND outcome = 'accepted'
        AND kind <> 'resume'
""")


def propose(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    asset_id: str,
    proposal: Proposal,
    today: date,
    now: datetime,
) -> Forbearance:
    """Propose to wait for an asset; it counts at once where nobody has to be asked, or its owner agreed beforehand.

    Refuses what `consent.check` refuses, `consent.ForbearancePending`, and an asset that is not the caller's to
    service (`NotFound`).
    """
    title = lock_titles(session, asset_ids=[asset_id]).get(asset_id)
    if title is None or title.originator_id != caller.party_id:
        raise NotFound("There is no such asset.")
    asset, terms = _asset(session, title, services=services, today=today)
    consent.check(proposal, asset, policy=terms.forbearance, today=today)
    pending = select(Forbearance.forbearance_id).where(Forbearance.asset_id == asset_id, Forbearance.outcome.is_(None))
    if session.execute(pending).first() is not None:
        raise consent.ForbearancePending("Its owner has not answered the last one.")
    row = _stored(session, title, proposal, services=services, caller=caller, now=now)
    answered_by = _answered_by(session, title, asset, proposal)
    if answered_by is None:
        data = {"forbearance_id": row.forbearance_id, "asset_id": asset_id} | _body(row)
        tell(session, funder_id=str(row.funder_id), type="forbearance.proposed", data=data, pending_id=None, now=now)
        session.add(row)
        session.flush()
        return row
    _accept(session, row, title, answered_by=answered_by, today=today, now=now)
    session.add(row)
    session.flush()
    return row


def answer(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    forbearance_id: str,
    outcome: str,
    reason: str | None,
    today: date,
    now: datetime,
) -> Forbearance:
    """Agree to a proposal or refuse it, as the owner; or withdraw it, as who proposed it. Once.

    Refuses `consent.AlreadyAnswered`, what `consent.check_still_fits` refuses, and what is not the caller's
    (`NotFound`).
    """
    asset_id = session.execute(
        select(Forbearance.asset_id).where(Forbearance.forbearance_id == forbearance_id)
    ).scalar_one_or_none()
    title = lock_titles(session, asset_ids=[asset_id]).get(asset_id) if asset_id else None
    query = select(Forbearance).where(Forbearance.forbearance_id == forbearance_id).with_for_update()
    row = session.execute(query).scalar_one_or_none()
    if row is None or title is None or not _may_answer(row, caller, outcome):
        raise NotFound("There is no such proposal.")
    if row.outcome is not None:
        raise consent.AlreadyAnswered("The answer is final.", outcome=row.outcome)
    row.answer_reason = reason
    if outcome == "accepted":
        if title.state == "assigned" and title.funder_id != caller.party_id:
            raise consent.OverTaken("Somebody else owns the asset by now.")
        asset, _ = _asset(session, title, services=services, today=today)
        consent.check_still_fits(_proposal(row), asset, today=today)
        _accept(session, row, title, answered_by=caller.client_id, today=today, now=now)
    else:
        row.outcome, row.answered_by, row.answered_at = outcome, caller.client_id, now
    session.flush()
    return row


def set_consent(session: Session, *, funder_id: str, agreed: Consent, client_id: str, now: datetime) -> int:
    """Say what a funder agrees to beforehand, from now on; gives the version."""
    lock = text("SELECT FROM funder WHERE funder_id = :funder FOR NO KEY UPDATE")
    session.execute(lock, {"funder": funder_id})
    version = consent_of(session, funder_id=funder_id)[0] + 1
    values = {"funder_id": funder_id, "version": version, "terms": msgspec.to_builtins(agreed)}
    session.execute(insert(ConsentPolicy).values(set_by=client_id, set_at=now, **values))
    return version


def consent_of(session: Session, *, funder_id: str) -> tuple[int, Consent | None]:
    """What a funder agrees to beforehand, and the version of that; version 0 is nothing."""
    query = select(ConsentPolicy).where(ConsentPolicy.funder_id == funder_id).order_by(ConsentPolicy.version.desc())
    row = session.execute(query.limit(1)).scalar_one_or_none()
    return (0, None) if row is None else (row.version, msgspec.convert(row.terms, Consent))


def _asset(session: Session, title: Title, *, services: Services, today: date) -> tuple[Asset, Terms]:
    """The asset as the rules see it, and the policy it is serviced by."""
    ids, zone = [title.asset_id], services.settings.time_zone
    rows = clocks.claims(session, asset_ids=ids, time_zone=zone)
    clock = clocks.clocks(session, rows=rows, in_force=clocks.policies(session))[title.asset_id]
    count = session.execute(COUNT, {"asset": title.asset_id, "root": title.root_id}).scalar_one()
    asset = Asset(title.state, title.outstanding_minor, title.due_date, clock.pauses, count)
    return asset, clock.terms(today)


def _answered_by(session: Session, title: Title, asset: Asset, proposal: Proposal) -> str | None:
    """Who answers by rule; None where the owner has to be asked."""
    if title.state != "assigned":
        return consent.UNOWNED
    if proposal.kind == "resume":
        return consent.ALWAYS
    _, agreed = consent_of(session, funder_id=str(title.funder_id))
    return consent.BEFOREHAND if consent.is_agreed(proposal, asset, consent=agreed) else None


def _stored(
    session: Session, title: Title, proposal: Proposal, *, services: Services, caller: Caller, now: datetime
) -> Forbearance:
    number = session.execute(
        text("SELECT count(*) FROM forbearance WHERE asset_id = :asset"), {"asset": title.asset_id}
    ).scalar_one()
    purpose = f"{title.asset_id}/{number}"
    dues = [{"due_date": one.due_date.isoformat(), "amount_minor": one.amount_minor} for one in proposal.instalments]
    return Forbearance(
        forbearance_id=new_id("fbr", now=now, entropy=services.entropy, purpose=purpose),
        asset_id=title.asset_id,
        root_id=title.root_id,
        originator_id=title.originator_id,
        funder_id=title.funder_id if title.state == "assigned" else None,
        kind=proposal.kind,
        from_date=proposal.from_date,
        until_date=proposal.until_date,
        instalments=dues or None,
        reason=proposal.reason,
        proposed_by=caller.client_id,
        proposed_at=now,
    )


def _may_answer(row: Forbearance, caller: Caller, outcome: str) -> bool:
    """An owner answers what it was asked, an originator takes back what it asked."""
    if caller.role is Role.FUNDER:
        return row.funder_id == caller.party_id and outcome != "withdrawn"
    return row.originator_id == caller.party_id and outcome == "withdrawn"


def _proposal(row: Forbearance) -> Proposal:
    dues = tuple(Due(date.fromisoformat(one["due_date"]), one["amount_minor"]) for one in row.instalments or ())
    return Proposal(msgspec.convert(row.kind, consent.Kind), row.from_date, row.until_date, dues, row.reason)


def _accept(session: Session, row: Forbearance, title: Title, *, answered_by: str, today: date, now: datetime) -> None:
    """From here on it counts: the schedule is another one, the fact is signed, the owner is told."""
    row.outcome, row.answered_by, row.answered_at = "accepted", answered_by, now
    row.effective_on = max(row.from_date, today)
    if row.instalments:
        _reschedule(session, row, title, dues=_proposal(row).instalments)
    body = _body(row) | {"effective_date": row.effective_on.isoformat()}
    fact = Fact(row.asset_id, FACTS[row.kind], {"forbearance": row.forbearance_id} | body, {"reason": row.reason})
    (pending_id,) = record_many(session, facts=[fact], now=now)
    if title.state == "assigned":
        data = {"forbearance_id": row.forbearance_id, "asset_id": row.asset_id} | body
        funder_id = str(title.funder_id)
        tell(session, funder_id=funder_id, type=FACTS[row.kind], data=data, pending_id=pending_id, now=now)


def _reschedule(session: Session, row: Forbearance, title: Title, *, dues: Sequence[Due]) -> None:
    """Write the next version of the instalments; the one before stands, and with it the date of a bullet."""
    current = text("SELECT schedule_version FROM claim WHERE asset_id = :id")
    last = text("SELECT coalesce(max(version), 0) FROM instalment WHERE asset_id = :id")
    row.previous_version = session.execute(current, {"id": row.asset_id}).scalar_one()
    row.previous_due_date = title.due_date
    row.schedule_version = session.execute(last, {"id": row.asset_id}).scalar_one() + 1
    columns = ("asset_id", "version", "number", "due_date", "amount_minor")
    lines = ((row.asset_id, row.schedule_version, number, *due) for number, due in enumerate(dues, start=1))
    copy_rows(session, Instalment.__tablename__, columns, lines)
    update = text("UPDATE claim SET schedule_version = :version, due_date = :due WHERE asset_id = :id")
    session.execute(update, {"version": row.schedule_version, "due": dues[-1].due_date, "id": row.asset_id})


def _body(row: Forbearance) -> dict[str, Any]:
    """What is said of it, to everybody who may see the asset."""
    body: dict[str, Any] = {"kind": row.kind}
    if row.until_date is not None:
        body |= {"from_date": row.from_date.isoformat(), "until_date": row.until_date.isoformat()}
    return body | ({"instalments": row.instalments} if row.instalments else {})
