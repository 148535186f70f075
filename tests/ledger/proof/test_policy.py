"""Policies: read as the specification says, and never satisfied by fewer witnesses than they ask for."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError
from ledger.notes import (
    BadNoteSignature,
    Cosigner,
    MissingNoteSignature,
    NoteSigner,
    TreeHead,
    Verifier,
    WrongOrigin,
    checkpoint_text,
    parse_proof,
)
from ledger.policy import (
    LARGEST_POLICY,
    Group,
    Log,
    MalformedPolicy,
    Policy,
    QuorumNotReached,
    StaleWitness,
    Witness,
)

TIME_S = 1_767_225_600


def cosigner(number: int) -> Cosigner:
    """A witness's key that only its number decides."""
    return Cosigner(f"witness.example/w{number}", Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32))


COSIGNERS = [cosigner(number) for number in range(8)]
WITNESSES = tuple(Witness(f"w{number}", one.verifier) for number, one in enumerate(COSIGNERS))
VKEYS = [one.verifier.vkey for one in COSIGNERS]
LOG = NoteSigner("log.example/ar", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
LOG_LINE = f"log {LOG.verifier.vkey}\n"


def note(*numbers: int, time_s: int = TIME_S, origin: str = LOG.name) -> str:
    """A checkpoint that the witnesses of these numbers have cosigned."""
    text = checkpoint_text(TreeHead(origin, 5, bytes(32)))
    return LOG.sign(text) + "".join(COSIGNERS[number].cosign(text, time_s=time_s) for number in numbers)


def test_the_example_of_the_specification() -> None:
    """Two of three here and one of three there: both, and not one of them alone."""
    lines = [LOG_LINE, "\n"]
    lines += [f"witness {'XY'[number // 3]}{number % 3 + 1} {VKEYS[number]}\n" for number in range(6)]
    lines += ["group X-witnesses 2 X1 X2 X3\n", "group Y-witnesses any Y1 Y2 Y3\n"]
    lines += ["group X-and-Y all X-witnesses Y-witnesses\n", "quorum X-and-Y\n"]
    policy = Policy.parse("".join(lines))
    assert policy.check(note(0, 2, 4)) == TreeHead(LOG.name, 5, bytes(32))
    for numbers, missing in (((0, 1), "X3, Y1, Y2, Y3"), ((0, 3, 4, 5), "X2, X3"), ((), "X1, X2, X3, Y1, Y2, Y3")):
        with pytest.raises(QuorumNotReached, match=f"X-and-Y is not reached without: {missing}"):
            policy.check(note(*numbers))


def test_the_cross_checked_vector_satisfies_its_policy(vectors: Callable[[str], Any]) -> None:
    """A checkpoint made by two other implementations, under a policy of its log and witness."""
    vector = vectors("tlog")
    text = f"log {vector['log_vkey']} https://log.example/ar/\nwitness w1 {vector['witness_vkey']}\nquorum w1\n"
    policy = Policy.parse(text)
    checkpoint = parse_proof(vector["proof"]).checkpoint
    assert policy.check(checkpoint, not_before_s=vector["cosigned_at_s"]).size == 5
    with pytest.raises(StaleWitness, match="w1"):
        policy.check(checkpoint, not_before_s=vector["cosigned_at_s"] + 1)
    assert policy.render() == text


def test_blanks_comments_and_foreign_octets() -> None:
    """Tabs, blanks at both ends, comments and names beyond ASCII; a name with a no-break space is one name."""
    odd = "K\u00a0\u212a"
    text = f"# a comment\n\n  \t# another\n\twitness \t {odd}  {VKEYS[0]} \n witness K {VKEYS[1]}\nquorum {odd}"
    policy = Policy.parse(text)
    assert policy.witnesses == (Witness(odd, COSIGNERS[0].verifier), Witness("K", COSIGNERS[1].verifier))
    assert policy.check(note(0), logs=[LOG.verifier]).size == 5
    with pytest.raises(QuorumNotReached):
        policy.check(note(1), logs=[LOG.verifier])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no quorum"),
        ("quorum", "1 words"),
        ("quorum none none", "3 words"),
        ("quorum none\nquorum none", "Line 2 .* quorum already"),
        ("quorum w", "w is no witness"),
        ("log", "1 words"),
        (f"log {VKEYS[0]}\nquorum none", "of type 4, not 1"),
        (f"witness w {LOG.verifier.vkey}\nquorum none", "of type 1, not 4"),
        (f"witness w {VKEYS[0]} url more\nquorum none", "5 words"),
        (f"witness none {VKEYS[0]}\nquorum none", "taken"),
        (f"witness w {VKEYS[0]}\nwitness w {VKEYS[1]}\nquorum none", "Line 2 .* taken"),
        (f"witness w {VKEYS[0]}\nwitness v {VKEYS[0]}\nquorum none", "there already"),
        (f"{LOG_LINE}{LOG_LINE}quorum none", "there already"),
        ("witness w key\nquorum none", "no key"),
        (f"witness w {VKEYS[0][:-1]}\nquorum none", "no key"),
        (f"witness w {VKEYS[0]}\ngroup g 1\nquorum g", "3 words"),
        (f"witness w {VKEYS[0]}\ngroup g 0 w\nquorum g", "0 of 1"),
        (f"witness w {VKEYS[0]}\ngroup g 2 w\nquorum g", "2 of 1"),
        (f"witness w {VKEYS[0]}\ngroup g 01 w\nquorum g", "01 of 1"),
        (f"witness w {VKEYS[0]}\ngroup g ١ w\nquorum g", "of 1"),
        (f"witness w {VKEYS[0]}\ngroup g some w\nquorum g", "some of 1"),
        (f"witness w {VKEYS[0]}\ngroup g any w w\nquorum g", "member already"),
        (f"witness w {VKEYS[0]}\ngroup g any w\ngroup h any w\nquorum g", "member already"),
        (f"witness w {VKEYS[0]}\ngroup w any w\nquorum w", "taken"),
        ("group g any g\nquorum g", "g is no witness"),
        (f"group g any w\nwitness w {VKEYS[0]}\nquorum g", "w is no witness"),
        ("group g any none\nquorum g", "none is no witness"),
        ("quorum none # to end with", "6 words"),
        ("Quorum none", "2 words"),
        ("quorum none\r", "control"),
        ("quorum none\n\x7f", "control"),
        ("# \x00\nquorum none", "control"),
        (f"# {'x' * LARGEST_POLICY}\nquorum none", "longer"),
    ],
)
def test_a_policy_out_of_form_is_refused(text: str, message: str) -> None:
    """Each fault by its line and its name."""
    with pytest.raises(MalformedPolicy, match=message):
        Policy.parse(text)


@given(st.text(max_size=300) | st.text("loqurumwitnesgp \n\t0123+=", max_size=300))
def test_arbitrary_text_is_refused_or_read(text: str) -> None:
    """No text raises anything but the refusal, and what is read survives being written."""
    try:
        policy = Policy.parse(text)
    except MalformedPolicy:
        return
    assert Policy.parse(policy.render()) == policy


def test_the_log_must_be_known_and_have_signed() -> None:
    """Another log, another key of it, a signature that does not hold, and a witness's that does not."""
    policy = Policy.parse(f"{LOG_LINE}witness w {VKEYS[0]}\nquorum w\n")
    other = NoteSigner(LOG.name, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    text = checkpoint_text(TreeHead(LOG.name, 5, bytes(32)))
    foreign = other.sign(text) + COSIGNERS[0].cosign(text, time_s=TIME_S)
    with pytest.raises(MissingNoteSignature):
        policy.check(foreign)
    assert policy.check(foreign, logs=[other.verifier]).size == 5
    with pytest.raises(WrongOrigin):
        policy.check(note(0, origin="log.example/other"))
    with pytest.raises(BadNoteSignature):
        policy.check(note(0).replace("\n5\n", "\n6\n"))
    with pytest.raises(MissingNoteSignature):
        Policy.parse("quorum none\n").check(note())


def test_a_cosignature_of_a_time_that_cannot_be_is_refused() -> None:
    """A time beyond eight signed bytes holds for no witness, though its key did sign it."""
    policy = Policy.parse(f"{LOG_LINE}witness w {VKEYS[0]}\nquorum w\n")
    assert policy.check(note(0, time_s=2**63 - 1)).size == 5
    with pytest.raises(BadNoteSignature, match="cannot be"):
        policy.check(note(0, time_s=2**63))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy of eight witnesses: groups of free members, each in one group at most."""
    free = [one.name for one in WITNESSES]
    groups: list[Group] = []
    for number in range(draw(st.integers(0, 6))):
        if not free:
            break
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        groups.append(Group(f"g{number}", draw(st.integers(1, len(members))), tuple(members)))
        free = [name for name in free if name not in members] + [f"g{number}"]
    names = [one.name for one in WITNESSES] + [group.name for group in groups] + ["none"]
    return Policy(draw(st.sampled_from(names)), (Log(LOG.verifier),), WITNESSES, tuple(groups))


def counted(policy: Policy, name: str, signed: set[str]) -> bool:
    """Whether `name` has witnessed, by the definition: from the top down."""
    for group in policy.groups:
        if group.name == name:
            return sum(counted(policy, member, signed) for member in group.members) >= group.threshold
    return name == "none" or name in signed


@given(policies(), st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
def test_any_policy_means_what_its_definition_says(policy: Policy, numbers: set[int], old: set[int]) -> None:
    """Nested groups of k of n: reached exactly when the definition says so; stale ones count as absent, by name."""
    assert Policy.parse(policy.render()) == policy
    signed, fresh = {f"w{number}" for number in numbers}, {f"w{number}" for number in numbers - old}
    assert policy.reached_by(signed) == counted(policy, policy.quorum, signed)
    times: dict[Verifier, int] = {
        COSIGNERS[number].verifier: TIME_S - 1 if number in old else TIME_S for number in numbers
    }
    expected: type[LedgerError] | None = None
    if not counted(policy, policy.quorum, signed):
        expected = QuorumNotReached
    elif not counted(policy, policy.quorum, fresh):
        expected = StaleWitness
    if expected is None:
        policy.check_quorum(times, not_before_s=TIME_S)
    else:
        with pytest.raises(expected):
            policy.check_quorum(times, not_before_s=TIME_S)
    if not counted(policy, policy.quorum, signed):
        with pytest.raises(QuorumNotReached):
            policy.check_quorum(times)


@given(policies(), st.sets(st.integers(0, 7), max_size=3))
def test_a_note_is_judged_by_who_signed_it(policy: Policy, numbers: set[int]) -> None:
    """Whatever the signatures' order; and one witness more never turns a yes into a no."""
    signed = {f"w{number}" for number in numbers}
    if policy.reached_by(signed):
        assert policy.check(note(*sorted(numbers, reverse=True))).size == 5
        assert all(policy.reached_by(signed | {one.name}) for one in WITNESSES)
    else:
        with pytest.raises(QuorumNotReached):
            policy.check(note(*sorted(numbers)))
