"""The second lock: in a funder's request the database has no rows of other funders, whatever a query asks for."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.db import Database, see_only
from exchange.migrations import policies
from exchange.pools import queries
from tests.exchange.house import House, mandate
from tests.exchange.owner import as_owner
from tests.exchange.pools.shared import house_on
from tests.exchange.settlement.book import FACE_MINOR, fresh


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two funders, each with its own mandate, money, callbacks, offer and assets."""
    with house_on(server_url, tmp_path_factory.mktemp("rows"), funders=2) as house:
        for funder, most in enumerate((FACE_MINOR, 10**12)):
            house.deposit(funder, 10**9)
            house.funders[funder].post("/v1/mandates", mandate(base_rate_bps=500 + 100 * funder, max_face_minor=most))
        house.submit(fresh(), fresh(face_minor=FACE_MINOR + 1))
        house.move(10, 30)
        for client in house.funders:
            (offer,) = client.get("/v1/offers?state=open")["items"]
            client.post(f"/v1/offers/{offer['offer_id']}/commitment", {})
        house.move(14, 30)
        yield house


def owners(session: Session, table: str) -> set[str | None]:
    """Whose rows of a table there are."""
    return set(session.execute(text(f"SELECT DISTINCT funder_id FROM {table}")).scalars())  # noqa: S608 - our own tables


def own_tables(database: Database) -> list[str]:
    """The tables with a `funder_id`."""
    with as_owner(database) as session:
        return [name for name, _ in session.connection().exec_driver_sql(policies.OF_FUNDERS)]


def test_every_table_of_funders_is_locked(house: House) -> None:
    """Also one that is made tomorrow: the policies are made from the columns."""
    with as_owner(house.services.database) as session:
        locked = set(
            session.execute(text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relrowsecurity")).scalars()
        )
    assert locked >= {*own_tables(house.services.database), "pool_asset", "books_accounts", "api_client"}


def test_there_are_no_rows_of_others(house: House) -> None:
    """Both have rows in the tables that matter; each sees its own, and those of nobody."""
    database, (first, second) = house.services.database, house.funder_ids
    both = set()
    for table in own_tables(database):
        with database.transaction() as session:
            everybody = owners(session, table)
        for funder_id, other in ((first, second), (second, first)):
            with database.transaction() as session:
                see_only(session, funder_id=funder_id)
                assert owners(session, table) == everybody - {other}
        both |= {table} if everybody >= {first, second} else set()
    assert both >= {"funder", "mandate", "pool", "offer", "funder_event", "receipt"}


@pytest.mark.parametrize("statement", ["UPDATE pool SET currency = currency", "DELETE FROM callback_endpoint"])
def test_others_rows_cannot_be_changed(house: House, statement: str) -> None:
    """A statement without a condition touches the caller's own rows at most."""
    for funder_id in house.funder_ids:
        with house.services.database.engine.connect() as connection, connection.begin() as transaction:
            see_only(session := Session(connection), funder_id=funder_id)
            table = "pool" if "pool" in statement else "callback_endpoint"
            own = text(f"SELECT count(*) FROM {table} WHERE funder_id = :id")  # noqa: S608 - two names
            count = session.execute(own, {"id": funder_id}).scalar_one()
            assert session.execute(text(statement)).rowcount == count  # type: ignore[attr-defined]  # a cursor's
            transaction.rollback()


def test_pools_accounts_and_clients(house: House) -> None:
    """What hangs on a funder without naming it: the assets of its pools, its accounts, its clients and their keys."""
    database = house.services.database
    for funder_id, other in zip(house.funder_ids, reversed(house.funder_ids), strict=True):
        with database.transaction() as session:
            see_only(session, funder_id=funder_id)
            assert len(session.execute(text("SELECT DISTINCT pool_id FROM pool_asset")).all()) == 1
            paths = session.execute(text("SELECT path FROM books_accounts")).scalars().all()
            assert any(funder_id in path for path in paths)
            assert any(not path.startswith("funder/") for path in paths)
            assert not any(other in path for path in paths)
            assert set(session.execute(text("SELECT party_id FROM api_client")).scalars()) == {funder_id}
            assert len(session.execute(text("SELECT * FROM client_key")).all()) == 1


def test_a_session_that_names_nobody_sees_nothing(house: House) -> None:
    """The role alone, without the setting, has no rows at all."""
    with house.services.database.transaction() as session:
        session.execute(text("SET LOCAL ROLE exchange_funder"))
        assert owners(session, "mandate") == owners(session, "funder") == set()


def test_the_next_transaction_is_the_services_own(house: House) -> None:
    """A pooled connection forgets for whom it worked."""
    for funder_id in [*house.funder_ids] * 5:
        house.funders[house.funder_ids.index(funder_id)].get("/v1/pools")
        with house.services.database.transaction() as session:
            assert owners(session, "mandate") == set(house.funder_ids)


def test_a_query_that_forgets_its_filter(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP: the view asks for everybody's pools, and the caller still gets its own only."""
    everybodys = queries.pools

    def forgetful(session: Session, *, funder_id: str | None, after: str | None, limit: int) -> object:
        assert funder_id
        return everybodys(session, funder_id=None, after=after, limit=limit)

    monkeypatch.setattr(queries, "pools", forgetful)
    for funder_id, client in zip(house.funder_ids, house.funders, strict=True):
        assert {pool["funder_id"] for pool in client.get("/v1/pools")["items"]} == {funder_id}
