"""The matcher against a slow reading of its rules."""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from exchange.pools.rules import Candidate, FreeAsset, Match, Usage, clear, price_of, why_not
from tests.exchange.pools.book import ASSETS, ROOMS, SEEDS, TODAY, candidate, candidates, free_asset


def lot(seed: bytes, asset_id: str) -> bytes:
    """The lot anybody can draw who knows the seed."""
    return hashlib.sha256(seed + asset_id.encode()).digest()


def as_it_stood(one: Candidate, owner: dict[str, str], before: Sequence[Match]) -> Candidate:
    """A candidate when only the matches `before` had been made, counted from nothing."""
    usage = Usage(cash_minor=one.usage.cash_minor)
    for match in before:
        if match.mandate_id == one.mandate_id:
            usage.take(match.asset, match.price.price_minor)
        elif owner[match.mandate_id] == one.funder_id:
            usage.cash_minor -= match.price.price_minor
    return Candidate(one.mandate_id, one.version, one.funder_id, one.terms, usage)


def room_left(rooms: dict[int, int], before: Sequence[Match], obligor: int) -> int:
    """What an obligor's limit leaves after the matches `before`."""
    return rooms.get(obligor, 0) - sum(match.asset.face_minor for match in before if match.asset.obligor == obligor)


def run(assets: list[FreeAsset], candidates: list[Candidate], rooms: dict[int, int], seed: bytes) -> list[Match]:
    """A round on a copy of the candidates."""
    return clear(assets, deepcopy(candidates), rooms=rooms, seed=seed, today=TODAY)


@given(ASSETS, candidates(), ROOMS, SEEDS)
def test_the_matcher_agrees_with_why_not(
    assets: list[FreeAsset], candidates: list[Candidate], rooms: dict[int, int], seed: bytes
) -> None:
    """Asset by asset: a mandate gets it only without a reason against it; it is left only if all have reasons."""
    matches = {match.asset.asset_id: match for match in run(assets, candidates, rooms, seed)}
    owner = {one.mandate_id: one.funder_id for one in candidates}
    before: list[Match] = []
    for asset in sorted(assets, key=lambda asset: lot(seed, asset.asset_id)):
        room_minor = room_left(rooms, before, asset.obligor)
        then = [as_it_stood(one, owner, before) for one in candidates]
        free = {one.mandate_id: one for one in then if not why_not(one, asset, room_minor=room_minor, today=TODAY)}
        match = matches.get(asset.asset_id)
        if match is None:
            assert not free
            continue
        tenor_days = (asset.due_date - TODAY).days
        prices = {
            name: price_of(one.terms, face_minor=asset.face_minor, tenor_days=tenor_days, grade=asset.grade)
            for name, one in free.items()
        }
        liked = {
            name: (price.discount_minor, price.holdback_minor, free[name].terms.rank) for name, price in prices.items()
        }
        assert match.price == prices[match.mandate_id]
        assert liked[match.mandate_id] == min(liked.values())
        before.append(match)
    assert [match.asset.asset_id for match in before] == list(matches)


@given(ASSETS, candidates(), ROOMS, SEEDS)
def test_no_limit_is_ever_exceeded(
    assets: list[FreeAsset], candidates: list[Candidate], rooms: dict[int, int], seed: bytes
) -> None:
    """At the end of any round: budgets, caps, the funders' cash and the obligors' limits; nothing sold twice."""
    owner = {one.mandate_id: one for one in candidates}
    spent: Counter[str] = Counter()
    by_mandate: Counter[str] = Counter()
    by_obligor: Counter[tuple[str, int]] = Counter()
    by_seller: Counter[tuple[str, int]] = Counter()
    used: Counter[int] = Counter()
    matches = run(assets, candidates, rooms, seed)
    for match in matches:
        asset, one, price_minor = match.asset, owner[match.mandate_id], match.price.price_minor
        assert not asset.related
        assert price_minor >= 1
        spent[one.funder_id] += price_minor
        by_mandate[one.mandate_id] += price_minor
        by_obligor[one.mandate_id, asset.obligor] += price_minor
        by_seller[one.mandate_id, asset.seller] += price_minor
        used[asset.obligor] += asset.face_minor
    assert len({match.asset.asset_id for match in matches}) == len(matches)
    assert all(spent[one.funder_id] <= one.usage.cash_minor for one in candidates)
    assert all(total <= owner[mandate_id].terms.budget_minor for mandate_id, total in by_mandate.items())
    assert all(total <= owner[name].terms.obligor_cap_minor for (name, _), total in by_obligor.items())
    assert all(total <= owner[name].terms.seller_cap_minor for (name, _), total in by_seller.items())
    assert all(total <= rooms[obligor] for obligor, total in used.items())


@given(ASSETS, candidates(), ROOMS, SEEDS, st.randoms(use_true_random=False))
def test_only_the_seed_decides_the_order(
    assets: list[FreeAsset],
    candidates: list[Candidate],
    rooms: dict[int, int],
    seed: bytes,
    chance: random.Random,
) -> None:
    """Assets and mandates may come in any order."""
    first = run(assets, candidates, rooms, seed)
    chance.shuffle(assets)
    chance.shuffle(candidates)
    assert run(assets, candidates, rooms, seed) == first


def test_another_seed_draws_another_lot() -> None:
    """Of many equal assets and one place, which one gets it is the seed's choice."""
    assets = [free_asset(f"a{place}") for place in range(20)]
    winners = {
        run(assets, [candidate(budget_minor=1_000)], {1: 10**9}, bytes([seed]))[0].asset.asset_id for seed in range(20)
    }
    assert len(winners) > 5


def test_equal_mandates_share_by_lot() -> None:
    """No mandate wins every draw between equals because of its name or its place in the list."""
    both = [candidate("m1", funder_id="f1"), candidate("m2", funder_id="f2")]
    matches = run([free_asset(f"a{place}") for place in range(200)], both, {1: 10**9}, b"seed")
    counts = Counter(match.mandate_id for match in matches)
    assert min(counts["m1"], counts["m2"]) > 60


def test_preferences_in_their_order() -> None:
    """The lower discount first; then the smaller holdback; then the funder's own ranking."""
    asset, rooms = free_asset(), {1: 10**9}
    dear = candidate("dear", base_rate_bps=700)
    cheap = candidate("cheap", base_rate_bps=600, rank=9)
    assert run([asset], [dear, cheap], rooms, b"")[0].mandate_id == "cheap"
    whole, held = candidate("whole", rank=9), candidate("held", advance_bps=9_000)
    assert run([asset], [whole, held], rooms, b"")[0].mandate_id == "whole"
    first, second = candidate("first", rank=1), candidate("second", rank=2)
    assert {run([asset], [second, first], rooms, bytes([seed]))[0].mandate_id for seed in range(20)} == {"first"}


def test_mandates_of_a_funder_share_its_cash() -> None:
    """Two mandates of one funder with money for one asset buy one; another funder's money is its own."""
    assets = [free_asset("a0"), free_asset("a1")]
    own = [candidate("m1", cash_minor=1_500, rank=1), candidate("m2", cash_minor=1_500, rank=2)]
    assert len(run(assets, own, {1: 10**9}, b"")) == 1
    other = candidate("m3", funder_id="g", cash_minor=1_000, base_rate_bps=10)
    assert {match.mandate_id for match in run(assets, [*own, other], {1: 10**9}, b"")} == {"m1", "m3"}


def test_a_related_party_is_never_bought() -> None:
    """One person controls both sides: no price and no terms make it an asset."""
    assert run([free_asset(related=True)], [candidate(), candidate("n", rank=2)], {1: 10**9}, b"") == []


def test_an_obligor_without_a_limit_gets_none() -> None:
    """No line in the limit ledger is a limit of nothing."""
    assert run([free_asset(face_minor=1)], [candidate()], {}, b"") == []


def test_an_obligors_limit_is_for_all_mandates() -> None:
    """What one mandate takes of it is gone for the others; another obligor's is its own."""
    assets = [free_asset("a0"), free_asset("a1"), free_asset("a2", obligor=3)]
    both = [candidate("m1", funder_id="f1", budget_minor=1_000), candidate("m2", funder_id="f2")]
    for seed in range(9):
        assert len(run(assets, both, {1: 1_999, 3: 1_000}, bytes([seed]))) == 2


def test_nothing_comes_of_nothing() -> None:
    """No assets, or no mandates, or assets past due: no matches."""
    assert run([], [candidate()], {}, b"") == []
    assert run([free_asset()], [], {1: 10**9}, b"") == []
    assert run([free_asset(due_date=TODAY - timedelta(days=1))], [candidate()], {1: 10**9}, b"") == []
