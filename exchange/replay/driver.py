"""Lives a book day by day through the API, as the platform, the bank and the funders would.

Calls are made one at a time and in a fixed order; between the phases of a day the exchange is left alone
until it is quiet. So the same book, seed and funders give the same exchange, byte for byte.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any
from zoneinfo import ZoneInfo

from exchange.replay import wire
from exchange.replay.book import LATE_DAYS, Book, Day, is_known
from exchange.replay.client import ApiClient, party_key, public_jwk
from exchange.replay.funders import FunderSpec, sizes
from exchange.replay.players import Player, enter_player, fund_player
from exchange.replay.progress import Progress
from exchange.replay.receiver import Receiver
from exchange.replay.rows import ReplayRow

SET_UP, OPENING, AFTER_ROUND, AFTER_CUT_OFF, AFTER_CLOSE = (
    time_of_day(8, 0),
    time_of_day(9, 0),
    time_of_day(10, 30),
    time_of_day(14, 30),
    time_of_day(22, 30),
)
_QUIET_WITHIN_SECONDS = 300
_WAIT_SECONDS = 10
_ACCEPTED = frozenset({200, 201})
_DUPLICATE = 409


class NeverQuiet(Exception):
    """The exchange does not come to rest: a worker is stuck or dead."""


@dataclass(slots=True)
class Tally:
    """What the outside world saw of its own requests."""

    submitted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    planted: Counter[tuple[str, str]] = field(default_factory=Counter)
    bank: Counter[str] = field(default_factory=Counter)
    models: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class World:
    """Everyone outside the exchange."""

    operator: ApiClient
    platform: ApiClient
    players: list[Player]
    receiver: Receiver
    time_zone: ZoneInfo
    check: Callable[[], None]
    deposits: dict[str, dict[str, int]] = field(default_factory=dict)
    asset_ids: dict[int, str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def close(self) -> None:
        """Close every connection."""
        for client in (self.operator, self.platform, *(player.client for player in self.players)):
            client.close()


def enter_world(
    operator: ApiClient,
    *,
    base_url: str,
    funders: Sequence[FunderSpec],
    receiver: Receiver,
    seed: int,
    time_zone: str,
    check: Callable[[], None],
) -> World:
    """Register the platform and the funders. `check` raises when the exchange is seen to be dead."""
    key = party_key(seed, name="platform")
    entered = operator.post("/v1/originators", {"name": "Plastics Platform", "public_jwk": public_jwk(key)})
    platform = ApiClient(base_url, client_id=entered["client_id"], key=key)
    players = [
        enter_player(operator, spec, base_url=base_url, seed=seed, receiver=receiver, path=f"funder-{index}")
        for index, spec in enumerate(funders, start=1)
    ]
    return World(operator, platform, players, receiver, ZoneInfo(time_zone), check)


def live(world: World, book: Book, *, progress: Progress) -> None:
    """Tell the history, open the mandates, then live each calendar day from the first to the last."""
    first, last = book.first_day, book.last_day
    set_clock(world, first, SET_UP)
    progress.stage(f"History: {len(book.history):,} invoices before {first}")
    yesterday = first - timedelta(days=1)
    known = [row for row in book.history if is_known(row, yesterday)]
    _tell_history(world, known, known_on=yesterday, key="history")
    world.operator.put("/v1/risk-policy", {"automatic": False})  # the driver trains, on the first of each month
    _train(world, first)
    file_sizes = sizes(book)
    for player in world.players:
        world.deposits[player.spec.name] = fund_player(
            player, operator=world.operator, file_sizes=file_sizes, day=first
        )
    wait(world, until="idle")
    count = (last - first).days + 1
    progress.stage(f"Life: {len(book.live):,} receivables on {count} days from {first} to {last}")
    for index in range(count):
        day = first + timedelta(days=index)
        live_day(world, day, plan=book.days.get(day, Day()), issuing=day <= book.last_submission)
        progress.step(index + 1, of=count, what=f"{day}  {world.tally.submitted['entered']:,} entered")
    wait(world, until="quiet")


def live_day(world: World, day: date, *, plan: Day, issuing: bool) -> None:
    """One calendar day: trade and bank, round, funders' answers, purchase cut-off, close of business.

    The clock stops only where someone outside has something to do; the exchange's own schedules all fire.
    """
    training = issuing and day.day == 1
    if training or not plan.is_empty():
        set_clock(world, day, OPENING)
        _trade(world, day, plan)
    if training:
        _train(world, day)
    # The round draws lots by the last checkpoint, so all that happened before it has to be in the log.
    wait(world, until="quiet")
    set_clock(world, day, AFTER_ROUND, until="quiet")
    offers = [player.hear() for player in world.players]
    if any(offers):
        if sum(player.answer(heard) for player, heard in zip(world.players, offers, strict=True)):
            wait(world, until="idle")
        set_clock(world, day, AFTER_CUT_OFF)
    set_clock(world, day, AFTER_CLOSE)


def set_clock(world: World, day: date, at: time_of_day, *, until: str = "idle") -> None:
    """Move the exchange's clock to a local time and wait until all that falls due then is done (`wait`)."""
    moment = datetime.combine(day, at, tzinfo=world.time_zone).astimezone(UTC)
    body = {"now": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
    state = world.operator.put(f"/v1/clock?until={until}", body, wait_seconds=_WAIT_SECONDS)
    if not state[until]:
        wait(world, until=until)


def wait(world: World, *, until: str) -> None:
    """Wait until the exchange is "idle" (schedules fired, work done) or "quiet" (and all told); else `NeverQuiet`.

    Idle is enough between two requests: what is signed and told later keeps the order in which it was done.
    """
    deadline = time.monotonic() + _QUIET_WITHIN_SECONDS
    while not (state := world.operator.get(f"/v1/clock?until={until}", wait_seconds=_WAIT_SECONDS))[until]:
        world.check()
        if time.monotonic() > deadline:
            raise NeverQuiet(f"not {until} after {_QUIET_WITHIN_SECONDS} s: {state['pending']}")


def _trade(world: World, day: date, plan: Day) -> None:
    """What the platform and the bank tell on a day."""
    _submit(world, plan.submitted, key=f"submit-{day}")
    entered = world.asset_ids
    confirmed = [row for row in plan.confirmed if row.row_number in entered]
    _send(
        world,
        world.platform,
        "/v1/confirmations",
        [wire.confirmation(row, asset_id=entered[row.row_number]) for row in confirmed],
        key=f"confirm-{day}",
        take=lambda _, result: _count(world, "confirmation", result),
    )
    credited = [(row, index) for row, index in plan.credited if row.row_number in entered]
    _send(
        world,
        world.platform,
        "/v1/credit-notes",
        [wire.credit_note(row, index, asset_id=entered[row.row_number]) for row, index in credited],
        key=f"credit-{day}",
        take=lambda _, result: _count(world, "credit note", result),
    )
    _bank(world, day, plan)
    _tell_history(world, plan.history, known_on=day, key=f"history-{day}")


def _submit(world: World, rows: Sequence[ReplayRow], *, key: str) -> None:
    def take(index: int, result: dict[str, Any]) -> None:
        row, tally = rows[index], world.tally
        if result["status"] in _ACCEPTED:
            world.asset_ids[row.row_number] = result["asset_id"]
            outcome = "flagged as near duplicate" if result.get("near_duplicate_of") else "entered"
            tally.submitted["entered"] += 1
            tally.submitted["near duplicates"] += outcome != "entered"
        else:
            codes = sorted({error["code"] for error in result["errors"]})
            outcome = f"refused: {', '.join(codes)}"
            tally.submitted["duplicates" if result["status"] == _DUPLICATE else "refused"] += 1
            tally.refused.update(codes)
        if plant := row.hidden.get("plant") or ("lookalike" if "lookalike_of" in row.hidden else None):
            tally.planted[plant, outcome] += 1

    _send(world, world.platform, "/v1/receivables", [wire.submission(row) for row in rows], key=key, take=take)


def _bank(world: World, day: date, plan: Day) -> None:
    """The lines of the day's statement: payments that name their asset, and now and then money for nobody."""
    lines = [
        wire.receipt(row, index, amount_minor=amount_minor, reference=world.asset_ids[row.row_number], day=day)
        for row, index, amount_minor in plan.paid
        if row.row_number in world.asset_ids
    ]
    for row, index, _ in plan.paid:
        if stray_minor := int(row.hidden.get("stray_minor", "0")):
            lines.append(
                wire.receipt(row, index + 50, amount_minor=stray_minor, reference="", day=day)
                | {"reference": "payment as agreed"}
            )

    def take(_index: int, result: dict[str, Any]) -> None:
        world.tally.bank[result.get("outcome") or "refused"] += 1
        if result["status"] not in _ACCEPTED:
            _count(world, "receipt", result)

    _send(world, world.operator, "/v1/receipts", lines, key=f"bank-{day}", take=take)


def _tell_history(world: World, rows: Sequence[ReplayRow], *, known_on: date, key: str) -> None:
    """Past trade with what was known on a day. An invoice told before is told again when it is settled."""
    _send(
        world,
        world.platform,
        "/v1/trade-history",
        [wire.past_trade(row, known_on=known_on) for row in rows],
        key=key,
        take=lambda _, result: _count(world, "history", result),
    )


def _train(world: World, day: date) -> None:
    """A new model from all that has matured; without enough of it the exchange keeps the one it has."""
    world.operator.post("/v1/models", {"horizon_days": LATE_DAYS, "at_once": True}, key=f"model-{day}")
    wait(world, until="idle")
    version = world.operator.get("/v1/models/current")["version"]
    world.tally.models.append({"day": day.isoformat(), "version": version})


def _count(world: World, what: str, result: dict[str, Any]) -> None:
    """Count one result of a bulk request: what it was about, and how it went."""
    if result["status"] in _ACCEPTED:
        world.tally.requests[what] += 1
    else:
        for error in result["errors"]:
            world.tally.requests[f"{what} refused: {error['code']}"] += 1


def _send(
    world: World,
    client: ApiClient,
    path: str,
    items: Sequence[dict[str, Any]],
    *,
    key: str,
    take: Callable[[int, dict[str, Any]], None],
) -> None:
    """Send items in batches and hand each result to `take` with the place of its item.

    What a batch sets off is done before the next one is sent: else the two would race for their places in the log.
    """
    for number, batch in enumerate(wire.batches(items)):
        answer = client.post(path, {"items": batch}, key=f"{key}-{number}")
        for result in answer["items"]:
            take(number * wire.BATCH + result["index"], result)
        wait(world, until="idle")
