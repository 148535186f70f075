"""A mandate that is not in force, alone with what is free now and with what past rounds froze.

Alone: what others would have taken from it is theirs to know, and so are the obligors' limits. What a rehearsal matches
is therefore the most that the mandate can get.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.clearing.market import LARGEST_MINOR
from exchange.ids import new_id
from exchange.pools.models import Round
from exchange.pools.queries import free_assets
from exchange.pools.rules import Candidate, FreeAsset, Price, Usage, price_on, why_not_terms
from exchange.pools.terms import Terms
from exchange.rounds.answers import Answer, solve
from exchange.rounds.market import Inputs, frozen, inputs_of
from exchange.rounds.models import Clearing, Rehearsal
from exchange.services import Services

REHEARSE_JOB = "rounds.rehearse"
LATE_DAYS, LEAST_OBLIGORS = 30, 5
SHOWN = 100
"""So many of the matching assets are named."""
MANDATE = "rehearsal"
SEED = "00" * 32


class Bought(NamedTuple):
    """What a rehearsed mandate got in a round: an asset, or so much of one as it was given, and its price."""

    asset: FreeAsset
    price: Price
    on: date


class Outcome(NamedTuple):
    """What became of an asset and its parts: what is still owed and was lost, minor units; when the last money came."""

    due_date: date
    owed_minor: int
    lost_minor: int
    paid_on: date | None

    def days_late(self, today: date) -> int:
        """Days past due when all was paid, or until today."""
        end = today if self.owed_minor or self.paid_on is None else self.paid_on
        return max(0, (end - self.due_date).days)


OUTCOMES = text("""
    SELECT asked.asset_id, asked.due_date, sum(part.outstanding_minor)::bigint,
           coalesce(sum(lost.minor), 0)::bigint, max(paid.on_date)
    FROM claim AS asked
    JOIN claim AS part ON part.root_id = asked.root_id AND (
        part.asset_id = asked.asset_id OR (asked.parent_id IS NULL AND part.parent_id IS NOT NULL))
    LEFT JOIN LATERAL (
        SELECT sum(amount_minor - recovered_minor) AS minor FROM write_off
        WHERE write_off.asset_id = part.asset_id AND cause <> 'small_difference'
    ) AS lost ON true
    LEFT JOIN LATERAL (
        SELECT max(value_date) AS on_date FROM (
            SELECT value_date FROM receipt WHERE receipt.asset_id = part.asset_id AND reversed_on IS NULL
            UNION ALL
            SELECT value_date FROM receipt_share JOIN receipt USING (receipt_id)
            WHERE receipt_share.asset_id = part.asset_id AND reversed_on IS NULL
        ) AS received
    ) AS paid ON true
    WHERE asked.asset_id = ANY(:ids) GROUP BY 1, 2
""")


def ask(
    session: Session,
    *,
    services: Services,
    funder_id: str,
    terms: Terms,
    from_date: date | None,
    to_date: date | None,
    now: datetime,
) -> str:
    """Enter a rehearsal, for the worker; its id."""
    number = session.execute(select(func.count()).where(Rehearsal.funder_id == funder_id)).scalar_one()
    rehearsal_id = new_id("rhs", now=now, entropy=services.entropy, purpose=f"{funder_id}/{number}")
    values = {"rehearsal_id": rehearsal_id, "funder_id": funder_id, "asked_at": now}
    period = {"from_date": from_date, "to_date": to_date}
    session.execute(insert(Rehearsal).values(terms=msgspec.to_builtins(terms), **values, **period))
    jobs.enqueue(session, job=REHEARSE_JOB, payload={"rehearsal_id": rehearsal_id})
    return rehearsal_id


def rehearse(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Work a rehearsal out. This transaction holds its own row of work, and nothing of the business."""
    row = session.get_one(Rehearsal, payload["rehearsal_id"])
    terms = msgspec.convert(row.terms, Terms)
    today = services.business_date(row.asked_at)
    secret = services.keyring.fingerprint_key
    row.now = _now(session, terms, funder_id=row.funder_id, today=today, secret=secret)
    if row.from_date is not None and row.to_date is not None:
        period = (row.from_date, row.to_date)
        row.past = _past(session, services, terms, funder_id=row.funder_id, period=period, today=today)
    row.done_at = services.clock.now(session)


def alone(terms: Terms, usage: Usage, assets: Sequence[FreeAsset], *, funder_id: str, seed: str, today: date) -> Inputs:
    """A round with this one mandate, and no limit but its own."""
    own = frozen(Candidate(MANDATE, 1, funder_id, terms, usage))
    rooms = tuple((number, LARGEST_MINOR) for number in sorted({one.obligor for one in assets}))
    return Inputs(terms.currency, today, seed, tuple(assets), (own,), rooms, ())


def refusals(terms: Terms, assets: Sequence[FreeAsset], *, today: date) -> list[dict[str, Any]]:
    """By rule, how many of the assets break it; the most frequent first."""
    counts = Counter(why.code for one in assets for why in why_not_terms(terms, one, today=today))
    return [{"code": code, "count": count} for code, count in sorted(counts.items(), key=lambda row: (-row[1], row[0]))]


def _now(session: Session, terms: Terms, *, funder_id: str, today: date, secret: bytes) -> dict[str, Any]:
    """What is free now."""
    assets = [one for one in free_assets(session, today=today) if one.currency == terms.currency]
    inputs = alone(terms, Usage(terms.budget_minor), assets, funder_id=funder_id, seed=SEED, today=today)
    got, answer = _matched(inputs, secret=secret)
    return _sums(got) | {
        "free_count": len(assets),
        "assets": [
            {
                "asset_id": one.asset.asset_id,
                "face_minor": one.asset.face_minor,
                "due_date": one.asset.due_date.isoformat(),
                **msgspec.to_builtins(one.price),
            }
            for one in got[:SHOWN]
        ],
        "refusals": refusals(terms, assets, today=today),
        "costs": [one | {"mandate_id": None} for one in answer.costs(funder_id=funder_id)] if answer else [],
    }


def _past(
    session: Session, services: Services, terms: Terms, *, funder_id: str, period: tuple[date, date], today: date
) -> dict[str, Any]:
    """What it would have bought of the past rounds' assets: the budget is free again when an asset is paid."""
    bought: dict[str, Bought] = {}
    outcomes: dict[str, Outcome] = {}
    count = 0
    query = (
        select(Clearing.inputs)
        .join(Round, Round.round_id == Clearing.round_id)
        .where(Clearing.currency == terms.currency, Round.state == "done")
        .order_by(Round.cut_off_at, Round.round_id)
    )
    for inputs in map(inputs_of, session.execute(query).scalars()):
        if not period[0] <= inputs.today <= period[1]:
            continue
        count += 1
        usage = Usage(terms.budget_minor)
        for one in bought.values():
            if not _is_over(outcomes[one.asset.asset_id], on=inputs.today):
                usage.take(one.asset, one.price.price_minor)
        fresh = [one for one in inputs.assets if one.asset_id not in bought]
        stated = alone(terms, usage, fresh, funder_id=funder_id, seed=inputs.seed, today=inputs.today)
        got, _ = _matched(stated, secret=services.keyring.fingerprint_key)
        bought |= {one.asset.asset_id: one for one in got}
        outcomes |= _outcomes(session, [one.asset.asset_id for one in got])
    return _sums(list(bought.values())) | {"round_count": count} | _became(bought, outcomes, today=today)


def _became(bought: Mapping[str, Bought], outcomes: Mapping[str, Outcome], *, today: date) -> dict[str, int | None]:
    """What became of it all. Of few obligors nothing is told: that an asset is late is its owner's to know."""
    late = [outcomes[asset_id].days_late(today) for asset_id in bought]
    told = {
        "late_count": sum(days > 0 for days in late),
        "late_30_count": sum(days > LATE_DAYS for days in late),
        "days_late": sum(late),
        "lost_minor": sum(outcomes[asset_id].lost_minor for asset_id in bought),
        "open_count": sum(outcomes[asset_id].owed_minor > 0 for asset_id in bought),
    }
    crowd = len({one.asset.obligor for one in bought.values()})
    return dict(told) if crowd >= LEAST_OBLIGORS else dict.fromkeys(told)


def _matched(inputs: Inputs, *, secret: bytes) -> tuple[list[Bought], Answer | None]:
    """What the mandate gets, by the round's own solver and rules."""
    solved = solve(inputs, secret=secret)
    if solved.certificate is None:
        return [], None
    answer = Answer.of(inputs, solved.certificate)
    got = []
    for given in answer.given:
        part = replace(given.asset, face_minor=given.amount_minor)
        price = price_on(given.candidate.terms, part, today=inputs.today)
        got.append(Bought(part, price, inputs.today))
    return got, answer


def _sums(got: Sequence[Bought]) -> dict[str, int]:
    """Counts and amounts; the mean rate in bps a year is weighted by price and days, 0 of nothing."""
    face, price, discount = (
        sum(amounts)
        for amounts in zip(
            (0, 0, 0),
            *((one.asset.face_minor, one.price.price_minor, one.price.discount_minor) for one in got),
            strict=True,
        )
    )
    weights = [one.price.price_minor * max(1, (one.asset.due_date - one.on).days) for one in got]
    rates = sum(weight * one.price.rate_bps for weight, one in zip(weights, got, strict=True))
    mean = rates // sum(weights) if got else 0
    sums = {"face_minor": face, "price_minor": price, "discount_minor": discount, "mean_rate_bps": mean}
    return {"matched_count": len(got)} | sums


def _outcomes(session: Session, asset_ids: Sequence[str]) -> dict[str, Outcome]:
    rows = session.execute(OUTCOMES, {"ids": list(asset_ids)}) if asset_ids else ()
    return {asset_id: Outcome(*rest) for asset_id, *rest in rows}


def _is_over(outcome: Outcome, *, on: date) -> bool:
    return outcome.owed_minor == 0 and outcome.paid_on is not None and outcome.paid_on < on
