"""A pack goes into an empty database and comes out as the same exchange."""

from pathlib import Path

import pytest

from exchange.app import create_app
from exchange.auth import Role
from exchange.packs.export import export_pack
from exchange.packs.restore import import_pack
from exchange.services import Services
from ledger import books, log
from tests.exchange.house import Client, House, enter_client, receivable
from tests.exchange.packs.folders import Packs, elsewhere, quiet, same_files, table
from tests.exchange.settlement.book import all_balances


def proofs(services: Services) -> list[str]:
    """The proof file of every entry of the log."""
    with services.database.transaction() as session:
        size = log.size(session.connection())
        return [log.proof_file(session.connection(), index=index) for index in range(size)]


def auditor(services: Services) -> Client:
    """Somebody who may look at everything there is."""
    return enter_client(services, create_app(services), role=Role.AUDITOR, name="auditor")


def test_the_same_snapshot_gives_the_same_bytes(house: House, packs: Packs, tmp_path: Path) -> None:
    """No time of writing, no name and no chance is in a pack."""
    for funder_id in (None, *house.funder_ids):
        again = tmp_path / str(funder_id)
        export_pack(house.services, folder=again, funder_id=funder_id, step=quiet)
        assert same_files(packs(funder_id), again) == []


def test_the_whole_exchange_comes_back(house: House, packs: Packs, server_url: str, tmp_path: Path) -> None:
    """Exported again from where it was imported, every byte is the same: balances, records, tree, checkpoint."""
    with elsewhere(server_url, tmp_path / "home") as services:
        restored = import_pack(services, folder=packs(None), step=quiet)
        assert restored.scope == "exchange"
        export_pack(services, folder=tmp_path / "again", step=quiet)
        assert same_files(packs(None), tmp_path / "again") == []
        assert proofs(services) == proofs(house.services)
        House(services, create_app(services), house.operator, house.platform, "").check()


def test_the_successor_lives_on(house: House, packs: Packs, server_url: str, tmp_path: Path) -> None:
    """The imported exchange takes new receivables, seals them into the same log, and no number is given twice."""
    with elsewhere(server_url, tmp_path / "home") as services:
        import_pack(services, folder=packs(None), step=quiet)
        app = create_app(services)
        platform = Client(app.test_client(), house.platform.client_id, house.platform.key)
        operator = Client(app.test_client(), house.operator.client_id, house.operator.key)
        after = House(services, app, operator, platform, house.originator_id)
        before = len(proofs(services))
        after.submit(receivable("NEW-1"))
        assert len(proofs(services)) > before
        after.check()
        again = platform.post("/v1/receivables", {"items": [receivable("A-1")]})
        assert again["items"][0]["status"] == 201, "another seller's number is not this one's"


def test_a_funder_has_an_archive(house: House, packs: Packs, server_url: str, tmp_path: Path) -> None:
    """Of a funder's pack come the same positions and cash, every proof of the log, and clean books."""
    for number, funder_id in enumerate(house.funder_ids):
        with elsewhere(server_url, tmp_path / funder_id) as services:
            restored = import_pack(services, folder=packs(funder_id), step=quiet)
            assert restored.scope == funder_id
            assert proofs(services) == proofs(house.services)
            with services.database.snapshot() as session:
                assert books.check(session.connection()) == []
            archive = House(services, create_app(services), house.operator, house.platform, "")
            own = {place: minor for place, minor in all_balances(house).items() if funder_id in place[0]}
            kept = {place: minor for place, minor in all_balances(archive).items() if place[0] != "counterparty"}
            assert kept == own != {}
            reader = auditor(services)
            shown = {one["asset_id"]: one for one in reader.get("/v1/assets?limit=100")["items"]}
            seen = house.funders[number].get("/v1/assets?limit=100")["items"]
            assert seen != []
            assert [shown[one["asset_id"]] for one in seen] == seen
            paths = [f"/v1/assets/{one['asset_id']}/holders" for one in seen if one["claim"] == "assigned"]
            known = [(path, house.funders[number].get(path)) for path in paths]
            signed = [(path, one["holders"]) for path, one in known if all(it["digest"] for it in one["rests_on"])]
            assert len(signed) > 1, "what still waits for its signature is in no pack of a funder"
            assert [(path, reader.get(path)["holders"]) for path, _ in signed] == signed


@pytest.mark.parametrize("path", ["tables/originator.ndjson.gz", "tables/receipt.ndjson.gz", "records.ndjson.gz"])
def test_the_world_that_is_packed_is_not_empty(packs: Packs, path: str) -> None:
    """Equality of nothing with nothing would prove nothing."""
    assert table(packs(None), path)
