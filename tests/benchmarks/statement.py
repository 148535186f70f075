"""A bank statement of 10,000 lines, read and matched against 100,000 open items, in at most 20 seconds.

Half the lines name what they pay, as people write it; the others are known by account, by name, or not at all.
"""

import random
import time
from datetime import date, timedelta
from io import BytesIO

from exchange.banking import camt
from exchange.banking.matching import OpenItem, Payer, Tolerance, match
from exchange.banking.statement import Line
from tests.benchmarks.report import Result
from tests.exchange.banking.files import DETAIL, entry, statement

LINES, ITEMS, PAYERS = 10_000, 100_000, 2_000
SECONDS = 20
DAY = date(2026, 3, 2)


def measure() -> Result:
    """Lines a second, and how many a second the target asks for."""
    chance = random.Random(1)
    items = [_item(number, chance) for number in range(ITEMS)]
    payers = [Payer(f"com_{n}", (_name(n),), (f"6228{n:08d}",)) for n in range(PAYERS)]
    paid = chance.sample(items, LINES)
    total = sum(item.outstanding_minor for item in paid)
    text = statement(
        *(_entry(item, place) for place, item in enumerate(paid)),
        opening="0.00",
        closing=f"{total // 100}.{total % 100:02d}",
    ).encode()
    began = time.perf_counter()
    lines = [part for part in camt.read(BytesIO(text)) if isinstance(part, Line)]
    proposals = match(lines, items=items, payers=payers, tolerance=Tolerance(minor=100, bps=50))
    seconds = time.perf_counter() - began
    certain = sum(one.certain for one in proposals)
    print(f"{certain:,} of {len(lines):,} lines matched for certain, in {seconds:.2f} s")
    value, floor = LINES / seconds, LINES / SECONDS
    return Result("statement", value, "lines/s", floor, value / floor, 1)


def _item(number: int, chance: random.Random) -> OpenItem:
    references = (f"ast_{number:026d}", f"INV-2026/{number:06d}")
    due = DAY + timedelta(days=chance.randrange(90))
    return OpenItem(
        references[0], f"com_{number % PAYERS}", "CNY", chance.randrange(1_000, 10_000_000), due, references
    )


def _name(number: int) -> str:
    return f"宁波{number}号塑料有限公司"


def _entry(item: OpenItem, place: int) -> str:
    """The payment of one item, every second one without saying which."""
    payer = int(item.payer_id[4:])
    said = f"货款 {item.references[1]} 谢谢" if place % 2 else "货款"
    details = (
        DETAIL.replace("INV-2026/001", said).replace("payment of", "").replace("INV-9", "-").replace("RF18ABC", "-")
    )
    details = details.replace("宁波新塑料有限公司", _name(payer) if place % 4 else "somebody")
    details = details.replace("6228 0001", f"6228{payer:08d}" if place % 8 == 2 else "")
    amount = f"{item.outstanding_minor // 100}.{item.outstanding_minor % 100:02d}"
    return entry(amount, reference=f"BR-{place}", details=details)
