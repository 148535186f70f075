"""The card of a model: what it was made of and how it does, as figures, and as one page that needs nothing else.

Figures are integers, so that the same outcomes give the same card. The page draws them as inline SVG.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring import evaluation
from scoring.errors import ScoringError
from scoring.grades import NAMES as GRADES

PPM = 1_000_000
GAIN_STEPS = 20
WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 430, 260, 46, 34, 24
SHOWN_FIGURES = 12

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:980px;margin:2rem auto;padding:0 1rem;color:#1d2733;background:#fff}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{margin:.3rem 0;max-width:70ch}
.note{color:#5b6876;font-size:.87rem}code{font-size:.9em}.plots{display:flex;flex-wrap:wrap;gap:1.5rem;margin-top:1rem}
figure{margin:0}figcaption{font-weight:600;font-size:.9rem;margin-bottom:.2rem}svg{display:block;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.2rem .7rem;text-align:right}
th{font-weight:600;color:#5b6876;font-size:.85rem}td:first-child,th:first-child{text-align:left;padding-left:0}
.pairs td{text-align:left;vertical-align:top}.pairs td:first-child{white-space:nowrap;color:#5b6876}
tr+tr td,tr+tr th{border-top:1px solid #e6eaee}.grid{stroke:#e3e8ed}.axis{fill:#5b6876;font-size:11px}
.same{stroke:#9aa7b4;stroke-dasharray:4 3}.new{stroke:#0b6bcb;fill:none;stroke-width:2}.old{stroke:#c2571a;fill:none;
stroke-width:2}.dot-new{fill:#0b6bcb}.dot-old{fill:#c2571a}.bar{fill:#9dbfe3}.bar-bad{fill:#e09a70}.tick{stroke:#1d2733;
stroke-width:2}.heat{fill:#0b6bcb}
@media (prefers-color-scheme:dark){body{background:#12171d;color:#dbe3ea}.note,th,.axis{color:#93a1b0;fill:#93a1b0}
.grid{stroke:#26303a}tr+tr td,tr+tr th{border-color:#26303a}.tick{stroke:#dbe3ea}}
"""

STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
"""Who serves the page can allow this style and no other."""


def curves(chance_ppm: ArrayLike, *, outcome: ArrayLike) -> dict[str, Any]:
    """Return how chances did against outcomes: calibration by tenths, gain by twentieths, and the usual figures in ppm.

    `gain` gives for each share of rows, riskiest first, the share of bad outcomes among them. AUC, KS and gain are None
    where all outcomes are the same. Refuses: JudgementUneven.
    """
    predicted = np.asarray(chance_ppm, dtype=np.float64) / PPM
    bad = np.asarray(outcome, dtype=np.bool_)
    figures: dict[str, Callable[..., float]] = {
        "auc": evaluation.auc,
        "ks": evaluation.ks,
        "log_loss": evaluation.log_loss,
        "brier": evaluation.brier,
        "calibration_error": evaluation.expected_calibration_error,
    }
    table = evaluation.calibration_table(chance_ppm, outcome=bad)
    return {
        "figures_ppm": {name: _ppm(figure, predicted, bad) for name, figure in figures.items()},
        "calibration": [[one.rows, one.predicted_ppm, one.observed_ppm] for one in table],
        "gain_ppm": _gain(predicted, bad),
    }


def page(model: Mapping[str, Any], *, body_sha256: str, libraries: Mapping[str, str]) -> str:
    """Return the card as HTML: `version state since card`, `comparison`, `drift`, `migration`, `losses`, `events`."""
    parts = [
        f"<h1>Model <code>{_e(model['version'])}</code></h1>",
        f'<p class="note">{_e(model["state"])} since {_e(model["since"])}</p>',
        _made_of(model["card"], body_sha256, libraries),
        _comparison(model.get("comparison")),
        _drift(model.get("drift")),
        _migration(model.get("migration") or []),
        _table(
            "Losses learned", ("rate", "value", "outcomes", "prior", "prior counts as", "on"), model.get("losses", ())
        ),
        _table("What became of it", ("day", "event", "by", "why"), model.get("events", ())),
    ]
    title = f"Model card {_e(model['version'])}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n<body>\n'
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _ppm(figure: Callable[..., float], predicted: NDArray[np.float64], bad: NDArray[np.bool_]) -> int | None:
    try:
        return round(figure(predicted, outcome=bad) * PPM)
    except ScoringError:
        return None


def _gain(predicted: NDArray[np.float64], bad: NDArray[np.bool_]) -> list[int] | None:
    events = int(bad.sum())
    if not events or events == len(bad):
        return None
    found = np.concatenate(([0], np.cumsum(bad[np.argsort(-predicted, kind="stable")])))
    ends = [len(bad) * step // GAIN_STEPS for step in range(GAIN_STEPS + 1)]
    return [int(found[end]) * PPM // events for end in ends]


def _made_of(card: Mapping[str, Any], body_sha256: str, libraries: Mapping[str, str]) -> str:
    """What it was trained on, of which parts it is, and what vouches for its content."""
    serious, late = card.get("serious", {}), card.get("late", {})
    rows = [
        ("Predicts", f"more than {card.get('horizon_days', 30)} days late"),
        ("Known until", _day(card.get("as_of_day"))),
        ("Serious delays learned from", f"{serious.get('events', 0):,} of {serious.get('rows', 0):,} matured invoices"),
        ("Late invoices learned from", f"{late.get('events', 0):,} of {late.get('rows', 0):,}"),
        ("Parts", ", ".join(f"{name} {card.get(name) or 'none'}" for name in ("kind", "challenger", "days", "join"))),
        ("Voice", card.get("voice", "scorecard")),
        ("Silent features", ", ".join(sorted(serious.get("dropped", {}))) or "none"),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in sorted(libraries.items()))),
        ("Content (SHA-256)", body_sha256),
    ]  # fmt: skip
    return (
        '<h2>Made of</h2><table class="pairs">'
        + "".join(_row(_e(name), _e(value)) for name, value in rows)
        + "</table>"
    )


def _comparison(found: Mapping[str, Any] | None) -> str:
    """Calibration and gain on outcomes that came after training, beside the model it was compared with."""
    head = "<h2>On outcomes that came later</h2>"
    if not found or "curves" not in found:
        why = (found or {}).get("why", "none has become known since it was trained")
        return f'{head}<p class="note">Nothing to judge it by: {_e(why)}.</p>'
    new, old = found["curves"]["candidate"], found["curves"]["incumbent"]
    names = list(new["figures_ppm"])
    rows = "".join(
        _row(name, *(_figure(side["figures_ppm"][one]) for one in names))
        for name, side in (("this model", new), ("in force then", old))
    )
    loss = found["log_loss"]
    told = (
        f"{found['rows']:,} invoices of {loss['payers']:,} payers, {found['events']:,} bad. "
        f"Log-loss difference {loss['difference']:+.5f}, 95 % interval by payers {loss['low']:+.5f} to "
        f"{loss['high']:+.5f}: {_words(found['verdict'])}."
    )
    return (
        f"{head}<p>{_e(told)}</p><table><tr><th></th>{''.join(f'<th>{_e(_words(one))}</th>' for one in names)}</tr>"
        f'{rows}</table><div class="plots">{_calibration(new, old)}{_gain_plot(new, old)}</div>'
    )


def _calibration(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Foretold against real in tenths of the invoices, on axes of square roots."""
    most = max(max(one[1], one[2]) for side in (new, old) for one in side["calibration"]) or 1
    top = next(percent for percent in (1, 2, 5, 10, 20, 50, 100) if percent * PPM // 100 >= min(most, PPM))

    def along(ppm: int) -> float:
        return math.sqrt(ppm / (top * PPM / 100))

    ticks = [(along(share * top * PPM // 100 // 4), f"{share * top / 4:g} %") for share in range(5)]
    marks = [_line(0, 0, 1, 1, "same")]
    for side, kind in ((old, "old"), (new, "new")):
        for rows, predicted, observed in side["calibration"]:
            tip = f"foretold {predicted / PPM:.2%}, real {observed / PPM:.2%} of {rows:,}"
            x, y = _xy(along(predicted), along(observed))
            marks.append(f'<circle class="dot-{kind}" cx="{x}" cy="{y}" r="4"><title>{tip}</title></circle>')
    return _plot("Calibration: foretold across, real upwards", ticks, ticks, marks)


def _gain_plot(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Share of bad outcomes found against share of invoices looked at, riskiest first."""
    ticks = [(share / 4, f"{share * 25} %") for share in range(5)]
    marks = [_line(0, 0, 1, 1, "same")]
    for side, kind in ((old, "old"), (new, "new")):
        if side["gain_ppm"]:
            points = (_xy(step / GAIN_STEPS, ppm / PPM) for step, ppm in enumerate(side["gain_ppm"]))
            marks.append(f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')
    return _plot("Gain: bad outcomes found among the riskiest", ticks, ticks, marks)


def _drift(found: Mapping[str, Any] | None) -> str:
    """PSI of the chance and of the features that drifted most, each with what chance alone would explain."""
    if not found:
        return (
            '<h2>Stability</h2><p class="note">Nothing was scored by it in the last month, or it has no reference.</p>'
        )
    shown = list(found["figures"].items())[:SHOWN_FIGURES]
    widest = max(max(one["psi_ppm"], one["critical_ppm"]) for _, one in shown) or 1
    marks = []
    for at, (name, one) in enumerate(shown):
        y, length = 6 + at * 20, math.sqrt(one["psi_ppm"] / widest) * 380
        mark = 190 + math.sqrt(one["critical_ppm"] / widest) * 380
        kind = "bar-bad" if one["drifted"] else "bar"
        tip = f"{name}: PSI {one['psi_ppm'] / PPM:.4f}, critical {one['critical_ppm'] / PPM:.4f}"
        marks.append(
            f'<text class="axis" x="182" y="{y + 11}" text-anchor="end">{_e(name)}</text><rect class="{kind}" x="190" '
            f'y="{y}" width="{length:.1f}" height="14"><title>{_e(tip)}</title></rect>'
            f'<line class="tick" x1="{mark:.1f}" x2="{mark:.1f}" y1="{y - 2}" y2="{y + 16}"/>'
        )
    told = (
        f"{found['rows']:,} assets scored in the last month against {found['learned_rows']:,} learned from: "
        f"{found['verdict']}."
    )
    svg = f'<svg viewBox="0 0 590 {len(shown) * 20 + 8}" width="590" role="img">{"".join(marks)}</svg>'
    return (
        f"<h2>Stability</h2><p>{_e(told)}</p><figure><figcaption>Population stability index; the mark is what chance "
        f"explains at these sizes (99 %); on a scale of square roots</figcaption>{svg}</figure>"
    )


def _migration(counts: Sequence[Sequence[int]]) -> str:
    """Obligors by grade a quarter ago (down) and now (across); darker is more of the row."""
    if not counts:
        return ""
    known = {(then, now): obligors for then, now, obligors in counts}
    totals = [sum(known.get((then, now), 0) for now in range(len(GRADES))) for then in range(len(GRADES))]
    cell, left, top = 38, 40, 24
    marks = [
        f'<text class="axis" x="{left + at * cell + cell / 2}" y="16" text-anchor="middle">{name}</text>'
        f'<text class="axis" x="{left - 6}" y="{top + at * cell + 23}" text-anchor="end">{name}</text>'
        for at, name in enumerate(GRADES)
    ]
    for (then, now), obligors in sorted(known.items()):
        x, y = left + now * cell, top + then * cell
        tip = f"{GRADES[then]} to {GRADES[now]}: {obligors:,} of {totals[then]:,} obligors"
        marks.append(
            f'<rect class="heat" x="{x}" y="{y}" width="{cell - 2}" height="{cell - 2}" '
            f'fill-opacity="{0.12 + 0.6 * obligors / totals[then]:.2f}"><title>{tip}</title></rect>'
            f'<text class="axis" x="{x + cell / 2 - 1}" y="{y + 22}" text-anchor="middle">{obligors}</text>'
        )
    side = left + len(GRADES) * cell
    svg = f'<svg viewBox="0 0 {side} {side}" width="{side}" role="img">{"".join(marks)}</svg>'
    caption = "Obligors by grade: 90 days ago down, now across"
    return f"<h2>Migration</h2><figure><figcaption>{caption}</figcaption>{svg}</figure>"


def _plot(
    caption: str, across: Sequence[tuple[float, str]], up: Sequence[tuple[float, str]], marks: Sequence[str]
) -> str:
    grid = []
    for at, label in across:
        x, _ = _xy(at, 0)
        grid.append(_line(at, 0, at, 1, "grid"))
        grid.append(f'<text class="axis" x="{x}" y="{HEIGHT - 14}" text-anchor="middle">{label}</text>')
    for at, label in up:
        _, y = _xy(0, at)
        grid.append(_line(0, at, 1, at, "grid"))
        grid.append(f'<text class="axis" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>')
    drawn = "".join([*grid, *marks])
    legend = (
        f'<text class="axis" x="{LEFT}" y="{HEIGHT - 1}"><tspan class="dot-new">● this model</tspan>  '
        f'<tspan class="dot-old">● in force then</tspan></text>'
    )
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{drawn}{legend}</svg>'
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def _xy(across: float, up: float) -> tuple[float, float]:
    """A place in the plot, both from 0 to 1."""
    x = LEFT + min(across, 1) * (WIDTH - LEFT - EDGE)
    return round(x, 1), round(HEIGHT - BOTTOM - min(up, 1) * (HEIGHT - BOTTOM - EDGE), 1)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    (left, low), (right, high) = _xy(x1, y1), _xy(x2, y2)
    return f'<line class="{kind}" x1="{left}" y1="{low}" x2="{right}" y2="{high}"/>'


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{_e(one)}</th>" for one in heads)
    body = "".join(_row(*(_e(value) for value in row)) for row in rows)
    return f"<h2>{title}</h2><table><tr>{head}</tr>{body}</table>"


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _figure(ppm: int | None) -> str:
    return "n/a" if ppm is None else f"{ppm / PPM:.4f}"


def _words(name: str) -> str:
    return {"auc": "AUC", "ks": "KS", "brier": "Brier"}.get(name, name.replace("_", "-" if name == "log_loss" else " "))


def _day(number: int | None) -> str:
    return "n/a" if number is None else str(np.datetime64("1970-01-01") + np.timedelta64(number, "D"))


def _e(value: object) -> str:
    return escape(str(value))
