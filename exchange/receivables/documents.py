"""Papers behind a receivable: hashed when they are uploaded, named in its record, their bytes left at home."""

import hashlib
from typing import Any, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange.duplicates.actions import Answer
from exchange.duplicates.marks import blind, document_mark, keys_from
from exchange.duplicates.papers import add_paper
from exchange.duplicates.rules import DuplicateReceivable
from exchange.duplicates.schemas import elsewhere_json
from exchange.errors import Fault, InvalidRequest, NotFound, Refusal
from exchange.receivables.models import Document
from exchange.receivables.outcomes import Origin
from exchange.receivables.schemas import DOCUMENT_KINDS
from exchange.registry.actions import Fact, note_many
from exchange.services import Services

MOST_PAPERS = 50


class TooManyPapers(Refusal):
    """So many papers were uploaded for one receivable."""

    code = "too_many_documents"
    title = f"A receivable has at most {MOST_PAPERS} uploaded documents"


class Paper(NamedTuple):
    """An uploaded file and what is said of it."""

    kind: str
    content: bytes
    media_type: str
    name: str | None


def add(
    session: Session, *, services: Services, origin: Origin, asset_id: str, paper: Paper
) -> dict[str, Any] | DuplicateReceivable:
    """Hash a paper and keep its digest; of an asset already born, a fact in its chain says so.

    The same again changes nothing. Refuses an asset or kind nobody knows (`NotFound`), an empty file
    (`InvalidRequest`), and too many of them (`TooManyPapers`). The paper of another invoice gives the refusal back and
    does not raise it: that the two clash stays on record. The receivable's row is held against an answer that arrives
    at this moment: either the record names the paper, or the fact does.
    """
    query = text("""
        SELECT documents, currency, due_date FROM receivable
        WHERE asset_id = :asset_id AND originator_id = :originator_id FOR UPDATE
    """)
    found = session.execute(query, {"asset_id": asset_id, "originator_id": origin.originator_id}).one_or_none()
    if found is None or paper.kind not in DOCUMENT_KINDS:
        raise NotFound("There is no such asset, or no such kind of document.")
    if not paper.content:
        raise InvalidRequest("The file is empty.", faults=(Fault("empty_file", "", "send the file as the body"),))
    sha256 = hashlib.sha256(paper.content).hexdigest()
    keys = keys_from(services.keyring.fingerprint_key)
    open_mark = document_mark(keys.group, paper.kind, sha256, currency=found.currency, due=found.due_date.isoformat())
    mark = blind(keys.secret, open_mark)
    answer = add_paper(session, claim_id=asset_id, kind=paper.kind, mark=mark, now=origin.now)
    if answer.code:
        return DuplicateReceivable("This is the document of another invoice, which is claimed already.")
    row = insert(Document).values(
        asset_id=asset_id,
        kind=paper.kind,
        sha256=sha256,
        name=paper.name,
        media_type=paper.media_type or "application/octet-stream",
        size_bytes=len(paper.content),
        added_by=origin.client_id,
        added_at=origin.now,
    )
    new = session.execute(row.on_conflict_do_nothing().returning(Document.sha256)).first() is not None
    if new:
        document = {"kind": paper.kind, "sha256": sha256}
        _tell(session, origin=origin, asset_id=asset_id, document=document, known=found.documents)
    return {"kind": paper.kind, "sha256": sha256, "size_bytes": len(paper.content)} | _likeness(answer)


def _likeness(answer: Answer) -> dict[str, Any]:
    """What the paper has in common with others, as far as the originator may know; nothing mostly."""
    shown = {"near_duplicate_of": list(answer.similar), "similar_elsewhere": elsewhere_json(answer.elsewhere)}
    return {name: value for name, value in shown.items() if value}


def _tell(
    session: Session, *, origin: Origin, asset_id: str, document: dict[str, str], known: list[dict[str, str]]
) -> None:
    """Add a fact to the chain of an asset that was born without this paper."""
    counted = select(func.count()).select_from(Document).where(Document.asset_id == asset_id)
    if session.execute(counted).scalar_one() > MOST_PAPERS:
        raise TooManyPapers(f"{MOST_PAPERS} documents were uploaded for this receivable.")
    born = text("SELECT FROM confirmation WHERE asset_id = :asset_id AND outcome <> 'refused'")
    if document not in known and session.execute(born, {"asset_id": asset_id}).first() is not None:
        fact = Fact(asset_id, "asset.document_added", {"kind": document["kind"]}, {"sha256": document["sha256"]})
        note_many(session, facts=[fact], now=origin.now)
