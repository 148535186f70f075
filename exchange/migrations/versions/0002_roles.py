"""Obligors and partners may be clients.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("ck_api_client_role_known", "api_client")
    op.drop_constraint("ck_api_client_party_of_role", "api_client")
    known = "role IN ('operator', 'platform', 'funder', 'auditor', 'obligor', 'partner')"
    op.create_check_constraint(op.f("ck_api_client_role_known"), "api_client", known)
    of_role = "(role IN ('operator', 'auditor')) = (party_id IS NULL)"
    op.create_check_constraint(op.f("ck_api_client_party_of_role"), "api_client", of_role)
