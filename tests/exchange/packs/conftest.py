"""One exchange that has seen everything a pack has to carry, and empty databases to bring it back into."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exchange.packs.export import export_pack
from tests.exchange.house import House
from tests.exchange.packs.folders import quiet
from tests.exchange.packs.lived import live
from tests.exchange.premises import premises


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An exchange with some days behind it and two funders that must not learn of each other."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        live(house)
        yield house


@pytest.fixture(scope="module")
def packs(house: House, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | None], Path]:
    """The pack of a funder, or of the whole exchange; written once."""
    folder, written = tmp_path_factory.mktemp("packs"), {}

    def pack(funder_id: str | None) -> Path:
        if funder_id not in written:
            written[funder_id] = folder / (funder_id or "exchange")
            export_pack(house.services, folder=written[funder_id], funder_id=funder_id, step=quiet)
        return written[funder_id]

    return pack
