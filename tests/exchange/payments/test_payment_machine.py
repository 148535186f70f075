"""Any order of what people and banks do with payments, against a plain model of it."""

from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from exchange import books
from tests.exchange.house import House
from tests.exchange.payments.desk import (
    answer,
    business_day,
    check_payments,
    decide,
    end_to_end,
    fund_account,
    make_file,
    own_desk,
    states,
)
from tests.exchange.settlement.bank import ACCOUNT, enter_one, paid
from tests.exchange.settlement.book import balance, check_conserved

LIMIT = 1_000_000
NEXT: dict[str, set[str]] = {
    "proposed": {"scheduled", "cancelled"},
    "scheduled": {"instructed", "cancelled"},
    "instructed": {"in_transit", "paid", "failed"},
    "in_transit": {"paid", "failed"},
    "paid": {"returned"},
}
SAID = {"ACSP": "in_transit", "ACSC": "paid", "CANC": "failed", "ACTC": None}
BACK = {"cancelled", "failed", "returned"}


class Payments(RuleBasedStateMachine):
    """A funder that takes its money out, and a bank that does as it likes. The model: two sums and a state each."""

    desk: House
    made = Bundle("made")

    @initialize()
    def begin(self) -> None:
        """Nothing is under way; the funder has what it has."""
        business_day(self.desk)
        self.path = books.funder_cash(self.desk.funder_ids[0])
        self.cash, self.bank = balance(self.desk, self.path), balance(self.desk, books.BANK)
        self.model: dict[str, dict[str, Any]] = {}
        self.today = 0

    @rule(amount=st.integers(1, 100_000), large=st.booleans(), target=made)
    def ask(self, amount: int, large: bool) -> Any:  # noqa: FBT001, ANN401 - hypothesis' own forms
        """The funder asks; above the day's sum somebody else has to look."""
        amount += LIMIT if large else 0
        response = self.desk.funders[0].call("POST", "/v1/withdrawals", body={"currency": "CNY", "part_minor": amount})
        if amount > self.cash:
            assert response.status_code == 409
            return multiple()
        assert response.status_code == 201, response.text
        second = amount + self.today > LIMIT
        self.today += 0 if second else amount
        self.cash -= amount
        payment_id = response.get_json()["payment_id"]
        self.model[payment_id] = {
            "amount": amount,
            "state": "proposed" if second else "scheduled",
            "file": None,
            "second": second,
        }
        return payment_id

    @rule(one=made, outcome=st.sampled_from(["approved", "declined"]))
    def judge(self, one: str, outcome: str) -> None:
        """The operator decides."""
        status = decide(self.desk.operator, one, outcome)["status"]
        to = "scheduled" if outcome == "approved" else "cancelled"
        assert (status == 201) == (self.model[one]["state"] == "proposed")
        if status == 201:
            self.move(one, to)

    @rule(one=made)
    def cancel(self, one: str) -> None:
        """The funder calls it off."""
        path = f"/v1/payments/{one}/cancellation"
        status = self.desk.funders[0].call("POST", path, body={"reason": "x"}).status_code
        assert (status == 201) == ("cancelled" in NEXT.get(self.model[one]["state"], ()))
        if status == 201:
            self.move(one, "cancelled")

    @rule()
    def instruct(self) -> None:
        """The operator makes a file of all that is due."""
        due = [name for name, one in self.model.items() if one["state"] == "scheduled"]
        if not due:
            problem = self.desk.operator.refused("POST", "/v1/payment-files", {"account": ACCOUNT})
            assert problem["code"] == "nothing_to_pay"
            return
        file = make_file(self.desk)
        assert file["payment_count"] == len(due)
        assert file["sum_minor"] == sum(self.model[name]["amount"] for name in due)
        for name in due:
            self.model[name]["file"] = file["file_id"]
            self.move(name, "instructed")

    @rule(one=made, status=st.sampled_from(sorted(SAID)))
    def report(self, one: str, status: str) -> None:
        """The bank answers, in time, late or wrongly."""
        model = self.model[one]
        if model["file"] is None:
            return
        response = answer(self.desk, model["file"], **{one: status})
        to = SAID[status]
        known = to in {None, model["state"]} or (
            to == "in_transit" and model["state"] in {"paid", "failed", "returned"}
        )
        known = known or (to == "paid" and model["state"] == "returned")
        allowed = known or to in NEXT.get(model["state"], ())
        seen = (one, status) in model.setdefault("seen", set())
        assert response.status_code == (200 if allowed or seen else 409), response.text
        if response.status_code == 200:
            model["seen"].add((one, status))
            if not known and not seen:
                self.move(one, str(to))

    @rule(one=made, way=st.sampled_from([-1, 1]))
    def line(self, one: str, way: int) -> None:
        """A statement has a line about it."""
        model = self.model[one]
        if way > 0 and model["state"] != "paid":
            return  # money that nobody sent and that is not ours would only be unapplied
        shown = enter_one(self.desk, paid(way * model["amount"], "x", end_to_end=end_to_end(one)))
        to = "returned" if way > 0 else "paid"
        fits = to in NEXT.get(model["state"], ()) or (way < 0 and model["state"] == "paid" and not model.get("line"))
        assert (shown["state"] == "booked") == fits, (shown, model)
        if fits and model["state"] != to:
            self.move(one, to)
        if fits and way < 0:
            model["line"] = True

    def move(self, one: str, to: str) -> None:
        """What a step means for the two sums."""
        model = self.model[one]
        assert to in NEXT[model["state"]]
        self.cash += model["amount"] if to in BACK else 0
        self.today -= model["amount"] if to == "cancelled" and not model["second"] else 0
        self.bank += {"paid": model["amount"], "returned": -model["amount"]}.get(to, 0)
        model["state"] = to

    @invariant()
    def agrees(self) -> None:
        """Cash, bank, what is on the way and every state are as the model says."""
        if not hasattr(self, "model"):
            return
        way = {"proposed", "scheduled", "instructed", "in_transit"}
        out = sum(one["amount"] for one in self.model.values() if one["state"] in way)
        found = (
            balance(self.desk, self.path),
            balance(self.desk, books.paying(self.path)),
            balance(self.desk, books.BANK),
        )
        assert found == (self.cash, out, self.bank)
        for name, one in self.model.items():
            assert states(self.desk, name)[-1] == one["state"]

    def teardown(self) -> None:
        """Nothing stays under way, and the books are sound."""
        for name, one in getattr(self, "model", {}).items():
            if one["state"] in {"proposed", "scheduled"}:
                self.cancel(name)
            elif one["state"] in {"instructed", "in_transit"}:
                self.report(name, "CANC")
        check_conserved(self.desk)
        check_payments(self.desk)


def test_payments_in_any_order(server_url: str, tmp_path: Path) -> None:
    """Against the model, after every step."""
    with own_desk(server_url, tmp_path) as desk:
        fund_account(desk)
        desk.deposit(0, 6 * LIMIT)

        class Machine(Payments):
            """The machine on this desk."""

        Machine.desk = desk
        run_state_machine_as_test(Machine, settings=settings(max_examples=4, stateful_step_count=12))
