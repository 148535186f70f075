"""Keys come, sign and go while the exchange works: no fact waits for ever, and every record is right by the log."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from exchange.keyring import KeyFiles, SigningKeys, open_keyring
from exchange.registry import keys, rules, sealing
from exchange.registry.queries import log_keys, signing_keys
from exchange.registry.rules import KeyState, key_state
from exchange.services import Services
from exchange.settings import Pkcs11
from ledger import log
from ledger.key_history import SUBJECT, Use
from ledger.notes import MissingNoteSignature, open_checkpoint
from ledger.records import open_record, parse_leaf
from tests.exchange.house import House
from tests.exchange.premises import premises
from tests.exchange.receivables.shared import at_once
from tests.exchange.registry.lives import Change, change, history, judgements, kid_of, rotate, seal_all
from tests.exchange.registry.readers import head, keep, links, read, record_keys, verified
from tests.softhsm import LIBRARY, PIN, make_token, needs_softhsm

FIRST = [
    ("key.introduced", "record"),
    ("key.activated", "record"),
    ("key.introduced", "record"),
    ("key.introduced", "log"),
    ("key.activated", "log"),
    ("key.introduced", "log"),
]


@pytest.fixture
def house(server_url: str, tmp_path: Path) -> Iterator[House]:
    """A house for each test: what happens to keys happens to all."""
    with premises(server_url, tmp_path / "home") as opened:
        yield opened


def without_keys(services: Services, home: Path) -> Services:
    """The same exchange on a host that has none of its keys."""
    empty = KeyFiles(replace(services.settings, home=home, seed=None), entropy=services.entropy)
    return replace(services, keyring=replace(services.keyring, signing=SigningKeys(empty)))


def test_the_log_begins_with_its_keys(house: House) -> None:
    """Before any other fact: the first key introduces itself, and a next key is ready for each use."""
    services = house.services
    with services.database.transaction() as session:
        bundle = session.execute(text("SELECT leaf FROM log_leaf WHERE index < 6 ORDER BY index")).scalars().all()
    leaves = [parse_leaf(bytes(leaf)) for leaf in bundle]
    assert [leaf.asset for leaf in leaves] == [SUBJECT] * 6
    first = links(services, SUBJECT)[:6]
    opened = [open_record(link["jws"], keys=history(services).public_keys()) for link in first]
    assert [(record.type, record.body["use"]) for record in opened] == FIRST
    assert {leaf.kid for leaf in leaves} == {opened[0].body["kid"]}


def test_founding_twice_is_founding_once(house: House) -> None:
    """Two processes that start together make one set of keys."""
    services = house.services
    with services.database.transaction() as session:
        before = len(signing_keys(session))
    at_once(
        4,
        lambda _: change(services, lambda session, now: keys.found(session, services=services, now=now)),
    )
    with services.database.transaction() as session:
        assert len(signing_keys(session)) == before


def test_rotation_of_the_record_key(house: House) -> None:
    """The next batch is signed by the next key, a new next one is ready, and the old one's records verify still."""
    services, web = house.services, house.app.test_client()
    keep(services, "over a rotation", 0, 1)
    seal_all(services)
    old = rotate(services)
    keep(services, "over a rotation", 2)
    seal_all(services)
    new = kid_of(services, KeyState.CURRENT)
    records = verified(web, links(services, "over a rotation"))
    assert [record.kid for record in records] == [old, old, new]
    assert (old in record_keys(web), kid_of(services, KeyState.NEXT) in record_keys(web)) == (True, True)
    assert judgements(services) == {None}
    assert history(services).in_force == new
    house.check()


def test_key_events_go_before_what_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A denounced key must not sign a backlog first: the first batch has the events, and the rest has the new key."""
    monkeypatch.setattr(sealing, "SEAL_BATCH", 4)
    services = house.services
    keep(services, "backlog", *range(6))
    old = rotate(services)
    seal_all(services)
    kids = {record.kid for record in verified(house.app.test_client(), links(services, "backlog"))}
    assert kids == {kid_of(services, KeyState.CURRENT)}
    assert old not in kids
    assert judgements(services) == {None}


def test_rotation_while_everybody_works(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers, two sealers, one who rotates six times: no fact is lost, and each record is its key's by the log."""
    monkeypatch.setattr(sealing, "SEAL_BATCH", 5)
    services, done = house.services, threading.Semaphore(0)

    def write(number: int) -> None:
        for fact in range(20):
            keep(services, f"busy {number}", fact)

    def turn() -> None:
        for _ in range(3):
            rotate(services)
            rotate(services, Use.LOG)

    def step(number: int) -> None:
        if number >= 3:
            while sealing.seal(services) or done._value < 3:
                pass
            return
        try:
            turn() if number == 2 else write(number)
        finally:
            done.release()

    at_once(5, step)
    seal_all(services)
    web = house.app.test_client()
    for number in (0, 1):
        assert [record.body["n"] for record in verified(web, links(services, f"busy {number}"))] == list(range(20))
    assert judgements(services) == {None}
    house.check()


def test_log_keys_overlap(house: House) -> None:
    """After a rotation each checkpoint has both signatures, until the old key is retired; audit knows all keys."""
    services, web = house.services, house.app.test_client()
    old = rotate(services, Use.LOG)
    seal_all(services)
    note = read(web, "/log/checkpoint").text
    with services.database.transaction() as session:
        current, outgoing, *others = log_keys(session, log_name=services.settings.log_name)
    published = read(web, "/.well-known/log-key").text.splitlines()
    assert published == [key.vkey for key in [current, outgoing, *others]]
    assert open_checkpoint(note, log=current) == open_checkpoint(note, log=outgoing)
    change(services, lambda session, now: keys.retire(session, kid=old, services=services, now=now))
    seal_all(services)
    note = read(web, "/log/checkpoint").text
    open_checkpoint(note, log=current)
    with pytest.raises(MissingNoteSignature):
        open_checkpoint(note, log=outgoing)
    house.check()


def test_no_checkpoint_is_older_than_its_key(house: House) -> None:
    """A new log key signs nothing before the log itself says that it may."""
    services = house.services
    rotate(services, Use.LOG)
    seal_all(services)
    told = history(services)
    with services.database.transaction() as session:
        notes = session.execute(text("SELECT size, note FROM log_checkpoint ORDER BY size")).all()
        known = log_keys(session, log_name=services.settings.log_name, denounced=True)
    for size, note in notes:
        for key in known:
            if f"{key.name} " in note and signed_by(note, key):
                kid = next(
                    kid for kid, one in told.public_keys(Use.LOG).items() if one.public_bytes_raw() == key.public_key
                )
                assert told.judge(kid, log_time=None, index=size - 1) is None


def signed_by(note: str, key: object) -> bool:
    """Whether a log key has signed a note."""
    try:
        open_checkpoint(note, log=key)  # type: ignore[arg-type]  # a verifier
    except MissingNoteSignature:
        return False
    return True


def test_a_stolen_key_is_replaced_and_denounced(house: House) -> None:
    """In one step: its successor signs, what it signed since is flagged, all else stays right, a new next is ready."""
    services, web = house.services, house.app.test_client()
    rotate(services)
    seal_all(services)
    house.move(9, 30, days=1)
    keep(services, "before the theft", 0)
    seal_all(services)
    house.move(9, 31)
    keep(services, "after the theft", 0)
    seal_all(services)
    keep(services, "while it is found", 0)
    with services.database.transaction() as session:
        since = services.clock.now(session)
    stolen = kid_of(services, KeyState.CURRENT)
    replaced = change(
        services,
        lambda session, now: keys.compromise(session, kid=stolen, since=since, services=services, now=now),
    )
    seal_all(services)
    successor = kid_of(services, KeyState.CURRENT)
    assert replaced == (successor, False)
    told = history(services)
    codes = {}
    for asset_id in ("before the theft", "after the theft", "while it is found"):
        (link,) = links(services, asset_id)
        opened = open_record(link["jws"], keys=told.public_keys())
        codes[asset_id] = (
            opened.kid,
            told.judge(opened.kid, log_time=opened.body["recorded_at"], index=link["log_index"]),
        )
    assert codes == {
        "before the theft": (stolen, None),
        "after the theft": (stolen, "signed_after_compromise"),
        "while it is found": (successor, None),
    }
    assert stolen in record_keys(web), "what it signed before has to be judged still"
    assert kid_of(services, KeyState.NEXT) in told.trusted
    earlier = since - timedelta(minutes=1)
    change(
        services,
        lambda session, now: keys.compromise(session, kid=stolen, since=earlier, services=services, now=now),
    )
    seal_all(services)
    (link,) = links(services, "before the theft")
    assert history(services).judge(stolen, log_time=int(earlier.timestamp()), index=link["log_index"]) is not None
    house.check()


def test_a_stolen_log_key_signs_no_more(house: House) -> None:
    """Its successor signs alone, and nobody is told to believe the stolen one."""
    services, web = house.services, house.app.test_client()
    stolen = kid_of(services, KeyState.CURRENT, Use.LOG)
    with services.database.transaction() as session:
        before, *_ = log_keys(session, log_name=services.settings.log_name)
    change(
        services,
        lambda session, now: keys.compromise(session, kid=stolen, since=now, services=services, now=now),
    )
    sealing.seal(services)
    note = read(web, "/log/checkpoint").text
    assert not signed_by(note, before)
    assert before.vkey not in read(web, "/.well-known/log-key").text
    assert head(web).origin == services.settings.log_name
    house.check()


def test_whom_a_thief_may_have_introduced_is_doubtful(house: House) -> None:
    """Where no next key is older than the theft, the operator hears that auditors need a thumbprint."""
    services = house.services
    stolen = kid_of(services, KeyState.CURRENT)
    long_ago = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
    with services.database.transaction() as session:
        now = services.clock.now(session)
        replaced = keys.compromise(session, kid=stolen, since=long_ago, services=services, now=now)
        assert replaced.doubtful
        session.rollback()
    assert kid_of(services, KeyState.CURRENT) == stolen


def test_what_keys_refuse(house: House) -> None:
    """Each impossible change has its refusal, and changes nothing."""
    services = house.services
    current, upcoming = kid_of(services, KeyState.CURRENT), kid_of(services, KeyState.NEXT)
    retired = rotate(services)
    tomorrow = timedelta(days=1)
    attempts: list[tuple[type[Exception], Change]] = [
        (rules.UnknownSigningKey, lambda s, now: keys.activate(s, kid="nobody", services=services, now=now)),
        (rules.KeyNotNext, lambda s, now: keys.activate(s, kid=retired, services=services, now=now)),
        (rules.KeyNotNext, lambda s, now: keys.activate(s, kid=upcoming, services=services, now=now)),
        (rules.KeyInUse, lambda s, now: keys.retire(s, kid=upcoming, services=services, now=now)),
        (rules.KeyRetired, lambda s, now: keys.retire(s, kid=retired, services=services, now=now)),
        (
            rules.CompromiseNotEarlier,
            lambda s, now: keys.compromise(s, kid=retired, since=now + tomorrow, services=services, now=now),
        ),
    ]
    assert current == retired
    for refusal, attempt in attempts:
        with pytest.raises(refusal):
            change(services, attempt)
    change(services, lambda s, now: keys.compromise(s, kid=retired, since=now, services=services, now=now))
    with pytest.raises(rules.CompromiseNotEarlier):
        change(services, lambda s, now: keys.compromise(s, kid=retired, since=now, services=services, now=now))
    seal_all(services)


def test_a_next_key_that_is_not_wanted_is_retired(house: House) -> None:
    """It never signs; another is made ready in its place. Introducing makes one more."""
    services = house.services
    unwanted = kid_of(services, KeyState.NEXT)
    change(services, lambda session, now: keys.retire(session, kid=unwanted, services=services, now=now))
    assert kid_of(services, KeyState.NEXT) != unwanted
    another = change(services, lambda session, now: keys.introduce(session, use=Use.RECORD, services=services, now=now))
    assert kid_of(services, KeyState.NEXT) == another
    seal_all(services)
    assert history(services).judge(unwanted, log_time=None, index=10**6) == "signed_after_retirement"


def test_who_does_not_hold_the_key_leaves_sealing_to_others(house: House, tmp_path: Path) -> None:
    """Facts wait, checkpoints wait, nothing fails, and no key is made in its place; who holds it seals."""
    services = house.services
    keep(services, "elsewhere", 0)
    stranger = without_keys(services, tmp_path / "elsewhere")
    assert sealing.seal(stranger) == 0
    assert links(services, "elsewhere") == []
    assert not (tmp_path / "elsewhere").exists()
    upcoming = kid_of(services, KeyState.NEXT)
    with pytest.raises(rules.KeyNotHeld, match="say so where it is"):
        change(stranger, lambda session, now: keys.activate(session, kid=upcoming, services=stranger, now=now))
    seal_all(services)
    assert len(links(services, "elsewhere")) == 1


def test_who_holds_the_old_key_only_seals_up_to_the_new_one(house: House, tmp_path: Path) -> None:
    """It signs the activation, the last thing that is its to sign; the rest of the batch is left."""
    services = house.services
    old_place = str(current_label(services))
    with services.database.transaction() as session:
        before = log.size(session.connection())
    rotate(services)
    keep(services, "half a batch", 0)
    half = KeyFiles(replace(services.settings, home=tmp_path, seed=None), entropy=services.entropy)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / f"{old_place}.key").write_text(services.entropy(32, "key", old_place).hex())
    holder = replace(services, keyring=replace(services.keyring, signing=SigningKeys(half)))
    assert sealing.seal(holder) == 1
    assert sealing.seal(holder) == 0
    with services.database.transaction() as session:
        assert log.size(session.connection()) == before + 1
    seal_all(services)
    assert judgements(services) == {None}


def current_label(services: Services) -> str | None:
    """Where the current record key is kept."""
    with services.database.transaction() as session:
        found = keys.current_record_key(signing_keys(session))
    return found.label if found else None


CONSTRAINTS = {
    "uq_signing_key_current": "SET activated_at = now() WHERE activated_at IS NULL AND retired_at IS NULL",
    "ck_signing_key_current_not_retired": "SET retired_at = now() WHERE superseded_at IS NULL",
    "ck_signing_key_one_record_key_signs": "SET retired_at = NULL WHERE use = 'record'",
    "ck_signing_key_compromised_is_retired": "SET compromised_since = now() WHERE activated_at IS NULL",
    "ck_signing_key_superseded_was_active": "SET superseded_at = now() WHERE activated_at IS NULL",
    "ck_signing_key_in_force_is_activated": "SET in_force_index = 10^9 WHERE activated_at IS NULL",
    "ck_signing_key_use_known": "SET use = 'fun'",
    "ck_signing_key_public_key_whole": "SET public_key = ''",
}


def test_the_database_keeps_the_rules_too(house: House) -> None:
    """Whoever writes past the actions is refused by a constraint."""
    rotate(house.services)
    for name, change_of_row in CONSTRAINTS.items():
        with pytest.raises(IntegrityError, match=name), house.services.database.transaction() as session:
            session.execute(text(f"UPDATE signing_key {change_of_row}"))


def test_the_states_follow_each_other(house: House) -> None:
    """One current key and one next key or more for each use, whatever was done to them."""
    for use in (Use.RECORD, Use.LOG, Use.RECORD):
        rotate(house.services, use)
    with house.services.database.transaction() as session:
        found = signing_keys(session)
    for use in Use:
        states = [key_state(key) for key in found if key.use == use]
        assert states.count(KeyState.CURRENT) == 1
        assert KeyState.NEXT in states
        ordinals = [key.ordinal for key in found if key.use == use]
        assert all(after - before == 1 for before, after in pairwise(ordinals))


@needs_softhsm
def test_keys_move_into_a_token(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token set, new keys are made in it and sign from there; those in files sign up to the change."""
    assert LIBRARY is not None
    make_token(tmp_path / "hsm", monkeypatch)
    (tmp_path / "pin").write_text(f"{PIN}\n")
    token = Pkcs11(LIBRARY, "exchange", pin_file=tmp_path / "pin")
    plain = house.services
    settings = replace(plain.settings, pkcs11=token)
    services = replace(plain, settings=settings, keyring=open_keyring(settings, entropy=plain.entropy))
    for use in Use:
        made = change(services, lambda s, now, use=use: keys.introduce(s, use=use, services=services, now=now))  # type: ignore[misc]  # mypy infers no lambda with a default
        change(services, lambda s, now, kid=made: keys.activate(s, kid=kid, services=services, now=now))  # type: ignore[misc]  # same
    keep(services, "in a token", 0, 1)
    assert sealing.seal(plain) > 0, "whoever has the files signs the change"
    assert links(plain, "in a token") == []
    seal_all(services)
    with services.database.transaction() as session:
        current = [key for key in signing_keys(session) if key_state(key) is KeyState.CURRENT]
    assert [(key.use, key.store) for key in current] == [("record", "pkcs11"), ("log", "pkcs11")]
    (kid,) = {record.kid for record in verified(house.app.test_client(), links(services, "in a token"))}
    assert kid == current[0].kid
    assert judgements(services) == {None}
    house.check()
