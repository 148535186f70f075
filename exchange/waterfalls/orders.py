"""Orders of payment as data: steps, each with one leg or several that share.

An order is JSON: `{"steps": [{"legs": [{"due": "fees"}]}, {"legs": [{"due": "a", "share_ppm": 600000},
{"due": "b", "share_ppm": 400000}], "remainder": "a", "when": "good"}, {"legs": [{"due": "all", "payee": "c"}]}]}`.
A leg pays what is due under its name to its payee (the same name, if none is said); the due `all` takes what is left.
A step with `when` counts while that trigger is on, one with `unless` while it is off. Losses run through the steps
backwards, and what is recovered runs through them forwards: the one undoes the other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from exchange.waterfalls.shares import fill

ALL = "all"
"""The due that takes whatever is left."""
WHOLE_PPM = 1_000_000
MOST_STEPS = 50
MOST_LEGS = 20


class OrderRefused(ValueError):
    """What is wrong with an order: a stable code, and where (an RFC 6901 pointer into the order)."""

    def __init__(self, code: str, pointer: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.pointer = pointer


class Leg(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Who is paid in a step, and up to what; `share_ppm` of the step where several share it."""

    due: str
    payee: str | None = None
    share_ppm: int | None = None

    @property
    def to(self) -> str:
        """Who is paid."""
        return self.payee or self.due


class Step(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """One place in the order. `remainder` is the payee that gets what the shares do not divide."""

    legs: tuple[Leg, ...]
    remainder: str | None = None
    when: str | None = None
    unless: str | None = None

    def counts(self, triggers: frozenset[str]) -> bool:
        """Whether the step is one, with these triggers on."""
        return (self.when is None or self.when in triggers) and self.unless not in triggers


class Order(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Steps, the first before the second."""

    steps: tuple[Step, ...]

    def backwards(self) -> "Order":
        """The order in which losses are borne: whoever is paid last loses first."""
        return Order(self.steps[::-1])


class Payment(NamedTuple):
    """What a leg got: never nothing."""

    due: str
    payee: str
    amount_minor: int


def in_turn(*dues: str) -> Order:
    """The order that pays one after the other."""
    return Order(tuple(Step((Leg(due),)) for due in dues))


def read(
    data: Any,  # noqa: ANN401 - whatever JSON holds
    *,
    dues: Collection[str],
    payees: Collection[str],
    triggers: Collection[str] = (),
) -> Order:
    """The order in `data`, checked against the names there are (`OrderRefused`).

    Codes: not_an_order, no_steps, too_many_steps, no_legs, too_many_legs, unknown_due, unknown_payee, unknown_trigger,
    contradictory_triggers, payee_twice, share_unexpected, share_missing, shares_not_whole, remainder_unexpected,
    remainder_missing, unknown_remainder, after_all.
    """
    try:
        order = msgspec.convert(data, Order)
    except msgspec.ValidationError as error:
        raise OrderRefused("not_an_order", "", str(error)) from None
    if not order.steps:
        raise OrderRefused("no_steps", "/steps", "an order has at least one step")
    if len(order.steps) > MOST_STEPS:
        raise OrderRefused("too_many_steps", "/steps", f"not more than {MOST_STEPS}")
    ended = False
    for number, step in enumerate(order.steps):
        at = f"/steps/{number}"
        if ended:
            raise OrderRefused("after_all", at, "a step before it takes all that is left: nothing gets here")
        _check_legs(step, at, {*dues, ALL}, payees)
        _check_shares(step, at)
        _check_triggers(step, at, triggers)
        ended = step.when is step.unless is None and any(leg.due == ALL for leg in step.legs)
    return order


def run(
    order: Order, available_minor: int, dues: Mapping[str, int], *, triggers: frozenset[str] = frozenset()
) -> list[Payment]:
    """Pay what is available by the order. What no step takes is left: the payments sum to the rest, or to all."""
    return list(_run(order, available_minor, dict(dues), triggers))


def losses(
    order: Order, loss_minor: int, stakes: Mapping[str, int], *, triggers: frozenset[str] = frozenset()
) -> list[Payment]:
    """Who bears a loss, of what each has at stake: the order backwards."""
    return run(order.backwards(), loss_minor, stakes, triggers=triggers)


def recoveries(
    order: Order, recovered_minor: int, lost: Mapping[str, int], *, triggers: frozenset[str] = frozenset()
) -> list[Payment]:
    """Who gets what is recovered, up to what each lost: the order itself, so that the last to lose is the first."""
    return run(order, recovered_minor, lost, triggers=triggers)


def _run(order: Order, left_minor: int, dues: dict[str, int], triggers: frozenset[str]) -> Iterator[Payment]:
    for step in order.steps:
        if not left_minor:
            return
        if not step.counts(triggers):
            continue
        caps = [left_minor if leg.due == ALL else min(dues.get(leg.due, 0), left_minor) for leg in step.legs]
        for leg, amount_minor in zip(step.legs, _shared(step, left_minor, caps), strict=True):
            if amount_minor:
                yield Payment(leg.due, leg.to, amount_minor)
                left_minor -= amount_minor
                if leg.due != ALL:
                    dues[leg.due] -= amount_minor


def _shared(step: Step, left_minor: int, caps: Sequence[int]) -> list[int]:
    if len(caps) == 1:
        return [caps[0]]
    named = next(place for place, leg in enumerate(step.legs) if leg.to == step.remainder)
    return fill(left_minor, dues=caps, weights=[leg.share_ppm or 0 for leg in step.legs], named=named)


def _check_legs(step: Step, at: str, dues: Collection[str], payees: Collection[str]) -> None:
    if not step.legs:
        raise OrderRefused("no_legs", f"{at}/legs", "a step pays somebody")
    if len(step.legs) > MOST_LEGS:
        raise OrderRefused("too_many_legs", f"{at}/legs", f"not more than {MOST_LEGS}")
    for number, leg in enumerate(step.legs):
        if leg.due not in dues:
            raise OrderRefused("unknown_due", f"{at}/legs/{number}/due", f"one of {', '.join(sorted(dues))}")
        if leg.to not in payees:
            raise OrderRefused("unknown_payee", f"{at}/legs/{number}/payee", f"one of {', '.join(sorted(payees))}")
    for names in ([leg.to for leg in step.legs], [leg.due for leg in step.legs]):
        if len(set(names)) < len(names):
            raise OrderRefused("payee_twice", f"{at}/legs", "a payee and a due are named once in a step")


def _check_shares(step: Step, at: str) -> None:
    """Several legs share the whole, none nothing, and one of them takes the remainder; a single one takes it all."""
    shares = [leg.share_ppm for leg in step.legs]
    if len(shares) == 1:
        if shares[0] is not None:
            raise OrderRefused("share_unexpected", f"{at}/legs/0/share_ppm", "alone in a step, it shares with nobody")
        if step.remainder is not None:
            raise OrderRefused("remainder_unexpected", f"{at}/remainder", "nothing is divided in this step")
        return
    if None in shares or any((share or 0) <= 0 for share in shares):
        raise OrderRefused("share_missing", f"{at}/legs", "each has a share above 0")
    total_ppm = sum(share or 0 for share in shares)
    if total_ppm != WHOLE_PPM:
        raise OrderRefused("shares_not_whole", f"{at}/legs", f"shares add up to {WHOLE_PPM} ppm, not {total_ppm}")
    if step.remainder is None:
        raise OrderRefused("remainder_missing", f"{at}/remainder", "say who gets what the shares do not divide")
    if step.remainder not in {leg.to for leg in step.legs}:
        raise OrderRefused("unknown_remainder", f"{at}/remainder", "one of the step's own payees")


def _check_triggers(step: Step, at: str, triggers: Collection[str]) -> None:
    if step.when is not None and step.when == step.unless:
        raise OrderRefused("contradictory_triggers", at, "the step would never count")
    for member, name in (("when", step.when), ("unless", step.unless)):
        if name is not None and name not in triggers:
            raise OrderRefused("unknown_trigger", f"{at}/{member}", f"one of {', '.join(sorted(triggers))}")
