"""The database's history: one line, complete from nothing, and ending where the models are."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from exchange import embedded
from exchange.db import Base
from exchange.migrations import config, upgrade
from exchange.migrations.tables import METADATA
from tests.architecture.source import sources

HEAD = "SELECT version_num FROM alembic_version"


def test_migrations_match_models(engine: Engine) -> None:
    """Nothing left to migrate: tables, columns, types, constraints, indexes."""
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": False}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []  # type: ignore[arg-type]  # several are allowed, untyped


def test_every_table_has_a_home() -> None:
    """A module that defines tables is imported by the migrations, or its tables would never be made."""
    defined = {source.path for source in sources("exchange") if "__tablename__ =" in source.text}
    known = {mapper.class_.__module__.replace(".", "/") + ".py" for mapper in Base.registry.mappers}
    assert defined == known


def test_there_is_one_head() -> None:
    """Two branches that meet in a release have to be put in order first."""
    script = ScriptDirectory.from_config(config("postgresql://"))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_upgrade_runs_from_nothing_and_again(server_url: str, request: pytest.FixtureRequest) -> None:
    """On an empty database every revision runs; on a migrated one nothing happens; a failed one leaves nothing."""
    url = embedded.create_database(server_url, "from_nothing")
    request.addfinalizer(lambda: embedded.drop_database(server_url, "from_nothing"))
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE work_item (in_the_way int)"))
    with pytest.raises(Exception, match="already exists"):
        upgrade(url)
    assert inspect(engine).get_table_names() == ["work_item"]
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE work_item"))
    upgrade(url)
    tables = set(inspect(engine).get_table_names())
    assert {table.name for metadata in METADATA for table in metadata.tables.values()} < tables
    with engine.begin() as connection:
        head = connection.execute(text(HEAD)).scalar_one()
    upgrade(url)
    with engine.begin() as connection:
        assert connection.execute(text(HEAD)).scalar_one() == head
