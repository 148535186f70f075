"""Make offers, take answers, buy at the cut-off, let lapsed offers go."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from exchange import books, jobs
from exchange.callbacks.actions import tell
from exchange.callbacks.settlements import Proof, prove
from exchange.currencies import commodity
from exchange.errors import NotFound
from exchange.funding import rules
from exchange.funding.models import Offer
from exchange.funding.rules import Purchased
from exchange.ids import new_id
from exchange.pools import actions as pools
from exchange.pools.models import Pool
from exchange.registry.actions import Fact, record_many
from exchange.risk import limits
from exchange.risk.suspensions import suspended
from exchange.services import Services
from ledger.books import HoldRequest, InsufficientFunds, Resolution, hold, resolve_holds

PURCHASED_JOB = "title.notify"
"""Who is next: obligors get notice of what was bought."""
DEBTS_JOB = "settlement.collect_debts"
"""And sellers that owe something pay it from the price."""
AUTOMATIC = "mandate"
"""Who answered, when the mandate says that every offer is taken."""


def offer_round(session: Session, *, services: Services, round_id: str, today: date, now: datetime) -> None:
    """Offer each pool of a round to its funder, with the money for it set aside."""
    of_round = text("SELECT pool_id FROM pool WHERE round_id = :round_id")
    pool_ids = session.execute(of_round, {"round_id": round_id}).scalars().all()
    offer_pools(session, services=services, pool_ids=pool_ids, today=today, now=now)


def offer_pools(
    session: Session,
    *,
    services: Services,
    pool_ids: Sequence[str],
    taken_by: str | None = None,
    today: date,
    now: datetime,
) -> None:
    """Offer pools to their funders, with the money for each set aside; `taken_by` says what commits them already."""
    query = text("""
        SELECT pool.pool_id, pool.funder_id, pool.mandate_id, pool.currency, mandate.terms,
               count(*) AS assets, sum(price_minor)::bigint AS price, sum(face_minor)::bigint AS face
        FROM pool
        JOIN pool_asset ON pool_asset.pool_id = pool.pool_id AND pool_asset.released_at IS NULL
        JOIN mandate ON mandate.mandate_id = pool.mandate_id AND mandate.version = pool.mandate_version
        WHERE pool.pool_id = ANY(:ids) AND NOT EXISTS (SELECT FROM offer WHERE offer.pool_id = pool.pool_id)
        GROUP BY pool.pool_id, mandate.mandate_id, mandate.version ORDER BY pool.pool_id
    """)
    for pool in session.execute(query, {"ids": list(pool_ids)}).all():
        automatic = AUTOMATIC if pool.terms["auto_commit"] else None
        _offer(session, pool, services=services, taken_by=taken_by or automatic, today=today, now=now)


def commit(
    session: Session,
    *,
    offer_id: str,
    funder_id: str,
    asset_ids: Sequence[str] | None,
    answered_by: str,
    now: datetime,
) -> None:
    """Take an offer, whole or the assets named (`OfferNotOpen`, `NotInOffer`, `NotFound`); the rest is free again."""
    offer = _open_offer(session, offer_id=offer_id, funder_id=funder_id, now=now)
    offered = _offered(session, pool_id=offer.pool_id)
    taken = rules.chosen(asset_ids, offered=offered)
    pools.release(session, asset_ids=sorted(offered - taken), now=now)
    pools.set_state(session, pool_id=offer.pool_id, asset_ids=sorted(taken), state="committed")
    _answer(session, offer, outcome="committed", reason=None, answered_by=answered_by, now=now)


def refuse(
    session: Session,
    *,
    offer_id: str,
    funder_id: str,
    reason: str,
    answered_by: str,
    today: date,
    now: datetime,
) -> None:
    """Refuse an offer; its assets and its money are free again (`OfferNotOpen`, `NotFound`)."""
    offer = _open_offer(session, offer_id=offer_id, funder_id=funder_id, now=now)
    _let_go(session, offer, outcome="refused", reason=reason, answered_by=answered_by, today=today, now=now)


def lapse_offers(session: Session, *, today: date, now: datetime) -> None:
    """Let go of every open offer whose time is over, and tell its funder."""
    over = select(Offer).where(Offer.outcome.is_(None), Offer.valid_until <= now).order_by(Offer.offer_id)
    for offer in session.execute(over.with_for_update(skip_locked=True)).scalars().all():
        _let_go(session, offer, outcome="lapsed", reason=None, answered_by=None, today=today, now=now)
        data = {"offer_id": offer.offer_id, "pool_id": offer.pool_id}
        tell(session, funder_id=offer.funder_id, type="offer.lapsed", data=data, pending_id=None, now=now)


def purchase(session: Session, *, offer_id: str, today: date, now: datetime) -> None:
    """Buy what a committed offer still holds: title against money, once.

    Assets that left in the meantime are not bought: paid before the cut-off, or their obligors' limits suspended. Their
    money goes back.
    """
    query = select(Offer).where(Offer.offer_id == offer_id).with_for_update()
    offer = session.execute(query).scalar_one()
    if offer.outcome != "committed" or offer.purchased_on is not None:
        return
    pool = session.get_one(Pool, offer.pool_id)
    _leave_suspended(session, pool_id=offer.pool_id, now=now)
    assets = _bought(session, pool_id=offer.pool_id)
    offer.purchased_on = today
    session.flush()
    if not assets:
        _void_hold(session, offer, today=today, now=now)
        return
    _post_purchase(session, offer, pool, assets, today=today, now=now)
    ids = [asset.asset_id for asset in assets]
    pools.assign(session, pool_id=offer.pool_id, asset_ids=ids, bought_on=today)
    facts = [
        Fact(
            asset.asset_id,
            "asset.assigned",
            {"holder": offer.funder_id, "pool": offer.pool_id, "effective_date": today.isoformat()},
            {"price_minor": asset.price_minor, "face_minor": asset.face_minor},
        )
        for asset in assets
    ]
    pending = record_many(session, facts=facts, now=now)
    jobs.enqueue(session, job=PURCHASED_JOB, payload={"pool_id": offer.pool_id})
    holders = sorted({asset.holder_id for asset in assets})
    jobs.enqueue(session, job=DEBTS_JOB, payload={"company_ids": holders})
    data = _settled(offer, pool, assets, today)
    prove(session, proofs=[Proof(data["transfer"], pending[-1], ids[0] if len(ids) == 1 else None)])
    tell(
        session,
        funder_id=offer.funder_id,
        type="purchase.settled",
        data=data,
        pending_id=pending[-1],
        now=now,
    )


def _offer(
    session: Session,
    pool: Any,  # noqa: ANN401 - a row
    *,
    services: Services,
    taken_by: str | None,
    today: date,
    now: datetime,
) -> None:
    offer_id = new_id("ofr", now=now, entropy=services.entropy, purpose=pool.pool_id)
    cash, reserved = books.funder_cash(pool.funder_id), books.funder_reserved(pool.funder_id)
    books.open_money(session, currency=pool.currency, paths=[cash, reserved])
    request = HoldRequest(
        key=f"{offer_id}/hold",
        source_path=cash,
        reservation_path=reserved,
        commodity=commodity(pool.currency),
        amount_minor=pool.price,
        effective_date=today,
        memo=f"offer of {pool.assets} assets",
    )
    try:
        with session.begin_nested():
            hold(session.connection(), requests=[request], now=now)
    except InsufficientFunds:
        # The cash was there when the round counted it and has left since: no offer without money behind it.
        pools.release(session, asset_ids=sorted(_offered(session, pool_id=pool.pool_id)), now=now)
        return
    opens = partial(services.trades, pool.currency)
    until = rules.valid_until(now, time_zone=services.settings.time_zone, trades=opens)
    values = {"offer_id": offer_id, "pool_id": pool.pool_id, "funder_id": pool.funder_id, "held_minor": pool.price}
    session.execute(insert(Offer).values(made_at=now, valid_until=until, **values))
    data = {
        "offer_id": offer_id,
        "pool_id": pool.pool_id,
        "mandate_id": pool.mandate_id,
        "currency": pool.currency,
        "asset_count": pool.assets,
        "face_minor": pool.face,
        "price_minor": pool.price,
        "valid_until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    tell(session, funder_id=pool.funder_id, type="offer.made", data=data, pending_id=None, now=now)
    if taken_by:
        whose = {"offer_id": offer_id, "funder_id": pool.funder_id}
        commit(session, **whose, asset_ids=None, answered_by=taken_by, now=now)


def _open_offer(session: Session, *, offer_id: str, funder_id: str, now: datetime) -> Offer:
    query = select(Offer).where(Offer.offer_id == offer_id, Offer.funder_id == funder_id).with_for_update()
    offer = session.execute(query).scalar_one_or_none()
    if offer is None:
        raise NotFound("There is no such offer.")
    rules.check_open(outcome=offer.outcome, valid_until=offer.valid_until, now=now)
    return offer


def _offered(session: Session, *, pool_id: str) -> set[str]:
    """The assets still in an offer; their claims are locked before any obligor's limit, as everybody locks them."""
    query = text("""
        SELECT asset_id FROM claim WHERE pool_id = :id AND state IN ('reserved', 'committed')
        ORDER BY root_id, asset_id FOR UPDATE
    """)
    return set(session.execute(query, {"id": pool_id}).scalars())


def _answer(
    session: Session,
    offer: Offer,
    *,
    outcome: str,
    reason: str | None,
    answered_by: str | None,
    now: datetime,
) -> None:
    offer.outcome, offer.reason, offer.answered_by, offer.answered_at = outcome, reason, answered_by, now
    session.flush()


def _let_go(
    session: Session,
    offer: Offer,
    *,
    outcome: str,
    reason: str | None,
    answered_by: str | None,
    today: date,
    now: datetime,
) -> None:
    pools.release(session, asset_ids=sorted(_offered(session, pool_id=offer.pool_id)), now=now)
    _void_hold(session, offer, today=today, now=now)
    _answer(session, offer, outcome=outcome, reason=reason, answered_by=answered_by, now=now)


def _void_hold(session: Session, offer: Offer, *, today: date, now: datetime) -> None:
    void = Resolution(f"{offer.offer_id}/hold", "voided")
    resolve_holds(session.connection(), resolutions=[void], effective_date=today, now=now)


def _leave_suspended(session: Session, *, pool_id: str, now: datetime) -> None:
    """Let the committed assets go whose obligors' limits are suspended; whoever suspends them now waits."""
    query = text("""
        SELECT claim.asset_id, company.number, claim.currency
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company ON company.company_id = receivable.obligor_id
        WHERE claim.pool_id = :pool_id AND claim.state = 'committed'
        ORDER BY claim.root_id, claim.asset_id
        FOR UPDATE OF claim
    """)
    rows = session.execute(query, {"pool_id": pool_id}).all()
    limits.lock_room(session, lines=sorted({(row.number, row.currency) for row in rows}))
    barred = suspended(session, obligors={row.number for row in rows})
    pools.release(session, asset_ids=[row.asset_id for row in rows if row.number in barred], now=now)


def _bought(session: Session, *, pool_id: str) -> list[Purchased]:
    query = text("""
        SELECT claim.asset_id, claim.holder_id, claim.outstanding_minor, pool_asset.price_minor
        FROM claim
        JOIN pool_asset ON pool_asset.asset_id = claim.asset_id AND pool_asset.pool_id = claim.pool_id
        WHERE claim.pool_id = :pool_id AND claim.state = 'committed' AND pool_asset.released_at IS NULL
        ORDER BY claim.root_id, claim.asset_id
        FOR UPDATE OF claim
    """)
    return [Purchased(*row) for row in session.execute(query, {"pool_id": pool_id})]


def _post_purchase(
    session: Session, offer: Offer, pool: Pool, assets: Sequence[Purchased], *, today: date, now: datetime
) -> None:
    holders = sorted({books.seller_cash(asset.holder_id) for asset in assets})
    books.open_money(session, currency=pool.currency, paths=holders)
    title = books.funder_title(offer.funder_id)
    books.open_titles(session, asset_ids=[asset.asset_id for asset in assets], holder=title)
    transfer = rules.purchase_transfer(
        offer.offer_id,
        funder_id=offer.funder_id,
        currency=pool.currency,
        assets=assets,
        held_minor=offer.held_minor,
        effective_date=today,
    )
    captured = Resolution(f"{offer.offer_id}/hold", "captured", transfer)
    resolve_holds(session.connection(), resolutions=[captured], effective_date=today, now=now)


def _settled(offer: Offer, pool: Pool, assets: Sequence[Purchased], today: date) -> dict[str, Any]:
    return {
        "offer_id": offer.offer_id,
        "pool_id": offer.pool_id,
        "currency": pool.currency,
        "asset_count": len(assets),
        "face_minor": sum(asset.face_minor for asset in assets),
        "price_minor": sum(asset.price_minor for asset in assets),
        "effective_date": today.isoformat(),
        "transfer": f"{offer.offer_id}/purchase",
    }
