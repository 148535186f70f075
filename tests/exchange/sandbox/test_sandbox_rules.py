"""What a sandbox may be asked, and what its scenarios come to: pure, so tried by the thousand."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from exchange.errors import InvalidRequest
from exchange.sandbox import rules
from exchange.sandbox.rules import GRADES, KINDS, STOPS
from scoring.grades import NAMES, UPPER_PPM

ZONE = "Asia/Shanghai"
NOON = datetime(2031, 3, 3, 4, tzinfo=UTC)
TODAY = date(2031, 3, 3)
moments = some.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=some.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(moments, some.integers(1, 3))
def test_the_clock_stops_at_every_stop_once(moment: datetime, days: int) -> None:
    """From stop to stop it goes forward, to the very moment asked for, and each day has all its stops."""
    until, at, passed = moment + timedelta(days=days), moment, []
    while at < until:
        later = rules.next_stop(at, until=until, zone=ZONE)
        assert at < later <= until
        at = later
        passed.append(at.astimezone(ZoneInfo(ZONE)).time())
    assert at == until
    assert len([one for one in passed if one in STOPS]) in {days * len(STOPS), days * len(STOPS) + 1}
    assert set(passed[:-1]) <= set(STOPS)


def test_how_far_a_clock_goes() -> None:
    """Forward, for days or until a moment, not both, not backwards, not for ever."""
    assert rules.target(moment=NOON, days=2, until=None, zone=ZONE) == NOON + timedelta(days=2)
    later = NOON + timedelta(hours=1)
    assert rules.target(moment=NOON, days=None, until=later, zone=ZONE) == later
    for days, until in ((None, None), (1, later)):
        with pytest.raises(InvalidRequest):
            rules.target(moment=NOON, days=days, until=until, zone=ZONE)
    for until in (NOON, NOON - timedelta(seconds=1), NOON + timedelta(days=rules.MOST_DAYS, seconds=1)):
        with pytest.raises(rules.TooFar):
            rules.target(moment=NOON, days=None, until=until, zone=ZONE)
    for day in (date(1999, 12, 31), date(2100, 1, 2)):
        with pytest.raises(InvalidRequest):
            rules.check_start(day)


@given(some.sampled_from(sorted(KINDS)), some.integers(0, rules.MAX_SEED), some.integers(1, 200))
def test_money_is_neither_made_nor_lost(kind: str, seed: int, number: int) -> None:
    """What is paid, credited and never comes is the face of each asset; and the same seed says the same again."""
    said = rules.read_parameters(kind, {})
    rows = rules.assets_of(number, said, seed=seed, today=TODAY)
    deeds = rules.deeds_of(kind, said, rows)
    assert rows == rules.assets_of(number, said, seed=seed, today=TODAY)
    assert deeds == sorted(deeds)
    for place, row in enumerate(rows):
        sums = {
            name: sum(one.amount_minor for one in deeds if (one.place, one.kind) == (place, name))
            for name in ("pay", "credit", "dispute", "recover")
        }
        if kind == "default":
            assert sums["recover"] == row.face_minor * 4_000 // 10_000
        else:
            assert sums["pay"] + sums["credit"] + sums["dispute"] == row.face_minor


@given(some.sampled_from(sorted(KINDS)), some.data())
def test_each_parameter_has_its_bounds(kind: str, data: some.DataObject) -> None:
    """Within them it is taken, beyond them it is refused by name; a foreign one too."""
    name = data.draw(some.sampled_from(sorted(KINDS[kind])))
    known = KINDS[kind][name]
    good = data.draw(some.sampled_from(known.words) if known.words else some.integers(known.low, known.high))
    assert rules.read_parameters(kind, {name: good})[name] == good
    bad = ["no such word"] if known.words else [known.low - 1, known.high + 1, True, "1", 1.0]
    for value in bad:
        with pytest.raises(InvalidRequest) as refused:
            rules.read_parameters(kind, {name: value, "surprise": 1})
        assert {fault.pointer for fault in refused.value.faults} == {f"/parameters/{name}", "/parameters/surprise"}


def test_an_upheld_dispute_and_others() -> None:
    """The outcome decides what is paid; all of it may be disputed, credited or paid at once."""
    for kind, extra, paid in (
        ("dispute", {"outcome": "rejected"}, [100_000]),
        ("dispute", {"disputed_bps": 10_000}, []),
        ("dilution", {"credited_bps": 10_000}, []),
        ("part_payer", {"paid_bps": 10_000}, [100_000]),
        ("default", {"recovered_bps": 0}, []),
        ("fraud_alarm", {}, [100_000]),
    ):
        said = rules.read_parameters(kind, {"face_minor": 100_000, **extra})
        rows = rules.assets_of(1, said, seed=1, today=TODAY)
        deeds = rules.deeds_of(kind, said, rows)
        assert [one.amount_minor for one in deeds if one.kind == "pay"] == paid


@pytest.mark.parametrize("grade", NAMES)
def test_a_past_makes_the_grade(grade: str) -> None:
    """By the prior's count, one bad in fifty and each invoice one more, the past of each grade lies in its band."""
    count, late = GRADES[grade]
    place = NAMES.index(grade)
    ppm = (1 + late) * 1_000_000 // (50 + count)
    assert (UPPER_PPM[place - 1] if place else 0) < ppm <= UPPER_PPM[place]
    row = rules.assets_of(1, rules.read_parameters("assets", {}), seed=1, today=TODAY)[0]
    past = rules.past_of(row, grade=grade)
    assert len({one.invoice_number for one in past}) == count
    assert all(one.settled_date is not None and one.settled_date < TODAY for one in past)
    assert sum((one.settled_date - one.due_date).days > 30 for one in past if one.settled_date) == late
