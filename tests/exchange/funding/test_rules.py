"""When an offer can be answered, what an answer takes, and the one transfer of a purchase."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.funding.rules import (
    ANSWER_BY,
    NotInOffer,
    OfferNotOpen,
    Purchased,
    check_open,
    chosen,
    purchase_transfer,
    valid_until,
)

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
ZONES = st.sampled_from(["Asia/Shanghai", "UTC", "America/New_York", "Pacific/Apia", "Asia/Kathmandu"])
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(MOMENTS, ZONES)
@example(datetime(2026, 3, 8, 17, tzinfo=UTC), "America/New_York")
@example(datetime(2011, 12, 30, 0, tzinfo=UTC), "Pacific/Apia")
def test_an_offer_is_valid_until_the_next_deadline(made_at: datetime, zone: str) -> None:
    """Always in UTC, later than it was made, and the first one o'clock where business is done."""
    until = valid_until(made_at, time_zone=zone)
    assert until.astimezone(ZoneInfo(zone)).time() == ANSWER_BY == time(13)
    assert until.tzinfo is UTC
    assert made_at < until
    assert until - made_at <= timedelta(hours=25) or zone == "Pacific/Apia"


@pytest.mark.parametrize(("made", "until"), [((4, 59), (2, 5)), ((5, 0), (3, 5)), ((5, 1), (3, 5)), ((16, 0), (3, 5))])
def test_deadlines_in_shanghai(made: tuple[int, int], until: tuple[int, int]) -> None:
    """One o'clock is five UTC; an offer made at that moment has the next day."""
    made_at = datetime(2026, 3, 2, *made, tzinfo=UTC)
    day, hour = until
    assert valid_until(made_at, time_zone="Asia/Shanghai") == datetime(2026, 3, day, hour, tzinfo=UTC)


def test_open_until_the_last_moment() -> None:
    """Before its deadline an offer without an outcome is open; at the deadline it is not."""
    check_open(outcome=None, valid_until=NOON, now=NOON - timedelta(microseconds=1))
    with pytest.raises(OfferNotOpen, match="valid until 2026-03-02T04:00:00Z"):
        check_open(outcome=None, valid_until=NOON, now=NOON)


@pytest.mark.parametrize("outcome", ["committed", "refused", "lapsed"])
def test_one_answer_only(outcome: str) -> None:
    """An offer that has an outcome says which."""
    with pytest.raises(OfferNotOpen) as refusal:
        check_open(outcome=outcome, valid_until=NOON, now=NOON - timedelta(hours=1))
    assert refusal.value.numbers == {"outcome": outcome}


@given(st.sets(st.sampled_from("abcd")), st.none() | st.lists(st.sampled_from("abcde")))
def test_a_commitment_takes_what_it_names(offered: set[str], named: list[str] | None) -> None:
    """Nothing named is all; else exactly what is named, if it is offered; every stranger is pointed at."""
    strangers = [f"/asset_ids/{place}" for place, one in enumerate(named or []) if one not in offered]
    if strangers:
        with pytest.raises(NotInOffer) as refusal:
            chosen(named, offered=offered)
        assert [fault.pointer for fault in refusal.value.faults] == strangers
    else:
        assert chosen(named, offered=offered) == (offered if named is None else set(named))


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 10**15), st.integers(1, 10**15)), min_size=1, max_size=9),
    st.integers(0, 10**15),
)
def test_a_purchase_is_delivery_against_payment(rows: list[tuple[str, int, int]], unspent_minor: int) -> None:
    """One transfer: the whole hold is used, sellers get their prices, the funder the faces, and all sums to zero."""
    assets = [Purchased(f"a{n}", seller, face, price) for n, (seller, face, price) in enumerate(rows)]
    spent_minor = sum(asset.price_minor for asset in assets)
    transfer = purchase_transfer(
        "ofr",
        funder_id="f",
        currency="CNY",
        assets=assets,
        held_minor=spent_minor + unspent_minor,
        effective_date=date(2026, 3, 2),
    )
    sums: Counter[str] = Counter()
    amounts: Counter[tuple[str, str]] = Counter()
    for leg in transfer.legs:
        assert leg.amount_minor
        sums[leg.commodity] += leg.amount_minor
        amounts[leg.path, leg.commodity] += leg.amount_minor
    assert not any(sums.values())
    assert amounts["funder/f/reserved", "CNY/2"] == -spent_minor - unspent_minor
    assert amounts["funder/f/cash", "CNY/2"] == unspent_minor
    for seller in "xyz":
        owed = sum(asset.price_minor for asset in assets if asset.holder_id == seller)
        assert amounts[f"seller/{seller}/cash", "CNY/2"] == owed
    assert all(amounts["funder/f/title", asset.asset_id] == asset.face_minor for asset in assets)
