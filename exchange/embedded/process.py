"""The server as a process: started, awaited, found again, stopped."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psycopg

from exchange.embedded.programs import Account, child_environment

PORT = 5432  # the name of the socket's file, no more: there is no TCP
_STOP_TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.02


def spawn(arguments: list[str], *, account: Account | None, log: Path) -> subprocess.Popen[bytes]:
    """Start the server as `account` (None: as ourselves), its messages in `log`; the last log gets a `.1`."""
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env=child_environment(),
            start_new_session=True,  # Ctrl-C is for us: we stop the server last
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    finally:
        os.close(descriptor)


def wait_until_ready(process: subprocess.Popen[bytes], *, sockets: Path, deadline: float) -> bool:
    """Wait until the server takes connections; False: it ended, or was stopped at `deadline` (monotonic)."""
    try:
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                fsync_setting(sockets)
                return True
            time.sleep(_POLL_SECONDS)
    except BaseException:  # Ctrl-C while waiting must not leave a server behind
        terminate(process)
        raise
    terminate(process)
    return False


def fsync_setting(sockets: Path) -> str:
    """Return the server's `fsync` (on, off); psycopg.OperationalError while it takes no connections."""
    with psycopg.connect(host=str(sockets), port=PORT, user="postgres", dbname="postgres") as connection:
        return str(connection.execute("SHOW fsync").fetchall()[0][0])


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Stop our own server and wait for it; one that has ended is left alone."""
    process.send_signal(signal.SIGINT)  # "fast": roll back, write a checkpoint, leave
    try:
        process.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)  # "immediate": the next start recovers from the log
        process.wait()


def stop_orphan(data: Path) -> None:
    """Stop the server that runs on `data`, if one does."""
    lines = pid_file(data)
    if not lines:
        return
    pid = int(lines[0])
    deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
    while _is_server(pid, data=data):
        late = time.monotonic() > deadline
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT if late else signal.SIGINT)
        time.sleep(0.1)
    if pid_file(data) and Path(f"/proc/{pid}").exists():
        _disown(data, lines=lines)


def _disown(data: Path, *, lines: list[str]) -> None:
    """Let the server start though the number of its killed forerunner is some other program's by now.

    It would take that program for a server, but not its own parent: us. The rest of the file must stay: by it
    the server finds children of the forerunner that still live, and refuses to start before they are gone.
    """
    replacement = data.parent / "postmaster.pid"
    replacement.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
    replacement.chmod(0o644)
    replacement.replace(data / "postmaster.pid")


def _is_server(pid: int, *, data: Path) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        arguments = (process / "cmdline").read_bytes().split(b"\0")
        return os.fsencode(data) in arguments and process.stat().st_uid == data.stat().st_uid
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_file(data: Path) -> list[str]:
    """Return the lines of postmaster.pid: process, data, start, port, socket folder, address, memory key."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
