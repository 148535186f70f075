"""A document that comes after its claim is held against all others as if it had come with it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from exchange.duplicates import actions, clashes, similar
from exchange.duplicates.actions import Answer
from exchange.duplicates.clashes import Sighting
from exchange.duplicates.marks import OWN
from exchange.duplicates.rules import DuplicateReceivable
from exchange.duplicates.similar import Suspect


def add_paper(session: Session, *, claim_id: str, kind: str, mark: bytes, now: datetime) -> Answer:
    """Enter the mark, as stored, of a document of a claim; a second time it changes nothing.

    The invoice's own document that belongs to another invoice is not entered (`duplicate_receivable`); both sides are
    noted and their holders alerted. Any other makes the claim like those that have it. A released claim has nothing.
    """
    alone = actions.is_alone(session)
    actions.lock(session, [claim_id])
    query = text("""
        SELECT claim_id, holder_id, state, invoice_id, face_minor FROM invoice_claim JOIN invoice USING (invoice_id)
        WHERE claim_id = :claim_id
    """)
    claim = session.execute(query, {"claim_id": claim_id}).one()
    if claim.state == "released":
        return Answer(claim_id)
    if kind == OWN:
        return _bind(session, claim, mark, now=now)
    suspect = Suspect(claim_id, claim.holder_id, claim.invoice_id, claim.face_minor, ((kind, mark),))
    sightings = similar.find(session, suspects=[suspect])
    actions.remember(session, [suspect])
    clashes.note_similar(session, sightings=sightings, new=(), now=now)
    if not alone:
        actions.screen_later(session, [suspect])
    return Answer(claim_id, None, None, *actions.told(sightings, claim.holder_id))


def _bind(session: Session, claim: Row[Any], mark: bytes, *, now: datetime) -> Answer:
    """Give the document to the claim's invoice, unless another has it on which something was claimed."""
    enter = text("""
        INSERT INTO invoice_document (mark, invoice_id) VALUES (:mark, :invoice_id)
        ON CONFLICT (mark) DO UPDATE SET invoice_id = invoice_document.invoice_id
        RETURNING invoice_id
    """)
    owner_id = session.execute(enter, {"mark": mark, "invoice_id": claim.invoice_id}).scalar_one()
    if owner_id == claim.invoice_id:
        return Answer(claim.claim_id)
    if not actions.load_invoices(session, [owner_id])[owner_id].bound:
        take = text("UPDATE invoice_document SET invoice_id = :invoice_id WHERE mark = :mark")
        session.execute(take, {"mark": mark, "invoice_id": claim.invoice_id})
        return Answer(claim.claim_id)
    query = text("""
        SELECT claim_id, holder_id FROM invoice_claim WHERE invoice_id = :invoice_id AND state <> 'released'
        ORDER BY claim_id
    """)
    owners = session.execute(query, {"invoice_id": owner_id})
    sightings = [
        Sighting(owner.claim_id, owner.holder_id, claim.claim_id, claim.holder_id, DuplicateReceivable.code)
        for owner in owners
    ]
    clashes.note_taken(session, sightings=sightings, now=now)
    return Answer(None, DuplicateReceivable.code)
