"""Markets cleared: how near the proven bound, how fast, with how much memory; and the certificate checked.

The markets are made here: faces log-normal from 10,000 to 2,000,000 CNY, debtors and sellers by Zipf's law, grades
that belong to debtors, four kinds of funder whose rates, tickets, shares and averages differ. LARGE=1 adds the market
of a million. Where a folder of shared instances lies beside the checkout, its generator makes three more.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from exchange.clearing.certificate import certificate_bytes, certify
from exchange.clearing.files import read_market
from exchange.clearing.market import FINANCED, Average, Cap, Ints, Mandates, Market, Receivables, Share
from exchange.clearing.solve import Answer, clear
from ledger.verify import certificate
from tests.architecture.source import ROOT
from tests.benchmarks.report import Result

SIZES = ((1_000, 10, 0.05, 30), (10_000, 20, 0.006, 5), (100_000, 50, 0.0008, 30))
"""Receivables, mandates, the largest gap (of the smallest market the linear bound itself is 2-3 % off), seconds."""
LARGE = (1_000_000, 200, 0.002, 900)
CHECK_SECONDS = 60
SHARED = ROOT.parent / "shared" / "bench" / "market_instance.py"
SPREAD = np.array([0, 8, 18, 32, 55, 90, 140, 210, 320, 500])
PD_BPS = np.array([2, 5, 10, 20, 45, 90, 180, 350, 700, 1500])
SECTORS, PRODUCTS = 12, 4


def measure() -> list[Result]:
    """For each market the gap and the seconds against their targets; then the checking of a certificate."""
    results = []
    for count, funders, gap, seconds in (*SIZES, *([LARGE] if os.environ.get("LARGE") == "1" else [])):
        market = make_market(count, funders, seed=1)
        answer, took = _timed(f"{count:,} x {funders}", market)
        name = f"clearing, {count:,} x {funders}"
        results.append(Result(f"{name}, gap", 1e6 * answer.gap, "ppm", 1e6 * gap, gap / max(answer.gap, 1e-9), 1))
        results.append(Result(f"{name}, time", took, "seconds", seconds, seconds / took, 1))
        document = certificate_bytes(certify(market, answer, seed=b"1", secret=b"benchmark"))
        began = time.process_time()
        certificate.check(document)  # raises at the first violation
        checked = time.process_time() - began
        print(f"  0 violations; certificate of {len(document) / 1e6:,.1f} MB checked in {checked:.1f} s")
        if count == SIZES[-1][0]:
            results.append(Result("certificate", checked, "seconds", CHECK_SECONDS, CHECK_SECONDS / checked, 1))
    if SHARED.exists():
        _shared()
    else:
        print("no shared instances beside the checkout: not measured")
    return results


def make_market(count: int, funders: int, *, seed: int) -> Market:
    """A market of this size."""
    draw = np.random.default_rng([seed, count, funders])
    debtors, sellers = max(40, count // 25), max(60, count // 12)
    debtor, seller = _zipf(draw, debtors, count), _zipf(draw, sellers, count, 0.8)
    grade = np.clip(np.rint(1.3 + 4 * np.sqrt(np.arange(debtors) / debtors) + draw.normal(0, 1.5, debtors)), 0, 9)
    grade = grade.astype(np.int64)[debtor]
    face = np.rint(np.clip(draw.lognormal(np.log(120_000), 1.05, count), 10_000, 2_000_000) * 100).astype(np.int64)
    product, sector = draw.integers(0, PRODUCTS, count), draw.integers(0, SECTORS, debtors)[debtor]
    tenor = draw.choice([25, 50, 80, 110, 170], count) - draw.integers(0, 20, count)
    receivables = Receivables(
        face=face,
        tenor=tenor,
        grade=grade,
        product=product,
        sector=sector,
        currency=(draw.random(count) < 0.04).astype(np.int64),
        ask=np.rint(np.maximum(200, 390 + 1.25 * SPREAD[grade] + draw.normal(0, 80, count))).astype(np.int64),
        recourse=product == 1,
        split=(face > 50_000_000) & (draw.random(count) < 0.5),
        keys={"debtor": debtor, "seller": seller, "sector": sector, "bucket": grade // 2},
        measures={"pd": PD_BPS[grade], "tenor": tenor},
    )
    return _with_funders(draw, receivables, funders)


def _with_funders(draw: np.random.Generator, receivables: Receivables, funders: int) -> Market:
    kind = np.arange(funders) % 4
    worst = np.array([4, 6, 9, 3])[kind]
    base = np.array([270, 350, 470, 290])[kind] + draw.integers(-30, 30, funders)
    rates = base[:, None] + np.rint(draw.uniform(0.85, 1.2, (funders, 1)) * SPREAD).astype(np.int64)
    currency = (np.arange(funders) % 13 == 5).astype(np.int64)
    weight = draw.lognormal(0, 0.6, funders) * np.where(currency == 1, 0.1, 1.0)
    budget = np.rint(0.75 * float(receivables.face.sum()) * weight / weight.sum()).astype(np.int64)
    most_tenor = draw.choice([90, 120, 150, 180], funders)
    mandates = Mandates(
        currency=currency,
        max_grade=worst,
        max_tenor=most_tenor,
        rates=rates,
        products=draw.random((funders, PRODUCTS)) < 0.85,
        sectors=draw.random((funders, SECTORS)) < 0.85,
        smallest=draw.choice([1_000_000, 2_000_000, 5_000_000], funders),
        largest=draw.choice([100_000_000, 200_000_000], funders),
        recourse_only=draw.random(funders) < 0.1,
        min_pool=budget // 50,
        advance=np.full(funders, 10_000),
        financed=np.full(funders, FINANCED),
    )
    caps, shares, averages = _limits(draw, receivables, mandates, budget, base)
    return Market(receivables, mandates, caps, shares, averages)


def _limits(
    draw: np.random.Generator, receivables: Receivables, mandates: Mandates, budget: Ints, base: Ints
) -> tuple[tuple[Cap, ...], tuple[Share, ...], tuple[Average, ...]]:
    funders, worst, most_tenor = len(mandates), mandates.max_grade, mandates.max_tenor
    own = np.arange(funders)
    buckets = np.full((funders, 5), 1000)
    buckets[own, worst // 2] = draw.integers(150, 450, funders)
    least = np.where(draw.random(funders) < 0.5, base + 10, 0)
    loose = max(1.0, min(3.0, 20_000 / max(1, len(receivables))))
    caps = (
        Cap("budget", own, budget[:, None], of_price=True),
        Cap(
            "debtor",
            own,
            np.rint(budget * draw.uniform(0.03, 0.15, funders) * loose).astype(np.int64)[:, None],
            "debtor",
        ),
        Cap(
            "seller",
            own,
            np.rint(budget * draw.uniform(0.02, 0.1, funders) * loose).astype(np.int64)[:, None],
            "seller",
        ),
    )
    shares = (
        Share("sector", "sector", np.repeat(draw.integers(180, 400, (funders, 1)), SECTORS, axis=1)),
        Share("bucket", "bucket", buckets),
    )
    pd_limit = (PD_BPS[worst] * draw.uniform(0.25, 0.6, funders)).astype(np.int64) + 2
    averages = (
        Average("pd", pd_limit, own >= 0, "pd"),
        Average("tenor", (most_tenor * 0.6).astype(np.int64), draw.random(funders) < 0.6, "tenor"),
        Average("yield", least, least > 0, at_least=True),
    )
    return caps, shares, averages


def _zipf(draw: np.random.Generator, kinds: int, count: int, power: float = 1.0) -> Ints:
    weight = 1 / (np.arange(kinds) + 1.0) ** power
    return draw.choice(kinds, count, p=weight / weight.sum())


def _timed(name: str, market: Market) -> tuple[Answer, float]:
    began, began_cpu = time.perf_counter(), time.process_time()
    answer = clear(market, seed=b"1")
    took = time.process_time() - began_cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    wall = time.perf_counter() - began
    print(
        f"{name}: gap {answer.gap:.4%}, {took:.1f} s of processor, {wall:.1f} s in all, at most {peak_mb:,} MB so far"
    )
    return answer, took


def _shared() -> None:
    """Three markets of the shared generator, answered by the command and judged by the shared checker."""
    for count, funders, _, _ in SIZES:
        size = ["--n", str(count), "--m", str(funders), "--seed", "7"]
        with tempfile.TemporaryDirectory(prefix="exchange-clearing-") as home:
            folder, answer = Path(home) / "market", Path(home) / "answer.json"
            judge = [sys.executable, str(SHARED)]
            subprocess.run([*judge, "make", *size, "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)
            assert len(read_market(folder).receivables) == count
            began = time.perf_counter()
            clears = [sys.executable, "-m", "exchange", "clear", str(folder), "--out", str(answer)]
            subprocess.run(clears, check=True, capture_output=True)
            took = time.perf_counter() - began
            said = subprocess.run([*judge, "check", *size, str(answer)], check=True, stdout=subprocess.PIPE, text=True)
            print(f"shared {count:,} x {funders}: {took:.1f} s, {said.stdout.strip()}")
