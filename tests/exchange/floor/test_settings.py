"""Settings, clock, entropy, and the services they open."""

import re
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import settings
from exchange.clock import SystemClock, VirtualClock, business_date, clock_for, system_now
from exchange.db import Database
from exchange.entropy import entropy_for, seeded_entropy, system_entropy
from exchange.jobs import set_virtual_time
from exchange.services import Services, open_services
from exchange.settings import Pkcs11, Settings, SettingsError

NETWORKS = st.lists(st.ip_addresses().map(ip_network), max_size=3).map(tuple)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x4FF), min_size=1, max_size=20)
PLAIN = re.compile("[^;]+").fullmatch
PATHS = WORDS.filter(PLAIN).map(lambda name: Path("/etc") / name.replace("/", "_"))
ANY = st.builds(
    Settings,
    home=WORDS.map(lambda name: Path("/home") / name.replace("/", "_")),
    database_url=st.none() | WORDS.map("postgresql+psycopg://{}".format),
    issuer=WORDS,
    log_name=WORDS,
    time_zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "UTC"]),
    seed=st.none() | st.integers(),
    virtual_clock=st.booleans(),
    console_open=st.booleans(),
    bound_tokens=st.booleans(),
    client_certificates=st.booleans(),
    payment_rail=st.sampled_from(["files", "sandbox"]),
    statement_bytes=st.integers(1),
    retention_years=st.integers(1),
    calendars=st.dictionaries(st.sampled_from(["CNY", "EUR"]), st.sampled_from(["CN", "TARGET"])).map(
        lambda some: tuple(some.items())
    ),
    metrics_port=st.none() | st.integers(1, 65535),
    metrics_host=WORDS,
    callback_networks=NETWORKS,
    pkcs11=st.none() | st.builds(Pkcs11, module=PATHS, token=WORDS.filter(PLAIN), pin_file=PATHS),
)


@given(ANY.filter(lambda some: some.virtual_clock or some.seed is None))
def test_a_child_process_gets_the_same_settings(some: Settings) -> None:
    """What `to_environment` writes, `load` reads."""
    assert settings.load(settings.to_environment(some)) == some


def test_defaults() -> None:
    """Nothing set: no database, the system's clock, nothing open."""
    assert settings.load({}) == Settings(home=Path(".exchange").absolute())


def test_tokens_are_bound_where_the_issuer_is_public() -> None:
    """An https issuer binds tokens unless the operator says otherwise; a machine of one's own does not."""
    said = [{}, {"EXCHANGE_ISSUER": "https://a.example"}]
    said += [one | {"EXCHANGE_BOUND_TOKENS": flag} for one in said for flag in "01"]
    assert [settings.load(one).bound_tokens for one in said] == [False, True, False, True, False, True]


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the process's own environment counts."""
    monkeypatch.setenv("EXCHANGE_LOG_NAME", "log.example")
    assert settings.load().log_name == "log.example"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_database_urls(scheme: str) -> None:
    """Every tool's spelling becomes the driver's."""
    assert settings.load({"DATABASE_URL": f"{scheme}://a:b@c/d"}).database_url == "postgresql+psycopg://a:b@c/d"
    assert settings.load({"DATABASE_URL": ""}).database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "localhost"),
        ("EXCHANGE_SEED", "one"),
        ("EXCHANGE_VIRTUAL_CLOCK", "yes"),
        ("EXCHANGE_CONSOLE_OPEN", "true"),
        ("EXCHANGE_BOUND_TOKENS", "always"),
        ("EXCHANGE_PAYMENT_RAIL", "cash"),
        ("EXCHANGE_CALENDARS", "CNY"),
        ("EXCHANGE_CALENDARS", "CNY=CN,CNY=HK"),
        ("EXCHANGE_STATEMENT_BYTES", "0"),
        ("EXCHANGE_RETENTION_YEARS", "0"),
        ("EXCHANGE_METRICS_PORT", "http"),
        ("EXCHANGE_METRICS_PORT", "70000"),
        ("EXCHANGE_CALLBACK_NETWORKS", "10.0.0.1/8"),
        ("EXCHANGE_CALLBACK_NETWORKS", "everywhere"),
        ("EXCHANGE_PKCS11", "module=/lib.so"),
        ("EXCHANGE_PKCS11", "module=/lib.so;token=;pin-file=/pin"),
        ("EXCHANGE_PKCS11", "module=/lib.so;token=exchange;pin-file=/pin;slot=1"),
        ("EXCHANGE_TIME_ZONE", "Mars/Olympus"),
        ("EXCHANGE_TIME_ZONE", "../../etc/passwd"),
        ("EXCHANGE_TIME_ZONE", ""),
        ("EXCHANGE_TIME_ZONE", "Asia"),
        ("EXCHANGE_TIME_ZONE", "x" * 300),
    ],
)
def test_unreadable_settings(name: str, value: str) -> None:
    """A setting that cannot be used is named, at the start and not at the first request."""
    with pytest.raises(SettingsError, match=name):
        settings.load({"EXCHANGE_VIRTUAL_CLOCK": "1"} | {name: value})


def test_a_seed_needs_the_virtual_clock() -> None:
    """Keys that a seed decides never get into production by accident."""
    with pytest.raises(SettingsError, match="guessable"):
        settings.load({"EXCHANGE_SEED": "1"})
    assert settings.load({"EXCHANGE_SEED": "-5", "EXCHANGE_VIRTUAL_CLOCK": "1"}).seed == -5


def test_services_need_a_database(tmp_path: Path) -> None:
    """Without an address nothing is opened, and no key is made."""
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        open_services(Settings(home=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_clock_of_the_settings(services: Services) -> None:
    """Virtual: the row in the database, in UTC whatever was written. Otherwise the machine's time."""
    assert isinstance(services.clock, VirtualClock)
    moment = datetime.fromisoformat("2026-03-02T09:00:00+08:00")
    with services.database.transaction() as session:
        assert set_virtual_time(session, moment=moment)
        assert services.clock.now(session) == moment
        assert services.clock.now(session).tzinfo is UTC
        before = system_now()
        assert before <= clock_for(Settings(home=Path())).now(session) <= system_now()
        assert before <= SystemClock().now(session)


def test_every_connection_speaks_utc(database_url: str) -> None:
    """The server's own time zone does not reach us."""
    database = Database(database_url, pooled=False)
    with database.transaction() as session:
        assert session.connection().exec_driver_sql("SHOW timezone").scalar_one() == "UTC"
    database.dispose()


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_business_date_in_shanghai(moment: datetime) -> None:
    """The date eight hours ahead (there has been no summer time since 1991)."""
    if moment.year > 1991:
        assert business_date(moment, time_zone="Asia/Shanghai") == (moment + timedelta(hours=8)).date()
    assert business_date(moment, time_zone="UTC") == moment.date()


def test_business_date_at_midnight() -> None:
    """A day begins at four in the afternoon of the day before, UTC."""
    assert business_date(datetime(2026, 3, 1, 16, tzinfo=UTC), time_zone="Asia/Shanghai") == date(2026, 3, 2)
    assert business_date(datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC), time_zone="Asia/Shanghai") == date(2026, 3, 1)


def test_entropy() -> None:
    """From the system every draw differs; under a seed, seed and purpose alone decide."""
    assert entropy_for(None) is system_entropy
    assert system_entropy(32, "same") != system_entropy(32, "same")
    first, again, other = seeded_entropy(1), entropy_for(1), seeded_entropy(2)
    assert first(64, "a", "b") == again(64, "a", "b")
    assert first(64, "a", "b") not in {other(64, "a", "b"), first(64, "ab"), first(64, "b", "a"), first(64, "a")}
    assert [len(first(size, "x")) for size in (0, 1, 64)] == [0, 1, 64]
