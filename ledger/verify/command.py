"""`verify FILE...`: the verifier on the command line; `exchange verify` is the same command."""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ledger.errors import LedgerError
from ledger.notes import Verifier
from ledger.policy import Policy
from ledger.verify import output
from ledger.verify.belief import Beliefs, Undecided
from ledger.verify.run import holders, life, verify_files
from ledger.verify.session import Progress, Session
from ledger.verify.trust import parse_key_set

_DAY = click.DateTime(["%Y-%m-%d"])
_PATH = click.Path(path_type=Path)
_REFRESH_S = 0.1
CERTIFICATE = "certificate"

_HELP = """Verify FILES without any service: records, tapes, proofs, checkpoints, key sets, packs, copies of the log,
certificates of a clearing.

Each FILE is recognised by its content. Whom to believe is said by --keys or --key, for checkpoints by --policy or
--log-key; what a file brings along itself is believed only for want of those, and the output says so.

\b
Exit codes:
  0  right: everything was checked, and nothing is wrong
  1  wrong: something is; each finding has a stable code, and says where
  2  usage: the command line is not understood
  3  undecided: nothing is known to be wrong, but a key, a policy or a file is missing
"""


class Bar(Progress):
    """One line on a terminal that says what is being done and how far it is."""

    def __init__(self) -> None:
        self._what = ""
        self._total = 0
        self._shown_at = 0.0

    def begin(self, what: str, *, total: int) -> None:
        """Something of this size begins."""
        self._what, self._total = what, total
        self._show(0)

    def step(self, done: int) -> None:
        """So much of it is done; shown at most ten times a second."""
        if time.monotonic() - self._shown_at > _REFRESH_S:
            self._show(done)

    def end(self) -> None:
        """Leave a clean line."""
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    def _show(self, done: int) -> None:
        self._shown_at = time.monotonic()
        share = done / self._total if self._total else 0.0
        filled = int(share * 30)
        sys.stderr.write(f"\r\x1b[K  {'#' * filled}{'.' * (30 - filled)} {share:4.0%}  {self._what}")
        sys.stderr.flush()


def make_command(now: Callable[[], datetime] | None = None) -> click.Command:
    """The command. `now` is the clock from which --max-age counts; without one --as-of has to say."""

    @click.command("verify", help=_HELP)
    @click.argument("files", nargs=-1, required=True, type=_PATH, metavar="FILE...")
    @click.option("--keys", "keys_file", type=_PATH, help="A JWK set: every key in it is believed.")
    @click.option("--key", "root", metavar="THUMBPRINT", help="Believe this key and whom its chain vouches for.")
    @click.option("--policy", "policy_file", type=_PATH, help="Which log and witnesses to believe (C2SP tlog-policy).")
    @click.option("--log-key", "vkeys", metavar="VKEY", multiple=True, help="Believe this log (C2SP vkey).")
    @click.option("--asset", metavar="ID", help="Show this asset's life.")
    @click.option("--at", type=_DAY, metavar="DATE", help="Show who held the asset at the end of this day.")
    @click.option("--max-age", type=click.IntRange(0), metavar="DAYS", help="Refuse older witness cosignatures.")
    @click.option("--as-of", type=_DAY, metavar="DATE", help="The day from which --max-age counts back [today].")
    @click.option("--jobs", type=click.IntRange(1), default=_cores(), show_default=True, help="Processes at work.")
    @click.option("--json", "as_json", is_flag=True, help="The outcome as one JSON object.")
    def verify(files: tuple[Path, ...], jobs: int, *, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's
        """Verify files."""
        if given["at"] and not given["asset"]:
            raise click.UsageError("--at needs --asset.")
        try:
            beliefs = _beliefs(given, now)
        except (OSError, LedgerError) as error:
            click.echo(f"Cannot be judged: {error}", err=True)
            sys.exit(output.UNDECIDED)
        if len(files) > 1 and str(files[0]) == CERTIFICATE and not files[0].exists():
            files = files[1:]  # `verify certificate FILE` says what FILE is, which FILE says too
        session = Session(beliefs, jobs, Bar() if sys.stderr.isatty() else Progress())
        verify_files(files, session)
        told = _asset(files, given, session) if given["asset"] else None
        if as_json:
            click.echo(json.dumps(output.as_json(session, statement=told), ensure_ascii=False))
        else:
            click.echo(output.page(session) + (output.asset_page(told) if told else ""))
        sys.exit(output.exit_code(session))

    return verify


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _beliefs(given: dict[str, Any], now: Callable[[], datetime] | None) -> Beliefs:
    """What the options say. Raises OSError; refuses what the files' parsers refuse."""
    keys = parse_key_set(given["keys_file"].read_bytes()) if given["keys_file"] else None
    policy = Policy.parse(given["policy_file"].read_text("utf-8", "replace")) if given["policy_file"] else None
    log_keys = tuple(Verifier.parse(vkey.strip()) for vkey in given["vkeys"])
    not_before_s = None
    if given["max_age"] is not None:
        as_of = given["as_of"].replace(tzinfo=UTC) if given["as_of"] else now() if now else None
        if as_of is None:
            raise click.UsageError("--max-age needs --as-of here.")
        not_before_s = int((as_of - timedelta(days=given["max_age"])).timestamp())
    return Beliefs(keys, given["root"], policy, log_keys, not_before_s)


def _asset(files: tuple[Path, ...], given: dict[str, Any], session: Session) -> dict[str, Any] | None:
    """The asset's life and holders by the first file that is a tape or pack."""
    kinds = {report.file: report.kind for report in session.reports}
    path = next((path for path in files if kinds[str(path)] in {"tape", "pack", "record"}), None)
    if path is None:
        raise click.UsageError("--asset needs a tape or a pack.")
    at = given["at"].date() if given["at"] else None
    try:
        known = life(path, asset=given["asset"], session=session)
        held = holders(path, asset=given["asset"], at=at, session=session) if at else []
    except (Undecided, LedgerError, OSError):
        return None
    return output.asset_json(given["asset"], known, at=at, held=held)
