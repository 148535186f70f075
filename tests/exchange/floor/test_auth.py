"""Access tokens: only ours, only now, only of their type."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt

from exchange.auth import TOKEN_LIFETIME, Caller, Role, issue_token, read_token, split
from exchange.entropy import seeded_entropy
from exchange.errors import Unauthenticated
from exchange.keyring import open_keyring
from exchange.settings import Settings

KEYRING = open_keyring(Settings(home=Path(), seed=1), entropy=seeded_entropy(1))
FOREIGN = open_keyring(Settings(home=Path(), seed=2), entropy=seeded_entropy(2))
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ISSUER = "https://exchange.example"
CALLER = Caller("cli_1", Role.FUNDER, "fnd_1")
GOOD = issue_token(KEYRING, caller=CALLER, issuer=ISSUER, now=NOW)


def _read(authorization: str | None, *, now: datetime = NOW, issuer: str = ISSUER) -> Caller:
    _, token = split(authorization)
    return read_token(KEYRING, token=token, issuer=issuer, now=now).caller


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_says_who_calls(role: Role, scheme: str) -> None:
    """Whoever it was made for, with or without a party; the scheme's case does not matter (RFC 9110)."""
    caller = Caller("cli_1", role, None if role in {Role.OPERATOR, Role.AUDITOR} else "p")
    token = issue_token(KEYRING, caller=caller, issuer=ISSUER, now=NOW)
    assert _read(f"{scheme} {token}") == caller


def test_a_token_ends() -> None:
    """Good until its last second, not in the next."""
    assert _read(f"Bearer {GOOD}", now=NOW + TOKEN_LIFETIME - timedelta(seconds=1)) == CALLER
    with pytest.raises(Unauthenticated):
        _read(f"Bearer {GOOD}", now=NOW + TOKEN_LIFETIME + timedelta(seconds=1))


CLAIMS = {
    "iss": ISSUER,
    "aud": ISSUER,
    "sub": "cli_1",
    "role": "operator",
    "party": None,
    "key": "k",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 60,
}


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "role", "party", "key", "exp"])
def test_every_claim_is_needed(missing: str) -> None:
    """A token of ours that leaves one out is none."""
    claims = {name: value for name, value in CLAIMS.items() if name != missing}
    token = jwt.encode({"alg": "Ed25519", "typ": "at+jwt"}, claims, KEYRING.token_key, algorithms=["Ed25519"])
    with pytest.raises(Unauthenticated):
        _read(f"Bearer {token}")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "https://other.example"},
        {"role": "root"},
        {"role": ["operator"]},
        {"exp": None},
        {"exp": "later"},
        {"exp": CLAIMS["iat"] - 1 if isinstance(CLAIMS["iat"], int) else 0},
        {"iat": CLAIMS["exp"] + 600 if isinstance(CLAIMS["exp"], int) else 0},
        {"nbf": CLAIMS["exp"]},
    ],
)
def test_claims_that_do_not_hold(changes: dict[str, object]) -> None:
    """Another issuer or audience, no such role, expired, not yet begun."""
    token = jwt.encode({"alg": "Ed25519", "typ": "at+jwt"}, CLAIMS | changes, KEYRING.token_key, algorithms=["Ed25519"])
    with pytest.raises(Unauthenticated) as refused:
        _read(f"Bearer {token}")
    assert refused.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_other_keys_and_types() -> None:
    """A foreign key's signature, another type of token, another exchange's."""
    foreign = issue_token(FOREIGN, caller=CALLER, issuer=ISSUER, now=NOW)
    assertion = jwt.encode({"alg": "Ed25519"}, CLAIMS, KEYRING.token_key, algorithms=["Ed25519"])
    for token in (foreign, assertion):
        with pytest.raises(Unauthenticated):
            _read(f"Bearer {token}")
    with pytest.raises(Unauthenticated):
        _read(f"Bearer {GOOD}", issuer="https://other.example")


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AZaz09-_.\0é "))
def test_a_changed_token_is_none(place: int, character: str) -> None:
    """Whatever character is put in another's place; the padding bits of the last ones say nothing."""
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    try:
        assert _read(f"Bearer {changed}") == CALLER
    except Unauthenticated:
        return
    assert changed == GOOD or place == len(GOOD) - 1


@given(st.none() | st.text() | st.text().map("Bearer {}".format))
def test_junk_is_refused(authorization: str | None) -> None:
    """Any other header is refused and breaks nothing."""
    with pytest.raises(Unauthenticated):
        _read(authorization)
