"""The lives of the keys that sign: rows that every process reads, told of in the log as facts about the subject `keys`.

Each change is one transaction under one lock. There is always a next key, introduced while nobody doubts the current
one, so that a successor can be trusted on the day the current one cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from exchange.registry import rules
from exchange.registry.actions import Fact, note_many
from exchange.registry.models import SigningKey
from exchange.registry.queries import public_key, signing_keys
from exchange.registry.rules import KeyState, key_state
from exchange.services import Services
from ledger.encoding import base64_standard
from ledger.key_history import SUBJECT, KeyEvent, Use
from ledger.keys import Signer, jwk
from ledger.notes import ED25519, Verifier

LOCK = text("SELECT pg_advisory_xact_lock(hashtext('registry.keys'))")


class Replaced(NamedTuple):
    """What signs in the place of a denounced key; None where it was not in use.

    It is `doubtful` when it was introduced after the compromise: auditors have to be given its thumbprint another way.
    """

    kid: str | None
    doubtful: bool


@dataclass(frozen=True, slots=True)
class LogSigner:
    """The log's name and the keys that sign its checkpoints, the current one first: a line of signature each."""

    name: str
    signers: tuple[Signer, ...]

    @property
    def verifiers(self) -> list[Verifier]:
        """The public halves."""
        return [Verifier(self.name, ED25519, signer.public_key.public_bytes_raw()) for signer in self.signers]

    def sign(self, text: str) -> str:
        """The note: `text`, which ends with a newline, a blank line, and the signature lines."""
        signed = [verifier.key_id + signer.sign(text.encode()) for verifier, signer in self._pairs()]
        return text + "\n" + "".join(f"— {self.name} {base64_standard(signature)}\n" for signature in signed)

    def _pairs(self) -> list[tuple[Verifier, Signer]]:
        return list(zip(self.verifiers, self.signers, strict=True))


def found(session: Session, *, services: Services, now: datetime) -> None:
    """Make and introduce the first keys, current and next, unless there are keys. The record key comes first of all."""
    session.execute(LOCK)
    if session.scalar(select(func.count()).select_from(SigningKey)):
        return
    for use in Use:
        first = _introduced(session, use=use, services=services, now=now)
        _activate(session, first, now=now)
        _introduced(session, use=use, services=services, now=now)


def introduce(session: Session, *, use: Use, services: Services, now: datetime) -> str:
    """Make another next key and tell of it; gives its thumbprint."""
    session.execute(LOCK)
    return _introduced(session, use=use, services=services, now=now).kid


def activate(session: Session, *, kid: str, services: Services, now: datetime) -> None:
    """Let a next key sign from the next batch on, and see that there is a next one again.

    The record key before it is retired; a log key cosigns until it is retired, so that readers can change over. Refuses
    `rules.UnknownSigningKey`, `rules.KeyNotNext`, `rules.KeyNotHeld`.
    """
    key = _locked(session, kid)
    rules.check_activation(key, kid=kid)
    _check_held(key, services=services)
    _activate(session, key, now=now)
    _see_to_next(session, use=Use(key.use), services=services, now=now)


def retire(session: Session, *, kid: str, services: Services, now: datetime) -> None:
    """Let a superseded or a next key sign nothing (any more).

    Refuses `rules.UnknownSigningKey`, `rules.KeyInUse`, `rules.KeyRetired`.
    """
    key = _locked(session, kid)
    rules.check_retirement(key, kid=kid)
    key.retired_at = now
    _tell(session, KeyEvent.RETIRED, key, now=now)
    _see_to_next(session, use=Use(key.use), services=services, now=now)


def compromise(session: Session, *, kid: str, since: datetime, services: Services, now: datetime) -> Replaced:
    """Denounce a key that others may have had since `since`: whatever else it signed from then on is not believed.

    Where it was in use, a next key takes its place, one introduced before `since` if there is one. May be said again
    with an earlier moment. Refuses `rules.UnknownSigningKey`, `rules.CompromiseNotEarlier`, `rules.KeyNotHeld`.
    """
    since = since.replace(microsecond=0)  # as records tell it
    key = _locked(session, kid)
    rules.check_compromise(key, kid=kid, since=since, now=now)
    replaced = Replaced(None, doubtful=False)
    if key_state(key) is KeyState.CURRENT:
        successor = _successor(session, key, since=since, services=services, now=now)
        _activate(session, successor, now=now)
        replaced = Replaced(successor.kid, doubtful=key.use == Use.RECORD and successor.introduced_at >= since)
    if key.retired_at is None:
        key.retired_at = now
        _tell(session, KeyEvent.RETIRED, key, now=now)
    key.compromised_since = since
    _tell(session, KeyEvent.COMPROMISED, key, now=now, since=int(since.timestamp()))
    _see_to_next(session, use=Use(key.use), services=services, now=now)
    return replaced


def log_signer(session: Session, *, services: Services) -> LogSigner | None:
    """What signs checkpoints now; None where this process does not hold the current key: another has to sign.

    A key signs once the log has its activation, so that every checkpoint covers what says that its key may sign it.
    """
    keys = [key for key in signing_keys(session) if key.use == Use.LOG and key.retired_at is None]
    in_force = sorted(((key.in_force_index, key) for key in keys if key.in_force_index is not None), reverse=True)
    held = [held_key(key, services=services) for _, key in in_force]
    if not held or held[0] is None:
        return None
    return LogSigner(services.settings.log_name, tuple(signer for signer in held if signer is not None))


def held_key(key: SigningKey, *, services: Services) -> Signer | None:
    """The private half, if this process can reach it."""
    return services.keyring.signing.find(key.kid, store=key.store, label=key.label)


def current_record_key(keys: Sequence[SigningKey]) -> SigningKey | None:
    """The key that signs the next record by the log's order: the last one whose activation stands in the log."""
    in_force = [key for key in keys if key.use == Use.RECORD and key.in_force_index is not None]
    return max(in_force, key=lambda key: key.in_force_index or 0, default=None)


def _introduced(session: Session, *, use: Use, services: Services, now: datetime) -> SigningKey:
    """A new next key; one that was made but never came into a row is taken again."""
    last = session.scalar(select(func.max(SigningKey.ordinal)).where(SigningKey.use == use))
    ordinal = (last or 0) + 1
    label = use.value if ordinal == 1 else f"{use}-{ordinal}"
    store, signer = services.keyring.signing.create(label)
    key = SigningKey(
        kid=signer.kid,
        use=use.value,
        ordinal=ordinal,
        public_key=signer.public_key.public_bytes_raw(),
        store=store,
        label=label,
        introduced_at=now,
    )
    session.add(key)
    _tell(session, KeyEvent.INTRODUCED, key, now=now)
    return key


def _activate(session: Session, key: SigningKey, *, now: datetime) -> None:
    current = [one for one in signing_keys(session) if one.use == key.use and key_state(one) is KeyState.CURRENT]
    for one in current:
        one.superseded_at = now
        one.retired_at = now if one.use == Use.RECORD else None
    session.flush()
    key.activated_at = now
    _tell(session, KeyEvent.ACTIVATED, key, now=now)
    for one in current:
        if one.retired_at is not None:
            _tell(session, KeyEvent.RETIRED, one, now=now)


def _successor(session: Session, key: SigningKey, *, since: datetime, services: Services, now: datetime) -> SigningKey:
    """The next key that is trusted most: one from before `since`, the oldest of those held; else a new one."""
    nexts = [one for one in signing_keys(session) if one.use == key.use and key_state(one) is KeyState.NEXT]
    held = [one for one in nexts if held_key(one, services=services)]
    before = [one for one in held if one.introduced_at < since]
    for one in [*before, *held]:
        return one
    return _introduced(session, use=Use(key.use), services=services, now=now)


def _see_to_next(session: Session, *, use: Use, services: Services, now: datetime) -> None:
    session.flush()
    if not any(key.use == use and key_state(key) is KeyState.NEXT for key in signing_keys(session)):
        _introduced(session, use=use, services=services, now=now)


def _locked(session: Session, kid: str) -> SigningKey:
    session.execute(LOCK)
    key = session.get(SigningKey, kid)
    if key is None:
        raise rules.UnknownSigningKey(f"There is no signing key {kid}.")
    return key


def _check_held(key: SigningKey, *, services: Services) -> None:
    if held_key(key, services=services) is None:
        where = f"{key.store} {key.label}"
        raise rules.KeyNotHeld(f"The private half of {key.kid} ({where}) is not here: say so where it is.")


def _tell(session: Session, kind: KeyEvent, key: SigningKey, *, now: datetime, **more: int) -> None:
    members = {name: value for name, value in jwk(public_key(key)).items() if name in {"kty", "crv", "x"}}
    body = {"key": members, "kid": key.kid, "use": key.use} | more
    note_many(session, facts=[Fact(SUBJECT, kind.value, body)], now=now)
