"""What a sandbox may be asked, when its clock stops, and what its scenarios make happen on which day.

All of it is a function of the sandbox's seed: the same scenarios in the same order are the same invoices and deeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from exchange.entropy import seeded_entropy
from exchange.errors import Fault, InvalidRequest, Refusal
from exchange.losses.rules import DISPUTED, OUTCOMES
from exchange.replay.rows import ReplayRow
from exchange.replay.synthetic_firms import seeded_firms
from exchange.settlement.schemas import REASONS
from scoring.grades import NAMES

CURRENCIES = ("CNY", "EUR", "USD")
"""A sandbox has a collection account in each."""
OPENING = time(9, 0)
STOPS = (OPENING, time(10, 30), time(14, 30), time(22, 30), time(23, 45))
"""Where the clock stops each day: others act; the round is over; purchases are; the day is closed; and all after it."""
MAX_SEED = 2**31 - 1
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)
MOST_DAYS = 400
"""So far a clock is moved at most in one go."""
MOST_SCENARIOS = 200
"""So many scenarios a sandbox may have until it is reset."""
TROUBLE = 300
"""So much of an error is shown."""

MOST_ASSETS = 50
LEAST_FACE, FACES = 300_000_00, 500_000_00
"""What the seed draws faces from, in minor units."""

GRADES = dict(
    zip(
        NAMES,
        ((970, 0), (600, 0), (250, 0), (100, 0), (30, 0), (0, 0), (3, 1), (4, 4), (10, 10), (25, 25), (60, 60)),
        strict=True,
    )
)
"""How many past invoices give an obligor its grade, and how many of those were late, as the labelled prior counts."""
PAST_TENOR, PAST_LATE, PAST_FROM, PAST_DAYS = 30, 45, 50, 250
"""Past invoices were for 30 days, late ones paid 45 after; the last was due over 50 days ago, the first 250 before."""


class SandboxesOff(Refusal):
    """This exchange has no server for them."""

    code = "sandboxes_off"
    title = "There are no sandboxes here"
    definitive = False


class TooManySandboxes(Refusal):
    """A funder has so many sandboxes and no more."""

    code = "too_many_sandboxes"
    title = "End a sandbox first"
    definitive = False


class TooManyScenarios(Refusal):
    """A sandbox has so many scenarios and no more."""

    code = "too_many_scenarios"
    title = "Reset the sandbox first"
    definitive = False


class SandboxNotReady(Refusal):
    """The sandbox is being made, reset or ended."""

    code = "sandbox_not_ready"
    title = "The sandbox is not ready"
    definitive = False


class ClockAdvancing(Refusal):
    """While the clock moves a sandbox can be read, not changed."""

    code = "clock_advancing"
    title = "The sandbox's clock is moving"
    definitive = False


class TooFar(Refusal):
    """A clock moves forward, and not without end."""

    code = "clock_too_far"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The clock cannot be moved there"


class Parameter(NamedTuple):
    """A number between two others, or one of some words; None stands for what the seed decides."""

    default: int | str | None
    low: int = 0
    high: int = 0
    words: Sequence[str] = ()


class Deed(NamedTuple):
    """What somebody else does, so many days after the scenario began, about its asset in that place."""

    day: int
    kind: str
    place: int = 0
    amount_minor: int = 0
    word: str = ""


DAYS = Parameter(20, 0, MOST_DAYS)
SHARE = Parameter(5_000, 1, 10_000)
MONEY = Parameter(1_000_000_00, 1, 10**13)
CURRENCY = Parameter("CNY", words=CURRENCIES)
ON_DAY = Parameter(5, 1, MOST_DAYS)
ASSETS = {
    "count": Parameter(1, 1, MOST_ASSETS),
    "grade": Parameter("B2", words=NAMES),
    "face_minor": Parameter(None, 100, 10**12),
    "tenor_days": Parameter(60, 1, 180),
    "currency": CURRENCY,
    "product": Parameter("receivable_factoring", words=("receivable_factoring", "procurement_credit")),
    "recourse": Parameter("without", words=("with", "limited", "without")),
}
KINDS: Mapping[str, Mapping[str, Parameter]] = {
    "assets": ASSETS,
    "late_payer": ASSETS | {"days_late": DAYS},
    "part_payer": ASSETS | {"days_late": DAYS, "paid_bps": SHARE},
    "dispute": ASSETS
    | {
        "on_day": ON_DAY,
        "disputed_bps": Parameter(2_000, 1, 10_000),
        "reason": Parameter("quality", words=tuple(DISPUTED)),
        "outcome": Parameter("upheld", words=OUTCOMES[:2]),
        "resolved_after_days": Parameter(10, 1, MOST_DAYS),
    },
    "dilution": ASSETS
    | {"on_day": ON_DAY, "credited_bps": Parameter(1_000, 1, 10_000), "reason": Parameter("return", words=REASONS)},
    "default": ASSETS
    | {"recovered_bps": Parameter(4_000, 0, 10_000), "recovered_after_days": Parameter(140, 1, MOST_DAYS)},
    "fraud_alarm": ASSETS | {"on_day": ON_DAY},
    "failed_payment": {"amount_minor": Parameter(100_00, 1, 10**13), "currency": CURRENCY},
    "deposit": {"amount_minor": MONEY, "currency": CURRENCY},
}
"""Each kind of scenario and its parameters: the default, and what else may be said."""


def read_parameters(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a scenario, defaults filled in. Refuses `InvalidRequest`, with a fault for each wrong one."""
    known = KINDS[kind]
    faults = [
        Fault("unknown_field", f"/parameters/{name}", f"a {kind} has {', '.join(known)}")
        for name in given
        if name not in known
    ]
    for name, value in given.items():
        parameter = known.get(name)
        if parameter is None:
            continue
        if parameter.words and value not in parameter.words:
            faults.append(Fault("invalid_value", f"/parameters/{name}", f"one of {', '.join(parameter.words)}", value))
        elif not parameter.words and (type(value) is not int or not parameter.low <= value <= parameter.high):
            said = f"a whole number from {parameter.low} to {parameter.high}"
            faults.append(Fault("invalid_value", f"/parameters/{name}", said, value))
    if faults:
        raise InvalidRequest("The parameters do not fit the scenario.", faults=tuple(faults))
    read = {name: given.get(name, parameter.default) for name, parameter in known.items()}
    return {name: value for name, value in read.items() if value is not None}


def check_start(day: date) -> date:
    """The first day of a sandbox. Refuses `InvalidRequest` where nobody knows the calendar."""
    if not EARLIEST <= day <= LATEST:
        fault = Fault("out_of_range", "/start_date", f"from {EARLIEST} to {LATEST}", day)
        raise InvalidRequest("A sandbox cannot begin on that day.", faults=(fault,))
    return day


def target(*, moment: datetime, days: int | None, until: datetime | None, zone: str) -> datetime:
    """To where the clock is to be moved: the same time of day `days` later, or `until`. Refuses `TooFar`."""
    if (days is None) == (until is None):
        raise InvalidRequest("Say either days or until.", faults=(Fault("invalid_value", "", "days or until"),))
    local = moment.astimezone(ZoneInfo(zone))
    to = until or (local + timedelta(days=days or 0)).astimezone(UTC)
    if not moment < to <= moment + timedelta(days=MOST_DAYS):
        raise TooFar(
            f"It is {moment:%Y-%m-%dT%H:%M:%SZ} in the sandbox: move on, by {MOST_DAYS} days at most.",
            faults=(Fault("clock_too_far", "/until", f"after now, within {MOST_DAYS} days", until),),
        )
    return to


def next_stop(moment: datetime, *, until: datetime, zone: str) -> datetime:
    """Where the clock stops next on its way to `until`."""
    local = moment.astimezone(ZoneInfo(zone))
    for day in (local.date(), local.date() + timedelta(days=1)):
        for at in STOPS:
            stop = datetime.combine(day, at, tzinfo=local.tzinfo)
            if stop > moment:
                return min(stop.astimezone(UTC), until)
    raise AssertionError("every day has stops")  # pragma: no cover - tomorrow's are all after now


def is_opening(moment: datetime, *, zone: str) -> bool:
    """Whether others act at this stop."""
    return moment.astimezone(ZoneInfo(zone)).time() == OPENING


def opening_of(day: date, *, zone: str) -> datetime:
    """When a sandbox's first day begins."""
    return datetime.combine(day, OPENING, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def assets_of(number: int, parameters: Mapping[str, Any], *, seed: int, today: date) -> list[ReplayRow]:
    """The receivables of a sandbox's scenario of that number, submitted and confirmed today."""
    if "grade" not in parameters:
        return []
    firms, draw = seeded_firms(seed), seeded_entropy(seed)
    seller = replace(firms.sellers[number % len(firms.sellers)], scheme="platform", value=f"seller-{number}")
    found = []
    for place in range(parameters["count"]):
        one = firms.obligors[(number * MOST_ASSETS + place) % len(firms.obligors)].company
        drawn = LEAST_FACE + int.from_bytes(draw(4, "face", str(number), str(place))) % FACES
        row = ReplayRow(
            row_number=number * MOST_ASSETS + place,
            invoice_number=f"SBX{seed % 10_000:04}-{number:03}-{place + 1:02}",
            seller=replace(seller, controller=None),
            obligor=replace(one, scheme="platform", value=f"obligor-{number}-{place + 1}", controller=None),
            product=parameters["product"],
            currency=parameters["currency"],
            face_minor=parameters.get("face_minor", drawn),
            issue_date=today,
            due_date=today + timedelta(days=parameters["tenor_days"]),
            submitted_date=today,
            confirmed_date=today,
            confirmation_grade="explicit",
            recourse=parameters["recourse"],
        )
        found.append(row)
    return found


def past_of(row: ReplayRow, *, grade: str) -> list[ReplayRow]:
    """What the obligor of a row bought before, and how it paid: enough to be graded so."""
    count, late = GRADES[grade]
    found = []
    for place in range(count):
        due = row.submitted_date - timedelta(days=PAST_FROM + PAST_DAYS * (count - place) // count)
        found.append(
            replace(
                row,
                invoice_number=f"{row.invoice_number}-P{place + 1}",
                issue_date=due - timedelta(days=PAST_TENOR),
                due_date=due,
                settled_date=due + timedelta(days=PAST_LATE if place < late else 0),
            )
        )
    return found


def deeds_of(kind: str, parameters: Mapping[str, Any], assets: Sequence[ReplayRow]) -> list[Deed]:
    """All that happens in a scenario after its assets were submitted, in order."""
    if kind in {"failed_payment", "deposit"}:
        amount = parameters["amount_minor"]
        return [Deed(0, kind, amount_minor=amount, word=parameters["currency"])]
    return sorted(deed for place, asset in enumerate(assets) for deed in _life(kind, parameters, asset, place))


def _life(kind: str, said: Mapping[str, Any], asset: ReplayRow, place: int) -> list[Deed]:
    due, face = (asset.due_date - asset.submitted_date).days, asset.face_minor
    if kind == "late_payer":
        return [Deed(due + said["days_late"], "pay", place, face)]
    if kind == "part_payer":
        part = _share(face, said["paid_bps"])
        rest = [Deed(due + said["days_late"], "pay", place, face - part)] if part < face else []
        return [Deed(due, "pay", place, part), *rest]
    if kind == "dispute":
        disputed = _share(face, said["disputed_bps"])
        on, until = said["on_day"], said["on_day"] + said["resolved_after_days"]
        owed = face - disputed if said["outcome"] == "upheld" else face
        steps = [
            Deed(on, "dispute", place, disputed, said["reason"]),
            Deed(until, "resolve", place, 0, said["outcome"]),
        ]
        return [*steps, *([Deed(max(due, until), "pay", place, owed)] if owed else [])]
    if kind == "dilution":
        credited = _share(face, said["credited_bps"])
        pay = [Deed(due, "pay", place, face - credited)] if credited < face else []
        return [Deed(said["on_day"], "credit", place, credited, said["reason"]), *pay]
    if kind == "default":
        back = _share(face, said["recovered_bps"]) if said["recovered_bps"] else 0
        return [Deed(due + said["recovered_after_days"], "recover", place, back)] if back else []
    copied = [Deed(said["on_day"], "copy", place)] if kind == "fraud_alarm" else []
    return [*copied, Deed(due, "pay", place, face)]


def _share(face_minor: int, bps: int) -> int:
    return max(1, face_minor * bps // 10_000)
