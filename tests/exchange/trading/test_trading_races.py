"""Several at once, and deaths in the middle: an auction ends once, an asset is sold once, nothing is half done."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from exchange.trading import closing, jobs
from tests.exchange.house import House, receipt
from tests.exchange.pools.contention import at_once, held_back, terminate
from tests.exchange.pools.shared import twin
from tests.exchange.pools.soundness import claims, money, sound
from tests.exchange.settlement.book import rows
from tests.exchange.trading.floor import FACE, bid, bid_body, bids, fresh, mandate_of, offer, owned, put_up

CLAIMS = "SELECT FROM claim FOR UPDATE"
AUCTIONS = "SELECT FROM auction FOR UPDATE"


def taking(house: House, funder: int, listing_id: str, **changes: object) -> Callable[[], int]:
    """A funder's program that takes a listing; the status it gets."""
    client = twin(house, house.funders[funder])
    body = {"mandate_id": mandate_of(house, funder)} | changes
    return lambda: client.call("POST", f"/v1/listings/{listing_id}/purchases", body=body).status_code


def clearing(house: House, auction_id: str) -> Callable[[], None]:
    """A worker that clears an auction."""

    def work() -> None:
        with house.services.database.transaction() as session:
            jobs.clear(house.services, session, {"auction_id": auction_id})

    return work


def paying(house: House, asset_id: str) -> Callable[[], Any]:
    """The bank's program, with a payment of the whole asset."""
    lines = {"items": [receipt(asset_id, FACE, value_date=house.today)]}
    return partial(twin(house, house.operator).post, "/v1/receipts", lines)


def test_two_closers_and_a_late_bid(copy: House) -> None:
    """Of two workers one clears, the other finds it done; a bid that waits for them comes too late."""
    copy.move(9, days=1)
    (asset_id,) = fresh(copy)
    auction_id = put_up(copy, [asset_id])
    bid(copy, auction_id, 0, 500)
    copy.operator.put("/v1/clock", {"now": f"{copy.today}T05:00:00Z"})
    late = twin(copy, copy.funders[1])
    body = bid_body(copy, 1, 1)
    path = f"/v1/auctions/{auction_id}/bids"
    work = clearing(copy, auction_id)
    results = at_once(copy.services, AUCTIONS, work, work, lambda: late.call("POST", path, body=body).status_code)
    assert results == [None, None, 409]
    assert [one["state"] for one in bids(copy, 0, auction_id)] == ["won"]
    assert rows(copy, "SELECT count(*) FROM offer") == [(1,)]
    sound(copy)


@pytest.mark.parametrize("step", ["certificate", "offer_pools", "_keep_bids"])
def test_a_crash_in_the_middle_of_the_close(copy: House, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whatever fails in the middle leaves the auction as it was, bids under seal; the next try clears it."""
    copy.move(9, days=1)
    (asset_id,) = fresh(copy)
    auction_id = put_up(copy, [asset_id], min_part_minor=1)
    bid(copy, auction_id, 0, 500, amount_minor=1_000)
    copy.operator.put("/v1/clock", {"now": f"{copy.today}T05:00:00Z"})

    def die(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(closing, step, die)
        with pytest.raises(ConnectionError):
            clearing(copy, auction_id)()
    assert [one["state"] for one in bids(copy, 0, auction_id)] == ["sealed"]
    assert money(copy, 0)[1] == 1_000
    assert claims(copy)[asset_id] == "free"
    sound(copy)
    clearing(copy, auction_id)()
    assert [one["taken_minor"] for one in bids(copy, 0, auction_id)] == [1_000]
    sound(copy)


def test_two_takers(copy: House) -> None:
    """One has it; the other is told that it is over. Of parts each has its own."""
    whole, shared = owned(copy, 2)
    listing_id = offer(copy, whole)
    assert sorted(at_once(copy.services, CLAIMS, *(taking(copy, one, listing_id) for one in (1, 2)))) == [201, 409]
    sound(copy)
    listing_id = offer(copy, shared, min_part_minor=1)
    half = {"part_minor": FACE // 2}
    assert at_once(copy.services, CLAIMS, *(taking(copy, one, listing_id, **half) for one in (1, 2))) == [201, 201]
    assert {one["state"] for one in copy.funders[0].get("/v1/listings?of=mine")["items"]} == {"sold"}
    sound(copy)


def test_a_payment_and_a_taker(copy: House) -> None:
    """Whichever comes first, the money of the payment is the holder's of that moment, and nobody buys what is paid."""
    asset_id, other = owned(copy, 2)
    for one, order in ((asset_id, 1), (other, -1)):
        calls = [paying(copy, one), taking(copy, 1, offer(copy, one))][::order]
        at_once(copy.services, CLAIMS, *calls)
        assert claims(copy)[one] == "closed"
        sound(copy)


def test_killed_in_the_middle_of_a_trade(copy: House) -> None:
    """The taker's connection dies while it waits for the books: asked again with its key it buys, once."""
    (asset_id,) = owned(copy)
    listing_id = offer(copy, asset_id)
    client, body = twin(copy, copy.funders[1]), {"mandate_id": mandate_of(copy, 1)}
    path = f"/v1/listings/{listing_id}/purchases"
    buy = partial(client.call, "POST", path, body=body, key="once")
    with held_back(copy.services, "SELECT FROM books_balances FOR UPDATE", buy) as (first,):
        terminate(copy.services)
    with suppress(OperationalError):
        assert first.result().status_code in {201, 503}
    assert buy().status_code == 201
    assert rows(copy, "SELECT count(*) FROM trade_side") == [(2,)]
    sound(copy)
