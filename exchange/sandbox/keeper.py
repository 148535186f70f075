"""Lives sandboxes: makes, advances, resets and ends them, plays the others, does their work, delivers their callbacks.

A keeper takes one sandbox at a time, for a moment: a step of its clock, or what was left to do in it. Any number of
keepers may run; an advisory lock, which ends with its process, says who has which. What a keeper that died had in hand
is taken up at the last stop that is written down: whatever was done since is done once, by its key.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec
import psycopg
import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from exchange import jobs, worker
from exchange.callbacks import actions as callbacks
from exchange.callbacks.delivery import Courier
from exchange.callbacks.models import Delivery
from exchange.callbacks.queries import feed
from exchange.clock import system_now
from exchange.jobs import WorkItem
from exchange.registry import sealing
from exchange.sandbox import actions, places, queries, rules
from exchange.sandbox.models import Sandbox, SandboxScenario
from exchange.sandbox.players import Door, Make, Players, enter, players_of, settle_in
from exchange.services import Services

POLL_SECONDS = 0.1
AGAIN = timedelta(seconds=5)
"""So long a sandbox in trouble is left alone."""
AT_LEAST = timedelta(minutes=1)
"""So often one is looked at in which nothing is to be done."""
MOST_OPEN = 8
"""So many sandboxes a keeper has at hand; it opens another in a moment."""
FEED = 500
TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
LET_GO = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"

log = structlog.get_logger()


class WorkFails(Exception):
    """Something that falls due in the sandbox cannot be done: its clock stands until it can."""


class Place:
    """A sandbox at hand: its services, its courier, and the parties that are played."""

    def __init__(self, main: Services, row: Sandbox, make: Make) -> None:
        self.services = places.services_of(main, row, pooled=True)
        self.courier = Courier(self.services)
        self.still = False
        self.door = Door(self.services, make)
        self.players: Players | None = None if row.played is None else players_of(self.services, self.door, row.played)

    def close(self) -> None:
        """Let callbacks that are under way end, and close every connection."""
        self.courier.close()
        self.services.database.dispose()

    def move(self, moment: datetime) -> None:
        """Move the sandbox's clock, which never goes back."""
        with self.services.database.transaction() as session:
            jobs.set_virtual_time(session, moment=moment)

    def settle(self) -> None:
        """Do all that has fallen due, sign it, and put what the funder is to hear into its stream (`WorkFails`)."""
        services = self.services
        with services.database.transaction() as session:
            now = services.clock.now(session)
            jobs.fire(session, schedule=worker.SCHEDULE, now=now, time_zone=services.settings.time_zone)
        while jobs.run_one(services, worker.HANDLERS) or sealing.seal(services):
            pass
        count = callbacks.BATCH
        while count == callbacks.BATCH:
            with services.database.transaction() as session:
                count = callbacks.publish(session, services=services, now=system_now())
        with services.database.transaction() as session:
            left = session.execute(select(WorkItem.job, WorkItem.last_error).limit(1)).first()
        if left is not None:
            raise WorkFails(f"{left.job}: {left.last_error}")

    def heard(self, row: Sandbox) -> tuple[int, Counter[str]]:
        """The last event of the funder's stream, and how many of each type came after those counted before."""
        after, types = row.heard, Counter[str]()
        while True:
            with self.services.database.transaction() as session:
                found = feed(session, funder_id=(row.played or {})["funder"], after=after, limit=FEED)
            types.update(msgspec.json.decode(item.body)["type"] for item in found)
            if not found:
                return after, types
            after = found[-1].sequence

    def next_due(self, *, now: datetime) -> datetime:
        """When there is something to do here again, by the machine's time."""
        if self.courier.busy:
            return now
        due = (
            select(func.min(Delivery.next_attempt_at)).where(Delivery.delivered_at.is_(None)).scalar_subquery(),
            select(func.min(WorkItem.due_at)).scalar_subquery(),
        )
        with self.services.database.transaction() as session:
            soonest: list[datetime] = [moment for moment in session.execute(select(*due)).one() if moment is not None]
        return max(now + timedelta(seconds=POLL_SECONDS), min([now + AT_LEAST, *soonest]))


class Keeper:
    """One process's hands on sandboxes. `make` makes the application, `template` is copied for each new one."""

    def __init__(self, services: Services, make: Make, *, template: str | None = None) -> None:
        self._services, self._make, self._template = services, make, template
        self._open: OrderedDict[str, Place] = OrderedDict()
        self._link: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in self._open.values():
            place.close()
        if self._link is not None:
            self._link.close()

    def step(self) -> bool:
        """Have one sandbox that is due for a moment; False when there is none to be had."""
        with self._services.database.transaction() as session:
            due = queries.due(session, now=system_now())
        for sandbox_id in due:
            with self._had(sandbox_id) as had:
                if had:
                    self._turn(sandbox_id)
                    return True
        return False

    @contextmanager
    def _had(self, sandbox_id: str) -> Iterator[bool]:
        """Whether no other keeper has the sandbox; then nobody else gets it before the end of the block."""
        if self._link is None or self._link.closed:
            url = self._services.database.url.replace("postgresql+psycopg://", "postgresql://")
            self._link = psycopg.connect(url, autocommit=True)
        row = self._link.execute(TRY, [sandbox_id]).fetchone()
        had = row is not None and bool(row[0])
        try:
            yield had
        finally:
            if had:
                self._link.execute(LET_GO, [sandbox_id])

    def _turn(self, sandbox_id: str) -> None:
        """Do what is next in the sandbox, and say when to look again; what fails is told to its funder."""
        with self._services.database.transaction() as session:
            row = session.get_one(Sandbox, sandbox_id)
        trouble = None
        try:
            due_at = self._next(row)
        except Exception as error:
            log.exception("sandbox in trouble", sandbox_id=sandbox_id)
            trouble, due_at = str(error)[: rules.TROUBLE], system_now() + AGAIN
            self._forget(sandbox_id)
        with self._services.database.transaction() as session:
            actions.put_off(session, sandbox_id=sandbox_id, seen=row.due_at, due_at=due_at, trouble=trouble)

    def _next(self, row: Sandbox) -> datetime:
        """The next thing to do in a sandbox; gives when there will be another."""
        if row.state == "open":
            return self._lived(row)
        self._forget(row.sandbox_id)
        if row.state == "making":
            self._made(row)
        else:
            places.drop_database(row, settings=self._services.settings)
            with self._services.database.transaction() as session:
                actions.emptied(session, sandbox_id=row.sandbox_id, now=system_now())
        return system_now()

    def _made(self, row: Sandbox) -> None:
        """Make its database and all that has to be in it before its first day, from the beginning each time."""
        self._template = self._template or places.template(places.server_of(self._services.settings))
        places.make_database(row, settings=self._services.settings, template_name=self._template)
        place = self._place(row)
        moment = rules.opening_of(row.start_on, zone=self._services.settings.time_zone)
        with place.services.database.transaction() as session:
            operator_id = enter(session, services=place.services, moment=moment)
        played = settle_in(
            place.services, place.door, operator_id=operator_id, funder=row.name, jwks=row.public_jwks, now=moment
        )
        place.players = players_of(place.services, place.door, played)
        place.settle()
        with self._services.database.transaction() as session:
            actions.opened(session, sandbox_id=row.sandbox_id, played=played, moment=moment)

    def _lived(self, row: Sandbox) -> datetime:
        """Begin what was asked for, else go a step towards where the clock is to be; then deliver."""
        place = self._place(row)
        with self._services.database.transaction() as session:
            scenario = queries.waiting_scenario(session, sandbox_id=row.sandbox_id)
            lived = queries.begun(session, sandbox_id=row.sandbox_id)
        if row.until is None or not place.still:  # nobody changes anything while the clock moves
            place.settle()
        place.still = row.until is not None
        if scenario is not None:
            self._begin(place, row, scenario)
        elif row.until is not None:
            self._advance(place, row, lived, until=row.until)
        place.courier.deliver()
        return system_now() if scenario is not None or row.until is not None else place.next_due(now=system_now())

    def _begin(self, place: Place, row: Sandbox, scenario: SandboxScenario) -> None:
        """Let a scenario begin: its past, its assets, and what is done on its first day."""
        players, today = _at_hand(place), place.services.business_date(_reached(row))
        number, said = scenario.number, scenario.parameters
        rows = rules.assets_of(number, said, seed=row.seed, today=today)
        ids = players.submit(rows, number=number, grade=said["grade"], today=today) if rows else []
        place.settle()
        for deed in rules.deeds_of(scenario.kind, said, rows):
            if deed.day == 0:
                players.do(deed, number=number, row=None, asset_id=None, today=today)
        place.settle()
        heard, types = place.heard(row)
        with self._services.database.transaction() as session:
            actions.begun(session, scenario=scenario, today=today, assets=[players.seen(one) for one in ids])
            _note(session, row, players, day=today, heard=heard, types=types)

    def _advance(self, place: Place, row: Sandbox, lived: list[SandboxScenario], *, until: datetime) -> None:
        """Move the clock to its next stop, let fall due what does, let others act in the morning, and write it down."""
        zone, players = self._services.settings.time_zone, _at_hand(place)
        stop = rules.next_stop(_reached(row), until=until, zone=zone)
        place.move(stop)
        place.settle()
        today = place.services.business_date(stop)
        if rules.is_opening(stop, zone=zone):
            players.approve()
            for scenario in lived:
                _act(players, scenario, seed=row.seed, today=today)
            place.settle()
        heard, types = place.heard(row)
        stopped_by = next((kind for kind in row.stop_at if types[kind]), None)
        with self._services.database.transaction() as session:
            actions.moved(session, sandbox_id=row.sandbox_id, moment=stop, stopped_by=stopped_by)
            _note(session, row, players, day=today, heard=heard, types=types)

    def _place(self, row: Sandbox) -> Place:
        place = self._open.pop(row.sandbox_id, None) or Place(self._services, row, self._make)
        self._open[row.sandbox_id] = place
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return place

    def _forget(self, sandbox_id: str) -> None:
        place = self._open.pop(sandbox_id, None)
        if place is not None:
            place.close()


def run(services: Services, make: Make, *, stop: threading.Event) -> None:
    """Keep sandboxes until `stop` is set. A database that went away is waited for."""
    with Keeper(services, make) as keeper:
        while not stop.is_set():
            try:
                busy = keeper.step()
            except Exception:
                log.exception("keeping sandboxes failed")
                busy = False
                stop.wait(AGAIN.total_seconds())
            if not busy:
                stop.wait(POLL_SECONDS)


def _act(players: Players, scenario: SandboxScenario, *, seed: int, today: date) -> None:
    """Whatever a scenario has others do today."""
    begun_on, assets = scenario.begun_on or today, scenario.assets or []
    rows = rules.assets_of(scenario.number, scenario.parameters, seed=seed, today=begun_on)
    for deed in rules.deeds_of(scenario.kind, scenario.parameters, rows):
        if deed.day and begun_on + timedelta(days=deed.day) == today:
            asset_id = assets[deed.place]["asset_id"]
            players.do(deed, number=scenario.number, row=rows[deed.place], asset_id=asset_id, today=today)


def _note(session: Session, row: Sandbox, players: Players, *, day: date, heard: int, types: Mapping[str, int]) -> None:
    """Write down what a day has brought so far, and start counting anew."""
    deeds, refused = players.deeds, players.refused
    actions.note_day(session, row=row, day=day, heard=heard, events=types, deeds=deeds, refused=refused)
    players.deeds, players.refused = Counter(), Counter()


def _at_hand(place: Place) -> Players:
    if place.players is None:
        raise WorkFails("the sandbox has nobody in it")  # pragma: no cover - an open sandbox was settled in
    return place.players


def _reached(row: Sandbox) -> datetime:
    if row.moment is None:
        raise WorkFails("the sandbox has no time")  # pragma: no cover - an open sandbox has: the database says so
    return row.moment
