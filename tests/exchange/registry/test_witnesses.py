"""The service and its witnesses: what is published has a quorum, whoever is slow, down, wrong or lying."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3
from flask import Response, request
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.serving import make_server

from exchange import worker
from exchange.app import create_app
from exchange.registry import sealing, witnesses
from exchange.registry.queries import log_keys
from exchange.registry.witnesses import Asking
from exchange.services import Services, open_services
from exchange.settings import Settings, SettingsError, load, to_environment
from exchange.witness.api import create_app as create_witness
from exchange.witness.service import Witness, open_key
from ledger.notes import parse_proof
from ledger.policy import Policy
from ledger.witness import SIZE_TYPE
from tests.exchange.house import House, open_house
from tests.exchange.registry.readers import keep, read


@dataclass(slots=True)
class Stand:
    """A witness that is served, and what a test does to it: `before` may answer in its place."""

    witness: Witness
    url: str = ""
    asked: int = 0
    before: Callable[[], Response | None] = field(default=lambda: None)

    @property
    def vkey(self) -> str:
        """Its verifier key."""
        return self.witness.cosigner.verifier.vkey


@contextmanager
def served(witness: Witness) -> Iterator[Stand]:
    """The witness on a port of its own."""
    stand, app = Stand(witness), create_witness(witness)

    @app.before_request
    def intervene() -> Response | None:
        stand.asked += 1
        return stand.before()

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand.url = f"http://127.0.0.1:{server.port}/"
    try:
        yield stand
    finally:
        server.shutdown()
        thread.join(30)
        assert not thread.is_alive()
        server.server_close()


@dataclass(slots=True)
class Scene:
    """A house, its three witnesses, and who asks them."""

    house: House
    services: Services
    stands: list[Stand]
    asking: Asking
    web: FlaskClient
    """Anybody, reading the log under the policy."""

    def seal(self, name: str, count: int = 3) -> int:
        """Facts of an asset, sealed; gives the log's size."""
        keep(self.services, name, *range(count))
        while sealing.seal(self.services):
            pass
        return int(self.status()["signed"])

    def ask(self, *, seconds: float = 60.0) -> None:
        """Ask until nothing is under way."""
        until = time.monotonic() + seconds
        while self.asking.step():
            assert time.monotonic() < until

    def status(self) -> dict[str, Any]:
        """What `/log/status` tells."""
        told: dict[str, Any] = read(self.web, "/log/status").get_json()
        return told

    def sizes(self) -> list[int]:
        """What each witness cosigned last."""
        return [one["size"] for one in self.status()["witnesses"]]

    def again(self) -> None:
        """Another process asks from now on, with nothing remembered."""
        self.asking.close()
        self.asking = Asking(self.services)


QUORUM = "group two 2 w0 w1 w2\nquorum two\n"


@pytest.fixture
def scene(services: Services, tmp_path: Path) -> Iterator[Scene]:
    """A house with entries in its log, and a policy of two witnesses out of three."""
    house = open_house(services)
    with services.database.transaction() as session:
        keys = log_keys(session, log_name=services.settings.log_name)
    with ExitStack() as stack:
        stands = []
        for number in range(3):
            folder = tmp_path / f"w{number}"
            key = open_key(folder / "key", name=f"witness.example/w{number}")
            stands.append(
                stack.enter_context(served(Witness(key, {services.settings.log_name: keys}, folder / "state")))
            )
        lines = [f"witness w{number} {stand.vkey} {stand.url}\n" for number, stand in enumerate(stands)]
        watched = replace(services, witness_policy=Policy.parse("".join([*lines, QUORUM])))
        scene = Scene(house, watched, stands, Asking(watched), create_app(watched).test_client())
        stack.callback(lambda: scene.asking.close())  # noqa: PLW0108 - whoever asks at the end
        yield scene


def verified(scene: Scene) -> int:
    """The size of the published checkpoint, held against the policy as an auditor would."""
    policy = scene.services.witness_policy
    assert policy is not None
    with scene.services.database.transaction() as session:
        keys = log_keys(session, log_name=scene.services.settings.log_name)
    head = policy.check(read(scene.web, "/log/checkpoint").text, logs=keys)
    proof = parse_proof(read(scene.web, f"/log/proof/{head.size - 1}").text)
    assert policy.check(proof.checkpoint, logs=keys) == head  # its cosignatures may be renewed between the two
    read(scene.web, f"/log/proof/{head.size}", status=404)
    return head.size


def test_two_words_that_come_at_once_make_a_quorum(scene: Scene) -> None:
    """Neither transaction sees the other's row before it commits: the second still has to see both."""
    scene.seal("a")
    for turn in range(5):
        size = scene.seal(f"more {turn}", 1)
        scene.ask()
        assert verified(scene) == size


def test_nothing_is_published_before_its_quorum(scene: Scene) -> None:
    """Sealing goes on; the checkpoint follows when two have cosigned, with its proofs, and again when the log grew."""
    read(scene.web, "/log/checkpoint", status=404)
    read(scene.web, "/log/proof/0", status=404)
    first = scene.seal("a")
    scene.ask()
    assert verified(scene) == first
    second = scene.seal("b")
    assert verified(scene) == first
    assert scene.status()["published"] == first < scene.status()["signed"] == second
    scene.ask()
    assert verified(scene) == second
    asked = sum(stand.asked for stand in scene.stands)
    scene.ask()
    assert sum(stand.asked for stand in scene.stands) == asked, "nobody is asked twice about the same"


def down() -> Response:
    """What a witness answers that is broken."""
    return Response("broken", status=500)


def test_one_witness_down_delays_nothing_and_two_do(scene: Scene) -> None:
    """The last checkpoint with a quorum stays on show, the lag is to be seen, and it ends when one comes back."""
    scene.stands[0].before = down
    first = scene.seal("a")
    scene.ask()
    assert verified(scene) == first
    scene.stands[1].before = down
    second = scene.seal("b")
    scene.ask()
    assert verified(scene) == first
    assert (scene.status()["signed"], scene.sizes()[2]) == (second, second)
    assert scene.asking._patience["w1"].failures > 0, "a witness that failed is left alone for a while"
    scene.stands[1].before = lambda: None
    scene.again()
    scene.ask()
    assert verified(scene) == second


def test_a_slow_witness_delays_neither_sealing_nor_the_others(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one does not answer at all, two others make the quorum again and again; its word comes when it comes."""
    go_on = threading.Event()

    def wait() -> None:
        assert go_on.wait(120)

    monkeypatch.setattr(witnesses, "TIMEOUT", urllib3.Timeout(connect=30, read=120))
    scene.again()
    scene.stands[0].before = wait
    sizes = []
    for name in ("a", "b", "c"):
        sizes.append(scene.seal(name))
        until = time.monotonic() + 60
        while scene.status()["published"] != sizes[-1]:
            scene.asking.step()
            assert time.monotonic() < until
        assert verified(scene) == sizes[-1]
    assert scene.stands[0].asked == 1
    go_on.set()
    scene.again()
    scene.ask()
    assert scene.sizes() == [sizes[-1]] * 3


LIES: dict[str, Callable[[], Response]] = {
    "an empty yes": lambda: Response("", status=200),
    "another's signature": lambda: Response("— witness.example/other AAAAAAA=\n", status=200),
    "a yes to something else": lambda: Response(f"— witness.example/w0 {'A' * 100}\n", status=200),
    "no text": lambda: Response(b"\xff\xfe", status=200),
    "an endless answer": lambda: Response(b"x" * 200_000, status=200),
    "a redirect": lambda: Response("", status=302, headers={"Location": request.url}),
    "a conflict without a size": lambda: Response("x\n", status=409, content_type=SIZE_TYPE),
    "a conflict of another type": lambda: Response("3\n", status=409, content_type="text/plain"),
    "a size far ahead": lambda: Response("999999\n", status=409, content_type=SIZE_TYPE),
    "a size that changes": lambda: Response(f"{time.monotonic_ns() % 5 + 1}\n", status=409, content_type=SIZE_TYPE),
    "a fork": lambda: Response("0\n", status=409, content_type=SIZE_TYPE),
    "unknown": lambda: Response("unknown log\n", status=404),
}


def test_a_lying_witness_counts_for_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it answers: nothing of it is kept, the quorum of the others stands, and the log names it."""
    for name, lie in LIES.items():
        scene.again()
        scene.stands[0].before = lie
        size = scene.seal(name)
        scene.ask()
        until = time.monotonic() + 60
        told = ""
        while "witness failed" not in told:
            scene.asking.step()
            told += "".join(capsys.readouterr())
            assert time.monotonic() < until, (name, told)
        assert "w0" in told, name
        assert verified(scene) == size
        assert scene.sizes()[0] == 0, name


def test_a_witness_that_knows_more_is_proven_from_there(scene: Scene) -> None:
    """We forgot what it cosigned (or died before we kept it): it states its size, and we prove from that."""
    scene.seal("a")
    scene.ask()
    scene.ask()
    with scene.services.database.transaction() as session:
        session.execute(text("DELETE FROM log_cosignature"))
    size = scene.seal("b")
    scene.ask()
    assert verified(scene) == size


def test_one_process_asks_at_a_time(scene: Scene) -> None:
    """A second worker does nothing while the first leads, and takes over when it ends, or its connection does."""
    scene.seal("a")
    with Asking(scene.services) as second:
        assert scene.asking.step()
        assert not second.step()
        scene.ask()
        scene.asking.close()
        assert not second.step()
        size = scene.seal("b")
        while second.step():
            pass
        assert verified(scene) == size
        assert second._connection is not None
        second._connection.close()
        with pytest.raises(Exception, match="closed"):
            second.step()
        scene.seal("c")
        assert second.step()


def test_cosignatures_are_renewed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that rests shows by fresh times that nobody holds it back."""
    size = scene.seal("a")
    scene.ask()
    before = read(scene.web, "/log/checkpoint").text
    time.sleep(1.1)
    monkeypatch.setattr(witnesses, "RENEWED_AFTER", witnesses.RENEWED_AFTER * 0)
    scene.asking.step()
    until = time.monotonic() + 60
    while read(scene.web, "/log/checkpoint").text == before:
        scene.asking.step()
        assert time.monotonic() < until
    monkeypatch.undo()
    assert verified(scene) == size


def test_without_a_policy_nobody_is_asked(services: Services) -> None:
    """And an empty log is no matter for witnesses."""
    with Asking(services) as asking:
        assert not asking.step()


def test_the_worker_asks(scene: Scene) -> None:
    """Sealing wakes it, and the published checkpoint follows by itself."""
    stop = threading.Event()
    scene.asking.close()
    thread = threading.Thread(target=worker.work, args=(scene.services,), kwargs={"stop": stop})
    thread.start()
    try:
        keep(scene.services, "a", 0, 1, 2)
        until = time.monotonic() + 90
        while not scene.status()["published"] == scene.status()["entries"] > 6:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
    assert verified(scene) == scene.status()["entries"]


def test_the_policy_is_read_at_the_start(tmp_path: Path, scene: Scene) -> None:
    """A file that cannot be read, is no policy, or names no way to its quorum: refused before anything runs."""
    url = scene.services.settings.database_url
    env = {
        "EXCHANGE_HOME": str(tmp_path),
        "DATABASE_URL": str(url),
        "EXCHANGE_WITNESS_POLICY": str(tmp_path / "policy"),
    }
    settings: Settings = load(env)
    assert load(to_environment(settings)) == settings
    with pytest.raises(SettingsError, match="No such file"):
        open_services(settings)
    lines = [f"witness w{number} {stand.vkey} {{}}\n" for number, stand in enumerate(scene.stands)]
    for content, fault in (("", "no quorum"), ("".join(lines).replace("{}", "") + QUORUM, "at which URLs")):
        (tmp_path / "policy").write_text(content)
        with pytest.raises(SettingsError, match=fault):
            open_services(settings)
    (tmp_path / "policy").write_text("".join(lines).replace("{}", "http://127.0.0.1:1/") + QUORUM)
    opened = open_services(settings)
    assert opened.witness_policy is not None
    assert opened.witness_policy.quorum == "two"
    opened.database.dispose()
