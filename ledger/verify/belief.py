"""What a verifier is told to believe, and what follows from it for the keys of one file."""

from collections.abc import Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.key_history import KeyRecord
from ledger.notes import TreeHead, Verifier, checkpoint_head, read_checkpoint
from ledger.policy import Policy
from ledger.verify.trust import Judge, Trust, raw_keys, root_among, signers


class Undecided(Exception):
    """Nothing is known to be wrong, but without what the message names nothing can be said."""


class Beliefs(NamedTuple):
    """What the caller brings along: record keys or one thumbprint, a policy or log keys, how old a witness may be."""

    keys: Mapping[str, Ed25519PublicKey] | None = None
    root: str | None = None
    policy: Policy | None = None
    log_keys: tuple[Verifier, ...] = ()
    not_before_s: int | None = None

    def trust(self, *, chain: tuple[KeyRecord, ...] = (), own: Mapping[str, Ed25519PublicKey]) -> tuple[Trust, str]:
        """Which record keys to believe in a file that brings a `chain` of keys and `own` ones, and why, in words.

        Raises `Undecided`; refuses what `records.read_header` refuses.
        """
        if self.root is not None:
            return self._from_root(self.root, chain, own)
        if self.keys is not None:
            root = root_among(chain, known=self.keys)
            return Trust(raw_keys(self.keys), chain if root else (), root), "the keys given"
        if chain:
            root = signers(chain)[0]
            return Trust((), chain, root), _compare("the chain of keys in the file itself, from its first key on", root)
        if own:
            return Trust(raw_keys(own)), _compare("the keys in the file itself", *own)
        raise Undecided("No record key is known: give --keys or --key.")

    def head(self, note: str, *, judge: Judge | None, own: Policy | None = None) -> tuple[TreeHead, str]:
        """What a checkpoint states, once those to be believed have signed it, and who they are, in words.

        `own` is the policy that came with the checkpoint. Raises `Undecided`; refuses what `Policy.check` refuses.
        """
        if self.policy is not None:
            head = self.policy.check(note, logs=self.log_keys, not_before_s=self.not_before_s)
            return head, "the policy given"
        logs, why = list(self.log_keys), "the log key given"
        if not logs and judge is not None:
            claimed = checkpoint_head(note.partition("\n\n")[0] + "\n")
            logs, why = judge.log_keys(claimed.origin, size=claimed.size), "the log's keys in the chain of keys"
        if not logs and own is not None:
            logs = [log.key for log in own.logs]
            why = _compare("the policy in the pack itself", *(log.vkey for log in logs))
        if not logs:
            raise Undecided("No key of the log is known: give --policy or --log-key.")
        cosigned = read_checkpoint(note, logs=logs, witnesses=[one.key for one in own.witnesses] if own else ())
        if own is not None:
            own.check_quorum(cosigned.times_s, not_before_s=self.not_before_s)
        return cosigned.head, why

    def _from_root(
        self, root: str, chain: tuple[KeyRecord, ...], own: Mapping[str, Ed25519PublicKey]
    ) -> tuple[Trust, str]:
        if chain:
            return Trust((), chain, root), f"the chain of keys from {root} on"
        known = {**(self.keys or {}), **own}
        if root not in known:
            raise Undecided(f"The key {root} is nowhere to be found: give --keys, or a file with the chain of keys.")
        return Trust(raw_keys({root: known[root]})), f"the key {root} alone"


def _compare(what: str, *keys: str) -> str:
    return f"{what}; compare with what was published elsewhere: {', '.join(keys)}"


def judged(trust: Trust, *, otherwise: Mapping[str, Ed25519PublicKey]) -> tuple[Trust, LedgerError | None]:
    """The trust, if its chain of keys holds; else the keys `otherwise`, and what is wrong with the chain."""
    try:
        trust.judge()
    except LedgerError as refusal:
        return Trust(raw_keys(otherwise)), refusal
    return trust, None
