"""Evidence of risk.

Revision ID: 0026
Revises: 0025
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drift reads what one model scored in the last month, not every decision there is."""
    op.create_index("ix_decision_model_version", "decision", ["model_version", "decided_at"])
