"""Four eyes on what an originator submits: the policy that asks for them, and what the second client says."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from exchange.duplicates.actions import release_claims
from exchange.errors import InvalidRequest, NotFound
from exchange.parties.models import Originator
from exchange.receivables import queries, rules
from exchange.receivables.models import SubmissionPolicy
from exchange.receivables.outcomes import Origin, Outcome
from exchange.receivables.schemas import ApprovalItem, Policy


def set_policy(session: Session, *, origin: Origin, policy: Policy) -> int:
    """Put a policy in force for the submissions and requests to come; gives its version.

    Refuses one that contradicts itself or a law (`InvalidRequest`) and an originator nobody knows (`NotFound`).
    """
    faults = rules.policy_faults(policy)
    if faults:
        raise InvalidRequest("The policy cannot be put in force.", faults=tuple(faults))
    known = select(Originator.originator_id).where(Originator.originator_id == origin.originator_id)
    if session.execute(known.with_for_update()).first() is None:
        raise NotFound("There is no such originator.")
    version = queries.policy(session, originator_id=origin.originator_id)[0] + 1
    values = {"originator_id": origin.originator_id, "version": version, "terms": msgspec.to_builtins(policy)}
    session.execute(insert(SubmissionPolicy).values(set_by=origin.client_id, set_at=origin.now, **values))
    return version


def decide(session: Session, *, origin: Origin, items: Sequence[tuple[int, ApprovalItem]]) -> dict[int, Outcome]:
    """Approve receivables that another client of the originator submitted, or decline them; the outcome by index.

    Whoever decides first decides: the rows are locked in one order. What is declined is void, and its invoice free.
    """
    rows = _lock(session, [item.asset_id for _, item in items], originator_id=origin.originator_id)
    awaited = {row.asset_id: row.made_by for row in rows}
    settled = {row.asset_id for row in rows if row.outcome is not None}
    outcomes: dict[int, Outcome] = {}
    decided: dict[str, ApprovalItem] = {}
    for index, item in items:
        fault = rules.decision_fault(
            item,
            made_by=awaited.get(item.asset_id),
            decided=item.asset_id in decided or item.asset_id in settled,
            client_id=origin.client_id,
            at=f"/items/{index}",
        )
        outcomes[index] = Outcome(item.asset_id, (fault,) if fault else ())
        if fault is None:
            decided[item.asset_id] = item
    update = text("""
        UPDATE approval SET outcome = said.outcome, reason = said.reason, decided_by = :client_id, decided_at = :now
        FROM unnest(cast(:ids AS text[]), cast(:outcomes AS text[]), cast(:reasons AS text[]))
            AS said(asset_id, outcome, reason)
        WHERE approval.asset_id = said.asset_id
    """)
    parameters = {
        "client_id": origin.client_id,
        "now": origin.now,
        "ids": list(decided),
        "outcomes": [item.outcome for item in decided.values()],
        "reasons": [item.reason or None for item in decided.values()],
    }
    if decided:
        session.execute(update, parameters)
    void = [item.asset_id for item in decided.values() if item.outcome == "declined"]
    if void:
        release_claims(session, claim_ids=void, now=origin.now)
    return outcomes


def _lock(session: Session, asset_ids: Sequence[str], *, originator_id: str) -> Sequence[Row[Any]]:
    query = text("""
        SELECT asset_id, made_by, outcome FROM approval
        WHERE asset_id = ANY(:ids) AND originator_id = :originator_id ORDER BY asset_id FOR UPDATE
    """)
    return session.execute(query, {"ids": list(asset_ids), "originator_id": originator_id}).all()
