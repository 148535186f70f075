"""What the tables and the answers do not tell."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from exchange.duplicates.marks import keys_from, normalised_number
from exchange.migrations.tables import METADATA
from tests.exchange.duplicates.shared import SELLER, add_partner, document, invoice
from tests.exchange.house import House
from tests.exchange.receivables.shared import add_platform, submit

NUMBER = "SECRET 774411-09/X"
NOTE = document("a very private note", "delivery_note")
OWN = {"invoice", "invoice_document", "invoice_claim", "likeness", "clash", "partner", "partner_day"}


def _dump(house: House) -> Iterator[tuple[str, str]]:
    """Every row of every table as text, bytes in hexadecimal."""
    with house.services.database.transaction() as session:
        for table in (table for metadata in METADATA for table in metadata.tables.values()):
            for row in session.execute(text(f'SELECT t::text FROM "{table.name}" AS t')).scalars():  # noqa: S608 - ours
                yield table.name, str(row).lower()


def _traces(paper: dict[str, Any], group_key: bytes) -> set[str]:
    """Whatever would let a reader with the group key, or without any, try an invoice number on what is kept."""
    plain = {paper["invoice_number"], normalised_number(paper["invoice_number"]), SELLER["value"], NOTE["sha256"]}
    hashes = {getattr(hashlib, name)(one.encode()).hexdigest() for one in plain for name in ("md5", "sha1", "sha256")}
    keyed = {hmac.digest(group_key, one.encode(), "sha256").hex() for one in plain}
    return {trace.lower()[:32] for trace in plain | hashes | keyed}


def test_nothing_of_a_partners_invoice_is_anywhere(house: House) -> None:
    """No table has its number, its parties, its papers, a bare hash of them, or a mark as the partner computes it."""
    partner = add_partner(house, "Blind")
    paper = invoice(NUMBER, documents=[NOTE, document("private")])
    blind = partner.blind(paper)
    assert partner.claim(paper)[0]["status"] == 201
    assert partner.claim(paper)[0]["status"] == 409
    inner = {blind["invoice"], *blind["documents"], *(one["mark"] for one in blind["similar"])}
    traces = _traces(paper, partner.group_key) | {mark[:32] for mark in inner} | {partner.group_key.hex()[:32]}
    seen = 0
    for table, row in _dump(house):
        if table == "idempotency_outcome":  # the answer as it was given: it shows the sender its own mark
            continue
        seen += table in OWN
        assert not [trace for trace in traces if trace in row], table
    assert seen >= 8


def test_nothing_of_a_platforms_invoice_is_in_the_guard(house: House) -> None:
    """The same of what is submitted, and of keys: without the exchange's own the guard's tables tell nothing."""
    paper = invoice(f"{NUMBER}-2", documents=[NOTE, document("private too")])
    (result,) = submit(house.platform, [paper])
    assert result["status"] == 201
    key = house.services.keyring.fingerprint_key
    keys = keys_from(key)
    traces = _traces(paper, keys.group) | {one.hex()[:32] for one in (key, *keys)}
    for table, row in _dump(house):
        if table in OWN:
            assert not [trace for trace in traces if trace in row], table


def test_answers_do_not_name_what_others_have(house: House) -> None:
    """Two platforms and a partner with one debt: no answer has an id, a name or an amount that is another's."""
    other, partner = add_platform(house, "Hidden originator"), add_partner(house, "Hidden partner")
    first = invoice("HIDE-1", face_minor=654_321, documents=[document("hidden", "delivery_note")])
    (known,) = submit(house.platform, [first])
    secrets = {known["asset_id"], house.originator_id, "654321", "654_321"}
    copy = first | {"invoice_number": "HIDE-88", "face_minor": 7_777}
    bad = first | {"face_minor": 7_777}
    told = [
        *submit(other, [copy, bad]),
        *partner.check(copy, bad),
        *partner.claim(copy | {"invoice_number": "HIDE-99"}, bad),
        other.get("/v1/clashes"),
        partner.client.get("/v1/clashes"),
        partner.client.get("/v1/invoice-claims"),
    ]
    assert not [secret for secret in secrets if secret in str(told)]
    assert told[0]["similar_elsewhere"] == [{"kind": "delivery_note", "count": 1}]
