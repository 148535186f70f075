"""Invoices that look like others are found, told as far as may be told, and whoever holds the elder one hears of it."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from exchange.duplicates import actions, jobs
from exchange.duplicates.actions import Answer
from exchange.duplicates.marks import Paper, keys_from, marks_of, stored
from exchange.duplicates.rules import Asked
from exchange.jobs import WorkItem
from exchange.replay.rows import ReplayRow
from exchange.replay.synthetic import make_book
from exchange.services import Services
from tests.exchange.duplicates.shared import OBLIGOR, SELLER, Partner, add_partner, codes, document, invoice
from tests.exchange.house import House
from tests.exchange.receivables.shared import add_platform, submit

FACE = 1_000_000
DELIVERY, ORDER, CONTRACT = (document(kind, kind) for kind in ("delivery_note", "order", "contract"))


def original(name: str, **changes: object) -> dict[str, Any]:
    """An invoice with all its papers."""
    papers = [document(f"{kind} {name}"[:30], kind) for kind in ("delivery_note", "order", "contract")]
    return invoice(f"{name}-1001", **({"face_minor": FACE, "obligor": obligor(name), "documents": papers} | changes))


def obligor(name: str) -> dict[str, str]:
    """A company known by one number to nobody else."""
    return {"scheme": "platform", "value": f"obligor {name}"}


def other_papers(name: str) -> list[dict[str, str]]:
    """Papers of another delivery."""
    return [document(f"{kind} not {name}"[:30], kind) for kind in ("delivery_note", "order", "contract")]


def disguises(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The same debt brought again, and by what it has to be found."""
    fresh = {"documents": other_papers(name)}
    dates = {"issue_date": "2026-03-01", "due_date": "2026-05-30"}
    number = f"{name}-1001"
    ours = original(name)["documents"]
    return [
        *(("number", original(name, invoice_number=one, **fresh, **dates)) for one in (f"{number}A", f"{number}-1")),
        *(("number", original(name, invoice_number=one, **fresh, **dates)) for one in (f"{number}/2", f"{number} bis")),
        (
            "number",
            original(name, invoice_number=f"{name.lower()} 1001 rev.2", face_minor=FACE - 20_000, **fresh, **dates),
        ),
        *(
            ("terms", original(name, invoice_number=f"ELSE-{face_minor}", face_minor=face_minor, **fresh))
            for face_minor in (FACE, FACE + 5_000, FACE - 5_000, FACE + 25_000, FACE - 24_000)
        ),
        ("delivery_note", original(name, invoice_number="N-1", face_minor=5, **dates, documents=ours[:1])),
        ("order", original(name, invoice_number="N-2", face_minor=FACE - 1_000, **dates, documents=ours[1:2])),
        (
            "contract",
            original(name, invoice_number="N-3", face_minor=FACE + 1_000, issue_date="2026-03-01", documents=ours[2:]),
        ),
    ]


@pytest.mark.parametrize("case", range(len(disguises(""))))
def test_every_disguise_is_found(house: House, case: int) -> None:
    """On one platform, with the asset named; on a partner's, blind, with the kind alone, before claiming and after."""
    name = f"CASE{case}x"
    kind, copy = disguises(name)[case]
    (known,) = submit(house.platform, [original(name)])
    partner = add_partner(house, f"Partner {case}")
    if kind != "terms":  # the obligor is known by a number of the platform's own
        (checked,) = partner.check(copy)
        assert (checked["verdict"], checked["similar"]) == ("similar", [kind])
        (blind,) = partner.claim(copy)
        assert blind["similar_elsewhere"] == [{"kind": kind, "count": 1}]
        assert "similar_to" not in blind
        partner.release(blind["claim_id"])
    (flagged,) = submit(house.platform, [copy])
    assert flagged["near_duplicate_of"] == [known["asset_id"]]
    assert "similar_elsewhere" not in flagged


def test_honest_ones_are_not_found(house: House) -> None:
    """Another week, another amount, the next number, a frame contract, an order in two deliveries."""
    first = original("HONEST")
    papers = first["documents"]
    others = [
        original("HONEST", invoice_number="HONEST-1002", documents=[], issue_date="2026-02-23", due_date="2026-05-24"),
        original("HONEST", invoice_number="HONEST-1003", documents=[], face_minor=FACE + 30_000),
        original(
            "HONEST", invoice_number="HONEST-1004", documents=papers[1:2], face_minor=FACE // 2, due_date="2026-07-01"
        ),
        original("HONEST", invoice_number="HONEST-1005", documents=papers[2:], due_date="2026-06-30"),
    ]
    results = submit(house.platform, [first, *others])
    assert codes(results) == [None] * 5
    assert [result for result in results if "near_duplicate_of" in result] == []


def test_shares_of_one_invoice_are_no_likeness(house: House) -> None:
    """Two that finance parts of one invoice know that they do."""
    other = add_platform(house, "Sharing")
    for client in (house.platform, other, other):
        (result,) = submit(client, [original("PARTS", face_minor=100_000, invoice_face_minor=FACE)])
        assert result.keys() == {"index", "status", "asset_id"}


def test_what_was_released_is_like_nothing(house: House) -> None:
    """An invoice that was withdrawn and comes back under another number is no second debt."""
    (known,) = submit(house.platform, [original("GONE")])
    with house.services.database.transaction() as session:
        now = house.services.clock.now(session)
        actions.release_claims(session, claim_ids=[known["asset_id"]], now=now)
    (again,) = submit(house.platform, [original("GONE", invoice_number="GONE-1001-A")])
    assert "near_duplicate_of" not in again


def clashes(house: House, claim_id: str) -> list[dict[str, Any]]:
    """What the operator sees of a claim's clashes."""
    items: list[dict[str, Any]] = house.operator.get(f"/v1/clashes?claim_id={claim_id}")["items"]
    return items


def alerts(house: House) -> list[tuple[str, str]]:
    """The alerts on the list of work."""
    with house.services.database.transaction() as session:
        rows = session.query(WorkItem).filter_by(job="title.alert").order_by(WorkItem.work_id)
        return [(asset_id, row.payload["kind"]) for row in rows for asset_id in row.payload["asset_ids"]]


def test_a_later_clash_is_noted_and_told(house: House) -> None:
    """A refused claim and a look-alike: one row each, an alert for the asset that was first; each side sees its own."""
    other, partner = add_platform(house, "Later"), add_partner(house, "Later too")
    (first,) = submit(house.platform, [original("CLASH", obligor=SELLER, seller=OBLIGOR)])
    house.run()
    assert codes(submit(other, [original("CLASH", obligor=SELLER, seller=OBLIGOR)])) == ["duplicate_receivable"]
    (blind,) = partner.claim(original("CLASH", obligor=SELLER, seller=OBLIGOR, invoice_number="CLASH-77"))
    assert alerts(house) == [(first["asset_id"], "refused"), (first["asset_id"], "similar")]
    house.run()
    assert alerts(house) == []
    refused, similar = clashes(house, first["asset_id"])
    assert (refused["known_id"], refused["known_holder_id"]) == (first["asset_id"], house.originator_id)
    assert (refused["kinds"], "asked_id" in refused) == (["duplicate_receivable"], False)
    assert similar["kinds"] == ["terms", "delivery_note", "order", "contract"]
    assert {similar["known_id"], similar["asked_id"]} == {first["asset_id"], blind["claim_id"]}
    (own,) = partner.client.get("/v1/clashes")["items"]
    seen = {value for name, value in own.items() if name.endswith("_id") and name != "clash_id"}
    assert seen == {blind["claim_id"], partner.partner_id}
    assert [one["kinds"] for one in other.get("/v1/clashes")["items"]] == [["duplicate_receivable"]]
    ours = house.platform.get(f"/v1/clashes?claim_id={first['asset_id']}")["items"]
    assert blind["claim_id"] not in str(ours)
    assert house.operator.get("/v1/clashes?limit=1")["next"]


def test_batches_that_cannot_see_each_other_are_screened(house: House) -> None:
    """Two look-alikes entered at the same moment: neither answer can name the other, the work after them does."""
    partners = [add_partner(house, f"Blind {number}") for number in range(2)]
    items = [original("SAME", invoice_number=f"SAME-{number}") for number in (1001, 2002)]
    found: list[Answer] = []
    services = house.services
    with services.database.transaction() as one:
        found += _claim(one, services, partners[0], items[0])
        with services.database.transaction() as other:
            found += _claim(other, services, partners[1], items[1])
    assert [(answer.similar, answer.elsewhere) for answer in found] == [((), ())] * 2
    with services.database.transaction() as session:
        (work,) = session.query(WorkItem).filter_by(job=actions.SCREEN_JOB)
        for _ in range(2):  # done twice, it is noted once
            jobs.screen(services, session, work.payload)
    (clash,) = clashes(house, str(found[0].claim_id))
    assert {clash["known_id"], clash["asked_id"]} == {answer.claim_id for answer in found}
    house.run()


def _claim(session: Any, services: Services, partner: Partner, item: dict[str, Any]) -> list[Answer]:  # noqa: ANN401 - session
    keys = keys_from(services.keyring.fingerprint_key)
    paper = Paper(
        ("uscc", "", SELLER["value"]),
        ("platform", "", item["obligor"]["value"]),
        item["invoice_number"],
        "CNY",
        date(2026, 3, 1),
        date(2026, 5, 1),
    )
    marks = stored(keys.secret, marks_of(paper, group_key=keys.group))
    asked = [Asked(partner.partner_id, item["invoice_number"], marks, "CNY", FACE, FACE)]
    now = services.clock.now(session)
    return actions.claim(session, asked=asked, prefix="icl", now=now, entropy=services.entropy)


def test_the_synthetic_book(house: House) -> None:
    """Of 2,400 receivables every planted duplicate is refused or flagged; of honest ones hardly any is flagged."""
    rows = make_book(seed=11, start=date(2026, 3, 2))
    live = [row for row in rows if row.submitted_date >= date(2026, 3, 2)]
    found = dict(zip((row.hidden["ref"] for row in live), _enter_book(house, live), strict=True))
    planted = {
        kind: [found[row.hidden["ref"]] for row in live if row.hidden.get("plant") == kind]
        for kind in ("duplicate_exact", "duplicate_renumbered", "duplicate_near")
    }
    assert [len(answers) for answers in planted.values()] == [18, 24, 16]
    assert {one.code for one in planted["duplicate_exact"] + planted["duplicate_renumbered"]} == {
        "duplicate_receivable"
    }
    assert all(one.similar for one in planted["duplicate_near"])
    honest = [found[row.hidden["ref"]] for row in live if "plant" not in row.hidden]
    assert [one for one in honest if one.code] == []
    flagged = sum(bool(one.similar) for one in honest)  # two deliveries of a day at almost one price
    assert flagged <= len(honest) // 200
    standing = [(row.hidden["ref"], row.hidden["lookalike_of"]) for row in live if "lookalike_of" in row.hidden]
    assert [ref for ref, other in standing if found[other].claim_id in found[ref].similar] == []


def _enter_book(house: House, rows: list[ReplayRow]) -> list[Answer]:
    """The answers to the rows, in batches, as their platform would claim them."""
    services, answers = house.services, list[Answer]()
    keys = keys_from(services.keyring.fingerprint_key)
    for first in range(0, len(rows), 400):
        asked = []
        for row in rows[first : first + 400]:
            seller, obligor = (("platform", "org_book", company.value) for company in (row.seller, row.obligor))
            papers = tuple((paper.kind, paper.sha256) for paper in row.documents)
            paper = Paper(seller, obligor, row.invoice_number, row.currency, row.issue_date, row.due_date, papers)
            marks = stored(keys.secret, marks_of(paper, group_key=keys.group))
            purpose = row.hidden["ref"]
            asked.append(Asked("org_book", purpose, marks, row.currency, row.face_minor, row.face_minor))
        with services.database.transaction() as session:
            now = services.clock.now(session)
            answers += actions.claim(session, asked=asked, prefix="ast", now=now, entropy=services.entropy)
            session.execute(text("DELETE FROM work_item WHERE job = 'title.alert'"))  # there are no such assets
    return answers
