"""The rules by themselves: price priority on any bids, a certificate that always holds, sales that lose no cent."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.clearing.certificate import certificate_bytes
from exchange.clearing.solve import clear
from exchange.pools.rules import Candidate, FreeAsset, Usage
from exchange.pools.terms import Terms
from exchange.schedules.schedule import explicit
from exchange.trading.allotment import Auctioned, Bid, allot, at_discount, lot_rates, part_of
from exchange.trading.proofs import certificate, market_of
from exchange.trading.rules import Held, sale, trade_transfer
from ledger.verify.certificate import check
from tests.exchange.house import mandate

TODAY = date(2026, 3, 2)
TERMS = msgspec.convert({name: value for name, value in mandate().items() if name != "name"}, Terms)
SEED = b"root of a checkpoint"


def asset(number: int, face: int, *, days: int = 60) -> FreeAsset:
    """A free asset of an obligor of its own."""
    named = (f"ast_{number}", number, number, "receivable_factoring", "CNY", face, TODAY + timedelta(days=days))
    return FreeAsset(*named, "without", "explicit", 100, 0, related=False)


def bid(number: int, lot: int, bps: int, amount: int, *, budget: int = 10**12) -> Bid:
    """A bid under a mandate of its own."""
    terms = at_discount(msgspec.structs.replace(TERMS, budget_minor=budget), discount_bps=bps, advance_bps=10_000)
    candidate = Candidate(f"mdt_{number}", 1, f"fnd_{number}", terms, Usage(cash_minor=10**12))
    return Bid(f"bid_{number}", lot, candidate, bps, amount)


@st.composite
def auctions(draw: st.DrawFn) -> tuple[Auctioned, list[Bid]]:
    """Lots of some assets, whole or in parts, and bids on them; some mandates and obligors have little room."""
    faces = draw(st.lists(st.lists(st.integers(1_000, 9_000), min_size=1, max_size=3), min_size=1, max_size=3))
    numbers = iter(range(100))
    lots = {lot: [asset(next(numbers), face) for face in held] for lot, held in enumerate(faces)}
    least = draw(st.sampled_from([None, 1, 700]))
    rooms = {one.obligor: draw(st.sampled_from([0, 5_000, 10**9])) for held in lots.values() for one in held}
    bids = []
    for number in range(draw(st.integers(0, 7))):
        lot = draw(st.sampled_from(sorted(lots)))
        total = sum(one.face_minor for one in lots[lot])
        amount = total if least is None else draw(st.integers(min(least, total), total))
        budget = draw(st.sampled_from([4_000, 10**12]))
        bids.append(bid(number, lot, draw(st.integers(0, 5)) * 100, amount, budget=budget))
    return Auctioned(lots, 500, 10_000, least, rooms), bids


@given(auctions())
@settings(max_examples=150)
def test_any_auction(case: tuple[Auctioned, list[Bid]]) -> None:
    """Nothing is sold twice, no amount or room exceeded, whole lots whole; lowest first; proven."""
    auctioned, bids = case
    done = allot(auctioned, bids, seed=SEED, today=TODAY)
    faces = {one.asset_id: one for one in auctioned.assets}
    for asset_id, one in faces.items():
        given_minor = sum(award.amount_minor for award in done.awards if award.asset_id == asset_id)
        assert given_minor + done.left_minor[asset_id] == one.face_minor
        assert given_minor <= auctioned.rooms[one.obligor]
        if auctioned.least_minor is None:
            assert given_minor in {0, one.face_minor}
    got = {offer.bid_id: sum(a.amount_minor for a in done.awards if a.bid_id == offer.bid_id) for offer in bids}
    for offer in bids:
        assert got[offer.bid_id] <= offer.amount_minor
        if not got[offer.bid_id] and offer.bid_id not in done.refusals:
            better = [other for other in bids if other.lot == offer.lot and got[other.bid_id]]
            assert all(other.discount_bps <= offer.discount_bps for other in better)
    assert all(rate <= auctioned.reserve_bps for rate in lot_rates(bids, done.awards).values())
    document = certificate(auctioned, bids, done, seed=SEED, secret=b"s", today=TODAY)
    assert check(certificate_bytes(document))["entries"] == len(done.awards)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(700, 5_000)), min_size=1, max_size=6, unique_by=lambda b: b[0])
)
@settings(max_examples=60)
def test_where_only_amounts_bind_the_bound_is_reached(offers: list[tuple[int, int]]) -> None:
    """Value and bound are one number, the lowest discounts are filled first, and the solver finds nothing better."""
    auctioned = Auctioned({0: [asset(1, 5_000)]}, 500, 10_000, 1, {1: 10**9})
    bids = [bid(number, 0, *one) for number, one in enumerate(offers)]
    done = allot(auctioned, bids, seed=SEED, today=TODAY)
    head = certificate(auctioned, bids, done, seed=SEED, secret=b"s", today=TODAY)["head"]
    assert head["value"] == head["bound"]
    left, filled = 5_000, []
    for bps, amount in sorted(offers):
        filled.append((bps, min(left, amount)))
        left -= filled[-1][1]
    own = {one.bid_id: one.discount_bps for one in bids}
    assert [(own[one.bid_id], one.amount_minor) for one in done.awards] == [one for one in filled if one[1]]


def test_ties_are_the_seeds() -> None:
    """Equal bids: each of them wins under about as many seeds as any other, and always the same under one."""
    auctioned = Auctioned({0: [asset(1, 5_000)]}, 500, 10_000, None, {1: 10**9})
    won = {f"bid_{number}": 0 for number in range(3)}
    for number in range(600):
        seed = number.to_bytes(4)
        first, again = (
            allot(auctioned, [bid(one, 0, 300, 5_000) for one in order], seed=seed, today=TODAY).awards
            for order in (range(3), (2, 0, 1))
        )
        assert first == again
        won[first[0].bid_id] += 1
    assert all(150 < count < 250 for count in won.values()), won


HELD = st.builds(
    Held,
    st.just("ast_1"),
    outstanding_minor=st.integers(1, 10**13),
    due_minor=st.integers(1, 10**13),
    discount_minor=st.integers(0, 10**13),
    bought_on=st.dates(date(2026, 1, 1), date(2026, 6, 1)),
    due_date=st.dates(date(2026, 1, 1), date(2027, 1, 1)),
    schedule_version=st.none(),
    currency=st.just("CNY"),
    sound=st.booleans(),
    late=st.booleans(),
)


@given(HELD, st.integers(1, 1_000_000), st.dates(date(2026, 1, 1), date(2027, 6, 1)))
def test_any_sale(held: Held, ppm: int, on: date) -> None:
    """Price, what is earned and what is gained come to what the seller gets; the buyer has the rest; legs balance."""
    held = held._replace(outstanding_minor=max(held.outstanding_minor, held.due_minor))
    one = sale(held, price_ppm=ppm, on=on)
    assert 0 <= one.price_minor <= held.due_minor
    assert one.earned_minor + one.result_minor == one.price_minor - (held.due_minor - held.discount_minor)
    assert one.price_minor + one.discount_minor + one.holdback_minor == held.outstanding_minor
    assert one.rate_bps(on=on) >= 0
    parties: dict[str, Any] = {"seller_id": "fnd_a", "buyer_id": "fnd_b", "currency": "CNY"}
    transfer = trade_transfer("trd_1", **parties, sales=[one], effective_date=on)
    for unit in {leg.commodity for leg in transfer.legs}:
        assert sum(leg.amount_minor for leg in transfer.legs if leg.commodity == unit) == 0


def test_the_solver_finds_nothing_better() -> None:
    """The clearing itself, asked for the best placement of an auction's market, comes to the same value at most."""
    auctioned = Auctioned({0: [asset(1, 5_000)], 1: [asset(2, 4_000, days=30)]}, 500, 10_000, 1, {1: 10**9, 2: 10**9})
    bids = [bid(number, number % 2, bps, 2_100) for number, bps in enumerate((401, 402, 403, 404, 400, 405))]
    done = allot(auctioned, bids, seed=SEED, today=TODAY)
    head = certificate(auctioned, bids, done, seed=SEED, secret=b"s", today=TODAY)["head"]
    assert head["value"] == head["bound"]
    assert clear(market_of(auctioned, bids, today=TODAY), seed=SEED).value <= int(head["value"])


def test_instalments_are_parted_too() -> None:
    """A part of an asset with instalments has its share of each, and is due when the last of them is."""
    dues = [(TODAY + timedelta(days=30), 600), (TODAY + timedelta(days=60), 400)]
    whole = replace(asset(1, 1_000), schedule_version=1, schedule=explicit(dues))
    part = part_of(whole, 500)
    assert [one.amount_minor for one in part.schedule] == [300, 200]
    assert (part.face_minor, part.due_date) == (500, whole.due_date)
    assert part_of(whole, 1_000).schedule == whole.schedule
