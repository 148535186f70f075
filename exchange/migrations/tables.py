"""Every table there is, for Alembic and for the test that migrations match models."""

from exchange import dpop, idempotency, jobs, rates
from exchange.callbacks import models as callbacks
from exchange.collections import models as collections
from exchange.corrections import models as corrections
from exchange.db import Base
from exchange.duplicates import models as duplicates
from exchange.facilities import models as facilities
from exchange.facts import models as facts
from exchange.funding import models as funding
from exchange.losses import models as losses
from exchange.models import models as models_found
from exchange.parties import models as parties
from exchange.payments import models as payments
from exchange.pools import models as pools
from exchange.ratings import models as ratings
from exchange.receivables import models as receivables
from exchange.reconciliation import models as reconciliation
from exchange.registry import models as registry
from exchange.reviews import models as reviews
from exchange.risk import models as risk
from exchange.rounds import models as rounds
from exchange.sandbox import models as sandbox
from exchange.servicing import models as servicing
from exchange.settlement import models as settlement
from exchange.title import models as title
from exchange.trading import models as trading
from ledger import log_tables
from ledger.books import tables as books
from ledger.tables import metadata as ledger_metadata

DEFINED_IN = (
    dpop,
    idempotency,
    jobs,
    rates,
    parties,
    registry,
    callbacks,
    duplicates,
    receivables,
    facts,
    risk,
    models_found,
    pools,
    title,
    rounds,
    corrections,
    funding,
    trading,
    servicing,
    settlement,
    reconciliation,
    losses,
    payments,
    facilities,
    reviews,
    ratings,
    collections,
    sandbox,
    log_tables,
    books,
)
"""Importing a module defines its tables."""

METADATA = [Base.metadata, ledger_metadata]
