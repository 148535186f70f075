"""Every table there is, for Alembic and for the test that migrations match models."""

import ledger.books.tables
import ledger.log_tables  # noqa: F401 - importing a module defines its tables
from exchange.db import Base
from ledger.tables import metadata as ledger_metadata

METADATA = [Base.metadata, ledger_metadata]
