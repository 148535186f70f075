"""Fields and schemas that every stage's contract is made of. Strict: nothing is coerced, nothing is rounded."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

import marshmallow as ma

from exchange.errors import Fault, InvalidRequest
from exchange.ids import PATTERN, is_id
from exchange.paging import DEFAULT_LIMIT, MAX_LIMIT

MAX_MINOR = 10**15
"""The largest amount, in minor units: ten trillion in most currencies, and well inside an exact JSON number."""

MAX_FAULTS = 100
"""Whoever sends a thousand unknown fields need not be told of each."""

DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Schema(ma.Schema):
    """A closed JSON object: unknown members are refused, and the contract says so."""

    class Meta:
        """Refuse what the contract does not name."""

        unknown = ma.RAISE

    error_messages = {  # noqa: RUF012 - marshmallow merges this class attribute
        "unknown": "unknown_field: this field is not part of the contract",
        "type": "not_an_object: write a JSON object",
    }


def _messages(**own: str) -> dict[str, str | list[Any] | dict[Any, Any]]:
    base: dict[str, str | list[Any] | dict[Any, Any]] = {
        "required": "missing: this field is needed",
        "null": "null: leave the field out or give a value",
    }
    return base | own


class Integer(ma.fields.Integer):
    """A whole number, written as one: `1e5`, `1.0`, `"1"` and `true` are refused."""

    default_error_messages = _messages(
        invalid="not_an_integer: write a whole number, without quotes, point or exponent"
    )

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's options
        bounds = ma.validate.Range(minimum, maximum, error="out_of_range: between {min} and {max}")
        super().__init__(strict=True, validate=bounds, **kwargs)

    def _validated(self, value: Any) -> int:  # noqa: ANN401 - whatever JSON holds
        if type(value) is not int:
            raise self.make_error("invalid")
        return value


class QueryInteger(ma.fields.Integer):
    """A whole number in a query string, where everything is text: ASCII digits only."""

    default_error_messages = _messages(invalid="not_an_integer: write a whole number in digits")

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's options
        bounds = ma.validate.Range(minimum, maximum, error="out_of_range: between {min} and {max}")
        super().__init__(validate=bounds, **kwargs)

    def _validated(self, value: Any) -> int:  # noqa: ANN401 - whatever stands in the query
        if not DIGITS.fullmatch(value):
            raise self.make_error("invalid")
        return int(value)


def _no_control(value: str) -> None:
    if CONTROL.search(value):
        raise ma.ValidationError("bad_character: control characters are not text")


def _whole(pattern: str, error: str) -> Any:  # noqa: ANN401 - marshmallow's validator
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
            raise ma.ValidationError(error)

    return check


class Text(ma.fields.String):
    """Text of bounded length without control characters; `pattern` is matched whole, ASCII only."""

    default_error_messages = _messages(invalid="not_text: write a string", invalid_utf8="not_text: write UTF-8")

    def __init__(self, longest: int = 200, *, pattern: str | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - same
        length = ma.validate.Length(1, longest, error="bad_length: between {min} and {max} characters")
        rules: list[Any] = [length, _no_control]
        if pattern is not None:
            # Anchored for the contract; `_whole` refuses the line end that `$` would let pass.
            error = f"bad_format: write it like {pattern}"
            literal = error.replace("{", "{{").replace("}", "}}")  # marshmallow formats it
            rules += [ma.validate.Regexp(f"^{pattern}$", re.ASCII, error=literal), _whole(pattern, error)]
        super().__init__(validate=rules, **kwargs)


class IsoDate(ma.fields.Date):
    """A calendar date written `2026-11-23`, ASCII digits only, between 1970 and 2199."""

    default_error_messages = _messages(
        invalid="not_a_date: write a calendar date like 2026-11-23", format="not_a_date: it has to be a date"
    )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:  # noqa: ANN401 - same
        del attr, data, kwargs
        if not isinstance(value, str) or not DATE.fullmatch(value) or not "1970" <= value[:4] <= "2199":
            raise self.make_error("invalid")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise self.make_error("invalid") from None


class Moment(ma.fields.AwareDateTime):
    """A moment in UTC (RFC 3339)."""

    default_error_messages = _messages(
        invalid="not_a_moment: write a moment like 2026-11-23T09:00:00Z",
        invalid_awareness="not_a_moment: end it with Z",
        format="not_a_moment: it has to be a moment",
    )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:  # noqa: ANN401 - same
        if not isinstance(value, str) or not value.isascii() or not "1970" <= value[:4] <= "2199":
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)


class Boolean(ma.fields.Boolean):
    """`true` or `false`, nothing that looks like it."""

    default_error_messages = _messages(invalid="not_a_boolean: write true or false")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - same
        del attr, data, kwargs
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class OneOf(Text):
    """One of a few known words."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's options
        super().__init__(60, **kwargs)
        self.validators = [ma.validate.OneOf(choices, error="not_one_of: one of {choices}")]


class Id(Text):
    """A TypeID with a known prefix."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's options
        self.prefix = prefix
        super().__init__(60, **kwargs)
        error = f"bad_id: write an id like {prefix}_01h455vb4pex5vsknk084sn02q"
        self.validators = [ma.validate.Regexp(PATTERN.format(prefix=prefix), error=error), self._exact(error)]

    def _exact(self, error: str) -> Any:  # noqa: ANN401 - marshmallow's validator
        def check(value: str) -> None:
            if not is_id(value, prefix=self.prefix):
                raise ma.ValidationError(error)

        return check


class Nested(ma.fields.Nested):
    """An object inside an object."""

    default_error_messages = _messages(type="not_an_object: write a JSON object")


class List(ma.fields.List[Any]):
    """A list of bounded length."""

    default_error_messages = _messages(invalid="not_a_list: write a JSON array")

    def __init__(self, inner: Any, shortest: int, longest: int, **kwargs: Any) -> None:  # noqa: ANN401 - same
        length = ma.validate.Length(shortest, longest, error="bad_length: between {min} and {max} items")
        super().__init__(inner, validate=length, **kwargs)


class PageQuery(Schema):
    """Which page of a list."""

    after = Text(500, metadata={"description": "The `next` value of the page before"})
    limit = QueryInteger(1, MAX_LIMIT, load_default=DEFAULT_LIMIT)


class ItemFault(Schema):
    """One thing wrong with one value."""

    code = ma.fields.String(required=True)
    pointer = ma.fields.String(required=True, metadata={"description": "RFC 6901 pointer into the body"})
    message = ma.fields.String(required=True)
    value = ma.fields.Raw(allow_none=True, metadata={"description": "What was sent, shortened"})


class Problem(ma.Schema):
    """An RFC 9457 problem."""

    type = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    code = ma.fields.String(required=True, metadata={"description": "Stable: match on this"})
    detail = ma.fields.String(required=True)
    instance = ma.fields.String(metadata={"description": "The request: the same id as in its `X-Request-Id`"})
    errors = ma.fields.List(ma.fields.Nested(ItemFault))
    numbers = ma.fields.Dict(metadata={"description": "The numbers the rule compared"})


def load(schema: ma.Schema, value: Any, *, at: str = "") -> Any:  # noqa: ANN401 - whatever JSON holds
    """`value` read by `schema`; refuses with every fault at once (`InvalidRequest`)."""
    faults = faults_of(schema, value, at=at)
    if faults:
        raise InvalidRequest(f"{len(faults)} value(s) do not fit the contract.", faults=tuple(faults))
    return schema.load(value)


def faults_of(schema: ma.Schema, value: Any, *, at: str = "") -> list[Fault]:  # noqa: ANN401 - whatever JSON holds
    """What is wrong with `value`, at most `MAX_FAULTS`, each with a pointer that begins with `at`."""
    try:
        errors = schema.validate(value)
    except RecursionError:
        return [Fault("too_deep", at, "the value is nested too deeply")]
    return list(islice(_walk(errors, value, at), MAX_FAULTS))


def _walk(errors: Any, value: Any, at: str) -> Any:  # noqa: ANN401 - marshmallow's tree of messages
    if isinstance(errors, Mapping):
        for key, below in errors.items():
            if key == "_schema":
                yield from _walk(below, value, at)
            else:
                yield from _walk(below, _member(value, key), f"{at}/{escaped(key)}")
        return
    for message in dict.fromkeys(errors):
        code, _, explanation = str(message).partition(": ")
        yield Fault(code, at, explanation, value)


def _member(value: Any, key: Any) -> Any:  # noqa: ANN401 - same
    if isinstance(value, Mapping):
        return value.get(key)
    return value[key] if isinstance(value, list) and isinstance(key, int) else None


def escaped(key: Any) -> str:  # noqa: ANN401 - same
    """A member's name or an index as a part of a JSON pointer (RFC 6901), shortened."""
    return str(key)[:64].replace("~", "~0").replace("/", "~1")
