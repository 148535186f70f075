"""Close of business: split the day into chunks that any worker can take."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as insert_once
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.services import Services
from exchange.servicing import accruals, actions, effects
from exchange.servicing.models import ClosedChunk, ClosedDay

CHUNK = 500
FUNDERS = 20
"""So many funders' accruals are one piece of work: each may hold a hundred thousand assets."""


def close_day(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Put what a business date touches on the list of work, once."""
    today = services.business_date(datetime.fromisoformat(payload["fire_at"]))
    now = services.clock.now(session)
    asset_ids = actions.assets_to_close(session, business_date=today, time_zone=services.settings.time_zone)
    chunks = [("servicing.close_assets", "asset_ids", part) for part in _parts(asset_ids, CHUNK)]
    chunks += [("servicing.accrue", "funder_ids", part) for part in _parts(accruals.funders(session), FUNDERS)]
    values = {"business_date": today, "asset_count": len(asset_ids), "chunk_count": len(chunks), "closed_at": now}
    day = insert_once(ClosedDay).values(**values).on_conflict_do_nothing().returning(ClosedDay.business_date)
    if session.execute(day).first() is None:
        return
    for chunk, (job, name, part) in enumerate(chunks, start=1):
        jobs.enqueue(session, job=job, payload={"business_date": today.isoformat(), "chunk": chunk, name: part})


def close_assets(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Close a business date for one chunk of assets."""
    now, today, asset_ids = services.clock.now(session), _day(payload), payload["asset_ids"]
    noted = actions.close_assets(session, services=services, asset_ids=asset_ids, business_date=today, now=now)
    _done(session, payload, step="assets", items=len(asset_ids), facts=noted, now=now)


def accrue(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Keep what one chunk of funders has earned by the end of a business date."""
    now, funder_ids = services.clock.now(session), payload["funder_ids"]
    zone = services.settings.time_zone
    kept = accruals.accrue(session, funder_ids=funder_ids, day=_day(payload), time_zone=zone, now=now)
    _done(session, payload, step="accruals", items=len(funder_ids), facts=kept, now=now)


def leave_offers(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Take the assets of obligors whose limits are suspended out of offers."""
    effects.leave_offers(session, obligors=payload["obligors"], now=services.clock.now(session))


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _day(payload: dict[str, Any]) -> date:
    return date.fromisoformat(payload["business_date"])


def _done(session: Session, payload: dict[str, Any], *, step: str, items: int, facts: int, now: datetime) -> None:
    values = {"business_date": _day(payload), "chunk": payload["chunk"], "step": step, "closed_at": now}
    session.execute(insert(ClosedChunk).values(item_count=items, fact_count=facts, **values))
