"""The close of business for 100,000 live assets, each of which has something to note that day.

All chunks are done by worker processes on one durable PostgreSQL: first by one, then, on a copy of the same database,
by two. The facts have to be the same. Six of ten are to be signed, and told to the funder. What others go on to do
from the facts (cases, recourse) is work of its own and not measured.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from exchange import embedded, jobs
from exchange.db import Database
from exchange.migrations import upgrade
from exchange.services import Services, open_services
from exchange.servicing import jobs as servicing
from exchange.settings import Settings
from tests.benchmarks.report import Result

ASSETS = 100_000
SECONDS = 60
FASTER = 1.6
TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 14, tzinfo=UTC)
OFFSETS = (-7, -3, -1, 0, 4, 19, 34, 64, 78, 93)
"""Days past due on which the standard policy notes something."""

FILL = """
    INSERT INTO originator VALUES ('org_1', 'Platform', :now);
    INSERT INTO funder VALUES ('fnd_1', 'Funder', 'dep_1', :now);
    INSERT INTO company (company_id, scheme, namespace, value, created_at)
    SELECT 'com_' || n, 'platform', 'org_1', 'company-' || n, :now FROM generate_series(1, 2001) AS n;
    INSERT INTO mandate VALUES ('mdt_1', 1, 'fnd_1', 'open', '{}', :now, :now);
    INSERT INTO clearing_round (round_id, cut_off_at, seed, asset_count, matched_count, matched_face, state,
                                finished_at)
    VALUES ('rnd_1', :now, '', 0, 0, '{}', 'done', :now);
    INSERT INTO pool VALUES ('pol_1', 'rnd_1', 'mdt_1', 1, 'fnd_1', 'CNY', :now);
    INSERT INTO receivable (asset_id, originator_id, seller_id, obligor_id, invoice_number, product, currency,
                            face_minor, issue_date, due_date, recourse, documents, submitted_at)
    SELECT 'ast_' || lpad(n::text, 26, '0'), 'org_1', 'com_2001', 'com_' || n % 2000 + 1, 'INV-' || n,
           'receivable_factoring', 'CNY', 1000000, :today - 200, :today - (cast(:offsets AS int[]))[n % 10 + 1],
           'without', '[]', :now
    FROM generate_series(1, :assets) AS n;
    INSERT INTO claim (asset_id, root_id, holder_id, held_since, currency, due_date, face_minor, outstanding_minor,
                       encumbered_minor, state, pool_id, listed_at)
    SELECT asset_id, asset_id, seller_id, issue_date, currency, due_date, face_minor, face_minor, 0, 'assigned',
           'pol_1', cast(:now AS timestamptz) - interval '150 days'
    FROM receivable;
    INSERT INTO pool_asset (pool_id, asset_id, mandate_id, face_minor, price_minor, discount_minor, holdback_minor,
                            rate_bps, collected_minor, diluted_minor, bought_on)
    SELECT 'pol_1', asset_id, 'mdt_1', face_minor, 891000, 9000, 100000, 600, 0, 0, due_date - 60 FROM claim;
    INSERT INTO servicing_fact (asset_id, business_date, kind, days_past_due, outstanding_minor, recorded_at)
    SELECT asset_id, due_date + past, kind, past, face_minor, :now
    FROM claim, (VALUES (4, 'late_1'), (19, 'late_16'), (34, 'late_31'), (64, 'late_61'), (78, 'near_breach'))
         AS stage(past, kind)
    WHERE due_date + past < :today
"""
STATED = """
    SELECT asset_id, business_date, kind, revision, days_past_due, outstanding_minor FROM servicing_fact
    ORDER BY asset_id COLLATE "C", business_date, kind
"""
WORK = """
import sys
from exchange import jobs, worker
from exchange.services import open_services
from exchange.settings import Settings
from pathlib import Path
services = open_services(Settings(home=Path(sys.argv[2]), database_url=sys.argv[1], seed=1, virtual_clock=True))
with services.database.transaction():
    pass
print("ready", flush=True)
sys.stdin.readline()
servicing = {job: handler for job, handler in worker.HANDLERS.items() if job.startswith("servicing.")}
others = dict.fromkeys(worker.HANDLERS.keys() - servicing.keys(), lambda *_: None)
while jobs.run_one(services, servicing | others):
    pass
"""


def measure() -> list[Result]:
    """Assets a second by two workers, and how much faster than one they are."""
    with (
        tempfile.TemporaryDirectory(prefix="exchange-close-") as home,
        embedded.start(Path(home) / "pg", durable=True) as server,
    ):
        template = embedded.create_database(server.url, "close_template")
        upgrade(template)
        _fill(template)
        seconds, said = {}, set()
        for workers in (1, 2):
            url = embedded.create_database(server.url, f"close_{workers}", template="close_template")
            seconds[workers] = _close(url, Path(home), workers)
            said.add(_digest(url))
        assert len(said) == 1, "two workers noted something else than one"
    print(f"{ASSETS:,} assets closed in {seconds[1]:.1f} s by one worker, in {seconds[2]:.1f} s by two")
    ratio = seconds[1] / seconds[2]
    return [
        Result("close-of-business, two", ASSETS / seconds[2], "assets/s", ASSETS / SECONDS, SECONDS / seconds[2], 1),
        Result("close-of-business, 2 to 1", ASSETS / seconds[2], "assets/s", ASSETS / seconds[1], ratio, FASTER),
    ]


def _fill(url: str) -> None:
    database = Database(url, pooled=False, role=None)
    parameters = {"now": NOW - timedelta(days=200), "today": TODAY, "offsets": list(OFFSETS), "assets": ASSETS}
    with database.transaction() as session:
        for statement in FILL.split(";\n"):
            names = [name for name in parameters if f":{name}" in statement]
            session.execute(text(statement), {name: parameters[name] for name in names})
        jobs.set_virtual_time(session, moment=NOW)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    database.dispose()


def _close(url: str, home: Path, workers: int) -> float:
    """Seconds from the moment the close falls due until nothing is left to do."""
    services = _services(url, home)
    argv = [sys.executable, "-c", WORK, url, str(home)]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    running = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(workers)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    began = time.perf_counter()
    with services.database.transaction() as session:
        servicing.close_day(services, session, {"fire_at": NOW.isoformat()})
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        assert process.wait() == 0
    seconds = time.perf_counter() - began
    with services.database.transaction() as session:
        done = session.execute(text("SELECT count(*) FROM closed_chunk WHERE step = 'assets'")).scalar_one()
        assert done == -(-ASSETS // servicing.CHUNK), done
    services.database.dispose()
    return seconds


def _services(url: str, home: Path) -> Services:
    return open_services(Settings(home=home, database_url=url, seed=1, virtual_clock=True))


def _digest(url: str) -> str:
    """The facts, hashed."""
    database = Database(url, pooled=False, role=None)
    with database.transaction() as session:
        rows = session.execute(text(STATED))
        digest = hashlib.sha256(b"".join(repr(tuple(row)).encode() for row in rows)).hexdigest()
    database.dispose()
    return digest
