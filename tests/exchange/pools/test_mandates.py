"""Mandates through the API: versions, contradictions, and whose they are."""

from functools import partial
from typing import Any

import msgspec
import pytest

from tests.exchange.house import House, mandate
from tests.exchange.pools.book import terms
from tests.exchange.pools.contention import at_once
from tests.exchange.pools.shared import invoice, twin


def in_force(house: House, funder: int, name: str) -> list[dict[str, Any]]:
    """A funder's mandates of this name, as it lists them."""
    return [one for one in house.funders[funder].get("/v1/mandates")["items"] if one["name"] == name]


def test_the_same_name_is_the_next_version(shared: House) -> None:
    """One mandate, its last version in force, with every term as it was said and the defaults filled in."""
    bank = shared.funders[0]
    first = bank.post("/v1/mandates", mandate(name="steady"))
    second = bank.post("/v1/mandates", mandate(name="steady", budget_minor=7, auto_commit=True, rank=3))
    assert (first["version"], second["version"]) == (1, 2)
    assert first["mandate_id"] == second["mandate_id"]
    (shown,) = in_force(shared, 0, "steady")
    assert shown["version"] == 2
    assert shown["used_minor"] == 0
    said = {name: value for name, value in mandate(budget_minor=7, auto_commit=True, rank=3).items() if name != "name"}
    assert shown["terms"] | said == shown["terms"]
    filled_in = {name: value for name, value in shown["terms"].items() if name not in said}
    assert filled_in == {name: msgspec.json.decode(msgspec.json.encode(getattr(terms(), name))) for name in filled_in}
    assert shown["state"] == "in_force"


def test_a_repeated_request_is_no_new_version(shared: House) -> None:
    """The same key gives the first answer; another body under it is refused."""
    bank, body = shared.funders[0], mandate(name="repeated")
    answers = [bank.post("/v1/mandates", body, key="mandate-1") for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert bank.refused("POST", "/v1/mandates", body | {"rank": 2}, key="mandate-1")["code"] == "idempotency_key_reused"
    assert [one["version"] for one in in_force(shared, 0, "repeated")] == [1]


def test_a_mandate_is_its_funders_own(shared: House) -> None:
    """Two funders may use one name; neither sees, changes or asks the other's."""
    bank, other = shared.funders
    own = bank.post("/v1/mandates", mandate(name="core"))
    others = other.post("/v1/mandates", mandate(name="core"))
    assert own["mandate_id"] != others["mandate_id"]
    assert others["version"] == 1
    assert [one["mandate_id"] for one in in_force(shared, 1, "core")] == [others["mandate_id"]]
    (asset_id,) = shared.submit(invoice(shared))
    assert other.get(f"/v1/mandates/{others['mandate_id']}/why-not/{asset_id}")["version"] == 1
    assert other.refused("GET", f"/v1/mandates/{own['mandate_id']}/why-not/{asset_id}")["code"] == "not_found"
    missing = "ast_01h455vb4pex5vsknk084sn02q"
    assert other.refused("GET", f"/v1/mandates/{others['mandate_id']}/why-not/{missing}")["code"] == "not_found"


def test_contradictions_are_refused_all_at_once(shared: House) -> None:
    """Limits that no asset can meet, and a currency that is none, each with its pointer; nothing is kept."""
    body = mandate(
        name="muddled", currency="XXX", min_tenor_days=8, max_tenor_days=7, min_face_minor=3, max_face_minor=2
    )
    problem = shared.funders[0].refused("POST", "/v1/mandates", body)
    assert problem["status"] == 422
    assert [(fault["code"], fault["pointer"], fault["value"]) for fault in problem["errors"]] == [
        ("unknown_currency", "/currency", "XXX"),
        ("contradictory_limits", "/min_tenor_days", 8),
        ("contradictory_limits", "/min_face_minor", 3),
    ]
    assert in_force(shared, 0, "muddled") == []


def test_limits_may_meet(shared: House) -> None:
    """One tenor and one face are narrow, not contradictory."""
    body = mandate(name="narrow", min_tenor_days=7, max_tenor_days=7, min_face_minor=3, max_face_minor=3)
    assert shared.funders[0].post("/v1/mandates", body)["version"] == 1


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a\u0000b"}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": None}, "/name"),
        ({"currency": "cny"}, "/currency"),
        ({"currency": "CNY\n"}, "/currency"),
        ({"budget_minor": 0}, "/budget_minor"),
        ({"budget_minor": 1.0}, "/budget_minor"),
        ({"budget_minor": 10**15 + 1}, "/budget_minor"),
        ({"budget_minor": "1"}, "/budget_minor"),
        ({"rank": True}, "/rank"),
        ({"products": []}, "/products"),
        ({"products": ["gold"]}, "/products/0"),
        ({"recourse": "with"}, "/recourse"),
        ({"confirmation_grades": ["explicit", None]}, "/confirmation_grades/1"),
        ({"max_pd_ppm": 1_000_001}, "/max_pd_ppm"),
        ({"base_rate_bps": -1}, "/base_rate_bps"),
        ({"grade_spreads_bps": [0] * 21}, "/grade_spreads_bps"),
        ({"grade_spreads_bps": []}, "/grade_spreads_bps"),
        ({"advance_bps": 10_001}, "/advance_bps"),
        ({"advance_bps": 0}, "/advance_bps"),
        ({"auto_commit": 1}, "/auto_commit"),
        ({"used_minor": 1}, "/used_minor"),
    ],
)
def test_what_is_not_in_the_contract_is_refused(shared: House, changes: dict[str, Any], pointer: str) -> None:
    """A wrong value is refused at its place, and nothing else is."""
    problem = shared.funders[0].refused("POST", "/v1/mandates", mandate(**changes))
    assert problem["status"] == 422
    assert {fault["pointer"] for fault in problem["errors"]} == {pointer}


def test_only_funders_have_mandates(shared: House) -> None:
    """The operator and the platform can neither keep nor read any."""
    for client in (shared.operator, shared.platform):
        assert client.refused("POST", "/v1/mandates", mandate())["code"] == "forbidden"
        assert client.refused("GET", "/v1/mandates")["code"] == "forbidden"


@pytest.mark.parametrize("known_before", [False, True])
def test_versions_written_at_once(shared: House, *, known_before: bool) -> None:
    """Three programs of a funder write one mandate at the same moment: one mandate, one version for each."""
    bank, name = shared.funders[0], f"hurried {known_before}"
    if known_before:
        bank.post("/v1/mandates", mandate(name=name))
    calls = [partial(twin(shared, bank).post, "/v1/mandates", mandate(name=name, rank=rank)) for rank in (1, 2, 3)]
    answers = at_once(shared.services, "LOCK TABLE mandate IN SHARE MODE", *calls)
    assert sorted(answer["version"] for answer in answers) == [known_before + number for number in (1, 2, 3)]
    assert len({answer["mandate_id"] for answer in answers}) == 1
