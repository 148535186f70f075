"""Personal data: who was shown what, and the keys it is sealed under. Nothing else opens what is sealed of a person."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from exchange.auth import Caller
from exchange.entropy import Entropy
from exchange.errors import NotFound, Refusal
from exchange.keyring import NONCE_BYTES, Keyring
from exchange.parties.models import Controller, PersonalAccess

PURPOSES = ("legal_request", "person_asks", "fraud", "collection", "correction")


class NotKept(Refusal):
    """The person was erased, or the value stayed behind where this exchange was restored from."""

    code = "personal_data_gone"
    title = "The value is not here any more"
    status = HTTPStatus.GONE


@dataclass(frozen=True, slots=True)
class Why:
    """Who wants to see personal data, when, and why: one of `PURPOSES`, or the operation's name where it is its use."""

    caller: Caller
    now: datetime
    purpose: str
    reason: str | None = None


def note_access(session: Session, *, subject: str, field: str, why: Why) -> int:
    """Note that somebody is shown a field of a person, in the transaction that shows it; the note's number."""
    row = insert(PersonalAccess).values(
        subject=subject,
        field=field,
        purpose=why.purpose,
        reason=why.reason,
        client_id=why.caller.client_id,
        accessed_at=why.now,
    )
    number: int = session.execute(row.returning(PersonalAccess.access_id)).scalar_one()
    return number


def national_id(session: Session, *, controller_id: str, keyring: Keyring, why: Why) -> tuple[int, str]:
    """A controller's national id, and the number of the note that it was shown (`NotFound`, `NotKept`)."""
    person = session.get(Controller, controller_id, with_for_update={"read": True})
    if person is None:
        raise NotFound("There is no such controller.")
    if person.identity_hash is None or not person.identity_sealed:
        raise NotKept("Nothing is kept of this person's national id.")
    number = note_access(session, subject=controller_id, field="national_id", why=why)
    return number, keyring.vault.open(person.identity_sealed, place=person.identity_hash).decode()


def seal_again(session: Session, *, keyring: Keyring, entropy: Entropy, most: int) -> int:
    """Seal up to `most` values under the newest key that are under an older one; how many there were."""
    older = (
        select(Controller.controller_id, Controller.identity_hash, Controller.identity_sealed)
        .where(Controller.identity_sealed < keyring.vault.prefix, Controller.identity_sealed > b"")
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(older).all()
    for row in rows:
        plain = keyring.vault.open(row.identity_sealed, place=row.identity_hash)
        nonce = entropy(NONCE_BYTES, "seal controller", row.identity_hash.hex())
        again = keyring.vault.seal(plain, place=row.identity_hash, nonce=nonce)
        session.execute(
            update(Controller).where(Controller.controller_id == row.controller_id).values(identity_sealed=again)
        )
    return len(rows)
