import datetime as dt
from collections.abc import Callable
from itertools import count, pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection

from ledger import books
from ledger.errors import LedgerError
from tests.ledger.books.model import OVER, Account, Answer, End, Model, Undoing
from tests.ledger.books.sample import ACCOUNTS, ASSET, CNY, NOW, TODAY, move, post

KEYS = st.sampled_from(["new", "new", "new", "k1", "k2", "k3"])
PATHS = {CNY: ["bank", "a", "b"], ASSET: ["issue", "a", "b"]}
AMOUNTS = st.sampled_from([1, 2, 5, 20])
TIMES = {"hold": None, OVER: NOW, "hold for an hour": NOW + dt.timedelta(hours=1)}
BACK = {"voided": "void", "expired": "expiry"}


@st.composite
def transfers(draw: st.DrawFn) -> books.Transfer:
    """One to three amounts over a few accounts, under a new key or one that may be taken."""
    commodity = draw(st.sampled_from([CNY, ASSET]))
    paths = draw(st.lists(st.sampled_from(PATHS[commodity]), min_size=2, max_size=4))
    legs = [leg for pair in pairwise(paths) for leg in move("", *pair, draw(AMOUNTS), commodity).legs]
    return books.Transfer(draw(KEYS), TODAY, "", tuple(legs))


HOLDS = st.builds(
    books.HoldRequest,
    key=KEYS,
    source_path=st.sampled_from(["a", "b"]),
    reservation_path=st.just("reserved"),
    commodity=st.sampled_from([CNY, ASSET]),
    amount_minor=AMOUNTS,
    effective_date=st.just(TODAY),
    memo=st.just(""),
)


class Machine(RuleBasedStateMachine):
    """Random commands to the database and to the model; both give one answer and one state."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.savepoint = connection.begin_nested()
        self.model = Model()
        self.keys = count()
        books.open_accounts(connection, accounts=ACCOUNTS)
        opening = [move("open", "bank", "a", 60), move("issue", "issue", "b", 60, ASSET)]
        assert self.answer(lambda: post(connection, *opening)) == self.model.post(opening)
        self.hold_all([books.HoldRequest(f"h{n}", "a", "reserved", CNY, 5, TODAY) for n in range(3)])

    def answer(self, call: Callable[[], list[books.Posted]]) -> Answer:
        """Turn what a call returns or raises into an answer."""
        try:
            return Answer(None, tuple(posted.replayed for posted in call()))
        except LedgerError as refusal:
            return Answer(refusal.code)

    def key(self, key: str) -> str:
        """Replace "new" by a key not used so far."""
        return f"n{next(self.keys)}" if key == "new" else key

    @rule(batch=st.lists(transfers(), min_size=1, max_size=4))
    def post_batch(self, batch: list[books.Transfer]) -> None:
        """Post one transfer or several."""
        batch = [transfer._replace(key=self.key(transfer.key)) for transfer in batch]
        answer = self.answer(lambda: post(self.connection, *batch))
        assert answer == self.model.post(batch)

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Post again what was posted, refused, held or captured, together with something new."""
        known = data.draw(st.sampled_from([*self.model.requests.values()])).transfer
        batch = [known, move(self.key("new"), "bank", "a", 1), known]
        assert self.answer(lambda: post(self.connection, *batch)) == self.model.post(batch)

    @rule(batch=st.lists(HOLDS, min_size=1, max_size=3), kind=st.sampled_from([*TIMES]))
    def hold_batch(self, batch: list[books.HoldRequest], kind: str) -> None:
        """Hold one amount or several, with or without an end in time."""
        self.hold_all(batch, kind)

    def hold_all(self, batch: list[books.HoldRequest], kind: str = "hold") -> None:
        """Hold in both."""
        batch = [request._replace(key=self.key(request.key), expires_at=TIMES[kind]) for request in batch]
        answer = self.answer(lambda: books.hold(self.connection, requests=batch, now=NOW))
        held = [move(h.key, h.source_path, "reserved", h.amount_minor, h.commodity)._replace(memo="") for h in batch]
        assert answer == self.model.post(held, kind)

    @rule(data=st.data())
    def resolve_batch(self, data: st.DataObject) -> None:
        """End one hold or several, some that ended before and some that never were."""
        known = [key for key in self.model.requests if self.model.held(key)]
        keys = data.draw(st.lists(st.sampled_from([*known, "open"]), min_size=1, max_size=3, unique=True))
        batch = [self.resolution(data, key) for key in keys]
        answer = self.answer(
            lambda: books.resolve_holds(self.connection, resolutions=batch, effective_date=TODAY, now=NOW)
        )
        assert answer == self.resolve_model(batch)

    def resolution(self, data: st.DataObject, hold_key: str) -> books.Resolution:
        """Give a hold back, or capture it, mostly in its own amount and by a transfer of its own."""
        if data.draw(st.booleans()):
            return books.Resolution(hold_key, data.draw(st.sampled_from(["voided", "expired"])))
        hold = self.model.held(hold_key)
        _, commodity, held = hold.legs[1] if hold else ("", CNY, 1)
        amount = data.draw(st.sampled_from([held, held, held, 30]))
        key = data.draw(st.sampled_from([f"{hold_key}/c", f"{hold_key}/c", "k2"]))
        return books.Resolution(hold_key, "captured", move(key, "reserved", "b", amount, commodity))

    def resolve_model(self, batch: list[books.Resolution]) -> Answer:
        """Let the model build from each hold what gives it back."""
        posted = []
        for end in batch:
            hold = self.model.held(end.hold_key)
            if end.transfer is None and hold is None:
                return Answer("unknown_hold")
            back = tuple(leg._replace(amount_minor=-leg.amount_minor) for leg in hold.legs) if hold else ()
            name = BACK.get(end.outcome, "")
            given_back = books.Transfer(f"{end.hold_key}/{name}", TODAY, f"{name} of {end.hold_key}", back)
            posted.append(end.transfer or given_back)
        ends = [End(end.hold_key, end.outcome, transfer.key) for end, transfer in zip(batch, posted, strict=True)]
        return self.model.post(posted, "transfer", ends)

    @rule(data=st.data())
    def reverse_batch(self, data: st.DataObject) -> None:
        """Undo one transfer or several, plain ones, holds, ends of holds and reversals among them."""
        known = [key for key, request in self.model.requests.items() if request.refusal is None]
        keys = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
        own = st.sampled_from(["own", "own", "other", "k3"])
        undoings = [Undoing(key, {"own": f"r/{key}", "other": f"s/{key}"}.get(o := data.draw(own), o)) for key in keys]
        wanted = [books.Reversal(key, reversed_key, TODAY) for reversed_key, key in undoings]
        posted = [self.opposite(reversed_key)._replace(key=key) for reversed_key, key in undoings]
        answer = self.answer(lambda: books.reverse(self.connection, reversals=wanted, now=NOW))
        assert answer == self.model.post(posted, "transfer", (), undoings)

    def opposite(self, key: str) -> books.Transfer:
        """Turn every leg of a transfer round."""
        legs = tuple(leg._replace(amount_minor=-leg.amount_minor) for leg in self.model.requests[key].transfer.legs)
        return books.Transfer("", TODAY, f"reversal of {key}", legs)

    @invariant()
    def books_agree(self) -> None:
        """The checker is content, and every account has the model's history."""
        assert books.check(self.connection) == []
        histories: dict[Account, list[int]] = {}
        for path, commodity, _ in ACCOUNTS:
            entries = books.statement(self.connection, path=path, commodity=commodity)
            if entries:
                histories[path, commodity] = [entry.balance_after_minor for entry in entries]
        assert histories == {account: history for account, history in self.model.histories.items() if history}
        accounts = [(path, commodity) for path, commodity, _ in ACCOUNTS]
        found = books.balances(self.connection, accounts=accounts)
        assert found == {account: histories.get(account, [0])[-1] for account in accounts}

    def teardown(self) -> None:
        """Let the deferred checks run, then forget all."""
        self.connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        self.savepoint.rollback()


def test_the_books_agree_with_the_model(connection: Connection) -> None:
    """Whatever is posted, held, ended, repeated or reused: database and model agree after every step."""
    run_state_machine_as_test(
        lambda: Machine(connection),  # type: ignore[arg-type]  # a factory serves as well as a class
        settings=settings(max_examples=15, stateful_step_count=25, deadline=None),
    )
