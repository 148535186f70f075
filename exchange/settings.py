"""What an operator may set, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Network = IPv4Network | IPv6Network

ISSUER = "http://127.0.0.1:8080"
LOG_NAME = "exchange.localhost/log"
TIME_ZONE = "Asia/Shanghai"
METRICS_HOST = "127.0.0.1"
HIGHEST_PORT = 65_535
PAYMENT_RAILS = ("files", "sandbox")
STATEMENT_BYTES = 64 * 1024 * 1024
REQUESTS_A_MINUTE = 60_000
RETENTION_YEARS = 10
"""What the law has of a customer kept after the last deal (PRC Anti-Money Laundering Law of 2024, article 34)."""
SANDBOXES_A_FUNDER = 3


class SettingsError(Exception):
    """A setting that cannot be used; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Pkcs11:
    """The token in which signing keys are made and kept: its PKCS#11 library, its label, the file with its PIN."""

    module: Path
    token: str
    pin_file: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds keys and the embedded database; `seed` makes a replay repeat itself byte for byte.

    With `bound_tokens` no access token is worth anything by itself; with `client_certificates` the proxy in front is
    trusted to say which certificate it verified. With `signed_commitments` funders sign what they commit to (RFC 9421).
    `calendars` says by currency whose business days its market keeps; a currency without one trades on every day.
    `sandbox_server` is where the databases of sandboxes are made; without it there are none.
    """

    home: Path
    database_url: str | None = None
    issuer: str = ISSUER
    log_name: str = LOG_NAME
    time_zone: str = TIME_ZONE
    seed: int | None = None
    virtual_clock: bool = False
    console_open: bool = False
    callback_networks: tuple[Network, ...] = ()
    pkcs11: Pkcs11 | None = None
    guard: str | None = None
    witness_policy: Path | None = None
    metrics_port: int | None = None
    metrics_host: str = METRICS_HOST
    bound_tokens: bool = False
    client_certificates: bool = False
    signed_commitments: bool = False
    requests_a_minute: int = REQUESTS_A_MINUTE
    payment_rail: str = "files"
    statement_bytes: int = STATEMENT_BYTES
    retention_years: int = RETENTION_YEARS
    calendars: tuple[tuple[str, str], ...] = ()
    sandbox_server: str | None = None
    sandboxes_a_funder: int = SANDBOXES_A_FUNDER


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `EXCHANGE_*` and `DATABASE_URL`; refuses what it cannot read (`SettingsError`)."""
    env = os.environ if environment is None else environment
    seed = env.get("EXCHANGE_SEED")
    virtual_clock = _flag(env, "EXCHANGE_VIRTUAL_CLOCK")
    issuer = env.get("EXCHANGE_ISSUER", ISSUER)
    if seed is not None and not virtual_clock:
        raise SettingsError("EXCHANGE_SEED makes keys and salts guessable: only with EXCHANGE_VIRTUAL_CLOCK=1")
    return Settings(
        home=Path(env.get("EXCHANGE_HOME", ".exchange")).absolute(),
        database_url=_database_url(env.get("DATABASE_URL")),
        issuer=issuer,
        log_name=env.get("EXCHANGE_LOG_NAME", LOG_NAME),
        time_zone=_time_zone(env.get("EXCHANGE_TIME_ZONE", TIME_ZONE)),
        seed=None if seed is None else _integer("EXCHANGE_SEED", seed),
        virtual_clock=virtual_clock,
        console_open=_flag(env, "EXCHANGE_CONSOLE_OPEN"),
        callback_networks=_networks(env.get("EXCHANGE_CALLBACK_NETWORKS", "")),
        pkcs11=_pkcs11(env.get("EXCHANGE_PKCS11", "")),
        guard=_guard(env.get("EXCHANGE_GUARD"), database_url=_database_url(env.get("DATABASE_URL"))),
        witness_policy=_path(env.get("EXCHANGE_WITNESS_POLICY")),
        metrics_port=_port("EXCHANGE_METRICS_PORT", env.get("EXCHANGE_METRICS_PORT")),
        metrics_host=env.get("EXCHANGE_METRICS_HOST", METRICS_HOST),
        bound_tokens=_flag(env, "EXCHANGE_BOUND_TOKENS", default=issuer.startswith("https:")),
        client_certificates=_flag(env, "EXCHANGE_CLIENT_CERTIFICATES"),
        signed_commitments=_flag(env, "EXCHANGE_SIGNED_COMMITMENTS"),
        requests_a_minute=_positive(
            env, "EXCHANGE_REQUESTS_A_MINUTE", REQUESTS_A_MINUTE, of="requests a client may send"
        ),
        payment_rail=_rail(env.get("EXCHANGE_PAYMENT_RAIL", "files")),
        statement_bytes=_positive(env, "EXCHANGE_STATEMENT_BYTES", STATEMENT_BYTES, of="bytes a file may have"),
        calendars=_calendars(env.get("EXCHANGE_CALENDARS", "")),
        retention_years=_positive(env, "EXCHANGE_RETENTION_YEARS", RETENTION_YEARS, of="years personal data is kept"),
        sandbox_server=_database_url(env.get("EXCHANGE_SANDBOX_SERVER"), name="EXCHANGE_SANDBOX_SERVER"),
        sandboxes_a_funder=_positive(
            env, "EXCHANGE_SANDBOXES_A_FUNDER", SANDBOXES_A_FUNDER, of="sandboxes a funder has"
        ),
    )


def to_environment(settings: Settings) -> dict[str, str]:
    """The variables from which `load` gives these settings again: how a child process gets them."""
    env = {
        "EXCHANGE_HOME": str(settings.home),
        "EXCHANGE_ISSUER": settings.issuer,
        "EXCHANGE_LOG_NAME": settings.log_name,
        "EXCHANGE_TIME_ZONE": settings.time_zone,
        "EXCHANGE_VIRTUAL_CLOCK": str(int(settings.virtual_clock)),
        "EXCHANGE_CONSOLE_OPEN": str(int(settings.console_open)),
        "EXCHANGE_BOUND_TOKENS": str(int(settings.bound_tokens)),
        "EXCHANGE_CLIENT_CERTIFICATES": str(int(settings.client_certificates)),
        "EXCHANGE_SIGNED_COMMITMENTS": str(int(settings.signed_commitments)),
        "EXCHANGE_REQUESTS_A_MINUTE": str(settings.requests_a_minute),
        "EXCHANGE_CALLBACK_NETWORKS": ",".join(map(str, settings.callback_networks)),
        "EXCHANGE_METRICS_HOST": settings.metrics_host,
        "EXCHANGE_PAYMENT_RAIL": settings.payment_rail,
        "EXCHANGE_STATEMENT_BYTES": str(settings.statement_bytes),
        "EXCHANGE_CALENDARS": ",".join(map("=".join, settings.calendars)),
        "EXCHANGE_RETENTION_YEARS": str(settings.retention_years),
        "EXCHANGE_SANDBOXES_A_FUNDER": str(settings.sandboxes_a_funder),
    }
    if settings.sandbox_server is not None:
        env["EXCHANGE_SANDBOX_SERVER"] = settings.sandbox_server
    if settings.database_url is not None:
        env["DATABASE_URL"] = settings.database_url
    if settings.seed is not None:
        env["EXCHANGE_SEED"] = str(settings.seed)
    if settings.metrics_port is not None:
        env["EXCHANGE_METRICS_PORT"] = str(settings.metrics_port)
    if settings.pkcs11 is not None:
        token = settings.pkcs11
        env["EXCHANGE_PKCS11"] = f"module={token.module};token={token.token};pin-file={token.pin_file}"
    if settings.guard is not None:
        env["EXCHANGE_GUARD"] = settings.guard
    if settings.witness_policy is not None:
        env["EXCHANGE_WITNESS_POLICY"] = str(settings.witness_policy)
    return env


def _flag(env: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    value = env.get(name, str(int(default)))
    if value not in {"0", "1"}:
        raise SettingsError(f"{name} is {value!r}: write 1 or 0")
    return value == "1"


def _integer(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise SettingsError(f"{name} is {value!r}: write a whole number") from None


def _positive(env: Mapping[str, str], name: str, default: int, *, of: str) -> int:
    value = env.get(name)
    number = default if value is None else _integer(name, value)
    if number < 1:
        raise SettingsError(f"{name} is {value!r}: write how many {of}")
    return number


def _rail(value: str) -> str:
    if value not in PAYMENT_RAILS:
        raise SettingsError(f"EXCHANGE_PAYMENT_RAIL is {value!r}: write {' or '.join(PAYMENT_RAILS)}")
    return value


def _port(name: str, value: str | None) -> int | None:
    if not value:
        return None
    port = _integer(name, value)
    if not 0 < port <= HIGHEST_PORT:
        raise SettingsError(f"{name} is {value!r}: write a port, 1 to {HIGHEST_PORT}")
    return port


def _time_zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise SettingsError(f"EXCHANGE_TIME_ZONE is {value!r}: write a name like {TIME_ZONE}") from None


def _networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"EXCHANGE_CALLBACK_NETWORKS: {error}; write networks like 10.1.0.0/16") from None


def _calendars(value: str) -> tuple[tuple[str, str], ...]:
    """`CNY=CN,EUR=TARGET`: by currency, whose business days its market keeps."""
    parts = [part.partition("=")[::2] for part in value.split(",") if part]
    if not all(currency and calendar for currency, calendar in parts) or len(dict(parts)) < len(parts):
        raise SettingsError(f"EXCHANGE_CALENDARS is {value!r}: write each currency once, like CNY=CN,EUR=TARGET")
    return tuple(parts)


def _pkcs11(value: str) -> Pkcs11 | None:
    """`module=<library>;token=<label>;pin-file=<path>`, in any order; nothing is no token."""
    if not value:
        return None
    parts = dict(part.partition("=")[::2] for part in value.split(";"))
    if parts.keys() != {"module", "token", "pin-file"} or not all(parts.values()):
        raise SettingsError("EXCHANGE_PKCS11 must be module=<library>;token=<label>;pin-file=<path>")
    return Pkcs11(Path(parts["module"]), parts["token"], Path(parts["pin-file"]).absolute())


def _path(value: str | None) -> Path | None:
    return Path(value).absolute() if value else None


def _guard(value: str | None, *, database_url: str | None) -> str | None:
    """A file, or a database that is not the exchange's own: a backup brought back would bring its guard back too."""
    if not value or "://" not in value:
        return str(Path(value).absolute()) if value else None
    if not value.startswith(("postgresql://", "postgres://")):
        raise SettingsError("EXCHANGE_GUARD must be a path, or start with postgresql://")
    own = urlsplit(database_url or "")
    other = urlsplit(value)
    if (own.hostname, own.port or 5432, own.path) == (other.hostname, other.port or 5432, other.path):
        raise SettingsError("EXCHANGE_GUARD is the exchange's own database: keep the guard apart from the data")
    return value


def _database_url(value: str | None, *, name: str = "DATABASE_URL") -> str | None:
    """`postgresql://` as every tool writes it becomes the driver's own spelling."""
    if not value:
        return None
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise SettingsError(f"{name} must start with postgresql://")
    return f"postgresql+psycopg://{rest}"
