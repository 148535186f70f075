"""Orders of payment against examples worked out by hand, and what has to hold of any."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.shares import apportion
from exchange.waterfalls import layers as stack
from exchange.waterfalls.layers import Layer, Taken
from exchange.waterfalls.orders import (
    ALL,
    Leg,
    Order,
    OrderRefused,
    Payment,
    Step,
    in_turn,
    losses,
    read,
    recoveries,
    run,
)
from exchange.waterfalls.shares import fill

VECTORS = Path(__file__).parents[2] / "vectors" / "waterfalls"
NAMES = ("a", "b", "c", "d")
amounts = st.integers(0, 10**15)


def golden(name: str) -> dict[str, Any]:
    """The examples of a file."""
    found: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return found


def cases(part: str, *names: str) -> list[Any]:
    """Each example of a part of the files, with its file's order."""
    return [
        pytest.param(golden(name), case, id=f"{name}-{number}")
        for name in names
        for number, case in enumerate(golden(name)[part])
    ]


def order_of(file: dict[str, Any]) -> Order:
    """The order of a file, read as anybody's is."""
    legs = [leg for step in file["order"]["steps"] for leg in step["legs"]]
    dues, payees = {leg["due"] for leg in legs} - {ALL}, {leg.get("payee", leg["due"]) for leg in legs}
    return read(file["order"], dues=dues, payees=payees, triggers=file.get("triggers", ()))


def told(payments: list[Payment]) -> list[list[object]]:
    """Payments as the files write them."""
    return [list(payment) for payment in payments]


@pytest.mark.parametrize(("file", "case"), cases("cases", "single_asset", "pool"))
def test_payments_as_worked_out(file: dict[str, Any], case: dict[str, Any]) -> None:
    """Who gets what of a collection, and what is left."""
    payments = run(order_of(file), case["available_minor"], case["dues"], triggers=frozenset(case.get("on", ())))
    assert told(payments) == case["payments"], case["why"]
    assert case["available_minor"] - sum(payment.amount_minor for payment in payments) == case["left_minor"]


@pytest.mark.parametrize(("file", "case"), cases("losses", "single_asset"))
def test_losses_as_worked_out(file: dict[str, Any], case: dict[str, Any]) -> None:
    """Who bears a loss, and who gets what comes back."""
    order = order_of(file)
    borne = losses(order, case["loss_minor"], case["stakes"])
    assert told(borne) == case["borne"], case["why"]
    lost = {payment.due: payment.amount_minor for payment in borne}
    assert told(recoveries(order, case["recovered_minor"], lost)) == case["given"], case["why"]


@pytest.mark.parametrize(("file", "case"), cases("reserve", "pool"))
def test_the_reserve_as_worked_out(file: dict[str, Any], case: dict[str, Any]) -> None:
    """What fills the reserve and what it pays."""
    found = stack.pay_with_reserve(
        order_of(file),
        case["available_minor"],
        case["dues"],
        reserve_minor=case["reserve_minor"],
        target_minor=case["target_minor"],
        covered=case["covered"],
    )
    assert (told(found.payments), told(found.drawn)) == (case["payments"], case["drawn"]), case["why"]
    assert (found.reserve_minor, found.left_minor) == (case["reserve_after_minor"], case["left_minor"])


@pytest.mark.parametrize(("file", "case"), cases("cases", "layers"))
def test_layers_as_worked_out(file: dict[str, Any], case: dict[str, Any]) -> None:
    """Losses through the layers, recoveries back."""
    assert file["why"]
    taken, after, unborne = stack.absorb([Layer(*one) for one in case["layers"]], case["loss_minor"])
    assert [list(one) for one in taken] == case["taken"], case["why"]
    assert ([one.left_minor for one in after], unborne) == (case["after"], case["unborne_minor"])
    given_back, restored, left = stack.restore(after, taken, case["recovered_minor"])
    assert [list(one) for one in given_back] == case["given"], case["why"]
    assert ([one.left_minor for one in restored], left) == (case["restored"], case["left_minor"])


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Any order of four dues, alone or sharing steps, with or without somebody who takes all at the end."""
    names = draw(st.permutations(NAMES))
    steps = []
    while names:
        some, names = names[: (size := draw(st.integers(1, len(names))))], names[size:]
        if len(some) == 1:
            steps.append(Step((Leg(some[0]),)))
            continue
        cuts = sorted(draw(st.sets(st.integers(1, 999_999), min_size=len(some) - 1, max_size=len(some) - 1)))
        shares = [high - low for low, high in zip([0, *cuts], [*cuts, 1_000_000], strict=True)]
        legs = tuple(Leg(name, share_ppm=share) for name, share in zip(some, shares, strict=True))
        steps.append(Step(legs, remainder=draw(st.sampled_from(some))))
    if draw(st.booleans()):
        steps.append(Step((Leg(ALL, payee="rest"),)))
    return Order(tuple(steps))


dues_of_all = st.fixed_dictionaries(dict.fromkeys(NAMES, amounts))


@settings(max_examples=60)
@given(orders(), amounts, dues_of_all)
def test_nothing_is_lost_and_nobody_gets_more_than_is_due(order: Order, available: int, dues: dict[str, int]) -> None:
    """What is paid is all there is, or all that is due; and the order reads back as it is written."""
    payments = run(order, available, dues)
    paid = sum(payment.amount_minor for payment in payments)
    takes_all = order.steps[-1].legs[0].due == ALL
    assert paid == (available if takes_all else min(available, sum(dues.values())))
    assert all(payment.amount_minor > 0 for payment in payments)
    assert all(payment.amount_minor <= dues.get(payment.due, available) for payment in payments)
    data = {"steps": [json.loads(json.dumps(_as_data(step))) for step in order.steps]}
    assert read(data, dues=NAMES, payees=(*NAMES, "rest")) == order


def _as_data(step: Step) -> dict[str, Any]:
    legs = [
        {name: value for name, value in (("due", leg.due), ("payee", leg.payee), ("share_ppm", leg.share_ppm)) if value}
        for leg in step.legs
    ]
    return {"legs": legs} | ({"remainder": step.remainder} if step.remainder else {})


@settings(max_examples=60)
@given(orders(), amounts, st.integers(0, 10**6), dues_of_all)
def test_more_money_takes_nothing_from_anybody(order: Order, available: int, more: int, dues: dict[str, int]) -> None:
    """Steps are served in turn: each gets at least what it got; inside a step a rounding may move a unit a leg."""
    less, enough = run(order, available, dues), run(order, available + more, dues)
    for step in order.steps:
        own = {leg.due for leg in step.legs}
        before, after = ({one.due: one.amount_minor for one in some if one.due in own} for some in (less, enough))
        assert sum(before.values()) <= sum(after.values())
        slack = len(own) - 1
        assert all(after.get(due, 0) >= amount - slack for due, amount in before.items())


@settings(max_examples=60)
@given(orders(), amounts, dues_of_all, st.lists(st.integers(0, 10**15), max_size=4))
def test_a_loss_that_is_recovered_leaves_no_trace(
    order: Order, loss: int, stakes: dict[str, int], parts: list[int]
) -> None:
    """However many pieces it comes back in, everybody has what it had; what is too much is left."""
    order = Order(tuple(step for step in order.steps if step.legs[0].due != ALL))
    lost = {payment.due: payment.amount_minor for payment in losses(order, loss, stakes)}
    assert sum(lost.values()) == min(loss, sum(stakes.values()))
    open_losses = dict(lost)
    for part in [*parts, 10**16]:
        for payment in recoveries(order, part, open_losses):
            open_losses[payment.due] -= payment.amount_minor
    assert not any(open_losses.values())


@settings(max_examples=60)
@given(st.lists(st.tuples(amounts, st.integers(1, 10**6)), min_size=1, max_size=6), amounts, st.data())
def test_shares_fill_up(legs: list[tuple[int, int]], total: int, data: st.DataObject) -> None:
    """Nobody above its due, all of it given; where nobody is full, each within a unit of its share but the named."""
    dues, weights = [due for due, _ in legs], [weight for _, weight in legs]
    named = data.draw(st.integers(0, len(legs) - 1))
    given_out = fill(total, dues=dues, weights=weights, named=named)
    assert sum(given_out) == min(total, sum(dues))
    assert all(0 <= got <= due for got, due in zip(given_out, dues, strict=True))
    if all(got < due for got, due in zip(given_out, dues, strict=True)):
        exact = [total * weight // sum(weights) for weight in weights]
        assert [got for place, got in enumerate(given_out) if place != named] == [
            share for place, share in enumerate(exact) if place != named
        ]


def test_where_the_named_leg_is_full_the_largest_remainder_counts() -> None:
    """10 over 1:1:1 with the named one full at 1: 9 for two, 5 to the earlier of two equals."""
    assert fill(10, dues=[1, 100, 100], weights=[1, 1, 1], named=0) == [1, 5, 4]
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]


layer_lists = st.lists(
    st.tuples(amounts, st.none() | amounts, st.none() | st.integers(0, 10**6)), min_size=1, max_size=5
)


@settings(max_examples=60)
@given(layer_lists, amounts, st.lists(amounts, max_size=3))
def test_layers_keep_every_unit(rooms: list[tuple[int, int | None, int | None]], loss: int, back: list[int]) -> None:
    """Borne and unborne are the loss; no layer bears more than it may; what comes back fills the last hit first."""
    made = [Layer(f"layer-{place}", *room) for place, room in enumerate(rooms)]
    taken, after, unborne = stack.absorb(made, loss)
    assert sum(one.amount_minor for one in taken) + unborne == loss
    assert all(0 <= layer.left_minor <= old.left_minor for layer, old in zip(after, made, strict=True))
    for old, new in zip(made, after, strict=True):
        cap = old.per_loss_minor
        assert cap is None or old.left_minor - new.left_minor <= cap
    now, open_losses = after, list(taken)
    for amount in [*back, 10**16]:
        given_back, now, left = stack.restore(now, open_losses, amount)
        assert sum(one.amount_minor for one in given_back) + left == amount
        got = {one.name: one.amount_minor for one in given_back}
        open_losses = [Taken(name, lost - got.get(name, 0)) for name, lost in open_losses]
    assert now == made


def _broken(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """A right order, spoiled."""
    order = {
        "steps": [
            {"legs": [{"due": "a"}]},
            {"legs": [{"due": "b", "share_ppm": 400_000}, {"due": "c", "share_ppm": 600_000}], "remainder": "b"},
            {"legs": [{"due": "all", "payee": "d"}]},
        ]
    }
    change(order)
    return order


PAIR = "/steps/1/legs"


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        (lambda order: order.update(steps=[]), "no_steps", "/steps"),
        (lambda order: order.update(steps="a"), "not_an_order", ""),
        (lambda order: order["steps"][0].update(then="b"), "not_an_order", ""),
        (lambda order: order.update(steps=order["steps"][:1] * 51), "too_many_steps", "/steps"),
        (lambda order: order["steps"][0].update(legs=[]), "no_legs", "/steps/0/legs"),
        (lambda order: order["steps"][0].update(legs=[{"due": "a"}] * 21), "too_many_legs", "/steps/0/legs"),
        (lambda order: order["steps"][0]["legs"][0].update(due="x"), "unknown_due", "/steps/0/legs/0/due"),
        (lambda order: order["steps"][0]["legs"][0].update(payee="x"), "unknown_payee", "/steps/0/legs/0/payee"),
        (lambda order: order["steps"][1]["legs"][1].update(due="b"), "payee_twice", PAIR),
        (lambda order: order["steps"][1]["legs"][1].update(payee="b"), "payee_twice", PAIR),
        (
            lambda order: order["steps"][0]["legs"][0].update(share_ppm=1),
            "share_unexpected",
            "/steps/0/legs/0/share_ppm",
        ),
        (lambda order: order["steps"][0].update(remainder="a"), "remainder_unexpected", "/steps/0/remainder"),
        (lambda order: order["steps"][1]["legs"][0].pop("share_ppm"), "share_missing", PAIR),
        (lambda order: order["steps"][1]["legs"][0].update(share_ppm=0), "share_missing", PAIR),
        (lambda order: order["steps"][1]["legs"][0].update(share_ppm=400_001), "shares_not_whole", PAIR),
        (lambda order: order["steps"][1]["legs"][0].update(share_ppm=399_999), "shares_not_whole", PAIR),
        (lambda order: order["steps"][1].pop("remainder"), "remainder_missing", "/steps/1/remainder"),
        (lambda order: order["steps"][1].update(remainder="a"), "unknown_remainder", "/steps/1/remainder"),
        (lambda order: order["steps"].append({"legs": [{"due": "a"}]}), "after_all", "/steps/3"),
        (lambda order: order["steps"][0].update(when="storm"), "unknown_trigger", "/steps/0/when"),
        (lambda order: order["steps"][0].update(unless="storm"), "unknown_trigger", "/steps/0/unless"),
        (lambda order: order["steps"][0].update(when="late", unless="late"), "contradictory_triggers", "/steps/0"),
    ],
)
def test_what_is_wrong_with_an_order(change: Callable[[dict[str, Any]], None], code: str, pointer: str) -> None:
    """One refusal each, with its place."""
    with pytest.raises(OrderRefused) as refused:
        read(_broken(change), dues=NAMES, payees=NAMES, triggers=("late",))
    assert (refused.value.code, refused.value.pointer) == (code, pointer)
    assert str(refused.value)


def test_after_a_conditional_all_somebody_may_follow() -> None:
    """While the trigger is off, money goes on to the next."""
    data = {"steps": [{"legs": [{"due": "all", "payee": "a"}], "when": "late"}, {"legs": [{"due": "b"}]}]}
    order = read(data, dues=NAMES, payees=NAMES, triggers=("late",))
    assert run(order, 5, {"b": 5}) == [Payment("b", "b", 5)]
    assert run(order, 5, {"b": 5}, triggers=frozenset({"late"})) == [Payment(ALL, "a", 5)]


def test_what_is_due_is_paid_once() -> None:
    """A due that is named in two steps is paid up to its amount in both together."""
    assert run(in_turn("a", "a", "b"), 10, {"a": 6, "b": 9}) == [Payment("a", "a", 6), Payment("b", "b", 4)]
