"""Enter parties and their clients into the books of who is who."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Executable, delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from exchange.auth import Role
from exchange.entropy import Entropy
from exchange.errors import NotFound, Refusal
from exchange.ids import new_id
from exchange.keyring import NONCE_BYTES, Keyring
from exchange.parties.clients import check_new_key, register_client
from exchange.parties.models import Company, Controller, Funder, Originator, Partner, UsedAssertion


class PartyExists(Refusal):
    """On a virtual clock that stands still, under a seed, name and moment alone decide the id."""

    code = "party_exists"
    title = "This party has just been entered"


class CompanyKey(NamedTuple):
    """What names a company. `namespace` is the originator for its own numbers, else empty."""

    scheme: str
    namespace: str
    value: str


class CompanyFacts(NamedTuple):
    """What a submission says of a company; `national_id` is its controller's."""

    name: str | None = None
    sector: str | None = None
    region: str | None = None
    national_id: str | None = None


def add_client(
    session: Session,
    *,
    originator_id: str,
    public_jwk: Mapping[str, str],
    now: datetime,
    entropy: Entropy,
) -> str:
    """One more client of an originator, such as the one that approves what the first submits; gives its id.

    Refuses an originator nobody knows (`NotFound`) and a key that one of its clients has already (`KeyInUse`).
    """
    known = select(Originator.originator_id).where(Originator.originator_id == originator_id)
    if session.execute(known.with_for_update()).first() is None:
        raise NotFound("There is no such originator.")
    check_new_key(session, party_id=originator_id, public_jwk=public_jwk)
    return register_client(
        session, role=Role.PLATFORM, party_id=originator_id, public_jwk=public_jwk, now=now, entropy=entropy
    )


def register_obligor(
    session: Session,
    *,
    company: CompanyKey,
    name: str | None,
    public_jwk: Mapping[str, str],
    keyring: Keyring,
    now: datetime,
    entropy: Entropy,
) -> tuple[str, str]:
    """A client with which a company answers for itself; gives the company's id and the client's.

    Refuses an originator of a `platform` number that nobody knows (`NotFound`), and a key the company has (`KeyInUse`).
    """
    if company.namespace and session.get(Originator, company.namespace) is None:
        raise NotFound("There is no such originator.")
    facts = {company: CompanyFacts(name=name)}
    company_id = know_companies(session, companies=facts, keyring=keyring, now=now, entropy=entropy)[company]
    # The company's row is the lock: the same key sent twice at once is entered once.
    session.execute(select(Company.company_id).where(Company.company_id == company_id).with_for_update())
    check_new_key(session, party_id=company_id, public_jwk=public_jwk)
    client_id = register_client(
        session, role=Role.OBLIGOR, party_id=company_id, public_jwk=public_jwk, now=now, entropy=entropy
    )
    return company_id, client_id


def register_originator(session: Session, *, name: str, now: datetime, entropy: Entropy) -> str:
    """A new originator; gives its id."""
    originator_id = new_id("org", now=now, entropy=entropy, purpose=name)
    row = upsert(Originator).values(originator_id=originator_id, name=name, created_at=now)
    _enter_new(session, row.on_conflict_do_nothing().returning(Originator.originator_id), name=name)
    return originator_id


def register_funder(session: Session, *, name: str, now: datetime, entropy: Entropy) -> tuple[str, str]:
    """A new funder; gives its id and the reference its deposits have to carry."""
    funder_id = new_id("fnd", now=now, entropy=entropy, purpose=name)
    deposit_reference = new_id("dep", now=now, entropy=entropy, purpose=name)
    values = {"funder_id": funder_id, "name": name, "deposit_reference": deposit_reference, "created_at": now}
    row = upsert(Funder).values(**values)
    _enter_new(session, row.on_conflict_do_nothing().returning(Funder.funder_id), name=name)
    return funder_id, deposit_reference


def register_partner(session: Session, *, name: str, now: datetime, entropy: Entropy) -> str:
    """A new partner; gives its id."""
    partner_id = new_id("ptr", now=now, entropy=entropy, purpose=name)
    row = upsert(Partner).values(partner_id=partner_id, name=name, created_at=now)
    _enter_new(session, row.on_conflict_do_nothing().returning(Partner.partner_id), name=name)
    return partner_id


def _enter_new(session: Session, row: Executable, *, name: str) -> None:
    if session.execute(row).first() is None:
        raise PartyExists(f"A party with the name {name!r} was entered at this very moment.")


def use_assertion(session: Session, *, client_id: str, jti: str, expires_at: datetime, now: datetime) -> bool:
    """Note that an assertion was used; False when it was used before."""
    session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < now))
    row = upsert(UsedAssertion).values(client_id=client_id, jti=jti, expires_at=expires_at)
    return session.execute(row.on_conflict_do_nothing().returning(UsedAssertion.jti)).first() is not None


def know_companies(
    session: Session,
    *,
    companies: Mapping[CompanyKey, CompanyFacts],
    keyring: Keyring,
    now: datetime,
    entropy: Entropy,
) -> dict[CompanyKey, str]:
    """The id of each company, entering those not known yet. What is known already stays as it is."""
    known = known_companies(session, companies)
    missing = sorted(companies.keys() - known.keys())
    if not missing:
        return known
    people = {facts.national_id for key in missing if (facts := companies[key]).national_id}
    controllers = know_controllers(session, people, keyring=keyring, now=now, entropy=entropy)
    rows = [
        {
            "company_id": new_id("com", now=now, entropy=entropy, purpose="/".join(key)),
            **key._asdict(),
            "name": companies[key].name,
            "sector": companies[key].sector,
            "region": companies[key].region,
            "controller_id": controllers.get(companies[key].national_id or ""),
            "created_at": now,
        }
        for key in missing
    ]
    session.execute(upsert(Company).on_conflict_do_nothing(), rows)
    return known | known_companies(session, missing)


def known_companies(session: Session, keys: Iterable[CompanyKey]) -> dict[CompanyKey, str]:
    """The ids of those companies that are known."""
    ordered = list(keys)
    query = text("""
        SELECT company.scheme, company.namespace, company.value, company.company_id
        FROM company
        JOIN unnest(cast(:schemes AS text[]), cast(:namespaces AS text[]), cast(:values AS text[]))
             AS asked(scheme, namespace, value)
          ON company.scheme = asked.scheme AND company.namespace = asked.namespace AND company.value = asked.value
    """)
    parameters = {
        "schemes": [key.scheme for key in ordered],
        "namespaces": [key.namespace for key in ordered],
        "values": [key.value for key in ordered],
    }
    return {CompanyKey(*row[:3]): row[3] for row in session.execute(query, parameters)}


def know_controllers(
    session: Session, national_ids: Iterable[str], *, keyring: Keyring, now: datetime, entropy: Entropy
) -> dict[str, str]:
    """The id of each controller by national id; the id itself is kept as a keyed hash and sealed."""
    hashes = {
        national_id: hmac.digest(keyring.fingerprint_key, b"controller\0" + national_id.encode(), "sha256")
        for national_id in sorted(national_ids)
    }
    rows = [
        {
            "controller_id": new_id("ctl", now=now, entropy=entropy, purpose=identity.hex()),
            "identity_hash": identity,
            "identity_sealed": _sealed(keyring, national_id, identity, entropy),
            "created_at": now,
        }
        for national_id, identity in hashes.items()
    ]
    if rows:
        session.execute(upsert(Controller).on_conflict_do_nothing(), rows)
    ids = _controller_ids(session, list(hashes.values()))
    return {national_id: ids[identity] for national_id, identity in hashes.items()}


def _controller_ids(session: Session, hashes: Sequence[bytes]) -> dict[bytes, str]:
    query = select(Controller.identity_hash, Controller.controller_id).where(Controller.identity_hash.in_(hashes))
    return {bytes(identity): controller_id for identity, controller_id in session.execute(query) if identity}


def _sealed(keyring: Keyring, national_id: str, identity: bytes, entropy: Entropy) -> bytes:
    """AES-256-GCM with the keyed hash as associated data, so that no sealed value can change places."""
    nonce = entropy(NONCE_BYTES, "seal controller", identity.hex())
    return keyring.vault.seal(national_id.encode(), place=identity, nonce=nonce)
