"""One key, one outcome: whoever repeats, in whatever order, however often, and whatever breaks in between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from exchange import idempotency, jobs
from exchange.auth import Role
from exchange.clock import system_now
from exchange.db import RETRIES
from exchange.errors import Refusal, Unavailable
from exchange.idempotency import Answer, KeyMissing, KeyReused, Outcome, StillRunning
from exchange.jobs import WorkItem
from exchange.services import Services
from tests.exchange.house import Client, House, enter_client

BODY = {"horizon_days": 30}
PATH = "/v1/models"


def _trainings(house: House) -> int:
    with house.services.database.transaction() as session:
        return session.execute(select(func.count()).select_from(WorkItem)).scalar_one()


def _ask(client: Client, key: str, body: object = None) -> TestResponse:
    response: TestResponse = client.call("POST", PATH, body=body or BODY, key=key)
    return response


def _replayed(response: TestResponse) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


@pytest.mark.parametrize(
    ("header", "key"),
    [("k", "k"), ('"k"', "k"), ("x" * 128, "x" * 128), ("!#~", "!#~"), ('"a', "a"), ("0", "0")],
)
def test_keys_that_are_read(header: str, key: str) -> None:
    """Bare or as a quoted string (the header is a structured field)."""
    assert idempotency.read_key(header) == key


@pytest.mark.parametrize("header", [None, "", '""', '"', " ", "a b", "x" * 129, "ключ", "a\n", "a\0", 'a"b', "１"])
def test_keys_that_are_not(header: str | None) -> None:
    """Nothing but visible ASCII, and not too much of it."""
    with pytest.raises(KeyMissing):
        idempotency.read_key(header)


def test_fingerprints_tell_requests_apart() -> None:
    """Method, path and every byte of the body count."""
    requests = [
        ("POST", "/a", b"{}"),
        ("PUT", "/a", b"{}"),
        ("POST", "/a/", b"{}"),
        ("POST", "/a", b"{ }"),
        ("POST", "", b""),
    ]
    assert len({idempotency.fingerprint(*one) for one in requests}) == len(requests)


def test_the_first_answer_is_the_answer(house: House) -> None:
    """The same bytes again, marked as such, and the work is listed once. Quoted or bare it is the same key."""
    first, again, quoted = (_ask(house.operator, key) for key in ("k", "k", '"k"'))
    assert (first.status_code, again.status_code, quoted.status_code) == (202, 202, 202)
    assert first.data == again.data == quoted.data
    assert [_replayed(one) for one in (first, again, quoted)] == [False, True, True]
    assert _trainings(house) == 1


def test_a_key_belongs_to_one_request(house: House) -> None:
    """Another body, byte for byte, or another path under the same key is refused and does nothing."""
    _ask(house.operator, "k")
    spaced = house.operator.call("POST", PATH, raw=b'{"horizon_days":  30}', key="k")
    other = _ask(house.operator, "k", {"horizon_days": 31})
    elsewhere = house.operator.call("POST", "/v1/receipts", body={"items": [{}]}, key="k")
    for response in (spaced, other, elsewhere):
        assert response.status_code == 422
        assert response.get_json(force=True)["code"] == "idempotency_key_reused"
    assert _replayed(_ask(house.operator, "k"))
    assert _trainings(house) == 1


def test_keys_of_different_clients_do_not_meet(house: House) -> None:
    """Nobody gets another client's answer, nor is kept from a key by it."""
    other = enter_client(house.services, house.app, role=Role.OPERATOR, name="second operator")
    assert not _replayed(_ask(house.operator, "k"))
    assert not _replayed(_ask(other, "k", {"horizon_days": 60}))
    assert _trainings(house) == 2


def test_a_refused_form_leaves_the_key_free(house: House) -> None:
    """What was not judged is not kept: repair the body and use the key again."""
    for raw in (b"{", b"[]", b'{"horizon_days": 0}'):
        assert house.operator.call("POST", PATH, raw=raw, key="k").status_code in {400, 422}
    bulk = house.platform.call("POST", "/v1/receivables", raw=b"{", key="k")
    assert bulk.status_code == 400
    assert house.platform.call("POST", "/v1/receivables", body={"items": [{}]}, key="k").status_code == 200
    assert _ask(house.operator, "k").status_code == 202


def test_a_definitive_refusal_is_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It undoes what the request did, and stays the answer though the request would be right by now."""
    outcomes: list[Refusal | None] = [Refusal("no"), None]

    def act(session: Session, **asked: Any) -> None:  # noqa: ANN401 - as enqueue
        enqueue(session, **asked)
        if (refusal := outcomes.pop(0)) is not None:
            raise refusal

    enqueue = jobs.enqueue
    monkeypatch.setattr(jobs, "enqueue", act)
    first, again = _ask(house.operator, "k"), _ask(house.operator, "k")
    assert (first.status_code, again.status_code) == (409, 409)
    assert first.data == again.data
    assert again.mimetype == "application/problem+json"
    assert _replayed(again)
    assert _trainings(house) == 0
    assert _ask(house.operator, "another").status_code == 202


def test_what_is_not_definitive_is_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """'Try again' means it: the same key then does the work. So does a defect, once it is mended."""
    enqueue = jobs.enqueue
    house.app.config["PROPAGATE_EXCEPTIONS"] = False
    for error, status in ((Unavailable("later"), 503), (RuntimeError("defect"), 500)):
        monkeypatch.setattr(jobs, "enqueue", _raiser(error))
        assert _ask(house.operator, "k").status_code == status
    monkeypatch.setattr(jobs, "enqueue", enqueue)
    assert _ask(house.operator, "k").status_code == 202
    assert _trainings(house) == 1


def _raiser(error: Exception) -> Callable[..., None]:
    def act(*_: object, **__: object) -> None:
        raise error

    return act


def test_a_crash_in_between_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that dies after the work, before the commit: no work, no answer, and the key is free."""
    keep = idempotency.keep

    def die(session: Session, **what: Any) -> None:  # noqa: ANN401 - as keep
        keep(session, **what)
        session.execute(text("SET ROLE NONE"))  # the service itself may kill nothing
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setattr(idempotency, "keep", die)
    response = _ask(house.operator, "k")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    monkeypatch.setattr(idempotency, "keep", keep)
    assert _trainings(house) == 0
    assert not _replayed(_ask(house.operator, "k"))
    assert _trainings(house) == 1


@pytest.mark.parametrize("happened", [True, False])
def test_a_commit_without_an_answer(house: House, monkeypatch: pytest.MonkeyPatch, happened: bool) -> None:  # noqa: FBT001 - a case
    """The connection is lost at COMMIT: the same key tells whether the work was done, and it is done once."""
    commit, losses = Session.commit, iter([True])

    def lose(session: Session) -> None:
        if not next(losses, False):
            commit(session)
            return
        if happened:
            commit(session)
        else:
            session.rollback()
        raise OperationalError("COMMIT", None, psycopg.OperationalError("server closed the connection unexpectedly"))

    client = house.operator
    client.token = client.token or client.sign_in()
    monkeypatch.setattr(Session, "commit", lose)
    response = _ask(client, "k")
    assert (response.status_code, _replayed(response)) == (202, happened)
    assert _trainings(house) == 1


def test_one_of_many_at_once(house: House) -> None:
    """Twelve at the same moment: the work is done once, the others hear the same answer or that it is being given."""
    together = Barrier(12)
    client = house.operator
    client.token = client.token or client.sign_in()

    def ask(_: int) -> TestResponse:
        mine = Client(house.app.test_client(), client.client_id, client.key, client.token)
        together.wait()
        return _ask(mine, "k")

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(12)))
    done = [answer for answer in answers if answer.status_code == 202]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(waiting) == 12
    assert [_replayed(answer) for answer in done].count(False) == 1
    assert len({answer.data for answer in done}) == 1
    assert all(answer.get_json(force=True)["code"] == "idempotency_in_progress" for answer in waiting)
    assert all(answer.headers["Retry-After"] == "1" for answer in waiting)
    assert _trainings(house) == 1


def test_the_key_is_held_until_a_refusal_is_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody slips in between the refusal and its being kept, to hear another answer under the same key."""
    refused, go_on = Event(), Event()
    keep = idempotency.keep

    def slow(session: Session, **what: Any) -> None:  # noqa: ANN401 - as keep
        refused.set()
        assert go_on.wait(10)
        keep(session, **what)

    monkeypatch.setattr(jobs, "enqueue", _raiser(Refusal("no")))
    monkeypatch.setattr(idempotency, "keep", slow)
    client = house.operator
    second = Client(house.app.test_client(), client.client_id, client.key, client.token)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_ask, client, "k")
        assert refused.wait(10)
        monkeypatch.undo()
        assert _ask(second, "k").get_json(force=True)["code"] == "idempotency_in_progress"
        go_on.set()
        assert first.result().get_json(force=True)["code"] == "refused"
    assert _ask(second, "k").get_json(force=True)["code"] == "refused"
    assert _trainings(house) == 0


def test_conflicts_are_tried_again_then_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that PostgreSQL wants again is done again as a whole; at some point the caller is asked to wait."""
    calls = []
    enqueue = jobs.enqueue

    def conflict(session: Session, **asked: Any) -> None:  # noqa: ANN401 - as enqueue
        calls.append(1)
        enqueue(session, **asked)
        if len(calls) != RETRIES * 2:
            session.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

    monkeypatch.setattr(jobs, "enqueue", conflict)
    response = _ask(house.operator, "k")
    assert (response.status_code, response.headers["Retry-After"], len(calls)) == (503, "1", RETRIES)
    assert _ask(house.operator, "k").status_code == 202
    assert (len(calls), _trainings(house)) == (RETRIES * 2, 1)


def test_find_and_keep(services: Services) -> None:
    """The rules themselves: held by one transaction at a time; what is kept first stays."""
    first, second = Answer(201, "application/json", b"{}"), Answer(500, "text/plain", b"\0")
    mark = idempotency.fingerprint("POST", "/x", b"")
    asked: dict[str, Any] = {"client_id": "c", "key": "k", "fingerprint": mark}
    with services.database.transaction() as session:
        assert idempotency.find(session, **asked) is None
        with services.database.transaction() as other, pytest.raises(StillRunning):
            idempotency.find(other, **asked)
        with services.database.transaction() as other:
            assert idempotency.find(other, **asked | {"client_id": "d"}) is None
        idempotency.keep(session, **asked, answer=first, now=system_now())
        idempotency.keep(session, **asked, answer=second, now=system_now())
    with services.database.transaction() as session:
        assert idempotency.find(session, **asked) == first
        with pytest.raises(KeyReused):
            idempotency.find(session, **asked | {"fingerprint": b""})
        assert session.execute(select(func.count()).select_from(Outcome)).scalar_one() == 1


def test_a_database_out_of_reach(house: House) -> None:
    """503 with Retry-After, for tokens, public pages and health as for operations; never a 500."""
    house.operator.get("/v1/clock")
    broken = OperationalError("SELECT", {}, Exception("gone"))

    def refuse(*_: object, **__: object) -> None:
        raise broken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(house.services.database.engine.pool), "connect", refuse)
        web = house.app.test_client()
        for path in ("/v1/clock", "/log/checkpoint"):
            response = web.get(path, headers={"Authorization": f"Bearer {house.operator.token}"})
            assert (response.status_code, response.headers.get("Retry-After")) == (503, "2")
            assert response.mimetype == "application/problem+json"
        assert web.get("/health").status_code == 503
    assert house.app.test_client().get("/health").get_json() == {"status": "ok"}
