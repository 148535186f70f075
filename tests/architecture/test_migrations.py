"""The database's history: one line, complete from nothing, and ending where the models are."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError
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


def test_what_was_decided_before_models_had_a_life(server_url: str, request: pytest.FixtureRequest) -> None:
    """0019 over rows: a model twice in force is kept once with two events, what was taken of a limit is an entry."""
    url = embedded.create_database(server_url, "before_models")
    request.addfinalizer(lambda: embedded.drop_database(server_url, "before_models"))
    engine = create_engine(url, poolclass=NullPool)
    command.upgrade(config(url), "0018")
    rows = """
        INSERT INTO scoring_model (version, body, card, in_force_at)
        SELECT 'mdl_' || name, '{"of":"' || name || '"}', jsonb_build_object('of', name), day::timestamptz
        FROM (VALUES ('a', '2026-01-05'), ('b', '2026-02-05'), ('a', '2026-03-05')) AS made(name, day);
        INSERT INTO exposure (obligor, currency, used_minor, limit_minor, changes, changed_at)
        VALUES (1, 'CNY', 70, 100, 1, '2026-02-01'), (2, 'CNY', 0, 50, 1, '2026-02-02'), (1, 'USD', 5, 9, 1, now());
        INSERT INTO obligor_limit (obligor, currency, change, limit_minor, cause, parts, decided_at)
        VALUES (1, 'CNY', 1, 100, 'step', '{"step": 100}', '2026-02-01');
        INSERT INTO decision VALUES ('ast_1', 'mdl_a', 'x', 7, 8, 3, 2, 4000, 3, '["prior_model"]', '2026-01-06');
    """
    with engine.begin() as connection:
        connection.exec_driver_sql(rows)
    upgrade(url)
    found = {
        "models": "SELECT version, body, card ->> 'of', trained_at::date::text FROM scoring_model ORDER BY 1",
        "events": "SELECT version, event, by, business_date::text FROM model_event ORDER BY number",
        "uses": "SELECT obligor, currency, amount_minor, used_minor, cause FROM limit_use ORDER BY entry",
        "limits": "SELECT limit_minor, grandfathered_minor, most_tenor_days, policy_version FROM obligor_limit",
        "decisions": "SELECT asset_id, pd_ppm, frozen, answer, digest FROM decision",
    }
    with engine.begin() as connection:
        told = {name: [tuple(row) for row in connection.execute(text(query))] for name, query in found.items()}
    assert told == {
        "models": [
            ("mdl_a", '{"of":"a"}', "a", "2026-01-05"),
            ("mdl_b", '{"of":"b"}', "b", "2026-02-05"),
        ],
        "events": [
            (f"mdl_{name}", "promoted", "migration", day)
            for name, day in (("a", "2026-01-05"), ("b", "2026-02-05"), ("a", "2026-03-05"))
        ],
        "uses": [(1, "CNY", 70, 70, "brought_forward"), (1, "USD", 5, 5, "brought_forward")],
        "limits": [(100, 0, None, 0)],
        "decisions": [("ast_1", 7, None, None, None)],
    }
    with engine.begin() as connection, pytest.raises(DBAPIError):
        connection.execute(text("DELETE FROM model_event"))
