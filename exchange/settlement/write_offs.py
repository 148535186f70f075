"""What is given up: who bears it, in title, books and limits at once; and what comes back of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.db import copy_rows
from exchange.registry.actions import Fact, record_many
from exchange.settlement.claims import Reduction, reduce
from exchange.settlement.legs import loss_legs
from exchange.settlement.models import Recovery, WriteOff
from exchange.settlement.rules import Loss, Position, Recovered, after_loss, lose
from exchange.waterfalls.orders import Order
from ledger.books import Transfer, post

RECOVERED = text("""
    UPDATE write_off SET recovered_minor = recovered_minor + got.amount,
           recovered_funder_minor = recovered_funder_minor + got.funder
    FROM unnest(cast(:ids AS text[]), cast(:numbers AS int[]), cast(:amounts AS bigint[]), cast(:funders AS bigint[]))
         AS got(asset_id, number, amount, funder)
    WHERE write_off.asset_id = got.asset_id AND write_off.number = got.number
""")
COLLECTED = text("""
    UPDATE pool_asset SET collected_minor = collected_minor + back.minor,
           written_off_minor = written_off_minor - back.minor
    FROM (
        SELECT write_off.asset_id, pool_id, sum(funder)::bigint AS minor
        FROM unnest(cast(:ids AS text[]), cast(:numbers AS int[]), cast(:funders AS bigint[]))
             AS got(asset_id, number, funder)
        JOIN write_off ON write_off.asset_id = got.asset_id AND write_off.number = got.number
        WHERE funder > 0 GROUP BY write_off.asset_id, pool_id
    ) AS back
    WHERE pool_asset.asset_id = back.asset_id AND pool_asset.pool_id = back.pool_id
""")

TAKEN_BACK = text("""
    WITH back AS (
        SELECT asset_id, number, sum(amount_minor)::bigint AS amount, sum(funder_minor)::bigint AS funder
        FROM recovery WHERE receipt_id = ANY(:ids) GROUP BY asset_id, number
    ), lost AS (
        UPDATE write_off SET recovered_minor = recovered_minor - back.amount,
               recovered_funder_minor = recovered_funder_minor - back.funder
        FROM back WHERE write_off.asset_id = back.asset_id AND write_off.number = back.number
        RETURNING write_off.asset_id, pool_id, back.funder
    )
    UPDATE pool_asset SET collected_minor = collected_minor - again.minor,
           written_off_minor = written_off_minor + again.minor
    FROM (SELECT asset_id, pool_id, sum(funder)::bigint AS minor FROM lost GROUP BY asset_id, pool_id) AS again
    WHERE pool_asset.asset_id = again.asset_id AND pool_asset.pool_id = again.pool_id
""")
"""`RECOVERED` and `COLLECTED`, backwards."""


class GivingUp(NamedTuple):
    """What is to be given up of a claim (locked), why, and who decided it. `order` is that of its collections."""

    position: Position
    amount_minor: int
    cause: str
    reason: str
    order: Order
    decided_by: str | None = None
    approved_by: str | None = None


class _Done(NamedTuple):
    """A write-off with its number on the asset, and the claim after it."""

    asked: GivingUp
    loss: Loss
    number: int
    after: Position


def write_off(session: Session, *, items: Sequence[GivingUp], today: date, now: datetime) -> list[Position]:
    """Give up at most what is outstanding on each claim, one of each asset; the claims after it.

    The holdback bears it first, then principal, then discount: the order of collections backwards. Title ends, limits
    get room, the funder is told; nobody is owed anything for it.
    """
    if not items:
        return []
    last = _last_numbers(session, [item.position.asset_id for item in items])
    done = []
    for item in items:
        loss = lose(item.position, amount_minor=item.amount_minor, order=item.order)
        number = last.get(item.position.asset_id, 0) + 1
        done.append(_Done(item, loss, number, after_loss(item.position, loss, number=number)))
    _store(session, done, today=today, now=now)
    reductions = [
        Reduction(one.asked.position.asset_id, one.loss.amount_minor, 0, written_off_minor=one.loss.funder_minor)
        for one in done
    ]
    reduced = reduce(session, reductions=reductions, reason="written_off", today=today, now=now)
    _post(session, done, today=today, now=now)
    _tell(session, done, after=reduced.facts, today=today, now=now)
    return [one.after for one in done]


def note_recoveries(session: Session, *, recovered: Iterable[tuple[str, str, Recovered]]) -> None:
    """Note what receipts brought back of what was given up: (receipt, asset, part); the money is in the books."""
    rows = [(receipt, asset, one.lost.number, one.amount_minor, one.funder_minor) for receipt, asset, one in recovered]
    if not rows:
        return
    copy_rows(
        session, Recovery.__tablename__, ("receipt_id", "asset_id", "number", "amount_minor", "funder_minor"), rows
    )
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for _, asset_id, number, amount_minor, funder_minor in rows:
        had = sums.get((asset_id, number), (0, 0))
        sums[asset_id, number] = (had[0] + amount_minor, had[1] + funder_minor)
    parameters: Mapping[str, list[object]] = {
        "ids": [asset_id for asset_id, _ in sums],
        "numbers": [number for _, number in sums],
        "amounts": [amount for amount, _ in sums.values()],
        "funders": [funder for _, funder in sums.values()],
    }
    session.execute(RECOVERED, parameters)
    session.execute(COLLECTED, {name: value for name, value in parameters.items() if name != "amounts"})


def take_recoveries_back(session: Session, *, receipt_ids: Sequence[str]) -> None:
    """Give up again what receipts that are undone had brought back, and whose it was; the books are right already."""
    session.execute(TAKEN_BACK, {"ids": list(receipt_ids)})


def _last_numbers(session: Session, asset_ids: Sequence[str]) -> dict[str, int]:
    query = text("SELECT asset_id, max(number) FROM write_off WHERE asset_id = ANY(:ids) GROUP BY asset_id")
    return dict(session.execute(query, {"ids": list(asset_ids)}).all())


def _store(session: Session, done: Sequence[_Done], *, today: date, now: datetime) -> None:
    columns = (
        "asset_id number cause reason amount_minor funder_minor recovered_minor recovered_funder_minor funder_id "
        "pool_id holder_id business_date decided_by approved_by recorded_at"
    )
    rows = [
        (
            asked.position.asset_id,
            number,
            asked.cause,
            asked.reason,
            loss.amount_minor,
            loss.funder_minor,
            0,
            0,
            asked.position.funder_id,
            asked.position.pool_id if asked.position.funder_id else None,
            asked.position.holder_id,
            today,
            asked.decided_by,
            asked.approved_by,
            now,
        )
        for asked, loss, number, _ in done
    ]
    copy_rows(session, WriteOff.__tablename__, columns.split(), rows)


def _post(session: Session, done: Sequence[_Done], *, today: date, now: datetime) -> None:
    transfers = [
        Transfer(f"{asked.position.asset_id}/write_off/{number}", today, f"written off, {asked.cause}", tuple(legs))
        for asked, loss, number, _ in done
        if (legs := loss_legs(asked.position, loss))
    ]
    if transfers:
        books.open_for(session, legs=[leg for transfer in transfers for leg in transfer.legs])
        post(session.connection(), transfers=transfers, now=now)


def _tell(session: Session, done: Sequence[_Done], *, after: Sequence[Fact], today: date, now: datetime) -> None:
    """Sign each write-off and what follows from it, and tell the funders that lose by it."""
    bodies = [
        {
            "amount_minor": one.loss.amount_minor,
            "reason": one.asked.cause,
            "effective_date": today.isoformat(),
            "outstanding_minor": one.after.outstanding_minor,
        }
        for one in done
    ]
    facts = [
        Fact(one.asked.position.asset_id, "asset.written_off", body) for one, body in zip(done, bodies, strict=True)
    ]
    pending = record_many(session, facts=[*facts, *after], now=now)[: len(facts)]
    keys = [f"{one.asked.position.asset_id}/write_off/{one.number}" for one in done]
    prove(session, proofs=map(Proof, keys, pending))
    notices = [
        Notice(
            one.asked.position.funder_id,
            "asset.written_off",
            body | {"asset_id": one.asked.position.asset_id, "loss_minor": one.loss.funder_minor},
            pending_id,
        )
        for one, body, pending_id in zip(done, bodies, pending, strict=True)
        if one.asked.position.funder_id is not None
    ]
    tell_many(session, notices=notices, now=now)
