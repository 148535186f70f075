"""Asks the witnesses of the policy for their cosignatures, outside any transaction and apart from sealing.

One worker asks at a time, one checkpoint after the other: a quorum comes about at one size, or not at all. A witness
that is slow or down delays what is published, not what is sealed; the last checkpoint with a quorum stays on show.
"""

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import psycopg
import structlog
import urllib3

from exchange.clock import system_now
from exchange.services import Services
from ledger import cosignatures
from ledger import log as ledger_log
from ledger.cosignatures import Cosignature
from ledger.log import Checkpoint
from ledger.policy import Policy, Witness
from ledger.witness import SIZE_TYPE, Request, read_answer, render_request

LEADER = "SELECT pg_try_advisory_lock(hashtext('registry.witnesses'))"
"""Held by a connection of its own and no transaction, for as long as that lives."""
TIMEOUT = urllib3.Timeout(connect=3.0, read=5.0)
ANSWER_SECONDS = 5.0
LARGEST_ANSWER = 64 * 1024
ATTEMPTS = 3
"""Requests to one witness about one checkpoint: it may state another size once or twice."""
PAUSE_SECONDS = 0.25
LONGEST_REST_SECONDS = 60.0
MOST_DOUBLINGS = 6
RENEWED_AFTER = timedelta(hours=1)
"""A log that does not grow shows by fresh cosignatures that nobody holds it back."""

log = structlog.get_logger()


class WitnessFailed(Exception):
    """The witness did not cosign; the message says why."""


@dataclass(slots=True)
class _Patience:
    """How often a witness failed in a row, and until when (monotonic) it is left alone."""

    failures: int = 0
    rests_until: float = 0.0


class Asking:
    """Asks for one worker process; the same witnesses are asked by no other meanwhile."""

    def __init__(self, services: Services) -> None:
        self._services = services
        policy = services.witness_policy
        self._witnesses = [one for one in policy.witnesses if one.url] if policy else []
        self._pool = ThreadPoolExecutor(max(1, len(self._witnesses)), thread_name_prefix="witnesses")
        self._http = urllib3.PoolManager(maxsize=len(self._witnesses) or 1, retries=False, timeout=TIMEOUT)
        self._running: dict[Future[bool], Witness] = {}
        self._round: set[Future[bool]] = set()
        self._patience = {one.name: _Patience() for one in self._witnesses}
        self._connection: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the requests under way end, and the lead go."""
        self._pool.shutdown(wait=True)
        self._http.clear()
        if self._connection is not None:
            self._connection.close()

    def step(self) -> bool:
        """Begin a round about the newest checkpoint, or wait a moment for one; gives whether one is under way.

        A round ends when its quorum is reached or everybody asked has answered. Whoever is still answering then is
        not asked again before that.
        """
        policy = self._services.witness_policy
        if policy is None or not self._leads():
            return False
        if not self._round:
            self._begin(policy)
        else:
            wait(self._running, timeout=PAUSE_SECONDS, return_when=FIRST_COMPLETED)
        done = {future for future in self._running if future.done()}
        self._running = {future: one for future, one in self._running.items() if future not in done}
        reached = any(future.result() for future in done & self._round)
        self._round = set() if reached else self._round - done
        return bool(self._round) or reached

    def _leads(self) -> bool:
        try:
            if self._connection is None:
                url = self._services.database.url.replace("postgresql+psycopg://", "postgresql://")
                self._connection = psycopg.connect(url, autocommit=True)
            row = self._connection.execute(LEADER).fetchone()
        except psycopg.Error:
            self._connection = None
            raise
        return bool(row and row[0])

    def _begin(self, policy: Policy) -> None:
        with self._services.database.transaction() as session:
            connection = session.connection()
            checkpoint = ledger_log.latest_checkpoint(connection)
            if checkpoint is None or checkpoint.size == 0:
                return
            known = {one.name: cosignatures.newest(connection, witness=one.key) for one in self._witnesses}
        for one in self._witnesses:
            last = known[one.name]
            if self._is_due(one, last, checkpoint):
                size = last.size if last else 0
                future = self._pool.submit(self._ask, one, checkpoint, size=size, policy=policy)
                self._running[future] = one
                self._round.add(future)

    def _is_due(self, witness: Witness, last: Cosignature | None, checkpoint: Checkpoint) -> bool:
        if witness in self._running.values() or time.monotonic() < self._patience[witness.name].rests_until:
            return False
        renewed_from = (system_now() - RENEWED_AFTER).timestamp()
        return last is None or last.size < checkpoint.size or last.time_s < renewed_from

    def _ask(self, witness: Witness, checkpoint: Checkpoint, *, size: int, policy: Policy) -> bool:
        """Ask one witness about one checkpoint and keep what it says; gives whether the quorum is reached."""
        patience = self._patience[witness.name]
        try:
            cosignature = self._cosigned(witness, checkpoint, size=size)
            with self._services.database.transaction() as session:
                now = self._services.clock.now(session)
                reached = cosignatures.keep(session.connection(), cosignature=cosignature, policy=policy, now=now)
        except Exception as error:  # noqa: BLE001 - whatever a witness, the way to it or the database does: the next try
            patience.failures += 1
            rest = min(2.0 ** min(patience.failures - 1, MOST_DOUBLINGS), LONGEST_REST_SECONDS)
            patience.rests_until = time.monotonic() + rest
            log.warning("witness failed", witness=witness.name, size=checkpoint.size, error=str(error), rest_s=rest)
            return False
        patience.failures, patience.rests_until = 0, 0.0
        return reached

    def _cosigned(self, witness: Witness, checkpoint: Checkpoint, *, size: int) -> Cosignature:
        for _ in range(ATTEMPTS):
            status, kind, answer = self._post(witness, checkpoint, size=size)
            if status == 200:  # noqa: PLR2004 - OK
                text = checkpoint.note.rpartition("\n\n")[0] + "\n"
                line, time_s = read_answer(answer, text=text, witness=witness.key)
                return Cosignature(witness.key, checkpoint.size, time_s, line)
            if status != 409 or kind != SIZE_TYPE:  # noqa: PLR2004 - Conflict
                raise WitnessFailed(f"it answered {status}: {answer[:200]}")
            stated = int(answer[:20])
            if stated == size:
                raise WitnessFailed(f"it has another root at size {size}: one of us shows a fork")
            if stated > checkpoint.size:
                raise WitnessFailed(f"it has cosigned size {stated} already, which is beyond {checkpoint.size}")
            size = stated
        raise WitnessFailed("it states another size each time")

    def _post(self, witness: Witness, checkpoint: Checkpoint, *, size: int) -> tuple[int, str, str]:
        """Status, content type and text of the witness's answer."""
        with self._services.database.transaction() as session:
            proof = ledger_log.consistency_proof(session.connection(), old=size, new=checkpoint.size)
        body = render_request(Request(size, tuple(proof), checkpoint.note))
        url = f"{(witness.url or '').rstrip('/')}/add-checkpoint"
        response = self._http.request(
            "POST", url, body=body, headers={"Content-Type": "text/plain"}, redirect=False, preload_content=False
        )
        try:
            answer = _read(response)
        finally:
            response.release_conn()
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return response.status, kind, answer.decode(errors="replace")


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """The answer, as far as it is short and comes soon."""
    answer, until = b"", time.monotonic() + ANSWER_SECONDS
    while chunk := response.read1(LARGEST_ANSWER):
        answer += chunk
        if len(answer) > LARGEST_ANSWER or time.monotonic() > until:
            response.close()
            raise WitnessFailed("its answer does not end")
    return answer
