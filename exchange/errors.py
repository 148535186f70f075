"""Refusals: what the exchange says when it will not do what it was asked."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one value: `pointer` is an RFC 6901 JSON pointer into the request's body."""

    code: str
    pointer: str
    message: str
    value: Any = None

    def as_json(self) -> dict[str, Any]:
        """The fault as it stands in a problem's `errors` and in a bulk item's."""
        return {
            "code": self.code,
            "pointer": self.pointer,
            "message": self.message,
            "value": shown(self.value),
        }


Refused = tuple[int, Fault]
"""Why an item of many was not done: its status and its fault."""


class Refusal(Exception):
    """Base of every refusal. A subclass stands beside the rule that raises it and has a stable `code`.

    `definitive` refusals are outcomes: repeating the request with its idempotency key gives the same answer.
    Others judged nothing and leave the key free: repair the request, or wait, and use it again.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = HTTPStatus.CONFLICT
    title: ClassVar[str] = "Refused"
    definitive: ClassVar[bool] = True

    def __init__(
        self,
        detail: str,
        *,
        faults: tuple[Fault, ...] = (),
        headers: dict[str, str] | None = None,
        **numbers: Any,  # noqa: ANN401 - whatever the rule compared, as it goes into the problem
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}
        self.numbers = numbers

    def as_problem(self) -> dict[str, Any]:
        """The refusal as an RFC 9457 problem."""
        problem: dict[str, Any] = {
            "type": f"urn:exchange:problem:{self.code}",
            "title": self.title,
            "status": int(self.status),
            "code": self.code,
            "detail": self.detail,
        }
        if self.faults:
            problem["errors"] = [fault.as_json() for fault in self.faults]
        return problem | ({"numbers": self.numbers} if self.numbers else {})


class InvalidRequest(Refusal):
    """The request is not of the form the contract describes."""

    code = "invalid_request"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The request does not fit the contract"
    definitive = False


class MalformedBody(Refusal):
    """The body is not JSON, or not text at all."""

    code = "malformed_body"
    status = HTTPStatus.BAD_REQUEST
    title = "The body is not well-formed JSON"
    definitive = False


class UnsupportedMediaType(Refusal):
    """The body has another content type than the operation reads."""

    code = "unsupported_media_type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "The content type is not one this operation reads"
    definitive = False


class NotFound(Refusal):
    """There is no such thing, or it is not the caller's to see."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND
    title = "Not found"


class Unauthenticated(Refusal):
    """The caller did not prove who it is."""

    code = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED
    title = "A valid access token is needed"
    definitive = False


class Forbidden(Refusal):
    """The caller's role does not include this operation."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN
    title = "Not allowed"
    definitive = False


class PreconditionRequired(Refusal):
    """Whoever replaces a document has to say which one it has seen (RFC 6585)."""

    code = "precondition_required"
    status = HTTPStatus.PRECONDITION_REQUIRED
    title = "Say in If-Match which document you replace"
    definitive = False


class PreconditionFailed(Refusal):
    """The document is not the one the caller has seen."""

    code = "precondition_failed"
    status = HTTPStatus.PRECONDITION_FAILED
    title = "The document has changed"
    definitive = False


class Unavailable(Refusal):
    """The exchange cannot answer now; the same request will be right later."""

    code = "temporarily_unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Try again"
    definitive = False


def shown(value: Any) -> Any:  # noqa: ANN401 - any JSON value a caller may have sent
    """A value short enough to be shown back to the caller who sent it; of an array or object only that it is one."""
    if isinstance(value, list | dict):
        return "[...]" if isinstance(value, list) else "{...}"
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or abs(value) < 2**53 else str(value)[:64]
    return str(value)[:64]
