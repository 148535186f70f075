"""The certificate of an auction: its market, what was allotted, and a bound in closed form, without any solver.

Each bid is a mandate of the market, each asset a receivable whose seller asks for the reserve. The allotment is strict
in price, to the basis point, so it is not searched for: the clearing's branch and bound ends at a gap of 0.1 %, which
is more than one basis point over a month. The price of a bid's amount is what it is better than the last one served:
where only amounts bind and tenors are equal, value and bound are equal, and the certificate proves that the lowest
discounts won. Limits that mandates set themselves are not in it: they only take options away, so the bound holds.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np

from exchange.clearing.certificate import Document, certify, market_document
from exchange.clearing.market import FINANCED, Cap, Mandates, Market, Receivables
from exchange.clearing.solve import Answer
from exchange.pools.rules import FreeAsset
from exchange.schedules.schedule import average_due_date
from exchange.trading.allotment import Allotment, Auctioned, Bid, lot_rates
from ledger.verify.certificate import NO_KEY, QUANTUM, bound_of, check_entries

AMOUNT = "amount"


def certificate(
    auctioned: Auctioned, bids: Sequence[Bid], allotment: Allotment, *, seed: bytes, secret: bytes, today: date
) -> Document:
    """The certificate of an allotment; bids are the mandates of the market in the order given, parts salted."""
    place = {asset.asset_id: at for at, asset in enumerate(auctioned.assets)}
    number = {bid.bid_id: at for at, bid in enumerate(bids)}
    entries = sorted((place[one.asset_id], number[one.bid_id], one.amount_minor) for one in allotment.awards)
    market = market_of(auctioned, bids, today=today)
    stated = market_document(market)
    prices = tuple(_prices(auctioned, bids, allotment, today=today))
    value, bound = check_entries(stated, entries, range(len(bids))), bound_of(stated, prices)
    return certify(market, Answer(tuple(entries), prices, value, bound, complete=True), seed=seed, secret=secret)


def market_of(auctioned: Auctioned, bids: Sequence[Bid], *, today: date) -> Market:
    """An auction as a market. A bid takes its own lot's assets; of a lot that goes whole, all of them or none."""
    lots, least_minor, assets, count = auctioned.lots, auctioned.least_minor, auctioned.assets, len(bids)
    size = len(assets)
    lot_of = np.array([lot for lot, held in lots.items() for _ in held], np.int64)
    obligors = sorted({asset.obligor for asset in assets})
    limit = [[max(auctioned.rooms.get(obligor, 0), 0) for obligor in obligors]]
    nought, own = np.zeros(size, np.int64), np.arange(count)
    receivables = Receivables(
        face=np.array([asset.face_minor for asset in assets], np.int64),
        tenor=np.array([tenor_days(asset, on=today) for asset in assets], np.int64),
        grade=nought, product=nought, sector=lot_of, currency=nought,
        ask=np.full(size, auctioned.reserve_bps),
        recourse=np.ones(size, bool),
        split=np.full(size, least_minor is not None),
        keys={"obligor": np.array([obligors.index(asset.obligor) for asset in assets], np.int64)},
    )  # fmt: skip
    totals = {lot: sum(asset.face_minor for asset in held) for lot, held in lots.items()}
    wanted = np.array([bid.lot for bid in bids], np.int64)
    mandates = Mandates(
        currency=np.zeros(count, np.int64),
        max_grade=np.zeros(count, np.int64),
        max_tenor=np.full(count, int(receivables.tenor.max(initial=0))),
        rates=np.array([[bid.discount_bps] for bid in bids], np.int64).reshape(count, 1),
        products=np.ones((count, 1), bool),
        sectors=wanted[:, None] == np.arange(max(lots, default=-1) + 1)[None, :],
        smallest=np.full(count, least_minor or 1),
        largest=np.full(count, int(receivables.face.max(initial=0))),
        recourse_only=np.zeros(count, bool),
        min_pool=np.array([totals[bid.lot] if least_minor is None else 0 for bid in bids], np.int64),
        advance=np.full(count, auctioned.advance_bps),
        financed=np.full(count, FINANCED),
    )
    amounts = Cap(AMOUNT, own, np.array([[bid.amount_minor] for bid in bids], np.int64).reshape(count, 1))
    room = Cap("obligor", np.zeros(count, np.int64), np.array(limit, np.int64), key="obligor", own=False)
    return Market(receivables, mandates, (amounts, room))


def tenor_days(asset: FreeAsset, *, on: date) -> int:
    """For how many days the money is out, on the average of the instalments."""
    return max(((average_due_date(asset.schedule) if asset.schedule else asset.due_date) - on).days, 0)


def _prices(
    auctioned: Auctioned, bids: Sequence[Bid], allotment: Allotment, *, today: date
) -> Iterator[tuple[str, int, int, int]]:
    """What each winner's amount is worth: how much better it is than the last one served, or than none if all were."""
    rates = lot_rates(bids, allotment.awards)
    won = {award.bid_id for award in allotment.awards}
    for at, bid in enumerate(bids):
        if bid.bid_id not in won:
            continue
        held = auctioned.lots[bid.lot]
        days = max(tenor_days(asset, on=today) for asset in held)
        if any(allotment.left_minor[asset.asset_id] for asset in held):
            worth = FINANCED + (auctioned.reserve_bps - bid.discount_bps) * days
        else:
            worth = (rates[bid.lot] - bid.discount_bps) * days
        if worth:
            yield AMOUNT, at, NO_KEY, worth * QUANTUM
