"""Which programs the embedded PostgreSQL takes, where it keeps what is shared, and what it refuses."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import embedded
from exchange.embedded import EmbeddedPostgresError, programs


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give an empty home."""
    path = tmp_path / "home"
    yield path
    embedded.destroy(path)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an empty place for the folder that lies outside any home; all users can enter it."""
    path = Path(tempfile.mkdtemp(prefix="test-", dir=programs.private_folder()))
    path.chmod(0o711)
    monkeypatch.setattr(programs, "_STATE_PARENTS", (path,))
    yield path
    shutil.rmtree(path)


def _fake(folder: Path, program: str, script: str) -> None:
    path = folder / program
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_system_programs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EXCHANGE_PG_BIN is used, also through a link to `postgres`; the data keeps to its version."""
    newest, older = programs._wheel_folders()
    (tmp_path / "postgres").symlink_to(older / "postgres")
    monkeypatch.setenv("EXCHANGE_PG_BIN", str(tmp_path))
    embedded.start(home, durable=False).stop()
    monkeypatch.setenv("EXCHANGE_PG_BIN", str(newest))
    with pytest.raises(EmbeddedPostgresError, match="is version 18, the data is version 16"):
        embedded.start(home)
    monkeypatch.delenv("EXCHANGE_PG_BIN")
    embedded.start(home, durable=False).stop()
    assert (home / "data" / "PG_VERSION").read_text() == "16\n"


@pytest.mark.parametrize("folder", sorted(Path("/usr/lib/postgresql").glob("*/bin")), ids=str)
def test_programs_of_this_machine(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever PostgreSQL the machine has works too."""
    monkeypatch.setenv("EXCHANGE_PG_BIN", str(folder))
    embedded.start(home, durable=False).stop()


def test_no_programs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder is refused by name, and so is a machine without the wheel."""
    monkeypatch.setenv("EXCHANGE_PG_BIN", str(tmp_path))
    with pytest.raises(EmbeddedPostgresError, match="no initdb there"):
        embedded.start(home)
    monkeypatch.delenv("EXCHANGE_PG_BIN")
    monkeypatch.setattr(programs, "_WHEEL", "no_such_wheel")
    with pytest.raises(EmbeddedPostgresError, match="no_such_wheel is not installed"):
        embedded.start(home)


def test_initdb_fails(state: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are in the error, and nothing half made stays behind."""
    _fake(state, "postgres", "echo 'postgres (PostgreSQL) 15.1'")
    _fake(state, "initdb", 'echo "no $8 today" >&2; exit 1')
    monkeypatch.setenv("EXCHANGE_PG_BIN", str(state))
    with pytest.raises(EmbeddedPostgresError, match="no UTF8 today"):
        embedded.start(home)
    assert [path.name for path in home.iterdir()] == ["lock"]
    assert not list(state.glob("*/home-*"))


def test_program_that_does_not_run(state: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program for another machine is refused with the system's reason."""
    for program in ("initdb", "postgres"):
        (state / program).write_text("not a program")
        (state / program).chmod(0o755)
    monkeypatch.setenv("EXCHANGE_PG_BIN", str(state))
    with pytest.raises(EmbeddedPostgresError, match=r"does not run: .*format error"):
        embedded.start(home)


def test_left_overs_of_a_killed_initdb(open_home: Path) -> None:
    """What a start that was killed half way left is removed by the next."""
    left_over = open_home / "data.new-x"
    left_over.mkdir()
    embedded.start(open_home, durable=False).stop()
    assert not left_over.exists()


@pytest.fixture
def open_home() -> Iterator[Path]:
    """Give a home that the server's user can enter, so that the data lies in it."""
    path = Path(tempfile.mkdtemp(prefix="test-", dir=programs.private_folder()))
    path.chmod(0o711)
    yield path
    embedded.destroy(path)


def test_copied_programs_run(state: Path) -> None:
    """The copy runs as the server's user, root's are nobody's to change, and it is made once."""
    install = programs._wheel_folders()[0].parent
    first = programs._copied(install)
    assert programs._copied(install) == first
    assert state in first.parents
    done = programs.run_as(programs.server_account(), [str(first / "initdb"), "--version"])
    assert done.stdout.startswith("initdb (PostgreSQL) 18")
    for path in first.parents[2].rglob("*"):
        assert path.is_symlink() or (path.stat().st_mode & 0o022 == 0 and path.stat().st_uid == os.geteuid())


def test_programs_are_copied_where_the_server_cannot_go(
    state: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the virtual environment in a closed folder the server runs from the copy."""
    monkeypatch.setattr(programs, "can_enter", lambda _account, path: path.name != "initdb")
    with embedded.start(home, durable=False):
        pass
    assert len(list(state.glob("*/programs-*"))) == 1


def test_somebody_elses_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link or an open folder under our name is not trusted; a place we cannot write to is named."""
    monkeypatch.setattr(programs, "_STATE_PARENTS", (tmp_path,))
    folder = tmp_path / f"exchange-pg-{os.geteuid()}"
    folder.symlink_to("/tmp")  # noqa: S108 - the attack
    with pytest.raises(EmbeddedPostgresError, match="remove it"):
        programs.private_folder()
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="remove it"):
        programs.private_folder()
    monkeypatch.setattr(programs, "_STATE_PARENTS", (tmp_path / "missing",))
    with pytest.raises(EmbeddedPostgresError, match="cannot make"):
        programs.private_folder()


def test_no_user_to_become(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root becomes `nobody` where there is no `postgres`, and is told when there is neither."""
    nobody = pwd.getpwnam("nobody")

    def without_postgres(name: str) -> pwd.struct_passwd:
        if name == "postgres":
            raise KeyError(name)
        return nobody

    def without_both(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", without_postgres)
    assert programs.server_account() == (nobody.pw_uid, nobody.pw_gid)
    monkeypatch.setattr(pwd, "getpwnam", without_both)
    with pytest.raises(EmbeddedPostgresError, match="neither"):
        programs.server_account()
