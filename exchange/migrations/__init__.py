"""The database's history: one revision a change, applied by `exchange migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from exchange.migrations.roles import grant

FOLDER = Path(__file__).parent


def config(url: str) -> Config:
    """Alembic's configuration for the database at `url`."""
    settings = Config()
    settings.set_main_option("script_location", str(FOLDER))
    settings.attributes["url"] = url
    return settings


def upgrade(url: str) -> str:
    """Bring the database at `url` to the newest revision, and its roles to their rights; what is missing of these."""
    command.upgrade(config(url), "head")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        return grant(connection)
