"""What an operator does about work that fails."""

from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.clock import system_now
from exchange.errors import NotFound
from exchange.jobs import WorkDecision, WorkItem
from exchange.operations import rules


def decide_work(session: Session, *, work_id: int, decision: str, by: str, reason: str, now: datetime) -> None:
    """Let work that fails be tried at once, or discard it (`NotFound`, `WorkInHand`: a worker has it just now)."""
    query = select(WorkItem).where(WorkItem.work_id == work_id, WorkItem.attempts > 0)
    item = session.scalars(query.with_for_update(skip_locked=True)).first()
    if item is None:
        if session.execute(select(func.count()).where(WorkItem.work_id == work_id, WorkItem.attempts > 0)).scalar_one():
            raise rules.WorkInHand("Look again in a moment.", headers={"Retry-After": "2"})
        raise NotFound("There is no such work that fails.")
    names = ("work_id", "job", "payload", "attempts", "last_error")
    kept = {name: getattr(item, name) for name in names}
    session.execute(
        insert(WorkDecision).values(
            kept | {"decision": decision, "decided_by": by, "reason": reason, "decided_at": now}
        )
    )
    if decision == "discard":
        session.execute(delete(WorkItem).where(WorkItem.work_id == work_id))
    else:
        session.execute(update(WorkItem).where(WorkItem.work_id == work_id).values(due_at=system_now(), lost=0))
        jobs.wake(session, jobs.Wakes.WORK)
