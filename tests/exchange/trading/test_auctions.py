"""An auction from end to end, over HTTP."""

import hashlib

from tests.exchange.house import House
from tests.exchange.pools.soundness import claims, money, sound
from tests.exchange.trading.floor import CASH, FACE, bid, bids, fresh, lot, put_up, told


def test_the_lowest_discount_wins(house: House) -> None:
    """Three bid under seal; at the close one wins, the others have their money back; at the cut-off it is bought."""
    (asset_id,) = fresh(house)
    auction_id = put_up(house, [asset_id])
    taken = [bid(house, auction_id, funder, bps) for funder, bps in enumerate((640, 510, 700))]
    assert [one["held_minor"] for one in taken] == [FACE] * 3
    assert money(house, 0) == (CASH - FACE, FACE)
    house.move(13, 50)
    outcome = [bids(house, funder, auction_id)[0] for funder in range(3)]
    assert [(one["state"], one["reason"], one["rate_bps"]) for one in outcome] == [
        ("lost", "outbid", None),
        ("won", None, 510),
        ("lost", "outbid", None),
    ]
    for one, first in zip(outcome, taken, strict=True):
        assert hashlib.sha256(one["opened"].encode()).hexdigest() == first["digest"] == one["digest"]
    assert claims(house)[asset_id] == "committed"
    assert lot(house, auction_id)[0]["sold_minor"] == FACE
    sound(house)
    house.move(14, 0)
    assert claims(house)[asset_id] == "assigned"
    price = FACE - -(-FACE * 510 * 60 // 3_600_000)
    assert money(house, 1) == (CASH - price, 0)
    assert money(house, 0) == (CASH, 0)
    assert told(house, 1, "bid.won")[-1]["rate_bps"] == 510
    assert told(house, 2, "bid.lost")[-1]["reason"] == "outbid"
    sound(house)
