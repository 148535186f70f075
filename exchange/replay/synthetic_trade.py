"""Honest trade of the synthetic book: prices, orders, confirmations, returns, disputes and payments.

All draws are of integers, so the same seed gives the same book on every machine.
"""

import hashlib
from bisect import bisect
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import accumulate
from random import Random

from exchange.replay.rows import CreditNote, Document, PartPayment, ReplayRow
from exchange.replay.synthetic_firms import Obligor

RESINS = {
    "PP": 7_600_00,
    "PE": 8_300_00,
    "PVC": 5_700_00,
    "ABS": 11_200_00,
    "PET": 6_900_00,
}  # fen per ton, long run
VAT_PERCENT = 13
_MONTH_PER_MILLE = [900, 700, 1150, 1150, 1050, 950, 900, 950, 1150, 1150, 1050, 950]
_WEEKDAY_WEIGHT = [10, 10, 10, 10, 10, 4, 1]
_NEW_YEAR = {  # first day of the lunar year
    2020: (1, 25), 2021: (2, 12), 2022: (2, 1), 2023: (1, 22), 2024: (2, 10), 2025: (1, 29),
    2026: (2, 17), 2027: (2, 6), 2028: (1, 26), 2029: (2, 13), 2030: (2, 3), 2031: (1, 23),
    2032: (2, 11), 2033: (1, 31), 2034: (2, 19), 2035: (2, 8),
}  # fmt: skip
# Product: (how many in a hundred, tenors in days or None for the obligor's own).
_PRODUCTS: dict[str, tuple[int, tuple[int, ...] | None]] = {
    "receivable_factoring": (64, None),
    "procurement_credit": (27, (15, 30, 30, 45, 60)),
    "working_capital": (6, (60, 90, 120)),
    "equipment_lease": (3, (120, 150, 180)),
}
# Habit: (days late from, to, weight).
_LATENESS = {
    "prompt": [(-7, -1, 40), (0, 0, 42), (1, 3, 13), (4, 12, 5)],
    "slow": [(-2, 0, 30), (1, 7, 34), (8, 20, 26), (21, 38, 10)],
    "weak": [(-1, 0, 10), (1, 10, 24), (11, 30, 36), (31, 60, 24), (61, 90, 6)],
    "turning": [(10, 30, 40), (31, 75, 60)],
}
_DEFAULT_PER_MILLE = {"prompt": 1, "slow": 4, "weak": 25, "failing": 10}
_SATURDAY = 6  # in ISO weekdays
_DISPUTED_PERCENT, _PART_PAID_PERCENT, _IN_TWO_PARTS_PERCENT, _STRAY_PER_MILLE = 3, 35, 4, 4
_NEW_YEAR_REST_DAYS = 8
_PRICE_SHOCK_PERCENT = 5  # a fall that leaves the buyer sitting on dear stock


@dataclass(frozen=True, slots=True)
class Calendar:
    """The book's days; day 0 is the first live day. `cumulative` sums how busy the days are."""

    start: date
    first: int
    cumulative: tuple[int, ...]

    def date_of(self, day: int) -> date:
        """The date of a day."""
        return self.start + timedelta(days=day)

    def draw(self, rng: Random, *, first: int, last: int) -> int:
        """A day from `first` to `last`, busy ones more often."""
        low = self.cumulative[first - self.first]
        high = self.cumulative[last - self.first + 1]
        return self.first + bisect(self.cumulative, rng.randrange(low, high)) - 1


def make_calendar(start: date, *, history_days: int, days: int) -> Calendar:
    """Weigh each day by weekday, season, month end and the new year's rest."""
    busy = [_busy(start + timedelta(days=day)) for day in range(-history_days, days)]
    return Calendar(start, -history_days, (0, *accumulate(busy)))


def _busy(day: date) -> int:
    weight = _WEEKDAY_WEIGHT[day.weekday()] * _MONTH_PER_MILLE[day.month - 1]
    if (day + timedelta(days=5)).month != day.month:
        weight = weight * 3 // 2
    return weight // 10 if _near_new_year(day) else weight


def _near_new_year(day: date) -> bool:
    new_year = _NEW_YEAR.get(day.year)
    return new_year is not None and abs((day - date(day.year, *new_year)).days) <= _NEW_YEAR_REST_DAYS


def make_prices(rng: Random, *, days: int) -> dict[str, list[int]]:
    """Per resin a price a day, fen per ton: a walk that is drawn back to its long-run level."""
    series: dict[str, list[int]] = {}
    for resin, level in RESINS.items():
        price, walk = level, []
        for _ in range(days):
            step = level // 60
            price += (level - price) // 50 + rng.randrange(-step, step + 1)
            walk.append(price)
        series[resin] = walk
    return series


@dataclass(frozen=True, slots=True)
class Trade:
    """What a single order is drawn from."""

    rng: Random
    seed: int
    calendar: Calendar
    prices: dict[str, list[int]]

    def order(self, obligor: Obligor, *, sequence: int, day: int) -> ReplayRow:
        """One honest receivable and its fate."""
        rng, seller = self.rng, self.rng.choice(obligor.sellers)
        product = rng.choices(list(_PRODUCTS), weights=[share for share, _ in _PRODUCTS.values()])[0]
        tenor_days = rng.choice(_PRODUCTS[product][1] or (obligor.tenor_days, obligor.tenor_days, 30, 60))
        resin = rng.choice(obligor.resins)
        issued = self.calendar.date_of(day)
        number = f"XS-{issued:%Y%m}-{sequence:06}"
        row = ReplayRow(
            row_number=0,
            invoice_number=number,
            seller=seller,
            obligor=obligor.company,
            product=product,
            currency="CNY",
            face_minor=self._face(obligor, product, resin, day),
            issue_date=issued,
            due_date=issued + timedelta(days=tenor_days),
            submitted_date=issued,
            recourse=rng.choices(["with", "limited", "without"], weights=[55, 15, 30])[0],
            documents=documents(self.seed, number),
            hidden={"ref": number, "habit": obligor.habit, "resin": resin},
        )
        late = self._days_late(obligor, resin, day=day, due_day=day + tenor_days)
        return self._live(self._confirmed(row), obligor, days_late=late, due_day=day + tenor_days)

    def _face(self, obligor: Obligor, product: str, resin: str, day: int) -> int:
        """Tons by price plus VAT; drawings of working capital are round, leases large."""
        rng = self.rng
        if product == "working_capital":
            return rng.randrange(5, 61) * 10_000_00
        half_tons = max(2, obligor.half_tons * rng.randrange(60, 141) // 100)
        price = self._price(resin, day) * rng.randrange(985, 1016) // 1000
        face_minor = half_tons * price * (100 + VAT_PERCENT) // 200
        return face_minor * 3 if product == "equipment_lease" else face_minor

    def _price(self, resin: str, day: int) -> int:
        series = self.prices[resin]
        return series[min(day - self.calendar.first, len(series) - 1)]

    def _days_late(self, obligor: Obligor, resin: str, *, day: int, due_day: int) -> int:
        turned = obligor.turn_day is not None and due_day >= obligor.turn_day
        habit = "turning" if turned else {"failing": "slow"}.get(obligor.habit, obligor.habit)
        spans = _LATENESS[habit]
        low, high, _ = self.rng.choices(spans, weights=[weight for _, _, weight in spans])[0]
        late = self.rng.randrange(low, high + 1)
        fallen = self._price(resin, due_day) * 100 < self._price(resin, day) * (100 - _PRICE_SHOCK_PERCENT)
        return late + self.rng.randrange(0, 8) if fallen and habit != "prompt" else late

    def _confirmed(self, row: ReplayRow) -> ReplayRow:
        grade = self.rng.choices(["explicit", "deemed", None], weights=[84, 13, 3])[0]
        if grade is None:
            return row
        wait = 7 if grade == "deemed" else self.rng.randrange(0, 6)
        return replace(row, confirmation_grade=grade, confirmed_date=row.issue_date + timedelta(days=wait))

    def _live(self, row: ReplayRow, obligor: Obligor, *, days_late: int, due_day: int) -> ReplayRow:
        """Dispute, dilution, then payment, part payment or none."""
        rng = self.rng
        if disputed := rng.randrange(100) < _DISPUTED_PERCENT:
            days_late += rng.randrange(10, 41)
        if rng.randrange(100) < (50 if disputed else 5):
            row = self._diluted(row)
        issue_day = due_day - (row.due_date - row.issue_date).days
        paid_day = self._working_day(due_day + days_late, step=-1 if days_late <= 0 else 1)
        if paid_day <= issue_day:  # nobody pays before there is an invoice
            paid_day = self._working_day(issue_day + 1, step=1)
        defaults = rng.randrange(1000) < _DEFAULT_PER_MILLE[obligor.habit]
        if defaults or (obligor.last_day is not None and paid_day > obligor.last_day):
            row = self._unpaid(row)
        else:
            row = self._paid(row, paid_day)
        return replace(row, disputed=disputed)

    def _paid(self, row: ReplayRow, paid_day: int) -> ReplayRow:
        """Paid in full; now and then in two parts, or with a line on the statement that belongs to nobody."""
        rng, settled = self.rng, self.calendar.date_of(paid_day)
        row = replace(row, settled_date=settled)
        if rng.randrange(1000) < _STRAY_PER_MILLE:
            row = replace(row, hidden={**row.hidden, "stray_minor": str(rng.randrange(1_000_00, 90_000_00))})
        earlier = settled - timedelta(days=rng.randrange(1, 12))
        if rng.randrange(100) >= _IN_TWO_PARTS_PERCENT or earlier <= row.issue_date:
            return row
        part = PartPayment(earlier, row.face_minor * rng.randrange(20, 71) // 100)
        return replace(row, part_payments=(part,))

    def _diluted(self, row: ReplayRow) -> ReplayRow:
        reason, most = self.rng.choice([("return", 20), ("short_delivery", 10), ("price_adjustment", 5)])
        tenor_days = (row.due_date - row.issue_date).days
        day = row.issue_date + timedelta(days=self.rng.randrange(3, max(4, min(tenor_days, 40))))
        amount = row.face_minor * self.rng.randrange(10, most * 10 + 1) // 1000
        return replace(row, credit_notes=(CreditNote(day, amount, reason),), hidden={**row.hidden, "dilution": reason})

    def _unpaid(self, row: ReplayRow) -> ReplayRow:
        truth = {**row.hidden, "outcome": "default"}
        if self.rng.randrange(100) >= _PART_PAID_PERCENT:
            return replace(row, hidden=truth)
        day = row.due_date + timedelta(days=self.rng.randrange(2, 60))
        part = PartPayment(day, row.face_minor * self.rng.randrange(10, 51) // 100)
        return replace(row, part_payments=(part,), hidden=truth)

    def _working_day(self, day: int, *, step: int) -> int:
        """The day, or the nearest after (step 1) or before it (step -1) on which banks work."""
        while not _banks_work(self.calendar.date_of(day)):
            day += step
        return day


def _banks_work(day: date) -> bool:
    return day.isoweekday() < _SATURDAY and not _near_new_year(day)


def documents(seed: int, number: str) -> tuple[Document, ...]:
    """Digests of papers that do not exist, one set per delivery."""
    return tuple(
        Document(kind, hashlib.sha256(f"{seed}/{kind}/{number}".encode()).hexdigest())
        for kind in ("order", "delivery_note", "invoice")
    )
