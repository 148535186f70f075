"""What a facility may do when, what its tranches have earned, who is paid on a date and who bears a loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from typing import NamedTuple

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault, Refusal
from exchange.facilities.terms import (
    BPS,
    BUYING,
    FEES,
    NOBODY,
    STATES,
    TRANCHE,
    UNHEALTHY,
    Rank,
    Terms,
    Trigger,
    interest,
)
from exchange.schedules.daycount import DayCount, days_between
from exchange.waterfalls.layers import Layer, Taken, absorb, pay_with_reserve, restore
from exchange.waterfalls.orders import Payment, run

SIGNS = {"paid_in": 1, "restored": 1, "repaid": -1, "lost": -1, "interest": 0, "surplus": 0}
"""What a movement does to the principal of a holding."""
MOVES = {
    "warehousing": ("revolving", "amortising", "accelerated"),
    "revolving": ("amortising", "accelerated"),
    "amortising": ("accelerated", "closed"),
    "accelerated": ("closed",),
    "closed": (),
}
"""Where a facility may go. It never goes back."""
ENDLESS = 10**18
"""What nobody bears has no end."""


class StateRefused(Refusal):
    """A facility does not go there from where it is."""

    code = "state_refused"
    title = "The facility cannot go to this state"


class NotPaidBackYet(Refusal):
    """Something is still held, offered, or owed to a servicer's obligors: there is nothing to close."""

    code = "facility_not_empty"
    title = "The facility still holds assets"


class MoreThanCommitted(Refusal):
    """The amount is more than what is committed and not called, or than the tranche has room for."""

    code = "more_than_committed"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "More than there is"


class NotCalledNow(Refusal):
    """Capital is called and paid in while the facility buys."""

    code = "not_buying"
    title = "The facility does not buy any more"


class SharePaid(Refusal):
    """The share of the call is paid."""

    code = "share_paid"
    title = "This share is paid"


class SubordinationBroken(Refusal):
    """With this money a tranche would have less below it than it has to. Right again once a junior one pays in."""

    code = "subordination_broken"
    title = "Too little stands below"
    definitive = False


class NotEnoughMoney(Refusal):
    """The funder has less here. Nothing is done; the same request is right once it has it."""

    code = "not_enough_cash"
    title = "The funder has not enough money here"
    definitive = False


class NotRedeemable(Refusal):
    """A cover is not redeemed, and in other states than revolving everybody is paid back, or nobody."""

    code = "not_redeemable"
    title = "Nothing is redeemed now"


class RedemptionOver(Refusal):
    """The redemption was paid, withdrawn, or superseded."""

    code = "redemption_over"
    title = "The redemption has ended"


class ChangeWaiting(Refusal):
    """Another change of the rules waits."""

    code = "change_waiting"
    title = "A change of the rules waits already"


class ChangeOver(Refusal):
    """The change was applied or withdrawn."""

    code = "change_over"
    title = "The change waits no more"


class OtherCurrency(Refusal):
    """The rules are about another currency than the facility's."""

    code = "other_currency"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The currency of a facility does not change"


class ReportKnown(Refusal):
    """The servicer reported that day."""

    code = "report_known"
    title = "There is a report of today"


class DatePassed(Refusal):
    """Money was distributed since: a preview looks forward."""

    code = "date_passed"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Money was distributed since that date"


class NotRecorded(Refusal):
    """There is no close of that day; figures of today are computed."""

    code = "not_recorded"
    status = HTTPStatus.NOT_FOUND
    title = "Nothing was recorded for that day"


class Move(NamedTuple):
    """A movement of a holding."""

    day: date
    kind: str
    amount_minor: int


class Placed(NamedTuple):
    """A tranche and its principal."""

    rank: Rank
    principal_minor: int


@dataclass(frozen=True, slots=True)
class Pot:
    """What a payment date meets: money, what of it is profit, what is due, and what triggers are on."""

    state: str
    on: frozenset[str]
    cash_minor: int
    profit_minor: int
    reserve_minor: int
    target_minor: int
    dues: Mapping[str, int]
    covered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Paid:
    """What a payment date pays: from cash, from the reserve, and what the reserve gives back first."""

    released_minor: int
    payments: list[Payment]
    drawn: list[Payment]
    reserve_minor: int
    unpaid: dict[str, int] = field(default_factory=dict)

    @property
    def paid_minor(self) -> int:
        """What leaves cash."""
        return sum(payment.amount_minor for payment in self.payments)


def earned_minor(moves: Iterable[Move], *, rate_bps: int, convention: DayCount, until: date) -> int:
    """The interest of a holding from its beginning to a day, rounded down once: principal x days x rate / year.

    A period ends where the principal moves or interest is paid, and each has the days of its own day count.
    """
    numerator, owed_minor, since = 0, 0, until
    for move in sorted(moves, key=lambda one: one.day):
        if move.day > until:
            break
        numerator += owed_minor * days_between(since, move.day, convention=convention) if owed_minor else 0
        since, owed_minor = move.day, owed_minor + SIGNS[move.kind] * move.amount_minor
    numerator += owed_minor * days_between(since, until, convention=convention)
    return numerator * rate_bps // (BPS * convention.year_days)


def shortfalls(placed: Iterable[Placed], *, value_minor: int) -> dict[str, int]:
    """What is missing below each tranche that asks for something below it: its least share of the value, rounded up."""
    above_minor, missing = 0, {}
    for one in by_rank(placed):
        above_minor += one.principal_minor
        least = one.rank.min_subordination_bps
        if least and one.principal_minor:
            needed_minor = -(-max(value_minor, 0) * least // BPS)
            missing[one.rank.name] = max(needed_minor - (value_minor - above_minor), 0)
    return missing


def check_paying_in(placed: Sequence[Placed], *, name: str, amount_minor: int, value_minor: int) -> None:
    """Refuse (`SubordinationBroken`) money that leaves a tranche with less below it than it has to have."""
    before = shortfalls(placed, value_minor=value_minor)
    grown = [
        one._replace(principal_minor=one.principal_minor + amount_minor) if one.rank.name == name else one
        for one in placed
    ]
    own_minor = amount_minor if any(one.rank.name == name and one.rank.kind == TRANCHE for one in placed) else 0
    after = shortfalls(grown, value_minor=value_minor + own_minor)
    for tranche, missing_minor in after.items():
        if missing_minor > before.get(tranche, 0):
            raise SubordinationBroken(
                f"Below {tranche} there would be too little.", tranche=tranche, missing_minor=missing_minor
            )


def redeemable(
    placed: Iterable[Placed], wanted: Mapping[str, int], *, value_minor: int, headroom_minor: int
) -> dict[str, int]:
    """What of the redemptions wanted can be paid, by rank: enough stays below those above, and the base still covers.

    Paying x of what stands below a tranche that asks for the share m of the value V and has S below it leaves
    S - x >= m (V - x), so x <= (S - m V) / (1 - m).
    """
    ranked = by_rank(placed)
    left_minor, above_minor, paid = value_minor, 0, {}
    asking: list[tuple[int, int]] = []
    for one in ranked:
        most_minor = min(wanted.get(one.rank.name, 0), one.principal_minor)
        for least, before_minor in asking:
            most_minor = min(most_minor, (BPS * (left_minor - before_minor) - least * left_minor) // (BPS - least))
        if one is ranked[-1]:
            most_minor = min(most_minor, headroom_minor)
        paid[one.rank.name] = max(most_minor, 0)
        left_minor -= paid[one.rank.name]
        above_minor += one.principal_minor - paid[one.rank.name]
        if one.rank.min_subordination_bps and one.principal_minor:
            asking.append((one.rank.min_subordination_bps, above_minor))
    return paid


def by_rank(placed: Iterable[Placed]) -> list[Placed]:
    """The tranches without covers, the first rank first."""
    return sorted((one for one in placed if one.rank.kind == TRANCHE), key=lambda one: one.rank.rank)


def pay(terms: Terms, pot: Pot) -> Paid:
    """Who is paid on a payment date.

    What the reserve has above its target is profit. Profit goes by the order of profit, and the reserve pays what is
    still due of fees and interest. Then capital goes by the order of principal: while the facility buys, what may be
    redeemed; afterwards all of it, and what profit there is left.
    """
    released_minor = max(pot.reserve_minor - pot.target_minor, 0)
    profit_minor, held_minor = pot.profit_minor + released_minor, pot.reserve_minor - released_minor
    reserved = pay_with_reserve(
        terms.profit,
        profit_minor,
        pot.dues,
        reserve_minor=held_minor,
        target_minor=pot.target_minor,
        covered=pot.covered,
        triggers=pot.on,
    )
    unpaid = _unpaid(pot.dues, (*reserved.payments, *reserved.drawn))
    capital_minor = pot.cash_minor - pot.profit_minor + (0 if pot.state in BUYING else reserved.left_minor)
    back = run(terms.principal, capital_minor, unpaid, triggers=pot.on)
    payments = [*reserved.payments, *back]
    return Paid(released_minor, payments, reserved.drawn, reserved.reserve_minor, _unpaid(unpaid, back))


def covered_dues(ranks: Iterable[Rank]) -> tuple[str, ...]:
    """What a reserve is for: fees, and interest by rank."""
    ranked = sorted((one for one in ranks if one.kind == TRANCHE), key=lambda one: one.rank)
    return (FEES, *(interest(one.name) for one in ranked))


def profit_minor(*, cash_minor: int, invested_minor: int, principal_minor: int) -> int:
    """What of the cash is earned: what cash and capital in assets are above the tranches' principal, as far as cash."""
    return max(min(cash_minor + invested_minor - principal_minor, cash_minor), 0)


def bear(layers: Sequence[Layer], loss_minor: int) -> list[Taken]:
    """Who bears a loss, first layer first; the last is nobody, and has no end."""
    return absorb([*layers, Layer(NOBODY, ENDLESS)], loss_minor)[0]


def give_back(parts: Iterable[Sequence[Taken]], recovered_minor: int) -> list[Taken]:
    """Who is made whole by what is recovered of an asset: whoever bore last first, up to what each bore.

    `parts` are what was borne of the asset so far, and what was given back (negative), in that order.
    """
    still: list[Taken] = []
    for row in parts:
        for name, amount_minor in row:
            if amount_minor > 0:
                still.append(Taken(name, amount_minor))
            else:
                still = _less(still, name, -amount_minor)
    return restore((), still, recovered_minor)[0]


def capital_lost_minor(*, price_minor: int, discount_minor: int, returned_minor: int, written_off_minor: int) -> int:
    """What of an asset's price is lost: what was given up, capital before discount.

    `returned_minor` is what came back or is the seller's debt: discount first.
    """
    return min(written_off_minor, price_minor - max(returned_minor - discount_minor, 0))


def check_move(state: str, to: str) -> None:
    """Refuse (`StateRefused`) a state that does not follow."""
    if to not in MOVES[state]:
        raise StateRefused(f"It is {state}: next may be {', '.join(MOVES[state]) or 'nothing'}.", state=state)


def state_of(terms: Terms, *, state: str, on: Iterable[Trigger], today: date) -> tuple[str, str]:
    """The state that a day brings, and the reason: by its dates, and by the triggers that are on."""
    after, reason = state, ""
    if state == "warehousing" and terms.revolving_from and today >= terms.revolving_from:
        after, reason = "revolving", "revolving_from"
    if after in BUYING and terms.revolving_until and today >= terms.revolving_until:
        after, reason = "amortising", "revolving_until"
    for one in on:
        if one.turns in STATES and STATES.index(one.turns) > STATES.index(after):
            after, reason = one.turns, one.test
    return after, reason


def on(terms: Terms, observed: Mapping[str, int]) -> list[Trigger]:
    """The triggers that are on: their numbers are above their thresholds."""
    return [one for one in terms.triggers if observed[one.test] > one.threshold]


def triggers_on(*, state: str, healthy: bool, tests: Iterable[str]) -> frozenset[str]:
    """What orders of payment can ask for: the state, bad health, and each test whose trigger is on."""
    return frozenset({state, *(() if healthy else (UNHEALTHY,)), *tests})


def check_called(amount_minor: int, *, uncalled_minor: int) -> None:
    """Refuse (`MoreThanCommitted`)."""
    if amount_minor > uncalled_minor:
        fault = Fault("more_than_committed", "/amount_minor", f"not above {uncalled_minor}", amount_minor)
        raise MoreThanCommitted("Less than that is left.", faults=(fault,), left_minor=uncalled_minor)


def check_currency(terms: Terms, *, currency: str | None = None, at: str = "") -> None:
    """Refuse (`OtherCurrency`) a currency that there is not, or that is not the facility's."""
    wanted = terms.purchases["currency"]
    if wanted not in MINOR_DIGITS or currency not in {None, wanted}:
        fault = Fault("other_currency", f"{at}/purchases/currency", currency or "a currency in use, ISO 4217", wanted)
        raise OtherCurrency("A facility has one currency.", faults=(fault,))


def _unpaid(dues: Mapping[str, int], payments: Iterable[Payment]) -> dict[str, int]:
    """What is still due after payments; the rest and the reserve are nobody's due."""
    left = dict(dues)
    for payment in payments:
        if payment.due in left:
            left[payment.due] -= payment.amount_minor
    return left


def _less(still: Sequence[Taken], name: str, amount_minor: int) -> list[Taken]:
    """What is still borne after a layer got something back, of its last part first."""
    kept: list[Taken] = []
    for one in reversed(still):
        back_minor = min(amount_minor, one.amount_minor) if one.name == name else 0
        amount_minor -= back_minor
        if one.amount_minor > back_minor:
            kept.append(Taken(one.name, one.amount_minor - back_minor))
    return kept[::-1]
