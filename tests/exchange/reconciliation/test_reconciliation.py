"""What differs is found with its sign, ages, changes, is explained, and is closed by nobody but a run."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from exchange.reconciliation import actions
from exchange.reconciliation.checks import CHECKS
from exchange.reconciliation.commands import reconcile as reconcile_command
from exchange.reconciliation.rules import Kind
from exchange.settings import to_environment
from tests.exchange.house import House
from tests.exchange.reconciliation.lived import OPENING_MINOR, bank, live, lived, reconcile, tamper
from tests.exchange.settlement.bank import paid

FIRST = "(SELECT min(asset_id) FROM claim WHERE state = 'assigned')"
PAID_OFF = "(SELECT min(asset_id) FROM claim WHERE state = 'closed')"


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One exchange for all tests here: each leaves it as it was."""
    with lived(server_url, tmp_path_factory.mktemp("reconciled")) as house:
        yield house


def add(table: str, column: str, by: int, where: str = "true") -> str:
    """The first row of a table says so much more."""
    key = KEYS[table]
    chosen = f"(SELECT min({key}) FROM {table} WHERE {where})"  # noqa: S608 - names of ours
    return f"UPDATE {table} SET {column} = {column} + {by} WHERE {key} = {chosen}"  # noqa: S608 - same


def balance(where: str, by: int) -> str:
    """The first account says that much more than its entries."""
    account = f"SELECT min(account_id) FROM books_accounts WHERE {where}"  # noqa: S608 - same
    return f"UPDATE books_balances SET balance_minor = balance_minor + {by} WHERE account_id = ({account})"  # noqa: S608 - same


def place(asset: str, released_at: str) -> str:
    """When an asset left its pool."""
    return f"UPDATE pool_asset SET released_at = {released_at} WHERE asset_id = {asset}"  # noqa: S608 - same


KEYS = {
    "claim": "asset_id",
    "confirmation": "asset_id",
    "credit_note": "asset_id",
    "exposure": "obligor",
    "funder_stream_head": "funder_id",
    "receipt": "receipt_id",
}
TITLE = f"path LIKE 'funder/fnd%%/title' AND commodity = {FIRST}"
LEG = """
    UPDATE books_entries SET amount_minor = amount_minor - ({by}) WHERE (account_id, version) = (
        SELECT account_id, min(version) FROM books_entries JOIN books_accounts USING (account_id)
        WHERE path = 'bank/collection' GROUP BY account_id
    )
"""


def upset(by: int) -> dict[Kind, str]:
    """By kind: a change behind everybody's back that makes `found` so much more."""
    return {
        Kind.BANK_BALANCE: balance("path = 'bank/collection'", -by),
        Kind.UNAPPLIED: balance("path = 'unapplied'", by),
        Kind.RESERVED_CASH: balance("path LIKE 'funder/fnd%%/reserved'", by),
        Kind.TITLE_HOLDING: balance(TITLE, by),
        Kind.LIMIT_USED: add("exposure", "used_minor", by, "used_minor > 0"),
        Kind.CLAIM_FACE: add("credit_note", "amount_minor", by),
        Kind.CONFIRMED_FACE: add("confirmation", "face_minor", -by),
        Kind.RECEIPT_POSTING: LEG.format(by=by),
        Kind.STREAM_LENGTH: add("funder_stream_head", "sequence", -by),
    }


def test_nothing_differs(house: House) -> None:
    """A life with purchases, payments, a credit note, a split and an open offer: everything agrees with everything."""
    run = reconcile(house)
    assert (run["found"], run["opened"], run["step"], run["steps"]) == (0, 0, len(CHECKS), len(CHECKS)), live(house)
    assert run["parts"].keys() == set(Kind)
    nothing_there = {Kind.LINE_NOT_BOOKED, Kind.RECEIPT_IN_TRANSIT, Kind.PAYMENT_IN_TRANSIT, Kind.STREAM_LENGTH}
    assert {kind for kind in Kind if run["parts"][kind]["checked"] == 0} <= nothing_there | {Kind.RESERVED_CASH}
    (bank,) = run["parts"]["bank_balance"]["sums"]
    assert bank["detail"]["in_transit_minor"] == 400_000, "entered by hand, not on a statement yet"
    assert bank["expected"] == bank["found"] == bank["detail"]["closing_minor"] + 400_000
    house.check()


def test_both_signs_of_every_kind(house: House) -> None:
    """Tampered one way and then the other: found with its sign, the same row all the time; mended, it is gone."""
    tamper(house, *upset(3).values())
    run = reconcile(house)
    found = {Kind(one["kind"]): one for one in live(house)}
    assert {kind: one["difference"] for kind, one in found.items()} == dict.fromkeys(upset(3), 3)
    assert all(one["found"] - one["expected"] == 3 and one["age_days"] == 0 for one in found.values())
    assert {one["team"] for one in found.values()} == {"finance", "operations", "risk", "technology"}
    assert (run["opened"], run["found"]) == (len(found), len(found))
    assert reconcile(house)["digest"] == run["digest"], "the same state of things"
    tamper(house, *upset(-6).values())
    again = reconcile(house)
    assert {one["break_id"]: one["difference"] for one in live(house)} == {
        one["break_id"]: -3 for one in found.values()
    }
    assert (again["opened"], again["closed"]) == (0, 0)
    tamper(house, *upset(3).values())
    assert (reconcile(house)["closed"], live(house)) == (len(found), [])
    for one in found.values():
        facts = house.operator.get(f"/v1/breaks/{one['break_id']}")["facts"]
        assert [fact["fact"] for fact in facts] == ["found", "changed", "gone"]
    house.check()


def test_places_in_pools(house: House) -> None:
    """A claim that is somebody's without a place in its pool; a place without a claim."""
    tamper(house, place(FIRST, "now()"), place(PAID_OFF, "NULL"))
    reconcile(house)
    assert sorted(one["difference"] for one in live(house, kind="pool_membership")) == [-1, 1]
    tamper(house, place(FIRST, "NULL"), place(PAID_OFF, "now()"))
    assert (reconcile(house)["closed"], live(house)) == (2, [])


@pytest.mark.parametrize(("swapped", "by"), [("max", -1), ("unreadable", 1)])
def test_a_record_that_says_another_face(house: House, swapped: str, by: int) -> None:
    """The signed record of another asset in its place, or none that can be read."""
    with house.services.database.transaction() as session:
        query = text("SELECT asset_id, jws, face_minor FROM asset_event JOIN claim USING (asset_id) WHERE sequence = 1")
        rows = sorted(session.execute(query).all(), key=lambda row: row.face_minor)
    mine, other = rows[0], rows[-1]
    put = f"UPDATE asset_event SET jws = '{{}}' WHERE sequence = 1 AND asset_id = '{mine.asset_id}'"  # noqa: S608 - same
    tamper(house, put.format(other.jws if swapped == "max" else "e30.bm90IGpzb24.x"))
    reconcile(house)
    (one,) = live(house)
    face = other.face_minor if swapped == "max" else 0
    assert (one["kind"], one["expected"], one["found"]) == ("record_face", face, mine.face_minor)
    assert one["difference"] * by > 0
    tamper(house, put.format(mine.jws))
    assert reconcile(house)["closed"] == 1


def test_a_break_lives(house: House) -> None:
    """Given to somebody and explained it stays so while it is the same; another difference opens it again; it ages."""
    tamper(house, add("exposure", "used_minor", 5, "used_minor > 0"))
    reconcile(house)
    (one,) = live(house, kind="limit_used", team="risk", state="open")
    at = f"/v1/breaks/{one['break_id']}/decisions"
    given = {"decision": "assign", "reason": "yours", "assigned_to": house.operator.client_id, "team": "finance"}
    assert house.operator.post(at, given)["assigned_to"] == house.operator.client_id
    assert house.operator.refused("POST", at, {"decision": "reopen", "reason": "?"})["code"] == "break_not_explained"
    assert house.operator.post(at, {"decision": "explain", "reason": "a test"})["state"] == "explained"
    house.move(23, 31)  # the day's own run
    (same,) = live(house)
    assert (same["break_id"], same["state"], same["team"]) == (one["break_id"], "explained", "finance")
    tamper(house, add("exposure", "used_minor", 1, "used_minor > 0"))
    house.move(23, 31, days=1)
    (older,) = live(house, subject=one["subject"])
    assert (older["break_id"], older["state"], older["difference"]) == (one["break_id"], "open", 6)
    assert (older["age_days"], older["first_seen"]) == (1, one["first_seen"])
    tamper(house, add("exposure", "used_minor", -6, "used_minor > 0"))
    house.move(23, 31, days=1)
    assert live(house) == []
    shown = house.operator.get(f"/v1/breaks/{one['break_id']}")
    facts = [(fact["fact"], fact["by"][:3], fact["reason"]) for fact in shown["facts"]]
    assert facts == [
        ("found", "rec", None),
        ("assigned", "cli", "yours"),
        ("explained", "cli", "a test"),
        ("changed", "rec", None),
        ("gone", "rec", None),
    ]
    assert (shown["state"], shown["age_days"]) == ("resolved", 2)
    assert house.operator.refused("POST", at, {"decision": "assign", "reason": "late"})["code"] == "break_resolved"
    assert not live(house, assigned_to=house.operator.client_id)


def test_who_may_have_a_break(house: House) -> None:
    """An operator; nobody's client, and no platform's."""
    tamper(house, add("exposure", "used_minor", 5, "used_minor > 0"))
    reconcile(house)
    (one,) = live(house)
    at = f"/v1/breaks/{one['break_id']}/decisions"
    for client_id in (house.platform.client_id, "cli_01h455vb4pex5vsknk084sn02q"):
        problem = house.operator.refused("POST", at, {"decision": "assign", "reason": "x", "assigned_to": client_id})
        assert (problem["code"], problem["errors"][0]["pointer"]) == ("unknown_assignee", "/assigned_to")
    assert house.platform.refused("GET", "/v1/breaks")["code"] == "forbidden"
    tamper(house, add("exposure", "used_minor", -5, "used_minor > 0"))
    assert reconcile(house)["closed"] == 1


def test_one_run_at_a_time(house: House) -> None:
    """A second one is refused to a person; the schedule's waits, and both are finished."""
    before = house.operator.get("/v1/reconciliations?limit=1000")["items"]
    first = house.operator.post("/v1/reconciliations", {})["run_id"]
    problem = house.operator.refused("POST", "/v1/reconciliations", {})
    assert (problem["code"], problem["numbers"]) == ("reconciliation_running", {"run_id": first})
    house.move(23, 31, days=1)
    runs = [one for one in house.operator.get("/v1/reconciliations?limit=1000")["items"] if one not in before]
    assert {run["asked_by"] for run in runs} == {house.operator.client_id, "schedule"}
    assert all(run["finished_at"] and run["found"] == 0 for run in runs)


def test_in_pieces(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five keys at a time, by whoever comes: the same as at once; a piece that is undone is done again."""
    tamper(house, add("exposure", "used_minor", 5, "used_minor > 0"), add("credit_note", "amount_minor", 1))
    whole = reconcile(house)
    monkeypatch.setattr(actions, "AT_ONCE", 5)
    house.operator.post("/v1/reconciliations", {})
    services, steps = house.services, list[tuple[int, int]]()
    while True:
        with services.database.transaction() as session:  # dies before its COMMIT
            actions.go_on(session, services=services, now=services.clock.now(session))
            session.rollback()
        with services.database.transaction() as session:
            advanced = actions.go_on(session, services=services, now=services.clock.now(session))
        assert advanced is not None
        steps.append((advanced.step, advanced.checked))
        if advanced.finished:
            break
    assert len(steps) > 9
    assert steps == sorted(steps)
    pieces = house.operator.get(f"/v1/reconciliations/{advanced.run_id}")
    assert [pieces[name] for name in ("checked", "found", "parts", "digest")] == [
        whole[name] for name in ("checked", "found", "parts", "digest")
    ]
    assert (pieces["opened"], pieces["closed"]) == (0, 0)
    tamper(house, add("exposure", "used_minor", -5, "used_minor > 0"), add("credit_note", "amount_minor", -1))
    monkeypatch.undo()
    house.run()
    assert reconcile(house)["closed"] == 2


def test_what_is_long_in_transit(house: House) -> None:
    """Three days on, a receipt that no statement has, a debit that nobody booked and a payment unseen are breaks."""
    fee = paid(-4_321, "fee", name="The bank")
    house.move(9, days=1)
    bank(house, fee, opening_minor=OPENING_MINOR + 1_300_105)
    pay = """
        INSERT INTO payment (payment_id, kind, currency, amount_minor, creditor_name, creditor_account, creditor_agent,
                             needs_second, proposed_on, state, file_id, party_id, account_id)
        VALUES ('pay_1', 'price', 'CNY', 50, '', '', '', false, '2026-03-02', 'paid', 'x', 'p', 'a')
    """
    step = "INSERT INTO payment_step VALUES ('pay_1', 1, 'paid', 'bank', NULL, '2026-03-02', now())"
    tamper(house, pay, step, balance("path = 'bank/collection'", 50))
    reconcile(house)
    assert {one["kind"]: one["difference"] for one in live(house)} == {
        "receipt_in_transit": 400_000,
        "payment_in_transit": -50,
    }
    house.move(9, days=3)
    bank(house, paid(100, "nobody's"), opening_minor=OPENING_MINOR + 1_300_105 - 4_321)
    run = reconcile(house)
    assert {one["kind"]: one["difference"] for one in live(house)} == {
        "line_not_booked": 4_321,
        "receipt_in_transit": 400_000,
        "payment_in_transit": -50,
    }
    (bank_sum,) = run["parts"]["bank_balance"]["sums"]
    assert bank_sum["expected"] == bank_sum["found"], "what is in transit is no difference of the balance"
    by_hand = house.services.database.engine.connect()
    with by_hand:
        reference = by_hand.execute(text("SELECT bank_reference FROM receipt WHERE amount_minor = 400000")).scalar_one()
    house.move(9, days=1)
    bank(house, paid(400_000, "late", reference=reference), opening_minor=OPENING_MINOR + 1_300_105 - 4_221)
    tamper(house, "DELETE FROM payment_step", "DELETE FROM payment", balance("path = 'bank/collection'", -50))
    assert reconcile(house)["closed"] == 2
    assert [one["kind"] for one in live(house)] == ["line_not_booked"]


def test_money_at_the_bank_that_the_books_do_not_know(house: House) -> None:
    """A statement whose balance is more than its lines make it, or less: the bank has it, the books have not."""
    for surplus in (70, -70):
        before = [row for row in house.operator.get("/v1/statements?limit=1000")["items"] if row["closing_minor"]][-1]
        house.move(9, days=1)
        bank(house, paid(1, "x"), opening_minor=before["closing_minor"] + surplus)
        reconcile(house)
        found = live(house, kind="bank_balance")
        assert [one["difference"] for one in found] == ([-70] if surplus > 0 else [])


def test_the_command(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It compares here and now, says what differs and ends with 1; and with 0 once nothing does."""
    for name, value in to_environment(house.services.settings).items():
        monkeypatch.setenv(name, value)
    tamper(house, add("exposure", "used_minor", 5, "used_minor > 0"))
    told = CliRunner().invoke(reconcile_command, [])
    assert told.exit_code == 1
    assert "limit_used" in told.stdout
    assert "(+5)" in told.stdout
    tamper(
        house, add("exposure", "used_minor", -5, "used_minor > 0"), "DELETE FROM bank_line WHERE amount_minor = -4321"
    )
    house.run()
    told = CliRunner().invoke(reconcile_command, [])
    assert "limit_used" not in told.stdout
    assert told.exit_code == bool(live(house))
