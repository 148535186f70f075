"""`exchange model`: train, evaluate, promote, take back, explain, replay decisions, write the card. Here and now."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from exchange import settings
from exchange.models import actions, cards
from exchange.models.actions import By
from exchange.risk import decisions, engines
from exchange.risk import queries as risk
from exchange.services import Services, open_services
from scoring.errors import ScoringError
from scoring.model import PPM

COMMAND = "command"
BATCH = 1_000
Result = TypeVar("Result")
REASON = click.option("--reason", required=True, help="Why; it is kept with what you do.")


@click.group("model")
def group() -> None:
    """Models that score: train, evaluate, promote, roll back, explain, replay, card."""


@group.command("train")
@click.option("--horizon", "horizon_days", type=click.IntRange(1, 365), default=30, show_default=True)
@click.option("--at-once", is_flag=True, help="Without shadow: only where no model works, or on a virtual clock.")
@click.option("--reason", default="asked for", show_default=True)
def train_model(horizon_days: int, reason: str, *, at_once: bool) -> None:
    """Train on everything known by yesterday; the first model scores at once, a later one in shadow."""

    def work(services: Services, session: Session, by: By) -> str | None:
        virtual = services.settings.virtual_clock
        return actions.train(session, horizon_days=horizon_days, at_once=at_once, by=by, virtual=virtual, say=_say)

    version = _done(work, reason=reason)
    if version is None:
        raise click.ClickException("too few outcomes of either kind to learn from: nothing changed")
    click.echo(version)


@group.command("evaluate")
@click.argument("version")
@click.option("--reason", default="asked for", show_default=True)
def evaluate_model(version: str, reason: str) -> None:
    """Compare VERSION with the model in force, on outcomes that came after both were trained."""
    found = _done(lambda _, session, by: actions.evaluate(session, version=version, by=by, say=_say), reason=reason)
    click.echo(f"{version} against {found['against']}: {found['verdict']}")
    click.echo(f"{found['rows']:,} outcomes, {found['events']:,} of them bad")
    if "curves" not in found:
        click.echo(found["why"])
        return
    loss = found["log_loss"]
    click.echo(f"log-loss difference {loss['difference']:+.5f}, by payers {loss['low']:+.5f} to {loss['high']:+.5f}")
    sides = {"": found["curves"]["candidate"]["figures_ppm"], "in force": found["curves"]["incumbent"]["figures_ppm"]}
    _table([["", found["voice"], "in force"], *([name, *_shares(name, sides)] for name in sides["in force"])])


@group.command("promote")
@click.argument("version")
@REASON
def promote_model(version: str, reason: str) -> None:
    """Put VERSION in force: its shadow is over and its last comparison shows that it is better."""
    click.echo(_done(lambda _, session, by: actions.promote(session, version=version, by=by), reason=reason))


@group.command("rollback")
@click.argument("version", required=False)
@REASON
def roll_back(version: str | None, reason: str) -> None:
    """Go back to VERSION, which was in force once; without it to the one before."""
    click.echo(_done(lambda _, session, by: actions.restore(session, version=version, by=by), reason=reason))


@group.command("explain")
@click.argument("asset_id")
def explain(asset_id: str) -> None:
    """Say how ASSET_ID was decided: chances, points by feature, reasons, term and price with its parts."""

    def read(_: Services, session: Session, __: By) -> tuple[dict[str, Any], list[tuple[str, str, int]]]:
        return risk.decision(session, asset_id=asset_id, originator_id=None), cards.points(session, asset_id=asset_id)

    found, points = _done(read, reason="")
    answer = found["answer"] or {}
    click.echo(f"{asset_id}  {found['grade']}  {found['pd_ppm'] / PPM:.2%} seriously late  {found['model_version']}")
    for reason in found["reasons"]:
        click.echo(f"  {reason['en']}  {reason['zh']}")
    _table([["feature", "value", "log-odds"], *([name, value, f"{micro / PPM:+.3f}"] for name, value, micro in points)])
    told = {name: value for name, value in answer.items() if not isinstance(value, dict)}
    _table([[name, str(value)] for name, value in {**told, **(answer.get("discount") or {})}.items()])


@group.command("replay")
@click.option(
    "--most", type=click.IntRange(1), default=10_000, show_default=True, help="So many, from the first id on."
)
def replay_decisions(most: int) -> None:
    """Make past decisions again from what was frozen; exit code 1 where one is not the same, byte for byte."""
    services = open_services(settings.load())
    made, differ, after = 0, [], ""
    try:
        while made < most:
            with services.database.snapshot() as session:
                found = decisions.replay(session, after=after, limit=min(BATCH, most - made))
            if not found:
                break
            made, after = made + len(found), max(one.asset_id for one in found)
            differ += [one for one in found if not one.equal]
            _say(f"{made:,} decisions made again")
    finally:
        services.database.dispose()
    click.echo(f"{made:,} decisions, {len(differ):,} not as they were")
    for one in differ:
        click.echo(f"  {one.asset_id}  {one.model_version}  {one.code or 'differs'}")
    sys.exit(bool(differ))


@group.command("card")
@click.argument("version", required=False)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="An HTML file.")
def write_card(version: str | None, out: Path) -> None:
    """Write the card of VERSION (the one in force) to a file: figures and plots, needing nothing else."""

    def read(_: Services, session: Session, by: By) -> str:
        wanted = version or engines.in_force(session).version
        return cards.page_of(session, version=wanted, now=by.now)

    out.write_text(_done(read, reason=""))
    click.echo(str(out))


def _done(work: Callable[[Services, Session, By], Result], *, reason: str) -> Result:
    """What `work` comes to in a transaction of its own; what scoring refuses is said in a line."""
    with _opened() as services, services.database.transaction() as session:
        now = services.clock.now(session)
        return work(services, session, By(COMMAND, reason, services.business_date(now), now))


@contextmanager
def _opened() -> Iterator[Services]:
    services = open_services(settings.load())
    try:
        yield services
    except ScoringError as refusal:
        raise click.ClickException(f"{refusal.code}: {refusal}") from refusal
    finally:
        services.database.dispose()


def _say(text: str) -> None:
    click.echo(text, err=True)


def _shares(name: str, sides: dict[str, dict[str, int | None]]) -> list[str]:
    return ["n/a" if side[name] is None else f"{(side[name] or 0) / PPM:.4f}" for side in sides.values()]


def _table(rows: list[list[str]]) -> None:
    """Columns as wide as they need to be, figures to the right."""
    if not rows:
        return
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        click.echo("  " + "  ".join(cells).rstrip())
