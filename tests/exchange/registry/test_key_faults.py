"""Whatever dies while keys change, or stores too late: nothing is lost, doubled, or signed by the wrong key."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exchange.registry import keys, sealing
from exchange.registry.rules import KeyState
from exchange.services import Services
from ledger.key_history import SUBJECT, Use
from tests.exchange.house import House
from tests.exchange.premises import premises
from tests.exchange.registry.hooked import hooked
from tests.exchange.registry.lives import Change, change, judgements, kid_of, rotate, seal_all
from tests.exchange.registry.readers import keep, links, verified


@pytest.fixture
def house(server_url: str, tmp_path: Path) -> Iterator[House]:
    """A house for each test: what happens to keys happens to all."""
    with premises(server_url, tmp_path / "home") as opened:
        yield opened


class Crash(Exception):
    """Stands for a power cut."""


def test_a_change_that_dies_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of its facts it was at: keys, facts and log are as before, and the change can be made again."""
    services = house.services
    stolen, tell = kid_of(services, KeyState.CURRENT), keys._tell
    act: Change = lambda s, now: keys.compromise(s, kid=stolen, since=now, services=services, now=now)  # noqa: E731 - tried often
    for told in range(4):
        left = iter(range(told))

        def crash(*arguments: object, left: Iterator[int] = left, **more: object) -> None:
            if next(left, None) is None:
                raise Crash
            tell(*arguments, **more)  # type: ignore[arg-type]  # whatever it was called with

        monkeypatch.setattr(keys, "_tell", crash)
        with pytest.raises(Crash):
            change(services, act)
        assert kid_of(services, KeyState.CURRENT) == stolen
        assert sealing.seal(services) == 0
    monkeypatch.undo()
    change(services, act)
    assert kid_of(services, KeyState.COMPROMISED) == stolen
    assert sealing.seal(services) == 4
    house.check()


@pytest.mark.parametrize("use", Use)
def test_a_sealer_that_dies_at_a_rotation_repeats_it(house: House, use: Use) -> None:
    """At whichever signature of the batch, and at the checkpoint: the next sealer does it all, in the right hands."""
    services = house.services
    rotate(services, use)
    keep(services, "through a crash", 0, 1)
    for signed in range(6):
        left = iter(range(signed))

        def crash(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Crash

        with suppress(Crash):
            sealing.seal(hooked(services, crash, use=use))
    seal_all(services)
    assert len(verified(house.app.test_client(), links(services, "through a crash"))) == 2
    assert judgements(services) == {None}
    house.check()


def test_an_overtaken_sealer_stores_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It signed before a key came into force, and would store behind that: refused, and all is sealed once."""
    services = house.services
    rotate(services)
    keep(services, "overtaken", 0)
    sign = sealing._sign

    def slow(work: sealing._Work, *, services: Services) -> sealing._Result:
        only = [pending for pending in work.batch if pending.asset_id != SUBJECT]
        result = sign(work._replace(batch=only), services=services)
        monkeypatch.undo()
        other = sign(work, services=services)
        events = [item for item in other.sealed if item.pending.asset_id == SUBJECT]
        with services.database.transaction() as session:
            now = services.clock.now(session)
            sealing._store(session, sealing._Result(events, {}), work=work, now=now)
        return result

    monkeypatch.setattr(sealing, "_sign", slow)
    with pytest.raises(sealing.Overtaken):
        sealing.seal(services)
    assert links(services, "overtaken") == []
    seal_all(services)
    assert len(links(services, "overtaken")) == 1
    house.check()
