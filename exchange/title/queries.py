"""Reads of title: who held what, notices, lines for the registry."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.title.history import COUNTED, Entry, Holding
from exchange.title.papers import Assigned, Line, Named
from ledger.canonical import parse_canonical
from ledger.encoding import parse_base64url

PARTY = {Role.FUNDER: "funder_id", Role.PLATFORM: "originator_id", Role.OBLIGOR: "obligor_id"}
"""Whose notices a role sees."""


def may_see(session: Session, *, caller: Caller, asset_id: str) -> bool:
    """Whether there is such an asset and the caller may know of it: its platform, and funders it was offered to."""
    query = text("""
        SELECT receivable.originator_id = :party OR EXISTS (
            SELECT FROM pool_asset JOIN pool ON pool.pool_id = pool_asset.pool_id
            WHERE pool_asset.asset_id = claim.asset_id AND pool.funder_id = :party
              AND (bought_on IS NOT NULL OR released_at IS NULL)
        )
        FROM claim JOIN receivable ON receivable.asset_id = claim.root_id WHERE claim.asset_id = :id
    """)
    seen = session.execute(query, {"id": asset_id, "party": caller.party_id}).scalar_one_or_none()
    return bool(seen) if caller.role in {Role.PLATFORM, Role.FUNDER} else _exists(session, asset_id)


def chains(session: Session, *, asset_id: str, recorded_by: datetime) -> dict[str, list[Entry]]:
    """The facts about title of an asset and all parts below it, recorded by a moment, signed or waiting."""
    tree = text("""
        WITH RECURSIVE tree AS (
            SELECT asset_id FROM claim WHERE asset_id = :id
            UNION ALL
            SELECT claim.asset_id FROM claim
            JOIN claim AS root ON root.asset_id = :id AND claim.root_id = root.root_id
            JOIN tree ON claim.parent_id = tree.asset_id
        )
        SELECT asset_id FROM tree
    """)
    ids = list(session.execute(tree, {"id": asset_id}).scalars())
    found: dict[str, list[Entry]] = {}
    for entry in _entries(session, ids, recorded_by):
        found.setdefault(entry.asset_id, []).append(entry)
    return found


def shown(holding: Holding, caller: Caller) -> dict[str, Any]:
    """A holding as a caller may know it: a platform knows no funder, a funder none but itself, and no beneficiary."""
    funder = (holding.holder or "").startswith("fnd_")
    hidden = (funder and caller.role is Role.PLATFORM) or (
        caller.role is Role.FUNDER and holding.holder != caller.party_id
    )
    return {
        "asset_id": holding.asset_id,
        "kind": "funder" if funder else "company",
        "holder": None if hidden else holding.holder,
        "since": holding.since,
        "amount_minor": holding.amount_minor,
        "encumbrances": [
            {
                "encumbrance_id": right.encumbrance_id,
                "rank": rank,
                "kind": right.kind,
                "beneficiary": None if hidden else right.beneficiary,
                "amount_minor": right.amount_minor,
            }
            for rank, right in enumerate(holding.rights, start=1)
        ],
    }


def notices(
    session: Session, *, caller: Caller, state: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """The notices of a party, oldest first."""
    query = text(
        f"{NOTICES} WHERE {PARTY[caller.role]} = :party "
        "AND (cast(:state AS text) IS NULL OR (acknowledged_on IS NULL) = (:state = 'open')) "
        "AND (cast(:after AS text) IS NULL OR notice_id > :after) ORDER BY notice_id LIMIT :limit"
    )
    parameters = {"party": caller.party_id, "state": state, "after": after, "limit": limit}
    return [_notice(dict(row), caller) for row in session.execute(query, parameters).mappings()]


def notice(session: Session, *, caller: Caller, notice_id: str) -> dict[str, Any] | None:
    """One notice with its text and assets, if it is the caller's."""
    query = text(f"{NOTICES} WHERE notice_id = :id AND {PARTY[caller.role]} = :party")
    row = session.execute(query, {"id": notice_id, "party": caller.party_id}).mappings().first()
    if row is None:
        return None
    told = text("SELECT text FROM assignment_notice WHERE notice_id = :id")
    named = text("SELECT asset_id FROM noticed_asset WHERE notice_id = :id ORDER BY asset_id")
    return _notice(dict(row), caller) | {
        "text": session.execute(told, {"id": notice_id}).scalar_one(),
        "asset_ids": list(session.execute(named, {"id": notice_id}).scalars()),
    }


def assigned(session: Session, *, funder_id: str, bought_from: date, bought_to: date) -> Iterable[Assigned]:
    """What a funder bought in a time and still holds, as it is filed."""
    query = text("""
        SELECT pool.pool_id, claim.asset_id, invoice_number, holder.name AS holder_name,
               holder.scheme || ':' || holder.value AS holder_number, claim.due_date, pool_asset.face_minor,
               obligor.name AS obligor_name, obligor.scheme || ':' || obligor.value AS obligor_number,
               funder.name AS funder, claim.currency, price_minor, issue_date, bought_on,
               (SELECT number FROM filing WHERE filing.asset_id = claim.asset_id AND filing.funder_id = :funder_id
                ORDER BY filed_on DESC, number DESC LIMIT 1) AS filed_under
        FROM pool_asset
        JOIN pool ON pool.pool_id = pool_asset.pool_id
        JOIN funder ON funder.funder_id = pool.funder_id
        JOIN claim ON claim.asset_id = pool_asset.asset_id
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company AS holder ON holder.company_id = claim.holder_id
        JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
        WHERE pool.funder_id = :funder_id AND pool_asset.released_at IS NULL
          AND bought_on BETWEEN :bought_from AND :bought_to
        ORDER BY pool.pool_id, holder_number, claim.asset_id
    """)
    parameters = {"funder_id": funder_id, "bought_from": bought_from, "bought_to": bought_to}
    for row in session.execute(query, parameters):
        assignor = Named(row.holder_name, row.holder_number)
        yield Assigned(
            pool_id=row.pool_id,
            line=Line(row.asset_id, row.invoice_number, assignor, row.due_date, row.face_minor),
            obligor=Named(row.obligor_name, row.obligor_number),
            funder=row.funder,
            currency=row.currency,
            price_minor=row.price_minor,
            issue_date=row.issue_date,
            bought_on=row.bought_on,
            filed_under=row.filed_under,
        )


def interested(session: Session, *, asset_ids: Sequence[str]) -> list[tuple[str, str]]:
    """The claims alive of the assets' receivables that a funder holds or is offered: (asset, funder)."""
    roots = text("SELECT DISTINCT root_id FROM claim WHERE asset_id = ANY(:ids)")
    query = text("""
        SELECT claim.asset_id, pool.funder_id FROM claim JOIN pool ON pool.pool_id = claim.pool_id
        WHERE (claim.asset_id = ANY(:roots) OR (claim.root_id = ANY(:roots) AND claim.parent_id IS NOT NULL))
          AND claim.state IN ('reserved', 'committed', 'assigned')
        ORDER BY claim.asset_id
    """)
    found = list(session.execute(roots, {"ids": list(asset_ids)}).scalars())
    return [(row.asset_id, row.funder_id) for row in session.execute(query, {"roots": found})]


NOTICES = """
    SELECT notice_id, pool_id, currency, asset_count, amount_minor, digest, given_on, acknowledged_on, evidence
    FROM assignment_notice
"""


def _exists(session: Session, asset_id: str) -> bool:
    query = text("SELECT EXISTS (SELECT FROM claim WHERE asset_id = :id)")
    return bool(session.execute(query, {"id": asset_id}).scalar_one())


def _notice(row: dict[str, Any], caller: Caller) -> dict[str, Any]:
    row["digest"] = row["digest"].hex()
    row["evidence"] = row["evidence"].hex() if row["evidence"] else None
    if caller.role is not Role.FUNDER:
        row["pool_id"] = None
    return row


def _entries(session: Session, asset_ids: list[str], recorded_by: datetime) -> Iterable[Entry]:
    """Signed facts, then waiting ones. Those that wait are read first: one that is just being signed is seen signed."""
    parameters = {"ids": asset_ids, "kinds": sorted(COUNTED), "recorded_by": recorded_by}
    waiting = text("""
        SELECT pending_id, asset_id, kind, body, disclosable FROM pending_event
        WHERE asset_id = ANY(:ids) AND kind = ANY(:kinds) AND recorded_at <= :recorded_by ORDER BY pending_id
    """)
    sealed = text("""
        SELECT pending_id, asset_id, kind, jws, disclosures, sequence, digest, log_index FROM asset_event
        WHERE asset_id = ANY(:ids) AND kind = ANY(:kinds) AND recorded_at <= :recorded_by ORDER BY asset_id, sequence
    """)
    left = session.execute(waiting, parameters).all()
    signed = set()
    for row in session.execute(sealed, parameters):
        signed.add(row.pending_id)
        content = _content(row.jws, row.disclosures)
        yield Entry(row.asset_id, row.kind, content, row.sequence, bytes(row.digest), row.log_index)
    for row in left:
        if row.pending_id not in signed:
            content = orjson.loads(row.body) | orjson.loads(row.disclosable)
            yield Entry(row.asset_id, row.kind, content, None, None, None)


def _content(jws: str, disclosures: str) -> dict[str, Any]:
    """What one of our own records says, with what it discloses; it is not verified again."""
    content: dict[str, Any] = parse_canonical(parse_base64url(jws.split(".")[1]))
    pairs = [parse_canonical(parse_base64url(one)) for one in disclosures.split("~") if one]
    return content | {name: value for _, name, value in pairs}
