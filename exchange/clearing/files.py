"""A market as files: a folder with `receivables.csv` and `mandates.json`; the answer to it as one JSON object.

Money in fen, rates in bps a year, tenors in days, shares per mille, grades from 1 (best). An average of 0 is none.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from exchange.clearing.bound import QUANTUM
from exchange.clearing.market import (
    FINANCED,
    WHOLE_BPS,
    Average,
    Cap,
    Ints,
    Mandates,
    Market,
    MarketMalformed,
    Receivables,
    Share,
    checked,
)
from exchange.clearing.solve import Answer

HEADER = "id,face_fen,debtor,seller,sector,grade,tenor_days,product,recourse,ask_bps,currency,split"
GRADES_OF_A_BUCKET = 2
KINDS = {
    "budget": "B",
    "debtor": "D",
    "seller": "S",
    "sector": "SEC",
    "bucket": "BKT",
    "pd": "PD",
    "tenor": "T",
    "yield": "Y",
}
"""What the limits' prices are called in an answer."""


def read_market(folder: Path) -> Market:
    """The market of a folder. Refuses `MarketMalformed`; raises OSError."""
    held = _columns(folder / "receivables.csv")
    try:
        stated = json.loads((folder / "mandates.json").read_bytes())
        grade = held["grade"] - 1
        pd_bps = np.array(stated["pd_bps_by_grade"], dtype=np.int64)
        if grade.size and not 0 <= int(grade.min()) <= int(grade.max()) < len(pd_bps):
            raise MarketMalformed("Not a market: a grade has no PD.")
        market = _market(held, stated["mandates"], grade, pd_bps)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise MarketMalformed(
            f"Not a market: mandates.json cannot be read ({type(error).__name__} {error})."
        ) from error
    checked(market)
    return market


def write_answer(file: Path, market: Market, answer: Answer) -> None:
    """Write who gets what, the value and the prices."""
    whole: list[int] = [-1] * len(market.receivables)
    parts = []
    face = market.receivables.face.tolist()
    for receivable, mandate, amount in answer.entries:
        if amount == face[receivable]:
            whole[receivable] = mandate
        else:
            parts.append([receivable, mandate, amount])
    duals = [[KINDS[name], group, max(key, 0), price] for name, group, key, price in answer.prices]
    told = {"alloc": whole, "parts": parts, "value": answer.value, "bound": answer.bound, "Q": QUANTUM, "duals": duals}
    file.write_text(json.dumps(told, separators=(",", ":")) + "\n")


def _columns(file: Path) -> dict[str, Ints]:
    with file.open(encoding="utf-8") as lines:
        if lines.readline().strip() != HEADER:
            raise MarketMalformed("Not a market: receivables.csv has other columns.")
        begin = lines.tell()
        empty = not lines.readline().strip()
        lines.seek(begin)
        names = HEADER.split(",")
        if empty:
            return {name: np.zeros(0, np.int64) for name in names}
        try:
            table = np.loadtxt(lines, dtype=np.int64, delimiter=",", ndmin=2)
            return dict(zip(names, np.ascontiguousarray(table.T), strict=True))
        except (ValueError, OverflowError) as error:
            raise MarketMalformed(f"Not a market: receivables.csv cannot be read ({error}).") from error


def _market(held: dict[str, Ints], rows: list[dict[str, Any]], grade: Ints, pd_bps: Ints) -> Market:
    def each(name: str) -> Ints:
        return np.array([row[name] for row in rows], dtype=np.int64)

    names = ("debtor", "seller", "sector")
    receivables = Receivables(
        face=held["face_fen"],
        tenor=held["tenor_days"],
        grade=grade,
        product=held["product"],
        sector=held["sector"],
        currency=held["currency"],
        ask=held["ask_bps"],
        recourse=held["recourse"] != 0,
        split=held["split"] != 0,
        keys={name: held[name] for name in names} | {"bucket": grade // GRADES_OF_A_BUCKET},
        measures={"pd": pd_bps[grade], "tenor": held["tenor_days"]},
    )
    mandates = Mandates(
        currency=each("currency"),
        max_grade=each("max_grade") - 1,
        max_tenor=each("max_tenor"),
        rates=each("rate_bps_by_grade"),
        products=each("products") != 0,
        sectors=each("sectors") != 0,
        smallest=each("ticket_min_fen"),
        largest=each("ticket_max_fen"),
        recourse_only=each("recourse_only") != 0,
        min_pool=each("min_pool_fen"),
        advance=np.full(len(rows), WHOLE_BPS),
        financed=np.full(len(rows), FINANCED),
    )
    own = np.arange(len(rows))
    tenor, least = each("max_average_tenor_days"), each("min_average_yield_bps")
    caps = (
        Cap("budget", own, each("budget_fen")[:, None], of_price=True),
        Cap("debtor", own, each("cap_debtor_fen")[:, None], key="debtor"),
        Cap("seller", own, each("cap_seller_fen")[:, None], key="seller"),
    )
    shares = (
        Share("sector", "sector", each("sector_share_permille")),
        Share("bucket", "bucket", each("bucket_share_permille")),
    )
    averages = (
        Average("pd", each("max_average_pd_bps"), np.ones(len(rows), bool), measure="pd"),
        Average("tenor", tenor, tenor > 0, measure="tenor"),
        Average("yield", least, least > 0, at_least=True),
    )
    return Market(receivables, mandates, caps, shares, averages)
