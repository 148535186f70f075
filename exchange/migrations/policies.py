"""Row by row, what a funder's request may see: the second lock, should a query forget whose rows it is after.

A request of a funder works as `exchange_funder`, with the funder in the setting `exchange.funder_id`
(`exchange.db.see_only`). `exchange_app` bypasses all policies: PostgreSQL copies no rows into a table for who does not.
"""

from psycopg import sql
from sqlalchemy import Connection

from exchange.db import APP_ROLE, AUDITOR_ROLE, FUNDER_ROLE, FUNDER_SETTING

ME = f"(SELECT current_setting('{FUNDER_SETTING}', true))"
"""Asked once a query. Without the setting it is null, and no row is anybody's."""
OWN = f"funder_id = {ME}"
OF_POOL = f"pool_id IN (SELECT pool_id FROM pool WHERE {OWN})"  # noqa: S608 - constants
OF_CLIENT = f"client_id IN (SELECT client_id FROM api_client WHERE party_id = {ME})"  # noqa: S608 - same
OF_FACILITY = "facility_id IN (SELECT facility_id FROM facility)"
"""The facility's own policy decides."""
OF_HOLDER = f"""
    facility_id IN (SELECT facility_id FROM tranche JOIN tranche_holding USING (tranche_id) WHERE tranche_holding.{OWN})
"""  # noqa: S608 - constants
OTHERWISE = {
    "round_clearing": "false",
    "pool_asset": OF_POOL,
    "listing_asset": f"listing_id IN (SELECT listing_id FROM listing WHERE {OWN})",  # noqa: S608 - same
    "auction_certificate": "false",
    "facility": OF_HOLDER,
    "facility_rules": OF_FACILITY,
    "facility_fact": OF_FACILITY,
    "facility_day": OF_FACILITY,
    "facility_loss": OF_FACILITY,
    "distribution": OF_FACILITY,
    "api_client": f"party_id = {ME}",
    "client_key": OF_CLIENT,
    "signed_request": OF_CLIENT,
    "books_accounts": f"path NOT LIKE 'funder/%%' OR starts_with(path, 'funder/' || {ME} || '/')",
}
"""Tables without a `funder_id` whose rows are a funder's all the same, or no funder's."""
OF_FUNDERS = """
    SELECT table_name, is_nullable = 'YES' FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'funder_id' ORDER BY table_name
"""
PRESENT = "SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public'"
BYPASSES = "SELECT rolbypassrls FROM pg_roles WHERE rolname = %s"
MAY_LET_BYPASS = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"


def expressions(connection: Connection) -> dict[str, str]:
    """By table, the condition on the rows that a funder may see: his, and in some tables those of no funder."""
    found = connection.exec_driver_sql(OF_FUNDERS).all()
    return {table: f"funder_id IS NULL OR {OWN}" if nullable else OWN for table, nullable in found} | OTHERWISE


def enforce(connection: Connection) -> bool:
    """Make the policies anew; False when the application does not bypass them and this login may not change that.

    Rows may be written for others (a sale to another funder), not seen or changed.
    """
    if not _bypassed(connection):
        return False
    for table, policy in connection.exec_driver_sql(PRESENT).all():
        _execute(connection, "DROP POLICY {} ON {}", sql.Identifier(policy), sql.Identifier(table))
    for table, condition in expressions(connection).items():
        _enforce(connection, sql.Identifier(table), condition)
    return True


def _bypassed(connection: Connection) -> bool:
    if connection.exec_driver_sql(BYPASSES, (APP_ROLE,)).scalar_one():
        return True
    if connection.exec_driver_sql(MAY_LET_BYPASS).scalar_one():
        _execute(connection, "ALTER ROLE {} BYPASSRLS", sql.Identifier(APP_ROLE))
        return True
    return False


def _enforce(connection: Connection, table: sql.Identifier, condition: str) -> None:
    auditor, funder, own = sql.Identifier(AUDITOR_ROLE), sql.Identifier(FUNDER_ROLE), sql.SQL(condition)
    _execute(connection, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table)
    _execute(connection, "CREATE POLICY everything ON {} FOR SELECT TO {} USING (true)", table, auditor)
    for command in ("SELECT", "UPDATE", "DELETE"):
        name = sql.Identifier(f"own_{command.lower()}")
        _execute(connection, f"CREATE POLICY {{}} ON {{}} FOR {command} TO {{}} USING ({{}})", name, table, funder, own)
    _execute(connection, "CREATE POLICY written ON {} FOR INSERT TO {} WITH CHECK (true)", table, funder)


def _execute(connection: Connection, statement: str, *parts: sql.Composable) -> None:
    connection.exec_driver_sql(sql.SQL(statement).format(*parts).as_string())
