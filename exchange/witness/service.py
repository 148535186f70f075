"""The witness and its state: one small file for each log, swapped before a cosignature leaves."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from exchange.entropy import system_entropy
from exchange.keyring import write_first
from exchange.settings import SettingsError
from ledger.checkpoint_file import CheckpointFile
from ledger.keys import SEED_BYTES, private_key_from_seed
from ledger.notes import ED25519, Cosigner, MalformedNoteKey, Verifier
from ledger.witness import Decision, add_checkpoint

SWAPS = 10
"""How often a request is decided anew because others of the same log were faster."""


class WitnessBusy(Exception):
    """Too many requests about one log at once: none was lost, and this one was not decided."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness's key, the logs it knows by their keys, and the folder with what it cosigned last of each."""

    cosigner: Cosigner
    logs: Mapping[str, Sequence[Verifier]]
    state: Path

    def add_checkpoint(self, body: bytes, *, now: datetime) -> str:
        """The answer to an `add-checkpoint` request: signature lines. Any number of processes may share the state.

        `now` is when the request came. Refuses as `ledger.witness.add_checkpoint`, and `WitnessBusy`; raises OSError.
        """
        for _ in range(SWAPS):
            decision = add_checkpoint(
                body, logs=self.logs, held=self._held, cosigner=self.cosigner, time_s=int(now.timestamp())
            )
            if self._keep(decision):
                return decision.answer
        raise WitnessBusy

    def _held(self, origin: str) -> str | None:
        kept = self._file(origin).read()
        return kept.note if kept else None

    def _keep(self, decision: Decision) -> bool:
        return self._file(decision.origin).swap(decision.note, expected=decision.replaces)

    def _file(self, origin: str) -> CheckpointFile:
        """An origin may be any line of text; its hash is a file name."""
        return CheckpointFile(self.state / f"{hashlib.sha256(origin.encode()).hexdigest()}.checkpoint")


def open_key(path: Path, *, name: str | None) -> Cosigner:
    """The witness's key in the file, made on first use under `name` (`SettingsError`)."""
    if not path.exists():
        if name is None:
            raise SettingsError(f"{path} is not there yet: say --name to make a key under that name")
        _create(path, Cosigner(name, private_key_from_seed(system_entropy(SEED_BYTES))))
    try:
        cosigner = Cosigner.parse(path.read_text().strip())
    except (MalformedNoteKey, UnicodeDecodeError):
        raise SettingsError(f"{path} is not a witness's key: bring it back from a backup") from None
    if name not in {None, cosigner.name}:
        raise SettingsError(f"{path} is the key of {cosigner.name}, not of {name}")
    return cosigner


def _create(path: Path, cosigner: Cosigner) -> None:
    try:
        Verifier.parse(cosigner.verifier.vkey)
    except MalformedNoteKey:
        raise SettingsError(f"{cosigner.name!r} cannot be a witness's name: no blanks and no plus sign") from None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_first(path, f"{cosigner.skey()}\n")


def read_logs(text: str) -> dict[str, list[Verifier]]:
    """The keys of each log, by origin: of a policy's `log` lines, or one vkey a line (`SettingsError`)."""
    logs: dict[str, list[Verifier]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if not words or words[0].startswith("#") or words[0] in {"witness", "group", "quorum"}:
            continue
        vkey = words[1] if words[0] == "log" and len(words) > 1 else words[0]
        try:
            key = Verifier.parse(vkey)
        except MalformedNoteKey as error:
            raise SettingsError(f"Line {number} of the logs: {error}") from None
        if key.signature_type != ED25519:
            raise SettingsError(f"Line {number} of the logs: {key.name} has the key of a witness, not of a log")
        logs.setdefault(key.name, []).append(key)
    if not logs:
        raise SettingsError("There are no logs to witness: write `log <vkey>` lines, or one vkey a line")
    return logs
