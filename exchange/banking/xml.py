"""XML as banks send it, read piece by piece: no document types, no entities, no network, no more memory than that."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import BinaryIO

from lxml import etree

from exchange.banking.refusals import (
    FieldMalformed,
    FieldMissing,
    FileDangerous,
    FileTooLarge,
    FileUnreadable,
    UnknownFormat,
)

Element = etree._Element  # noqa: SLF001 - the name lxml gives the type

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
DEEPEST = 40
WIDEST = 100_000
"""Elements of one piece (a line with its details); a bank's largest batches stay far below."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d(T.*)?", re.ASCII)


def pieces(stream: BinaryIO, *, messages: frozenset[str], wholes: frozenset[str]) -> Iterator[Element]:
    """The children of every element named in `wholes`, and then that element itself; each is freed after its turn.

    `messages` are the ISO 20022 messages taken, like `camt.053.001.08`. Refuses `FileDangerous`, `FileTooLarge`,
    `FileUnreadable` and `UnknownFormat`.
    """
    events = etree.iterparse(
        stream, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    open_tags: list[str] = []
    width = 0
    try:
        for event, element in events:
            if event == "start":
                if not open_tags:
                    _check_root(element, messages)
                open_tags.append(tag(element))
                width += 1
                if len(open_tags) > DEEPEST or width > WIDEST:
                    raise FileTooLarge("nested too deep, or too much in one piece", where=path(element))
                continue
            name = open_tags.pop()
            if name in wholes or (open_tags and open_tags[-1] in wholes):
                yield element
                _free(element)
                width = 0
    except etree.XMLSyntaxError as error:
        raise FileUnreadable(error.msg or "not XML", where=f"line {error.lineno}") from None


def tag(element: Element) -> str:
    """The element's name without its namespace; empty for comments and the like."""
    name: object = element.tag  # of a comment it is a function
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def path(element: Element) -> str:
    """Where the element stands, and in which line of the file."""
    names = [tag(one) for one in element.iterancestors()][::-1]
    return f"line {element.sourceline} {'/'.join([*names, tag(element)])}"


def find(element: Element, *steps: str) -> Element | None:
    """The first element down the path."""
    here: Element | None = element
    for step in steps:
        here = next((child for child in here if tag(child) == step), None) if here is not None else None
    return here


def find_all(element: Element, name: str) -> list[Element]:
    """The children of that name."""
    return [child for child in element if tag(child) == name]


def words(element: Element, *steps: str) -> str:
    """The text down the path, without blanks around it; empty where there is none (`FileDangerous`: an entity)."""
    found = find(element, *steps)
    if found is None:
        return ""
    if any(not tag(child) for child in found):
        raise FileDangerous("text with entities or instructions inside", where=path(found))
    return (found.text or "").strip()


def required(element: Element, *steps: str) -> str:
    """The text down the path (`FieldMissing`)."""
    text = words(element, *steps)
    if not text:
        raise FieldMissing(f"{'/'.join(steps)} is missing", where=path(element))
    return text


def day(element: Element, *steps: str) -> date | None:
    """The ISO date down the path, of a date or a moment (`FieldMalformed`)."""
    choice = find(element, *steps)
    text = (words(choice, "Dt") or words(choice, "DtTm")) if choice is not None else ""
    if not text:
        return None
    try:
        if _DATE.fullmatch(text):  # Python reads more spellings than XML has
            return datetime.fromisoformat(text).date()
    except ValueError:
        pass
    raise FieldMalformed(f"{text[:40]!r} is no date", where=path(element))


def _check_root(root: Element, messages: frozenset[str]) -> None:
    if root.getroottree().docinfo.doctype:  # type: ignore[attr-defined]  # its stubs lack it
        raise FileDangerous("the file declares a document type", where="line 1")
    namespace, _, name = root.tag.removeprefix("{").rpartition("}")
    if name != "Document" or not namespace.startswith(NAMESPACE) or namespace.removeprefix(NAMESPACE) not in messages:
        raise UnknownFormat(f"{namespace or name} is not read here", where="line 1")


def _free(element: Element) -> None:
    """Forget the element and what stood before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
