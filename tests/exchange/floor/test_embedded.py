"""The embedded PostgreSQL: started, shared, killed, refused; as root and as nobody."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from exchange import embedded
from exchange.embedded import EmbeddedPostgresError, process, programs

CHILD = Path(__file__).with_name("embedded_child.py")
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a home whose path is long and odd."""
    path = tmp_path / ("a very long näme" * 10) / "ho me"
    yield path
    embedded.destroy(path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that every user can enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def ask(url: str, query: str) -> str:
    """Return the one value a query gives."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(query))
        return str(result.scalar()) if result.returns_rows else ""


def child(home: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the server of `home` in another process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    here = {"PYTHONPATH": str(Path(embedded.__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(home), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=inherited | here | environment,
    )


def said(starter: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what a child printed: owner or guest, and the URL."""
    assert starter.stdout is not None
    role, url = starter.stdout.readline().split()
    return role, url


def server_pid(home: Path) -> int:
    """Return the server's process number."""
    return int((home / "data" / "postmaster.pid").read_text().splitlines()[0])


def test_server_is_what_we_asked_for(home: Path) -> None:
    """UTF-8, UTC, our settings, no TCP, and text sorted by code point."""
    with embedded.start(home, settings={"work_mem": "7MB"}) as server:
        assert int(ask(server.url, "SHOW server_version_num")) >= 150000
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert ask(server.url, "SHOW timezone") == "UTC"
        assert ask(server.url, "SHOW listen_addresses") == ""
        assert ask(server.url, "SHOW work_mem") == "7MB"
        assert ask(server.url, "SHOW fsync") == "on"
        assert ask(server.url, "SELECT 'Z' < 'a' AND lower('Ä') = 'ä'") == "True"


def test_data_outlives_the_server(home: Path) -> None:
    """What one server stored, the next one reads; the first is stopped, twice without harm."""
    server = embedded.start(home, durable=False)
    ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    server.stop()
    with pytest.raises(OperationalError):
        ask(server.url, "SELECT 1")
    with embedded.start(home) as server:
        assert ask(server.url, "SELECT answer FROM kept") == "42"


def test_only_its_user_can_reach_the_server(home: Path) -> None:
    """Socket folder and data are closed to others; the environment of the server holds no secret of ours."""
    with embedded.start(home, durable=False) as server:
        sockets = Path(str(make_url(server.url).query["host"]))
        for private in (sockets, home / "data"):
            assert stat.S_IMODE(private.stat().st_mode) == 0o700
        pid = server_pid(home)
        assert Path(f"/proc/{pid}").stat().st_uid == sockets.stat().st_uid == (home / "data").stat().st_uid
        assert b"HOME=" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert not sockets.exists()


def test_second_starter_is_a_guest(home: Path) -> None:
    """It gets the running server and leaves it running; so does a forked child of the owner."""
    with embedded.start(home) as owner:
        with embedded.start(home) as guest:
            assert guest.url == owner.url
            assert not guest.owned
        owner._pid += 1
        owner.stop()
        owner._pid -= 1
        assert ask(owner.url, "SELECT 1") == "1"
        with pytest.raises(EmbeddedPostgresError, match="stop the process that started it"):
            embedded.destroy(home)


def test_two_at_once(home: Path) -> None:
    """Of two processes that start an empty home at once one makes and owns the server, and both use it."""
    children = [child(home), child(home)]
    answers = [said(starter) for starter in children]
    assert sorted(role for role, _ in answers) == ["guest", "owner"]
    assert answers[0][1] == answers[1][1]
    assert [ask(url, "SELECT 1") for _, url in answers] == ["1", "1"]
    for starter in children:
        starter.communicate()
        assert starter.returncode == 0


def test_owner_killed(home: Path) -> None:
    """The server whose owner was killed is stopped by the next starter, which gets all that was stored."""
    starter = child(home)
    _, url = said(starter)
    ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    orphan = server_pid(home)
    starter.kill()
    starter.communicate()
    assert ask(url, "SELECT 1") == "1"
    with embedded.start(home) as server:
        assert server.owned
        assert server_pid(home) != orphan
        assert ask(server.url, "SELECT answer FROM kept") == "42"


def test_server_killed(home: Path) -> None:
    """After kill -9 the owner must let go; then the next start recovers what was committed."""
    server = embedded.start(home)
    ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(server_pid(home), signal.SIGKILL)
    with pytest.raises(EmbeddedPostgresError, match="takes no connections"):
        embedded.start(home)
    server.stop()
    with embedded.start(home) as server:
        assert ask(server.url, "SELECT answer FROM kept") == "42"


def test_children_of_the_killed_server(home: Path) -> None:
    """A new server waits until no child of the killed one can write to the data any more."""
    server = embedded.start(home)
    engine = create_engine(server.url, poolclass=NullPool)
    connection = engine.connect()
    child_pid = connection.scalar(text("SELECT pg_backend_pid()"))
    os.kill(child_pid, signal.SIGSTOP)
    os.kill(server_pid(home), signal.SIGKILL)
    server.stop()
    Timer(1, os.kill, (child_pid, signal.SIGCONT)).start()
    before = time.monotonic()
    with embedded.start(home) as server:
        assert time.monotonic() - before > 0.5
        assert ask(server.url, "SELECT 1") == "1"
    connection.invalidate()
    connection.close()


def test_interrupted_start_leaves_no_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the server starts stops it too."""

    def interrupt(sockets: Path) -> str:
        if not process.pid_file(home / "data"):
            raise psycopg.OperationalError("it takes a moment to write its number")
        pids.append(server_pid(home))
        raise KeyboardInterrupt(sockets)

    pids: list[int] = []
    embedded.start(home).stop()
    with monkeypatch.context() as patch:
        patch.setattr(process, "fsync_setting", interrupt)
        with pytest.raises(KeyboardInterrupt):
            embedded.start(home)
    assert not Path(f"/proc/{pids[0]}").exists()
    embedded.start(home).stop()


def test_server_that_will_not_stop(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When time is up it is stopped at once; nothing that was committed is lost."""
    server = embedded.start(home)
    ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    monkeypatch.setattr(process, "_STOP_TIMEOUT_SECONDS", 0)
    server.stop()
    with embedded.start(home) as server:
        assert ask(server.url, "SELECT answer FROM kept") == "42"


def test_number_of_the_killed_server_is_taken(home: Path) -> None:
    """A program that got the process number of a killed server is neither stopped nor in the way."""
    server = embedded.start(home)
    pid_file = home / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    os.kill(int(lines[0]), signal.SIGKILL)
    server.stop()
    account = programs.server_account()
    user = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    with subprocess.Popen(["sleep", "60"], **user) as bystander:  # type: ignore[call-overload] # user's types
        pid_file.write_text("\n".join([str(bystander.pid), *lines[1:], ""]))
        with embedded.start(home) as server:
            assert ask(server.url, "SELECT 1") == "1"
        assert bystander.poll() is None
        bystander.kill()


def test_owner_lives_but_server_left(home: Path) -> None:
    """A server that was shut down behind its owner's back is not started by a guest."""
    with embedded.start(home) as server:
        assert server._server is not None
        process.terminate(server._server.process)
        with pytest.raises(EmbeddedPostgresError, match="is gone"):
            embedded.start(home)


def test_durability_is_not_weakened(home: Path) -> None:
    """Who asks for durability does not get a server without it."""
    with (
        embedded.start(home, durable=False),
        pytest.raises(EmbeddedPostgresError, match="without durability"),
    ):
        embedded.start(home)


def test_databases(home: Path) -> None:
    """A copy holds its template's rows; dropping closes connections; an odd name is only a name."""
    with embedded.start(home, durable=False) as server:
        template = embedded.create_database(server.url, "template")
        ask(template, "CREATE TABLE kept AS SELECT 42 AS answer")
        copy = embedded.create_database(server.url, 'odd %"name', template="template")
        with create_engine(copy, poolclass=NullPool).connect() as connection:
            assert connection.scalar(text("SELECT answer FROM kept")) == 42
            embedded.drop_database(server.url, 'odd %"name')
            with pytest.raises(OperationalError):
                connection.execute(text("SELECT 1"))
        embedded.drop_database(server.url, 'odd %"name')


def test_bad_setting_shows_the_log(home: Path) -> None:
    """When the server does not start, the error carries its own words; the home stays usable."""
    with pytest.raises(EmbeddedPostgresError, match=r"pg\.log:(?s:.*)banana"):
        embedded.start(home, settings={"work_mem": "banana"})
    embedded.start(home).stop()


@pytest.mark.parametrize("name", ["listen_addresses", "port", "unix_socket_directories", "hba_file"])
def test_socket_stays_private(home: Path, name: str) -> None:
    """No setting may open the server to others."""
    with pytest.raises(EmbeddedPostgresError, match=name):
        embedded.start(home, settings={name: "x"})


def test_foreign_data_is_left_alone(home: Path) -> None:
    """A folder `data` that is not PostgreSQL's is neither used nor deleted."""
    treasure = home / "data" / "treasure"
    treasure.mkdir(parents=True)
    for refusing in (embedded.start, embedded.destroy):
        with pytest.raises(EmbeddedPostgresError, match="PostgreSQL's; remove"):
            refusing(home)
    assert treasure.exists()
    shutil.rmtree(treasure.parent)


def test_destroy_takes_only_its_own(tmp_path: Path) -> None:
    """Other files in the home stay; a home that never was is no error."""
    home = tmp_path / "home"
    embedded.start(home, durable=False).stop()
    place = (home / "data").resolve().parent
    (home / "other").touch()
    embedded.destroy(home)
    assert [path.name for path in home.iterdir()] == ["other"]
    assert place == home or not place.exists()
    embedded.destroy(tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_home_of_others_is_refused(tmp_path: Path) -> None:
    """A home that others can write to, or that cannot be made, is refused with its name."""
    tmp_path.chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="closed to others"):
        embedded.start(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match="cannot use"):
        embedded.start(tmp_path / "file" / "home")


@as_root
def test_home_of_another_user_is_refused(open_folder: Path) -> None:
    """Root does not work in a folder that somebody else could change under its hands."""
    os.chown(open_folder, 65534, 65534)
    with pytest.raises(EmbeddedPostgresError, match="must belong to user 0"):
        embedded.start(open_folder)


@as_root
def test_root_steps_down(open_folder: Path) -> None:
    """Root's server runs as somebody else, its data in the home; the folders above keep owner and mode."""
    home = open_folder / "home"
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in home.parents]
    with embedded.start(home, durable=False):
        assert (home / "data").is_dir()
        assert not (home / "data").is_symlink()
        account = programs.server_account()
        assert account is not None
        assert Path(f"/proc/{server_pid(home)}").stat().st_uid == account.uid
    assert before == [(path, path.stat().st_mode, path.stat().st_uid) for path in home.parents]
    embedded.destroy(home)


@as_root
def test_home_that_the_server_cannot_enter(home: Path, tmp_path: Path) -> None:
    """Below a closed folder the data is a link to where the server can be; no mode above is changed."""
    tmp_path.chmod(0o700)
    before = [(path, path.stat().st_mode) for path in tmp_path.parents]
    embedded.start(home, durable=False).stop()
    assert (home / "data").is_symlink()
    assert before == [(path, path.stat().st_mode) for path in tmp_path.parents]
    shutil.rmtree((home / "data").resolve().parent)
    with pytest.raises(EmbeddedPostgresError, match="PostgreSQL's; remove"):
        embedded.start(home)
    (home / "data").unlink()


@as_root
def test_as_nobody(open_folder: Path) -> None:
    """A user without any right starts its own server, in its own folders, as itself."""
    nobody = pwd.getpwnam("nobody").pw_uid
    home = open_folder / "home"
    home.mkdir()
    os.chown(home, nobody, nobody)
    folder = programs.binaries_for(programs.Account(nobody, nobody)).folder
    starter = child(home, str(nobody), EXCHANGE_PG_BIN=str(folder))
    role, url = said(starter)
    assert role == "owner"
    assert f"exchange-pg-{nobody}" in url
    assert ask(url, "SELECT 1") == "1"
    assert Path(f"/proc/{server_pid(home)}").stat().st_uid == nobody
    starter.communicate()
    assert starter.returncode == 0
