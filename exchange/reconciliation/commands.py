"""`exchange reconcile`: compare everything now, here, and say what differs."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from exchange import settings
from exchange.reconciliation import actions, queries
from exchange.reconciliation.checks import CHECKS
from exchange.services import Services, open_services

COMMAND = "command"
PAGE = 1000


@click.command("reconcile")
def reconcile() -> None:
    """Compare books, bank, claims, pools, limits, records and callbacks; exit code 1 while anything differs.

    Goes on with a run that is not finished, whoever began it; workers help.
    """
    services = open_services(settings.load())
    try:
        with services.database.transaction() as session:
            now = services.clock.now(session)
            run_id = actions.begin(
                session,
                services=services,
                business_date=services.business_date(now),
                asked_by=COMMAND,
                now=now,
                wait=True,
            )
        shown, breaks = _finished(services, run_id)
    finally:
        services.database.dispose()
    click.echo(f"{shown['run_id']}: {shown['checked']} checked, {shown['found']} breaks", nl=False)
    click.echo(f" ({shown['opened']} new), {shown['closed']} gone, sha256 {shown['digest']}")
    for one in breaks:
        numbers = f"{one['found']} instead of {one['expected']} {one['unit']} ({one['difference']:+})"
        click.echo(
            f"  {one['kind']}  {one['subject']} {one['holder']}  {numbers}  {one['age_days']} days  {one['state']}"
        )
    sys.exit(bool(shown["found"]))


def _finished(services: Services, run_id: str) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
    """Take runs further until ours is finished; the run and what it found."""
    database = services.database
    while True:
        advanced = database.run(
            lambda session: actions.go_on(session, services=services, now=services.clock.now(session))
        )
        with database.transaction() as session:
            shown = queries.run(session, run_id=run_id)
            if shown is None or shown["finished_at"] is not None:
                today = services.business_date(services.clock.now(session))
                found = queries.breaks(session, asked={"run_id": run_id}, after="", limit=PAGE, today=today)
                return shown or {}, found
        if advanced is not None:
            click.echo(f"{advanced.step} of {len(CHECKS)} checks, {advanced.checked} things", err=True)
