"""Close of business: split the day into chunks that any worker can take."""

from datetime import date, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.clock import business_date
from exchange.services import Services
from exchange.servicing import actions
from exchange.servicing.models import ClosedDay

CHUNK = 500


def close_day(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Put the assets that a business date touches on the list of work, once."""
    fired_at = datetime.fromisoformat(payload["fire_at"])
    today = business_date(fired_at, time_zone=services.settings.time_zone)
    asset_ids = actions.assets_to_close(session, business_date=today)
    values = {"business_date": today, "asset_count": len(asset_ids), "closed_at": services.clock.now(session)}
    session.execute(insert(ClosedDay).values(**values).on_conflict_do_nothing())
    for start in range(0, len(asset_ids), CHUNK):
        chunk = {"business_date": today.isoformat(), "asset_ids": asset_ids[start : start + CHUNK]}
        jobs.enqueue(session, job="servicing.close_assets", payload=chunk)


def close_assets(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Close a business date for one chunk of assets."""
    now, today = services.clock.now(session), date.fromisoformat(payload["business_date"])
    actions.close_assets(session, asset_ids=payload["asset_ids"], business_date=today, now=now)
