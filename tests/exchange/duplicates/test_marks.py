"""What makes two invoices the same, what makes them alike, and that a mark tells nothing else."""

import hashlib
import hmac
import json
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import assume, example, given
from hypothesis import strategies as st

from exchange.duplicates import marks
from exchange.duplicates.marks import Marks, Paper

VECTOR: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "duplicates.json").read_text())
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HANGUL = st.text(st.sampled_from("\u1100\u1161\u11a8-\uac00\u0301A0"), max_size=8)
PARTS = st.lists(TEXT | st.tuples(TEXT, TEXT, TEXT), max_size=4).map(tuple)
NUMBERS = st.from_regex(r"[A-Z]{0,4}[-/ ]?[0-9]{3,10}", fullmatch=True)
ADDED = [
    *(
        "-1",
        "/2",
        " (3)",
        ".4",
        "-02",
        "_12",
        "A",
        "-B",
        " bis",
        "-ter",
        " Rev.2",
        "rev 2",
        "-r1",
        "v3",
        " V12",
        " copy",
    ),
    *("-dup", "副本", "（重开）", "-补", " corr", "/new 1", "－１", " Ａ"),
]


@given(st.one_of(TEXT, HANGUL))
@example("\u1100-\u1161")
@example("ﬁ-Ⅻ-ß-ŉ")
def test_normalising_twice_changes_nothing(number: str) -> None:
    """A number that was normalised is normal."""
    once = marks.normalised_number(number)
    assert marks.normalised_number(once) == once


@given(st.from_regex(r"[1-9A-Z][0-9A-Z]{0,11}", fullmatch=True), st.data())
def test_spellings_of_one_number_agree(number: str, data: st.DataObject) -> None:
    """Width, case, punctuation and leading zeros make no other invoice."""
    between = st.text(st.sampled_from(" -_/.#:—·－　"), max_size=2)
    written = "0" * data.draw(st.integers(0, 3))
    for character in number:
        wide = chr(ord(character) + 0xFEE0)
        written += data.draw(between) + data.draw(st.sampled_from([character, character.lower(), wide]))
    assert marks.normalised_number(written) == number.lower()


@given(*[st.from_regex(r"[a-z1-9][a-z0-9]{0,9}", fullmatch=True)] * 2)
def test_different_numbers_stay_different(one: str, other: str) -> None:
    """Normalisation takes away nothing but spelling."""
    assert (marks.normalised_number(one) == marks.normalised_number(other)) == (one == other)


@pytest.mark.parametrize(
    ("number", "normal"),
    [("", ""), ("-/ .", ""), ("0", "0"), ("00-0", "0"), ("100", "100"), ("№ 0012", "no0012"), ("É\u0301", "é")],
)
def test_edges_of_normalisation(number: str, normal: str) -> None:
    """Zeros alone stay one zero; without a letter or digit nothing is left."""
    assert marks.normalised_number(number) == marks.number_stem(number) == normal


def test_full_width_letters_are_what_they_look_like() -> None:
    """The example that everybody gives."""
    assert marks.normalised_number("ＩＮＶ－００１") == marks.normalised_number("inv001") == "inv001"
    assert unicodedata.normalize("NFKC", "Ｉ") == "I"


@given(NUMBERS, st.lists(st.sampled_from(ADDED), min_size=1, max_size=3))
def test_what_is_added_to_a_number_comes_off(number: str, added: list[str]) -> None:
    """However an invoice is brought again under a longer number, its stem is the same."""
    assume(not is_period(number))
    text = number
    for ending in added:
        if text[-1].isalpha() and ending[0].isalnum():
            continue  # two letters in a row: nobody can tell where the number ends
        text += ending
    assert marks.number_stem(text) == marks.number_stem(number)


def is_period(number: str) -> bool:
    """Whether the digits are a year, a month or a day, after which a counter is the number itself."""
    digits = "".join(filter(str.isdigit, number))
    return digits.startswith(("19", "20")) and len(digits) in {4, 6, 8}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("XS-202603-000001", "XS-202603-000002"),
        ("RENT-2026-01", "RENT-2026-02"),
        ("2026/1", "2026/2"),
        ("20260301-1", "20260301-12"),
        ("INV-7", "INV-8"),
        ("INV 1001", "INV 1002"),
        ("A-100", "B-100"),
        ("1001-123", "1001-124"),
    ],
)
def test_numbers_that_count_are_no_copies(one: str, other: str) -> None:
    """The next invoice of a series is another invoice."""
    assert marks.number_stem(one) != marks.number_stem(other)


@given(TEXT, PARTS, TEXT, PARTS)
@example("invoice", ("ab", "c"), "invoice", ("a", "bc"))
@example("a", ("b",), "ab", ())
@example("", ("",), "", ())
@example("a", (("b", "c", "d"),), "a", ("b", "c", "d"))
@example('a","b', (), "a", ("b",))
def test_marks_are_injective(kind: str, parts: tuple[Any, ...], kind2: str, parts2: tuple[Any, ...]) -> None:
    """Only equal kinds and parts have equal marks, wherever the text is cut."""
    one, other = marks.mark(b"key", kind, *parts), marks.mark(b"key", kind2, *parts2)
    assert (one == other) == ((kind, parts) == (kind2, parts2))


@given(st.binary(max_size=200), TEXT, PARTS)
def test_a_mark_is_what_the_contract_says(key: bytes, kind: str, parts: tuple[Any, ...]) -> None:
    """Another implementation of RFC 8785 under plain HMAC gives the same: partners need nothing of ours."""
    message = rfc8785.dumps([kind, *(list(part) if isinstance(part, tuple) else part for part in parts)])
    assert marks.mark(key, kind, *parts) == hmac.new(key, message, hashlib.sha256).digest()


def test_the_published_vector() -> None:
    """Marks computed years ago by other platforms must still be recognised: these never change."""
    told = VECTOR["invoice"]
    paper = Paper(
        tuple(told["seller"]),
        tuple(told["obligor"]),
        told["number"],
        told["currency"],
        date.fromisoformat(told["issue_date"]),
        date.fromisoformat(told["due_date"]),
        tuple((kind, sha256) for kind, sha256 in told["documents"]),
    )
    found = marks.marks_of(paper, group_key=bytes.fromhex(VECTOR["group_key"]))
    assert marks.normalised_number(told["number"]) == VECTOR["normalised_number"]
    assert marks.number_stem(told["number"]) == VECTOR["number_stem"]
    assert {
        "invoice": found.invoice.hex(),
        "document": [mark.hex() for mark in found.documents],
        "similar": [[kind, mark.hex()] for kind, mark in found.similar],
    } == VECTOR["marks"]
    assert {kind for kind, _ in found.similar} == set(marks.SIMILAR)


def test_every_key_gives_other_marks() -> None:
    """Group key and secret differ from each other and from what they come from; another secret stores otherwise."""
    keys = marks.keys_from(bytes(32))
    assert len({bytes(32), keys.group, keys.secret, *marks.keys_from(bytes([1] * 32))}) == 5
    given_marks = Marks(b"a" * 32, (b"b" * 32,), (("terms", b"c" * 32),))
    kept = [marks.stored(key, given_marks) for key in (keys.group, keys.secret)]
    flat = {mark for one in kept for mark in (one.invoice, *one.documents, *(mark for _, mark in one.similar))}
    assert len(flat) == 6
    assert {len(mark) for mark in flat} == {16}
