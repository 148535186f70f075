"""Who calls, and what became of each item: the same for everything this room does to many receivables at once."""

from dataclasses import dataclass
from datetime import date, datetime

from exchange.errors import Fault


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks for the originator, and when: `today` is the business date of `now`, `client_id` whose key called."""

    originator_id: str
    now: datetime
    today: date
    client_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item. Without faults it was entered as `asset_id`; `duplicate` says that it came too late.

    `near_duplicates` are assets of the same originator, `elsewhere` how it looks like others', and how
    often; `free_minor` is what was free of its invoice.
    """

    asset_id: str | None
    faults: tuple[Fault, ...] = ()
    duplicate: bool = False
    near_duplicates: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, int], ...] = ()
    free_minor: int | None = None
