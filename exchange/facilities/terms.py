"""The rules of a facility as data: what counts, what it is worth, what turns it, who is paid and who loses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from http import HTTPStatus
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from exchange.errors import Fault, Refusal
from exchange.pools.terms import Terms as MandateTerms
from exchange.pools.terms import contradictions
from exchange.schedules.calendars import Convention, adjust
from exchange.schedules.schedule import Every, Unit, due_dates
from exchange.waterfalls.orders import ALL, Leg, Order, OrderRefused, Step, read

BPS = 10_000
PPM = 1_000_000
TRANCHE, COVER = "tranche", "cover"
STATES = ("warehousing", "revolving", "amortising", "accelerated", "closed")
BUYING = frozenset(STATES[:2])
"""Where a facility buys, if it is healthy. In the other states everybody is paid back."""
UNHEALTHY = "unhealthy"
FEES, RESERVE, EXCHANGE, NOBODY = "fees", "reserve", "exchange", "nobody"
KEYS = ("obligor", "group", "seller", "originator", "sector", "product", "grade")
"""What concentrations are counted by. A group is all whom one person controls."""
TESTS = {
    "delinquency": "ppm of what is due that is late by `late_days`",
    "default_ratio": "ppm of what is due, with what was given up in the window, that is charged off or given up",
    "dilution": "ppm of the face held in the window that credit notes took off",
    "reserve": "minor units missing in the reserve",
    "borrowing_base": "minor units of the tranches that the base covers and base and cash do not",
    "subordination": "minor units missing below the worst placed tranche",
    "servicer_silence": "days since the most silent servicer's last report",
    "stale_score": "days since the oldest score of an asset",
}
"""What is tested; a trigger is on while the number is above its threshold."""
TURNS = ("stop", "amortising", "accelerated")
MOST_PAYMENTS = 1_200


class RulesRefused(Refusal):
    """The rules contradict themselves; the faults say where."""

    code = "facility_rules_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "These rules cannot be"


class Cut(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """From so many days on, so much of a value is gone."""

    days: int
    share_ppm: int


class Eligibility(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Which assets count for the base. An empty list, or nothing, lets all pass.

    Disputed and charged-off assets never count.
    """

    products: tuple[str, ...] = ()
    recourse: tuple[str, ...] = ()
    confirmation_grades: tuple[str, ...] = ()
    max_pd_ppm: int = PPM
    max_tenor_days: int | None = None
    max_days_late: int = 0
    max_score_age_days: int | None = None
    max_silence_days: int | None = None
    max_late_share_ppm: int | None = None


class Limit(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """How much of what is eligible may be one obligor's, one sector's ...; `of`: of one alone."""

    by: str
    share_ppm: int | None = None
    amount_minor: int | None = None
    of: str | None = None


class Trigger(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A test and what it does above its threshold: purchases stop; and for good, the state turns."""

    test: str
    threshold: int
    turns: str = "stop"


class Payments(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """When money is distributed: on `first_date` and every so many months after, moved to business days."""

    first_date: date
    every_months: int = 1
    calendar: str = ""
    convention: Convention = Convention.NONE

    def dates(self, *, until: date) -> Iterator[date]:
        """The payment dates up to a day (`calendars.CalendarUnknown`, `calendars.CalendarYearUnknown`)."""
        months = (until.year - self.first_date.year) * 12 + until.month - self.first_date.month
        count = min(max(months // self.every_months + 2, 1), MOST_PAYMENTS)
        for day in due_dates(self.first_date, count=count, every=Every(Unit.MONTHS, self.every_months)):
            if day <= until:
                moved = adjust(day, calendar=self.calendar, convention=self.convention)
                if moved <= until:
                    yield moved


class Terms(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The rules in force. Rates in basis points a year (ACT/360 where a tranche does not say otherwise).

    `purchases` are the terms of its mandate. `profit` shares what is earned, `principal` what capital comes back;
    `losses` names who bears a loss, the first first, and what is recovered goes backwards. A base is `advance_bps` of
    what counts less `dilution_bps` times the dilution there was. `late`, `silence` and `stale` cut values by days.
    """

    purchases: dict[str, Any]
    profit: Order
    principal: Order
    losses: tuple[str, ...]
    payments: Payments
    eligibility: Eligibility = Eligibility()
    limits: tuple[Limit, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    advance_bps: int = BPS
    dilution_bps: int = BPS
    discount_bps: int = 0
    late: tuple[Cut, ...] = ()
    silence: tuple[Cut, ...] = ()
    stale: tuple[Cut, ...] = ()
    late_days: int = 30
    window_days: int = 90
    reserve_minor: int = 0
    reserve_ppm: int = 0
    fee_bps: int = 0
    notice_days: int = 0
    revolving_from: date | None = None
    revolving_until: date | None = None

    def reserve_target_minor(self, principal_minor: int) -> int:
        """What the reserve has to hold for tranches of this principal."""
        return max(self.reserve_minor, principal_minor * self.reserve_ppm // PPM)


class Rank(NamedTuple):
    """A tranche as the rules see it: rank 1 is paid first; a cover is beside the ranks."""

    name: str
    kind: str
    rank: int
    min_subordination_bps: int = 0


def interest(name: str) -> str:
    """The due of a tranche's interest."""
    return f"{name}_interest"


def principal(name: str) -> str:
    """The due of a tranche's principal: all of it once the facility amortises, before that what may be redeemed."""
    return f"{name}_principal"


def standard_orders(ranks: Sequence[Rank]) -> tuple[Order, Order]:
    """Profit pays fees, interest by rank, the cover, the reserve, and the rest to the last rank; principal by rank.

    Accelerated, each rank has all of its own, profit and principal, before the next has anything.
    """
    own = _by_rank(ranks)
    covers = [Step((Leg(interest(one.name), one.name),)) for one in ranks if one.kind == COVER]
    profit = [Step((Leg(FEES, EXCHANGE),))]
    for one in own:
        profit += [
            Step((Leg(interest(one.name), one.name),)),
            Step((Leg(principal(one.name), one.name),), when="accelerated"),
        ]
    profit += [*covers, Step((Leg(RESERVE),)), Step((Leg(ALL, own[-1].name),))]
    back = [Step((Leg(FEES, EXCHANGE),))]
    for one in own:
        back += [Step((Leg(interest(one.name), one.name),)), Step((Leg(principal(one.name), one.name),))]
    return Order(tuple(profit)), Order(tuple(back))


def standard_losses(ranks: Sequence[Rank]) -> list[str]:
    """Covers first, then the tranches from the last rank up."""
    return [one.name for one in ranks if one.kind == COVER] + [one.name for one in reversed(_by_rank(ranks))]


def read_tranches(data: Sequence[Mapping[str, Any]]) -> list[Rank]:
    """The ranks of tranches from a request's body (`RulesRefused`): names and ranks differ, and one is no cover."""
    faults = [] if any(one["kind"] == TRANCHE for one in data) else [Fault("no_tranche", "/tranches", "covers alone")]
    for place, one in enumerate(data):
        at, before = f"/tranches/{place}", data[:place]
        faults += [
            Fault(f"{name}_twice", f"{at}/{name}", "each has its own", one[name])
            for name in ("name", "rank")
            if one[name] in [other[name] for other in before]
        ]
        foreign = {TRANCHE: ("per_loss_minor", "per_loss_ppm"), COVER: ("min_subordination_bps",)}[one["kind"]]
        faults += [
            Fault("contradictory_kind", f"{at}/{name}", f"not of a {one['kind']}", one[name])
            for name in foreign
            if one.get(name)
        ]
    if faults:
        raise RulesRefused("The tranches contradict each other.", faults=tuple(faults))
    return [Rank(one["name"], one["kind"], one["rank"], one["min_subordination_bps"]) for one in data]


def read_terms(data: Mapping[str, Any], *, ranks: Sequence[Rank], at: str = "") -> Terms:
    """Rules from the part `at` of a request's body; orders that are left out are the standard ones.

    Refuses (`RulesRefused`) with everything that contradicts.
    """
    known = dict(data)
    usual = dict(zip(("profit", "principal"), standard_orders(ranks), strict=True))
    faults: list[Fault] = []
    for name, standard in usual.items():
        order = _order(known.pop(name, None), ranks, at=f"/{name}")
        if isinstance(order, Fault):
            faults.append(order)
        usual[name] = standard if order is None or isinstance(order, Fault) else order
    losses = known.pop("losses", None) or standard_losses(ranks)
    if "payments" in known:
        known["payments"] = known["payments"] | {"first_date": known["payments"]["first_date"].isoformat()}
    terms: Terms = msgspec.convert(known | usual | {"losses": losses}, Terms, strict=False)
    faults += [*_faults(terms, ranks)]
    if faults:
        placed = (Fault(one.code, f"{at}{one.pointer}", one.message, one.value) for one in faults)
        raise RulesRefused("The rules contradict themselves.", faults=tuple(placed))
    return terms


def check_purchases(terms: Terms, *, at: str = "") -> None:
    """Refuse (`RulesRefused`) to buy what no asset can be, or though nothing of it would ever count."""
    wanted = msgspec.convert(terms.purchases, MandateTerms)
    faults = contradictions(wanted)
    for name in ("products", "recourse"):
        bought, counts = getattr(wanted, name), getattr(terms.eligibility, name)
        if counts and not set(bought) & set(counts):
            message = f"none of them counts: eligibility takes {', '.join(counts)}"
            faults.append(Fault("contradictory_limits", f"/{name}", message, list(bought)))
    if faults:
        placed = (replace(one, pointer=f"{at}/purchases{one.pointer}") for one in faults)
        raise RulesRefused("The purchases contradict themselves.", faults=tuple(placed))


def _by_rank(ranks: Sequence[Rank]) -> list[Rank]:
    return sorted((one for one in ranks if one.kind == TRANCHE), key=lambda one: one.rank)


def _order(data: Mapping[str, Any] | None, ranks: Sequence[Rank], *, at: str) -> Order | Fault | None:
    """An order of payment as it is read, what is wrong with it, or None where there is none."""
    if data is None:
        return None
    names = [one.name for one in ranks]
    dues = [FEES, RESERVE, *map(interest, names), *(principal(one.name) for one in _by_rank(ranks))]
    triggers = [*STATES, UNHEALTHY, *TESTS]
    try:
        order = read(data, dues=dues, payees=[EXCHANGE, RESERVE, *names], triggers=triggers)
    except OrderRefused as refused:
        return Fault(refused.code, f"{at}{refused.pointer}", str(refused))
    for place, leg in ((f"{at}/steps/{number}", leg) for number, step in enumerate(order.steps) for leg in step.legs):
        if leg.due != ALL and leg.to != _payee(leg.due):
            return Fault("unknown_payee", place, f"{leg.due} is paid to {_payee(leg.due)}")
        if leg.due == ALL and leg.to not in {one.name for one in _by_rank(ranks)}:
            return Fault("unknown_payee", place, "what is left goes to a tranche")
        if leg.due == RESERVE and at != "/profit":
            return Fault("unknown_due", place, "the reserve is filled from profit")
    return order


def _payee(due: str) -> str:
    return {FEES: EXCHANGE, RESERVE: RESERVE}.get(due) or due.rpartition("_")[0]


def _faults(terms: Terms, ranks: Sequence[Rank]) -> Iterator[Fault]:
    if sorted(terms.losses) != sorted(one.name for one in ranks):
        yield Fault("layers_not_whole", "/losses", "each tranche and cover once")
    for number, limit in enumerate(terms.limits):
        if limit.share_ppm is limit.amount_minor is None:
            yield Fault("limit_without_amount", f"/limits/{number}", "a share, an amount, or both")
    turned = [(one.test, one.turns) for one in terms.triggers]
    for number, one in enumerate(turned):
        if one in turned[:number]:
            yield Fault("trigger_twice", f"/triggers/{number}", "a test turns a facility one way once")
    yield from _faults_of_schedules(terms)


def _faults_of_schedules(terms: Terms) -> Iterator[Fault]:
    for name in ("late", "silence", "stale"):
        for number, (one, other) in enumerate(pairwise(getattr(terms, name)), start=1):
            if other.days <= one.days or other.share_ppm <= one.share_ppm:
                yield Fault("schedule_not_rising", f"/{name}/{number}", "each step is later, and takes more")
    if terms.revolving_from and terms.revolving_until and terms.revolving_until <= terms.revolving_from:
        yield Fault("dates_not_in_order", "/revolving_until", "after revolving_from")
    if (terms.payments.convention is Convention.NONE) != (not terms.payments.calendar):
        yield Fault("calendar_and_convention", "/payments/calendar", "a calendar moves dates by a convention")
