"""What servicing goes by, as data: grace, calendar, reminders, buckets, when an asset is in default, who may wait."""

from datetime import date
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from exchange.errors import Fault, Refusal
from exchange.schedules.calendars import CALENDARS, Convention, adjust
from exchange.schedules.refusals import CalendarYearUnknown

MOST_DAYS = 3650
Day = Annotated[int, Meta(ge=1, le=MOST_DAYS)]
NEAR_BREACH, DEFAULT, CHARGE_OFF, CURED = "near_breach", "default", "charge_off", "cured"
LASTING = frozenset({DEFAULT, CHARGE_OFF})
"""What has consequences of its own: noted even where an asset goes past it in one day."""


class Bucket(Struct, forbid_unknown_fields=True, frozen=True):
    """Days past due after grace, both included; the last bucket has no end."""

    from_day: Day
    to_day: Day | None = None


class Lifting(Struct, forbid_unknown_fields=True, frozen=True):
    """Who lifts a suspension: the rule once the asset is cured, or a person; with a second one if it says so."""

    by: Literal["cure", "person"] = "cure"
    second_person: bool = False


class Forbearance(Struct, forbid_unknown_fields=True, frozen=True):
    """How far an originator may go at all: days of one pause, days a reschedule adds, how often for one asset."""

    max_pause_days: Day = 90
    max_extension_days: Day = 180
    max_count: Annotated[int, Meta(ge=0, le=100)] = 4


class Terms(Struct, forbid_unknown_fields=True, frozen=True):
    """One version of a policy. Days of stages are counted past the due date, after the grace; near breach 0 is none."""

    grace_days: Annotated[int, Meta(ge=0, le=60)] = 3
    calendar: str | None = None
    convention: Convention = Convention.NONE
    reminder_days: tuple[Annotated[int, Meta(ge=0, le=60)], ...] = (7, 3, 1, 0)
    buckets: tuple[Bucket, ...] = (Bucket(1, 15), Bucket(16, 30), Bucket(31, 60), Bucket(61))
    near_breach_day: Annotated[int, Meta(ge=0, le=MOST_DAYS)] = 75
    default_day: Day = 90
    charge_off_day: Day = 120
    suspends_at: str = DEFAULT
    suspends_group: bool = False
    lifting: Lifting = Lifting()
    forbearance: Forbearance = Forbearance()


class Stage(NamedTuple):
    """A step of the ladder down: from this day past due on (grace included), an asset is this."""

    day: int
    kind: str


class PolicyRefused(Refusal):
    """The policy contradicts itself, or comes out of turn; the fault's code says how."""

    code = "servicing_policy_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The policy cannot be put in force"


STANDARD = Terms()
"""In force where nobody has set anything else."""


@lru_cache(maxsize=256)
def ladder(terms: Terms) -> tuple[Stage, ...]:
    """The stages of a policy in the order of their days."""
    stages = [(bucket.from_day, f"late_{bucket.from_day}") for bucket in terms.buckets]
    stages += [(terms.default_day, DEFAULT), (terms.charge_off_day, CHARGE_OFF)]
    if terms.near_breach_day:
        stages.append((terms.near_breach_day, NEAR_BREACH))
    return tuple(Stage(terms.grace_days + day, kind) for day, kind in sorted(stages))


def moved(day: date, terms: Terms) -> date:
    """The day on which money due on `day` is due by the policy's calendar; as it stands where that knows no such year.

    A year is announced long before a bank is closed in it: what is near is known.
    """
    if terms.calendar is None:
        return day
    try:
        return adjust(day, calendar=terms.calendar, convention=terms.convention)
    except CalendarYearUnknown:
        return day


def check(terms: Terms, *, effective_from: date, last_from: date | None, today: date) -> None:
    """Refuse (`PolicyRefused`) terms that contradict themselves, or a version out of turn."""
    faults = [*_bucket_faults(terms.buckets), *_stage_faults(terms), *_calendar_faults(terms)]
    if len(set(terms.reminder_days)) < len(terms.reminder_days):
        faults.append(Fault("reminder_twice", "/terms/reminder_days", "each day once", None))
    if effective_from <= today:
        message = f"after today, {today}: what is closed stays as it was"
        faults.append(Fault("effective_too_early", "/effective_from", message, effective_from))
    elif last_from is not None and effective_from <= last_from:
        code = "policy_overlap" if effective_from == last_from else "policy_order"
        faults.append(Fault(code, "/effective_from", f"after the last version's, {last_from}", effective_from))
    if faults:
        raise PolicyRefused("The policy cannot be put in force.", faults=tuple(faults))


def _bucket_faults(buckets: tuple[Bucket, ...]) -> list[Fault]:
    """Buckets follow each other from day 1 to no end, without gap or overlap."""
    faults, expected = [], 1
    for place, bucket in enumerate(buckets):
        at = f"/terms/buckets/{place}"
        if bucket.from_day != expected:
            code = "bucket_gap" if bucket.from_day > expected else "bucket_overlap"
            faults.append(Fault(code, f"{at}/from_day", f"day {expected}, where the one before ends", bucket.from_day))
        last = place == len(buckets) - 1
        if (bucket.to_day is None) != last:
            message = "only the last bucket is without end, and it is"
            faults.append(Fault("bucket_end", f"{at}/to_day", message, bucket.to_day))
        if bucket.to_day is not None and bucket.to_day < bucket.from_day:
            faults.append(Fault("bucket_order", f"{at}/to_day", f"at least {bucket.from_day}", bucket.to_day))
        expected = (bucket.to_day or bucket.from_day) + 1
    return faults


def _stage_faults(terms: Terms) -> list[Fault]:
    faults = []
    last = max((bucket.from_day for bucket in terms.buckets), default=0)
    if terms.default_day <= last:
        message = f"after day {last}, where the last bucket begins"
        faults.append(Fault("default_before_bucket", "/terms/default_day", message, terms.default_day))
    if terms.charge_off_day <= terms.default_day:
        message = f"after the default, day {terms.default_day}"
        faults.append(Fault("charge_off_before_default", "/terms/charge_off_day", message, terms.charge_off_day))
    near = terms.near_breach_day
    if near and (near >= terms.default_day or near in {bucket.from_day for bucket in terms.buckets}):
        message = f"before the default, day {terms.default_day}, and not where a bucket begins"
        faults.append(Fault("near_breach_day_taken", "/terms/near_breach_day", message, near))
    if terms.suspends_at not in {stage.kind for stage in ladder(terms)}:
        message = "a stage of this policy"
        faults.append(Fault("unknown_stage", "/terms/suspends_at", message, terms.suspends_at))
    return faults


def _calendar_faults(terms: Terms) -> list[Fault]:
    if terms.calendar is None and terms.convention is not Convention.NONE:
        return [Fault("calendar_missing", "/terms/calendar", "a convention needs a calendar", None)]
    if terms.calendar is not None and terms.calendar not in CALENDARS:
        return [Fault("calendar_unknown", "/terms/calendar", "a calendar known here", terms.calendar)]
    return []
