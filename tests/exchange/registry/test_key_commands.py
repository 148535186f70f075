"""`exchange keys`, as an operator types it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exchange import settings
from exchange.cli import group
from exchange.registry import keys, sealing
from exchange.registry.rules import KeyInUse, KeyNotNext
from exchange.services import Services
from tests.exchange.house import House
from tests.exchange.premises import premises

Run = Callable[..., Result]


@pytest.fixture
def house(server_url: str, tmp_path: Path) -> Iterator[House]:
    """A house of its own."""
    with premises(server_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Types `exchange keys …` in the house's environment."""
    for name, value in settings.to_environment(house.services.settings).items():
        monkeypatch.setenv(name, value)

    def typed(*words: str) -> Result:
        return CliRunner().invoke(group, ["keys", *words])

    return typed


def states(run: Run) -> dict[str, list[str]]:
    """The thumbprints that `list` shows, by use and state."""
    shown: dict[str, list[str]] = {}
    for line in run("list").output.splitlines():
        use, state, kid, *_ = line.split()
        shown.setdefault(f"{use} {state}", []).append(kid)
    return shown


def test_the_life_of_a_key(house: House, run: Run) -> None:
    """Introduced, activated, retired, denounced: each command says what it did, and the list shows it."""
    (first,), (second,) = states(run)["record current"], states(run)["record next"]
    third = run("introduce").output.strip()
    assert states(run)["record next"] == [second, third]
    assert run("activate", second).output == f"{second} signs from the next batch on.\n"
    assert run("retire", third).output == f"{third} is retired; what it signed still verifies.\n"
    assert states(run)["record retired"] == [first, third]
    said = run("compromise", second, "--since", "2026-03-02T00:59:00Z").output.splitlines()
    (fourth,) = states(run)["record current"]
    assert said == [
        f"{second} is denounced since 2026-03-02T00:59:00Z.",
        f"{fourth} signs from the next batch on.",
        "It was introduced after that moment: give auditors its thumbprint by another way.",
    ]
    assert states(run)["record compromised"] == [second]
    assert len(states(run)["record next"]) == 1
    while sealing.seal(house.services):
        pass
    house.check()


def test_log_keys_have_lives_too(run: Run) -> None:
    """An outgoing key cosigns until it is retired."""
    (first,), (second,) = states(run)["log current"], states(run)["log next"]
    assert run("introduce", "--use", "log").exit_code == 0
    run("activate", second)
    assert (states(run)["log current"], states(run)["log outgoing"]) == ([second], [first])
    run("retire", first)
    assert states(run)["log retired"] == [first]


def test_what_cannot_be_is_refused(run: Run) -> None:
    """The refusal is that of the rules; a date that is none is refused by the command."""
    (current,) = states(run)["record current"]
    assert isinstance(run("activate", current).exception, KeyNotNext)
    assert isinstance(run("retire", current).exception, KeyInUse)
    assert run("compromise", current, "--since", "lately").exit_code == 2
    assert run("compromise", current).exit_code == 2


def test_the_list_says_where_a_key_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a label, a moment for each step, and whether this host holds it."""
    (line, *_) = run("list").output.splitlines()
    assert "file:record  introduced 2026-03-02T01:00:00Z, activated 2026-03-02T01:00:00Z" in line
    monkeypatch.delenv("EXCHANGE_SEED")
    assert all("(not held here)" in line for line in run("list").output.splitlines())


def test_facts_set_aside_are_tried_again(house: House, run: Run) -> None:
    """It may be typed at any time."""
    assert run("retry-sealing").output == "They are sealed next, or set aside again.\n"
    house.check()


def test_the_first_command_founds_the_keys(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any worker ran, a change finds keys to change."""
    with services.database.transaction() as session:
        session.connection().exec_driver_sql("INSERT INTO virtual_clock (clock_id, moment) VALUES (1, now())")
    for name, value in settings.to_environment(services.settings).items():
        monkeypatch.setenv(name, value)
    runner = CliRunner()
    assert runner.invoke(group, ["keys", "list"]).output == ""
    assert runner.invoke(group, ["keys", "introduce"]).exit_code == 0
    assert len(runner.invoke(group, ["keys", "list"]).output.splitlines()) == 5
    with services.database.transaction() as session:
        assert keys.log_signer(session, services=services) is None, "its activation is not in the log yet"
