"""The prompt payment index, places among peers, and how grades move."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

DAYS_OF_INDEX = ((-30, 100), (-20, 90), (0, 80), (15, 70), (22, 60), (30, 50), (60, 40), (90, 30), (120, 20), (180, 1))
"""Days beyond terms and what they are worth, with straight lines between (Dun & Bradstreet, PAYDEX: 80 is prompt, 70 is
15 days beyond terms, 50 is 30, 20 is 120; from 30 days early on 100)."""
LEAST_PEERS = 5
"""A place among fewer would tell of one of them."""


def index_of(days_late: int) -> int:
    """What one invoice paid so many days beyond its terms is worth, in hundredths of a point: 8,000 is prompt."""
    first_day, first = DAYS_OF_INDEX[0]
    if days_late <= first_day:
        return first * 100
    for (low_day, low), (high_day, high) in pairwise(DAYS_OF_INDEX):
        if days_late <= high_day:
            return low * 100 + (high - low) * 100 * (days_late - low_day) // (high_day - low_day)
    return DAYS_OF_INDEX[-1][1] * 100


def payment_index(experiences: Iterable[tuple[int, int]]) -> int | None:
    """The index of many invoices, (days late, minor units), weighted by amount, rounded down; None without any."""
    told = list(experiences)
    weight = sum(amount_minor for _, amount_minor in told)
    if not weight:
        return None
    return sum(index_of(days_late) * amount_minor for days_late, amount_minor in told) // weight // 100


def percentile(value: int, peers: Sequence[int]) -> int | None:
    """The share of peers, in whole per cent, that are riskier than `value`, half of the equal ones; None of too few."""
    if len(peers) < LEAST_PEERS:
        return None
    riskier = sum(peer > value for peer in peers)
    equal = sum(peer == value for peer in peers)
    return (200 * riskier + 100 * equal) // (2 * len(peers))


def migration(before: Mapping[int, int], after: Mapping[int, int], *, grades: int) -> list[list[int]]:
    """How many obligors (keys) were in each grade (row) and are in each (column); in the last one: not rated."""
    matrix = [[0] * (grades + 1) for _ in range(grades)]
    for obligor, grade in before.items():
        matrix[grade][after.get(obligor, grades)] += 1
    return matrix
