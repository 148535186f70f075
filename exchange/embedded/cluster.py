"""The data of a home, made once."""

import os
import shutil
import tempfile
from pathlib import Path

from exchange.embedded.programs import (
    Account,
    Binaries,
    EmbeddedPostgresError,
    binaries_for,
    can_enter,
    private_folder,
    run_as,
    server_account,
)


def create_data(home: Path, *, durable: bool) -> None:
    """Make an empty cluster, complete or not at all: it gets its name when it is ready."""
    account = server_account()
    binaries = binaries_for(account)
    place = home
    if not can_enter(account, home):
        place = Path(tempfile.mkdtemp(prefix="home-", dir=private_folder()))
        place.chmod(0o711)
    for left_over in place.glob("data.new-*"):
        shutil.rmtree(left_over)
    new = Path(tempfile.mkdtemp(prefix="data.new-", dir=place))
    try:
        if account is not None:
            os.chown(new, account.uid, account.gid)
        _initdb(binaries, new, account=account, durable=durable)
        new.rename(place / "data")
    except BaseException:
        shutil.rmtree(new if place == home else place, ignore_errors=True)
        raise
    if place != home:
        (home / "data").symlink_to(place / "data")


def _initdb(binaries: Binaries, new: Path, *, account: Account | None, durable: bool) -> None:
    # Text sorts by code point, the same on every machine; from 17 on without the help of the system.
    builtin = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    arguments = [
        str(binaries.folder / "initdb"),
        "-D",
        str(new),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    arguments += builtin if binaries.major >= 17 else ["--locale=C.UTF-8"]  # noqa: PLR2004 - PostgreSQL 17
    arguments += ["--data-checksums", "--no-instructions", *([] if durable else ["--no-sync"])]
    done = run_as(account, arguments)
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"initdb failed:\n{done.stdout}{done.stderr}")
