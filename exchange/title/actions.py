"""Split claims into parts that are assets of their own, and hand free ones down a chain of holders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.auth import Caller
from exchange.db import copy_rows
from exchange.ids import new_id
from exchange.parties.actions import know_companies
from exchange.pools.actions import leave_pools
from exchange.pools.models import Instalment, PoolAsset
from exchange.pools.queries import open_schedules
from exchange.receivables.actions import company_facts, company_key
from exchange.receivables.outcomes import Origin
from exchange.registry.actions import Fact, note_many
from exchange.services import Services
from exchange.title import rules
from exchange.title.models import Endorsement
from exchange.title.rules import Part, Refused, Title
from exchange.title.schemas import SplitItem, TransferItem
from ledger.books import Transfer, post
from ledger.schedules import SCHEDULE, written


class _Split(NamedTuple):
    """A claim as it was, and its parts."""

    title: Title
    parts: list[Part]


def lock_titles(session: Session, *, asset_ids: Sequence[str]) -> dict[str, Title]:
    """The claims among the assets, locked in the one order in which all lock."""
    lock = text("SELECT FROM claim WHERE asset_id = ANY(:ids) ORDER BY root_id, asset_id FOR UPDATE")
    session.execute(lock, {"ids": sorted(set(asset_ids))})
    query = text("""
        SELECT claim.asset_id, claim.root_id, receivable.originator_id, receivable.obligor_id, claim.holder_id,
               company.scheme || ':' || company.value AS holder, claim.held_since, claim.currency, claim.due_date,
               claim.outstanding_minor, claim.encumbered_minor, claim.state, claim.pool_id, pool.funder_id,
               claim.disputed, claim.schedule_version
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company ON company.company_id = claim.holder_id
        LEFT JOIN pool ON pool.pool_id = claim.pool_id
        WHERE claim.asset_id = ANY(:ids)
    """)
    rows = session.execute(query, {"ids": list(asset_ids)}).all()
    schedules = open_schedules(session, asset_ids=[row.asset_id for row in rows if row.schedule_version is not None])
    return {
        row.asset_id: replace(Title(*row[:-2]), schedule=schedules.get(row.asset_id, ()), disputed=row.disputed)
        for row in rows
    }


def split(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    items: Sequence[tuple[int, SplitItem]],
    today: date,
    now: datetime,
) -> dict[int, list[Part] | Refused]:
    """Split the claims that can be; the parts of each by its index, or why not.

    The chain of a claim that was split ends with the names of its parts; each part begins a chain of its own. In the
    books a funder's units of the asset become units of its parts in one transfer.
    """
    titles = lock_titles(session, asset_ids=[item.asset_id for _, item in items])
    results: dict[int, list[Part] | Refused] = {}
    done: list[_Split] = []
    for index, item in items:
        at, title = f"/items/{index}", titles.get(item.asset_id)
        refused = rules.refuse_split(
            title, caller=caller, asset_id=item.asset_id, amounts_minor=item.amounts_minor, today=today, at=at
        )
        if refused or title is None:
            results[index] = refused or rules.not_found(item.asset_id, at)
            continue
        ids = sorted(  # the order of the parts is theirs ever after: who shares a payment breaks ties by it
            new_id("ast", now=now, entropy=services.entropy, purpose=f"{item.asset_id}/part/{ordinal}")
            for ordinal in range(1, len(item.amounts_minor) + 1)
        )
        parts = rules.parts_of(title, asset_ids=ids, amounts_minor=item.amounts_minor)
        done.append(_Split(title, parts))
        titles[item.asset_id] = replace(title, state="split", outstanding_minor=0, encumbered_minor=0)
        results[index] = parts
    if done:
        _enter_parts(session, done, today=today, now=now)
        _split_pools(session, [one for one in done if one.title.funder_id is not None], today=today, now=now)
        rights = _moved_rights(session, [one.parts[0].asset_id for one in done], today=today)
        note_many(session, facts=[*(fact for one in done for fact in _split_facts(one, today)), *rights], now=now)
    return results


def transfer(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    origin: Origin,
    items: Sequence[tuple[int, TransferItem]],
) -> dict[int, int | Refused]:
    """Hand the claims on that can be, in their order; the hop of each by its index, or why not.

    Whoever handed an asset on with recourse answers for its payment: the signed chain of holders names them.
    """
    titles = lock_titles(session, asset_ids=[item.asset_id for _, item in items])
    today, now = origin.today, origin.now
    results: dict[int, int | Refused] = {}
    open_items: list[tuple[int, TransferItem]] = []
    for index, item in items:
        refused = _refused_transfer(titles, index, item, caller=caller, today=today)
        refused = refused or rules.refuse_identifier(item.holder.scheme, item.holder.value, at=f"/items/{index}")
        if refused:
            results[index] = refused
        else:
            open_items.append((index, item))
    companies = {company_key(item.holder, origin): company_facts(item.holder) for _, item in open_items}
    ids = know_companies(session, companies=companies, keyring=services.keyring, now=now, entropy=services.entropy)
    hops = _hops(session, [item.asset_id for _, item in open_items])
    done: list[tuple[Title, TransferItem, int, str]] = []
    for index, item in open_items:
        # Judged again: an earlier item of the batch may have handed the same asset on.
        holder_id = ids[company_key(item.holder, origin)]
        title = titles[item.asset_id]
        refused = _refused_transfer(titles, index, item, caller=caller, today=today) or rules.refuse_holder(
            title, holder_id=holder_id, at=f"/items/{index}"
        )
        if refused:
            results[index] = refused
            continue
        results[index] = hops[item.asset_id] = hops.get(item.asset_id, 0) + 1
        done.append((title, item, hops[item.asset_id], holder_id))
        name = f"{item.holder.scheme}:{item.holder.value}"
        titles[item.asset_id] = replace(title, holder_id=holder_id, holder=name, held_since=item.effective_date)
    _store_transfers(session, done, titles=titles, now=now)
    return results


def encumbered(
    asset_id: str,
    *,
    encumbrance_id: str,
    kind: str,
    amount_minor: int,
    priority: int,
    hidden: Mapping[str, str],
    today: date,
) -> Fact:
    """The signed fact of an encumbrance: whose right it is, and why, only some may see."""
    body = {
        "encumbrance": encumbrance_id,
        "kind": kind,
        "amount_minor": amount_minor,
        "priority": priority,
        "effective_date": today.isoformat(),
    }
    return Fact(asset_id, "asset.encumbered", body, hidden)


def _refused_transfer(
    titles: Mapping[str, Title], index: int, item: TransferItem, *, caller: Caller, today: date
) -> Refused | None:
    return rules.refuse_transfer(
        titles.get(item.asset_id),
        caller=caller,
        asset_id=item.asset_id,
        effective_date=item.effective_date,
        today=today,
        at=f"/items/{index}",
    )


def _hops(session: Session, asset_ids: Sequence[str]) -> dict[str, int]:
    query = text("SELECT asset_id, max(hop) FROM endorsement WHERE asset_id = ANY(:ids) GROUP BY asset_id")
    return dict(session.execute(query, {"ids": list(asset_ids)}).all())


def _store_transfers(
    session: Session,
    done: Sequence[tuple[Title, TransferItem, int, str]],
    *,
    titles: Mapping[str, Title],
    now: datetime,
) -> None:
    if not done:
        return
    rows = (
        (title.asset_id, hop, title.holder_id, holder_id, item.recourse, item.effective_date, now)
        for title, item, hop, holder_id in done
    )
    columns = ("asset_id", "hop", "from_id", "to_id", "recourse", "effective_date", "recorded_at")
    copy_rows(session, Endorsement.__tablename__, columns, rows)
    last = {title.asset_id: titles[title.asset_id] for title, *_ in done}
    update = text("""
        UPDATE claim SET holder_id = new.holder_id, held_since = new.held_since
        FROM unnest(cast(:ids AS text[]), cast(:holders AS text[]), cast(:days AS date[]))
             AS new(asset_id, holder_id, held_since)
        WHERE claim.asset_id = new.asset_id
    """)
    parameters = {
        "ids": list(last),
        "holders": [title.holder_id for title in last.values()],
        "days": [title.held_since for title in last.values()],
    }
    session.execute(update, parameters)
    facts = [
        Fact(
            title.asset_id,
            "asset.transferred",
            {"effective_date": item.effective_date.isoformat(), "hop": hop, "recourse": item.recourse},
            {"from": title.holder, "holder": f"{item.holder.scheme}:{item.holder.value}"},
        )
        for title, item, hop, _ in done
    ]
    note_many(session, facts=facts, now=now)


def _enter_parts(session: Session, done: Sequence[_Split], *, today: date, now: datetime) -> None:
    """The parts' claims; whatever was encumbered is so in the first part, with whoever has the right."""
    of_claims = (
        "asset_id root_id parent_id holder_id held_since currency due_date face_minor outstanding_minor "
        "encumbered_minor state pool_id listed_at schedule_version"
    )
    rows = [
        (
            part.asset_id,
            title.root_id,
            title.asset_id,
            title.holder_id,
            today,
            title.currency,
            part.due_date,
            part.amount_minor,
            part.amount_minor,
            title.encumbered_minor if place == 0 else 0,
            title.state,
            title.pool_id,
            now,
            part.schedule_version,
        )
        for title, parts in done
        for place, part in enumerate(parts)
    ]
    copy_rows(session, "claim", of_claims.split(), rows)
    instalments = ((part.asset_id, 1, *one) for _, parts in done for part in parts for one in part.schedule)
    columns = ("asset_id", "version", "number", "due_date", "amount_minor")
    copy_rows(session, Instalment.__tablename__, columns, instalments)
    parents = [one.title.asset_id for one in done]
    update = text("""
        UPDATE claim SET state = 'split', outstanding_minor = 0, encumbered_minor = 0 WHERE asset_id = ANY(:ids)
    """)
    session.execute(update, {"ids": parents})
    move = text("""
        UPDATE encumbrance SET asset_id = first.asset_id
        FROM unnest(cast(:parents AS text[]), cast(:firsts AS text[])) AS first(parent_id, asset_id)
        WHERE encumbrance.asset_id = first.parent_id AND live_minor > 0
    """)
    session.execute(move, {"parents": parents, "firsts": [one.parts[0].asset_id for one in done]})


def _split_pools(session: Session, funded: Sequence[_Split], *, today: date, now: datetime) -> None:
    """Share out what a pool expects of each asset among its parts, and turn the funder's title into title to them."""
    if not funded:
        return
    priced = _priced(session, [one.title.asset_id for one in funded])
    rows, kept = [], []
    for title, parts in funded:
        row = priced[title.asset_id]
        prices = rules.split_price(
            rules.Priced(row.price_minor, row.discount_minor, row.due_minor),
            amounts_minor=[part.amount_minor for part in parts],
        )
        rows += [
            (
                row.pool_id,
                part.asset_id,
                row.mandate_id,
                *price,
                row.rate_bps,
                0,
                0,
                row.bought_on,
                part.schedule_version,
            )
            for part, price in zip(parts, prices, strict=True)
        ]
        kept.append((title.asset_id, *(sum(column) for column in zip(*prices, strict=True))))
    _keep_past(session, kept)
    leave_pools(session, asset_ids=[one.title.asset_id for one in funded], now=now)
    columns = (
        "pool_id asset_id mandate_id face_minor price_minor discount_minor holdback_minor rate_bps collected_minor "
        "diluted_minor bought_on schedule_version"
    )
    copy_rows(session, PoolAsset.__tablename__, columns.split(), rows)
    holder = books.funder_title(str(funded[0].title.funder_id))  # a funder splits its own assets only
    books.open_titles(session, asset_ids=[part.asset_id for one in funded for part in one.parts], holder=holder)
    transfers = [
        Transfer(
            f"{title.asset_id}/split", today, f"split into {len(parts)} parts", rules.split_legs(title, parts=parts)
        )
        for title, parts in funded
    ]
    post(session.connection(), transfers=transfers, now=now)


def _keep_past(session: Session, moved: Sequence[tuple[object, ...]]) -> None:
    """Leave with an asset what was paid and lost so far; the rest (face, price, discount, holdback) is its parts'."""
    update = text("""
        UPDATE pool_asset SET face_minor = face_minor - moved.face, price_minor = price_minor - moved.price,
               discount_minor = discount_minor - moved.discount, holdback_minor = holdback_minor - moved.holdback
        FROM unnest(cast(:ids AS text[]), cast(:faces AS bigint[]), cast(:prices AS bigint[]),
                    cast(:discounts AS bigint[]), cast(:holdbacks AS bigint[]))
             AS moved(asset_id, face, price, discount, holdback)
        WHERE pool_asset.asset_id = moved.asset_id AND released_at IS NULL
    """)
    names = ("ids", "faces", "prices", "discounts", "holdbacks")
    session.execute(update, dict(zip(names, map(list, zip(*moved, strict=True)), strict=True)))


def _priced(session: Session, asset_ids: Sequence[str]) -> dict[str, Any]:
    query = text("""
        SELECT pool_asset.asset_id, pool_id, mandate_id, price_minor, discount_minor, rate_bps, bought_on,
               price_minor + discount_minor - collected_minor - diluted_minor - written_off_minor AS due_minor
        FROM pool_asset WHERE asset_id = ANY(:ids) AND released_at IS NULL
    """)
    return {row.asset_id: row for row in session.execute(query, {"ids": list(asset_ids)})}


def _split_facts(one: _Split, today: date) -> list[Fact]:
    """The end of the asset's chain, and the beginning of each part's."""
    title, day = one.title, today.isoformat()
    holder = {"holder": title.funder_id} if title.funder_id else {}
    hidden = {} if title.funder_id else {"holder": title.holder}
    facts = [
        Fact(title.asset_id, "asset.split", {"effective_date": day, "parts": [part.asset_id for part in one.parts]})
    ]
    facts += [
        Fact(
            part.asset_id,
            "asset.split_off",
            {
                "parent": title.asset_id,
                "root": title.root_id,
                "currency": title.currency,
                "face_minor": part.amount_minor,
                "due_date": part.due_date.isoformat(),
                "effective_date": day,
            }
            | ({SCHEDULE: written([pair[1:] for pair in part.schedule])} if part.schedule else {})
            | holder,
            hidden,
        )
        for part in one.parts
    ]
    return facts


def _moved_rights(session: Session, asset_ids: Sequence[str], *, today: date) -> list[Fact]:
    """What encumbers first parts, said again in their own chains: each chain can be read alone."""
    query = text("""
        SELECT encumbrance_id, asset_id, kind, live_minor, priority, beneficiary, ground FROM encumbrance
        WHERE asset_id = ANY(:ids) AND live_minor > 0 ORDER BY asset_id, priority, entry
    """)
    return [
        encumbered(
            row.asset_id,
            encumbrance_id=row.encumbrance_id,
            kind=row.kind,
            amount_minor=row.live_minor,
            priority=row.priority,
            hidden={"beneficiary": row.beneficiary, "ground": row.ground},
            today=today,
        )
        for row in session.execute(query, {"ids": list(asset_ids)})
    ]
