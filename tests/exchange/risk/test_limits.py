"""The limit ledger: what is taken never exceeds the limit, however takers, givers and deciders interleave."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from exchange.risk import limits
from exchange.risk.limits import Asked, Line
from exchange.risk.rules import Policy
from scoring.facts import Trades
from scoring.model import Scores
from tests.exchange.house import OPENING, House, mandate, receivable
from tests.exchange.receivables.shared import at_once
from tests.exchange.rounds.steps import clear_round

TODAY = date(2026, 3, 2)
NOTHING = Trades.from_rows(())
SAFE, RISKY = 500, 1_000_000
NEWCOMER_MINOR = 200_000_000 * 60 // 365
"""The limit of a safe obligor without purchases, at sixty days: its first line's turnover."""
RISKY_MINOR = 50_000_000
"""The limit of an obligor that is sure to default: the loss budget of 200,000.00 at an LGD of 40 %."""


@pytest.fixture
def session(connection: Connection) -> Iterator[Session]:
    """A session whose work is rolled back."""
    with Session(connection) as session:
        yield session


def decide(
    session: Session, pd_by_line: dict[Line, int], *, now: datetime = OPENING, history: Trades = NOTHING, days: int = 60
) -> None:
    """Decide the limits of these obligors anew, each with one asset of this PD and tenor."""
    asked = [
        Asked(f"a{number}", obligor, 99, currency, 1, TODAY, TODAY + timedelta(days), "org_a")
        for number, (obligor, currency) in enumerate(pd_by_line)
    ]
    pds = np.array(list(pd_by_line.values()), dtype=np.int64)
    same = np.full(len(pds), 4_000, dtype=np.int64)
    scores = Scores(pds, pds, same, same, same, same, [[] for _ in pds])
    basis = limits.Basis(Policy(), "mdl_test", history)
    limits.review(session, asked=asked, scores=scores, terms=[365] * len(asked), basis=basis, today=TODAY, now=now)


def state(session: Session) -> dict[Line, tuple[int, int, int]]:
    """What is used, the limit, and how often it changed."""
    rows = session.execute(text("SELECT obligor, currency, used_minor, limit_minor, changes FROM exposure"))
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


LINES: list[Line] = [(1, "CNY"), (1, "USD"), (2, "CNY"), (3, "CNY")]
OPERATION = st.one_of(
    st.tuples(st.just("decide"), st.sampled_from(LINES), st.sampled_from([SAFE, RISKY, 600_000])),
    st.tuples(st.just("use"), st.sampled_from(LINES), st.integers(-60_000_000, 60_000_000)),
    st.tuples(st.just("wait"), st.just(LINES[0]), st.integers(1, 100)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
@given(st.lists(OPERATION, max_size=20))
def test_the_ledger_keeps_count(session: Session, operations: list[tuple[str, Line, int]]) -> None:
    """Against a model: what fits is taken, room is limit less use, each change is kept with its cause and number."""
    used: dict[Line, int] = {}
    now = OPENING
    with session.begin_nested() as savepoint:
        for name, line, number in operations:
            if name == "wait":
                now += timedelta(days=number)
            elif name == "decide":
                decide(session, {line: number}, now=now)
                used.setdefault(line, 0)
            elif line in used:
                room = limits.lock_room(session, lines=[line])[line]
                taken = min(number, max(room, 0)) if number > 0 else -min(-number, used[line])
                limits.use_room(session, amounts={line: taken}, cause="reserved", now=OPENING)
                used[line] += taken
        found = state(session)
        assert {line: row[0] for line, row in found.items()} == used
        rooms = limits.lock_room(session, lines=LINES)
        assert rooms == {line: row[1] - row[0] for line, row in found.items()}
        history = session.execute(
            text("SELECT obligor, currency, change, limit_minor FROM obligor_limit ORDER BY change")
        )
        last = {(row[0], row[1]): (row[3], row[2]) for row in history}
        assert last == {line: row[1:] for line, row in found.items()}
        savepoint.rollback()


def test_limits_are_decided_on_the_worst_asset(session: Session) -> None:
    """A cut is at once, even below what is used; it is kept with its cause; the same again is no change."""
    line: Line = (1, "CNY")
    decide(session, {line: SAFE})
    limits.use_room(session, amounts={line: NEWCOMER_MINOR, (9, "CNY"): 0}, cause="reserved", now=OPENING)
    assert state(session)[line] == (NEWCOMER_MINOR, NEWCOMER_MINOR, 1)
    asked = [Asked(name, 1, 99, "CNY", 1, TODAY, TODAY + timedelta(30), "org_a") for name in "ab"]
    pds = np.array([RISKY, SAFE])
    lgds = np.array([10_000, 4_000])
    scores = Scores(pds, pds, pds, pds, lgds, pds, [[], []])
    for _ in range(2):
        basis = limits.Basis(Policy(), "mdl_test", NOTHING)
        limits.review(session, asked=asked, scores=scores, terms=[365, 365], basis=basis, today=TODAY, now=OPENING)
    assert limits.lock_room(session, lines=[line]) == {line: min(20_000_000, 200_000_000 * 30 // 365) - NEWCOMER_MINOR}
    causes = session.execute(text("SELECT cause FROM obligor_limit ORDER BY change")).scalars().all()
    assert causes == ["turnover", "turnover"]


def test_a_limit_follows_a_years_purchases(session: Session) -> None:
    """What was issued in the last 365 days counts, of this obligor alone."""
    day = (TODAY - date(1970, 1, 1)).days
    faces = {day: 10**12, day - 364: 10**12, day - 365: 10**13}
    rows = [(1, 5, face, issued, issued, None) for issued, face in faces.items()] + [(2, 5, 10**13, day, day, None)]
    decide(session, {(1, "CNY"): SAFE}, history=Trades.from_rows(rows), days=365)
    parts = session.execute(text("SELECT parts FROM obligor_limit")).scalar_one()
    assert parts["turnover"] == 2 * 10**12
    assert min(parts.values()) == parts["step"] == 200_000_000


def test_nothing_can_be_given_back_twice(session: Session) -> None:
    """The database refuses a use below zero, and one of a limit that was never decided is a defect."""
    line: Line = (1, "CNY")
    decide(session, {line: SAFE})
    with pytest.raises(IntegrityError, match="used_not_negative"), session.begin_nested():
        limits.use_room(session, amounts={line: -1}, cause="reserved", now=OPENING)
    with pytest.raises(RuntimeError, match="never decided"):
        limits.use_room(session, amounts={line: 1, (7, "CNY"): 1}, cause="reserved", now=OPENING)
    limits.use_room(session, amounts={}, cause="reserved", now=OPENING)
    assert state(session) == {line: (0, NEWCOMER_MINOR, 1)}


def test_takers_givers_and_deciders_at_once(house: House) -> None:
    """Two take what is free, one gives back, two cut and raise, in any order of lines: no overdraft, no deadlock."""
    database = house.services.database
    lines: list[Line] = [(1000 + number, "CNY") for number in range(4)]
    with database.transaction() as session:
        decide(session, dict.fromkeys(lines, SAFE))
    taken = dict.fromkeys(range(5), 0)

    def some(random: Random) -> Sequence[Line]:
        return random.sample(lines, random.randint(1, 4))

    def take(session: Session, random: Random) -> int:
        rooms = limits.lock_room(session, lines=some(random))
        amounts = {line: random.randint(0, max(room, 0)) for line, room in rooms.items()}
        limits.use_room(
            session, amounts=dict(random.sample(list(amounts.items()), len(amounts))), cause="reserved", now=OPENING
        )
        after = limits.lock_room(session, lines=list(amounts))
        assert all(after[line] >= 0 for line, amount in amounts.items() if amount)
        return sum(amounts.values())

    def give(session: Session, random: Random) -> int:
        wanted = some(random)
        limits.lock_room(session, lines=wanted)
        used = {line: row[0] for line, row in state(session).items() if line in wanted}
        amounts = {line: -random.randint(0, minor) for line, minor in used.items()}
        limits.use_room(session, amounts=amounts, cause="reserved", now=OPENING)
        return sum(amounts.values())

    def change(session: Session, random: Random) -> int:
        decide(session, {line: random.choice([SAFE, RISKY, 990_000]) for line in some(random)})
        return 0

    def step(number: int) -> None:
        random = Random(number)
        for _ in range(25):
            with database.transaction() as session:
                taken[number] += (take, take, give, change, change)[number](session, random)

    at_once(5, step)
    with database.transaction() as session:
        found = {line: row for line, row in state(session).items() if line in lines}
    assert sum(row[0] for row in found.values()) == sum(taken.values())
    assert all(row[0] >= 0 for row in found.values())


def test_rounds_stay_within_the_limit(house: House) -> None:
    """Ten assets of which three fit: a round takes no more, nor do two at once, also after a cut and a release."""
    house.deposit(0, 10**10)
    bank = house.funders[0]
    bank.post("/v1/mandates", mandate())
    obligor = {"scheme": "platform", "value": "limited"}
    house.submit(*(receivable(f"LIM-{number}", obligor=obligor, face_minor=10_000_000) for number in range(10)))
    query = text("SELECT number FROM company WHERE value = 'limited'")
    with house.services.database.transaction() as session:
        line: Line = (session.execute(query).scalar_one(), "CNY")
        assert state(session)[line] == (0, NEWCOMER_MINOR, 1)

    def step(number: int) -> None:
        with house.services.database.transaction() as session:
            if number == 2:
                decide(session, {line: 990_000}, days=45)
            else:
                now = OPENING + timedelta(minutes=number)
                clear_round(house.services, session, {"fire_at": now.isoformat()})

    at_once(3, step)
    with house.services.database.transaction() as session:
        used, limit, _ = state(session)[line]
    assert limit == 200_000_000 * 45 // 365
    assert used in {20_000_000, 30_000_000}
    house.only("pools", "funding")  # obligors looked at again on Monday have other limits
    house.run()
    for offer in bank.get("/v1/offers?state=open")["items"]:
        bank.post(f"/v1/offers/{offer['offer_id']}/refusal", {"reason": "no"})
    house.run()
    house.move(10, 30)
    with house.services.database.transaction() as session:
        assert state(session)[line][:2] == (20_000_000, limit)
