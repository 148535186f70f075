"""Papers that are uploaded after submission count as if they had come with it."""

import hashlib
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text

from exchange.duplicates import clashes
from exchange.duplicates.actions import release_claims
from tests.exchange.duplicates.shared import add_partner, codes, invoice
from tests.exchange.duplicates.test_similar import alerts
from tests.exchange.duplicates.test_similar import clashes as noted
from tests.exchange.house import Client, House
from tests.exchange.receivables.shared import add_platform, at_once, submit, twin
from tests.exchange.settlement.book import buy, fresh

_numbers = count(1)


def lone(**changes: object) -> dict[str, Any]:
    """An invoice that has nothing in common with any other."""
    number = next(_numbers)
    parties = {role: {"scheme": "platform", "value": f"paper {role} {number * 7919}"} for role in ("seller", "obligor")}
    return invoice(f"{number}-PAPER-{number * 7919}", **(parties | changes))


def named(content: bytes, kind: str) -> dict[str, str]:
    """A paper as a submission names it."""
    return {"kind": kind, "sha256": hashlib.sha256(content).hexdigest()}


def enter(client: Client, **changes: object) -> str:
    """A receivable by its id."""
    (result,) = submit(client, [lone(**changes)])
    return str(result["asset_id"])


def upload(client: Client, asset_id: str, content: bytes, kind: str, key: str | None = None) -> dict[str, Any]:
    """Upload a paper; the answer, with its status."""
    response = client.call("POST", f"/v1/receivables/{asset_id}/documents/{kind}", raw=content, key=key)
    body: dict[str, Any] = response.get_json(force=True)
    return {"status": response.status_code} | body


def rows(house: House, table: str, asset_id: str) -> int:
    """How many rows of a table name an asset."""
    column = "asset_id" if table == "document" else "claim_id"
    query = text(f"SELECT count(*) FROM {table} WHERE {column} = :id")  # noqa: S608 - names of ours
    with house.services.database.transaction() as session:
        return int(session.execute(query, {"id": asset_id}).scalar_one())


@pytest.fixture(scope="module")
def other(house: House) -> Client:
    """Another originator, that sees nothing of the first."""
    return add_platform(house, "Other with papers")


@pytest.mark.parametrize("kind", ["delivery_note", "order", "contract"])
@pytest.mark.parametrize("later", ["submitted", "uploaded"])
def test_a_paper_of_two_is_found(house: House, other: Client, kind: str, later: str) -> None:
    """Whichever came by upload, and across originators; both sides are noted and told, neither learns of the other."""
    content = f"{kind} {later}".encode()
    first = enter(house.platform)
    assert upload(house.platform, first, content, kind).keys() == {"status", "kind", "sha256", "size_bytes"}
    if later == "uploaded":
        second = enter(other)
        house.run()
        answer = upload(other, second, content, kind)
        assert alerts(house) == [(one, "similar") for one in sorted((first, second))]
    else:
        house.run()
        (answer,) = submit(other, [lone(documents=[named(content, kind)])])
        second = answer["asset_id"]
        assert alerts(house) == [(first, "similar")]
    assert answer["similar_elsewhere"] == [{"kind": kind, "count": 1}]
    assert first not in str(answer)
    (clash,) = noted(house, first)
    assert ({clash["known_id"], clash["asked_id"]}, clash["kinds"]) == ({first, second}, [kind])
    house.run()
    assert upload(other, second, content, kind)["similar_elsewhere"] == answer["similar_elsewhere"]
    assert alerts(house) == [], "what is known alerts nobody again"
    own = enter(house.platform)
    assert upload(house.platform, own, content, kind)["near_duplicate_of"] == [first]


def test_an_uploaded_invoice_belongs_to_one(house: House, other: Client) -> None:
    """Another's submission and another's partner claim with it are refused, as if it had been named at submission."""
    first = enter(house.platform)
    assert upload(house.platform, first, b"own invoice", "invoice")["status"] == 201
    house.run()
    item = lone(documents=[named(b"own invoice", "invoice")])
    assert codes(submit(other, [item])) == ["duplicate_receivable"]
    assert codes(add_partner(house, "Paper partner").claim(item)) == ["duplicate_receivable"]
    assert alerts(house) == [(first, "refused")] * 2
    house.run()


def test_the_invoice_of_another_is_refused(house: House, other: Client) -> None:
    """Nothing of it is kept but the clash, once; holders of both sides are told; a repetition gets the same answer."""
    content = b"the invoice of another"
    first = enter(house.platform, documents=[named(content, "invoice")])
    second = enter(other)
    assert upload(house.platform, first, content, "invoice")["status"] == 201, "what was named is its own"
    house.run()
    refused = upload(other, second, content, "invoice", key="refused-paper")
    assert (refused["status"], refused["code"]) == (409, "duplicate_receivable")
    assert first not in str(refused)
    assert alerts(house) == [(one, "refused") for one in sorted((first, second))]
    assert upload(other, second, content, "invoice", key="refused-paper") == refused
    assert upload(other, second, content, "invoice")["status"] == 409
    assert len(alerts(house)) == 2
    house.run()
    assert rows(house, "document", second) == 0
    (clash,) = noted(house, second)
    assert ({clash["known_id"], clash["asked_id"]}, clash["kinds"]) == ({first, second}, ["duplicate_receivable"])
    (seen,) = other.get(f"/v1/clashes?claim_id={second}")["items"]
    assert first not in str(seen)


def test_what_a_pair_has_in_common_grows(house: House, other: Client) -> None:
    """A second paper adds to the clash that is there, and tells the holders again."""
    first, second = enter(house.platform), enter(other)
    house.run()
    for content, kind in [(b"grows 1", "contract"), (b"grows 2", "delivery_note"), (b"grows 3", "invoice")]:
        for client, asset_id in [(house.platform, first), (other, second)]:
            upload(client, asset_id, content, kind)
        assert len(alerts(house)) == 2
        house.run()
    (clash,) = noted(house, first)
    assert clash["kinds"] == ["duplicate_receivable", "delivery_note", "contract"]


def test_what_was_released_holds_no_paper(house: House, other: Client) -> None:
    """Its papers are free for others, and what is uploaded for it counts against nobody."""
    first, second = enter(house.platform), enter(other)
    for content, kind in [(b"free invoice", "invoice"), (b"free note", "delivery_note")]:
        upload(house.platform, first, content, kind)
    with house.services.database.transaction() as session:
        release_claims(session, claim_ids=[first], now=house.services.clock.now(session))
    for content, kind in [(b"free invoice", "invoice"), (b"free note", "delivery_note")]:
        assert upload(other, second, content, kind).keys() == {"status", "kind", "sha256", "size_bytes"}
        assert upload(house.platform, first, content, kind)["status"] == 201, "a paper of nothing claims nothing"
    before = rows(house, "likeness", first)
    assert upload(house.platform, first, b"dead paper", "invoice")["status"] == 201
    assert upload(house.platform, first, b"dead note", "delivery_note")["status"] == 201
    assert rows(house, "likeness", first) == before
    assert upload(other, second, b"dead paper", "invoice")["status"] == 201
    assert "similar_elsewhere" not in upload(other, second, b"dead note", "delivery_note")


def test_one_paper_too_many_leaves_no_mark(house: House, other: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused for another reason is no claim on the paper."""
    first, second = enter(house.platform), enter(other)
    monkeypatch.setattr("exchange.receivables.documents.MOST_PAPERS", 0)
    assert upload(house.platform, first, b"too many", "invoice")["code"] == "too_many_documents"
    monkeypatch.undo()
    assert upload(other, second, b"too many", "invoice")["status"] == 201


def test_a_funder_is_told(house: House, other: Client) -> None:
    """The holder of an asset hears that its invoice was brought for another one."""
    (held,) = buy(house, fresh())
    upload(house.platform, held, b"sold invoice", "invoice")
    second = enter(other)
    before = len(house.events(0))
    upload(other, second, b"sold invoice", "invoice")
    house.run()
    told = [(one["type"], one["data"]) for one in house.events(0)[before:]]
    assert told == [("asset.duplicate_claimed", {"asset_id": held, "kind": "refused"})]


def test_uploads_at_once(house: House, other: Client) -> None:
    """Of two that bring one invoice's paper at the same moment one has it; of a note's both are known as alike."""
    clients = [twin(house, house.platform), twin(house, other)]
    pairs = [[enter(client) for client in clients] for _ in range(8)]
    for client in clients:
        client.token = client.sign_in()

    def step(number: int) -> list[int]:
        answers = []
        for place, pair in list(enumerate(pairs))[:: 1 - 2 * number]:
            answers.append((place, upload(clients[number], pair[number], b"raced %d" % place, "invoice")["status"]))
            upload(clients[number], pair[number], b"note %d" % place, "delivery_note")
        return [status for _, status in sorted(answers)]

    for statuses in zip(*at_once(2, step), strict=True):
        assert sorted(statuses) == [201, 409]
    house.run()
    for pair in pairs:
        (clash,) = noted(house, pair[0])
        assert clash["kinds"] == ["duplicate_receivable", "delivery_note"]


def test_an_upload_and_a_submission_at_once(house: House, other: Client) -> None:
    """One has the paper; nobody is stuck, whichever is first."""
    uploader, submitter = twin(house, house.platform), twin(house, other)
    ids = [enter(uploader) for _ in range(8)]
    items = [lone(documents=[named(b"meets %d" % place, "invoice")]) for place in range(8)]
    submitter.token = submitter.sign_in()

    def step(number: int) -> list[int]:
        if number:
            return [result["status"] for result in submit(submitter, items)]
        return [upload(uploader, one, b"meets %d" % place, "invoice")["status"] for place, one in enumerate(ids)]

    for statuses in zip(*at_once(2, step), strict=True):
        assert sorted(statuses) == [201, 409]


def test_a_flood_is_few_pieces_of_work(house: House, other: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty that look like twenty others alert each once, in as many pieces as are needed and no more."""
    monkeypatch.setattr(clashes, "MOST_ALERTED", 8)
    note = [named(b"flood", "delivery_note")]
    first = submit(house.platform, [lone(documents=note) for _ in range(20)])
    house.run()
    submit(other, [lone(documents=note) for _ in range(40)])
    told = alerts(house)
    assert sorted(told) == sorted((one["asset_id"], "similar") for one in first)
    with house.services.database.transaction() as session:
        query = text("SELECT count(*) FROM work_item WHERE job = 'title.alert'")
        assert session.execute(query).scalar_one() == 3
    house.run()
