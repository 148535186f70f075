"""Starting the server of a home, or attaching to it: who owns it, with which settings, on which data."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

import psycopg
from sqlalchemy import URL

from exchange.embedded.cluster import create_data
from exchange.embedded.process import (
    PORT,
    fsync_setting,
    pid_file,
    spawn,
    stop_orphan,
    terminate,
    wait_until_ready,
)
from exchange.embedded.programs import Account, EmbeddedPostgresError, binaries_for, private_folder

_START_TIMEOUT_SECONDS = 60
_LOG_TAIL_LINES = 20

_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "shared_buffers": "256MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "max_connections": "100",
        "synchronous_commit": "on",
        "random_page_cost": "1.1",
        "jit": "off",  # our statements are short: compiling them costs more than it saves
        "max_parallel_workers_per_gather": "0",  # a container's /dev/shm is often too small
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_checkpoints": "off",
    }
)
# What makes tests quick. The data survives the server's death, not the machine's.
_NOT_DURABLE: Mapping[str, str] = MappingProxyType(
    {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
    }
)
# Authentication is `trust`, and safe: no TCP, and only the server's own user and root can enter the socket's
# folder - the two that can read the data files anyway. So nobody may change these.
_FIXED: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_permissions": "0700",
    }
)


class _Server(NamedTuple):
    """What the owner of a server has to put away."""

    process: subprocess.Popen[bytes]
    sockets: Path
    owner_lock: int


@dataclass(kw_only=True)
class EmbeddedPostgres:
    """A running server; `url` is for SQLAlchemy. Leaving `with` stops it if it was we who started it."""

    url: str
    _home: Path
    _server: _Server | None = None
    _pid: int = field(default_factory=os.getpid)

    @property
    def owned(self) -> bool:
        """Whether this process started the server (a forked child did not)."""
        return self._server is not None and self._pid == os.getpid()

    @property
    def pid(self) -> int | None:
        """The server's process, if it is ours."""
        return self._server.process.pid if self._server is not None and self.owned else None

    def stop(self) -> None:
        """Stop the server if it is ours, waiting for it; a second call does nothing.

        Connections are closed and running transactions rolled back.
        """
        if self._server is None or not self.owned:
            return
        with _locked(self._home) if self._home.exists() else contextlib.nullcontext():
            terminate(self._server.process)
            shutil.rmtree(self._server.sockets, ignore_errors=True)
            os.close(self._server.owner_lock)
            self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def start(home: Path, *, settings: Mapping[str, str] | None = None, durable: bool = True) -> EmbeddedPostgres:
    """Start the server of `home`, or attach to the one that runs; `home` and its data are made when missing.

    `settings` are added to the server's, if it is started here. `durable=False` is quick, but the data may
    not survive the machine's death. Refusals: EmbeddedPostgresError, with the end of the server's log.
    """
    wanted = _all_settings(settings or {}, durable=durable)
    home = _own_home(home)
    with _locked(home):
        if not os.path.lexists(home / "data"):
            create_data(home, durable=durable)
        data = _data(home)
        owner_lock = _try_lock(data.parent / "owner")
        if owner_lock is None:
            return _attach(home, data=data, durable=durable)
        try:
            stop_orphan(data)
            return _launch(home, data=data, settings=wanted, owner_lock=owner_lock)
        except BaseException:
            os.close(owner_lock)
            raise


def destroy(home: Path) -> None:
    """Delete the data of `home`, wherever it is, and then `home`; an orphaned server is stopped first.

    Refuses (EmbeddedPostgresError) while the process that started the server lives.
    """
    home = _own_home(home)
    with _locked(home):
        if os.path.lexists(home / "data"):
            data = _data(home)
            owner_lock = _try_lock(data.parent / "owner")
            if owner_lock is None:
                raise EmbeddedPostgresError(f"the server of {home} runs: stop the process that started it")
            stop_orphan(data)
            shutil.rmtree(_socket_folder(data), ignore_errors=True)
            shutil.rmtree(data)
            os.close(owner_lock)
            _remove_files(data.parent)
        _remove_files(home)


def _remove_files(folder: Path) -> None:
    """Remove our files from `folder`, and the folder unless it holds anything else."""
    for name in ("data", "owner", "pg.log", "pg.log.1", "lock"):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _all_settings(settings: Mapping[str, str], *, durable: bool) -> dict[str, str]:
    for name in settings:
        if name in _FIXED or name.startswith("unix_socket") or name.endswith("_file"):
            raise EmbeddedPostgresError(f"the embedded server's {name} cannot be changed: its socket must stay private")
    return {**_SETTINGS, **({} if durable else _NOT_DURABLE), **settings, **_FIXED}


def _own_home(home: Path) -> Path:
    home = home.absolute()
    try:
        # Others may pass through (not list): root's server, which is not root, must reach its data in it.
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        found = home.stat()
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot use {home}: {error.strerror}") from error
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_IWOTH:
        raise EmbeddedPostgresError(
            f"{home} must belong to user {os.geteuid()} and be closed to others: a home has one user"
        )
    return home


def _data(home: Path) -> Path:
    data = (home / "data").resolve()
    if not (data / "PG_VERSION").exists():
        raise EmbeddedPostgresError(f"{data} is not (or no longer) PostgreSQL's; remove {home / 'data'} to start empty")
    return data


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """Return the descriptor that holds the lock until it is closed, by the kernel if the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _launch(home: Path, *, data: Path, settings: Mapping[str, str], owner_lock: int) -> EmbeddedPostgres:
    owner = data.stat()
    account = Account(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None
    binaries = binaries_for(account, major=int((data / "PG_VERSION").read_text()))
    sockets = _socket_folder(data)
    shutil.rmtree(sockets, ignore_errors=True)  # of a server that was killed
    sockets.mkdir(mode=stat.S_IRWXU)
    try:
        if account is not None:
            os.chown(sockets, account.uid, account.gid)
        arguments = [str(binaries.folder / "postgres"), "-D", str(data), "-k", str(sockets)]
        arguments += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        process = _started(arguments, account=account, log=data.parent / "pg.log", sockets=sockets)
    except BaseException:
        shutil.rmtree(sockets)
        raise
    return EmbeddedPostgres(url=_url(sockets), _home=home, _server=_Server(process, sockets, owner_lock))


def _started(arguments: list[str], *, account: Account | None, log: Path, sockets: Path) -> subprocess.Popen[bytes]:
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while True:
        process = spawn(arguments, account=account, log=log)
        if wait_until_ready(process, sockets=sockets, deadline=deadline):
            return process
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
        # The children of a killed server take a moment to notice; until then its memory is not free.
        if "pre-existing shared memory block" not in tail or time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"PostgreSQL did not start; the end of {log}:\n{tail}")
        time.sleep(0.2)


def _attach(home: Path, *, data: Path, durable: bool) -> EmbeddedPostgres:
    lines = pid_file(data)
    if not lines:
        raise EmbeddedPostgresError(
            f"the server of {home} is gone, but the process that started it lives: stop that first"
        )
    sockets = Path(lines[4])
    try:
        fsync = fsync_setting(sockets)
    except psycopg.OperationalError as error:
        raise EmbeddedPostgresError(
            f"the server of {home} was started by another process and takes no connections: {error}"
        ) from error
    if durable and fsync == "off":
        raise EmbeddedPostgresError(f"the server of {home} runs without durability, which was asked for: stop it first")
    return EmbeddedPostgres(url=_url(sockets), _home=home)


def _socket_folder(data: Path) -> Path:
    # A socket's path has at most 107 bytes, so it cannot simply lie in `home`.
    return private_folder() / hashlib.sha256(os.fsencode(data)).hexdigest()[:16]


def _url(sockets: Path) -> str:
    query = {"host": str(sockets), "port": _FIXED["port"]}
    url = URL.create("postgresql+psycopg", username="postgres", database="postgres", query=query)
    return url.render_as_string(hide_password=False)
