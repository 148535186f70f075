"""The worker: fires schedules, does the work they and the API put on the list, seals, publishes, delivers.

Any number of workers may run on any number of hosts. What each does is safe with the others: rows are taken with
SKIP LOCKED, sealing and publishing hold an advisory lock, and firing is one row a schedule.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import psycopg
import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import text

from exchange import jobs
from exchange.callbacks import actions as callbacks
from exchange.callbacks.delivery import Courier
from exchange.clock import system_now
from exchange.duplicates import jobs as duplicates
from exchange.funding import jobs as funding
from exchange.jobs import Handler, Wakes
from exchange.pools import jobs as pools
from exchange.receivables import jobs as receivables
from exchange.registry import sealing
from exchange.registry.witnesses import Asking
from exchange.risk import jobs as risk
from exchange.services import Services
from exchange.servicing import jobs as servicing
from exchange.settlement import jobs as settlement
from exchange.title import jobs as title

HANDLERS: dict[str, Handler] = {
    "receivables.deem": receivables.deem,
    "duplicates.screen": duplicates.screen,
    "risk.score": risk.score,
    "risk.train": risk.train,
    "pools.list": pools.list_assets,
    "pools.round": pools.clear_round,
    "title.notify": title.notify,
    "title.alert": title.alert,
    "funding.offer": funding.offer_round,
    "funding.cut_off": funding.cut_off,
    "funding.purchase": funding.purchase,
    "servicing.close_day": servicing.close_day,
    "servicing.close_assets": servicing.close_assets,
    "settlement.match_lines": settlement.match_lines,
    "settlement.take_back": settlement.take_back,
}

SCHEDULE: dict[str, str] = {
    "receivables.deem": "10 0 * * *",
    "pools.round": "0 10 * * *",
    "funding.cut_off": "0 14 * * *",
    "servicing.close_day": "0 22 * * *",
}
"""When each job is due, in the exchange's time zone (cron: minute, hour, day, month, weekday)."""

TICK_SECONDS = 15
IDLE_SECONDS = 1.0
GATHER_SECONDS = 0.01
LEADER = text("SELECT pg_try_advisory_xact_lock(hashtext('worker.leader'))")

log = structlog.get_logger()


def work(services: Services, *, stop: threading.Event) -> None:
    """Work until `stop` is set; then finish what is in hand and return."""
    courier, asking = Courier(services), Asking(services)
    steps: dict[Wakes, Callable[[], bool]] = {
        Wakes.CLOCK: lambda: _fired(services),
        Wakes.WORK: lambda: jobs.run_one(services, HANDLERS),
        Wakes.FACTS: lambda: _recorded(services, stop=stop),
        Wakes.MAIL: lambda: bool(courier.deliver()) or courier.busy,
        Wakes.CHECKPOINT: asking.step,
    }
    wakes = {what: threading.Event() for what in steps}
    threads = [
        threading.Thread(target=_loop, args=(what, step, wakes[what], stop), name=what) for what, step in steps.items()
    ]
    threads.append(threading.Thread(target=_listen, args=(services, wakes, stop), name="listen"))
    with courier, asking, _ticking(wakes[Wakes.CLOCK]):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def run(services: Services) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("worker started")
    work(services, stop=stop)
    log.info("worker stopped")


def _loop(name: str, step: Callable[[], bool], wake: threading.Event, stop: threading.Event) -> None:
    """Do `step` while there is something to do, else wait to be woken. A failure is logged and tried again."""
    while not stop.is_set():
        wake.clear()
        try:
            busy = step()
        except Exception:
            log.exception("step failed", loop=name)
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
        count = callbacks.publish(session, entropy=services.entropy, now=system_now())
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
