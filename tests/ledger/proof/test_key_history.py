"""The chain of keys: whom it makes trusted, and exactly what each key was allowed to sign."""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError
from ledger.key_history import (
    GRACE_SECONDS,
    BrokenKeyChain,
    ImpossibleKeyEvent,
    KeyHistory,
    KeyHistoryRefused,
    KeyRecord,
    MalformedKeyEvent,
    UnknownRoot,
    Use,
    WrongKeySigner,
)
from ledger.keys import FileSigner
from ledger.records import BadSignature, UnknownKey, seal

VECTORS = Path(__file__).parents[2] / "vectors" / "key_history.json"
ONE, TWO, THREE, LOG = (FileSigner.from_seed(bytes([number]) * 32) for number in range(1, 5))
DAY = 86_400


@dataclass
class Chain:
    """A chain in the making: records with their log indexes, the times they state."""

    records: list[KeyRecord] = field(default_factory=list)
    size: int = 0

    def add(self, event: str, about: FileSigner, *, by: FileSigner, at: int = 0, **members: Any) -> int:  # noqa: ANN401 - whatever a body may have
        """Append an event, signed by `by`; gives its log index."""
        prev = hashlib.sha256(self.records[-1].jws.encode()).hexdigest() if self.records else None
        body = {
            "type": f"key.{event}",
            "asset": "keys",
            "sequence": len(self.records) + 1,
            "prev": prev,
            "recorded_at": at,
            "key": {name: about.public_jwk[name] for name in ("kty", "crv", "x")},
            "kid": about.kid,
            "use": "record",
        } | members
        sealed = seal(body, disclosable={}, signer=by, salt=lambda _: bytes(16))
        self.records.append(KeyRecord(sealed.jws, self.size))
        self.size += 1
        return self.size - 1

    def read(self, root: FileSigner = ONE) -> KeyHistory:
        """What it tells to whoever trusts `root`."""
        return KeyHistory.read(self.records, root=root.kid)


def begun() -> Chain:
    """Two record keys, the first in force, and a log key."""
    chain = Chain()
    chain.add("introduced", ONE, by=ONE)
    chain.add("activated", ONE, by=ONE)
    chain.add("introduced", TWO, by=ONE)
    chain.add("introduced", LOG, by=ONE, use="log")
    chain.add("activated", LOG, by=ONE, use="log")
    return chain


def rotated(at: int = DAY) -> Chain:
    """The second key has taken over, with ten records of the first in between and ten of its own since."""
    chain = begun()
    chain.size += 10
    chain.add("activated", TWO, by=ONE, at=at)
    chain.add("retired", ONE, by=TWO, at=at)
    chain.size += 10
    return chain


def test_the_first_thumbprint_is_enough() -> None:
    """From the first key alone all others are known, for records and for the log."""
    history = rotated().read()
    assert history.trusted == {ONE.kid, TWO.kid, LOG.kid}
    assert set(history.public_keys()) == {ONE.kid, TWO.kid}
    assert set(history.public_keys(Use.LOG)) == {LOG.kid}
    assert history.in_force == TWO.kid


def test_a_later_thumbprint_vouches_for_what_was_before() -> None:
    """A key that signed in the chain vouches for all that stands before; one that did not, for itself alone."""
    assert rotated().read(TWO).trusted == {ONE.kid, TWO.kid, LOG.kid}
    assert begun().read(TWO).trusted == {TWO.kid}
    with pytest.raises(UnknownRoot):
        begun().read(THREE)
    with pytest.raises(UnknownRoot):
        KeyHistory.read([], root=ONE.kid)


@pytest.mark.parametrize(
    ("key", "index", "code"),
    [
        (ONE, 0, None),
        (ONE, 15, None),
        (ONE, 16, None),
        (ONE, 17, "signed_after_retirement"),
        (TWO, 1, "signed_before_introduction"),
        (TWO, 2, "signed_before_activation"),
        (TWO, 14, "signed_before_activation"),
        (TWO, 15, None),
        (TWO, 10**9, None),
        (THREE, 10, "key_not_trusted"),
    ],
)
def test_the_log_says_exactly_who_signs(key: FileSigner, index: int, code: str | None) -> None:
    """By the index there is no grace, whatever time a record states."""
    for time in (None, 0, DAY, 10 * DAY):
        assert rotated().read().judge(key.kid, log_time=time, index=index) == code


@pytest.mark.parametrize(
    ("key", "time", "code"),
    [
        (ONE, 0, None),
        (ONE, DAY + GRACE_SECONDS, None),
        (ONE, DAY + GRACE_SECONDS + 1, "signed_after_retirement"),
        (TWO, -GRACE_SECONDS, None),
        (TWO, -GRACE_SECONDS - 1, "signed_before_introduction"),
        (TWO, 10 * DAY, None),
        (TWO, None, None),
    ],
)
def test_without_an_index_the_time_decides_with_grace(key: FileSigner, time: int | None, code: str | None) -> None:
    """A fact waits for its signature after the time it states: five minutes are allowed."""
    assert rotated().read().judge(key.kid, log_time=time, index=None) == code


def test_a_key_that_never_signed_may_not_have_signed() -> None:
    """Known for days and not in force: nothing under it is right, whatever the index or time."""
    history = begun().read()
    assert history.judge(TWO.kid, log_time=DAY, index=100) == "signed_before_activation"
    assert history.judge(TWO.kid, log_time=DAY, index=None) == "signed_before_activation"


def test_the_first_key_may_be_older_than_its_chain() -> None:
    """An exchange that had a log before it had a chain of keys: what the first key signed stays right."""
    chain = Chain(size=1000)
    chain.add("introduced", ONE, by=ONE, at=DAY)
    chain.add("activated", ONE, by=ONE, at=DAY)
    assert chain.read().judge(ONE.kid, log_time=0, index=5) is None
    assert chain.read().judge(ONE.kid, log_time=0, index=None) is None


def compromised(since: int) -> Chain:
    """The first key is denounced on the fifth day; the second one, known since the first, signs its own activation."""
    chain = begun()
    chain.size += 10
    chain.add("activated", TWO, by=TWO, at=5 * DAY)
    chain.add("retired", ONE, by=TWO, at=5 * DAY)
    chain.add("compromised", ONE, by=TWO, at=5 * DAY, since=since)
    chain.add("introduced", THREE, by=TWO, at=5 * DAY)
    return chain


@pytest.mark.parametrize(
    ("time", "index", "flagged"),
    [
        (2 * DAY - 1, 10, False),
        (2 * DAY, 10, True),
        (2 * DAY - 1, 18, True),
        (2 * DAY - 1, None, True),
        (0, None, True),
        (None, 10, False),
    ],
)
def test_what_a_thief_may_have_signed_is_flagged(time: int | None, index: int | None, *, flagged: bool) -> None:
    """By its own time, by its place in the log, and whatever is in no log at all."""
    history = compromised(2 * DAY).read()
    assert (history.judge(ONE.kid, log_time=time, index=index) == "signed_after_compromise") is flagged


def test_the_successor_of_a_stolen_key_is_trusted() -> None:
    """It was introduced before; from the first thumbprint as from its own all keys after it are known."""
    for root in (ONE, TWO):
        history = compromised(2 * DAY).read(root)
        assert history.trusted == {ONE.kid, TWO.kid, THREE.kid, LOG.kid}
        assert history.judge(TWO.kid, log_time=6 * DAY, index=30) is None


def test_who_was_introduced_by_a_thief_is_not_trusted() -> None:
    """A key introduced after the compromise by the stolen one, and whom that introduces; its own thumbprint helps."""
    chain = compromised(0)
    assert chain.read().trusted == {ONE.kid}
    assert chain.read(TWO).trusted == {TWO.kid, THREE.kid}
    assert chain.read(TWO).judge(TWO.kid, log_time=6 * DAY, index=30) is None


def test_a_backdated_introduction_is_not_believed() -> None:
    """A thief writes an earlier time into the chain: no event is older than those before it."""
    chain = begun()
    chain.add("introduced", FileSigner.from_seed(bytes([9]) * 32), by=ONE, at=3 * DAY)
    chain.add("introduced", THREE, by=ONE, at=0)
    chain.add("activated", TWO, by=TWO, at=5 * DAY)
    chain.add("retired", ONE, by=TWO, at=5 * DAY)
    chain.add("compromised", ONE, by=TWO, at=5 * DAY, since=2 * DAY)
    assert THREE.kid not in chain.read().trusted


def test_a_compromise_may_turn_out_older() -> None:
    """Denounced again: the earliest moment counts, and the place in the log of the first denunciation."""
    chain = compromised(2 * DAY)
    chain.add("compromised", ONE, by=TWO, at=6 * DAY, since=DAY)
    chain.add("compromised", ONE, by=TWO, at=7 * DAY, since=3 * DAY)
    history = chain.read()
    assert history.lives[ONE.kid].compromised_since == DAY
    assert history.judge(ONE.kid, log_time=DAY, index=10) == "signed_after_compromise"
    assert history.judge(ONE.kid, log_time=0, index=16) is None
    assert history.judge(ONE.kid, log_time=0, index=18) == "signed_after_compromise"


def test_a_chain_without_indexes_is_read_too() -> None:
    """A tape may leave them out: trust is the same."""
    chain = compromised(2 * DAY)
    bare = [replace(record, index=None) for record in chain.records]
    assert KeyHistory.read(bare, root=ONE.kid).trusted == chain.read().trusted


def test_log_keys_overlap() -> None:
    """Two log keys sign for a while; each is judged by the last entry its checkpoint covers."""
    chain, other = begun(), FileSigner.from_seed(bytes([7]) * 32)
    chain.add("introduced", other, by=ONE, use="log")
    activated = chain.add("activated", other, by=ONE, use="log")
    chain.size += 5
    retired = chain.add("retired", LOG, by=ONE, use="log")
    history = chain.read()
    assert history.judge(LOG.kid, log_time=None, index=retired) is None
    assert history.judge(LOG.kid, log_time=None, index=retired + 1) == "signed_after_retirement"
    assert history.judge(other.kid, log_time=None, index=activated) is None
    assert history.judge(other.kid, log_time=None, index=activated - 1) == "signed_before_activation"


BREAKS: dict[str, tuple[type[Exception], Callable[[Chain], object]]] = {
    "a record is missing": (BrokenKeyChain, lambda chain: chain.records.pop(2)),
    "the first is missing": (BrokenKeyChain, lambda chain: chain.records.pop(0)),
    "one stands twice": (BrokenKeyChain, lambda chain: chain.records.insert(3, chain.records[2])),
    "two are swapped": (BrokenKeyChain, lambda chain: chain.records.insert(2, chain.records.pop(3))),
    "the log has them in another order": (
        BrokenKeyChain,
        lambda chain: chain.records.append(replace(chain.records.pop(), index=0)),
    ),
    "about an asset": (BrokenKeyChain, lambda chain: chain.add("activated", TWO, by=ONE, asset="ast_1")),
    "by a stranger": (UnknownKey, lambda chain: chain.add("activated", TWO, by=THREE)),
    "by a next key": (WrongKeySigner, lambda chain: chain.add("introduced", THREE, by=TWO)),
    "by a log key": (UnknownKey, lambda chain: chain.add("introduced", THREE, by=LOG)),
    "retired by itself": (WrongKeySigner, lambda chain: chain.add("retired", TWO, by=TWO)),
    "introduced twice": (ImpossibleKeyEvent, lambda chain: chain.add("introduced", TWO, by=ONE)),
    "activated twice": (ImpossibleKeyEvent, lambda chain: chain.add("activated", ONE, by=ONE)),
    "activated unknown": (ImpossibleKeyEvent, lambda chain: chain.add("activated", THREE, by=ONE)),
    "activated as another kind": (ImpossibleKeyEvent, lambda chain: chain.add("activated", TWO, by=ONE, use="log")),
    "retired in force": (ImpossibleKeyEvent, lambda chain: chain.add("retired", ONE, by=ONE)),
    "denounced in use": (ImpossibleKeyEvent, lambda chain: chain.add("compromised", ONE, by=ONE, since=0)),
    "another event": (MalformedKeyEvent, lambda chain: chain.add("lost", TWO, by=ONE)),
    "another use": (MalformedKeyEvent, lambda chain: chain.add("activated", TWO, by=ONE, use="fun")),
    "no use": (MalformedKeyEvent, lambda chain: chain.add("activated", TWO, by=ONE, use=None)),
    "a foreign name": (MalformedKeyEvent, lambda chain: chain.add("introduced", THREE, by=ONE, kid=ONE.kid)),
    "no key": (MalformedKeyEvent, lambda chain: chain.add("introduced", THREE, by=ONE, key=None)),
    "half a key": (MalformedKeyEvent, lambda chain: chain.add("introduced", THREE, by=ONE, key={"kty": "OKP"})),
    "no time": (MalformedKeyEvent, lambda chain: chain.add("introduced", THREE, by=ONE, recorded_at="today")),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_chain_that_cannot_be_is_refused(name: str) -> None:
    """Each way to break it has its refusal."""
    refusal, damage = BREAKS[name]
    chain = begun()
    damage(chain)
    with pytest.raises(refusal):
        chain.read()


def test_a_moment_of_compromise_is_in_seconds() -> None:
    """Anything else is refused."""
    chain = rotated()
    chain.add("compromised", ONE, by=TWO, since="yesterday")
    with pytest.raises(MalformedKeyEvent, match="whole seconds"):
        chain.read()


def test_a_retired_key_is_retired_once() -> None:
    """And may not come back."""
    for event in ("retired", "activated"):
        chain = rotated()
        chain.add(event, ONE, by=TWO)
        with pytest.raises(ImpossibleKeyEvent):
            chain.read()


@pytest.mark.parametrize("jws", ["", "a", "a.b.c", "e30.e30.AA", "e30.bnVsbA.AA", "é.é.é"])
def test_a_first_record_that_introduces_nothing_is_refused(jws: str) -> None:
    """Whatever stands there, it is refused as such."""
    with pytest.raises(MalformedKeyEvent):
        KeyHistory.read([KeyRecord(jws)], root=ONE.kid)


def test_the_first_record_is_signed_by_its_own_key() -> None:
    """Nobody introduces the first key but itself."""
    chain = Chain()
    chain.add("introduced", ONE, by=TWO)
    with pytest.raises(UnknownKey):
        chain.read()
    forged = begun()
    head, _, signature = forged.records[0].jws.rpartition(".")
    forged.records[0] = KeyRecord(f"{head}.{signature[:-4]}AAAA", 0)
    with pytest.raises(BadSignature):
        forged.read()
    for event, use in (("activated", "record"), ("introduced", "log")):
        other = Chain()
        other.add(event, ONE, by=ONE, use=use)
        with pytest.raises((WrongKeySigner, ImpossibleKeyEvent)):
            other.read()


class World:
    """An honest exchange, its thief, and what really happened: for each key the span of indexes in which it signed."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.keys: list[FileSigner] = []
        self.spans: list[list[int | None]] = []
        self.stolen: dict[int, tuple[int, int]] = {}
        self.signed: list[tuple[int, int, int]] = []
        self.now = 0
        self._introduce(by=None)
        self._activate(0, by=0)
        self._introduce(by=0)

    @property
    def current(self) -> int:
        """The number of the key in force: the one before the next."""
        return len(self.keys) - 2

    def do(self, step: str, wait: int) -> None:
        """Let time pass, then do one thing."""
        self.now += wait
        if step == "sign":
            self._log(self.current)
        elif step == "rotate":
            self._replace(by=self.current)
        else:
            stolen = self.current
            self._replace(by=stolen + 1)
            since = max(self.now - wait, 0)
            index = self._event("compromised", stolen, by=stolen + 1, since=since)
            self.stolen[stolen] = since, index

    def _replace(self, *, by: int) -> None:
        old = self.current
        self._activate(old + 1, by=by)
        self.spans[old][1] = self._event("retired", old, by=old + 1)
        self._introduce(by=old + 1)

    def _introduce(self, *, by: int | None) -> None:
        number = len(self.keys)
        self.keys.append(FileSigner.from_seed(bytes([number]) * 32))
        self.spans.append([None, None])
        self._event("introduced", number, by=number if by is None else by)

    def _activate(self, number: int, *, by: int) -> None:
        self.spans[number][0] = self._event("activated", number, by=by)

    def _event(self, event: str, number: int, *, by: int, **more: Any) -> int:  # noqa: ANN401 - as `Chain.add`
        index = self.chain.add(event, self.keys[number], by=self.keys[by], at=self.now, **more)
        self.signed.append((by, index, self.now))
        return index

    def _log(self, number: int) -> None:
        self.signed.append((number, self.chain.size, self.now))
        self.chain.size += 1

    def is_right(self, number: int, index: int, time: int) -> bool:
        """Whether a signature of this key at this place, stating this time, is to be accepted."""
        first, last = self.spans[number]
        since, denounced = self.stolen.get(number, (float("inf"), float("inf")))
        # The first key may sign its own introduction, before its activation.
        alive = first is not None and (first <= index or number == 0) and (last is None or index <= last)
        return alive and time < since and index <= denounced


STEPS = st.lists(st.tuples(st.sampled_from(["sign", "sign", "rotate", "steal"]), st.integers(0, 1000)), max_size=12)


@settings(max_examples=150)
@given(STEPS)
def test_exactly_what_was_signed_in_each_keys_life_is_accepted(steps: Iterable[tuple[str, int]]) -> None:
    """With the first thumbprint alone: every key at every place and time is judged as it really was."""
    world = World()
    for step, wait in steps:
        world.do(step, wait)
    history = world.chain.read(world.keys[0])
    trusted = {world.keys[0].kid}  # and whoever was introduced by one of these before that one was stolen
    for number, (by, time) in enumerate(introduced(world)):
        since, _ = world.stolen.get(by, (float("inf"), 0))
        if number and world.keys[by].kid in trusted and time < since:
            trusted.add(world.keys[number].kid)
    assert history.trusted == trusted
    for number, key in enumerate(world.keys):
        for index in range(world.chain.size + 1):
            for time in {0, world.now, *(entry[2] for entry in world.signed)}:
                right = world.is_right(number, index, time) and key.kid in trusted
                assert (history.judge(key.kid, log_time=time, index=index) is None) == right, (number, index, time)


def introduced(world: World) -> list[tuple[int, int]]:
    """Who introduced each key, and when, read from the chain itself."""
    numbers = {key.kid: number for number, key in enumerate(world.keys)}
    found = []
    for record in world.chain.records:
        header, payload = (json.loads(_decoded(part)) for part in record.jws.split(".")[:2])
        if payload["type"] == "key.introduced":
            found.append((numbers[header["kid"]], payload["recorded_at"]))
    return found


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_every_flipped_byte_is_found() -> None:
    """Whichever character of the chain is changed, reading refuses."""
    chain = begun()
    for place, record in enumerate(chain.records):
        for offset in range(len(record.jws)):
            flipped = record.jws[:offset] + chr(ord(record.jws[offset]) ^ 1) + record.jws[offset + 1 :]
            records = [*chain.records[:place], replace(record, jws=flipped), *chain.records[place + 1 :]]
            with pytest.raises(LedgerError):
                KeyHistory.read(records, root=ONE.kid)


def test_the_pinned_chain() -> None:
    """The bytes published for others to check against, and what they have to come to."""
    vector = json.loads(VECTORS.read_text())
    history = KeyHistory.read([KeyRecord(**record) for record in vector["records"]], root=vector["root"])
    assert sorted(history.trusted) == vector["trusted"]
    for case in vector["judgements"]:
        assert history.judge(case["kid"], log_time=case["log_time"], index=case["index"]) == case["code"]
    assert [record.jws for record in compromised(2 * DAY).records] == [one["jws"] for one in vector["records"]]


def test_refusals_have_codes() -> None:
    """A code each, none of them shared."""
    codes = [kind.code for kind in KeyHistoryRefused.__subclasses__()]
    assert len(set(codes)) == len(codes) == 5
