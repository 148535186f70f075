"""Which facts can be: not of the future, adding up, not contradicting what the same source said before."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from msgspec import UNSET

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault
from exchange.parties.rules import identifier_fault

BPS = 10_000

SUMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("total_assets", "=", ("total_liabilities", "equity")),
    ("total_assets", ">=", ("current_assets", "fixed_assets")),
    ("current_assets", ">=", ("cash", "receivables", "inventory")),
    ("total_liabilities", ">=", ("current_liabilities", "long_term_debt")),
    ("sales", "=", ("cost_of_sales", "gross_profit")),
    ("ebitda", "=", ("ebit", "depreciation")),
)
"""What a statement has to add up to. An equation needs all its items; of a part, those that are there."""


class ControlEvent(NamedTuple):
    """Somebody began or ended to control a company; `fact_id` says so, empty while it is being told."""

    day: date
    event: str
    person: str
    fact_id: str = ""


def fact_faults(item: Any, *, today: date, by_platform: bool, at: str) -> list[Fault]:  # noqa: ANN401 - any kind of fact
    """Everything that is wrong with a well-formed fact by itself."""
    faults = []
    for name in ("effective_date", "registered_on"):
        day = _of(item, name)
        if day and day > today:
            faults.append(Fault("fact_in_future", f"{at}/{name}", f"not after today, {today}", day.isoformat()))
    due_date = _of(item, "due_date")
    if due_date and due_date < item.effective_date:
        message = f"not before the invoice's day, {item.effective_date}"
        faults.append(Fault("due_before_issue", f"{at}/due_date", message, due_date.isoformat()))
    currency = _of(item, "currency")
    if currency and currency not in MINOR_DIGITS:
        faults.append(Fault("unknown_currency", f"{at}/currency", "a currency in use, ISO 4217", currency))
    for name in ("company", "counterparty"):
        company = _of(item, name)
        if company:
            faults += _company_faults(company, by_platform=by_platform, at=f"{at}/{name}")
    if hasattr(item, "share_bps") and bool(_of(item, "person")) == bool(_of(item, "counterparty")):
        faults.append(Fault("one_of_two", at, "say either which person or which company holds the share"))
    if _of(item, "counterparty") and item.counterparty == item.company:
        faults.append(Fault("same_company", f"{at}/counterparty", "a company does not deal with itself"))
    items = _of(item, "items")
    return faults + (_sum_faults(items, at=f"{at}/items") if items else [])


def control_fault(history: Sequence[ControlEvent], told: ControlEvent, *, at: str) -> Fault | None:
    """Why this cannot have happened, given what the same source said of the company before.

    One person controls a company at a time, from a dated beginning to a dated end.
    """
    last = max(history, default=None, key=lambda one: (one.day, one.event == "began"))
    standing = last if last and last.event == "began" else None
    if told.event == "began" and standing:
        message = f"since {standing.day} somebody does, by {standing.fact_id or 'an item before'}: tell the end of it"
        return Fault("controller_not_ended", f"{at}/event", message, standing.fact_id or None)
    if told.event == "began" and last and told.day < last.day:
        return Fault("control_overlaps", f"{at}/effective_date", f"not before {last.day}, when the last control ended")
    if told.event == "ended" and not (standing and standing.person == told.person and standing.day < told.day):
        return Fault("control_not_begun", f"{at}/event", "this person did not begin before that day to control it")
    return None


def share_fault(held: Mapping[str, int], *, holder: str, share_bps: int, at: str) -> Fault | None:
    """Why a holder cannot have this share beside those of others, by the same source: the whole is 10,000 bps."""
    total = sum(share for other, share in held.items() if other != holder) + share_bps
    if total <= BPS:
        return None
    message = f"{total} bps with what others hold: tell first what they gave up"
    return Fault("shares_exceed_whole", f"{at}/share_bps", message, share_bps)


def age_days(day: date, *, today: date) -> int:
    """How old what a fact says is."""
    return (today - day) // timedelta(days=1)


def _of(item: Any, name: str) -> Any:  # noqa: ANN401 - any member of any kind
    """A member, None where the kind has none or it was left out."""
    value = getattr(item, name, None)
    return None if value is UNSET else value


def _company_faults(company: Any, *, by_platform: bool, at: str) -> list[Fault]:  # noqa: ANN401 - a `CompanyRef`
    fault = identifier_fault(company.scheme, company.value)
    faults = [] if fault is None else [Fault(fault[0], f"{at}/value", fault[1], company.value)]
    owner = _of(company, "originator_id")
    wanted = company.scheme == "platform" and not by_platform
    if wanted and owner is None:
        faults.append(Fault("originator_missing", f"{at}/originator_id", "say whose customer number this is"))
    if owner is not None and not wanted:
        message = "a registered number is nobody's own, and a platform's is its own"
        faults.append(Fault("originator_unexpected", f"{at}/originator_id", message, owner))
    return faults


def _sum_faults(items: Any, *, at: str) -> list[Fault]:  # noqa: ANN401 - a `StatementItems`
    faults = []
    for total, relation, parts in SUMS:
        whole = _of(items, total)
        amounts = {part: amount for part in parts if (amount := _of(items, part)) is not None}
        if whole is None or not amounts or (relation == "=" and len(amounts) < len(parts)):
            continue
        added = sum(amounts.values())
        if added > whole or (relation == "=" and added != whole):
            sums = " + ".join(f"{part} {amount}" for part, amount in amounts.items())
            message = f"{total} {whole} should be {relation} {sums} = {added}"
            concerned = {total: whole, **amounts}
            faults += [Fault("does_not_add_up", f"{at}/{name}", message, value) for name, value in concerned.items()]
    return faults
