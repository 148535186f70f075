"""What a funder does with its endpoint: halt and start it, change its secret, have events sent again, try it out."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks import rules
from exchange.callbacks.actions import schedule, seal_secret
from exchange.callbacks.models import CallbackAttempt, CallbackEndpoint, Delivery
from exchange.errors import NotFound
from exchange.services import Services

OVERLAP = timedelta(days=1)
"""So long what is sent is signed under the secret before, too."""
ATTEMPTS_KEPT = timedelta(days=30)
AGAIN = text("""
    UPDATE callback_delivery SET delivered_at = NULL, attempts = 0, next_attempt_at = :now
    FROM funder_event
    WHERE callback_delivery.funder_id = :funder_id AND funder_event.funder_id = :funder_id
      AND funder_event.sequence = callback_delivery.sequence
      AND funder_event.recorded_at BETWEEN :since AND :until
""")


def switch(session: Session, *, funder_id: str, enabled: bool, machine_now: datetime) -> None:
    """Send again, all that was held, in its order; or hold all from now on (`NotFound`)."""
    row = _locked(session, funder_id)
    if not enabled and row.disabled_at is None:
        row.disabled_at, row.disabled_reason = machine_now, "asked"
    elif enabled and row.disabled_at is not None:
        row.disabled_at = row.disabled_reason = row.failing_since = row.rests_until = None
        schedule(session, funder_id=funder_id, now=machine_now)
        jobs.wake(session, jobs.Wakes.MAIL)
    session.flush()


def rotate(session: Session, *, services: Services, funder_id: str, machine_now: datetime) -> tuple[str, datetime]:
    """Another secret, and until when what is sent is signed under the one before, too (`NotFound`)."""
    row = _locked(session, funder_id)
    if row.previous_until is None or row.previous_until <= machine_now:  # else the receiver may not have the last one
        row.previous_sealed, row.previous_until = row.secret_sealed, machine_now + OVERLAP
    sealed, secret = seal_secret(services, funder_id=funder_id, purpose=f"{machine_now}")
    row.secret_sealed = sealed
    session.flush()
    return rules.secret_text(secret), row.previous_until


def recover(session: Session, *, funder_id: str, since: datetime, until: datetime, machine_now: datetime) -> int:
    """Send again what was told from `since` to `until` (business time), taken or not; how many events (`NotFound`)."""
    _locked(session, funder_id)
    values = {"funder_id": funder_id, "since": since, "until": until, "now": machine_now}
    count = session.connection().execute(AGAIN, values).rowcount
    jobs.wake(session, jobs.Wakes.MAIL)
    return count


def resend(session: Session, *, funder_id: str, sequence: int, machine_now: datetime) -> None:
    """Send one event again, taken or not (`NotFound`)."""
    _locked(session, funder_id)
    mine = (Delivery.funder_id == funder_id, Delivery.sequence == sequence)
    values = {"delivered_at": None, "attempts": 0, "next_attempt_at": machine_now}
    if session.execute(update(Delivery).where(*mine).values(**values).returning(Delivery.sequence)).first() is None:
        raise NotFound("There is no such event in your stream.")
    jobs.wake(session, jobs.Wakes.MAIL)


def ask_example(session: Session, *, funder_id: str, kind: str) -> None:
    """Have an example of an event sent, once; it has no place in the stream (`UnknownEventType`, `NotFound`)."""
    rules.check_event(kind, data=b"")
    _locked(session, funder_id).example = kind
    session.flush()
    jobs.wake(session, jobs.Wakes.MAIL)


def forget_attempts(session: Session, *, now: datetime) -> None:
    """Forget the attempts that nobody will ask for any more."""
    session.execute(delete(CallbackAttempt).where(CallbackAttempt.at < now - ATTEMPTS_KEPT))


def _locked(session: Session, funder_id: str) -> CallbackEndpoint:
    """The endpoint, with the publisher kept out: no event falls between what it sees and what we do."""
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": rules.PUBLISHER_LOCK})
    query = select(CallbackEndpoint).where(CallbackEndpoint.funder_id == funder_id).with_for_update()
    row = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if row is None:
        raise NotFound("You have no callback endpoint: make one with PUT.")
    return row
