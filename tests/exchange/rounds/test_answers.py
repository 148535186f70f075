"""The answer to a round against a slow reading of the mandates' rules, on small random books."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from exchange.clearing import exact
from exchange.clearing.pairs import blocks, joined
from exchange.pools.rules import (
    RULES,
    Candidate,
    FreeAsset,
    columns_of,
    fits,
    key_of,
    keys_of,
    price_on,
    why_not,
    why_not_terms,
)
from exchange.pools.terms import KEYS, PERMILLE, Limit, TenorSpread, Terms
from exchange.rounds.answers import Answer, Solved, solve
from exchange.rounds.market import Inputs, frozen, inputs_of, market_of
from exchange.rounds.rules import Given, Now, still_given
from ledger.verify import certificate
from scoring.grades import NAMES as GRADE_NAMES
from tests.exchange.pools.book import ASSETS, GRADES, PRODUCTS, ROOMS, TODAY, candidate, candidates, free_asset, terms

SECRET = b"of the exchange"
WIDE = {1: 10**9, 2: 10**9, 3: 10**9}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branch and bound ends early: these tests ask for what is right, not for what is best."""
    monkeypatch.setattr(exact, "NODES", 50)


def inputs(
    assets: Sequence[FreeAsset],
    mandates: Sequence[Candidate],
    *,
    rooms: dict[int, int] | None = None,
    groups: dict[str, int] | None = None,
    seed: bytes = b"",
) -> Inputs:
    """What a round froze, in CNY."""
    return Inputs(
        "CNY",
        TODAY,
        seed.hex(),
        tuple(assets),
        tuple(map(frozen, mandates)),
        tuple(sorted((WIDE if rooms is None else rooms).items())),
        tuple(sorted((groups or {}).items())),
    )


def answered(stated: Inputs) -> tuple[Solved, list[Given]]:
    """What a round gives, once its certificate is checked."""
    solved = solve(stated, secret=SECRET)
    if solved.certificate is None:
        return solved, []
    certificate.check(solved.certificate)
    return solved, Answer.of(stated, solved.certificate).given


def given_to(stated: Inputs) -> dict[str, str]:
    """Which mandate gets each asset."""
    return {one.asset.asset_id: one.candidate.mandate_id for one in answered(stated)[1]}


@settings(max_examples=25)
@given(ASSETS, candidates(), ROOMS)
def test_an_answer_keeps_what_why_not_says(
    assets: list[FreeAsset], mandates: list[Candidate], rooms: dict[int, int]
) -> None:
    """Nothing goes where a rule refuses it, or where budget, caps, cash or an obligor's limit would be exceeded."""
    _, given_ = answered(inputs(assets, mandates, rooms=rooms))
    spent: Counter[str] = Counter()
    totals: Counter[tuple[str, str, int]] = Counter()
    used: Counter[int] = Counter()
    for one in given_:
        own = one.candidate.terms
        assert why_not_terms(own, one.asset, today=TODAY) == []
        assert one.amount_minor == one.asset.face_minor
        price_minor = price_on(own, one.asset, today=TODAY).price_minor
        spent[one.candidate.funder_id] += price_minor
        for by, key in (("all", 0), ("obligor", one.asset.obligor), ("seller", one.asset.seller)):
            totals[one.candidate.mandate_id, by, key] += price_minor
        used[one.asset.obligor] += one.asset.face_minor
    asked = {one.mandate_id: one.terms for one in mandates}
    assert all(spent[one.funder_id] <= one.usage.cash_minor for one in mandates)
    for (mandate_id, by, _), total in totals.items():
        own = asked[mandate_id]
        most = {"all": own.budget_minor, "obligor": own.obligor_cap_minor, "seller": own.seller_cap_minor}
        assert total <= most[by]
    assert all(total <= rooms[obligor] for obligor, total in used.items())
    assert len({one.asset.asset_id for one in given_}) == len(given_)


@settings(max_examples=15)
@given(ASSETS, candidates(), ROOMS)
def test_what_is_left_has_a_reason(assets: list[FreeAsset], mandates: list[Candidate], rooms: dict[int, int]) -> None:
    """An asset that nobody got has, with each mandate, a rule against it once the answer is counted."""
    _, given_ = answered(inputs(assets, mandates, rooms=rooms))
    left = dict(rooms)
    for one in given_:
        left[one.asset.obligor] -= one.amount_minor
    for one in given_:
        price_minor = price_on(one.candidate.terms, one.asset, today=TODAY).price_minor
        for other in mandates:
            if other.mandate_id == one.candidate.mandate_id:
                other.usage.add(keys_of(one.asset), price_minor=price_minor, face_minor=one.amount_minor)
            if other.funder_id == one.candidate.funder_id:
                other.usage.cash_minor -= price_minor
    taken = {one.asset.asset_id for one in given_}
    for asset in assets:
        if asset.asset_id not in taken:
            for mandate in mandates:
                assert why_not(mandate, asset, room_minor=left[asset.obligor], today=TODAY)


def test_frozen_inputs_give_the_same_bytes() -> None:
    """Read back from what is kept, a round solves to the same certificate; another seed may to another."""
    assets = [free_asset(f"a{place}", obligor=place % 3 + 1, face_minor=1_000 + place) for place in range(40)]
    both = [candidate("m1", funder_id="f1", budget_minor=9_000), candidate("m2", funder_id="f2", budget_minor=9_000)]
    both[0].usage.add([("obligor", 1), ("sector", "x"), ("controller", "ctl_1")], price_minor=7, face_minor=9)
    stated = inputs(assets, both, seed=b"seed")
    again = inputs_of(stated.to_bytes())
    assert again == stated
    assert again.mandates[0].candidate == both[0]
    assert solve(again, secret=SECRET) == solve(stated, secret=SECRET)


def test_equal_mandates_have_equal_chances() -> None:
    """Over seeds two mandates that differ in nothing get as much as each other: within four standard errors."""
    assets = [free_asset(f"a{place}", obligor=place % 3 + 1) for place in range(3)]
    both = [candidate(f"m{place}", funder_id=f"f{place}", budget_minor=2_000) for place in range(2)]
    got = np.array(
        [
            [list(given_to(inputs(assets, both, seed=bytes([seed]))).values()).count(one) for one in ("m0", "m1")]
            for seed in range(24)
        ]
    )
    assert set(got.sum(axis=1)) == {3}
    difference = got[:, 0] - got[:, 1]
    assert abs(difference.mean()) <= 4 * difference.std() / np.sqrt(len(difference))
    assert {1, 2} == set(got[:, 0]), "each of them wins at times"


def test_equal_assets_have_equal_chances() -> None:
    """Of many equal assets and one place, which one gets it is the seed's choice."""
    assets = [free_asset(f"a{place}") for place in range(10)]
    winners = {
        next(iter(given_to(inputs(assets, [candidate(budget_minor=1_000)], seed=bytes([seed]))))) for seed in range(16)
    }
    assert len(winners) > 4


def test_welfare_in_its_order() -> None:
    """The lower discount first; then more money now; then the funder's own ranking."""
    asset = [free_asset()]
    dear, cheap = candidate("dear", base_rate_bps=700), candidate("cheap", base_rate_bps=600, rank=9)
    assert given_to(inputs(asset, [dear, cheap])) == {"a": "cheap"}
    whole, held = candidate("whole", rank=9), candidate("held", advance_bps=9_000)
    assert given_to(inputs(asset, [whole, held])) == {"a": "whole"}
    first, second = candidate("first", rank=1), candidate("second", rank=2)
    assert {given_to(inputs(asset, [second, first], seed=bytes([seed])))["a"] for seed in range(8)} == {"first"}


def test_financing_more_beats_greed() -> None:
    """The cheapest mandate is kept for what only it takes: by lowest rate alone one asset would be left."""
    both = [free_asset("any"), free_asset("large", face_minor=1_500)]
    picky = candidate("picky", funder_id="f1", base_rate_bps=600, max_face_minor=1_000, budget_minor=1_000)
    open_ = candidate("open", funder_id="f2", base_rate_bps=500, budget_minor=1_500)
    assert given_to(inputs(both, [picky, open_])) == {"any": "picky", "large": "open"}


def test_one_limit_for_a_group() -> None:
    """Two obligors of one controller share what the group's limit leaves, over all mandates."""
    assets = [free_asset(f"a{place}", obligor=place + 1, obligor_group="ctl") for place in range(3)]
    both = [candidate(f"m{place}", funder_id=f"f{place}") for place in range(2)]
    assert len(given_to(inputs(assets, both))) == 3
    assert len(given_to(inputs(assets, both, groups={"ctl": 2_999}))) == 2


@pytest.mark.parametrize("by", KEYS)
def test_a_limit_on_each_key(by: Any) -> None:  # noqa: ANN401 - one of the names
    """What an amount or a share leaves of one key; other keys have their own; what is held counts."""
    names = {"sector": "y", "region": "y", "product": PRODUCTS[1], "obligor_group": "h", "controller": "h"}
    other: dict[str, Any] = {"obligor": 3, "seller": 5, "grade": 1} | names
    base: dict[str, Any] = {"sector": "x", "region": "x", "obligor_group": "g", "controller": "g"}
    assets = [free_asset(f"a{place}", **base) for place in range(4)]
    assets += [free_asset(f"b{place}", **base | {by: other[by]}) for place in range(2)]
    amount = candidate(limits=(Limit(by, most_minor=2_000),))
    got = given_to(inputs(assets, [amount]))
    assert Counter(name[0] for name in got) == {"a": 2, "b": 2}
    share = candidate(limits=(Limit(by, most_permille=500),))
    assert Counter(name[0] for name in given_to(inputs(assets, [share]))) == {"a": 2, "b": 2}
    share.usage.add([(by, key_of(assets[0], by))], price_minor=10, face_minor=10)
    share.usage.add([(by, key_of(assets[4], by))], price_minor=5, face_minor=5)
    assert given_to(inputs(assets, [share])) == {}, "half of a pool of others' alone is more than half"
    amount.usage.add([(by, key_of(assets[0], by))], price_minor=1_001, face_minor=1_001)
    assert Counter(name[0] for name in given_to(inputs(assets, [amount]))) == {"b": 2}


def test_limits_over_a_pool() -> None:
    """Averages, least and largest size: kept by what is given, to the edge."""
    risky = [free_asset("risky", pd_ppm=90_000, due_date=TODAY + timedelta(days=120))]
    safe = [free_asset(f"safe{place}", pd_ppm=10_000, due_date=TODAY + timedelta(days=30)) for place in range(3)]
    every = risky + safe
    assert len(given_to(inputs(every, [candidate(max_average_pd_ppm=30_000)]))) == 4
    assert sorted(given_to(inputs(every, [candidate(max_average_pd_ppm=29_990)]))) == ["safe0", "safe1", "safe2"]
    assert "risky" not in given_to(inputs(every, [candidate(max_average_tenor_days=51)]))
    dear: dict[str, Any] = {
        "base_rate_bps": 100,
        "tenor_spreads": (TenorSpread(100, 400),),
        "min_average_rate_bps": 250,
    }
    assert sorted(given_to(inputs(every, [candidate(**dear)]))) != sorted(given_to(inputs(every, [candidate()])))
    assert given_to(inputs(safe, [candidate(min_pool_minor=3_001)])) == {}
    assert len(given_to(inputs(safe, [candidate(min_pool_minor=3_000)]))) == 3
    assert len(given_to(inputs(safe, [candidate(max_pool_minor=2_999)]))) == 2


def test_an_asset_in_parts() -> None:
    """Two mandates that cannot have it whole share a divisible asset; one that is not divisible nobody gets."""
    large = free_asset("large", face_minor=3_000)
    both = [candidate(f"m{place}", funder_id=f"f{place}", budget_minor=1_000) for place in range(2)]
    assert answered(inputs([large], both))[1] == []
    _, parts = answered(inputs([replace(large, divisible=True)], both))
    assert {one.candidate.mandate_id for one in parts} == {"m0", "m1"}
    assert all(990 <= one.amount_minor <= 1_000 for one in parts)
    assert sum(one.amount_minor for one in parts) <= 3_000


@pytest.mark.parametrize("divisible", [False, True])
def test_one_giant_asset(divisible: bool) -> None:  # noqa: FBT001 - a parameter
    """The largest face there is beside a small one: the small one is placed, and nothing overflows."""
    both = [free_asset("giant", face_minor=10**15, divisible=divisible, obligor=2), free_asset("small")]
    most: dict[str, Any] = dict.fromkeys(("max_face_minor", "budget_minor", "cash_minor", "obligor_cap_minor"), 10**15)
    taker = candidate(**most, base_rate_bps=5_000)
    rooms = {1: 10**15, 2: 10**15}
    assert "small" in given_to(inputs(both, [taker], rooms=rooms))


@settings(max_examples=40)
@given(ASSETS, candidates(), ROOMS)
def test_a_market_has_what_why_not_lets_in(
    assets: list[FreeAsset], mandates: list[Candidate], rooms: dict[int, int]
) -> None:
    """A pair is in the market, which solver and certificate see alone, just when nothing says why not."""
    stated = inputs(assets, mandates, rooms=rooms)
    market = market_of(stated)
    pairs = joined([some for _, some in blocks(market.market)])
    had = {
        (market.assets[receivable].asset_id, market.candidates[mandate].mandate_id)
        for receivable, mandate in zip(pairs.receivable.tolist(), pairs.mandate.tolist(), strict=True)
    }
    assert had == {
        (asset.asset_id, one.mandate_id)
        for asset in assets
        for one in mandates
        if not why_not(one, asset, room_minor=stated.room_of(asset), today=TODAY)
    }


def test_one_purse_for_a_funders_mandates() -> None:
    """Two mandates of one funder with money for one asset buy one; another funder's money is its own."""
    two = [free_asset("a"), free_asset("b")]
    mine = [candidate(name, cash_minor=1_000) for name in ("first", "second")]
    assert len(given_to(inputs(two, mine))) == 1
    assert len(given_to(inputs(two, [mine[0], candidate("other", funder_id="g", cash_minor=1_000)]))) == 2


def test_an_obligors_limit_is_for_all_mandates() -> None:
    """What one mandate takes of it is gone for the others; another obligor's is its own."""
    assets = [free_asset("a"), free_asset("b"), free_asset("c", obligor=2)]
    mandates = [candidate(name, funder_id=name, budget_minor=1_000) for name in "xyz"]
    assert set(given_to(inputs(assets, mandates, rooms={1: 1_999, 2: 1_000}))) in ({"a", "c"}, {"b", "c"})


def test_budgets_as_large_as_integers_are() -> None:
    """Whatever a budget, a cap or cash says, sums do not overflow, and what fits is placed."""
    most = 2**63 - 1
    wide = candidate(budget_minor=most, cash_minor=most, obligor_cap_minor=most, seller_cap_minor=most)
    limited = candidate("n", funder_id="g", limits=(Limit("obligor", most_minor=most, most_permille=1_000),))
    assets = [free_asset(str(place), obligor=place % 3 + 1) for place in range(6)]
    assert len(given_to(inputs(assets, [wide, limited]))) == 6


def test_nothing_fits() -> None:
    """No mandate takes any asset: no certificate, nothing eligible; an obligor without a limit gets nothing."""
    assert answered(inputs([free_asset(related=True)], [candidate()])) == (Solved(0), [])
    assert answered(inputs([free_asset()], [candidate()], rooms={}))[1] == []
    solved, given_ = answered(inputs([free_asset(obligor=2)], [candidate()], rooms={1: 10**9}))
    assert (solved.eligible, given_) == (1, [])


def test_what_the_world_took_meanwhile() -> None:
    """Money for one of two, a limit for one of two: the lot says which, the same at every reading."""
    own = candidate("m", funder_id="f")
    assets = [free_asset(f"a{place}") for place in range(4)]
    pairs = [(Given(asset, own, asset.face_minor), price_on(own.terms, asset, today=TODAY)) for asset in assets]

    def codes(rooms: int = 9_999, groups: dict[tuple[str, str], int] | None = None, **changes: Any) -> list[str]:  # noqa: ANN401 - any terms
        owed = {asset.asset_id: asset.face_minor for asset in assets}
        answers = []
        for some in (pairs, pairs[::-1]):
            world = Now(owed, {"m": candidate("m", funder_id="f", **changes)}, {(1, "CNY"): rooms}, groups or {})
            answers.append(still_given(some, world, seed=b"1"))
        assert answers[0] == answers[1], "the order in which it is asked decides nothing"
        return [code for _, code in answers[0][1]]

    assert codes() == []
    assert codes(rooms=2_500) == ["obligor_limit"] * 2
    assert codes(groups={("", "CNY"): 1_000}) == ["obligor_limit"] * 3
    assert codes(cash_minor=1_999) == ["cash"] * 3
    assert codes(budget_minor=3_000) == ["mandate_full"]
    assert codes(limits=(Limit("obligor", most_minor=2_000),)) == ["mandate_full"] * 2


@cache
def _random_book() -> tuple[list[FreeAsset], list[Terms]]:
    draw = np.random.default_rng(5)

    def one_of(*values: Any) -> Any:  # noqa: ANN401 - any of them
        return values[draw.integers(len(values))]

    assets = [
        free_asset(
            f"a{place}",
            currency=one_of("CNY", "CNY", "CNY", "USD"),
            product=one_of(*PRODUCTS),
            face_minor=int(draw.integers(1, 1_000)),
            due_date=TODAY + timedelta(days=int(draw.integers(-3, 120))),
            recourse=one_of("with", "without"),
            confirmation_grade=one_of(*GRADES),
            pd_ppm=int(draw.integers(1, 100_000)),
            grade=int(draw.integers(0, 11)),
            related=bool(draw.random() < 0.05),
            sector=one_of(None, "resin", "film"),
            region=one_of(None, "north", "south"),
            score_age_days=int(draw.integers(0, 10)),
            invoice_age_days=int(draw.integers(0, 40)),
            late_permille=one_of(0, 0, 100, 1_000),
        )
        for place in range(1_000)
    ]
    asked = [
        terms(
            products=one_of(PRODUCTS, PRODUCTS[:1]),
            recourse=one_of(("with",), ("with", "without")),
            confirmation_grades=one_of(GRADES, GRADES[:1]),
            max_pd_ppm=int(draw.integers(1, 100_000)),
            min_tenor_days=one_of(0, 0, 10),
            max_tenor_days=one_of(60, 120),
            min_face_minor=one_of(1, 1, 100),
            max_face_minor=one_of(500, 10**9),
            base_rate_bps=one_of(0, 600, 5_000),
            advance_bps=one_of(10_000, 8_000, 1),
            worst_grade=one_of(*GRADE_NAMES),
            sectors=one_of(None, None, ("resin",)),
            sectors_out=one_of((), ("film",)),
            regions=one_of(None, None, ("north", "south")),
            regions_out=one_of((), ("north",)),
            max_score_age_days=one_of(None, 5),
            max_invoice_age_days=one_of(None, 30),
            max_late_permille=one_of(None, 0, 100),
        )
        for _ in range(100)
    ]
    return assets, asked


def test_the_round_and_why_not_agree_on_100_000_cases() -> None:
    """Columns say of 1,000 assets and 100 mandates what why-not says of each pair; every rule is met both ways."""
    assets, asked = _random_book()
    columns = columns_of(assets, today=TODAY)
    broken: Counter[str] = Counter()
    fitting = 0
    for own in asked:
        taken = fits(own, assets, columns, today=TODAY)
        for asset, fit in zip(assets, taken.tolist(), strict=True):
            reasons = why_not_terms(own, asset, today=TODAY)
            assert fit == (not reasons), (own, asset)
            broken.update(reason.code for reason in reasons)
            fitting += fit
    assert fitting > 100
    assert set(broken) == {rule.code for rule in RULES} | {"price"}
    assert all(100_000 - count > 2 * PERMILLE for count in broken.values())
