"""What a letter to a late obligor says, as plain text and as HTML: a function of its data, byte for byte."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from exchange.title.papers import money

HERE = Path(__file__).parent
WORDS: dict[str, Any] = msgspec.json.decode((HERE / "letters.json").read_bytes())
"""Subjects, paragraphs and labels, in Chinese and English."""
TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


class Line(Struct, frozen=True):
    """An asset as a letter lists it; interest and charges besides what is owed."""

    asset_id: str
    invoice_number: str
    due_date: date
    days_past_due: int
    currency: str
    outstanding_minor: int
    interest_minor: int = 0


class Account(Struct, frozen=True):
    """Where to pay one currency."""

    currency: str
    account: str


class Broken(Struct, frozen=True):
    """The promise that a letter is about."""

    due_on: date
    currency: str
    amount_minor: int


class Letter(Struct, frozen=True):
    """Everything a letter says."""

    letter_id: str
    template: str
    language: str
    creditor: str
    obligor: str
    made_on: date
    reply_by: date
    lines: tuple[Line, ...]
    accounts: tuple[Account, ...]
    promise: Broken | None = None


class Written(NamedTuple):
    """A letter as it is kept. The digest is the SHA-256 of text and HTML, each after its length in bytes."""

    subject: str
    text: str
    html: str
    digest: str


def write(letter: Letter) -> Written:
    """The letter in its language."""
    words, own = WORDS["words"][letter.language], WORDS[letter.template][letter.language]
    subject = own["subject"]
    body = [paragraph.format_map(_filling(letter)) for paragraph in own["body"]]
    rows = [_cells(place, line) for place, line in enumerate(letter.lines, start=1)]
    payment = _payment(letter, words)
    shown = {"letter": _plain_letter(letter), "subject": subject, "words": words, "body": body}
    html = TEMPLATES.get_template("collections/letter.html").render(**shown, rows=rows, payment=payment)
    text = _text(shown["letter"], subject, words=words, body=body, rows=rows, payment=payment)
    return Written(subject, text, html, digest_of(text, html))


def digest_of(text: str, html: str) -> str:
    """By what a letter is known: nobody can say later that another one was written."""
    mark = sha256()
    for part in (text.encode(), html.encode()):
        mark.update(f"{len(part)}:".encode() + part)
    return mark.hexdigest()


def plain(value: str) -> str:
    """A name without characters that break lines, reverse the order of others, or cannot be seen."""
    return "".join(" " if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"} else one for one in value)


def totals(lines: Iterable[Line]) -> dict[str, int]:
    """What is owed with interest, by currency."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.currency] = sums.get(line.currency, 0) + line.outstanding_minor + line.interest_minor
    return dict(sorted(sums.items()))


def _plain_letter(letter: Letter) -> dict[str, str]:
    return {
        "letter_id": letter.letter_id,
        "language": letter.language,
        "creditor": plain(letter.creditor),
        "obligor": plain(letter.obligor),
        "made_on": letter.made_on.isoformat(),
    }


def _filling(letter: Letter) -> dict[str, str]:
    filling = {"reply_by": letter.reply_by.isoformat()}
    if letter.promise is None:
        return filling
    promised = money(letter.promise.amount_minor, letter.promise.currency)
    return filling | {"promised": promised, "promised_on": letter.promise.due_on.isoformat()}


def _cells(place: int, line: Line) -> tuple[str, ...]:
    return (
        str(place),
        line.asset_id,
        plain(line.invoice_number),
        line.due_date.isoformat(),
        str(line.days_past_due),
        money(line.outstanding_minor, line.currency),
        money(line.interest_minor, line.currency) if line.interest_minor else "-",
    )


def _payment(letter: Letter, words: dict[str, str]) -> list[str]:
    colon = words["colon"]
    sums = " + ".join(money(amount, currency) for currency, amount in totals(letter.lines).items())
    accounts = [f"{words['account']}{colon}{one.currency} {plain(one.account)}" for one in letter.accounts]
    reference = f"{words['reference']}{colon}{', '.join(line.asset_id for line in letter.lines)}"
    return [f"{words['total']}{colon}{sums}", *accounts, reference, f"{words['by']}{colon}{letter.reply_by}"]


def _text(
    letter: dict[str, str],
    subject: str,
    *,
    words: dict[str, str],
    body: Sequence[str],
    rows: Sequence[Sequence[str]],
    payment: Sequence[str],
) -> str:
    colon = words["colon"]
    columns = [words[name] for name in ("no", "asset", "invoice", "due", "days", "owed", "interest")]
    head = (("from", "creditor"), ("to", "obligor"), ("number", "letter_id"), ("date", "made_on"))
    return "\n".join(
        (
            *(f"{words[name]}{colon}{letter[part]}" for name, part in head),
            "",
            subject,
            "",
            *body,
            "",
            " | ".join(columns),
            *(" | ".join(row) for row in rows),
            "",
            *payment,
            "",
        )
    )
