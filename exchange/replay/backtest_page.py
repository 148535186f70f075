"""A backtest's report for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

_TASKS = {
    "serious": "More than {horizon_days} days late",
    "late": "Late at all",
    "failure": "Failure in the next year",
}
_MEASURES = {"auc": "AUC", "ks": "KS", "log_loss": "log-loss", "brier": "Brier", "ece": "ECE"}
_SECONDS = {"fit_seconds": "fit s", "score_seconds": "score s"}
_DAYS = {"mae": "MAE", "band_coverage": "in 80 % band", "band_days": "band days", **_SECONDS}


def page(report: Mapping[str, Any]) -> str:
    """Return the report as a few tables."""
    return "\n".join(_lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    learned, judged, built = report["learned_from"], report["judged"], report["features"]
    yield f"{report['file']}, judged from {report['test_from']} on"
    yield f"  learned from {learned['rows']} rows with {learned['events']} bad outcomes, all known before"
    yield f"  judged on {judged['rows']} rows with {judged['events']} bad outcomes"
    if judged.get("not_yet_known"):
        yield f"  {judged['not_yet_known']} more rows have no outcome yet"
    for reason, count in report["refused_rows"].items():
        yield f"  {count} rows left out: {reason}"
    yield f"  features: {built['rows_per_second']:,} rows a second"
    models = report["models"]
    for task, title in _TASKS.items():
        told = {name: said[task] for name, said in models.items() if task in said}
        if told:
            yield from _table(title.format(**report), told, {**_MEASURES, **_SECONDS})
    days = {name: said["days_late"] for name, said in models.items() if "days_late" in said}
    if days:
        yield from _table("Days late", days, _DAYS)


def _table(title: str, told: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> Iterator[str]:
    yield ""
    yield f"{title:<30}" + "".join(f"{name:>13}" for name in columns.values())
    for model, figures in told.items():
        yield f"  {model:<28}" + "".join(f"{_figure(figures[key]):>13}" for key in columns)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
