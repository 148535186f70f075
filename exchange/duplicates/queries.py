"""What may be known of invoices, claims and clashes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.duplicates import rules, similar
from exchange.duplicates.actions import load_invoices
from exchange.duplicates.rules import Asked, Invoice
from exchange.duplicates.similar import Suspect


class Checked(NamedTuple):
    """What a claim would meet: `code` is that of the refusal it would get, `kinds` in what way it looks like others."""

    verdict: str
    code: str | None
    free_minor: int | None
    kinds: tuple[str, ...]


def check(session: Session, *, asked: Sequence[Asked]) -> list[Checked]:
    """What each would get if it claimed now, by itself; nothing is claimed."""
    ids, owner_ids = _ids(session, asked)
    known = load_invoices(session, {*ids.values(), *owner_ids.values()})
    suspects = [
        Suspect(str(place), one.holder_id, ids.get(one.marks.invoice, -place - 1), one.face_minor, one.marks.similar)
        for place, one in enumerate(asked)
    ]
    kinds: dict[str, set[str]] = {}
    for sighting in similar.find(session, suspects=suspects, together=False):
        kinds.setdefault(sighting.asked_id, set()).add(sighting.kind)
    return [_checked(one, known, ids, owner_ids, kinds.get(str(place), set())) for place, one in enumerate(asked)]


def list_claims(session: Session, *, holder_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    """A page of a partner's claims, in the order of their ids."""
    query = text("""
        SELECT claim_id, state, amount_minor, claimed_at, ended_at FROM invoice_claim
        WHERE holder_id = :holder_id AND holder_id LIKE 'ptr\\_%' AND claim_id > :after ORDER BY claim_id LIMIT :limit
    """)
    rows = session.execute(query, {"holder_id": holder_id, "after": after, "limit": limit}).mappings()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def list_clashes(
    session: Session, *, holder_id: str | None, claim_id: str | None, after: int, limit: int
) -> list[dict[str, Any]]:
    """A page of clashes, oldest first: all of them, or with `holder_id` those on one of whose sides it stands.

    A holder is told of its own side; of the other's nothing but that there is one.
    """
    where = ["clash_id > :after"]
    if holder_id is not None:
        where.append("(known_holder_id = :holder_id OR asked_holder_id = :holder_id)")
    if claim_id is not None:
        where.append("(known_id = :claim_id OR asked_id = :claim_id)")
    query = text(f"SELECT * FROM clash WHERE {' AND '.join(where)} ORDER BY clash_id LIMIT :limit")  # noqa: S608 - ours
    parameters = {"holder_id": holder_id, "claim_id": claim_id, "after": after, "limit": limit}
    return [_shown(dict(row), holder_id) for row in session.execute(query, parameters).mappings()]


def _ids(session: Session, asked: Sequence[Asked]) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """The known ones among the invoices and documents: the invoice's id by mark."""
    query = text("""
        SELECT mark, invoice_id, true AS is_invoice FROM invoice WHERE mark = ANY(:invoices)
        UNION ALL SELECT mark, invoice_id, false FROM invoice_document WHERE mark = ANY(:documents)
    """)
    documents = sorted({mark for one in asked for mark in one.marks.documents})
    rows = session.execute(query, {"invoices": [one.marks.invoice for one in asked], "documents": documents}).all()
    invoices = {bytes(mark): invoice_id for mark, invoice_id, is_invoice in rows if is_invoice}
    return invoices, {bytes(mark): invoice_id for mark, invoice_id, is_invoice in rows if not is_invoice}


def _checked(
    one: Asked, known: dict[int, Invoice], ids: dict[bytes, int], owner_ids: dict[bytes, int], kinds: set[str]
) -> Checked:
    found = known.get(ids.get(one.marks.invoice, 0))
    invoice = replace(found) if found else Invoice(0, one.currency, one.face_minor)
    owners = {mark: known[owner_ids[mark]] for mark in one.marks.documents if mark in owner_ids}
    owners = {mark: invoice if owner is found else owner for mark, owner in owners.items()}
    bound = invoice.bound
    verdict = rules.judge(one, invoice=invoice, owners=owners)
    ordered = tuple(kind for kind in dict.fromkeys(kind for kind, _ in one.marks.similar) if kind in kinds)
    if bound or verdict.code:
        return Checked("claimed", verdict.code, verdict.free_minor, ordered)
    return Checked("similar" if ordered else "clear", None, None, ordered)


def _shown(row: dict[str, Any], holder_id: str | None) -> dict[str, Any]:
    for side in ("known", "asked"):
        if holder_id is not None and row[f"{side}_holder_id"] != holder_id:
            row[f"{side}_id"] = row[f"{side}_holder_id"] = None
    return {name: value for name, value in row.items() if value is not None}
