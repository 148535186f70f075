"""Who may see what went wrong, and what did."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.title.queries import may_see

DISPUTES = text("""
    SELECT number, amount_minor, reason, statement, opened_on, opened_at, outcome, credited_minor, note_number, finding,
           resolved_at
    FROM dispute WHERE asset_id = :id ORDER BY number
""")
WRITE_OFFS = text("""
    SELECT number, cause, reason, amount_minor, funder_minor, recovered_minor, recovered_funder_minor, business_date
    FROM write_off WHERE asset_id = :id ORDER BY number
""")
REQUESTS = text("""
    SELECT number, amount_minor, reason, requested_at, coalesce(outcome, 'awaited') AS state, decided_at
    FROM write_off_request WHERE asset_id = :id ORDER BY number
""")
RECOVERIES = text("""
    SELECT receipt_id, recovery.number AS write_off, value_date, recovery.amount_minor, funder_minor
    FROM recovery JOIN receipt USING (receipt_id)
    WHERE recovery.asset_id = :id AND reversed_on IS NULL ORDER BY value_date, receipt_id, number
""")
REPURCHASES = """
    SELECT repurchase_id, repurchase.asset_id, cause, repurchase.reason, repurchase.state, price_minor, proposed_at,
           answer, answered_at, done_on
    FROM repurchase
    JOIN claim ON claim.asset_id = repurchase.asset_id
    JOIN receivable ON receivable.asset_id = claim.root_id
"""
DEBTS = """
    SELECT debt.asset_id, cause, reference, debtor.scheme || ':' || debtor.value AS debtor,
           CASE WHEN debt.funder_id IS NULL THEN 'company' ELSE 'funder' END AS creditor, debt.currency,
           debt.amount_minor, paid_minor, released_minor, debt.due_date, debt.creditor_id,
           debt.asset_id || ' ' || cause || ' ' || reference || ' ' || creditor_id AS place
    FROM debt
    JOIN company AS debtor ON debtor.company_id = debt.debtor_id
    JOIN claim ON claim.asset_id = debt.asset_id
    JOIN receivable ON receivable.asset_id = claim.root_id
"""


def recourse_calls(session: Session, *, asset_id: str) -> list[dict[str, Any]]:
    """Who handed the asset on and answers for it, in the order of their turns."""
    query = text("""
        SELECT rank, scheme || ':' || value AS debtor, due_on, paid_minor, ended_on,
               coalesce(outcome, CASE WHEN told_at IS NULL THEN 'waiting' ELSE 'called' END) AS state
        FROM recourse_call JOIN company ON company.company_id = debtor_id WHERE asset_id = :id ORDER BY rank DESC
    """)
    return [dict(row) for row in session.execute(query, {"id": asset_id}).mappings()]


def sees(session: Session, *, caller: Caller, asset_id: str) -> bool:
    """Whether there is such an asset and the caller may know of it: an obligor what it owes, others as of title."""
    if caller.role is not Role.OBLIGOR:
        return may_see(session, caller=caller, asset_id=asset_id)
    query = text("""
        SELECT receivable.obligor_id = :party FROM claim JOIN receivable ON receivable.asset_id = claim.root_id
        WHERE claim.asset_id = :id
    """)
    return bool(session.execute(query, {"id": asset_id, "party": caller.party_id}).scalar_one_or_none())


def disputes(session: Session, *, asset_id: str) -> list[dict[str, Any]]:
    """The disputes of an asset."""
    return [dict(row) for row in session.execute(DISPUTES, {"id": asset_id}).mappings()]


def write_offs(session: Session, *, asset_id: str, caller: Caller) -> dict[str, Any]:
    """What was given up of an asset, and what waits for a second person.

    Only its operators and auditors, and a funder for its own, know what of it was a funder's.
    """
    own = caller.role not in {Role.PLATFORM, Role.OBLIGOR}
    items = [dict(row) for row in session.execute(WRITE_OFFS, {"id": asset_id}).mappings()]
    for item in items if not own else ():
        item["funder_minor"] = item["recovered_funder_minor"] = None
    requests = session.execute(REQUESTS, {"id": asset_id}).mappings() if caller.role is not Role.FUNDER else ()
    return {"items": items, "requests": [dict(row) for row in requests]}


def recoveries(session: Session, *, asset_id: str, caller: Caller) -> list[dict[str, Any]]:
    """What came back of what was given up of an asset."""
    items = [dict(row) for row in session.execute(RECOVERIES, {"id": asset_id}).mappings()]
    for item in items if caller.role is Role.PLATFORM else ():
        item["funder_minor"] = None
    return items


def repurchases(session: Session, *, caller: Caller, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The repurchases that concern a caller, oldest first."""
    query = text(
        f"{REPURCHASES} WHERE {_mine(caller, 'repurchase')} "
        "AND (cast(:after AS text) IS NULL OR repurchase_id > :after) ORDER BY repurchase_id LIMIT :limit"
    )
    rows = session.execute(query, {"party": caller.party_id, "after": after, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def debts(session: Session, *, caller: Caller, after: str | None, limit: int) -> list[dict[str, Any]]:
    """What companies owe for assets that went wrong, as far as it concerns a caller; a platform knows no funder."""
    query = text(f"""
        SELECT * FROM ({DEBTS} WHERE {_mine(caller, "debt")}) AS known
        WHERE cast(:after AS text) IS NULL OR place > :after ORDER BY place LIMIT :limit
    """)  # noqa: S608 - constants of ours
    rows = session.execute(query, {"party": caller.party_id, "after": after, "limit": limit})
    found = [dict(row) for row in rows.mappings()]
    for row in found:
        if caller.role is Role.PLATFORM:
            row["creditor_id"] = None
    return found


def _mine(caller: Caller, table: str) -> str:
    if caller.role is Role.PLATFORM:
        return "receivable.originator_id = :party"
    return f"{table}.funder_id = :party" if caller.role is Role.FUNDER else "cast(:party AS text) IS NULL"
