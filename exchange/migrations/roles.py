"""Who may do what in the database: the owner's schema, the application's rows, the auditor's eyes, a funder's own.

`exchange_app` and `exchange_auditor` are groups that log in as nobody; the application becomes `exchange_funder` for a
funder's request. Give them to logins that own nothing
(GRANT exchange_app TO exchange_service); a service that logs in as a member, or as the owner, works as the group.
"""

from psycopg import sql
from psycopg.errors import DuplicateObject, UniqueViolation
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, ProgrammingError

from exchange.db import APP_ROLE, AUDITOR_ROLE, FUNDER_ROLE
from exchange.migrations import policies

ROLES = (APP_ROLE, AUDITOR_ROLE, FUNDER_ROLE)

NO_ROLES = f"there are no roles {', '.join(ROLES)}, and this login may not make them"
NO_POLICIES = f"no policies by row: let an administrator say ALTER ROLE {APP_ROLE} BYPASSRLS and migrate again"

LOCK = "SELECT pg_advisory_xact_lock(hashtext('exchange.roles'))"
MAY_CREATE = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
PRESENT = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s::text[])"
SEALED = """
    SELECT c.relname, bool_or(t.tgtype & 16 <> 0), bool_or(t.tgtype & 8 <> 0)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = 'public'::regnamespace AND t.tgtype & 3 = 2 GROUP BY c.relname
"""
"""A BEFORE trigger for a whole statement can only refuse it; 16 says UPDATE, 8 says DELETE."""
NARROWER = {
    "alembic_version": "SELECT",
    "books_accounts": "SELECT, INSERT (path, commodity, may_overdraw)",
    "books_balances": "SELECT",
    "books_transfers": "SELECT",
    "books_entries": "SELECT",
    "books_resolutions": "SELECT",
    "books_reversals": "SELECT",
    "log_tile": "SELECT, INSERT, UPDATE (hashes)",
    "dunning_letter": "SELECT, INSERT, UPDATE (sent_on, sent_channel, sent_reference, sent_by, withdrawn_on)",
}
"""The books are written by `books_post` with its owner's rights; a tile of the log grows in place.
What a letter says stays."""
OWNED = """
    SELECT relname FROM pg_class
    WHERE relkind = %s AND relnamespace = 'public'::regnamespace AND relowner = current_user::regrole
    ORDER BY relname
"""
TABLES, SEQUENCES = "r", "S"


def grant(connection: Connection) -> str:
    """Make the roles and give each its rights anew; what is missing because this login may not make it, or nothing.

    To be run after every upgrade: a new table is the application's to write unless its triggers seal it.
    """
    connection.exec_driver_sql(LOCK)
    if not all(created(connection, role) for role in ROLES):
        return NO_ROLES
    app, auditor, funder = map(sql.Identifier, ROLES)
    execute(connection, "GRANT USAGE ON SCHEMA public TO {}, {}, {}", app, auditor, funder)
    execute(connection, "REVOKE EXECUTE ON FUNCTION books_post FROM PUBLIC")
    execute(connection, "GRANT EXECUTE ON FUNCTION books_post TO {}, {}", app, funder)
    execute(connection, "GRANT EXECUTE ON FUNCTION person_erase TO {}", app)
    for sequence in connection.exec_driver_sql(OWNED, (SEQUENCES,)).scalars():
        execute(connection, "GRANT USAGE ON SEQUENCE {} TO {}, {}", sql.Identifier(sequence), app, funder)
    for table, rights in rights_by_table(connection).items():
        name = sql.Identifier(table)
        execute(connection, "REVOKE ALL ON {} FROM {}, {}, {}", name, app, auditor, funder)
        execute(connection, "GRANT {} ON {} TO {}, {}", sql.SQL(rights), name, app, funder)
        if table.startswith(("books_", "log_")):
            execute(connection, "GRANT SELECT ON {} TO {}", name, auditor)
    return "" if policies.enforce(connection) else NO_POLICIES


def rights_by_table(connection: Connection) -> dict[str, str]:
    """What the application may do with each table of this owner."""
    sealed = {name: (update, delete) for name, update, delete in connection.exec_driver_sql(SEALED)}
    rights: dict[str, str] = {}
    for name in connection.exec_driver_sql(OWNED, (TABLES,)).scalars():
        no_update, no_delete = sealed.get(name, (False, False))
        granted = ["SELECT", "INSERT", *([] if no_update else ["UPDATE"]), *([] if no_delete else ["DELETE"])]
        rights[name] = ", ".join(granted)
    return rights | NARROWER


def created(connection: Connection, role: str) -> bool:
    """Make a role unless it is there; roles are the whole server's, so somebody else may make it meanwhile."""
    if connection.exec_driver_sql(PRESENT, ([role],)).first() is not None:
        return True
    if not connection.exec_driver_sql(MAY_CREATE).scalar_one():
        return False
    try:
        with connection.begin_nested():
            execute(connection, "CREATE ROLE {} NOLOGIN", sql.Identifier(role))
            execute(connection, "GRANT {} TO CURRENT_USER", sql.Identifier(role))
            if role == FUNDER_ROLE:
                execute(connection, "GRANT {} TO {}", sql.Identifier(role), sql.Identifier(APP_ROLE))
    except (ProgrammingError, IntegrityError) as error:
        if not isinstance(error.orig, DuplicateObject | UniqueViolation):
            raise
    return True


def execute(connection: Connection, statement: str, *parts: sql.Composable) -> None:
    """Run a statement whose names are quoted as names."""
    composed = sql.SQL(statement).format(*parts)
    connection.exec_driver_sql(composed.as_string())
