"""Whether the exchange is at rest, and whether it is right."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast

from alembic.script import ScriptDirectory
from sqlalchemy import DateTime, bindparam, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks.queries import undelivered, unpublished
from exchange.clock import system_now
from exchange.jobs import Fired, Heartbeat, WorkItem
from exchange.migrations import config
from exchange.reconciliation.queries import last_finished, unresolved
from exchange.registry import consistency
from exchange.registry.queries import log_keys, set_aside, unsealed
from exchange.services import Services
from ledger import audit, books

PENDING = ("work", "unsealed", "unpublished", "undelivered")
STATE = select(
    select(Fired.until).scalar_subquery(),
    jobs.unfinished(),
    unsealed(),
    unpublished(),
    undelivered(now=bindparam("now", type_=DateTime(timezone=True))),
)


def clock_state(session: Session, *, services: Services) -> dict[str, Any]:
    """The time, and what is pending at it: counted in one statement, so that nothing can slip between two counts."""
    now = services.clock.now(session)
    first, *counts = session.execute(STATE, {"now": system_now()}).one()
    fired_until = cast("datetime | None", first)
    pending = dict(zip(PENDING, counts, strict=True))
    virtual = services.settings.virtual_clock
    caught_up = not virtual or (fired_until is not None and fired_until >= now)
    return {
        "now": now,
        "virtual": virtual,
        "idle": caught_up and not pending["work"],
        "quiet": caught_up and not any(pending.values()),
        "pending": pending,
    }


def checks(session: Session, *, services: Services) -> dict[str, Any]:
    """Everything that is wrong with the books and the log; `session` has to be one snapshot."""
    connection = session.connection()
    breaks = books.check(connection)
    keys = log_keys(session, log_name=services.settings.log_name, denounced=True)
    found = audit.check_log(connection, keys=keys)
    found += [*consistency.check_records(session), *consistency.check_guard(services)]
    return {
        "books": [
            {"kind": one.kind, "where": one.where, "expected": str(one.expected), "found": str(one.found)}
            for one in breaks
        ],
        "log": [{"kind": one.kind, "where": one.where, "detail": one.detail} for one in found] + set_aside(session),
    }


SILENT_AFTER = timedelta(seconds=60)
"""A worker says every ten seconds that it lives."""
LATE_AFTER = timedelta(minutes=5)

Labelled = Sequence[tuple[tuple[str, ...], float]]
Gauge = tuple[str, tuple[str, ...], Labelled]
"""What it says, its labels, and its values."""

WAITING = text("""
    SELECT job, count(*) AS waiting, count(*) FILTER (WHERE attempts > 0) AS failing,
           extract(epoch FROM greatest(:now - min(due_at) FILTER (WHERE due_at <= :now), interval '0'))::float AS oldest
    FROM work_item GROUP BY job
""")
COUNTS = text("""
    SELECT (SELECT count(*) FROM pending_event) AS unsealed,
           (SELECT count(*) FROM set_aside_event) AS set_aside,
           (SELECT count(*) FROM callback_outbox) AS unpublished,
           (SELECT count(*) FROM callback_delivery WHERE delivered_at IS NULL) AS undelivered,
           (SELECT count(*) FROM callback_delivery WHERE delivered_at IS NULL AND attempts > 0) AS failing,
           (SELECT count(*) FROM callback_endpoint WHERE disabled_at IS NOT NULL) AS disabled,
           (SELECT coalesce(max(index) + 1, 0) FROM log_leaf) AS logged,
           (SELECT coalesce(max(size), 0) FROM log_checkpoint) AS published
""")


def readiness(services: Services, *, now: datetime) -> dict[str, str]:
    """What has to be right before anybody relies on this exchange, each `ok` or what is wrong. `now` is machine's."""
    found = {"database": "ok", "migrations": "ok", "schedule": "ok"}
    try:
        with services.database.transaction() as session:
            revision = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
            if revision != _newest(services.database.url):
                found["migrations"] = f"at revision {revision}, not {_newest(services.database.url)}"
                return found | {"schedule": "unknown"}
            found["schedule"] = _lateness(session, services=services, now=now)
    except SQLAlchemyError:
        return {"database": "does not answer", "migrations": "unknown", "schedule": "unknown"}
    return found


def standing(session: Session, *, services: Services, now: datetime) -> Mapping[str, Gauge]:
    """What there is to do, how late it is and what is wrong, as gauges; `now` is machine time."""
    waiting = session.execute(WAITING, {"now": now}).all()
    counts = session.execute(COUNTS).one()
    business, until = services.clock.now(session), jobs.fired_until(session)
    today, reconciled, live = services.business_date(business), last_finished(session), unresolved(session)
    alive = session.execute(select(func.count()).where(Heartbeat.seen_at > now - SILENT_AFTER)).scalar_one()
    gauges: dict[str, Gauge] = {
        "work_items": ("Pieces of work that are not done.", ("job",), [((row.job,), row.waiting) for row in waiting]),
        "work_items_failing": ("Of those, tried in vain.", ("job",), [((row.job,), row.failing) for row in waiting]),
        "work_item_oldest_seconds": (
            "For how long the oldest has been due.",
            ("job",),
            [((row.job,), row.oldest or 0.0) for row in waiting],
        ),
        "breaks": (
            "Breaks that are not resolved.",
            ("kind", "state"),
            [((kind, state), n) for kind, state, n, _ in live],
        ),
        "break_oldest_days": (
            "Age of the oldest.",
            ("kind", "state"),
            [((kind, state), max((today - since).days, 0)) for kind, state, _, since in live],
        ),
        "workers_alive": ("Workers that said so lately.", (), [((), alive)]),
    }
    if until is not None:
        lag = max((business - until).total_seconds(), 0.0)
        gauges["schedule_lag_seconds"] = ("Business time not fired yet.", (), [((), lag)])
    if reconciled is not None:
        gauges["reconciled_age_days"] = (
            "Since the last reconciled date.",
            (),
            [((), max((today - reconciled).days, 0))],
        )
    simple = {
        "facts_unsealed": ("Facts that wait for their signature.", counts.unsealed),
        "facts_set_aside": ("Facts that cannot be signed.", counts.set_aside),
        "events_unpublished": ("Callbacks that wait for their stream.", counts.unpublished),
        "deliveries_pending": ("Callbacks not delivered.", counts.undelivered),
        "deliveries_failing": ("Of those, tried in vain.", counts.failing),
        "endpoints_disabled": ("Funders whose endpoint is given up.", counts.disabled),
        "log_entries": ("Entries of the log.", counts.logged),
        "log_published_entries": ("Entries under the last signed checkpoint.", counts.published),
    }
    return gauges | {name: (says, (), [((), value)]) for name, (says, value) in simple.items()}


def failing_work(session: Session, *, after: int, limit: int) -> list[dict[str, Any]]:
    """Work that was tried in vain, in the order of the list."""
    query = select(WorkItem).where(WorkItem.attempts > 0, WorkItem.work_id > after)
    names = ("work_id", "job", "payload", "attempts", "due_at", "last_error")
    rows = session.scalars(query.order_by(WorkItem.work_id).limit(limit))
    return [{name: getattr(row, name) for name in names} | {"set_aside": row.lost >= jobs.MOST_LOST} for row in rows]


def workers(session: Session) -> list[dict[str, Any]]:
    """The workers of the last day."""
    names = ("worker", "started_at", "seen_at")
    rows = session.scalars(select(Heartbeat).order_by(Heartbeat.worker))
    return [{name: getattr(row, name) for name in names} for row in rows]


def _lateness(session: Session, *, services: Services, now: datetime) -> str:
    seen = session.execute(select(func.max(Heartbeat.seen_at))).scalar_one_or_none()
    if seen is None or seen < now - SILENT_AFTER:
        return "no worker has said for a minute that it lives"
    until = jobs.fired_until(session) or datetime.min.replace(tzinfo=UTC)
    behind = services.clock.now(session) - until
    if behind > LATE_AFTER and not services.settings.virtual_clock:  # a virtual clock may leap
        return f"{behind.total_seconds():.0f} s behind"
    return "ok"


@cache
def _newest(url: str) -> str | None:
    return ScriptDirectory.from_config(config(url)).get_current_head()


CONTROLLER = text("""
    SELECT controller_id, coalesce(identity_sealed, '') <> '' AS kept, erased_at,
           array(SELECT company_id FROM company WHERE company.controller_id = controller.controller_id
                 UNION SELECT company_id FROM company_fact AS fact
                 WHERE fact.controller_id = controller.controller_id AND company_id IS NOT NULL
                 ORDER BY 1) AS companies
    FROM controller WHERE controller_id = :id
""")
ACCESSES = text("""
    SELECT access_id, subject, field, purpose, reason, client_id, role, accessed_at
    FROM personal_access JOIN api_client USING (client_id)
    WHERE access_id > :after AND (cast(:subject AS text) IS NULL OR subject = :subject)
      AND (cast(:client_id AS text) IS NULL OR client_id = :client_id)
    ORDER BY access_id LIMIT :limit
""")
ERASURES = text("""
    SELECT erasure_id, controller_id, reason, asked_by, asked_at, decision, decided_by, decided_at FROM erasure
    WHERE (cast(:after AS text) IS NULL OR erasure_id > :after)
      AND (cast(:state AS text) IS NULL OR coalesce(decision, 'open') = :state)
    ORDER BY erasure_id LIMIT :limit
""")


def controller(session: Session, *, controller_id: str) -> dict[str, Any] | None:
    """A person who controls companies, with nothing that says who it is; None for nobody."""
    row = session.execute(CONTROLLER, {"id": controller_id}).mappings().one_or_none()
    return None if row is None else dict(row)


def accesses(
    session: Session, *, subject: str | None, client_id: str | None, after: int, limit: int
) -> list[dict[str, Any]]:
    """Who was shown personal data, of one subject and by one client where they are given; oldest first."""
    asked = {"subject": subject, "client_id": client_id, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(ACCESSES, asked).mappings()]


def erasures(session: Session, *, state: str | None, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Requests to erase persons, oldest first; in one state where it is given."""
    asked = {"state": state, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(ERASURES, asked).mappings()]
