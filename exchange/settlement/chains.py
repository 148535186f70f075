"""Recourse along the chain of those who handed a claim on (endorsers): each in turn, the latest first.

Whoever is called pays what is owed on the claim in whole and has it from then on, against everybody before it; part of
it would leave two owners of one paper. A funder gets what it still expects, the company that sold to it the rest. A
trade between funders hands on the funder's recourse with the claim and adds none of the funder that sold.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books, jobs
from exchange.callbacks.actions import Notice, tell_many
from exchange.currencies import commodity
from exchange.db import copy_rows
from exchange.registry.actions import Fact, record_many
from exchange.settlement import buy_backs
from exchange.settlement.buy_backs import CALL_JOB
from exchange.settlement.claims import Claims, lock_claims
from exchange.settlement.models import RecourseCall
from exchange.settlement.rules import Position, Turn
from exchange.title.models import Endorsement
from ledger.books import Leg, Transfer, balances, post

ANSWER_JOB = "settlement.answer_calls"
"""Takes claims back for companies that were called, in a transaction of its own: claims are locked before books."""
COLLECT_JOB = "settlement.collect_debts"
BATCH = 500

CHAIN = text("""
    WITH RECURSIVE line AS (
        SELECT asset_id AS leaf, asset_id, parent_id, 0 AS depth FROM claim WHERE asset_id = ANY(:ids)
        UNION ALL
        SELECT leaf, claim.asset_id, claim.parent_id, depth + 1 FROM line JOIN claim ON claim.asset_id = line.parent_id
    )
    SELECT leaf, from_id, recourse FROM line JOIN endorsement ON endorsement.asset_id = line.asset_id
    ORDER BY leaf, depth DESC, hop
""")
CALLED = text("""
    SELECT recourse_call.asset_id, rank, debtor_id, claim.currency, claim.state, claim.encumbered_minor
    FROM recourse_call JOIN claim ON claim.asset_id = recourse_call.asset_id
    WHERE debtor_id = ANY(:ids) AND outcome IS NULL AND told_at IS NOT NULL
    ORDER BY due_on, recourse_call.asset_id, rank
""")
ANSWERED = text("""
    UPDATE recourse_call SET outcome = CASE WHEN rank = :rank THEN 'paid' ELSE 'released' END, ended_on = :day,
           paid_minor = CASE WHEN rank = :rank THEN :amount ELSE 0 END
    WHERE asset_id = :id AND rank >= :rank AND outcome IS NULL
""")
HANDED_BACK = text("""
    UPDATE claim SET holder_id = :taker, held_since = :day FROM company AS had
    WHERE claim.asset_id = :id AND had.company_id = claim.holder_id
    RETURNING had.company_id, had.scheme || ':' || had.value AS name,
              (SELECT scheme || ':' || value FROM company WHERE company_id = :taker) AS taker,
              (SELECT coalesce(max(hop), 0) + 1 FROM endorsement WHERE endorsement.asset_id = :id) AS hop
""")


class _Answer(NamedTuple):
    """A claim that goes back to one who handed it on, who pays what is owed on it."""

    position: Position
    rank: int
    debtor_id: str

    @property
    def amount_minor(self) -> int:
        """What is paid."""
        return self.position.outstanding_minor


def chains(session: Session, *, asset_ids: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Who handed each claim on, from the first, `with` recourse or `without`: before it was split, too."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in session.execute(CHAIN, {"ids": sorted(asset_ids)}):
        found.setdefault(row.leaf, []).append((row.from_id, row.recourse))
    return found


def enter(session: Session, *, turns: Mapping[str, Sequence[Turn]], now: datetime) -> None:
    """Note by asset who answers for it and when, each once; those whose turn is now are called soon."""
    rows = [(asset_id, *turn, None, None, None, 0, now) for asset_id, some in turns.items() for turn in some]
    columns = ("asset_id", "rank", "debtor_id", "due_on", "told_at", "outcome", "ended_on", "paid_minor", "recorded_at")
    known = text("SELECT DISTINCT asset_id FROM recourse_call WHERE asset_id = ANY(:ids)")
    before = set(session.execute(known, {"ids": list(turns)}).scalars())
    rows = [row for row in rows if row[0] not in before]
    if rows:
        copy_rows(session, RecourseCall.__tablename__, columns, rows)
        jobs.enqueue(session, job=CALL_JOB, payload={})


def call(session: Session, *, today: date, now: datetime) -> bool:
    """Tell the next of those whose turn has come, sign it and tell the funder; whether there may be more.

    Nobody is called any more for a claim on which nothing is owed.
    """
    due = text("""
        SELECT asset_id, rank, debtor_id, due_on FROM recourse_call
        WHERE outcome IS NULL AND told_at IS NULL AND due_on <= :today ORDER BY asset_id, rank LIMIT :limit
    """)
    parameters = {"today": today, "limit": BATCH}
    claims = lock_claims(session, asset_ids=[row.asset_id for row in session.execute(due, parameters)])
    rows = [row for row in session.execute(due, parameters) if row.asset_id in claims.roots]
    owed = [row for row in rows if _owed(claims, row.asset_id)]
    released = [row for row in rows if not _owed(claims, row.asset_id)]
    over = text("UPDATE recourse_call SET outcome = 'released', ended_on = :day WHERE asset_id = :id AND rank = :rank")
    told = text("UPDATE recourse_call SET told_at = :now WHERE asset_id = :id AND rank = :rank")
    for statement, some in ((over, released), (told, owed)):
        named = [{"id": row.asset_id, "rank": row.rank, "day": today, "now": now} for row in some]
        if named:
            session.execute(statement, named)
    bodies = [
        {
            "amount_minor": claims.positions[row.asset_id].outstanding_minor,
            "due_date": row.due_on.isoformat(),
            "effective_date": today.isoformat(),
        }
        for row in owed
    ]
    facts = [Fact(row.asset_id, "asset.recourse_claimed", body) for row, body in zip(owed, bodies, strict=True)]
    pending = record_many(session, facts=facts, now=now) if facts else []
    notices = [
        Notice(str(claims.positions[row.asset_id].funder_id), "recourse.claimed", body | {"asset_id": row.asset_id}, at)
        for row, body, at in zip(owed, bodies, pending, strict=True)
        if claims.positions[row.asset_id].funder_id is not None
    ]
    tell_many(session, notices=notices, now=now)
    answer_soon(session, company_ids={row.debtor_id for row in owed})
    return len(rows) == BATCH


def answer_soon(session: Session, *, company_ids: Iterable[str]) -> None:
    """Have those among the companies that were called take claims back, if they have come to the money."""
    query = text("""
        SELECT DISTINCT debtor_id FROM recourse_call
        WHERE debtor_id = ANY(:ids) AND outcome IS NULL AND told_at IS NOT NULL ORDER BY debtor_id
    """)
    called = list(session.execute(query, {"ids": sorted(set(company_ids))}).scalars())
    if called:
        jobs.enqueue(session, job=ANSWER_JOB, payload={"company_ids": called})


def called_minor(session: Session, *, company_id: str, currency: str) -> int:
    """What a company is called for now: so much of its money stays here."""
    query = text("""
        SELECT coalesce(sum(outstanding_minor), 0)::bigint FROM recourse_call
        JOIN claim ON claim.asset_id = recourse_call.asset_id
        WHERE debtor_id = :id AND outcome IS NULL AND told_at IS NOT NULL AND claim.currency = :currency
          AND claim.holder_id <> debtor_id
    """)
    return int(session.execute(query, {"id": company_id, "currency": currency}).scalar_one())


def answer(session: Session, *, company_ids: Iterable[str], today: date, now: datetime) -> None:
    """Take claims back for companies that were called, as far as their money here pays each in whole.

    Money, title, price and limits move in one posting with what is signed and told; those later in the chain are
    released, and the next before is called at once.
    """
    parameters = {"ids": sorted(set(company_ids))}
    asset_ids = [row.asset_id for row in session.execute(CALLED, parameters)]
    if not asset_ids:
        return
    claims = lock_claims(session, asset_ids=asset_ids)
    rows = [row for row in session.execute(CALLED, parameters) if row.asset_id in claims.roots]
    answers = _affordable(session, rows, claims)
    if not answers:
        return
    for one in answers:
        ended = {"id": one.position.asset_id, "rank": one.rank, "day": today, "amount": one.amount_minor}
        session.execute(ANSWERED, ended)
    funded = [one for one in answers if one.position.funder_id is not None]
    items = [
        buy_backs.Item(one.position, one.position.funder_due_minor, "recourse", payer_id=one.debtor_id)
        for one in funded
    ]
    back = buy_backs.take_back(session, items=items, today=today, now=now)
    own = [one for one in answers if one.position.funder_id is None]
    facts = [*back.facts, *_hand_back(session, own, today=today, now=now), *_paid(answers, today)]
    transfers = [*back.transfers, *(_transfer(one, today) for one in own)]
    books.open_for(session, legs=[leg for transfer in transfers for leg in transfer.legs])
    post(session.connection(), transfers=transfers, now=now)
    pending = record_many(session, facts=facts, now=now)
    told = [_notice(one, today=today, pending_id=pending[-1]) for one in funded]
    tell_many(session, notices=[*told, *back.notices(pending[: len(back.facts)])], now=now)
    paid = sorted({one.position.holder_id for one in answers})
    jobs.enqueue(session, job=COLLECT_JOB, payload={"company_ids": paid})


def _owed(claims: Claims, asset_id: str) -> bool:
    position = claims.positions.get(asset_id)
    return position is not None and position.outstanding_minor > 0


def _affordable(session: Session, rows: Sequence[Any], claims: Claims) -> list[_Answer]:
    """What each called company's money pays in whole, the earliest call first; one answer for a claim."""
    paths = {(row.debtor_id, row.currency): books.seller_cash(row.debtor_id) for row in rows}
    books.hold_cash(session, purses=[(path, currency) for (_, currency), path in paths.items()])
    accounts = {purse: (path, commodity(purse[1])) for purse, path in paths.items()}
    found = balances(session.connection(), accounts=sorted(accounts.values()))
    left = {purse: found.get(account, 0) for purse, account in accounts.items()}
    answers: dict[str, _Answer] = {}
    for row in rows:
        purse, free = (row.debtor_id, row.currency), row.state in {"assigned", "free"} and not row.encumbered_minor
        if not free or row.asset_id in answers or not _owed(claims, row.asset_id):
            continue
        one = _Answer(claims.positions[row.asset_id], row.rank, row.debtor_id)
        if one.amount_minor <= left[purse]:
            left[purse] -= one.amount_minor
            answers[row.asset_id] = one
    return list(answers.values())


def _hand_back(session: Session, own: Sequence[_Answer], *, today: date, now: datetime) -> list[Fact]:
    """Companies' own claims, back in the hands of those before them: a hop like any other, without recourse."""
    rows, facts = [], []
    for one in own:
        asset_id = one.position.asset_id
        had = session.execute(HANDED_BACK, {"id": asset_id, "taker": one.debtor_id, "day": today}).one()
        rows.append((asset_id, had.hop, had.company_id, one.debtor_id, "without", today, now))
        body = {"effective_date": today.isoformat(), "hop": had.hop, "recourse": "without"}
        facts.append(Fact(asset_id, "asset.transferred", body, {"from": had.name, "holder": had.taker}))
    columns = ("asset_id", "hop", "from_id", "to_id", "recourse", "effective_date", "recorded_at")
    if rows:
        copy_rows(session, Endorsement.__tablename__, columns, rows)
    buy_backs.call_next(session, [one.position.asset_id for one in own], today=today)
    return facts


def _transfer(one: _Answer, today: date) -> Transfer:
    money = commodity(one.position.currency)
    legs = (
        Leg(books.seller_cash(one.debtor_id), money, -one.amount_minor),
        Leg(books.seller_cash(one.position.holder_id), money, one.amount_minor),
    )
    return Transfer(f"{one.position.asset_id}/recourse_call/{one.rank}", today, "recourse of a holder", legs)


def _notice(one: _Answer, *, today: date, pending_id: int) -> Notice:
    """What a funder is told that was paid."""
    data = {
        "asset_id": one.position.asset_id,
        "amount_minor": one.position.funder_due_minor,
        "cause": "transfer",
        "effective_date": today.isoformat(),
        "left_minor": 0,
    }
    return Notice(str(one.position.funder_id), "recourse.paid", data, pending_id)


def _paid(answers: Sequence[_Answer], today: date) -> list[Fact]:
    """What is signed of each payment."""
    return [
        Fact(
            one.position.asset_id,
            "asset.recourse_paid",
            {"amount_minor": one.amount_minor, "cause": "transfer", "effective_date": today.isoformat()},
        )
        for one in answers
    ]
