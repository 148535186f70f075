"""Who is paid, who loses, what is earned and what things are worth: against examples worked out by hand, and any."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.facilities import rules, terms
from exchange.facilities.rules import Move, Placed, Pot
from exchange.facilities.terms import Cut, Eligibility, Limit, Payments, Rank, RulesRefused, Terms, Trigger
from exchange.facilities.valuation import Book, Held, Stress
from exchange.schedules.calendars import Convention
from exchange.schedules.daycount import DayCount
from exchange.waterfalls.layers import Layer, Taken
from tests.exchange.house import mandate

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "facilities" / "payments.json").read_text()
)
RANKS = [Rank(*one) for one in GOLDEN["ranks"]]
TODAY = date(2026, 3, 2)
RULES = {"purchases": {"currency": "CNY"}, "payments": {"first_date": TODAY}}
amounts = st.integers(0, 10**13)


def made(**changes: object) -> Terms:
    """Rules of the golden tranches."""
    return terms.read_terms(RULES | changes, ranks=RANKS)


def asset(number: int = 1, **changes: Any) -> Held:  # noqa: ANN401 - any field
    """An asset due in 30 days that nothing is wrong with."""
    due = TODAY + timedelta(days=30)
    of_whom = (f"ast_{number}", number, f"com_{number}", 7, "org_1", "plastics", "working_capital", 3, "with")
    amounts = (1_000_000, 900_000, due, due, due, 100_000, 5_000, 10, TODAY, TODAY, False, False)
    held: Held = Held._make((*of_whom, "explicit", *amounts))
    return held._replace(**changes)


def pot(case: dict[str, Any]) -> Pot:
    """What a golden payment date meets."""
    names = ("state", "cash_minor", "profit_minor", "reserve_minor", "target_minor", "dues")
    on = frozenset({case["state"]})
    return Pot(on=on, covered=rules.covered_dues(RANKS), **{name: case[name] for name in names})


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_payments_as_worked_out(case: dict[str, Any]) -> None:
    """Each state pays as it says."""
    paid = rules.pay(made(), pot(case))
    assert [[one.due, one.amount_minor] for one in paid.payments] == case["payments"], case["why"]
    assert [[one.due, one.amount_minor] for one in paid.drawn] == case["drawn"]
    assert (paid.released_minor, paid.reserve_minor) == (case["released_minor"], case["reserve_after_minor"])
    assert case["cash_minor"] + paid.released_minor - paid.paid_minor == case["left_minor"]


@pytest.mark.parametrize("case", GOLDEN["losses"])
def test_losses_as_worked_out(case: dict[str, Any]) -> None:
    """Who bears, and who is made whole in reverse."""
    rows = [rules.bear([Layer(*one) for one in case["layers"]], case["loss_minor"])]
    assert [list(one) for one in rows[0]] == case["borne"], case["why"]
    for recovered, expected in case["recoveries"]:
        back = rules.give_back(rows, recovered)
        assert [list(one) for one in back] == expected, case["why"]
        rows.append([Taken(one.name, -one.amount_minor) for one in back])


@pytest.mark.parametrize("case", GOLDEN["interest"])
def test_interest_as_worked_out(case: dict[str, Any]) -> None:
    """By day count and principal."""
    moves = [Move(date.fromisoformat(day), kind, amount) for day, kind, amount in case["moves"]]
    until, convention = date.fromisoformat(case["until"]), DayCount(case["day_count"])
    earned = rules.earned_minor(moves, rate_bps=case["rate_bps"], convention=convention, until=until)
    assert earned == case["earned_minor"], case["why"]


@pytest.mark.parametrize("case", GOLDEN["values"])
def test_values_as_worked_out(case: dict[str, Any]) -> None:
    """What is left of an asset, and what the rest was lost to."""
    rates = made(
        discount_bps=360,
        late=[{"days": 30, "share_ppm": 500_000}],
        silence=[{"days": 10, "share_ppm": 200_000}, {"days": 20, "share_ppm": 500_000}],
        stale=[{"days": 180, "share_ppm": 100_000}],
    )
    due = TODAY + timedelta(days=case["due_in"])
    heard, decided = (TODAY - timedelta(days=case[name]) for name in ("silent", "old"))
    book = Book(rates, TODAY)
    dates: dict[str, Any] = {
        "due_date": due,
        "pay_date": due,
        "final_date": due,
        "heard_on": heard,
        "decided_on": decided,
    }
    book.add(asset(due_minor=case["due_minor"], **dates))
    sums = book.close()
    assert sums.value_minor == case["value_minor"], case["why"]
    assert {name: amount for name, amount in sums.cuts.items() if amount} == case["cuts"]
    assert sums.value_minor + sums.cuts.total() == sums.due_minor


@settings(max_examples=60)
@given(
    st.sampled_from(terms.STATES),
    amounts,
    amounts,
    amounts,
    amounts,
    st.dictionaries(
        st.sampled_from(["fees", *(f"{one.name}_{due}" for one in RANKS for due in ("interest", "principal"))]),
        amounts,
    ),
)
def test_no_cent_is_lost(state: str, cash: int, profit: int, reserve: int, target: int, dues: dict[str, int]) -> None:
    """What there was is paid, reserved or left; nobody gets more than is due; the last rank alone has the rest."""
    met = Pot(state, frozenset({state}), cash, min(profit, cash), reserve, target, dues, rules.covered_dues(RANKS))
    paid = rules.pay(made(), met)
    out = sum(one.amount_minor for one in (*paid.payments, *paid.drawn) if one.due != "reserve")
    left = cash + paid.released_minor - paid.paid_minor
    assert left >= 0
    assert out + left + paid.reserve_minor == cash + reserve
    for due, amount in dues.items():
        got = sum(one.amount_minor for one in (*paid.payments, *paid.drawn) if one.due == due)
        assert got + paid.unpaid[due] == amount
    assert {one.payee for one in paid.payments if one.due == "all"} <= {"junior"}
    if state not in terms.BUYING:
        assert not left or not any(paid.unpaid.values())


@settings(max_examples=60)
@given(
    st.lists(st.tuples(amounts, st.none() | amounts), min_size=1, max_size=4),
    amounts,
    st.lists(st.integers(0, 10**13), max_size=4),
)
def test_loss_then_recovery_is_nothing(rooms: list[tuple[int, int | None]], loss: int, parts: list[int]) -> None:
    """In however many pieces it comes back, everybody bears nothing in the end."""
    rows = [rules.bear([Layer(f"l{place}", *room) for place, room in enumerate(rooms)], loss)]
    assert sum(one.amount_minor for one in rows[0]) == loss
    for part in [*parts, loss]:
        open_minor = sum(one.amount_minor for row in rows for one in row)
        back = rules.give_back(rows, min(part, open_minor))
        assert sum(one.amount_minor for one in back) == min(part, open_minor)
        rows.append([Taken(one.name, -one.amount_minor) for one in back])
    sums: dict[str, int] = {}
    for row in rows:
        for one in row:
            sums[one.name] = sums.get(one.name, 0) + one.amount_minor
    assert not any(sums.values())


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 10**9)), min_size=1, max_size=30),
    st.integers(0, 10**6),
    st.integers(0, 10**9),
)
def test_excess_is_named_and_counted_once(rows: list[tuple[int, int, int]], share: int, amount: int) -> None:
    """Counted and excess are all that is eligible, and no key counts for more than its limit."""
    limits = [{"by": "obligor", "share_ppm": share}, {"by": "seller", "amount_minor": amount}]
    book = Book(made(limits=limits), TODAY)
    for number, (obligor, seller, due) in enumerate(rows):
        book.add(asset(number, obligor=obligor, seller=seller, due_minor=due))
    sums = book.close()
    assert sums.counted_minor + sum(one.amount_minor for one in sums.excess.values()) == sums.eligible_minor
    assert sums.eligible_minor == sum(due for _, _, due in rows)
    assert sums.counted_minor <= 3 * amount
    assert sums.counted_minor <= 5 * (sums.eligible_minor * share // 10**6)


@settings(max_examples=60)
@given(st.lists(amounts, min_size=3, max_size=3), st.lists(amounts, min_size=3, max_size=3), amounts, amounts)
def test_redemptions_leave_enough_below(principal: list[int], wanted: list[int], value: int, headroom: int) -> None:
    """What stands below a tranche after redemptions is its least share still, where it was before."""
    asked = [rank._replace(min_subordination_bps=least) for rank, least in zip(RANKS, (2_000, 1_000, 0), strict=True)]
    placed = [Placed(*one) for one in zip(asked, principal, strict=True)]
    names = [one.name for one in RANKS]
    paid = rules.redeemable(placed, dict(zip(names, wanted, strict=True)), value_minor=value, headroom_minor=headroom)
    after = [one._replace(principal_minor=one.principal_minor - paid[one.rank.name]) for one in placed]
    before = rules.shortfalls(placed, value_minor=value)
    left = rules.shortfalls(after, value_minor=value - sum(paid.values()))
    assert all(0 <= paid[name] <= most for name, most in zip(names, wanted, strict=True))
    assert paid["junior"] <= headroom
    for name, missing in left.items():
        assert missing <= before[name] + 1


def test_what_does_not_count() -> None:
    """One asset for each rule of eligibility, and for the limits that are about something else."""
    eligibility = {
        "products": ["working_capital"],
        "recourse": ["with"],
        "confirmation_grades": ["explicit"],
        "max_pd_ppm": 200_000,
        "max_tenor_days": 60,
        "max_days_late": 5,
        "max_score_age_days": 90,
        "max_silence_days": 30,
        "max_late_share_ppm": 500_000,
    }
    book = Book(made(eligibility=eligibility, limits=[{"by": "sector", "amount_minor": 0, "of": "steel"}]), TODAY)
    ago, ahead = TODAY - timedelta(days=100), TODAY + timedelta(days=100)
    wrong: list[dict[str, Any]] = [
        {"disputed": True},
        {"charged_off": True},
        {"product": "equipment_lease"},
        {"recourse": "without"},
        {"confirmation": "deemed"},
        {"pd_ppm": 200_001},
        {"final_date": ahead},
        {"due_date": ago, "obligor": 99},
        {"decided_on": ago},
        {"heard_on": ago},
        {"obligor": 99, "due_minor": 999_999},
        {"sector": "steel"},
        {},
    ]
    for number, changes in enumerate(wrong):
        book.add(
            asset(number, **changes) if changes != {"obligor": 99} else asset(number, obligor=99, due_minor=999_999)
        )
    sums = book.close()
    assert set(sums.ineligible) == {
        *("disputed", "charged_off", "product", "recourse", "confirmation_grade", "max_pd", "max_tenor", "late"),
        *("stale_score", "servicer_silent", "cross_ageing"),
    }
    assert all(one.asset_count == 1 for one in sums.ineligible.values())
    assert (sums.excess[0].amount_minor, sums.counted_minor) == (1_000_000, 1_000_000)
    assert (sums.oldest_score_days, sums.silent_days) == (100, 100)


def test_stress_bends_every_number() -> None:
    """PD and LGD never above the whole; what is diluted is not due, what is prepaid is money."""
    book = Book(made(), TODAY, Stress(pd_bps=10**6, lgd_bps=10**6, dilution_ppm=100_000, prepaid_ppm=200_000))
    book.add(asset())
    sums = book.close()
    assert (sums.prepaid_minor, sums.value_minor) == (200_000, 0)
    assert sums.cuts == {"dilution": 80_000, "expected_loss": 720_000} | dict.fromkeys(
        ("late", "silence", "stale", "discount"), 0
    )
    assert sums.counted_minor == 720_000


def test_states_turn_by_dates_and_triggers() -> None:
    """Never back; the furthest trigger that is on counts."""
    dated = made(revolving_from=TODAY.isoformat(), revolving_until="2026-06-01")
    assert rules.state_of(dated, state="warehousing", on=[], today=TODAY) == ("revolving", "revolving_from")
    before = TODAY - timedelta(days=1)
    assert rules.state_of(dated, state="warehousing", on=[], today=before) == ("warehousing", "")
    later = date(2026, 6, 1)
    assert rules.state_of(dated, state="warehousing", on=[], today=later) == ("amortising", "revolving_until")
    on = [Trigger("dilution", 1, "accelerated"), Trigger("reserve", 1, "amortising"), Trigger("reserve", 1)]
    assert rules.state_of(made(), state="revolving", on=on, today=TODAY) == ("accelerated", "dilution")
    assert rules.state_of(made(), state="accelerated", on=on, today=TODAY) == ("accelerated", "")
    rules.check_move("amortising", "closed")
    for state, to in (("warehousing", "closed"), ("closed", "revolving"), ("revolving", "warehousing")):
        with pytest.raises(rules.StateRefused):
            rules.check_move(state, to)
    tested = made(triggers=[{"test": "dilution", "threshold": 5, "turns": "stop"}])
    assert rules.on(tested, {"dilution": 5}) == []
    assert [one.test for one in rules.on(tested, {"dilution": 6})] == ["dilution"]
    assert rules.triggers_on(state="revolving", healthy=False, tests=["dilution"]) == {
        "revolving",
        "unhealthy",
        "dilution",
    }


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"losses": ["senior"]}, "layers_not_whole", "/losses"),
        ({"limits": [{"by": "seller"}]}, "limit_without_amount", "/limits/0"),
        ({"triggers": [{"test": "reserve", "threshold": 1}] * 2}, "trigger_twice", "/triggers/1"),
        ({"late": [{"days": 9, "share_ppm": 9}, {"days": 9, "share_ppm": 10}]}, "schedule_not_rising", "/late/1"),
        ({"revolving_from": "2026-03-02", "revolving_until": "2026-03-02"}, "dates_not_in_order", "/revolving_until"),
        ({"payments": {"first_date": TODAY, "calendar": "CN"}}, "calendar_and_convention", "/payments/calendar"),
        ({"profit": {"steps": []}}, "no_steps", "/profit/steps"),
        (
            {"principal": {"steps": [{"legs": [{"due": "fees", "payee": "senior"}]}]}},
            "unknown_payee",
            "/principal/steps/0",
        ),
        (
            {"principal": {"steps": [{"legs": [{"due": "reserve"}]}]}},
            "unknown_due",
            "/principal/steps/0",
        ),
        ({"profit": {"steps": [{"legs": [{"due": "all", "payee": "reserve"}]}]}}, "unknown_payee", "/profit/steps/0"),
    ],
)
def test_rules_that_cannot_be(changes: dict[str, Any], code: str, pointer: str) -> None:
    """One refusal each, with its place."""
    with pytest.raises(RulesRefused) as refused:
        made(**changes)
    assert [(one.code, one.pointer) for one in refused.value.faults] == [(code, pointer)]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"min_tenor_days": 91, "max_tenor_days": 90}, "/min_tenor_days"),
        ({"sectors": ["25"], "sectors_out": ["25"]}, "/sectors_out"),
        ({"min_pool_minor": 10**15}, "/min_pool_minor"),
        ({"products": ["equipment_lease"]}, "/products"),
        ({"recourse": ["with"]}, "/recourse"),
    ],
)
def test_purchases_that_contradict_are_named(changes: dict[str, Any], pointer: str) -> None:
    """Limits that leave nothing of each other, and what is bought though it never counts, with their place."""
    counts = {"products": ["receivable_factoring"], "recourse": ["without"]}
    purchases = {name: value for name, value in mandate().items() if name not in {"name", "auto_commit"}}
    terms.check_purchases(made(purchases=purchases, eligibility=counts))
    with pytest.raises(RulesRefused) as refused:
        terms.check_purchases(made(purchases=purchases | changes, eligibility=counts), at="/rules")
    assert [(one.code, one.pointer) for one in refused.value.faults] == [
        ("contradictory_limits", f"/rules/purchases{pointer}")
    ]


def test_tranches_that_cannot_be() -> None:
    """Covers alone, names and ranks twice, caps of a tranche, subordination of a cover: all at once."""
    one = {"name": "a", "kind": "cover", "rank": 1, "min_subordination_bps": 5}
    with pytest.raises(RulesRefused) as refused:
        terms.read_tranches([one, one])
    codes = ["no_tranche", "contradictory_kind", "name_twice", "rank_twice", "contradictory_kind"]
    assert [fault.code for fault in refused.value.faults] == codes
    with pytest.raises(RulesRefused):
        terms.read_tranches([one | {"kind": "tranche", "per_loss_ppm": 5}])
    assert terms.read_tranches([one | {"kind": "tranche"}]) == [Rank("a", "tranche", 1, 5)]


def test_money_that_is_too_much_or_of_another_kind() -> None:
    """More than is left, another currency, a senior with too little below."""
    with pytest.raises(rules.MoreThanCommitted):
        rules.check_called(6, uncalled_minor=5)
    rules.check_called(5, uncalled_minor=5)
    rules.check_currency(made(), currency="CNY")
    for terms_of, currency in ((made(), "EUR"), (made(purchases={"currency": "XYZ"}), None)):
        with pytest.raises(rules.OtherCurrency):
            rules.check_currency(terms_of, currency=currency)
    placed = [Placed(RANKS[0]._replace(min_subordination_bps=2_000), 700), Placed(RANKS[2], 200)]
    placed.append(Placed(Rank("first", "cover", 9), 0))
    rules.check_paying_in(placed, name="junior", amount_minor=10, value_minor=900)
    rules.check_paying_in(placed, name="senior", amount_minor=100, value_minor=900)
    rules.check_paying_in(placed, name="first", amount_minor=10**9, value_minor=900)
    with pytest.raises(rules.SubordinationBroken):
        rules.check_paying_in(placed, name="senior", amount_minor=101, value_minor=900)


def test_capital_comes_back_before_discount_is_lost() -> None:
    """What came back is discount first; what is given up is capital first."""
    lost = rules.capital_lost_minor
    assert lost(price_minor=900, discount_minor=100, returned_minor=150, written_off_minor=850) == 850
    assert lost(price_minor=900, discount_minor=100, returned_minor=0, written_off_minor=950) == 900
    assert lost(price_minor=900, discount_minor=100, returned_minor=0, written_off_minor=50) == 50
    assert rules.profit_minor(cash_minor=50, invested_minor=1_000, principal_minor=900) == 50
    assert rules.profit_minor(cash_minor=50, invested_minor=800, principal_minor=900) == 0


def test_payment_dates() -> None:
    """Every three months from the first, moved to business days; none before the first, none after the day asked."""
    dates = Payments(date(2026, 1, 31), 3, "DE", Convention.FOLLOWING)
    assert list(dates.dates(until=date(2026, 8, 2))) == [date(2026, 2, 2), date(2026, 4, 30), date(2026, 7, 31)]
    assert list(dates.dates(until=date(2026, 1, 31))) == [], "moved beyond the day"
    assert list(Payments(date(2026, 1, 31)).dates(until=date(2025, 1, 1))) == []
    assert (Cut(1, 2).days, Eligibility().max_days_late, Limit("seller").of) == (1, 0, None)
