"""Close auctions whose time is over, each in a transaction of its own; take listings off that are over."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.services import Services
from exchange.trading import actions, closing
from exchange.trading.models import Auction


def close(services: Services, session: Session, payload: dict[str, Any]) -> None:  # noqa: ARG001 - a handler's form
    """Put each auction that is over on the list of work; withdraw listings that are stale or expired."""
    now = services.clock.now(session)
    over = select(Auction.auction_id).where(Auction.outcome.is_(None), Auction.closes_at <= now)
    for auction_id in session.execute(over.order_by(Auction.auction_id)).scalars():
        jobs.enqueue(session, job="trading.clear", payload={"auction_id": auction_id})
    actions.withdraw_stale(session, today=services.business_date(now), now=now)


def clear(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Open the bids of an auction and give each lot to the lowest."""
    now = services.clock.now(session)
    today = services.business_date(now)
    closing.clear(session, services=services, auction_id=payload["auction_id"], today=today, now=now)
