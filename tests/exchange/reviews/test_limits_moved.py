"""Warned before it breaches, and limits and terms that follow by rule: against curves and figures worked by hand."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from exchange.risk import engines
from scoring.challenger import Challenger
from scoring.engine import Engine
from scoring.hazard import TimeToPay
from scoring.model import STEADY
from tests.exchange.house import House, mandate, receivable
from tests.exchange.premises import premises
from tests.exchange.ratings.test_ratings import sweep
from tests.exchange.reviews.test_screening import platform, reviews

PAID = {-1: 40, 5: 20, 12: 10, 25: 10, 50: 10, 10_000: 10}
"""Of a hundred payers, who pays how many days after the due day: S(0) = 0.6, S(7) = 0.4, S(15) = 0.3, S(30) = 0.2."""


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that scores by that curve, everybody alike, in which nothing falls due by itself."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        house.only()
        install(house, curve(PAID))
        yield house


def curve(paid: dict[int, int]) -> TimeToPay:
    """A time to pay that learned nothing but these shares."""
    days = np.repeat(list(paid), [20 * count for count in paid.values()])
    fitted = TimeToPay(learner=Challenger(bags=1, rounds=200, learning_rate=0.3, min_leaf_rows=5))
    return fitted.fit(np.zeros((len(days), len(STEADY))), paid_day=days, seen_day=np.full(len(days), 1_000))


def install(house: House, hazard: TimeToPay) -> None:
    """Put a model with this curve in force; the scorecard's prior speaks."""
    values = np.random.default_rng(1).normal(size=(200, len(STEADY)))
    beside = Challenger(bags=1, rounds=2).fit(values, values[:, 0] > 0)
    engine = Engine(challenger=beside, hazard=hazard)
    with house.services.database.transaction() as session:
        now = house.services.clock.now(session)
        engines.keep(session, engine=engine, now=now)
        engines.note(session, version=engine.version, event="promoted", by="t", reason="t", today=house.today, now=now)


def line(house: House, name: str) -> dict[str, Any]:
    """An obligor's line as the operator sees it."""
    query = text("SELECT company_id FROM company WHERE value = :name")
    with house.services.database.transaction() as session:
        company_id = session.execute(query, {"name": name}).scalar_one()
    found: dict[str, Any] = house.operator.get(f"/v1/limits/{company_id}")["lines"][0]
    return found


def changes(house: House, name: str) -> list[tuple[int, int | None]]:
    """Every change of an obligor's limit: amount and longest term."""
    query = text("""
        SELECT limit_minor, most_tenor_days FROM obligor_limit JOIN company ON number = obligor WHERE value = :name
        ORDER BY change
    """)
    with house.services.database.transaction() as session:
        return [(row.limit_minor, row.most_tenor_days) for row in session.execute(query, {"name": name})]


def test_the_chance_given_that_it_is_unpaid_today(house: House) -> None:
    """S(30) / S(age): a fifth before the due day is no warning; two fifths three days after it are; past it no more."""
    old = {"issue_date": "2026-01-05", "confirmation": {"grade": "explicit", "confirmed_date": "2026-01-06"}}
    dates = {"early": "2026-03-20", "near": "2026-03-03", "past": "2026-01-30"}
    ids = {
        name: house.submit(receivable(f"NB-{name}", obligor=platform(f"nb-{name}"), due_date=due, **old))[0]
        for name, due in dates.items()
    }
    sweep(house)
    assert reviews(house, kind="near_breach") == [], "due tomorrow, in weeks, or breached long ago"
    house.move(9, days=4)
    sweep(house)
    sweep(house)
    (found,) = reviews(house, kind="near_breach")
    assert (found["asset_id"], found["severity"]) == (None, "work")
    assert (found["evidence"]["claim_id"], found["evidence"]["days_past_due"]) == (ids["near"], 3)
    by_hand = 0.2 / (0.6 * (0.4 / 0.6) ** (3 / 7))
    assert found["evidence"]["unpaid_ppm"] == pytest.approx(by_hand * 1_000_000, rel=0.01)


def test_little_of_a_limit_is_left_and_the_term_follows_the_curve(house: House) -> None:
    """Nine tenths used is noted once a month; a slower curve shortens the term, while the limit stays as it is."""
    # A first line of 6.3 million is worth 6,300,000 x 60 / 365 for 60 days; an offer of a million takes nearly all.
    house.operator.put("/v1/risk-policy", {"first_line_minor": 6_300_000, "unpaid_tolerated_ppm": 250_000})
    house.deposit(0, 10**9)
    house.funders[0].post("/v1/mandates", mandate(auto_commit=False, min_tenor_days=60, max_tenor_days=60))
    today = house.today
    house.submit(
        receivable("NL-1", obligor=platform("nl"), issue_date=today.isoformat(),
                   due_date=date.fromordinal(today.toordinal() + 60).isoformat(),
                   confirmation={"grade": "explicit", "confirmed_date": today.isoformat()})
    )  # fmt: skip
    assert line(house, "nl")["limit_minor"] == 6_300_000 * 60 // 365
    sweep(house)
    assert reviews(house, kind="near_limit") == []
    house.only("rounds", "funding", "pools")
    house.move(10, 30)
    house.only()
    used = {"currency": "CNY", "used_minor": 1_000_000, "limit_minor": 6_300_000 * 60 // 365}
    sweep(house)
    sweep(house)
    assert [(one["severity"], one["evidence"]) for one in reviews(house, kind="near_limit")] == [("note", used)]
    before = changes(house, "nl")
    install(house, curve({-1: 40, 5: 20, 12: 10, 40: 20, 10_000: 10}))
    sweep(house)
    sweep(house)
    # A quarter is left after 30 days by the old curve, and after 60 by the new one: thirty days less.
    assert changes(house, "nl") == [*before, (before[-1][0], (before[-1][1] or 0) - 30)]
    assert line(house, "nl")["most_tenor_days"] == (before[-1][1] or 0) - 30
