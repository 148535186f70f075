"""Papers: hashed as they come, named in the record or in a fact after it; their bytes stay at home."""

import hashlib
from typing import Any

import msgspec
from sqlalchemy import text

from exchange.receivables.documents import MOST_PAPERS
from ledger.encoding import parse_base64url
from tests.exchange.house import House
from tests.exchange.receivables.shared import add_platform, at_once, entered, owed_by, twin

CONFIRM = {"outcome": "accepted", "grade": "explicit", "confirmed_date": "2026-03-02"}


def upload(house: House, asset_id: str, content: bytes, *, kind: str = "invoice", query: str = "") -> dict[str, Any]:
    """Upload a paper; the answer."""
    response = house.platform.call("POST", f"/v1/receivables/{asset_id}/documents/{kind}{query}", raw=content)
    assert response.status_code in {201, 404, 409, 413, 422}, response.text
    body: dict[str, Any] = response.get_json(force=True)
    return body


def confirm(house: House, asset_id: str) -> None:
    """Pass an acceptance on."""
    house.platform.post("/v1/confirmations", {"items": [CONFIRM | {"asset_id": asset_id}]})


def disclosed(house: House, asset_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The records of an asset: kind, and what their disclosures say."""
    house.run()
    records = house.platform.get(f"/v1/assets/{asset_id}/records")["items"]
    return [
        (one["kind"], {name: value for _, name, value in map(_decoded, one["disclosures"])})
        for one in records
        if one["kind"] != "asset.scored"
    ]


def _decoded(disclosure: str) -> Any:  # noqa: ANN401 - salt, name, value
    return msgspec.json.decode(parse_base64url(disclosure))


def test_papers_before_birth_are_in_the_record(house: House) -> None:
    """With those named at submission; the digest is that of the bytes; the bytes are nowhere."""
    named = {"kind": "order", "sha256": hashlib.sha256(b"order").hexdigest()}
    (asset_id,) = entered(house, owed_by("papers", "PAPERS-1", documents=[named]))
    content = b"%PDF-1.7 invoice of PAPERS-1 \x00\xff"
    sha256 = hashlib.sha256(content).hexdigest()
    answer = upload(house, asset_id, content, query="?name=发票.pdf")
    assert answer == {"kind": "invoice", "sha256": sha256, "size_bytes": len(content)}
    assert upload(house, asset_id, content) == answer
    assert upload(house, asset_id, b"order", kind="order")["sha256"] == named["sha256"]
    confirm(house, asset_id)
    ((kind, shown),) = disclosed(house, asset_id)
    assert kind == "asset.confirmed"
    assert shown["documents"] == [named, {"kind": "invoice", "sha256": sha256}]
    with house.services.database.transaction() as session:
        row = session.execute(
            text("SELECT * FROM document WHERE asset_id = :id AND kind = 'invoice'"), {"id": asset_id}
        ).one()
    assert (row.name, row.media_type, row.size_bytes) == ("发票.pdf", "application/json", len(content))


def test_papers_after_birth_are_facts(house: House) -> None:
    """Once each; what the record names already is none; a refused receivable has no chain."""
    (asset_id, void) = entered(house, owed_by("after", "AFTER-1"), owed_by("after", "AFTER-2"))
    upload(house, asset_id, b"first")
    confirm(house, asset_id)
    refusal = CONFIRM | {"asset_id": void, "outcome": "refused", "reason": "no"}
    house.platform.post("/v1/confirmations", {"items": [refusal]})
    for _ in range(2):
        upload(house, asset_id, b"second", kind="contract")
        upload(house, asset_id, b"first")
        upload(house, void, b"second")
    kinds = disclosed(house, asset_id)
    assert [kind for kind, _ in kinds] == ["asset.confirmed", "asset.document_added"]
    assert kinds[1][1] == {"sha256": hashlib.sha256(b"second").hexdigest()}
    assert disclosed(house, void) == []


def test_an_upload_and_an_answer_at_once(house: House) -> None:
    """Whichever is first, the chain names the paper exactly once."""
    ids = entered(house, *(owed_by("meets", f"MEETS-{number}") for number in range(12)))
    programs = [twin(house, house.platform) for _ in range(2)]
    for program in programs:
        program.token = program.sign_in()

    def step(number: int) -> None:
        for asset_id in ids:
            if number:
                programs[1].post("/v1/confirmations", {"items": [CONFIRM | {"asset_id": asset_id}]})
            else:
                programs[0].call("POST", f"/v1/receivables/{asset_id}/documents/invoice", raw=asset_id.encode())

    at_once(2, step)
    for asset_id in ids:
        sha256 = hashlib.sha256(asset_id.encode()).hexdigest()
        named = [
            paper["sha256"] for _, shown in disclosed(house, asset_id) for paper in shown.get("documents", [shown])
        ]
        assert named == [sha256]


def test_what_cannot_be_uploaded(house: House) -> None:
    """To another's receivable, of a kind nobody knows, empty, too large, with a name too long, one too many."""
    (asset_id,) = entered(house, owed_by("refused", "UPLOADS"))
    other = add_platform(house, "Stranger who uploads")
    path = f"/v1/receivables/{asset_id}/documents/invoice"
    assert other.call("POST", path, raw=b"x").status_code == 404
    assert upload(house, asset_id, b"x", kind="letter")["code"] == "not_found"
    assert upload(house, asset_id, b"")["errors"][0]["code"] == "empty_file"
    assert upload(house, asset_id, b"x" * (5 * 1024 * 1024 + 1))["code"] == "request_entity_too_large"
    assert upload(house, asset_id, b"x", query="?name=" + "n" * 201)["code"] == "invalid_request"
    assert house.funders[0].call("POST", path, raw=b"x").status_code == 403
    for number in range(MOST_PAPERS):
        upload(house, asset_id, f"paper {number}".encode())
    assert upload(house, asset_id, b"one too many")["code"] == "too_many_documents"
    assert "sha256" in upload(house, asset_id, b"paper 0")
    with house.services.database.transaction() as session:
        count = session.execute(
            text("SELECT count(*) FROM document WHERE asset_id = :id"), {"id": asset_id}
        ).scalar_one()
    assert count == MOST_PAPERS


def test_an_upload_is_repeated_by_its_key(house: House) -> None:
    """The same key and bytes: the same answer; other bytes under it are refused; any type of file is taken."""
    (asset_id,) = entered(house, owed_by("repeats", "REPEATS"))
    path = f"/v1/receivables/{asset_id}/documents/invoice"
    first, again = (house.platform.call("POST", path, raw=b"file", key="upload-once") for _ in range(2))
    assert first.data == again.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert house.platform.call("POST", path, raw=b"other", key="upload-once").status_code == 422
    headers = {"Authorization": f"Bearer {house.platform.token}", "Idempotency-Key": "typed"}
    web = house.platform.web
    typed = web.post(path, data=b"scan", content_type="image/tiff", headers=headers)
    assert typed.status_code == 201
    bare = web.post(path, data=b"scan 2", headers=headers | {"Idempotency-Key": "bare"})
    assert bare.status_code == 201
    with house.services.database.transaction() as session:
        query = text("SELECT media_type FROM document WHERE asset_id = :id ORDER BY size_bytes")
        assert list(session.execute(query, {"id": asset_id}).scalars())[-2:] == [
            "image/tiff",
            "application/octet-stream",
        ]
