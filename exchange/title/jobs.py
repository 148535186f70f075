"""After a purchase, the notices of assignment; after a duplicate claim, everybody who relies on the asset."""

from typing import Any

from sqlalchemy.orm import Session

from exchange.callbacks.actions import Notice, tell_many
from exchange.registry.actions import Fact, record_many
from exchange.services import Services
from exchange.title import notices, queries


def notify(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Give notice of what a purchase bought."""
    now = services.clock.now(session)
    today = services.business_date(now)
    notices.give(session, services=services, pool_id=payload["pool_id"], today=today, now=now)


def alert(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Somebody claims invoices that were digitised before: sign it, and tell whoever holds them or is offered them."""
    now = services.clock.now(session)
    body = {"kind": payload["kind"]}
    known = queries.interested(session, asset_ids=payload["asset_ids"])
    facts = [Fact(asset_id, "asset.duplicate_claimed", body) for asset_id, _ in known]
    pending = record_many(session, facts=facts, now=now)
    told = [
        Notice(funder_id, "asset.duplicate_claimed", body | {"asset_id": asset_id}, pending_id)
        for (asset_id, funder_id), pending_id in zip(known, pending, strict=True)
    ]
    tell_many(session, notices=told, now=now)
