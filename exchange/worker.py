"""The worker: fires schedules, does the work they and the API put on the list, seals, publishes, delivers.

Any number of workers may run on any number of hosts. What each does is safe with the others: rows are taken with
SKIP LOCKED, sealing and publishing hold an advisory lock, and firing is one row a schedule.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg
import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import text

from exchange import jobs
from exchange.callbacks import actions as callbacks
from exchange.callbacks import jobs as callback_jobs
from exchange.callbacks.delivery import Courier
from exchange.clock import system_now
from exchange.collections import jobs as collections
from exchange.duplicates import jobs as duplicates
from exchange.facilities import jobs as facilities
from exchange.funding import jobs as funding
from exchange.jobs import Hand, Handler, Wakes
from exchange.losses import jobs as losses
from exchange.models import jobs as models
from exchange.operations import metrics
from exchange.parties import jobs as parties
from exchange.payments import jobs as payments
from exchange.pools import jobs as pools
from exchange.receivables import jobs as receivables
from exchange.reconciliation import jobs as reconciliation
from exchange.registry import sealing
from exchange.registry.witnesses import Asking
from exchange.reviews import jobs as reviews
from exchange.risk import jobs as risk
from exchange.rounds import jobs as rounds
from exchange.rounds import rehearsals
from exchange.services import Services
from exchange.servicing import jobs as servicing
from exchange.settlement import jobs as settlement
from exchange.title import jobs as title
from exchange.trading import jobs as trading

HANDLERS: dict[str, Handler] = {
    "parties.forget": parties.forget,
    "receivables.deem": receivables.deem,
    "duplicates.screen": duplicates.screen,
    "risk.score": risk.score,
    "models.train": models.train,
    "models.evaluate": models.evaluate,
    "models.keep_up": models.keep_up,
    "pools.list": pools.list_assets,
    "pools.round": rounds.ask_round,
    "rounds.begin": rounds.begin,
    "rounds.solve": rounds.solve_round,
    "rounds.apply": rounds.apply_round,
    "rounds.rehearse": rehearsals.rehearse,
    "title.notify": title.notify,
    "title.alert": title.alert,
    "funding.offer": funding.offer_round,
    "funding.cut_off": funding.cut_off,
    "funding.purchase": funding.purchase,
    "trading.close": trading.close,
    "trading.clear": trading.clear,
    "servicing.close_day": servicing.close_day,
    "servicing.close_assets": servicing.close_assets,
    "servicing.accrue": servicing.accrue,
    "servicing.leave_offers": servicing.leave_offers,
    "settlement.match_lines": settlement.match_lines,
    "settlement.take_back": settlement.take_back,
    "settlement.collect_debts": settlement.collect_debts,
    "settlement.call_transferors": settlement.call_transferors,
    "settlement.answer_calls": settlement.answer_calls,
    "losses.follow": losses.follow,
    "losses.give_up": losses.give_up,
    "losses.give_up_assets": losses.give_up_assets,
    "payments.propose": payments.propose,
    "payments.send": payments.send,
    "payments.answer": payments.answer,
    "payments.confirm": payments.confirm,
    "payments.watch": payments.watch,
    "facilities.close_day": facilities.close_day,
    "facilities.close": facilities.close,
    "reviews.screen": reviews.screen,
    "reviews.look": reviews.look,
    "reviews.sweep": reviews.sweep,
    "reviews.follow": reviews.follow,
    "collections.follow": collections.follow,
    "collections.step": collections.step,
    "collections.step_cases": collections.step_cases,
    "callbacks.close_days": callback_jobs.close_days,
    "callbacks.close_stream": callback_jobs.close_stream,
    "reconciliation.reconcile": reconciliation.reconcile,
    "reconciliation.go_on": reconciliation.go_on,
}

SCHEDULE: dict[str, str] = {
    "receivables.deem": "10 0 * * *",
    "callbacks.close_days": "20 0,6 * * *",
    "models.keep_up": "0 2 * * *",
    "parties.forget": "30 3 * * *",
    "pools.round": "0 10 * * *",
    "funding.cut_off": "0 14 * * *",
    "trading.close": "50 9,13 * * *",
    "reviews.sweep": "20 9 * * mon",
    "reviews.follow": "15 23 * * *",
    "payments.propose": "30 15 * * *",
    "payments.send": "55 15 * * *",
    "payments.answer": "0 17 * * *",
    "payments.watch": "30 21 * * *",
    "servicing.close_day": "0 22 * * *",
    "losses.give_up": "0 23 * * *",
    "settlement.call_transferors": "50 22 * * *",
    "facilities.close_day": "15 23 * * *",
    "collections.step": "30 22 * * *",
    "reconciliation.reconcile": "30 23 * * *",
}
"""When each job is due, in the exchange's time zone (cron: minute, hour, day, month, weekday)."""

TICK_SECONDS = 15
IDLE_SECONDS = 1.0
GATHER_SECONDS = 0.01
PATIENCE_SECONDS = 30.0
"""So long work may take before another loop sees to what waits behind it."""
GIVE_UP_SECONDS = 600.0
"""So long before it is given up: as long as the database lets a transaction idle."""
MOST_LOOPS = 8
STOP_SECONDS = 25.0
"""So long what is in hand may take to finish once the worker is told to stop: less than those wait who then kill it."""
BEAT_SECONDS = 10.0
WATCH_SECONDS = 0.1
LEADER = text("SELECT pg_try_advisory_xact_lock(hashtext('worker.leader'))")

log = structlog.get_logger()


class Loops:
    """The loops that work, and a watch over them: while one hangs on a piece another sees to the rest."""

    def __init__(self, services: Services, *, wake: threading.Event, stop: threading.Event) -> None:
        self._services, self._wake, self._stop = services, wake, stop
        self._given_up: set[float] = set()
        self.hands: list[Hand] = []

    def step(self, hand: Hand) -> bool:
        """Do the next piece of work; False when there is none."""
        done = jobs.run_one(self._services, HANDLERS, hand=hand)
        if done:
            metrics.worked(hand.job, seconds=hand.seconds, failed=hand.failed)
        return done

    def watch(self) -> None:
        """Start another loop beside one that takes long, and give up what takes too long. A seed has one order only."""
        for hand in [hand for hand in self.hands if hand.busy_seconds() > PATIENCE_SECONDS]:
            work_id, since = hand.work_id, hand.since
            free = any(other.since is None for other in self.hands)
            if not free and len(self.hands) < MOST_LOOPS and self._services.settings.seed is None:
                log.warning("work takes long", job=hand.job, work_id=work_id)
                self.start()
            if since is not None and hand.busy_seconds() > GIVE_UP_SECONDS and since not in self._given_up:
                self._given_up.add(since)
                jobs.give_up(self._services, hand)

    def start(self) -> threading.Thread:
        """Start a loop."""
        hand = Hand()
        self.hands.append(hand)
        thread = _thread(Wakes.WORK, lambda: self.step(hand), self._wake, self._stop)
        thread.start()
        return thread

    def alive(self) -> bool:
        """Whether any loop can take more work."""
        return len(self.hands) < MOST_LOOPS or any(hand.busy_seconds() < GIVE_UP_SECONDS for hand in self.hands)

    def drop(self) -> None:
        """Undo what is still in hand, so that others find it free at once."""
        for hand in self.hands:
            if hand.since is not None:
                jobs.give_up(self._services, hand)


def work(services: Services, *, stop: threading.Event) -> None:
    """Work until `stop` is set; then finish what is in hand, but for `STOP_SECONDS` at most."""
    courier, asking = Courier(services), Asking(services)
    wakes = {what: threading.Event() for what in Wakes}
    loops = Loops(services, wake=wakes[Wakes.WORK], stop=stop)
    steps: dict[Wakes, Callable[[], bool]] = {
        Wakes.CLOCK: lambda: _fired(services),
        Wakes.FACTS: lambda: _recorded(services, stop=stop),
        Wakes.MAIL: lambda: bool(courier.deliver()) or courier.busy,
        Wakes.CHECKPOINT: asking.step,
    }
    threads = [_thread(what, step, wakes[what], stop) for what, step in steps.items()]
    threads.append(threading.Thread(target=_listen, args=(services, wakes, stop), name="listen", daemon=True))
    with courier, asking, _ticking(wakes[Wakes.CLOCK]), metrics.door(services, alive=loops.alive):
        for thread in threads:
            thread.start()
        threads.append(loops.start())
        _watch(services, loops, stop)
        until = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        loops.drop()


def run(services: Services) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("worker started")
    work(services, stop=stop)
    log.info("worker stopped")


def _watch(services: Services, loops: Loops, stop: threading.Event) -> None:
    """Look after the loops, and say now and then that this worker lives, until it is told to stop."""
    name, started_at = f"{socket.gethostname()}:{os.getpid()}", system_now()
    due = time.monotonic()
    while not stop.is_set():
        try:
            loops.watch()
            if time.monotonic() >= due:
                due = time.monotonic() + BEAT_SECONDS
                _beat(services, name, started_at)
        except Exception:
            log.exception("watch failed")
        time.sleep(WATCH_SECONDS)  # not `stop.wait`: the signal's handler sets it in this very thread


def _beat(services: Services, name: str, started_at: datetime) -> None:
    with services.database.transaction() as session:
        jobs.beat(session, worker=name, started_at=started_at, now=system_now())


def _thread(name: str, step: Callable[[], bool], wake: threading.Event, stop: threading.Event) -> threading.Thread:
    """A loop to be started; one that hangs at the very end does not keep the process."""
    return threading.Thread(target=_loop, args=(name, step, wake, stop), name=name, daemon=True)


def _loop(name: str, step: Callable[[], bool], wake: threading.Event, stop: threading.Event) -> None:
    """Do `step` while there is something to do, else wait to be woken. A failure is logged and tried again."""
    while not stop.is_set():
        wake.clear()
        try:
            busy = step()
        except Exception:
            log.exception("step failed", loop=name)
            metrics.failed_step(name)
            busy = False
        if not busy:
            wake.wait(IDLE_SECONDS)


def _fired(services: Services) -> bool:
    """Fire what is due, if this worker leads. One that cannot lead has nothing to do."""
    with services.database.transaction() as session:
        now = services.clock.now(session)
        until = jobs.fired_until(session)
        if until == now or not session.execute(LEADER).scalar_one():
            return False
        jobs.fire(session, schedule=SCHEDULE, now=now, time_zone=services.settings.time_zone)
    return False


def _recorded(services: Services, *, stop: threading.Event) -> bool:
    """Seal and publish what has gathered: a hundred facts cost hardly more than one. True when there may be more."""
    stop.wait(GATHER_SECONDS)
    sealed = sealing.seal(services)
    return _published(services) == callbacks.BATCH or sealed == sealing.SEAL_BATCH


def _published(services: Services) -> int:
    with services.database.transaction() as session:
        count = callbacks.publish(session, services=services, now=system_now())
        if count:
            jobs.wake(session, Wakes.MAIL)
        return count


@contextmanager
def _ticking(wake: threading.Event) -> Iterator[None]:
    """APScheduler says when to look at the schedule; rows say what was fired."""
    scheduler = BackgroundScheduler(timezone=ZoneInfo("UTC"))
    scheduler.add_job(wake.set, "interval", seconds=TICK_SECONDS)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


def _listen(services: Services, wakes: Mapping[Wakes, threading.Event], stop: threading.Event) -> None:
    """Wake the right loop whenever a transaction that made something to do commits; all of them after a lost link."""
    url = services.database.url.replace("postgresql+psycopg://", "postgresql://")
    while not stop.is_set():
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"LISTEN {jobs.CHANNEL}")
                for wake in wakes.values():
                    wake.set()
                while not stop.is_set():
                    for notice in connection.notifies(timeout=IDLE_SECONDS):
                        wakes[Wakes(notice.payload)].set()
        except psycopg.OperationalError:
            stop.wait(1)
