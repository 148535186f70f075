"""What a replay comes to, as one object: what the exchange says of itself beside what the outside saw.

Everything but `timing` is decided by file, seed and funders: two runs can be compared byte for byte.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from exchange.replay.book import Book
from exchange.replay.driver import World


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock seconds of the life (without set-up)."""

    seconds: float
    assets_per_second: float
    days_per_second: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a replay. `exchange` is GET /v1/summary, `checks` counts what was found wrong."""

    file: str
    seed: int
    period: dict[str, Any]
    rows: dict[str, Any]
    submissions: dict[str, Any]
    requests: dict[str, int]
    bank: dict[str, int]
    planted: dict[str, dict[str, int]]
    models: list[dict[str, Any]]
    funders: list[dict[str, Any]]
    callbacks: dict[str, Any]
    exchange: dict[str, Any]
    checks: dict[str, int]
    timing: Timing

    def as_json(self) -> dict[str, Any]:
        """The summary as one JSON object."""
        return asdict(self)

    def is_clean(self) -> bool:
        """Whether books and log have no fault and every callback held."""
        counts = self.callbacks["counts"]
        return not any(self.checks.values()) and counts.get("received", 0) == counts.get("verified", 0)


def summarise(world: World, book: Book, *, file: str, seed: int, seconds: float) -> Summary:
    """Put together what the exchange says of itself and what the outside saw."""
    tally, days = world.tally, (book.last_day - book.first_day).days + 1
    checks = world.operator.get("/v1/checks")
    return Summary(
        file=file,
        seed=seed,
        period={
            "from": book.first_day.isoformat(),
            "last_submission": book.last_submission.isoformat(),
            "to": book.last_day.isoformat(),
            "days": days,
        },
        rows={
            "history": len(book.history),
            "live": len(book.live),
            "after_the_period": book.later,
            "bad": dict(sorted(book.bad.items())),
        },
        submissions={**_sorted(tally.submitted), "refused_by_code": _sorted(tally.refused)},
        requests=_sorted(tally.requests),
        bank=_sorted(tally.bank),
        planted=_planted(world),
        models=tally.models,
        funders=[
            {
                "name": player.spec.name,
                "deposits_minor": world.deposits[player.spec.name],
                "answers": _sorted(player.answers),
            }
            for player in world.players
        ],
        callbacks={
            "counts": _sorted(world.receiver.totals()),
            "by_type": _sorted(world.receiver.kinds()),
        },
        exchange=world.operator.get("/v1/summary"),
        checks={name: len(found) for name, found in sorted(checks.items())},
        timing=Timing(
            round(seconds, 2),
            round(tally.submitted["entered"] / max(seconds, 1e-9), 1),
            round(days / max(seconds, 1e-9), 1),
        ),
    )


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _planted(world: World) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (plant, outcome), count in sorted(world.tally.planted.items()):
        found.setdefault(plant, {})[outcome] = count
    return found
