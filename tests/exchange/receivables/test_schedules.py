"""Submissions in instalments: what is taken, what is refused and where, what is signed, what the obligor sees."""

from datetime import date, timedelta
from typing import Any

import pytest

from exchange.schedules.schedule import MOST_INSTALMENTS
from scoring.facts import MAX_FACE_MINOR
from tests.exchange.house import House
from tests.exchange.receivables.shared import (
    add_obligor,
    ask,
    birth,
    entered,
    owed_by,
    state,
    submission,
    submit,
    told,
)

ISSUED = date(2026, 3, 2)


def rows(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    """Instalments as they are sent and shown."""
    return [{"due_date": day, "amount_minor": amount} for day, amount in pairs]


PLAN = rows(("2026-04-01", 300_000), ("2026-05-01", 300_000), ("2026-06-01", 400_000))
MONTHLY = {"first_due_date": "2026-04-30", "count": 3, "every": {"unit": "months", "length": 1}}


def planned(number: str, schedule: object, **changes: object) -> dict[str, Any]:
    """A receivable in instalments, the last due on 1 June."""
    return submission(number, **{"due_date": "2026-06-01", "schedule": schedule} | changes)


def shown(house: House, asset_id: str) -> list[tuple[str, int, int]]:
    """Due date, amount and what is open of each instalment."""
    found = house.platform.get(f"/v1/assets/{asset_id}/schedule")["instalments"]
    assert [one["number"] for one in found] == list(range(1, len(found) + 1))
    return [(one["due_date"], one["amount_minor"], one["open_minor"]) for one in found]


def test_instalments_as_agreed(house: House) -> None:
    """They are kept, shown before and after the asset is listed, and signed with its birth."""
    results = submit(house.platform, [planned("S-1", {"instalments": PLAN})])
    assert told(results) == [(201, [])]
    asset_id = results[0]["asset_id"]
    wanted = [(one["due_date"], one["amount_minor"], one["amount_minor"]) for one in PLAN]
    assert shown(house, asset_id) == wanted
    accept(house, asset_id)
    assert birth(house, asset_id)["schedule"] == {
        "first_due_date": "2026-04-01",
        "days_between": [30, 31],
        "amounts_minor": [300_000, 300_000, 400_000],
    }
    assert shown(house, asset_id) == wanted
    assert house.platform.get(f"/v1/assets/{asset_id}/schedule")["average_due_date"] == "2026-05-04"


def accept(house: House, asset_id: str) -> None:
    """The obligor's acceptance, passed on."""
    answer = {"asset_id": asset_id, "outcome": "accepted", "grade": "explicit", "confirmed_date": ISSUED.isoformat()}
    assert house.platform.post("/v1/confirmations", {"items": [answer]})["items"][0]["status"] == 201


def test_due_at_once_is_one_instalment(house: House) -> None:
    """Without a schedule nothing of it is signed, and one payment on the due date is shown."""
    (asset_id,) = entered(house, submission("S-2"))
    accept(house, asset_id)
    assert "schedule" not in birth(house, asset_id)
    one = {"number": 1, "due_date": "2026-05-01", "amount_minor": 1_000_000, "open_minor": 1_000_000}
    plan = {"asset_id": asset_id, "version": 1, "average_due_date": "2026-05-01", "instalments": [one]}
    assert house.platform.get(f"/v1/assets/{asset_id}/schedule") == plan


@pytest.mark.parametrize(
    "product", ["procurement_credit", "receivable_factoring", "working_capital", "equipment_lease"]
)
def test_equal_instalments_on_business_days(house: House, product: str) -> None:
    """Of every product. The first of May is a holiday, as are the days after it; the remainder is in the last."""
    terms = MONTHLY | {"first_due_date": "2026-04-01", "calendar": "CN", "convention": "following"}
    sent = planned(f"S-3 {product}", {"generate": terms}, product=product, face_minor=1_000_001)
    (asset_id,) = entered(house, sent)
    plan = [("2026-04-01", 333_333), ("2026-05-06", 333_333), ("2026-06-01", 333_335)]
    assert [(day, amount) for day, amount, _ in shown(house, asset_id)] == plan


def test_rentals_of_a_lease(house: House) -> None:
    """100,000.00 at 12 % over 12 months is 8,884.88 a month; the last rental takes the roundings."""
    terms = MONTHLY | {"count": 12, "principal_minor": 10_000_000, "rate_bps": 1_200}
    lease = {"product": "equipment_lease", "due_date": "2027-03-31", "face_minor": 12 * 888_488 - 3}
    (asset_id,) = entered(house, planned("S-4", {"generate": terms}, **lease))
    plan = shown(house, asset_id)
    assert [amount for _, amount, _ in plan] == [888_488] * 11 + [888_485]
    assert (plan[0][0], plan[1][0], plan[-1][0]) == ("2026-04-30", "2026-05-31", "2027-03-31")


BAD: dict[str, tuple[object, list[str]]] = {
    "neither": ({}, ["schedule_unclear"]),
    "both": ({"instalments": PLAN, "generate": MONTHLY}, ["schedule_unclear"]),
    "sum": ({"instalments": [*PLAN[:2], PLAN[2] | {"amount_minor": 400_001}]}, ["schedule_sum_differs"]),
    "end": ({"instalments": [*PLAN[:2], PLAN[2] | {"due_date": "2026-06-02"}]}, ["schedule_end_differs"]),
    "begin": ({"instalments": [PLAN[0] | {"due_date": "2026-03-01"}, *PLAN[1:]]}, ["due_before_issue"]),
    "order": ({"instalments": [PLAN[1], PLAN[1], PLAN[2]]}, ["dates_not_increasing"]),
    "one": ({"instalments": PLAN[:1]}, ["bad_length"]),
    "many": ({"instalments": PLAN * 41}, ["bad_length"]),
    "nothing": ({"instalments": [*PLAN[:2], PLAN[2] | {"amount_minor": 0}]}, ["out_of_range"]),
    "words": ({"instalments": "monthly"}, ["not_a_list"]),
    "unknown": ({"instalments": PLAN, "grace": 3}, ["unknown_field"]),
    "no calendar": ({"generate": MONTHLY | {"convention": "following"}}, ["calendar_missing"]),
    "calendar": ({"generate": MONTHLY | {"convention": "following", "calendar": "Mars"}}, ["calendar_unknown"]),
    "year": (
        {"generate": MONTHLY | {"convention": "following", "calendar": "CN", "count": 120}},
        ["calendar_year_unknown"],
    ),
    "same day": (
        {
            "generate": {
                "first_due_date": "2026-05-01",
                "count": 2,
                "every": {"unit": "days", "length": 1},
                "convention": "following",
                "calendar": "CN",
            }
        },
        ["dates_not_increasing"],
    ),
    "far": ({"generate": MONTHLY}, ["schedule_end_differs"]),
    "half a lease": ({"generate": MONTHLY | {"rate_bps": 100}}, ["rentals_unclear"]),
    "no lease": ({"generate": MONTHLY | {"rate_bps": 100, "principal_minor": 100}}, ["rentals_of_a_lease"]),
    "unit": ({"generate": MONTHLY | {"every": {"unit": "moons", "length": 1}}}, ["not_one_of"]),
    "never": ({"generate": MONTHLY | {"count": 1}}, ["out_of_range"]),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(house: House, what: str) -> None:
    """Each fault has a code, and says where it is; nothing is entered."""
    schedule, wanted = BAD[what]
    (result,) = submit(house.platform, [planned(f"BAD {what}", schedule)])
    assert told([result]) == [(422, wanted)]
    assert result["errors"][0]["pointer"].startswith("/items/0/schedule")
    assert entered(house, planned(f"BAD {what}", {"instalments": PLAN}))


def test_amounts_that_do_not_reach(house: House) -> None:
    """Two minor units are not three instalments."""
    (result,) = submit(house.platform, [planned("S-5", {"generate": MONTHLY}, face_minor=2)])
    assert told([result]) == [(422, ["amounts_too_small"])]


def test_all_that_is_wrong_is_told_at_once(house: House) -> None:
    """Faults of the schedule come with those of the rest."""
    wrong = planned("S-6", {"instalments": PLAN[:2]}, currency="ZZZ")
    (result,) = submit(house.platform, [wrong])
    assert told([result]) == [(422, ["unknown_currency", "schedule_sum_differs", "schedule_end_differs"])]


def test_the_longest_schedule_is_signed(house: House) -> None:
    """120 instalments of the largest amounts, with the strongest evidence, fit into a record that key services sign."""
    each = MAX_FACE_MINOR // MOST_INSTALMENTS - MOST_INSTALMENTS
    days = [ISSUED + timedelta(days=28 + 29 * place) for place in range(MOST_INSTALMENTS)]
    plan = rows(*((day.isoformat(), each + place) for place, day in enumerate(days)))
    face_minor = sum(one["amount_minor"] for one in plan)
    client = add_obligor(house, "obligor-long")
    long = owed_by("obligor-long", "S-7", due_date=days[-1].isoformat(), face_minor=face_minor)
    (asset_id,) = entered(house, long | {"schedule": {"instalments": plan}})
    answer = {"items": [{"asset_id": asset_id, "outcome": "accepted"}]}
    assert client.post("/v1/answers", answer)["items"][0]["status"] == 201
    assert len(birth(house, asset_id)["schedule"]["amounts_minor"]) == MOST_INSTALMENTS
    assert client.get("/v1/answers")["items"][0]["schedule"] == plan


def test_the_obligor_sees_its_instalments_and_cannot_correct_them(house: House) -> None:
    """On the page behind its link, in any language; a correction is refused, an acceptance is final."""
    (asset_id,) = entered(house, owed_by("obligor-9", "S-8", due_date="2026-06-01", schedule={"instalments": PLAN}))
    (asked,) = ask(house.platform, [asset_id])
    path = asked["url"].removeprefix(house.services.settings.issuer)
    web = house.app.test_client()
    page = web.get(path).text
    assert all(one in page for one in ("2026-04-01", "CNY 3,000.00", "2026-06-01", "CNY 4,000.00"))
    assert f'name="amount-{asset_id}"' not in page
    form = {f"outcome-{asset_id}": "corrected", f"amount-{asset_id}": "9,000.00", f"reason_code-{asset_id}": "price"}
    refused = web.post(path, data=form)
    assert (refused.status_code, "cannot be corrected" in refused.text) == (422, True)
    correction = {"asset_id": asset_id, "outcome": "corrected", "face_minor": 900_000, "reason_code": "price"}
    item = correction | {"grade": "explicit", "confirmed_date": ISSUED.isoformat()}
    (result,) = house.platform.post("/v1/confirmations", {"items": [item]})["items"]
    assert told([result]) == [(422, ["schedule_fixed"])]
    assert web.post(path, data={"all": "accepted"}).status_code == 303
    assert state(house, asset_id) == "confirmed"
