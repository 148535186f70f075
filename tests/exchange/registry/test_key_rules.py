"""What may happen to a key, by its moments alone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from exchange.registry import rules
from exchange.registry.rules import KeyState

NOW = datetime(2026, 3, 2, tzinfo=UTC)
AGO = NOW - timedelta(days=1)


@dataclass(frozen=True)
class Moments:
    """The moments of a key."""

    activated_at: datetime | None = None
    superseded_at: datetime | None = None
    retired_at: datetime | None = None
    compromised_since: datetime | None = None


KEYS = {
    KeyState.NEXT: Moments(),
    KeyState.CURRENT: Moments(AGO),
    KeyState.OUTGOING: Moments(AGO, AGO),
    KeyState.RETIRED: Moments(AGO, AGO, AGO),
    KeyState.COMPROMISED: Moments(AGO, AGO, AGO, AGO),
}


@pytest.mark.parametrize("state", KeyState)
def test_states(state: KeyState) -> None:
    """The moments say the state; a key that never signed may be retired and denounced too."""
    assert rules.key_state(KEYS[state]) is state
    assert rules.key_state(Moments(retired_at=NOW)) is KeyState.RETIRED
    assert rules.key_state(Moments(retired_at=NOW, compromised_since=NOW)) is KeyState.COMPROMISED


@pytest.mark.parametrize("state", KeyState)
def test_only_a_next_key_is_activated(state: KeyState) -> None:
    """Every other one is refused."""
    if state is KeyState.NEXT:
        rules.check_activation(KEYS[state], kid="k")
        return
    with pytest.raises(rules.KeyNotNext, match=f"k is {state}"):
        rules.check_activation(KEYS[state], kid="k")


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        (KeyState.NEXT, None),
        (KeyState.CURRENT, rules.KeyInUse),
        (KeyState.OUTGOING, None),
        (KeyState.RETIRED, rules.KeyRetired),
        (KeyState.COMPROMISED, rules.KeyRetired),
    ],
)
def test_who_is_retired(state: KeyState, refusal: type[Exception] | None) -> None:
    """A next key and an outgoing one; the current one has to have a successor first."""
    if refusal is None:
        rules.check_retirement(KEYS[state], kid="k")
        return
    with pytest.raises(refusal):
        rules.check_retirement(KEYS[state], kid="k")


@pytest.mark.parametrize("state", KeyState)
def test_any_key_is_denounced_and_only_ever_earlier(state: KeyState) -> None:
    """Since now or before; again only since an earlier moment, as what was flagged stays flagged."""
    key = KEYS[state]
    rules.check_compromise(key, kid="k", since=AGO - timedelta(seconds=1), now=NOW)
    with pytest.raises(rules.CompromiseNotEarlier, match="not come yet"):
        rules.check_compromise(key, kid="k", since=NOW + timedelta(seconds=1), now=NOW)
    if state is KeyState.COMPROMISED:
        with pytest.raises(rules.CompromiseNotEarlier, match="denounced since"):
            rules.check_compromise(key, kid="k", since=AGO, now=NOW)
    else:
        rules.check_compromise(key, kid="k", since=NOW, now=NOW)


def test_a_size_is_told() -> None:
    """The refusal has the numbers that were compared."""
    rules.check_size("asset.noted", asset_id="ast_1", body=b"{}", disclosable={"seller": 1})
    with pytest.raises(rules.FactTooLarge) as refused:
        rules.check_size("asset.noted", asset_id="ast_1", body=bytes(4000), disclosable={})
    assert refused.value.numbers["bytes"] > refused.value.numbers["most_bytes"] == 4095
