"""How an invoice becomes marks that any two platforms compute alike and nobody can read. For partners to copy.

A mark is HMAC-SHA-256 under the group key (`GET /v1/duplicates/key`) over a JSON array as RFC 8785 writes it (UTF-8, no
spaces), the mark's kind first:

    ["invoice", seller, number]                                  the number normalised
    ["document", sha256]                                         for each document of kind `invoice`
    ["terms", seller, obligor, currency, issue date, due date]
    ["number", seller, currency, stem]                           the stem of the number
    ["delivery_note", sha256]                                    for each
    ["order", currency, sha256]                                  for each
    ["contract", currency, due date, sha256]                     for each

A company is an array of three texts: scheme, namespace, value. The namespace of `uscc` and `lei` is empty, so that all
platforms agree; that of a platform's own number (`platform`) is the platform's id (`org_...`, `ptr_...`), and it means
nothing elsewhere. Dates are written 2026-03-02, digests as 64 hexadecimal digits in lower case, currencies as ISO 4217
does.

The exchange never keeps such a mark: it keeps `stored` of it, under a key that never leaves. Whoever has the group key
cannot recognise an invoice in the tables, and whoever has the tables cannot try invoice numbers on them.
tests/vectors/duplicates.json has an invoice with all its marks.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import orjson

BLOCK_BYTES = 64
"""What SHA-256 takes at a time."""
STORED_BYTES = 16
"""Half of a SHA-256: enough that no two invoices of a world meet, and half the index."""

OWN = "invoice"
"""The kind of document that belongs to one invoice alone."""
SIMILAR = ("terms", "number", "delivery_note", "order", "contract")
"""What two different invoices may have in common that makes one look like the other."""

SPELLING = re.compile(r"[\W_]+")
ENDING = re.compile(
    r"""(?:
        (?<!(?<![0-9])(?:19|20)[0-9]{2})     # after a bare year, month or day a counter is the number itself
        (?<!(?<![0-9])(?:19|20)[0-9]{4})
        (?<!(?<![0-9])(?:19|20)[0-9]{6})
        (?<![\W_])[\W_]+[0-9]{1,2}
      | (?<=[0-9\W_])[a-z]
      | (?<![^\W\d_])
        (?:rev|revision|version|ver|copy|dup|duplicate|corr|corrected|new|bis|ter|副本|重开|补开|补)
        [\W_]*[0-9]{0,2}
      | (?<=[0-9\W_])[rv][\W_]*[0-9]{1,2}
    )[\W_]*$""",
    re.VERBOSE,
)

Company = tuple[str, str, str]
"""Scheme, namespace, value."""


class Paper(NamedTuple):
    """What is read of an invoice to mark it; `documents` are pairs of kind and SHA-256 in hexadecimal."""

    seller: Company
    obligor: Company
    number: str
    currency: str
    issue_date: date
    due_date: date
    documents: tuple[tuple[str, str], ...] = ()


class Marks(NamedTuple):
    """An invoice's marks: what makes it itself, its own documents, and (by kind) what makes it like another."""

    invoice: bytes
    documents: tuple[bytes, ...] = ()
    similar: tuple[tuple[str, bytes], ...] = ()


class Keys(NamedTuple):
    """The key that a group of platforms shares, and the one that no other has."""

    group: bytes
    secret: bytes


def keys_from(fingerprint_key: bytes) -> Keys:
    """Both keys. Neither tells the other or the key they come from: HMAC-SHA-256 is a pseudo-random function."""
    return Keys(*(hmac.digest(fingerprint_key, f"duplicates {use}".encode(), "sha256") for use in ("group", "stored")))


def marks_of(paper: Paper, *, group_key: bytes) -> Marks:
    """The marks of an invoice, as any platform of the group computes them."""
    seller, obligor, currency = paper.seller, paper.obligor, paper.currency
    issued, due = paper.issue_date.isoformat(), paper.due_date.isoformat()
    own: list[bytes] = []
    similar = [
        ("terms", mark(group_key, "terms", seller, obligor, currency, issued, due)),
        ("number", mark(group_key, "number", seller, currency, number_stem(paper.number))),
    ]
    for kind, sha256 in dict.fromkeys(paper.documents):
        one = document_mark(group_key, kind, sha256, currency=currency, due=due)
        if kind == OWN:
            own.append(one)
        else:
            similar.append((kind, one))
    return Marks(invoice_mark(group_key, seller=seller, number=paper.number), tuple(own), tuple(similar))


def document_mark(group_key: bytes, kind: str, sha256: str, *, currency: str, due: str) -> bytes:
    """The mark of a document of an invoice in `currency` that is `due` on a day, written 2026-03-02."""
    if kind == OWN:
        return mark(group_key, "document", sha256)
    if kind == "delivery_note":
        return mark(group_key, kind, sha256)
    if kind == "order":
        return mark(group_key, kind, currency, sha256)
    return mark(group_key, kind, currency, due, sha256)


def invoice_mark(group_key: bytes, *, seller: Company, number: str) -> bytes:
    """What makes an invoice itself: who sold, and its number however it is spelt."""
    return mark(group_key, "invoice", seller, normalised_number(number))


def mark(key: bytes, kind: str, *parts: str | Company) -> bytes:
    """HMAC-SHA-256 over the array of kind and parts: no two arrays read the same."""
    began_inside, began_outside = _begun(key)
    inside, outside = began_inside.copy(), began_outside.copy()
    inside.update(orjson.dumps((kind, *parts)))
    outside.update(inside.digest())
    return outside.digest()


def stored(secret: bytes, marks: Marks) -> Marks:
    """The marks as they are kept."""
    similar = tuple([(kind, blind(secret, one)) for kind, one in marks.similar])
    return Marks(blind(secret, marks.invoice), tuple([blind(secret, one) for one in marks.documents]), similar)


def blind(secret: bytes, one: bytes) -> bytes:
    """A mark as it is kept: keyed BLAKE2b (RFC 7693) under a secret of the exchange alone."""
    return hashlib.blake2b(one, key=secret, digest_size=STORED_BYTES).digest()


def joined(marks: Iterable[bytes]) -> bytes:
    """Stored marks as one value, which a statement takes apart again: drivers write long arrays of bytes slowly."""
    return b"".join(marks)


def listed(values: Iterable[int | str]) -> str:
    """Numbers, ids and other plain words as PostgreSQL writes an array: drivers write long ones slowly."""
    return "{" + ",".join(map(str, values)) + "}"


@lru_cache(maxsize=4096)
def normalised_number(invoice_number: str) -> str:
    """The invoice number without what people write differently: width, case, punctuation, leading zeros."""
    folded = unicodedata.normalize("NFKC", invoice_number).casefold()
    return _bare(folded)


def number_stem(invoice_number: str) -> str:
    """The normalised number without what is added to bring an invoice again.

    Taken off its end, as often as there is one: a counter of one or two digits after punctuation (-1, /02, (2)) unless
    all before it is a year, month or day; a single letter after a digit or punctuation (A, -b); a word for a copy or
    revision with or without a counter (bis, rev 2, v3, copy, dup, corr, new, 副本, 补). A digit has to be left.
    """
    text = unicodedata.normalize("NFKC", invoice_number).casefold()
    while (ending := ENDING.search(text)) and any(map(str.isdigit, text[: ending.start()])):
        text = text[: ending.start()]
    return _bare(text)


@lru_cache(maxsize=16)
def _begun(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """HMAC-SHA-256 (RFC 2104) as far as the key goes: its two blocks hashed once, not for every mark."""
    block = (key if len(key) <= BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(BLOCK_BYTES, b"\0")
    return hashlib.sha256(bytes(one ^ 0x36 for one in block)), hashlib.sha256(bytes(one ^ 0x5C for one in block))


def _bare(folded: str) -> str:
    # Letters that punctuation held apart (Hangul) grow together once it is gone, so they are composed again.
    kept = unicodedata.normalize("NFKC", SPELLING.sub("", folded))
    return kept.lstrip("0") or kept[-1:]
