"""The work list."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

ITEMS = text("""
    SELECT item.item_id, kind, severity, company_id, asset_id, evidence, found_on,
           cast(cast(:today AS date) - found_on AS int) AS age_days, coalesce(decision, 'open') AS state, reason,
           decided_by, decided_at
    FROM review_item AS item LEFT JOIN review_decision AS decided ON decided.item_id = item.item_id
    WHERE item.item_id > :after
      AND (cast(:item_id AS text) IS NULL OR item.item_id = :item_id)
      AND (cast(:state AS text) IS NULL OR coalesce(decision, 'open') = :state)
      AND (cast(:severity AS text) IS NULL OR severity = :severity)
      AND (cast(:kind AS text) IS NULL OR kind = :kind)
      AND (cast(:company_id AS text) IS NULL OR company_id = :company_id)
      AND (cast(:asset_id AS text) IS NULL OR asset_id = :asset_id)
    ORDER BY item.item_id LIMIT :limit
""")
ANY = dict.fromkeys(("item_id", "state", "severity", "kind", "company_id", "asset_id"))


def items(
    session: Session, *, asked: Mapping[str, Any], after: str = "", limit: int = 1, today: date
) -> list[dict[str, Any]]:
    """Findings with what was decided of them, oldest first; `asked` narrows them down by their members."""
    rows = session.execute(ITEMS, {**ANY, **asked, "after": after, "limit": limit, "today": today})
    return [dict(row) for row in rows.mappings()]
