"""The summary for a person: a page of aligned lines, amounts in whole units."""

from collections.abc import Iterator, Mapping
from typing import Any

from exchange.currencies import MINOR_DIGITS
from exchange.replay.funders import SIZING_RULE
from exchange.replay.summary import Summary

Line = tuple[str, str]


def page(summary: Summary) -> str:
    """The summary as text."""
    lines = [line for section in (_book, _exchange, _outside) for line in section(summary) if line[1]]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def money(minor: int, currency: str) -> str:
    """An amount in whole units, such as `CNY 12,345,678`."""
    return f"{currency} {minor // 10 ** MINOR_DIGITS[currency]:,}"


def _book(summary: Summary) -> Iterator[Line]:
    period, rows, sent = summary.period, summary.rows, summary.submissions
    yield "file", f"{summary.file}, seed {summary.seed}"
    yield "period", f"{period['from']} to {period['to']}, {period['days']} days"
    yield "rows", f"{rows['live']:,} lived, {rows['history']:,} history, {rows['after_the_period']:,} left out"
    yield "bad rows", _words(rows["bad"])
    yield "submitted", _words({name: count for name, count in sent.items() if isinstance(count, int)})
    yield "refused", _words(sent["refused_by_code"])


def _exchange(summary: Summary) -> Iterator[Line]:
    told = summary.exchange
    for currency, volume in told["volume"].items():
        share = told["financed_share_bps"].get(currency, 0) / 100
        yield "volume", f"{volume['submitted']:,} submitted, {money(volume['submitted_minor'], currency)}"
        yield "", f"{volume['confirmed']:,} confirmed, {money(volume['confirmed_minor'], currency)}"
        financed = money(volume["financed_minor"], currency)
        yield "", f"{volume['financed']:,} financed, {financed} ({share:.1f} %)"
    yield "grades", _words(told["grades"])
    for currency, earned in told["yields"].items():
        rate = earned["annualised_bps"] / 100
        yield "yield", f"{money(earned['income_minor'], currency)}, {rate:.2f} % a year on the price"
    yield "lateness", _lateness(told["lateness"])
    for currency, lost in told["losses"].items():
        defaulted = money(lost["defaulted_minor"], currency)
        loss = money(lost["funder_loss_minor"], currency)
        yield "losses", f"{lost['defaulted']:,} defaults, {defaulted}; charged off to funders {loss}"
    for currency, diluted in told["dilution"].items():
        amount = money(diluted["diluted_minor"], currency)
        yield "dilution", f"{diluted['credit_notes']:,} credit notes, {amount}"
    for currency, left in told["unapplied"].items():
        yield "unapplied", f"{left['receipts']:,} receipts, {money(left['amount_minor'], currency)}"
    yield "calibration", _calibration(told["calibration"])
    yield "log", f"{told['log']['size']:,} entries, root {told['log']['root']}"


def _outside(summary: Summary) -> Iterator[Line]:
    yield "funders", f"sized by rule: {SIZING_RULE}"
    for funder in summary.funders:
        deposits = ", ".join(money(minor, currency) for currency, minor in funder["deposits_minor"].items())
        yield f"  {funder['name']}", f"{deposits}; {_words(funder['answers']) or 'commits by itself'}"
    yield "bank lines", _words(summary.bank)
    yield "callbacks", _words(summary.callbacks["counts"])
    for plant, outcomes in summary.planted.items():
        yield f"planted {plant}", _words(outcomes)
    yield "models", f"{len(summary.models)} trained, last {summary.models[-1]['version']}"
    yield "checks", _words({name: count for name, count in summary.checks.items() if count}) or "books and log clean"
    timing = summary.timing
    rates = f"{timing.assets_per_second:,.0f} assets/s, {timing.days_per_second:,.1f} days/s"
    yield "time", f"{timing.seconds:,.1f} s, {rates}"


def _lateness(told: Mapping[str, int]) -> str:
    settled = told["settled"]
    if not settled:
        return f"nothing settled, {told['overdue_now']:,} overdue now"
    share, mean = told["late"] * 100 / settled, told["days_late_sum"] / settled
    return (
        f"{settled:,} settled: {told['late']:,} late ({share:.1f} %), {told['late_30']:,} over 30 days, "
        f"{mean:.1f} days late on average; {told['overdue_now']:,} overdue now"
    )


def _calibration(told: Mapping[str, Any]) -> str:
    if not told["matured"]:
        return "nothing matured"
    predicted = told["predicted_events_milli"] / 1000
    text = f"{told['matured']:,} matured: {predicted:,.1f} predicted over 30 days late, {told['events']:,} were"
    if told["auc_bps"] is not None:
        text += f"; AUC {told['auc_bps'] / 10_000:.3f}"
    if told["ece_ppm"] is not None:
        text += f"; calibration error {told['ece_ppm'] / 1_000_000:.4f}"
    return text


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
