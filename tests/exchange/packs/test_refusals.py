"""What is not a pack, not the whole pack, or not true is refused, and leaves no trace."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from exchange import jobs
from exchange.packs.export import export_pack
from exchange.packs.files import PackRefused, open_pack
from exchange.packs.restore import NotEmpty, import_pack
from exchange.registry.keys import current_record_key, held_key
from exchange.registry.queries import signing_keys
from exchange.services import Services
from ledger.keys import Signer
from tests.exchange.house import OPENING, House
from tests.exchange.owner import as_owner
from tests.exchange.packs.folders import FORGER, Packs, copied, elsewhere, forged, quiet, same_files


@pytest.fixture(scope="module")
def empty(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A database into which nothing goes in this module."""
    with elsewhere(server_url, tmp_path_factory.mktemp("home")) as services:
        yield services


def is_empty(services: Services) -> bool:
    """Whether no row of any refused pack has stayed."""
    counts = "SELECT (SELECT count(*) FROM log_leaf) + (SELECT count(*) FROM funder) + (SELECT count(*) FROM claim)"
    with services.database.transaction() as session:
        return bool(session.execute(text(counts)).scalar_one() == 0)


def first_row(**changes: object) -> Callable[[list[bytes]], list[bytes]]:
    """An edit of a table's first row."""
    return lambda rows: [orjson.dumps(orjson.loads(rows[0]) | changes) + b"\n", *rows[1:]]


FORGERIES: dict[str, tuple[str, dict[str, Callable[[Any], Any]]]] = {
    "a balance": ("balance_mismatch", {"books__accounts": first_row(balance_minor=7)}),
    "a leg": ("running_balance", {"books__legs": first_row(amount_minor=7)}),
    "a leg too few": ("unbalanced_transfer", {"books__legs": lambda rows: rows[1:]}),
    "a transfer without legs": ("transfer_legs", {"books__legs": lambda rows: rows[:0]}),
    "a transfer's day": ("leg", {"books__transfers": first_row(effective_date="2020-01-01")}),
    "a transfer's key": ("fingerprint", {"books__transfers": first_row(key="another")}),
    "an entry of the log": (
        "tile_mismatch",
        {"log__tile__entries__000": lambda data: data.replace(b"asset.confirmed", b"asset.confirmeD")},
    ),
    "an entry too few": ("bundle", {"log__tile__entries__000": lambda data: data[:-1]}),
    "the checkpoint": ("malformed_note", {"log__checkpoint": lambda data: data + b"x"}),
    "a record": ("malformed_record", {"records": first_row(jws="e30.e30.AA")}),
    "a record too few": ("missing_link", {"records": lambda rows: rows[1:]}),
    "an event too few": ("fit together", {"tables__asset_event": lambda rows: rows[1:]}),
    "an asset nobody submitted": ("refuses a row", {"tables__receivable": lambda rows: rows[1:]}),
    "a column of ours": ("columns", {"books__legs": first_row(xid=5)}),
    "a number for a word": ("refuses a row", {"tables__claim": first_row(face_minor="many")}),
    "no JSON": ("refuses a row", {"tables__claim": lambda rows: [b"{\n", *rows[1:]]}),
    "control characters": ("refuses a row", {"tables__claim": lambda rows: [b"\x01\x02\n", *rows[1:]]}),
    "a virtue it has not": ("refuses a row", {"tables__claim": first_row(state="fine")}),
}


@pytest.fixture(scope="module")
def insider(house: House) -> Signer:
    """The exchange's own record key."""
    with house.services.database.snapshot() as session:
        current = current_record_key(signing_keys(session))
        assert current is not None
        signer = held_key(current, services=house.services)
    assert signer is not None
    return signer


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_pack(packs: Packs, empty: Services, insider: Signer, tmp_path: Path, name: str) -> None:
    """Not even whoever holds the exchange's key gets an untrue content in, and nothing of it stays."""
    told, edits = FORGERIES[name]
    pack = forged(packs(None), tmp_path / "forged", signer=insider, **edits)
    with pytest.raises(PackRefused, match=told):
        import_pack(empty, folder=pack, step=quiet)
    assert is_empty(empty)


def test_a_forgery_of_nothing_is_the_pack(packs: Packs, insider: Signer, tmp_path: Path) -> None:
    """The forger's tools break nothing by themselves."""
    assert same_files(packs(None), forged(packs(None), tmp_path / "pack", signer=insider)) == []


def test_a_key_of_the_forgers_own(packs: Packs, empty: Services, tmp_path: Path) -> None:
    """Nothing altered, only signed by another key: the chain of keys in the log does not know it."""
    with pytest.raises(PackRefused, match="unknown_key"):
        import_pack(empty, folder=forged(packs(None), tmp_path / "pack", signer=FORGER), step=quiet)
    assert is_empty(empty)


def test_a_trusted_key_has_to_be_there(packs: Packs, empty: Services) -> None:
    """Whoever knows a key from elsewhere says so, and a pack without it is refused."""
    with pytest.raises(PackRefused, match=r"unknown_(root|key)"):
        import_pack(empty, folder=packs(None), trusted="A" * 43, step=quiet)


def test_every_file_is_covered(packs: Packs, empty: Services, tmp_path: Path) -> None:
    """A byte altered, a file missing, a file too much: each is found and named."""
    pack = copied(packs(None), tmp_path / "pack")
    for path in ("records.ndjson.gz", "tables/claim.ndjson.gz", "policy.txt", "log/checkpoint", "keys.json"):
        place = pack / path
        was = place.read_bytes()
        place.write_bytes(was[:-1] + bytes([was[-1] ^ 1]))
        with pytest.raises(PackRefused, match=path.replace(".", r"\.")):
            import_pack(empty, folder=pack, step=quiet)
        place.unlink()
        with pytest.raises(PackRefused, match=path.replace(".", r"\.")):
            import_pack(empty, folder=pack, step=quiet)
        place.write_bytes(was)
    (pack / "tables/more").write_text("x")
    with pytest.raises(PackRefused, match="tables/more"):
        import_pack(empty, folder=pack, step=quiet)


def test_a_manifest_is_read_strictly(packs: Packs, tmp_path: Path) -> None:
    """A path never leaves the folder; what is no manifest is no pack."""
    pack = copied(packs(None), tmp_path / "pack")
    manifest = orjson.loads((pack / "manifest.json").read_bytes())
    for path in ("../keys.json", "/etc/passwd", "tables//claim", "./keys.json", ""):
        strange = manifest | {"files": manifest["files"] | {path: {"bytes": 1, "sha256": "0" * 64}}}
        (pack / "manifest.json").write_bytes(orjson.dumps(strange, option=orjson.OPT_SORT_KEYS))
        with pytest.raises(PackRefused, match="not the manifest"):
            open_pack(pack)
    for wrong in (b"{}", b"[]", b"{", orjson.dumps(manifest | {"format": "exchange-pack/2"})):
        (pack / "manifest.json").write_bytes(wrong)
        with pytest.raises(PackRefused, match="not the manifest"):
            open_pack(pack)
    with pytest.raises(PackRefused, match="not a pack"):
        open_pack(tmp_path / "nowhere")


def test_another_revision(packs: Packs, empty: Services) -> None:
    """A pack of another release is not guessed at."""
    revision = open_pack(packs(None)).manifest["revision"]
    rename = text("UPDATE alembic_version SET version_num = :name")
    with as_owner(empty.database) as session:
        session.execute(rename, {"name": "other"})
    try:
        with pytest.raises(PackRefused, match="release that wrote it"):
            import_pack(empty, folder=packs(None), step=quiet)
    finally:
        with as_owner(empty.database) as session:
            session.execute(rename, {"name": revision})


def test_nothing_is_mixed(house: House, packs: Packs) -> None:
    """A database with a single row in it takes no pack, not even its own."""
    with pytest.raises(NotEmpty, match="has rows"):
        import_pack(house.services, folder=packs(None), step=quiet)


def test_a_pack_appears_whole_or_not_at_all(house: House, tmp_path: Path) -> None:
    """Whoever dies while writing leaves no folder by the pack's name; an existing one is never written to."""

    def dies(path: str, _rows: int) -> None:
        if path.startswith("tables/"):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        export_pack(house.services, folder=tmp_path / "pack", step=dies)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "pack").mkdir()
    with pytest.raises(PackRefused, match="new folder"):
        export_pack(house.services, folder=tmp_path / "pack", step=quiet)
    with pytest.raises(PackRefused, match="no funder"):
        export_pack(house.services, folder=tmp_path / "other", funder_id="fnd_nobody", step=quiet)


def test_an_empty_exchange_has_no_pack(server_url: str, tmp_path: Path) -> None:
    """Without an entry in the log there is nothing to prove."""
    with elsewhere(server_url, tmp_path / "home") as services:
        with services.database.transaction() as session:
            jobs.set_virtual_time(session, moment=OPENING)
        with pytest.raises(PackRefused, match="Nothing is in the log"):
            export_pack(services, folder=tmp_path / "pack", step=quiet)


def test_an_import_that_dies_leaves_nothing(packs: Packs, empty: Services) -> None:
    """It is one transaction: killed in the middle, the database is as empty as before."""

    def dies(path: str, _rows: int) -> None:
        if path.startswith("tables/"):
            raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        import_pack(empty, folder=packs(None), step=dies)
    assert is_empty(empty)
