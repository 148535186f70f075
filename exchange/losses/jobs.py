"""Follow default and charge-off; give up by schedule, day by day."""

from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs
from exchange.losses import actions, giving_up
from exchange.services import Services

CHUNK = 500


def follow(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Do what default and charge-off entail, as the close of a business date noted them."""
    today = date.fromisoformat(payload["business_date"])
    items = [actions.Followed(item["asset_id"], item["kind"], item.get("fact", "")) for item in payload["items"]]
    actions.follow(session, items=items, today=today, now=services.clock.now(session))


def give_up(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Put what is late enough for a schedule on the list of work, in chunks."""
    today = services.business_date(datetime.fromisoformat(payload["fire_at"]))
    asset_ids = giving_up.assets_to_give_up(session, today=today)
    for start in range(0, len(asset_ids), CHUNK):
        chunk = {"business_date": today.isoformat(), "asset_ids": asset_ids[start : start + CHUNK]}
        jobs.enqueue(session, job="losses.give_up_assets", payload=chunk)


def give_up_assets(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Write off what the schedules have given up of one chunk of assets."""
    now, today = services.clock.now(session), date.fromisoformat(payload["business_date"])
    giving_up.give_up(session, asset_ids=payload["asset_ids"], today=today, now=now)
