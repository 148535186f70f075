"""Which logs and how many of which witnesses it takes to believe a checkpoint (C2SP tlog-policy).

A policy is a small text file; everybody who checks decides on their own. A quorum is one witness, or a group: k of
its members, each a witness or another group.
"""

import re
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field

from ledger.errors import LedgerError
from ledger.notes import COSIGNATURE, ED25519, MalformedNoteKey, TreeHead, Verifier, read_checkpoint

LARGEST_POLICY = 1_000_000
"""Characters of a policy that are read at all."""
NONE = "none"
"""The quorum that needs no witness."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BLANKS = re.compile(r"[ \t]+")
_COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


class PolicyRefused(LedgerError):
    """Base of what is refused about policies, and under them."""

    code = "policy_refused"


class MalformedPolicy(PolicyRefused):
    """The text is not a policy; the message names the line."""

    code = "malformed_policy"


class QuorumNotReached(PolicyRefused):
    """Too few of the policy's witnesses have cosigned the checkpoint."""

    code = "quorum_not_reached"


class StaleWitness(PolicyRefused):
    """Enough witnesses have cosigned the checkpoint, but some of them too long ago."""

    code = "stale_witness"


@dataclass(frozen=True, slots=True)
class Log:
    """A log the policy believes."""

    key: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness, by the name the policy gives it; `url` is where it takes checkpoints (tlog-witness)."""

    name: str
    key: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Has witnessed what at least `threshold` of its members have."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Whom to believe. Groups stand behind what they are made of."""

    quorum: str = NONE
    logs: tuple[Log, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """The policy that `text` (octets beyond ASCII decoded in any way) spells. Refuses `MalformedPolicy`."""
        return _parse(text)

    def render(self) -> str:
        """The policy as a file."""
        lines = [_line("log", log.key.vkey, log.url) for log in self.logs]
        lines += [_line("witness", one.name, one.key.vkey, one.url) for one in self.witnesses]
        lines += [_line("group", group.name, str(group.threshold), *group.members) for group in self.groups]
        return "".join([*lines, _line("quorum", self.quorum)])

    def check(self, note: str, *, logs: Collection[Verifier] = (), not_before_s: int | None = None) -> TreeHead:
        """The tree head in a checkpoint signed by one of the policy's logs (or `logs`) and cosigned by its quorum.

        Cosignatures from before `not_before_s` (unix seconds) do not count. Refuses what `notes.read_checkpoint`
        refuses, `QuorumNotReached` and `StaleWitness`.
        """
        known = [log.key for log in self.logs] + list(logs)
        cosigned = read_checkpoint(note, logs=known, witnesses=[one.key for one in self.witnesses])
        self.check_quorum(cosigned.times_s, not_before_s=not_before_s)
        return cosigned.head

    def check_quorum(self, times_s: dict[Verifier, int], *, not_before_s: int | None = None) -> None:
        """Refuse cosignatures, given by their times, that are not enough: `QuorumNotReached`, `StaleWitness`."""
        signed = {one.name for one in self.witnesses if one.key in times_s}
        if not self.reached_by(signed):
            missing = ", ".join(name for name in self._needed() if name not in signed)
            raise QuorumNotReached(f"The quorum {self.quorum} is not reached without: {missing}.")
        stale = {
            one.name for one in self.witnesses if not_before_s is not None and times_s.get(one.key, 0) < not_before_s
        }
        if not self.reached_by(signed - stale):
            raise StaleWitness(f"Cosigned before {not_before_s}: {', '.join(sorted(signed & stale))}.")

    def reached_by(self, signed: Container[str]) -> bool:
        """Whether the witnesses named in `signed` make the quorum."""
        reached = {NONE} | {one.name for one in self.witnesses if one.name in signed}
        for group in self.groups:
            if sum(member in reached for member in group.members) >= group.threshold:
                reached.add(group.name)
        return self.quorum in reached

    def _needed(self) -> list[str]:
        """The witnesses that count towards the quorum, as the file has them."""
        counting = {self.quorum}
        for group in reversed(self.groups):
            if group.name in counting:
                counting.update(group.members)
        return [one.name for one in self.witnesses if one.name in counting]


def _line(*parts: str | None) -> str:
    return " ".join(filter(None, parts)) + "\n"


@dataclass(slots=True)
class _Reader:
    """A policy as far as it was read."""

    logs: list[Log] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    names: set[str] = field(default_factory=lambda: {NONE})
    members: set[str] = field(default_factory=set)
    quorum: str | None = None

    def log(self, vkey: str, url: str | None = None) -> None:
        """`log <vkey> [<url>]`."""
        self.logs.append(Log(_key(vkey, ED25519, [log.key for log in self.logs]), url))

    def witness(self, name: str, vkey: str, url: str | None = None) -> None:
        """`witness <name> <vkey> [<url>]`."""
        self._define(name)
        self.witnesses.append(Witness(name, _key(vkey, COSIGNATURE, [one.key for one in self.witnesses]), url))

    def group(self, name: str, count: str, *members: str) -> None:
        """`group <name> <k|any|all> <name>...`."""
        for member in members:
            if member == NONE or member not in self.names:
                raise MalformedPolicy(f"{member} is no witness or group of a line before")
            if member in self.members:
                raise MalformedPolicy(f"{member} is a member already")
            self.members.add(member)
        threshold = {"any": 1, "all": len(members)}.get(count) or (int(count) if _COUNT.fullmatch(count) else 0)
        if not 1 <= threshold <= len(members):
            raise MalformedPolicy(f"{count} of {len(members)} members cannot be")
        self._define(name)
        self.groups.append(Group(name, threshold, members))

    def set_quorum(self, name: str) -> None:
        """`quorum <name|none>`."""
        if self.quorum is not None:
            raise MalformedPolicy("there is a quorum already")
        if name not in self.names:
            raise MalformedPolicy(f"{name} is no witness or group of a line before")
        self.quorum = name

    def _define(self, name: str) -> None:
        if name in self.names:
            raise MalformedPolicy(f"the name {name} is taken")
        self.names.add(name)


def _parse(text: str) -> Policy:
    if len(text) > LARGEST_POLICY:
        raise MalformedPolicy(f"The policy is longer than {LARGEST_POLICY} characters.")
    reader = _Reader()
    directives: dict[str, Callable[..., None]] = {
        "log": reader.log,
        "witness": reader.witness,
        "group": reader.group,
        "quorum": reader.set_quorum,
    }
    for number, line in enumerate(text.split("\n"), start=1):
        words = _BLANKS.split(line.strip(" \t"))
        try:
            _read_line(line, words, directives)
        except MalformedPolicy as error:
            raise MalformedPolicy(f"Line {number} of the policy: {error}.") from error.__cause__
    if reader.quorum is None:
        raise MalformedPolicy("The policy has no quorum line; `quorum none` asks for no witness.")
    return Policy(reader.quorum, tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups))


_WORDS = {"log": (2, 3), "witness": (3, 4), "group": (4, LARGEST_POLICY), "quorum": (2, 2)}
"""How many words a line has, at least and at most."""


def _read_line(line: str, words: list[str], directives: dict[str, Callable[..., None]]) -> None:
    if _CONTROL.search(line):
        raise MalformedPolicy("it has a control character")
    keyword, *rest = words
    if not keyword or keyword.startswith("#"):
        return
    least, most = _WORDS.get(keyword, (1, 0))
    if not least <= len(words) <= most:
        raise MalformedPolicy(f"{keyword!r} does not begin a line of {len(words)} words")
    directives[keyword](*rest)


def _key(vkey: str, signature_type: int, known: list[Verifier]) -> Verifier:
    try:
        key = Verifier.parse(vkey)
    except MalformedNoteKey as error:
        raise MalformedPolicy(f"{vkey} is no key: {error}") from error
    if key.signature_type != signature_type:
        raise MalformedPolicy(f"the key of {key.name} is of type {key.signature_type}, not {signature_type}")
    if any(key.public_key == other.public_key for other in known):
        raise MalformedPolicy(f"the key of {key.name} is there already")
    return key
