"""What a replay comes to: one object for machines, one page for people.

Everything but `timing` is decided by file, seed and funders: two runs can be compared byte for byte.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from exchange.currencies import MINOR_DIGITS
from exchange.replay.book import Book
from exchange.replay.driver import World
from exchange.replay.funders import SIZING_RULE


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


def page(summary: Summary) -> str:
    """The summary for a person: aligned lines, amounts in whole units."""
    period, rows, told = summary.period, summary.rows, summary.exchange
    lines = [
        ("period", f"{period['from']} to {period['to']} ({period['days']} days), file {summary.file}"),
        ("rows", f"{rows['live']:,} lived, {rows['history']:,} history, {rows['after_the_period']:,} later"),
        *_counted("bad rows", rows["bad"]),
        *_counted("submitted", {k: v for k, v in summary.submissions.items() if isinstance(v, int)}),
        *_counted("refused", summary.submissions["refused_by_code"]),
        *_flat(told),
        *((f"planted {plant}", _words(outcomes)) for plant, outcomes in summary.planted.items()),
        *_funders(summary),
        ("bank lines", _words(summary.bank)),
        ("callbacks", _words(summary.callbacks["counts"])),
        ("checks", "books and log are clean" if not any(summary.checks.values()) else _words(summary.checks)),
        ("models", f"{len(summary.models)} trained, last {_last_model(summary)}"),
        ("time", _speed(summary.timing)),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines if text)


def money(minor: int, currency: str) -> str:
    """An amount in whole units, such as `CNY 12,345,678`."""
    return f"{currency} {minor // 10 ** MINOR_DIGITS.get(currency, 2):,}"


def _flat(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each section of the exchange's own summary on a line; amounts by currency as money."""
    return [(name, _told(value)) for name, value in told.items()]


def _told(value: Any) -> str:  # noqa: ANN401 - any part of the exchange's summary
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(key)} {_amount(key, inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return f"{len(value)} entries"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _amount(key: str, inner: Any) -> str:  # noqa: ANN401 - same
    if isinstance(inner, Mapping) and key in MINOR_DIGITS:
        shown = {
            name: money(amount, key) if name.endswith("_minor") else _told(amount) for name, amount in inner.items()
        }
        return "(" + ", ".join(f"{_label(name)} {text}" for name, text in shown.items()) + ")"
    return f"({_told(inner)})" if isinstance(inner, Mapping) else _told(inner)


def _label(key: str) -> str:
    return key.removesuffix("_minor").replace("_", " ")


def _counted(name: str, counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, _words(counts))] if counts else []


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _funders(summary: Summary) -> list[tuple[str, str]]:
    shown = [("funders", f"sized by rule: {SIZING_RULE}")]
    for funder in summary.funders:
        deposits = ", ".join(money(amount, currency) for currency, amount in funder["deposits_minor"].items())
        shown.append((f"  {funder['name']}", f"{deposits}; {_words(funder['answers']) or 'commits by itself'}"))
    return shown


def _speed(timing: Timing) -> str:
    rates = f"{timing.assets_per_second:,.0f} assets/s, {timing.days_per_second:,.1f} days/s"
    return f"{timing.seconds:,.1f} s, {rates}"


def _last_model(summary: Summary) -> str:
    return str(summary.models[-1]["version"]) if summary.models else "none: the labelled prior was in force"
