"""The fields of the contract: strict, exact, and clear about what is wrong."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import marshmallow as ma
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import schemas
from exchange.errors import Fault, InvalidRequest, Refusal, shown
from exchange.paging import BadCursor, decode_cursor, encode_cursor
from exchange.schemas import Boolean, Id, Integer, IsoDate, List, Moment, Nested, OneOf, QueryInteger, Schema, Text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=12,
)


class Inner(Schema):
    """An object inside."""

    word = OneOf("yes", "no", required=True)


class Sample(Schema):
    """One of each field."""

    number = Integer(-5, 10)
    text = Text(5)
    code = Text(3, pattern="[A-Z]{3}")
    day = IsoDate()
    moment = Moment()
    flag = Boolean()
    asset = Id("ast")
    inner = Nested(Inner)
    many = List(Integer(0, 1), 1, 2)
    count = QueryInteger(1, 20)


SAMPLE = Sample()


def _codes(field: str, value: object) -> list[str]:
    return [fault.code for fault in schemas.faults_of(SAMPLE, {field: value})]


WRONG: list[tuple[str, str, list[object]]] = [
    ("number", "not_an_integer", [1.0, 1e5, "1", True, [], {}, float("nan")]),
    ("number", "out_of_range", [-6, 11, 10**400]),
    ("text", "not_text", [1, True, [], {}]),
    ("text", "bad_length", ["", "x" * 6]),
    ("text", "bad_character", ["\0", "a\nb", "\x7f", "\ud800"]),
    ("code", "bad_format", ["cny", "CN", "CNY\n", "ＣＮＹ", "C Y"]),
    ("day", "not_a_date", ["2026-02-30", "2026-3-1", "２０２６-03-02", "1969-12-31", "2200-01-01", "2026-03-02\n", 5]),
    ("moment", "not_a_moment", ["2026-03-02T09:00:00", "2026-03-02", "now", "1969-12-31T00:00:00Z", 1, ""]),
    ("moment", "not_a_moment", ["２026-03-02T09:00:00Z", "2026-03-02T25:00:00Z", "2026-03-02T09:00:00+99:00"]),
    ("flag", "not_a_boolean", [0, 1, "true", "yes", []]),
    ("asset", "bad_id", ["", "x", "ast_01h455vb4pex5vsknk084sn02q\n"]),
    ("many", "bad_length", [[], [1, 1, 1]]),
    ("many", "not_a_list", [1, "ab", {}]),
    ("inner", "not_an_object", [1, "a", []]),
    ("count", "not_an_integer", ["", "-1", "+1", "１", "1.0", " 1", "1_0", "9" * 30]),
    ("count", "out_of_range", ["0", "21"]),
    ("surprise", "unknown_field", [1]),
]


CASES = [(field, code, value) for field, code, values in WRONG for value in values]


@pytest.mark.parametrize(("field", "code", "value"), [*CASES, *((field, "null", None) for field in SAMPLE.fields)])
def test_each_wrong_value_has_its_code(field: str, code: str, value: object) -> None:
    """What is wrong is said once, and by the same word every time."""
    codes = _codes(field, value)
    assert code in codes
    assert len(codes) == len(set(codes))


@given(st.integers(-5, 10), st.dates(date(1970, 1, 1), date(2199, 12, 31)), st.booleans())
def test_right_values_come_out_as_they_are(number: int, day: date, flag: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    """No rounding, no shift of a day."""
    body = {"number": number, "day": day.isoformat(), "flag": flag, "many": [0, 1], "count": "20"}
    expected = {"number": number, "day": day, "flag": flag, "many": [0, 1], "count": 20}
    assert schemas.load(SAMPLE, body) == expected


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - the offset is written
def test_moments_are_utc(moment: datetime, minutes: int) -> None:
    """Any offset is understood, and the same instant comes out."""
    sign, (hours, rest) = "+-"[minutes < 0], divmod(abs(minutes), 60)
    read = schemas.load(SAMPLE, {"moment": f"{moment.isoformat()}{sign}{hours:02}:{rest:02}"})["moment"]
    assert read.tzinfo is UTC
    assert read == (moment - timedelta(minutes=minutes)).replace(tzinfo=UTC)


@given(JSON)
def test_nothing_breaks_a_schema(value: Any) -> None:  # noqa: ANN401 - any JSON
    """Every JSON value is read or refused with faults that point into it."""
    faults = schemas.faults_of(SAMPLE, value, at="/items/3")
    assert all(fault.pointer.startswith("/items/3") for fault in faults)
    assert all(fault.code.replace("_", "").isalpha() and fault.message for fault in faults)
    assert bool(faults) != (value == {})


@given(st.dictionaries(st.sampled_from(sorted((SAMPLE.fields.keys() - {"count"}) | {"x"})), JSON, min_size=1))
def test_load_refuses_what_has_faults(value: dict[str, Any]) -> None:
    """`load` and `faults_of` never disagree."""
    faults = schemas.faults_of(SAMPLE, value)
    if not faults:
        schemas.load(SAMPLE, value)
        return
    with pytest.raises(InvalidRequest) as refused:
        schemas.load(SAMPLE, value)
    assert refused.value.faults == tuple(faults)


def test_pointers_are_escaped_and_short() -> None:
    """RFC 6901: ~ and / in a name are written ~0 and ~1."""
    faults = schemas.faults_of(SAMPLE, {"a/b~c": 1, "x" * 999: 1, "inner": {"word": "maybe"}, "many": [0, 7]})
    pointers = {fault.pointer for fault in faults}
    assert pointers == {"/a~1b~0c", f"/{'x' * 64}", "/inner/word", "/many/1"}


def test_faults_end_somewhere() -> None:
    """Ten thousand unknown fields are not answered by ten thousand faults."""
    assert len(schemas.faults_of(SAMPLE, {f"u{n}": n for n in range(10_000)})) == schemas.MAX_FAULTS


class Tree(Schema):
    """A schema inside itself."""

    below = ma.fields.Nested(lambda: Tree())  # noqa: PLW0108 - the name is not known before the class is made


def test_too_deep() -> None:
    """A schema that refers to itself and a body without bottom: refused, not fallen over."""
    body: dict[str, Any] = {}
    for _ in range(5000):
        body = {"below": body}
    assert [fault.code for fault in schemas.faults_of(Tree(), body)] == ["too_deep"]


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, None),
        (True, True),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(10**300), "-1" + "0" * 62),
        ("x" * 100, "x" * 64),
        (1.5, "1.5"),
        (date(2026, 3, 2), "2026-03-02"),
        ([1], "[...]"),
        ({"a": 1}, "{...}"),
    ],
)
def test_what_is_shown_back(value: object, seen: object) -> None:
    """Exact in every JSON reader, short, and nothing that takes long to write."""
    assert shown(value) == seen
    assert Fault("c", "/p", "m", value).as_json() == {"code": "c", "pointer": "/p", "message": "m", "value": seen}


def test_a_refusal_as_a_problem() -> None:
    """RFC 9457 members, faults and numbers only where there are any."""
    plain = Refusal("Too much.").as_problem()
    assert plain == {
        "type": "urn:exchange:problem:refused",
        "title": "Refused",
        "status": 409,
        "code": "refused",
        "detail": "Too much.",
    }
    full = Refusal("Too much.", faults=(Fault("c", "/p", "m"),), limit_minor=5).as_problem()
    assert full["numbers"] == {"limit_minor": 5}
    assert [fault["pointer"] for fault in full["errors"]] == ["/p"]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs", "Cc"]))))
def test_cursors_come_back(position: list[str | int]) -> None:
    """What a page gave, the next one reads, of the same kinds only."""
    kinds = [type(part) for part in position]
    cursor = encode_cursor(*position)
    assert decode_cursor(cursor, *kinds) == tuple(position)
    assert cursor.isascii()
    with pytest.raises(BadCursor):
        decode_cursor(cursor, *kinds, str)


@given(st.text() | st.binary().map(lambda raw: encode_cursor("x") + raw.hex()))
def test_cursors_that_no_list_gave(cursor: str) -> None:
    """Anything else is refused, and never breaks anything."""
    try:
        position = decode_cursor(cursor, str)
    except BadCursor:
        return
    assert position is not None
    assert "\0" not in str(position[0])


def test_cursors_with_nul() -> None:
    """PostgreSQL's text has no NUL, so no cursor has."""
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor("a\0b"), str)
    assert decode_cursor(None, str) is None
