"""Every evening, each facility's day."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.facilities import closing
from exchange.facilities.models import Facility
from exchange.facilities.positions import At
from exchange.services import Services


def close_day(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Put each facility's day on the list of work."""
    day = services.business_date(datetime.fromisoformat(payload["fire_at"])).isoformat()
    for facility_id in session.execute(select(Facility.facility_id).order_by(Facility.facility_id)).scalars():
        jobs.enqueue(session, job="facilities.close", payload={"facility_id": facility_id, "business_date": day})


def close(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Bring one facility to the end of a day."""
    at = At(datetime.fromisoformat(payload["business_date"]).date(), services.clock.now(session))
    closing.close_day(session, services=services, facility_id=payload["facility_id"], at=at)
