"""Who stands between a loss and the senior: tranches and covers in layers, and a reserve account.

A layer bears a loss up to what is left of it; a cover may have a cap for each loss besides. What is recovered comes
back in reverse: the layer that was hit last is made whole first.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from exchange.waterfalls.orders import Order, Payment, run


class Layer(NamedTuple):
    """Something that bears losses: what is left of it, and at most what of each loss."""

    name: str
    left_minor: int
    per_loss_minor: int | None = None
    per_loss_ppm: int | None = None

    def takes(self, rest_minor: int, *, loss_minor: int) -> int:
        """How much it takes of what other layers left of a loss; a share of a loss is rounded down."""
        caps = [rest_minor, self.left_minor]
        if self.per_loss_minor is not None:
            caps.append(self.per_loss_minor)
        if self.per_loss_ppm is not None:
            caps.append(loss_minor * self.per_loss_ppm // 1_000_000)
        return min(caps)


class Taken(NamedTuple):
    """What a layer bore of a loss: never nothing."""

    name: str
    amount_minor: int


class Reserved(NamedTuple):
    """What was paid out of collections and out of the reserve, and what the reserve has after it."""

    payments: list[Payment]
    drawn: list[Payment]
    reserve_minor: int
    left_minor: int


def absorb(layers: Sequence[Layer], loss_minor: int) -> tuple[list[Taken], list[Layer], int]:
    """Who bears a loss, first layer first; the layers after it; and what none of them bears."""
    rest_minor, taken, after = loss_minor, [], []
    for layer in layers:
        amount_minor = layer.takes(rest_minor, loss_minor=loss_minor)
        if amount_minor:
            taken.append(Taken(layer.name, amount_minor))
        after.append(layer._replace(left_minor=layer.left_minor - amount_minor))
        rest_minor -= amount_minor
    return taken, after, rest_minor


def restore(
    layers: Sequence[Layer], taken: Sequence[Taken], recovered_minor: int
) -> tuple[list[Taken], list[Layer], int]:
    """Give back what is recovered of a loss, in reverse: who gets it, the layers after it, and what is left over.

    `taken` is what each bore of it and was not given back yet, in the order in which it did.
    """
    rest_minor, given = recovered_minor, []
    for name, lost_minor in reversed(taken):
        amount_minor = min(rest_minor, lost_minor)
        if amount_minor:
            given.append(Taken(name, amount_minor))
        rest_minor -= amount_minor
    back: dict[str, int] = {}
    for name, amount_minor in given:
        back[name] = back.get(name, 0) + amount_minor
    after = [layer._replace(left_minor=layer.left_minor + back.get(layer.name, 0)) for layer in layers]
    return given, after, rest_minor


def pay_with_reserve(
    order: Order,
    available_minor: int,
    dues: Mapping[str, int],
    *,
    reserve_minor: int,
    target_minor: int,
    covered: Sequence[str],
    triggers: frozenset[str] = frozenset(),
) -> Reserved:
    """Pay by an order in which the due `reserve` fills a reserve account to its target; then the reserve pays.

    It pays what is still due under the names in `covered`, in their order, and what the order put into it just now is
    part of it.
    """
    wanted = dict(dues) | {"reserve": max(target_minor - reserve_minor, 0)}
    payments = run(order, available_minor, wanted, triggers=triggers)
    for payment in payments:
        if payment.due in wanted:
            wanted[payment.due] -= payment.amount_minor
    held_minor = reserve_minor + sum(payment.amount_minor for payment in payments if payment.due == "reserve")
    drawn = []
    payees = {leg.due: leg.to for step in order.steps for leg in step.legs}
    for due in covered:
        amount_minor = min(held_minor, wanted.get(due, 0))
        if amount_minor:
            drawn.append(Payment(due, payees.get(due, due), amount_minor))
            held_minor -= amount_minor
    left_minor = available_minor - sum(payment.amount_minor for payment in payments)
    return Reserved(payments, drawn, held_minor, left_minor)
