"""Ask for a round, freeze what it takes in, apply its answers, begin the next one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.auth import Caller, Role
from exchange.db import copy_rows
from exchange.errors import NotFound
from exchange.ids import new_id
from exchange.pools import actions as pools
from exchange.pools import queries as pool_queries
from exchange.pools.models import Round
from exchange.pools.queries import FREE
from exchange.pools.rules import Candidate, FreeAsset, Match, Price, price_on
from exchange.registry.actions import Fact, note_many
from exchange.risk import limits
from exchange.rounds import queries, rules
from exchange.rounds.market import Inputs, digest_of, frozen
from exchange.rounds.models import Clearing, Dropped
from exchange.rounds.rules import Given, Now
from exchange.services import Services
from exchange.title import actions as title
from exchange.title.schemas import SplitItem
from ledger import log

BEGIN_JOB, SOLVE_JOB, OFFER_JOB = "rounds.begin", "rounds.solve", "funding.offer"
HOUSE = Caller("exchange", Role.OPERATOR, None)
"""Who splits an asset that goes to several mandates: nobody asked for it but the round."""
LOCK_CLAIMS = text(f"""
    SELECT claim.asset_id, outstanding_minor, {FREE} AS free
    FROM claim WHERE asset_id = ANY(:ids) ORDER BY root_id, asset_id FOR UPDATE
""")  # noqa: S608 - a constant of ours

GivenPrice = tuple[Given, Price]


def ask(
    session: Session, *, services: Services, cut_off_at: datetime, asked_by: str | None, now: datetime
) -> str | None:
    """Enter a round at a cut-off and begin it, or let it wait for the one that runs; its id.

    The calendar's round of a cut-off is entered once: None when it was. On demand a round is refused (`RoundRunning`)
    while another one runs.
    """
    pools.lock_mandates(session)
    running = session.execute(select(Round.round_id).where(Round.state != "done").limit(1)).scalar_one_or_none()
    if asked_by is not None and running is not None:
        raise rules.RoundRunning(f"The round {running} is not over.", round_id=running)
    calendar = select(Round.round_id).where(Round.cut_off_at == cut_off_at, Round.asked_by.is_(None))
    if asked_by is None and session.execute(calendar).first() is not None:
        return None
    purpose = cut_off_at.isoformat()
    if asked_by is not None:
        count = text("SELECT count(*) FROM clearing_round WHERE cut_off_at = :at AND asked_by IS NOT NULL")
        purpose += f"/{session.execute(count, {'at': cut_off_at}).scalar_one()}"
    round_id = new_id("rnd", now=now, entropy=services.entropy, purpose=purpose)
    counts = {"asset_count": 0, "matched_count": 0, "matched_face": {}}
    values = {"round_id": round_id, "cut_off_at": cut_off_at, "seed": "", "state": "waiting", "asked_by": asked_by}
    session.execute(insert(Round).values(**values, **counts))
    begin_next(session, services=services, now=now)
    return round_id


def begin_next(session: Session, *, services: Services, now: datetime) -> None:
    """Freeze what the earliest round that waits takes in, unless one runs; those with nothing to solve end at once.

    The seed of all lots is the root of the last published checkpoint: public, and nobody's choice.
    """
    pools.lock_mandates(session)
    if session.execute(select(Round.round_id).where(Round.state.in_(("open", "solved")))).first() is not None:
        return
    waiting = select(Round).where(Round.state == "waiting").order_by(Round.cut_off_at, Round.round_id).limit(1)
    while (round_ := session.execute(waiting).scalar_one_or_none()) is not None:
        checkpoint = log.latest_checkpoint(session.connection())
        round_.seed = (checkpoint.root if checkpoint else b"").hex()
        inputs = _freeze(session, services=services, round_=round_)
        round_.asset_count = sum(len(one.assets) for one in inputs)
        round_.state = "open"
        session.flush()
        _keep(session, round_.round_id, inputs)
        if any(one.assets and one.mandates for one in inputs):
            jobs.enqueue(session, job=SOLVE_JOB, payload={"round_id": round_.round_id})
            return
        _close(session, round_, [], now=now)


def apply(session: Session, *, services: Services, round_id: str, now: datetime) -> None:
    """Reserve what a solved round's answers give, as far as the world still allows it, and sign what came of it.

    In one transaction: claims are locked, then limits. What is gone meanwhile is dropped, and said so; a mandate whose
    pool then breaks a limit over all of it gets nothing. A round that is over is left as it is.
    """
    pools.lock_mandates(session)
    round_ = session.execute(select(Round).where(Round.round_id == round_id).with_for_update()).scalar_one()
    if round_.state != "solved":
        return
    seed = bytes.fromhex(round_.seed)
    today = services.business_date(round_.cut_off_at)
    given: list[Given] = []
    answers = queries.answers(session, round_id=round_id)
    for answer in answers:
        given += answer.given
    priced = [(one, _price(one, on=one.asset, today=today)) for one in given]
    now_is = _now(session, given, now=now)
    kept, dropped = rules.still_given(priced, now_is, seed=seed)
    for answer in answers:
        kept, more = answer.keep_pool_limits(kept, touched={one.candidate.mandate_id for one, _ in dropped})
        dropped += more
    kept, more = _split(session, kept, services=services, today=today, now=now)
    dropped += more
    got = _by_mandate(kept)
    pools.reserve(session, round_id=round_id, got=got, services=services, now=now)
    _note_dropped(session, round_id, dropped)
    matches = [match for _, some in got for match in some]
    _close(session, round_, matches, now=now)
    if matches:
        jobs.enqueue(session, job=OFFER_JOB, payload={"round_id": round_id})
    jobs.enqueue(session, job=BEGIN_JOB, payload={})


def give_up(session: Session, *, round_id: str, now: datetime) -> None:
    """End a round that cannot be solved or applied: nothing of it is done. Refuses `NotFound`, `RoundOver`."""
    pools.lock_mandates(session)
    round_ = session.execute(select(Round).where(Round.round_id == round_id).with_for_update()).scalar_one_or_none()
    if round_ is None:
        raise NotFound("There is no such round.")
    if round_.state == "done":
        raise rules.RoundOver(f"The round {round_id} is over.", round_id=round_id)
    _close(session, round_, [], now=now)
    jobs.enqueue(session, job=BEGIN_JOB, payload={})


def _keep(session: Session, round_id: str, inputs: Sequence[Inputs]) -> None:
    """Keep what was frozen."""
    for one in inputs:
        data = one.to_bytes()
        counts = {"asset_count": len(one.assets), "mandate_count": len(one.mandates)}
        key = {"round_id": round_id, "currency": one.currency}
        session.execute(insert(Clearing).values(inputs=data, inputs_digest=digest_of(data), **key, **counts))


def _freeze(session: Session, *, services: Services, round_: Round) -> list[Inputs]:
    """Every free asset and every mandate in force at the cut-off, currency by currency, and what limits leave.

    The calendar's round leaves out a currency whose market is closed that day; one that was asked for does not.
    """
    today = services.business_date(round_.cut_off_at)
    candidates = pool_queries.candidates(session, now=round_.cut_off_at)
    late = any(one.terms.max_late_permille is not None for one in candidates)
    assets = pool_queries.free_assets(session, today=today, late=late)
    lines = {(asset.obligor, asset.currency) for asset in assets}
    rooms = pool_queries.rooms(session, lines=lines)
    groups = pool_queries.group_rooms(session, lines=lines)
    return [
        Inputs(
            currency,
            today,
            round_.seed,
            tuple(asset for asset in assets if asset.currency == currency),
            tuple(frozen(one) for one in candidates if one.terms.currency == currency),
            tuple(sorted((obligor, room) for (obligor, line), room in rooms.items() if line == currency)),
            tuple(sorted((group, room) for (group, line), room in groups.items() if line == currency)),
        )
        for currency in sorted({asset.currency for asset in assets})
        if round_.asked_by is not None or services.trades(currency, today)
    ]


def _price(one: Given, *, on: FreeAsset, today: date) -> Price:
    """What a mandate pays for the amount that it is given of an asset."""
    return price_on(one.candidate.terms, replace(on, face_minor=one.amount_minor), today=today)


def _now(session: Session, given: Sequence[Given], *, now: datetime) -> Now:
    """The world under the locks: claims by (root, asset), then limits by (obligor, currency)."""
    rows = session.execute(LOCK_CLAIMS, {"ids": sorted({one.asset.asset_id for one in given})}).all()
    lines = {(one.asset.obligor, one.asset.currency) for one in given}
    rooms = limits.lock_room(session, lines=pool_queries.group_lines(session, lines=lines))
    return Now(
        free={row.asset_id: row.outstanding_minor for row in rows if row.free},
        mandates={one.mandate_id: one for one in pool_queries.candidates(session, now=now)},
        rooms=rooms,
        group_rooms=pool_queries.group_rooms(session, lines=lines),
    )


def _split(
    session: Session, kept: Sequence[GivenPrice], *, services: Services, today: date, now: datetime
) -> tuple[list[GivenPrice], list[tuple[Given, str]]]:
    """Turn amounts that are not whole assets into assets of their own; what is left of those stays free."""
    whole = [pair for pair in kept if pair[0].amount_minor == pair[0].asset.face_minor]
    of_asset: dict[str, list[Given]] = {}
    for one, _ in kept:
        if one.amount_minor != one.asset.face_minor:
            of_asset.setdefault(one.asset.asset_id, []).append(one)
    items = []
    for index, (asset_id, some) in enumerate(of_asset.items()):
        left = some[0].asset.face_minor - sum(one.amount_minor for one in some)
        amounts = [*(one.amount_minor for one in some), *([left] if left else [])]
        items.append((index, SplitItem(asset_id, amounts)))
    parts = title.split(session, services=services, caller=HOUSE, items=items, today=today, now=now) if items else {}
    dropped: list[tuple[Given, str]] = []
    for index, some in enumerate(of_asset.values()):
        found = parts[index]
        if not isinstance(found, list):
            dropped += [(one, "not_free") for one in some]
            continue
        for one, part in zip(some, found, strict=False):
            asset = replace(one.asset, asset_id=part.asset_id, face_minor=part.amount_minor)
            whole.append((one._replace(asset=asset), _price(one, on=asset, today=today)))
    return whole, dropped


def _by_mandate(kept: Iterable[GivenPrice]) -> list[tuple[Candidate, list[Match]]]:
    """What each mandate gets, in the order of their ids and of the assets'."""
    candidates: dict[str, Candidate] = {}
    matches: dict[str, list[Match]] = {}
    for one, price in sorted(kept, key=lambda pair: (pair[0].candidate.mandate_id, pair[0].asset.asset_id)):
        mandate_id = one.candidate.mandate_id
        candidates[mandate_id] = one.candidate
        matches.setdefault(mandate_id, []).append(Match(one.asset, mandate_id, price))
    return [(candidates[mandate_id], some) for mandate_id, some in matches.items()]


def _note_dropped(session: Session, round_id: str, dropped: Iterable[tuple[Given, str]]) -> None:
    rows = (
        (round_id, one.asset.asset_id, one.candidate.mandate_id, one.amount_minor, code)
        for one, code in sorted(dropped, key=lambda pair: (pair[0].asset.asset_id, pair[0].candidate.mandate_id))
    )
    columns = ("round_id", "asset_id", "mandate_id", "amount_minor", "code")
    copy_rows(session, Dropped.__tablename__, columns, rows)


def _close(session: Session, round_: Round, matches: Sequence[Match], *, now: datetime) -> None:
    """Note what a round came to, and put the digests of its inputs and certificates into the log."""
    face: dict[str, int] = {}
    for match in matches:
        face[match.asset.currency] = face.get(match.asset.currency, 0) + match.asset.face_minor
    round_.matched_count, round_.matched_face = len(matches), face
    round_.state, round_.finished_at = "done", now
    session.flush()
    query = text("""
        SELECT currency, inputs_digest AS inputs, head_digest AS certificate, asset_count
        FROM round_clearing WHERE round_id = :round_id ORDER BY currency
    """)
    about = {"cut_off": f"{round_.cut_off_at:%Y-%m-%dT%H:%M:%SZ}", "seed": round_.seed}
    facts = [
        Fact(round_.round_id, "round.cleared", about | dict(row))
        for row in session.execute(query, {"round_id": round_.round_id}).mappings()
    ]
    note_many(session, facts=facts, now=now)
