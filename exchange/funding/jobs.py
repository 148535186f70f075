"""Offer what a round matched; at the cut-off let lapsed offers go and buy the committed ones."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.funding import actions
from exchange.funding.models import Offer
from exchange.services import Services


def offer_round(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Offer the pools of a round."""
    now = services.clock.now(session)
    today = services.business_date(now)
    actions.offer_round(session, services=services, round_id=payload["round_id"], today=today, now=now)


def cut_off(services: Services, session: Session, payload: dict[str, Any]) -> None:  # noqa: ARG001 - a handler's form
    """Let lapsed offers go, and put each committed one on the list of work."""
    now = services.clock.now(session)
    today = services.business_date(now)
    actions.lapse_offers(session, today=today, now=now)
    waiting = select(Offer.offer_id).where(Offer.outcome == "committed", Offer.purchased_on.is_(None))
    for offer_id in session.execute(waiting.order_by(Offer.offer_id)).scalars():
        jobs.enqueue(session, job="funding.purchase", payload={"offer_id": offer_id})


def purchase(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Buy what one committed offer holds."""
    now = services.clock.now(session)
    today = services.business_date(now)
    actions.purchase(session, offer_id=payload["offer_id"], today=today, now=now)
