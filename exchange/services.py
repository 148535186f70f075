"""What a request or a job has at hand, built once a process."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from exchange.clock import Clock, business_date, clock_for
from exchange.db import Database
from exchange.entropy import Entropy, entropy_for
from exchange.keyring import Keyring, open_keyring
from exchange.schedules.calendars import CALENDARS, trades_on
from exchange.settings import Settings, SettingsError
from ledger.policy import MalformedPolicy, Policy


@dataclass(frozen=True, slots=True)
class Services:
    """Settings, and the doors to the world they open."""

    settings: Settings
    database: Database
    clock: Clock
    entropy: Entropy
    keyring: Keyring
    witness_policy: Policy | None = None

    def business_date(self, moment: datetime) -> date:
        """The calendar date of `moment` where this exchange does business."""
        return business_date(moment, time_zone=self.settings.time_zone)

    def trades(self, currency: str, on: date) -> bool:
        """Whether the market of a currency is open that day."""
        return trades_on(on, calendar=dict(self.settings.calendars).get(currency))


def open_services(settings: Settings) -> Services:
    """Services on the database that the settings name (`SettingsError` when they name none)."""
    if settings.database_url is None:
        raise SettingsError(
            "DATABASE_URL is not set: set it, or use `exchange run`, which brings a database of its own"
        )
    for _, calendar in settings.calendars:
        if calendar not in CALENDARS:
            raise SettingsError(f"EXCHANGE_CALENDARS: there is no calendar {calendar}; write {', '.join(CALENDARS)}")
    entropy = entropy_for(settings.seed)
    return Services(
        settings=settings,
        database=Database(settings.database_url),
        clock=clock_for(settings),
        entropy=entropy,
        keyring=open_keyring(settings, entropy=entropy),
        witness_policy=_policy(settings.witness_policy) if settings.witness_policy else None,
    )


def _policy(path: Path) -> Policy:
    """The witness policy in the file, whose quorum has to be within reach (`SettingsError`)."""
    try:
        policy = Policy.parse(path.read_text(errors="surrogateescape"))
    except (OSError, MalformedPolicy) as error:
        raise SettingsError(f"EXCHANGE_WITNESS_POLICY: {path} cannot be used: {error}") from None
    if not policy.reached_by({one.name for one in policy.witnesses if one.url}):
        raise SettingsError(f"EXCHANGE_WITNESS_POLICY: {path} does not say at which URLs its quorum is to be asked")
    return policy
