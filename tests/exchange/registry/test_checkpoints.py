"""The guard: no history is signed over another, whatever became of database, guard or process."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from exchange import embedded
from exchange.app import create_app
from exchange.operations.queries import checks
from exchange.registry import checkpoints, sealing
from exchange.registry.guard import Guard, GuardDatabase, guard_of
from exchange.services import Services, open_services
from exchange.settings import SettingsError, load, to_environment
from ledger import log
from ledger.checkpoint_file import CheckpointFile, Kept
from ledger.notes import open_checkpoint
from tests.exchange.house import House, closing, open_house
from tests.exchange.receivables.shared import at_once
from tests.exchange.registry.readers import head, keep, log_key, read


class Crash(Exception):
    """Stands for a power cut."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A guard around another; `before` and `after` happen around each swap."""

    keeper: Guard
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def read(self) -> Kept | None:
        """What is kept."""
        return self.keeper.read()

    def swap(self, note: str, *, expected: str | None) -> bool:
        """Swap, with what happens around it."""
        self.before()
        swapped = self.keeper.swap(note, expected=expected)
        self.after()
        return swapped


def crash() -> None:
    """Die here."""
    raise Crash


@pytest.fixture
def house(services: Services) -> House:
    """A house of its own for each test: its guard is what is tried."""
    return open_house(services)


@pytest.fixture(params=["file", "database"])
def guarded(services: Services, server_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house whose guard is a file, or another database."""
    if request.param == "file":
        yield open_house(services)
        return
    name = f"guard_{tmp_path.name[-40:]}".lower().replace("-", "_")
    url = embedded.create_database(server_url, name).replace("postgresql+psycopg://", "postgresql://")
    yield open_house(replace(services, settings=replace(services.settings, guard=url)))
    embedded.drop_database(server_url, name)


def kept_size(services: Services) -> int:
    """The size of the guard's checkpoint."""
    kept = guard_of(services.settings).read()
    return int(kept.note.split("\n")[1]) if kept else -1


def signed_notes(services: Services) -> dict[int, str]:
    """Every checkpoint in the database."""
    with services.database.transaction() as session:
        return {row.size: row.note for row in session.execute(text("SELECT size, note FROM log_checkpoint"))}


def seal_more(house: House, name: str, count: int = 3) -> None:
    """Facts of an asset, sealed."""
    keep(house.services, name, *range(count))
    while sealing.seal(house.services):
        pass


@contextmanager
def copied(services: Services, server_url: str, name: str) -> Iterator[Services]:
    """A backup of the database brought up beside it, with the same home: what an operator restores."""
    services.database.dispose()
    source = str(services.settings.database_url).rpartition("/")[2].partition("?")[0]
    url = embedded.create_database(server_url, name, template=source)
    try:
        with closing(open_services(replace(services.settings, database_url=url))) as opened:
            yield opened
    finally:
        embedded.drop_database(server_url, name)


def test_the_guard_has_each_checkpoint(guarded: House) -> None:
    """What is served is what the guard keeps; idle turns write nothing."""
    web = guarded.app.test_client()
    for name in ("a", "b"):
        seal_more(guarded, name)
        kept = guard_of(guarded.services.settings).read()
        assert kept is not None
        assert read(web, "/log/checkpoint").text == kept.note
        assert open_checkpoint(kept.note, log=log_key(web)) == head(web)
    before = guard_of(guarded.services.settings).read()
    checkpoints.publish(guarded.services)
    assert guard_of(guarded.services.settings).read() == before
    guarded.check()


def test_a_restored_backup_signs_nothing(guarded: House, server_url: str) -> None:
    """The backup is older than a checkpoint that went out: it says so everywhere, until the newer data is back."""
    services = guarded.services
    seal_more(guarded, "before")
    with copied(services, server_url, "restored_1") as restored:
        seal_more(guarded, "after")
        size = kept_size(services)
        before = signed_notes(restored)
        keep(restored, "lost", 0)
        with pytest.raises(log.LogRolledBack, match=rf"older than checkpoint {size}, which was signed on 20.*Bring"):
            sealing.seal(restored)
        assert signed_notes(restored) == before
        assert kept_size(restored) == size
        web = open_house_of(restored)
        assert read(web, "/log/status").get_json()["halted"]["code"] == "log_rolled_back"
        # Even once it has grown beyond: it is another history.
        keep(restored, "more", *range(9))
        with pytest.raises(log.LogForked, match="another history"):
            sealing.seal(restored)
        with pytest.raises(log.LogForked):
            sealing.seal(restored)
        assert signed_notes(restored) == before
        assert read(web, "/log/status").get_json()["halted"]["code"] == "log_forked"
    seal_more(guarded, "later")
    guarded.check()


def open_house_of(services: Services) -> Any:  # noqa: ANN401 - a client of the application
    """Anybody, reading the log of these services."""
    return create_app(services).test_client()


def test_the_check_names_a_rollback_and_a_lost_guard(house: House, server_url: str) -> None:
    """`exchange check` tells what the guard holds against the log, in the same words."""
    services = house.services
    with copied(services, server_url, "restored_2") as restored:
        seal_more(house, "after")
        assert [(finding["kind"], finding["where"]) for finding in log_findings(restored)] == [
            ("log_rolled_back", "checkpoint guard")
        ]
    shutil.rmtree(services.settings.home / "guard")
    assert [finding["kind"] for finding in log_findings(services)] == ["guard_lost"]


def log_findings(services: Services) -> list[dict[str, Any]]:
    """What the checkers say of the log."""
    with services.database.snapshot() as session:
        found: list[dict[str, Any]] = checks(session, services=services)["log"]
        return found


def test_a_lost_guard_starts_from_the_database(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so; what was signed stays signed, and what comes next is guarded again."""
    services = house.services
    before = signed_notes(services)
    shutil.rmtree(services.settings.home / "guard")
    checkpoints.publish(services)
    assert "guard was lost" in "".join(capsys.readouterr())
    kept = guard_of(services.settings).read()
    assert kept is not None
    assert kept.note == before[max(before)]
    assert signed_notes(services) == before
    seal_more(house, "next")
    assert kept_size(services) == max(signed_notes(services))
    house.check()


def test_a_guard_that_fell_behind_catches_up(house: House) -> None:
    """One host's file is older than the database, since another host sealed: it moves forward."""
    services = house.services
    file = services.settings.home / "guard" / "checkpoint"
    old = file.read_text()
    seal_more(house, "elsewhere")
    file.write_text(old)
    checkpoints.publish(services)
    assert kept_size(services) == max(signed_notes(services))


@pytest.mark.parametrize("content", ["", "not a note", "\ufffd", "torn"])
def test_a_damaged_guard_stops_signing(house: House, content: str) -> None:
    """Whatever it holds, nothing is signed over it; brought back, all goes on."""
    services = house.services
    file = services.settings.home / "guard" / "checkpoint"
    whole = file.read_text()
    file.write_text(whole[:-20] if content == "torn" else content)
    keep(services, "waiting", 0)
    for _ in range(2):
        with pytest.raises(log.GuardUnreadable, match="Bring the guard back"):
            sealing.seal(services)
    assert log_findings(services)[0]["kind"] == "guard_unreadable"
    file.write_text(whole)
    sealing.seal(services)
    house.check()


def test_the_guard_of_another_log_stops_signing(house: House) -> None:
    """A path given twice: the other exchange's checkpoint is no checkpoint of this log."""
    services = house.services
    stranger = "another.localhost/log\n5\n" + "A" * 43 + "=\n\n— another.localhost/log AAAAAAA=\n"
    (services.settings.home / "guard" / "checkpoint").write_text(stranger)
    keep(services, "waiting", 0)
    with pytest.raises(log.GuardUnreadable):
        sealing.seal(services)


def test_a_guard_out_of_reach_stops_signing(house: House) -> None:
    """A database that does not answer, a folder that is a file: a refusal with a name, and a status that shows it."""
    keep(house.services, "waiting", 0)
    (house.services.settings.home / "in-the-way").write_text("")
    for guard in ("postgresql://nobody@127.0.0.1:1/none", str(house.services.settings.home / "in-the-way" / "guard")):
        elsewhere = replace(house.services, settings=replace(house.services.settings, guard=guard))
        with pytest.raises(log.GuardUnreachable):
            checkpoints.publish(elsewhere)
        assert log_findings(elsewhere)[0]["kind"] == "guard_unreachable"
    house.run()
    house.check()


def publish_with(services: Services, guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401 - any guard
    """Publish with another guard."""
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "guard_of", lambda asked: guard if asked is services.settings else guard_of(asked))
        checkpoints.publish(services)


@pytest.mark.parametrize("place", ["before", "after"])
def test_killed_around_the_guard(house: House, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Dead before the guard has it, nothing went out; dead before the row, exactly that note is the row later."""
    services, guard = house.services, guard_of(house.services.settings)
    before = signed_notes(services)
    with services.database.transaction() as session:
        log.append(session.connection(), leaves=[b"entry"])
    with pytest.raises(Crash):
        publish_with(services, Interrupted(guard, **{place: crash}), monkeypatch)
    assert signed_notes(services) == before
    kept = guard.read()
    assert kept is not None
    assert kept_size(services) == max(before) + (place == "after")
    with services.database.transaction() as session:
        log.append(session.connection(), leaves=[b"another"])
    checkpoints.publish(services)
    after = signed_notes(services)
    if place == "after":
        assert after[max(before) + 1] == kept.note
    assert max(after) == max(before) + 2 == kept_size(services)


def test_two_publishers_with_one_guard(house: House, monkeypatch: pytest.MonkeyPatch, server_url: str) -> None:
    """A copy of the database signs in the moment between our look and our swap: ours is not signed."""
    services = house.services
    with copied(services, server_url, "twin") as twin:
        with twin.database.transaction() as session:
            log.append(session.connection(), leaves=[b"theirs"])
        with services.database.transaction() as session:
            log.append(session.connection(), leaves=[b"ours"])
        before = signed_notes(services)
        theirs = Interrupted(guard_of(services.settings), before=lambda: checkpoints.publish(twin))
        with pytest.raises(log.GuardMoved):
            publish_with(services, theirs, monkeypatch)
        assert signed_notes(services) == before
        with pytest.raises(log.LogForked):
            checkpoints.publish(services)


def test_many_publishers_at_once(guarded: House) -> None:
    """Six publish and append at once: each size has one note, and guard and database end at the same one."""
    services = guarded.services
    start = threading.Barrier(6)

    def publish(number: int) -> None:
        start.wait()
        for turn in range(4):
            with services.database.transaction() as session:
                log.append(session.connection(), leaves=[b"%d-%d" % (number, turn)])
            checkpoints.publish(services)

    at_once(6, publish)
    notes = signed_notes(services)
    assert max(notes) == kept_size(services)
    kept = guard_of(services.settings).read()
    assert kept is not None
    assert notes[max(notes)] == kept.note
    assert checkpoints.refusal(services) is None


def test_two_make_the_guards_table_at_once(server_url: str) -> None:
    """The first two checkpoints of two logs come together: both are kept, each swapped by one."""
    url = embedded.create_database(server_url, "guard_of_two").replace("postgresql+psycopg://", "postgresql://")
    try:
        start = threading.Barrier(6)

        def first(number: int) -> bool:
            guard = GuardDatabase(url, f"log {number % 2}")
            assert guard.read() is None
            start.wait()
            return guard.swap(f"note {number}", expected=None)

        assert sum(at_once(6, first)) == 2
        for number in range(2):
            guard = GuardDatabase(url, f"log {number}")
            kept = guard.read()
            assert kept is not None
            assert not guard.swap("next", expected="other")
            assert guard.swap("next", expected=kept.note)
    finally:
        embedded.drop_database(server_url, "guard_of_two")


def test_settings_of_the_guard(tmp_path: Path) -> None:
    """A path, or a database that is not the exchange's own; children of a process get the same."""
    database = "postgresql://u:p@db.example/exchange"
    env = {"EXCHANGE_HOME": str(tmp_path), "DATABASE_URL": database}
    assert load(env).guard is None
    assert guard_of(load(env)).keeper == CheckpointFile(tmp_path / "guard" / "checkpoint")
    assert guard_of(load(env | {"EXCHANGE_GUARD": "/srv/guard"})).keeper == CheckpointFile(Path("/srv/guard"))
    other = load(env | {"EXCHANGE_GUARD": "postgresql://db.example/guards"})
    assert guard_of(other).keeper == GuardDatabase("postgresql://db.example/guards", other.log_name)
    assert load(to_environment(other)) == other
    for wrong in (database, "postgres://other:x@DB.example:5432/exchange?sslmode=require", "mysql://db.example/guards"):
        with pytest.raises(SettingsError, match="EXCHANGE_GUARD"):
            load(env | {"EXCHANGE_GUARD": wrong})
