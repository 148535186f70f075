"""What log, chains and guard say of each other, against an owner who changes one thing."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from exchange.operations.queries import checks
from exchange.registry import consistency
from tests.exchange.house import House
from tests.exchange.receivables.shared import shared_house
from tests.exchange.registry.readers import keep

FIRST = 6
"""Where the facts of the asset begin, behind the key events."""


@pytest.fixture(scope="module")
def filled(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a chain of ten facts."""
    with shared_house(server_url, tmp_path_factory.mktemp("home"), funders=1) as house:
        keep(house.services, "ast", *range(10))
        house.run()
        yield house


TAMPERINGS = {
    "a record removed": (
        "DELETE FROM asset_event WHERE asset_id = 'ast' AND sequence = 4",
        [("record_missing", f"log_leaf {FIRST + 3}")],
    ),
    "a record's text": (
        "UPDATE asset_event SET jws = jws || 'A' WHERE asset_id = 'ast' AND sequence = 4",
        [("record_altered", "asset_event ast/4")],
    ),
    "a record's digest": (
        "UPDATE asset_event SET digest = sha256(digest) WHERE asset_id = 'ast' AND sequence = 4",
        [("record_altered", "asset_event ast/4")],
    ),
    "a record's text and digest": (
        "UPDATE asset_event SET jws = 'x', digest = sha256('x') WHERE asset_id = 'ast' AND sequence = 4",
        [("record_contradicted", "asset_event ast/4")],
    ),
    "a record's kind": (
        "UPDATE asset_event SET kind = 'asset.sold' WHERE asset_id = 'ast' AND sequence = 4",
        [("record_contradicted", "asset_event ast/4")],
    ),
    "a record given to another asset": (
        "UPDATE asset_event SET asset_id = 'other' WHERE asset_id = 'ast' AND sequence = 4",
        [("record_contradicted", "asset_event other/4")],
    ),
    "two records swapped": (
        "UPDATE asset_event SET log_index = 10000 + log_index WHERE asset_id = 'ast' AND sequence = 4",
        [("record_missing", f"log_leaf {FIRST + 3}"), ("record_stray", "asset_event ast/4")],
    ),
    "an entry that is no leaf": (
        f"UPDATE log_leaf SET leaf = 'x' WHERE index = {FIRST + 3}",  # noqa: S608 - ours
        [("leaf_altered", f"log_leaf {FIRST + 3}"), ("record_contradicted", "asset_event ast/4")],
    ),
    "an entry removed": (
        f"DELETE FROM log_leaf WHERE index = {FIRST + 3}",  # noqa: S608 - ours
        [("leaf_missing", f"log_leaf {FIRST + 3}"), ("record_unlogged", "asset_event ast/4")],
    ),
}


@pytest.mark.parametrize("at_once", [1, 3, 2000])
@pytest.mark.parametrize("name", TAMPERINGS)
def test_the_row_that_was_changed_is_named(
    filled: House, name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One change by the owner: that row is named, whatever the size of the windows."""
    monkeypatch.setattr(consistency, "AT_ONCE", at_once)
    statement, expected = TAMPERINGS[name]
    with filled.services.database.transaction() as session:
        session.execute(text("SET LOCAL ROLE NONE"))
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(statement))
        found = checks(session, services=filled.services)["log"]
        assert [(finding["kind"], finding["where"]) for finding in found] == expected
        session.rollback()


def test_a_sound_exchange_is_clean(filled: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every size of the windows, the log's size itself among them."""
    for at_once in (1, 4, FIRST + 10, 100):
        monkeypatch.setattr(consistency, "AT_ONCE", at_once)
        filled.check()
