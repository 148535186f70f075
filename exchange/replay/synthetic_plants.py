"""What is planted in the synthetic book: a fraud ring, duplicates in three disguises, and honest look-alikes.

Each planted row says in `hidden` what it is: `plant` = ring | duplicate_exact | duplicate_renumbered |
duplicate_near, with `of` = the `ref` of the row it copies; a look-alike is honest and has `lookalike_of`.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

from exchange.replay.rows import Company, Document, ReplayRow
from exchange.replay.synthetic_trade import Trade, documents

RING_FIRST_DAY, RING_VANISHES = -110, 78
_RING_TENOR_DAYS = 45
_LAST_RESUBMITTED_AFTER_DAYS = 12
# Of 2,400 live receivables: how many of each.
_SHARES = {"duplicate_exact": 18, "duplicate_renumbered": 24, "duplicate_near": 16, "lookalike": 16}
_OUT_OF = 2400


def ring_rows(trade: Trade, ring: tuple[Company, ...], *, first_day: int, vanishes: int) -> list[ReplayRow]:
    """Companies under one controller sell round amounts in a circle, pay to the day, grow, and vanish.

    Each leg keeps at least 97 % of the one before, so the value comes back to where it began.
    """
    rng, rows, day, cycle = trade.rng, [], first_day, 0
    while day + len(ring) * 2 < vanishes:
        cycle += 1
        face_minor = (300 + 25 * cycle + rng.randrange(0, 60)) * 1_000_00
        leg_day = day
        for index, seller in enumerate(ring):
            obligor = ring[(index + 1) % len(ring)]
            rows.append(
                _ring_row(trade, seller, obligor, cycle=cycle, day=leg_day, face_minor=face_minor, vanishes=vanishes)
            )
            face_minor = face_minor * rng.randrange(975, 996) // 1000 // 1_000_00 * 1_000_00
            leg_day += rng.randrange(0, 3)
        day += rng.randrange(6, 11)
    return rows


def _ring_row(
    trade: Trade, seller: Company, obligor: Company, *, cycle: int, day: int, face_minor: int, vanishes: int
) -> ReplayRow:
    issued = trade.calendar.date_of(day)
    due_day = day + _RING_TENOR_DAYS
    number = f"HT{issued:%y%m%d}{cycle:03}{seller.value[-4:]}"
    return ReplayRow(
        row_number=0,
        invoice_number=number,
        seller=seller,
        obligor=obligor,
        product="receivable_factoring",
        currency="CNY",
        face_minor=face_minor,
        issue_date=issued,
        due_date=trade.calendar.date_of(due_day),
        submitted_date=issued,
        settled_date=trade.calendar.date_of(due_day) if due_day < vanishes else None,
        confirmed_date=issued,
        confirmation_grade="explicit",
        recourse="without",
        documents=documents(trade.seed, number),
        hidden={"ref": number, "plant": "ring", "cycle": str(cycle)},
    )


def planted_copies(trade: Trade, live: list[ReplayRow], *, receivables: int) -> list[ReplayRow]:
    """Duplicates and look-alikes of confirmed live rows, each of another row."""
    counts = {kind: max(1, share * receivables // _OUT_OF) for kind, share in _SHARES.items()}
    candidates = [row for row in live if row.confirmed_date is not None and row.product != "working_capital"]
    chosen = trade.rng.sample(candidates, k=sum(counts.values()))
    copies: list[ReplayRow] = []
    for kind, count in counts.items():
        copies += [_COPIES[kind](trade, chosen.pop()) for _ in range(count)]
    return copies


def copies_planned(receivables: int) -> int:
    """How many rows `planted_copies` will add."""
    return sum(max(1, share * receivables // _OUT_OF) for share in _SHARES.values())


def _resubmitted(trade: Trade, row: ReplayRow, kind: str) -> ReplayRow:
    """The same debt, brought again some days later. There is only one debt, so nobody pays this one."""
    wait = timedelta(days=trade.rng.randrange(0, _LAST_RESUBMITTED_AFTER_DAYS + 1))
    again = max(row.submitted_date, row.confirmed_date or row.submitted_date) + wait
    ref = row.hidden["ref"]
    return replace(
        row,
        submitted_date=again,
        confirmed_date=again,
        settled_date=None,
        part_payments=(),
        credit_notes=(),
        disputed=False,
        hidden={"ref": f"{ref}/{kind}", "plant": kind, "of": ref},
    )


def _renumbered(trade: Trade, row: ReplayRow) -> ReplayRow:
    number = _disguise(trade.rng, row.invoice_number)
    return replace(_resubmitted(trade, row, "duplicate_renumbered"), invoice_number=number)


def _disguise(rng: Random, number: str) -> str:
    """The number as another clerk would type it."""
    prefix, month, sequence = number.split("-")
    return rng.choice(
        [
            f"{prefix}{month}{sequence}",
            f"{prefix.lower()}-{month}-{sequence}",
            f"{prefix}/{month}/{sequence}",
            f"00{number}",
            f"{prefix} {month} {sequence}",
            number.translate({ord("0") + digit: ord("\uff10") + digit for digit in range(10)}),
        ]
    )


def _near(trade: Trade, row: ReplayRow) -> ReplayRow:
    """Another number, almost the same amount and day; the delivery note is the same paper."""
    rng, copy = trade.rng, _resubmitted(trade, row, "duplicate_near")
    shift = timedelta(days=rng.randrange(-2, 3))
    number = f"XS-{row.issue_date:%Y%m}-{rng.randrange(700_000, 900_000)}"
    papers = {paper.kind: paper for paper in documents(trade.seed, number)}
    note = {paper.kind: paper for paper in row.documents}["delivery_note"]
    return replace(
        copy,
        invoice_number=number,
        face_minor=row.face_minor * rng.randrange(9_955, 10_046) // 10_000,
        issue_date=min(row.issue_date + shift, copy.submitted_date),
        due_date=row.due_date + shift,
        documents=(papers["order"], Document("delivery_note", note.sha256), papers["invoice"]),
    )


def _lookalike(trade: Trade, row: ReplayRow) -> ReplayRow:
    """A standing order: the same goods at the same price a week later, really delivered and really owed."""
    week = timedelta(days=7)
    number = f"XS-{row.issue_date + week:%Y%m}-{trade.rng.randrange(500_000, 700_000)}"
    return replace(
        row,
        invoice_number=number,
        issue_date=row.issue_date + week,
        due_date=row.due_date + week,
        submitted_date=row.submitted_date + week,
        confirmed_date=None if row.confirmed_date is None else row.confirmed_date + week,
        settled_date=None if row.settled_date is None else row.settled_date + week,
        credit_notes=tuple(note._replace(credit_date=note.credit_date + week) for note in row.credit_notes),
        part_payments=tuple(part._replace(paid_date=part.paid_date + week) for part in row.part_payments),
        documents=documents(trade.seed, number),
        hidden={**row.hidden, "ref": number, "lookalike_of": row.hidden["ref"]},
    )


_COPIES: dict[str, Callable[[Trade, ReplayRow], ReplayRow]] = {
    "duplicate_exact": lambda trade, row: _resubmitted(trade, row, "duplicate_exact"),
    "duplicate_renumbered": _renumbered,
    "duplicate_near": _near,
    "lookalike": _lookalike,
}
