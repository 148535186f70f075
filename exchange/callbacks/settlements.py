"""Settlement events: what the books did to a funder's accounts, told to the cent, and answered by the funder.

A trigger on the legs of the books writes the outbox row; so nothing that moves a funder's money can be left untold.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from exchange.callbacks import rules
from exchange.callbacks.rules import Moved
from exchange.errors import Fault, Refused
from exchange.schemas import MAX_MINOR

PROVE = text("""
    INSERT INTO settlement_proof (transfer_key, pending_id, asset_id)
    SELECT key, pending_id, asset_id
    FROM unnest(cast(:keys AS text[]), cast(:pending AS bigint[]), cast(:assets AS text[]))
        AS proof (key, pending_id, asset_id)
    JOIN books_transfers USING (key)
    WHERE EXISTS (SELECT FROM callback_outbox WHERE callback_outbox.transfer_id = books_transfers.transfer_id)
    ON CONFLICT DO NOTHING
""")
FORGET = text("""
    DELETE FROM settlement_proof USING books_transfers
    WHERE transfer_id = ANY(:ids) AND transfer_key = key
      AND NOT EXISTS (SELECT FROM callback_outbox WHERE callback_outbox.transfer_id = books_transfers.transfer_id)
""")
MOVED = text("""
    SELECT transfer.transfer_id, transfer.key, transfer.memo, transfer.effective_date, undone.key AS reverses, moved.*
    FROM books_transfers AS transfer
    LEFT JOIN books_reversals AS reversal ON reversal.transfer_id = transfer.transfer_id
    LEFT JOIN books_transfers AS undone ON undone.transfer_id = reversed_id
    CROSS JOIN LATERAL (
        SELECT path, CASE WHEN path LIKE '%/title' THEN 'title' ELSE commodity END AS unit,
               sum(amount_minor)::bigint AS amount_minor, count(*) AS moves,
               (array_agg(balance_after_minor ORDER BY version DESC))[1] AS balance_minor
        FROM books_entries JOIN books_accounts USING (account_id)
        WHERE books_entries.transfer_id = transfer.transfer_id
          AND (path LIKE 'funder/%' OR path LIKE 'seller/%/cash' OR path = 'exchange/fees')
        GROUP BY path, unit
    ) AS moved
    WHERE transfer.transfer_id = ANY(:ids)
    ORDER BY transfer.transfer_id, path COLLATE "C", unit COLLATE "C"
""")
ANSWER = text("""
    UPDATE settlement SET answer = asked.answer, reason = asked.reason, answered_by = :client_id, answered_at = :now
    FROM unnest(cast(:sequences AS bigint[]), cast(:answers AS text[]), cast(:reasons AS text[]))
        AS asked (sequence, answer, reason)
    WHERE settlement.funder_id = :funder_id AND settlement.sequence = asked.sequence
      AND (settlement.answer IS NULL OR (settlement.answer = 'disputed' AND asked.answer = 'acknowledged'))
""")
LOCKED = text("""
    SELECT sequence, answer, reason FROM settlement WHERE funder_id = :funder_id AND sequence = ANY(:sequences)
    ORDER BY sequence FOR UPDATE
""")
PAGE = """
    SELECT settlement.funder_id, settlement.sequence, event_id, type, log_index, transfer_id, business_date,
           settlement.recorded_at, answer, reason, answered_at
    FROM settlement JOIN funder_event USING (funder_id, sequence)
"""


class Proof(NamedTuple):
    """The signed fact (`pending_id`) that stands behind a transfer; of which asset, where it is about one alone."""

    transfer_key: str
    pending_id: int
    asset_id: str | None = None


class AnswerItem(msgspec.Struct, forbid_unknown_fields=True):
    """A funder's word on one settlement event."""

    sequence: Annotated[int, Meta(ge=1, le=MAX_MINOR)]
    answer: Literal["acknowledged", "disputed"]
    reason: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,500}\Z")] | UnsetType = UNSET

    @property
    def why(self) -> str | None:
        """The reason, where there is one."""
        return None if isinstance(self.reason, UnsetType) else self.reason


def prove(session: Session, *, proofs: Iterable[Proof]) -> None:
    """Tie transfers that this transaction posted to signed facts: they are told with their places in the log."""
    rows = list(proofs)
    if rows:
        keys, pending, assets = (list(column) for column in zip(*rows, strict=True))
        session.execute(PROVE, {"keys": keys, "pending": pending, "assets": assets})


def forget_proofs(session: Session, *, transfer_ids: Sequence[int]) -> None:
    """Drop the proofs of transfers that everybody was told."""
    if transfer_ids:
        session.execute(FORGET, {"ids": list(transfer_ids)})


def told(session: Session, *, transfer_ids: Sequence[int]) -> dict[tuple[int, str], tuple[str, dict[str, Any]]]:
    """By (transfer, funder): the type of the event, and its data."""
    moved: dict[int, list[Moved]] = {}
    heads: dict[int, RowMapping] = {}
    for row in session.execute(MOVED, {"ids": sorted(set(transfer_ids))}).mappings() if transfer_ids else ():
        heads[row["transfer_id"]] = row
        moved.setdefault(row["transfer_id"], []).append(
            Moved(row["path"], row["unit"], row["amount_minor"], row["moves"], row["balance_minor"])
        )
    found = {}
    for transfer_id, legs in moved.items():
        head = heads[transfer_id]
        about = {"transfer_id": transfer_id, "transfer": head["key"], "memo": head["memo"]}
        about |= {"effective_date": head["effective_date"].isoformat()}
        about |= {"reverses": head["reverses"]} if head["reverses"] else {}
        for funder_id in sorted({leg.funder_id for leg in legs if leg.funder_id}):
            data = about | rules.references(head["key"]) | rules.moved_data(legs, funder_id=funder_id)
            found[transfer_id, funder_id] = rules.settlement_type(head["key"], head["memo"], legs, funder_id), data
    return found


def answer(
    session: Session, *, funder_id: str, client_id: str, items: Sequence[tuple[int, AnswerItem]], now: datetime
) -> dict[int, Refused | None]:
    """Take the funder's word on its settlement events; the same word again changes nothing.

    What is disputed may be acknowledged later; what is acknowledged stays so.
    """
    sequences = sorted({item.sequence for _, item in items})
    rows = session.execute(LOCKED, {"funder_id": funder_id, "sequences": sequences})
    standing: dict[int, tuple[str | None, str | None]] = {row.sequence: (row.answer, row.reason) for row in rows}
    results: dict[int, Refused | None] = {}
    fresh: dict[int, AnswerItem] = {}
    for index, item in items:
        refused = _refused(index, item, standing)
        results[index] = refused
        if refused is None and standing[item.sequence] != (item.answer, item.why):
            standing[item.sequence] = (item.answer, item.why)
            fresh[item.sequence] = item
    if fresh:
        columns = {"sequences": list(fresh), "answers": [one.answer for one in fresh.values()]}
        columns |= {"reasons": [one.why for one in fresh.values()]}
        session.execute(ANSWER, columns | {"funder_id": funder_id, "client_id": client_id, "now": now})
    return results


def _refused(index: int, item: AnswerItem, standing: Mapping[int, tuple[str | None, str | None]]) -> Refused | None:
    at = f"/items/{index}"
    if item.sequence not in standing:
        return 404, Fault("not_found", f"{at}/sequence", "no such settlement event", item.sequence)
    if (item.answer == "disputed") != bool(item.why):
        return 422, Fault("reason_missing", f"{at}/reason", "who disputes says why, nobody else", item.why)
    before, reason = standing[item.sequence]
    if (before == "acknowledged" != item.answer) or (before == item.answer and reason != item.why):
        return 409, Fault("already_answered", f"{at}/answer", f"it is {before}", item.answer)
    return None


def page(session: Session, *, funder_id: str, state: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    """A funder's settlement events, oldest first: `open`, `acknowledged`, `disputed`, or all."""
    where = {None: "true", "open": "answer IS NULL"}.get(state, "answer = :state")
    mine = "settlement.funder_id = :funder_id AND sequence > :after"
    query = text(f"{PAGE} WHERE {mine} AND {where} ORDER BY sequence LIMIT :limit")
    values = {"funder_id": funder_id, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(query, values | ({"state": state} if state else {})).mappings()]


def unanswered(
    session: Session, *, before: datetime, after: tuple[datetime, str, int] | None, limit: int
) -> list[dict[str, Any]]:
    """What no funder has acknowledged that was recorded before `before`, and what is disputed, the oldest first."""
    place = "(settlement.recorded_at, settlement.funder_id, sequence)"
    parts = [
        f"({PAGE} WHERE {where} AND {place} > (cast(:at AS timestamptz), :funder, cast(:sequence AS bigint))"
        f" ORDER BY {place[1:-1]} LIMIT :limit)"
        for where in ("answer IS NULL AND settlement.recorded_at < :before", "answer = 'disputed'")
    ]
    query = text(f"{' UNION ALL '.join(parts)} ORDER BY recorded_at, funder_id, sequence LIMIT :limit")
    at, funder, sequence = after or (datetime.min.replace(tzinfo=UTC), "", 0)
    values = {"before": before, "at": at, "funder": funder, "sequence": sequence, "limit": limit}
    return [dict(row) for row in session.execute(query, values).mappings()]
