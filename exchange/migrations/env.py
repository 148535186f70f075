"""Run by Alembic: one transaction for all revisions."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from exchange.migrations.tables import METADATA

engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
