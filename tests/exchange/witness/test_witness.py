"""The witness as a program: over HTTP, with its state on the disk, more than one process, killed at any moment."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient

from exchange.replay.supervisor import free_port
from exchange.settings import SettingsError
from exchange.witness.api import create_app
from exchange.witness.command import run_witness
from exchange.witness.service import Witness, WitnessBusy, open_key, read_logs
from ledger import merkle
from ledger.checkpoint_file import CheckpointFile
from ledger.merkle import leaf_hash
from ledger.notes import NoteSigner, TreeHead, Verifier, checkpoint_text, open_checkpoint, read_checkpoint
from ledger.witness import LARGEST_REQUEST, Request, WrongOldSize, read_answer, render_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOG = NoteSigner("log.example/ar", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = NoteSigner("log.example/../other log".replace(" ", "-"), Ed25519PrivateKey.from_private_bytes(bytes(32)))
LEAVES = [leaf_hash(b"entry-%d" % number) for number in range(300)]
PROJECT = Path(__file__).parents[3]


def checkpoint(size: int, *, signer: NoteSigner = LOG) -> str:
    """A log's signed checkpoint at a size."""
    return signer.sign(checkpoint_text(TreeHead(signer.name, size, merkle.root(LEAVES[:size]))))


def body(old: int, new: int, *, signer: NoteSigner = LOG) -> bytes:
    """A right request from one size to another."""
    proof = tuple(merkle.root(LEAVES[begin:end]) for begin, end in merkle.consistency_ranges(old, new=new))
    return render_request(Request(old, proof, checkpoint(new, signer=signer)))


def open_witness(folder: Path) -> Witness:
    """A witness of two logs, in the folder."""
    key = open_key(folder / "key", name="witness.example/w1")
    return Witness(key, {LOG.name: [LOG.verifier], OTHER.name: [OTHER.verifier]}, folder / "state")


@pytest.fixture
def web(tmp_path: Path) -> FlaskClient:
    """Anybody, asking a witness."""
    return create_app(open_witness(tmp_path)).test_client()


def test_two_logs_are_followed_apart(web: FlaskClient, tmp_path: Path) -> None:
    """The answer is a signature line that holds; each log has a file of its own, whatever its name."""
    witness = Verifier.parse(web.get("/").text.strip())
    for signer in (LOG, OTHER):
        for old, new in ((0, 3), (3, 300), (300, 300)):
            response = web.post("/add-checkpoint", data=body(old, new, signer=signer))
            assert (response.status_code, response.mimetype) == (200, "text/plain")
            note = checkpoint(new, signer=signer) + response.text
            assert open_checkpoint(note, log=signer.verifier, witnesses=[witness]).size == new
            line, time_s = read_answer(response.text, text=note.partition("\n\n")[0] + "\n", witness=witness)
            assert line == response.text
            assert abs(time_s - time.time()) < 60
    kept = [file.read_text() for file in (tmp_path / "state").iterdir()]
    assert sorted(read_checkpoint(note, logs=[LOG.verifier, OTHER.verifier]).head.size for note in kept) == [300, 300]


@pytest.mark.parametrize(
    ("sent", "status", "mimetype", "text"),
    [
        (b"", 400, "text/plain", None),
        (body(5, 7), 409, "text/x.tlog.size", "3\n"),
        (body(0, 7), 409, "text/x.tlog.size", "3\n"),
        (body(3, 7).replace(b"\n7\n", b"\n8\n"), 403, "text/plain", None),
        (body(3, 7).replace(b"log.example", b"log.nowhere"), 404, "text/plain", None),
        (body(3, 7).replace(b"old 3\n", b"old 3\n" + b"A" * 43 + b"=\n"), 422, "text/plain", None),
        (b"x" * (LARGEST_REQUEST + 1), 413, "text/plain", None),
    ],
)
def test_refusals_over_http(web: FlaskClient, sent: bytes, status: int, mimetype: str, text: str | None) -> None:
    """Each has its status and type; nothing of it is signed."""
    assert web.post("/add-checkpoint", data=body(0, 3)).status_code == 200
    response = web.post("/add-checkpoint", data=sent)
    assert (response.status_code, response.mimetype) == (status, mimetype)
    assert text is None or response.text == text
    assert "—" not in response.text
    assert web.post("/add-checkpoint", data=body(3, 4)).status_code == 200


def test_other_methods_and_places(web: FlaskClient) -> None:
    """Nothing else is there."""
    assert web.get("/add-checkpoint").status_code == 405
    assert web.post("/").status_code == 405
    assert web.get("/nothing").status_code == 404


def test_a_damaged_state_stops_one_log(web: FlaskClient, tmp_path: Path) -> None:
    """What was cosigned last cannot be read: that log gets nothing until it can, the other goes on."""
    assert web.post("/add-checkpoint", data=body(0, 3)).status_code == 200
    (file,) = (tmp_path / "state").iterdir()
    whole = file.read_text()
    file.write_text(whole[:-9])
    assert web.post("/add-checkpoint", data=body(3, 4)).status_code == 500
    assert web.post("/add-checkpoint", data=body(0, 4)).status_code == 500
    assert web.post("/add-checkpoint", data=body(0, 3, signer=OTHER)).status_code == 200
    file.write_text(whole)
    assert web.post("/add-checkpoint", data=body(3, 4)).status_code == 200


def test_state_that_cannot_be_kept_signs_nothing(tmp_path: Path) -> None:
    """A file where the folder should be: no signature leaves."""
    (tmp_path / "state").write_text("in the way")
    web = create_app(open_witness(tmp_path)).test_client()
    response = web.post("/add-checkpoint", data=body(0, 3))
    assert response.status_code == 500
    assert "—" not in response.text


def test_of_two_requests_from_one_size_one_wins(tmp_path: Path) -> None:
    """Eight ask at once to grow from nothing to sizes of their own: one is cosigned, all others learn its size."""
    witness = open_witness(tmp_path)
    start = threading.Barrier(8)

    def ask(number: int) -> int | str:
        start.wait()
        try:
            return witness.add_checkpoint(body(0, number + 1), now=NOW)
        except WrongOldSize as refusal:
            return refusal.size

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    won = [number + 1 for number, answer in enumerate(answers) if isinstance(answer, str)]
    assert len(won) == 1
    assert {answer for answer in answers if isinstance(answer, int)} == set(won)


def test_the_slower_of_two_is_decided_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another cosigned between our decision and our keeping it: ours is not signed over it."""
    slow, fast = open_witness(tmp_path), open_witness(tmp_path)
    swap = CheckpointFile.swap
    turns = iter(range(1))

    def late(self: CheckpointFile, note: str, *, expected: str | None) -> bool:
        if next(turns, None) is not None:
            assert fast.add_checkpoint(body(0, 9), now=NOW)
        return swap(self, note, expected=expected)

    monkeypatch.setattr(CheckpointFile, "swap", late)
    with pytest.raises(WrongOldSize) as refused:
        slow.add_checkpoint(body(0, 5), now=NOW)
    assert refused.value.size == 9


def test_a_witness_that_never_gets_its_turn_says_so(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing was signed, and the caller may ask again."""
    monkeypatch.setattr(CheckpointFile, "swap", lambda *_, **__: False)
    with pytest.raises(WitnessBusy):
        open_witness(tmp_path).add_checkpoint(body(0, 3), now=NOW)
    assert web.post("/add-checkpoint", data=body(0, 3)).status_code == 503


def climb(folder: Path, told: Any, number: int) -> None:  # noqa: ANN401 - shared memory has no type of its own
    """Ask to grow by one until the log's end, and tell the last size that was cosigned."""
    witness, size = open_witness(folder), 0
    while size < len(LEAVES):
        try:
            witness.add_checkpoint(body(size, size + 1), now=NOW)
        except WrongOldSize as refusal:
            size = refusal.size
        else:
            size += 1
            told[number] = size


def test_killed_and_doubled_it_never_goes_back(tmp_path: Path) -> None:
    """Two processes on one state, killed again and again: whatever was answered is still known afterwards."""
    open_witness(tmp_path)
    context = multiprocessing.get_context("fork")
    told = context.RawArray("q", 2)
    for turn in range(4):
        processes = [context.Process(target=climb, args=(tmp_path, told, number)) for number in range(2)]
        for process in processes:
            process.start()
        time.sleep(0.05 + turn / 100)
        for process in processes:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
        with pytest.raises(WrongOldSize) as refused:
            open_witness(tmp_path).add_checkpoint(body(0, 300), now=NOW)
        assert refused.value.size >= max(told) > 0


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """For its owner's eyes, under a name that can be one; never over another's."""
    with pytest.raises(SettingsError, match="--name"):
        open_key(tmp_path / "key", name=None)
    for name in ("", "a b", "a+b"):
        with pytest.raises(SettingsError, match="cannot be"):
            open_key(tmp_path / "key", name=name)
    made = open_key(tmp_path / "new" / "key", name="witness.example/w1")
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    assert open_key(tmp_path / "new" / "key", name=None).verifier == made.verifier
    with pytest.raises(SettingsError, match="not of other"):
        open_key(tmp_path / "new" / "key", name="other")
    for damaged in (b"", b"\xff", made.skey()[:-3].encode()):
        (tmp_path / "new" / "key").write_bytes(damaged)
        with pytest.raises(SettingsError, match="not a witness's key"):
            open_key(tmp_path / "new" / "key", name=None)


def test_logs_are_read_from_a_policy_or_a_list() -> None:
    """A policy's log lines, bare keys, several keys of one log; nothing else passes."""
    made = f"# logs\nlog {LOG.verifier.vkey} https://log.example/\n{OTHER.verifier.vkey}\n\nquorum none\n"
    assert read_logs(made) == {LOG.name: [LOG.verifier], OTHER.name: [OTHER.verifier]}
    second = NoteSigner(LOG.name, OTHER.private_key).verifier
    assert read_logs(f"{LOG.verifier.vkey}\n{second.vkey}") == {LOG.name: [LOG.verifier, second]}
    for text, fault in (("", "no logs"), ("quorum none", "no logs"), ("\nlog", "Line 2"), ("log x", "Line 1")):
        with pytest.raises(SettingsError, match=fault):
            read_logs(text)
    witness = Verifier("witness.example/w1", 4, LOG.verifier.public_key)
    with pytest.raises(SettingsError, match="of a witness"):
        read_logs(witness.vkey)


@pytest.mark.parametrize("listen", ["", "8090", "host:", ":8090", "host:0", "host:65536", "host:x", "host:-1"])
def test_an_address_out_of_form_is_refused(tmp_path: Path, listen: str) -> None:
    """Before anything is served."""
    (tmp_path / "logs").write_text(LOG.verifier.vkey)
    options = ["--key", "k", "--name", "w", "--state", "s", "--logs", str(tmp_path / "logs"), "--listen", listen]
    result = CliRunner().invoke(run_witness, options)
    assert isinstance(result.exception, SettingsError)


def test_logs_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """A file that is not there."""
    options = ["--key", str(tmp_path / "k"), "--name", "w", "--state", "s", "--logs", str(tmp_path / "none")]
    result = CliRunner().invoke(run_witness, options)
    assert "cannot be read" in str(result.exception)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """`exchange witness` as anybody starts it; its address and its printed key."""
    (folder / "logs").write_text(f"log {LOG.verifier.vkey}\n")
    port = free_port(0)
    command = [sys.executable, "-m", "exchange", "witness", "--key", "key", "--name", "witness.example/w1"]
    command += ["--state", "state", "--logs", "logs", "--listen", f"127.0.0.1:{port}"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        pool = urllib3.PoolManager(retries=False)
        vkey = b""
        while not vkey:
            assert process.poll() is None
            assert time.monotonic() < deadline
            with suppress(urllib3.exceptions.HTTPError):
                vkey = pool.request("GET", f"http://127.0.0.1:{port}/").data
            time.sleep(0.05)
        pool.clear()
        yield f"http://127.0.0.1:{port}", vkey.decode().strip()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_command_serves_and_survives_being_killed(tmp_path: Path) -> None:
    """Key and state outlive the process; what it printed is its key."""
    with served(tmp_path) as (url, vkey):
        pool = urllib3.PoolManager(retries=False)
        answer = pool.request("POST", f"{url}/add-checkpoint", body=body(0, 9))
        assert answer.status == 200
        pool.clear()
    assert (tmp_path / "output").read_text().split("\n")[0] == vkey
    with served(tmp_path) as (url, again):
        assert again == vkey
        pool = urllib3.PoolManager(retries=False)
        answer = pool.request("POST", f"{url}/add-checkpoint", body=body(0, 3))
        assert (answer.status, answer.data) == (409, b"9\n")
        pool.clear()
