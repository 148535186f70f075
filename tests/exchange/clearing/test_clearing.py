from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse

from exchange.clearing import exact, solve
from exchange.clearing.certificate import certificate_bytes, certify, head_digest
from exchange.clearing.explain import costs
from exchange.clearing.market import Cap, Market, MarketMalformed
from exchange.clearing.pairs import blocks, joined
from exchange.clearing.rows import Rows
from exchange.clearing.solve import Answer, clear, shuffled
from ledger.verify import certificate
from tests.benchmarks.clearing import make_market

SECRET = b"of the exchange"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branch and bound ends early: these tests ask for what is right, the benchmark for how near it is."""
    monkeypatch.setattr(exact, "NODES", 20)
    monkeypatch.setattr(exact, "GAP", 0.02)
    monkeypatch.setattr(solve, "MOST_TRIES", 1)


@cache
def cleared(count: int, funders: int, seed: int = 1) -> tuple[Market, Answer]:
    """A market and its answer."""
    market = make_market(count, funders, seed=seed)
    return market, clear(market, seed=b"1")


def checked(market: Market, answer: Answer) -> dict[str, int]:
    """The certificate of an answer, checked by whoever trusts nobody."""
    return certificate.check(certificate_bytes(certify(market, answer, seed=b"1", secret=SECRET)))


def linear_bound(market: Market) -> float:
    """The optimum of the linear relaxation, by HiGHS: a foreign oracle for the bound."""
    rows, pairs = Rows(market), joined([pairs for _, pairs in blocks(market)])
    live = np.flatnonzero(rows.live)
    face = market.receivables.face[pairs.receivable].astype(float)
    uses = sparse.csr_array((rows.matrix(pairs, whole=True) @ sparse.csc_array(rows.spread)[:, live]).T)
    once = sparse.csr_array((np.ones(len(pairs)), (pairs.receivable, np.arange(len(pairs)))))
    limits = np.where(rows.is_share, 0, rows.limit)[live]
    scale = float(face.max())
    done = optimize.linprog(
        -(pairs.value * face) / scale,
        A_ub=sparse.vstack([uses / scale, once]).tocsr(),
        b_ub=np.concatenate([limits / scale, np.ones(once.shape[0])]),
        bounds=(0, 1),
    )
    return float(-done.fun * scale)


@pytest.mark.parametrize(("count", "funders", "seed"), [(300, 6, 1), (2_000, 8, 3)])
def test_the_bound_is_the_linear_optimum(count: int, funders: int, seed: int) -> None:
    """Prices that the descent finds prove as much as a solver of linear programmes that sees the whole market."""
    market, answer = cleared(count, funders, seed)
    optimum = linear_bound(market)
    assert optimum * (1 - 1e-9) <= answer.bound <= optimum * 1.0005
    assert answer.value <= answer.bound


@pytest.mark.parametrize(("count", "funders", "seed", "gap"), [(300, 6, 1, 0.08), (2_000, 8, 3, 0.03)])
def test_an_answer_keeps_every_limit_and_is_near_its_bound(count: int, funders: int, seed: int, gap: float) -> None:
    """Checked by the certificate's integers, which share no code with the solver."""
    market, answer = cleared(count, funders, seed)
    assert checked(market, answer)["entries"] == len(answer.entries)
    assert answer.gap < gap


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Twice cleared, byte for byte; another seed may settle ties otherwise, to nearly the same value."""
    market, answer = cleared(2_000, 8, 3)
    again = clear(market, seed=b"1")
    documents = [certify(market, one, seed=b"1", secret=SECRET) for one in (answer, again)]
    assert certificate_bytes(documents[0]) == certificate_bytes(documents[1])
    assert head_digest(documents[0]) == head_digest(documents[1])


def test_equal_mandates_get_equal_shares_over_seeds() -> None:
    """Of three mandates that differ in nothing none is preferred: means over seeds differ by less than chance does."""
    market = make_market(120, 4, seed=5)
    held = Counter(mandate for _, mandate, _ in clear(market, seed=b"1").entries)
    twins = np.array([held.most_common(1)[0][0]] * 3 + [3])
    own = market.mandates
    alike = type(own)(**{name: getattr(own, name)[twins] for name in own.__dataclass_fields__})
    caps = tuple(replace(cap, limit=cap.limit[twins] // 2) for cap in market.caps)
    shares = tuple(replace(share, permille=share.permille[twins]) for share in market.shares)
    averages = tuple(replace(one, limit=one.limit[twins], applies=one.applies[twins]) for one in market.averages)
    market = Market(market.receivables, alike, caps, shares, averages)
    got = []
    for seed in range(16):
        answer = clear(market, seed=str(seed).encode())
        got.append([sum(amount for _, mandate, amount in answer.entries if mandate == twin) for twin in range(3)])
    table = np.array(got, dtype=float)
    assert table.sum() > 0
    error = table.std() / np.sqrt(len(table))
    assert np.ptp(table.mean(axis=0)) < 4 * error + 1


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(0, 5))
def test_small_markets_of_any_size(seed: int, count: int, funders: int) -> None:
    """Nothing, nobody, one: every answer is certified; a bound below its value would be refused there."""
    market = make_market(count, funders, seed=seed)
    answer = clear(market, seed=b"1")
    checked(market, answer)
    assert 0 <= answer.value <= answer.bound


def test_nothing_fits() -> None:
    """A currency nobody holds: nothing is placed, and the bound says that nothing can be."""
    market, _ = cleared(300, 6, 1)
    foreign = replace(market.receivables, currency=np.full(300, 7))
    answer = clear(replace(market, receivables=foreign), seed=b"1")
    assert (answer.entries, answer.value, answer.bound) == ((), 0, 0)


def test_limits_that_contradict_leave_a_pool_empty() -> None:
    """A mandate whose least pool is above its budget gets nothing; the others get theirs."""
    market, _ = cleared(300, 6, 1)
    least = market.mandates.min_pool.copy()
    least[0] = int(market.receivables.face.sum())
    answer = clear(replace(market, mandates=replace(market.mandates, min_pool=least)), seed=b"1")
    assert answer.entries
    assert all(mandate != 0 for _, mandate, _ in answer.entries)


def test_a_budget_that_is_too_large_to_bind() -> None:
    """An overflow-sized budget is no limit: its price is none."""
    market, _ = cleared(300, 6, 1)
    wide = replace(market.caps[0], limit=np.full((6, 1), 2**53 - 1))
    answer = clear(replace(market, caps=(wide, *market.caps[1:])), seed=b"1")
    assert answer.entries
    assert all(name != "budget" for name, *_ in answer.prices)


def test_equal_everything() -> None:
    """Receivables that differ in nothing: as many are placed as the budgets pay for."""
    market, _ = cleared(300, 6, 1)
    first = np.zeros(300, np.int64)
    held = market.receivables
    columns = {name: getattr(held, name) for name in held.__dataclass_fields__}
    same: dict[str, Any] = {
        name: {key: values[first] for key, values in one.items()} if isinstance(one, dict) else one[first]
        for name, one in columns.items()
    }
    market = Market(type(held)(**same), market.mandates, market.caps)
    answer = clear(market, seed=b"1")
    checked(market, answer)


@given(
    face=st.integers(1, 2**49),
    advance=st.integers(0, 10_000),
    rate=st.integers(0, 5_000),
    tenor=st.integers(0, 3_650),
    whole=st.booleans(),
)
def test_prices_of_any_size_are_exact(face: int, advance: int, rate: int, tenor: int, *, whole: bool) -> None:
    """To the minor unit what whole numbers without end give, however large; a part is rounded for the mandate."""
    market, _ = cleared(300, 6, 1)
    one = np.zeros(1, np.int64)
    held = replace(market.receivables, face=np.array([face]), tenor=np.array([tenor]), grade=one)
    terms = replace(market.mandates, rates=np.array([[rate]]), advance=np.array([advance]))
    amount = face if whole else max(1, face // 3)
    price = int(Market(held, terms).price(one, one, np.array([amount]))[0])
    assert price == certificate.price_of(face, amount, rate=rate, tenor=tenor, advance=advance)


def test_a_receivable_too_large_to_be_counted() -> None:
    """What it is worth would not fit into 64 bits: no market, and no wrong sum."""
    market, _ = cleared(300, 6, 1)
    giant = replace(market.receivables, face=np.full(300, 2**49))
    with pytest.raises(MarketMalformed, match=r"too (much|large) to be counted"):
        clear(replace(market, receivables=giant), seed=b"1")


def test_one_limit_over_all_mandates() -> None:
    """A debtor's own limit holds over all mandates together, and so does a funder's cash over his."""
    market, _ = cleared(300, 6, 1)
    debtors = int(market.receivables.keys["debtor"].max()) + 1
    whole = np.bincount(market.receivables.keys["debtor"], market.receivables.face, debtors).astype(np.int64)
    total = Cap("debtor_everywhere", np.zeros(6, np.int64), whole[None, :] // 3, key="debtor")
    funder = np.array([0, 0, 0, 1, 1, 1])
    cash = Cap("cash", funder, np.array([[market.caps[0].limit[:3].sum() // 2], [2**50]]), of_price=True)
    market = replace(market, caps=(*market.caps, total, cash))
    answer = clear(market, seed=b"1")
    checked(market, answer)
    placed = np.zeros(debtors, np.int64)
    for receivable, _, amount in answer.entries:
        placed[market.receivables.keys["debtor"][receivable]] += amount
    assert (placed <= whole // 3).all()
    assert answer.entries


@pytest.mark.parametrize("after", [0, 3, 14])
def test_stopped_half_way(after: int) -> None:
    """Whoever is told of the progress may end it, at any step: there is no answer, and nothing else is different."""
    steps: list[str] = []

    def progress(step: str, _done: int, _of: int) -> None:
        if len(steps) == after:
            raise TimeoutError(step)
        steps.append(step)

    market, answer = cleared(2_000, 8, 3)
    with pytest.raises(TimeoutError):
        clear(market, seed=b"1", progress=progress)
    assert len(steps) == after
    assert clear(market, seed=b"1") == answer


def test_what_a_limit_costs_is_what_more_of_it_brings() -> None:
    """Re-solved with more of each of the five dearest caps: the bound rises by at most its price, and by about that."""
    market, answer = cleared(2_000, 8, 3)
    names = {cap.name: place for place, cap in enumerate(market.caps)}
    dear = [cost for cost in costs(market, answer) if cost.limit == "budget"][:3]
    assert dear
    for cost in dear:
        caps = list(market.caps)
        limit = caps[names[cost.limit]].limit.copy()
        limit[cost.group, 0] += cost.step // 10
        caps[names[cost.limit]] = replace(caps[names[cost.limit]], limit=limit)
        more = clear(replace(market, caps=tuple(caps)), seed=b"1").bound - answer.bound
        assert 0.5 * cost.gain / 10 < more < 1.1 * cost.gain / 10
        assert "one more million" in cost.words
        assert cost.like_placing_minor > 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("face", 0), ("face", 2**60), ("tenor", -1), ("grade", 10), ("ask", 10**9), ("product", 4), ("sector", -1)],
)
def test_what_is_no_market(column: str, value: int) -> None:
    """Numbers out of range are refused before anything is computed."""
    market = make_market(10, 3, seed=1)
    values = getattr(market.receivables, column).copy()
    values[3] = value
    with pytest.raises(MarketMalformed):
        clear(replace(market, receivables=replace(market.receivables, **{column: values})), seed=b"1")


def test_limits_that_refer_to_nothing() -> None:
    """A key that no receivable has, groups without a limit, two limits of one name."""
    market = make_market(10, 3, seed=1)
    budget = market.caps[0]
    wrong = (
        replace(budget, key="colour"),
        replace(budget, group=np.array([0, 1, 9])),
        replace(budget, limit=np.full((3, 4), 5), key="debtor"),
        replace(budget, limit=-budget.limit),
        replace(budget, name="debtor"),
    )
    for cap in wrong:
        with pytest.raises(MarketMalformed):
            clear(replace(market, caps=(cap, *market.caps[1:])), seed=b"1")


def test_the_shuffle_is_pinned() -> None:
    """Anybody can compute it: it may never change."""
    assert shuffled(8, b"seed").tolist() == [0, 4, 3, 7, 6, 5, 1, 2]
