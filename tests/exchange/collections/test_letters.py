"""Letters: golden in both languages, deterministic, and inert whatever names they are given."""

from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from exchange.collections.letters import WORDS, Account, Broken, Letter, Line, digest_of, plain, totals, write
from exchange.collections.policies import LANGUAGES, LETTERS

GOLDEN = Path(__file__).parents[2] / "vectors" / "letters"
LETTER = Letter(
    letter_id="ltr_01h455vb4pex5vsknk084sn02q",
    template="dunning_1",
    language="zh",
    creditor="日出塑料平台",
    obligor="浙江新塑有限公司 (uscc:91330000MA27U00001)",
    made_on=date(2026, 3, 12),
    reply_by=date(2026, 3, 19),
    lines=(
        Line("ast_01h455vb4pex5vsknk084sn02q", "A-1", date(2026, 3, 8), 4, "CNY", 1_234_567, 89),
        Line("ast_01h455vb4pex5vsknk084sn02r", "A-2", date(2026, 3, 8), 4, "JPY", 5_000),
    ),
    accounts=(Account("CNY", "6222000011112222"), Account("JPY", "7100000000000001")),
    promise=Broken(date(2026, 3, 10), "CNY", 1_000_000),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", LETTERS)
def test_golden(template: str, language: str) -> None:
    """Text, HTML and digest of each letter, byte for byte."""
    written = write(structs.replace(LETTER, template=template, language=language))
    kept = msgspec.json.decode((GOLDEN / f"{template}.{language}.json").read_bytes())
    assert written._asdict() == kept
    assert written.digest == digest_of(written.text, written.html)


def test_every_letter_is_in_every_language() -> None:
    """No letter is missing a language, nor a language a word."""
    assert {"words", *LETTERS} == WORDS.keys()
    assert all(set(LANGUAGES) == one.keys() for one in WORDS.values())
    assert WORDS["words"]["zh"].keys() == WORDS["words"]["en"].keys()


HOSTILE = '<script>alert("x")</script>{reply_by}{{ 7 * 7 }}%s'


def test_names_are_only_names() -> None:
    """Markup, braces and what turns the order of letters around do nothing in a name."""
    names = {"creditor": HOSTILE, "obligor": f"{HOSTILE}\u202e\u2028x\r\n"}
    line = structs.replace(LETTER.lines[0], invoice_number=HOSTILE)
    written = write(structs.replace(LETTER, **names, lines=(line,)))
    assert "<script" not in written.html
    assert "49" not in written.html.replace(LETTER.letter_id, "")
    assert "{reply_by}" in written.html
    assert "{reply_by}" in written.text
    assert "\u202e" not in written.text + written.html
    assert written.text.count("\n") == write(structs.replace(LETTER, lines=(line,))).text.count("\n")


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_a_plain_name_is_one_line(name: str) -> None:
    """What breaks lines or cannot be seen is a space; everything else stays."""
    kept = plain(name)
    assert len(kept.splitlines() or [""]) == 1
    assert len(kept) == len(name)
    assert plain(kept) == kept


def test_sums_by_currency() -> None:
    """Interest counts, and amounts of different currencies are never added up."""
    assert totals(LETTER.lines) == {"CNY": 1_234_656, "JPY": 5_000}


def test_digests_tell_text_from_html() -> None:
    """What is moved from the one to the other is another letter."""
    assert len({digest_of("ab", "c"), digest_of("a", "bc"), digest_of("", "abc")}) == 3
