"""Reads of the signed chain."""

from typing import Any

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.orm import Session

from exchange.registry.models import AssetEvent, PendingEvent


def chain(session: Session, *, asset_id: str, disclosed: bool) -> list[dict[str, Any]]:
    """The signed links of one asset in order; `disclosed` says whether the reader may see the disclosures too."""
    query = select(AssetEvent).where(AssetEvent.asset_id == asset_id).order_by(AssetEvent.sequence)
    return [
        {
            "sequence": event.sequence,
            "kind": event.kind,
            "jws": event.jws,
            "disclosures": event.disclosures.split("~") if disclosed and event.disclosures else [],
            "log_index": event.log_index,
        }
        for event in session.execute(query).scalars()
    ]


def unsealed() -> ScalarSelect[int]:
    """How many facts wait for their signature."""
    return select(func.count()).select_from(PendingEvent).scalar_subquery()
