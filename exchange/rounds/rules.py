"""When a round may be asked for, what is taken back of an answer that the world has overtaken, and what came of it."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from http import HTTPStatus
from typing import NamedTuple

from exchange.errors import Fault, InvalidRequest, Refusal
from exchange.pools.rules import Candidate, FreeAsset, Price, keys_of, why_not_amounts

SOLVE_SECONDS = 7_200.0
"""A solver that runs for longer has run away: it leaves no answer. How near an answer is never depends on the clock."""


class RoundRunning(Refusal):
    """There is a round already that is not over."""

    code = "round_running"
    title = "A round is running"


class RoundOver(Refusal):
    """The round is over: nothing of it can be given up."""

    code = "round_over"
    title = "The round is over"


MOST_DAYS = 366


def check_period(*, from_date: date | None, to_date: date | None, today: date) -> None:
    """Refuse (`InvalidRequest`) days to rehearse on that are half said, not over, out of order or too many."""
    if from_date is None and to_date is None:
        return
    if from_date is None or to_date is None:
        name = "from_date" if from_date is None else "to_date"
        fault = Fault("missing", f"/{name}", "say both days, or neither")
    elif to_date >= today:
        fault = Fault("not_over", "/to_date", f"a day before {today}", to_date.isoformat())
    elif not from_date <= to_date < from_date + timedelta(days=MOST_DAYS):
        fault = Fault("bad_period", "/from_date", f"at most {MOST_DAYS} days up to to_date", from_date.isoformat())
    else:
        return
    raise InvalidRequest("These days cannot be rehearsed.", faults=(fault,))


class NoCertificate(Refusal):
    """Nothing was cleared in this currency, or of the caller's: there is nothing to prove."""

    code = "no_certificate"
    status = HTTPStatus.NOT_FOUND
    title = "No certificate"


class Given(NamedTuple):
    """What an answer gives: an amount of an asset to a mandate."""

    asset: FreeAsset
    candidate: Candidate
    amount_minor: int


class Now(NamedTuple):
    """What the world says when an answer is applied, under its locks: amounts in minor units.

    `free` is what is owed on the assets that are free; `mandates` those in force, with what they have taken up and
    their funders' cash; rooms go by obligor and by its group, each with a currency.
    """

    free: Mapping[str, int]
    mandates: Mapping[str, Candidate]
    rooms: Mapping[tuple[int, str], int]
    group_rooms: Mapping[tuple[str, str], int]


def lot(seed: bytes, *names: str) -> bytes:
    """A lot that only the public seed decides."""
    return hashlib.sha256(seed + "\0".join(names).encode()).digest()


def still_given(
    given: Sequence[tuple[Given, Price]], now: Now, *, seed: bytes
) -> tuple[list[tuple[Given, Price]], list[tuple[Given, str]]]:
    """What of an answer can still be done, and what cannot, with why; whom a shortage hits is the lot's choice.

    What is done is counted in `now`.
    """
    kept, dropped = [], []
    rooms, groups = dict(now.rooms), dict(now.group_rooms)
    for one, price in sorted(given, key=lambda pair: lot(seed, pair[0].asset.asset_id, pair[0].candidate.mandate_id)):
        line, group = (one.asset.obligor, one.asset.currency), (one.asset.obligor_group, one.asset.currency)
        room_minor = min(rooms.get(line, 0), groups.get(group, one.amount_minor))
        code = _why_dropped(one, price, now, room_minor=room_minor)
        if code is not None:
            dropped.append((one, code))
            continue
        kept.append((one, price))
        rooms[line] -= one.amount_minor
        if group in groups:
            groups[group] -= one.amount_minor
        _count(one, price, now)
    return kept, dropped


def _count(one: Given, price: Price, now: Now) -> None:
    own = now.mandates[one.candidate.mandate_id]
    own.usage.add(keys_of(one.asset), price_minor=price.price_minor, face_minor=one.amount_minor)
    for other in now.mandates.values():
        if (other.funder_id, other.terms.currency) == (own.funder_id, own.terms.currency):
            other.usage.cash_minor -= price.price_minor


def _why_dropped(one: Given, price: Price, now: Now, *, room_minor: int) -> str | None:
    asset, mandate = one.asset, now.mandates.get(one.candidate.mandate_id)
    if asset.asset_id not in now.free:
        return "not_free"
    if now.free[asset.asset_id] != asset.face_minor:
        return "amount_changed"
    if mandate is None or mandate.version != one.candidate.version:
        return "mandate_changed"
    if price.price_minor < 1:
        return "price"
    if one.amount_minor > room_minor:
        return "obligor_limit"
    reasons = why_not_amounts(mandate.terms, mandate.usage, asset, price_minor=price.price_minor)
    return None if not reasons else "cash" if reasons[0].code == "cash" else "mandate_full"


def outcome_of(*, assets: int, mandates: int, eligible: int | None, placed: int) -> str:
    """What came of a currency, in one word."""
    if not assets:
        return "no_assets"
    if not mandates:
        return "no_mandates"
    if eligible is None:
        return "solving"
    if not eligible:
        return "nothing_fits"
    return "placed" if placed else "nothing_placed"
