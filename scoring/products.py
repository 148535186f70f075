"""Which products are open to a company: a ladder that opens with what is known of it, and terms made to its measure.

Procurement credit needs the least, because the goods are the exchange's own trade; receivables need a record of
payment; working capital and leasing need statements; terms made to measure need all of that and a prediction of where
the company is going.
"""

from collections.abc import Mapping
from typing import NamedTuple

BPS = 10_000
NEUTRAL_BPS = 5_000


class Known(NamedTuple):
    """What the ladder goes by. `grade` is the index on the master scale, None before anything was decided.

    `growth_bps` compares the purchases of the last half year with those of the half before (None: too short a record);
    `standing_bps` is the share of all payers of its kind that pay no better (0 to 10,000).
    """

    identified: bool
    grade: int | None
    settled: int
    record_days: int
    overdue: int
    statements: int
    report: bool
    controller: bool
    growth_bps: int | None = None
    standing_bps: int | None = None
    suspended: bool = False


class Gate(NamedTuple):
    """One condition: what it is about, what is needed, what is there; None where nothing is known of it."""

    code: str
    needed: int
    found: int | None

    @property
    def open(self) -> bool:
        """Whether it is met; what is not known does not open."""
        return self.found is not None and self.found >= self.needed


class Rung(NamedTuple):
    """A product and its gates: each needs at least so much. `best_grade` counts grades above the worst one that may."""

    product: str
    needs: Mapping[str, int]
    worst_grade: int


LADDER = (
    Rung("procurement_credit", {"identified": 1, "nothing_overdue": 1}, 9),
    Rung("receivable_factoring", {"identified": 1, "nothing_overdue": 1, "settled": 6, "record_days": 90}, 8),
    Rung(
        "working_capital",
        {"identified": 1, "nothing_overdue": 1, "settled": 12, "record_days": 180, "statements": 1, "report": 1},
        6,
    ),
    Rung(
        "equipment_lease",
        {
            "identified": 1, "nothing_overdue": 1, "settled": 12, "record_days": 360, "statements": 2, "report": 1,
            "controller": 1,
        },
        5,
    ),
    Rung(
        "tailored",
        {
            "identified": 1, "nothing_overdue": 1, "settled": 24, "record_days": 360, "statements": 2, "report": 1,
            "controller": 1, "growth_known": 1, "standing_known": 1,
        },
        5,
    ),
)  # fmt: skip

MOST_MORE_BPS = 3_000
"""Terms made to measure are at most so much wider or narrower than the rule's."""


class Offered(NamedTuple):
    """A product with its gates; open when all of them are."""

    product: str
    gates: list[Gate]

    @property
    def open(self) -> bool:
        """Whether the company may have it."""
        return all(gate.open for gate in self.gates)


class Tailored(NamedTuple):
    """Terms made to measure: the limit, the longest term and the margin, each with what the rule gave before."""

    limit_minor: int
    most_tenor_days: int
    margin_bps: int
    wider_bps: int


def ladder(known: Known) -> list[Offered]:
    """Every product with its gates, from the one that needs least."""
    found = {
        "identified": int(known.identified),
        "nothing_overdue": int(known.overdue == 0 and not known.suspended),
        "settled": known.settled,
        "record_days": known.record_days,
        "statements": known.statements,
        "report": int(known.report),
        "controller": int(known.controller),
        "growth_known": int(known.growth_bps is not None),
        "standing_known": int(known.standing_bps is not None),
    }
    offered = []
    for rung in LADDER:
        gates = [Gate(code, needed, found[code]) for code, needed in rung.needs.items()]
        grade = None if known.grade is None else -known.grade
        offered.append(Offered(rung.product, [*gates, Gate("grade", -rung.worst_grade, grade)]))
    return offered


def tailor(known: Known, *, limit_minor: int, most_tenor_days: int, margin_bps: int) -> Tailored:
    """Return terms moved by predicted growth and by standing among its peers, each by half.

    Growth of half as much again, or a place above all peers, each earns half of MOST_MORE_BPS more limit and term and
    so much less margin; shrinking, or a place below all peers, takes as much away. What is not known moves nothing.
    """
    growth = max(min((known.growth_bps or 0) * 2, BPS), -BPS)
    standing = 2 * ((NEUTRAL_BPS if known.standing_bps is None else known.standing_bps) - NEUTRAL_BPS)
    wider_bps = MOST_MORE_BPS * (growth + standing) // (2 * BPS)
    return Tailored(
        limit_minor=limit_minor * (BPS + wider_bps) // BPS,
        most_tenor_days=most_tenor_days * (BPS + wider_bps) // BPS,
        margin_bps=-(-margin_bps * (BPS - wider_bps) // BPS),
        wider_bps=wider_bps,
    )
