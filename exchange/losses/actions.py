"""What follows from default and charge-off: recourse against whoever sold, and an asset that does not count as good."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.currencies import commodity
from exchange.losses import rules
from exchange.registry.actions import Fact, record_many
from exchange.settlement import chains, policies
from exchange.settlement.claims import Claims, lock_claims
from exchange.settlement.debts import NewDebt, enter_debts
from exchange.settlement.legs import memo_legs
from exchange.settlement.rules import Position
from exchange.settlement.rules import turns as turns_of
from exchange.trading.actions import withdraw_changed
from ledger.books import Leg, Transfer, post


class Followed(NamedTuple):
    """An asset, and what became of it: `default`, `charge_off` or `charge_off_withdrawn`; `fact` names the fact."""

    asset_id: str
    kind: str
    fact: str = ""


def follow(session: Session, *, items: Iterable[Followed], today: date, now: datetime) -> None:
    """Do what default and charge-off of assets entail, each once.

    Default: whoever sold with recourse owes its funder what it lacks, or a share of it, and pays from what it has here;
    those who handed the asset on with recourse before it answer after it, in turn.
    Charge-off: what the funder expects of the asset is noted as doubtful; title stays, and so does the obligor's debt.
    A charge-off that money with an earlier value made untrue is taken off the memo again.
    """
    by_kind: dict[str, dict[str, str]] = {}
    for item in items:
        by_kind.setdefault(item.kind, {})[item.asset_id] = item.fact
    claims = lock_claims(session, asset_ids=[asset_id for some in by_kind.values() for asset_id in some])
    defaulted = by_kind.get("default", {})
    _default(session, _held(claims, defaulted), today=today, now=now)
    _call_chain(session, [one for one in map(claims.positions.get, defaulted) if one], today=today, now=now)
    good = by_kind.get("charge_off_withdrawn", {})
    _count_as_good(session, _held(claims, good), facts=good, today=today, now=now)
    doubtful = by_kind.get("charge_off", {})
    _charge_off(session, _held(claims, doubtful), facts=doubtful, today=today, now=now)


def _held(claims: Claims, asset_ids: Iterable[str]) -> list[Position]:
    """The claims among them that a funder holds and on which something is owed."""
    found = (claims.positions.get(asset_id) for asset_id in sorted(set(asset_ids)))
    return [one for one in found if one is not None and one.funder_id is not None and one.outstanding_minor]


def _default(session: Session, held: Sequence[Position], *, today: date, now: datetime) -> None:
    terms = policies.in_force(session)
    query = text("""
        SELECT claim.asset_id, recourse FROM claim JOIN receivable ON receivable.asset_id = claim.root_id
        WHERE claim.asset_id = ANY(:ids) AND NOT EXISTS (
            SELECT FROM debt JOIN pool ON pool.pool_id = claim.pool_id
            WHERE debt.asset_id = claim.asset_id AND cause = 'default' AND creditor_id = pool.funder_id
        )
    """)
    agreed: dict[str, str] = dict(session.execute(query, {"ids": [one.asset_id for one in held]}).all())
    owed: list[NewDebt] = []
    for one in held:
        own = terms.of(one.originator_id, one.product)
        recourse = agreed.get(one.asset_id, "without")
        amount_minor = rules.recourse_minor(one, recourse=recourse, limited_ppm=own.limited_recourse_ppm)
        if amount_minor:
            due = today + timedelta(days=own.recourse_days)
            funder_id, parties = str(one.funder_id), (one.holder_id, one.funder_id)
            owed.append(
                NewDebt(
                    one.asset_id, "default", today.isoformat(), funder_id, *parties, one.currency, amount_minor, due
                )
            )
    if owed:
        _post(session, [_recourse(debt, today) for debt in owed], now=now)
        enter_debts(session, debts=owed, now=now)
        _claim(session, owed, today=today, now=now)


def _call_chain(session: Session, owned: Sequence[Position], *, today: date, now: datetime) -> None:
    """Whoever handed a claim on with recourse answers for it too: after the company that sold it, which has its days.

    Where nobody sold it, or without recourse, the last of them answers at once.
    """
    owed = {one.asset_id: one for one in owned if one.outstanding_minor}
    found = chains.chains(session, asset_ids=owed)
    if not found:
        return
    terms = policies.in_force(session)
    query = text("SELECT asset_id FROM debt WHERE asset_id = ANY(:ids) AND cause = 'default' GROUP BY asset_id")
    sold = set(session.execute(query, {"ids": list(found)}).scalars())
    turns = {}
    for asset_id, chain in found.items():
        one = owed[asset_id]
        days = terms.of(one.originator_id, one.product).recourse_days
        first_on = today + timedelta(days=days if asset_id in sold else 0)
        turns[asset_id] = turns_of(chain, holder_id=one.holder_id, first_on=first_on, days=days)
    chains.enter(session, turns=turns, now=now)


def _recourse(debt: NewDebt, today: date) -> Transfer:
    money, creditor = commodity(debt.currency), books.funder_recourse(debt.creditor_id)
    legs = (
        Leg(books.seller_recourse(debt.debtor_id), money, -debt.amount_minor),
        Leg(creditor, money, debt.amount_minor),
    )
    return Transfer(f"{debt.asset_id}/recourse/{debt.creditor_id}", today, "recourse after default", legs)


def _claim(session: Session, owed: Sequence[NewDebt], *, today: date, now: datetime) -> None:
    """Sign that recourse is taken, and tell the funders."""
    bodies = [
        {
            "amount_minor": debt.amount_minor,
            "due_date": debt.due_date.isoformat(),
            "effective_date": today.isoformat(),
        }
        for debt in owed
    ]
    facts = [Fact(debt.asset_id, "asset.recourse_claimed", body) for debt, body in zip(owed, bodies, strict=True)]
    pending = record_many(session, facts=facts, now=now)
    prove(session, proofs=map(Proof, [_recourse(debt, today).key for debt in owed], pending))
    notices = [
        Notice(debt.creditor_id, "recourse.claimed", body | {"asset_id": debt.asset_id}, pending_id)
        for debt, body, pending_id in zip(owed, bodies, pending, strict=True)
    ]
    tell_many(session, notices=notices, now=now)


def _count_as_good(
    session: Session, held: Sequence[Position], *, facts: Mapping[str, str], today: date, now: datetime
) -> None:
    """Take what is still expected of the assets off the memo; the close of business has signed and told it."""
    charged_off = [one for one in held if one.charged_off]
    update = text("UPDATE pool_asset SET charged_off_on = NULL WHERE asset_id = ANY(:ids) AND released_at IS NULL")
    session.execute(update, {"ids": [one.asset_id for one in charged_off]})
    transfers = []
    for one in charged_off:
        legs = tuple(leg for leg in memo_legs(one, due_falls_minor=one.funder_due_minor) if leg.amount_minor)
        key = f"{one.asset_id}/charge_off/{one.pool_id}/{facts[one.asset_id]}/withdrawn"
        transfers += [Transfer(key, today, "charge-off withdrawn", legs)] if legs else []
    _post(session, transfers, now=now)


def _charge_off(
    session: Session, held: Sequence[Position], *, facts: Mapping[str, str], today: date, now: datetime
) -> None:
    fresh = [one for one in held if not one.charged_off]
    update = text("""
        UPDATE pool_asset SET charged_off_on = :day WHERE asset_id = ANY(:ids) AND released_at IS NULL
    """)
    session.execute(update, {"day": today, "ids": [one.asset_id for one in fresh]})
    withdraw_changed(session, asset_ids=[one.asset_id for one in fresh], reason="charged_off", now=now)
    doubtful = [_doubtful(one, today, fact=facts[one.asset_id]) for one in fresh if one.funder_due_minor]
    _post(session, doubtful, now=now)
    notices = [
        Notice(
            str(one.funder_id),
            "asset.charged_off",
            {
                "asset_id": one.asset_id,
                "amount_minor": one.funder_due_minor,
                "outstanding_minor": one.outstanding_minor,
                "effective_date": today.isoformat(),
            },
        )
        for one in fresh
    ]
    tell_many(session, notices=notices, now=now)  # the close of business has signed that it was charged off


def _doubtful(one: Position, today: date, *, fact: str) -> Transfer:
    money, funder = commodity(one.currency), books.funder_charged_off(str(one.funder_id))
    legs = (Leg(funder, money, one.funder_due_minor), Leg(books.CHARGED_OFF, money, -one.funder_due_minor))
    return Transfer(f"{one.asset_id}/charge_off/{one.pool_id}/{fact}", today, "charged off", legs)


def _post(session: Session, transfers: Sequence[Transfer], *, now: datetime) -> None:
    if transfers:
        books.open_for(session, legs=[leg for transfer in transfers for leg in transfer.legs])
        post(session.connection(), transfers=transfers, now=now)
