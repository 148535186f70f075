"""A record as a line of a tape, or as a file of its own: the JWS, its disclosures, its place in the log, its proof."""

import re
from typing import Any, NamedTuple, NoReturn

import orjson

from ledger.canonical import DuplicateKey, NotCanonical, canonical_bytes, parse_canonical
from ledger.encoding import parse_base64url
from ledger.errors import LedgerError, RecordRefused
from ledger.tiles import LARGEST_SIZE
from ledger.verify.lines import LONGEST_LINE

_MEMBERS = frozenset({"disclosures", "index", "jws", "proof"})
_STRING = frozenset({str})
_FOREIGN = re.compile(rb"[^A-Za-z0-9_-]")


class LineRefused(LedgerError):
    """Base of what is refused about a line before its record is looked at. `byte` counts within the line."""

    code = "line_refused"

    def __init__(self, message: str, *, byte: int = 0) -> None:
        super().__init__(message)
        self.byte = byte


class LineTooLong(LineRefused):
    """The line is longer than any record."""

    code = "line_too_long"


class NotText(LineRefused):
    """The line is not UTF-8."""

    code = "not_utf8"


class NotJson(LineRefused):
    """The line is not JSON."""

    code = "not_json"


class LineNotCanonical(LineRefused):
    """The line is JSON, but not spelt in the one canonical way."""

    code = "line_not_canonical"


class DuplicateLineMember(LineRefused):
    """An object of the line has one name twice."""

    code = "duplicate_member"


class NotARecord(LineRefused):
    """The line is canonical JSON, but not a record with disclosures and place."""

    code = "not_a_record"


class Line(NamedTuple):
    """What a line holds; nothing of it is verified."""

    jws: str
    disclosures: list[str]
    log_index: int | None
    proof: str | None


def parse_line(line: bytes) -> Line:
    """The content of a line, without its line feed. Refuses every subclass of `LineRefused`."""
    if len(line) > LONGEST_LINE:
        raise LineTooLong(f"The line is longer than {LONGEST_LINE} bytes.")
    try:
        members = parse_canonical(line)
    except NotCanonical as error:
        _refuse(line, error)
    if type(members) is not dict or not _MEMBERS.issuperset(members):
        raise NotARecord("The line is no object of jws, disclosures, index and proof.")
    jws, disclosures = members.get("jws"), members.get("disclosures", [])
    index, proof = members.get("index"), members.get("proof")
    if type(jws) is not str or type(disclosures) is not list or not _STRING.issuperset(map(type, disclosures)):
        raise NotARecord("jws is not a text, or disclosures are not a list of texts.")
    if "index" in members and (type(index) is not int or not 0 <= index <= LARGEST_SIZE):
        raise NotARecord("index is not a place in a log.")
    if "proof" in members and type(proof) is not str:
        raise NotARecord("proof is not a text.")
    return Line(jws, disclosures, index, proof)


def claimed_place(jws: str) -> tuple[str | None, int | None]:
    """Asset and sequence as a record tells them, whether or not its signature holds; None where it tells none."""
    try:
        payload = parse_canonical(parse_base64url(jws.split(".")[1]))
        asset, sequence = payload["asset"], payload["sequence"]
    except (LedgerError, IndexError, KeyError, TypeError):
        return None, None
    return asset if type(asset) is str else None, sequence if type(sequence) is int else None


def place_of(refusal: RecordRefused, line: bytes, content: Line) -> int:
    """The byte of the line at which the fault is, as near as can be said."""
    field = refusal.field
    if field.startswith("disclosures/"):
        before = content.disclosures[: int(field.partition("/")[2])]
        return line.find(b"[") + 2 + sum(len(text) + 3 for text in before)
    begin = line.find(b'"jws":"') + len(b'"jws":"')
    jws = content.jws.encode(errors="replace")
    first, last = jws.find(b"."), jws.rfind(b".")
    starts = {"payload": first + 1, "signature": last + 1}
    ends = {"header": first, "payload": last}
    start = starts.get(field, 0)
    stray = _FOREIGN.search(jws, start, ends.get(field, len(jws))) if field in {"header", *starts} else None
    return begin + (stray.start() if stray else start)


def _refuse(line: bytes, error: NotCanonical) -> NoReturn:
    """Say in whose way a line is not canonical, and where."""
    try:
        line.decode()
    except UnicodeDecodeError as cause:
        raise NotText("The line is not UTF-8.", byte=cause.start) from error
    if isinstance(error, DuplicateKey):
        raise DuplicateLineMember(str(error)) from error
    if isinstance(error.__cause__, orjson.JSONDecodeError):
        raise NotJson("The line is not JSON.", byte=error.__cause__.pos) from error
    raise LineNotCanonical(str(error), byte=_first_difference(line)) from error


def _first_difference(line: bytes) -> int:
    value: Any = orjson.loads(line)
    try:
        canonical = canonical_bytes(value)
    except NotCanonical:
        return 0
    pairs = enumerate(zip(line, canonical, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(line), len(canonical)))
