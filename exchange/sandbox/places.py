"""Where sandboxes are: databases on a server of theirs, copies of one template; and the services on one of them."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg import errors, sql
from sqlalchemy import make_url

from exchange import embedded, migrations
from exchange.clock import clock_for
from exchange.db import Database
from exchange.entropy import entropy_for
from exchange.keyring import Keyring, open_keyring
from exchange.sandbox.models import Sandbox
from exchange.sandbox.rules import SandboxesOff
from exchange.services import Services
from exchange.settings import Settings, SettingsError

SECRET_BYTES = 32
MAY_MAKE = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
LOCK = "SELECT pg_advisory_xact_lock(hashtext('exchange.sandbox.template'))"
PRESENT = "SELECT 1 FROM pg_database WHERE datname = %s"
WHAT_TO_DO = (
    "EXCHANGE_SANDBOX_SERVER is to name a database on the server on which sandboxes shall be made, with a login that "
    "may make databases (ALTER ROLE ... CREATEDB)"
)

log = structlog.get_logger()


def server_of(settings: Settings) -> str:
    """The server of the sandboxes (`SandboxesOff`)."""
    if settings.sandbox_server is None:
        raise SandboxesOff("Whoever runs this exchange has to name a server for them: EXCHANGE_SANDBOX_SERVER.")
    return settings.sandbox_server


def check_server(settings: Settings) -> None:
    """Refuse (`SettingsError`) to keep sandboxes where none can be made, and say what to do."""
    if settings.sandbox_server is None:
        raise SettingsError(f"EXCHANGE_SANDBOX_SERVER is not set: {WHAT_TO_DO}")
    try:
        with _connected(settings.sandbox_server) as connection:
            found = connection.execute(MAY_MAKE).fetchone()
    except psycopg.OperationalError as error:
        raise SettingsError(f"EXCHANGE_SANDBOX_SERVER does not answer: {error}") from None
    if found is None or not found[0]:
        raise SettingsError(f"the login of EXCHANGE_SANDBOX_SERVER may not make databases: {WHAT_TO_DO}")


def template(server: str) -> str:
    """The name of the template, a migrated database without a row in it; made unless it is there.

    Its name is the digest of the migrations: a new version makes a new one. It gets its name when it is whole.
    """
    digest = hashlib.sha256()
    for path in sorted((migrations.FOLDER / "versions").glob("*.py")):
        digest.update(path.read_bytes())
    name = f"exchange_sandbox_{digest.hexdigest()[:12]}"
    with _connected(server, autocommit=False) as connection:
        connection.execute(LOCK)
        if connection.execute(PRESENT, [name]).fetchone() is None:
            draft = f"{name}_draft"
            embedded.drop_database(server, draft)
            missing = migrations.upgrade(embedded.create_database(server, draft))
            if missing:
                log.warning("sandboxes are less protected", missing=missing)
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(rename.format(sql.Identifier(draft), sql.Identifier(name)))
    return name


def make_database(row: Sandbox, *, settings: Settings, template_name: str) -> None:
    """An empty exchange for the sandbox; what an attempt before has left is dropped (`SandboxesOff`)."""
    drop_database(row, settings=settings)
    try:
        embedded.create_database(server_of(settings), _name(row), template=template_name)
    except errors.InsufficientPrivilege:
        raise SettingsError(f"the sandbox's database could not be made: {WHAT_TO_DO}") from None


def drop_database(row: Sandbox, *, settings: Settings) -> None:
    """Drop the sandbox's database, with whoever is in it, and the guard of its log."""
    embedded.drop_database(server_of(settings), _name(row))
    shutil.rmtree(_home(settings, row), ignore_errors=True)


def seal(keyring: Keyring, *, secret: bytes, nonce: bytes, sandbox_id: str) -> bytes:
    """A sandbox's secret as it is kept."""
    return keyring.vault.seal(secret, place=sandbox_id.encode(), nonce=nonce)


def services_of(main: Services, row: Sandbox, *, pooled: bool) -> Services:
    """Services on the sandbox's database. Its secret decides its keys and ids; nothing of the main exchange's does."""
    secret = main.keyring.vault.open(row.secret_sealed, place=row.sandbox_id.encode())
    url = make_url(server_of(main.settings)).set(database=_name(row)).render_as_string(hide_password=False)
    settings = replace(
        main.settings,
        home=_home(main.settings, row),
        database_url=url,
        issuer=issuer_of(main.settings, row.sandbox_id),
        log_name=f"{main.settings.log_name}/{row.sandbox_id}",
        seed=int.from_bytes(secret),
        virtual_clock=True,
        pkcs11=None,
        guard=None,
        witness_policy=None,
        metrics_port=None,
        payment_rail="sandbox",
        sandbox_server=None,
    )
    entropy = entropy_for(settings.seed)
    return Services(
        settings=settings,
        database=Database(url, pooled=pooled),
        clock=clock_for(settings),
        entropy=entropy,
        keyring=open_keyring(settings, entropy=entropy),
    )


def issuer_of(settings: Settings, sandbox_id: str) -> str:
    """The address of the sandbox's API, which is its issuer and what its proofs of possession are for."""
    return f"{settings.issuer.rstrip('/')}/sandboxes/{sandbox_id}"


def _home(settings: Settings, row: Sandbox) -> Path:
    return settings.home / "sandboxes" / _name(row)


def _name(row: Sandbox) -> str:
    return f"sandbox_{row.sandbox_id.removeprefix('sbx_')}_{row.generation}"


@contextmanager
def _connected(url: str, *, autocommit: bool = True) -> Iterator[psycopg.Connection[Any]]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=autocommit) as connection:
        yield connection
