"""The operations of the exchange. Written by `exchange contract` from the contract: change that, not this."""

from collections.abc import Iterator
from typing import Any

from exchange.client.transport import Transport, given, new_key, part


class Exchange(Transport):
    """Every operation of the exchange, for one client of it. What is left out, or None, is not sent."""

    def list_accruals(self, *, from_date: str, until_date: str) -> Any:
        """What the discounts you bought earned, day by day; an operator sees every funder's."""
        return self.call("GET", "/v1/accruals", query=given(from_date=from_date, until_date=until_date))

    def list_alarms(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Money that is missing or went elsewhere, oldest first."""
        return self.pages("/v1/alarms", given(after=after, limit=limit, state=state))

    def acknowledge_alarms(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Say of up to 1,000 alarms that somebody looks into them, and why they are no worse."""
        return self.call("POST", "/v1/alarms/acknowledgements", body=given(items=items), key=idempotency_key or new_key())

    def answer_receivables(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Answer up to 1,000 receivables that name you, with your own key; what you do not refuse
        becomes an asset."""
        return self.call("POST", "/v1/answers", body=given(items=items), key=idempotency_key or new_key())

    def list_owed(self, *, after: str | None = None, limit: int | None = None, waiting: str | None = None) -> Iterator[dict[str, Any]]:
        """The receivables that name you, with your answers."""
        return self.pages("/v1/answers", given(after=after, limit=limit, waiting=waiting))

    def approve_receivables(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Approve up to 1,000 receivables that another client of yours submitted, or decline them."""
        return self.call("POST", "/v1/approvals", body=given(items=items), key=idempotency_key or new_key())

    def list_approvals(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The receivables of yours that wait for approval."""
        return self.pages("/v1/approvals", given(after=after, limit=limit))

    def list_asset_cases(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Your assets that are or were collected: stage, promises, and why collecting ended."""
        return self.pages("/v1/asset-cases", given(after=after, limit=limit))

    def list_assets(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The assets you may see: a platform its own, a funder those offered to it or held by it."""
        return self.pages("/v1/assets", given(after=after, limit=limit))

    def show_asset(self, asset_id: str) -> Any:
        """One asset."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}")

    def charge_fee(self, asset_id: str, *, reference: str, amount_minor: int, idempotency_key: str | None = None) -> Any:
        """Charge the obligor of an asset a fee; what it pays is shared by the policy's order."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/charges", body=given(reference=reference, amount_minor=amount_minor), key=idempotency_key or new_key())

    def list_charges(self, asset_id: str) -> Any:
        """What the obligor of an asset owes on top of it, and what it paid of that."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/charges")

    def show_decision(self, asset_id: str) -> Any:
        """What was decided about an asset: inputs, model, chances, reasons, term and price with its
        parts."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/decision")

    def dispute_asset(self, asset_id: str, *, amount_minor: int, reason: str, statement: str, idempotency_key: str | None = None) -> Any:
        """Object to a part of what is owed: until it is resolved, nobody is offered the asset."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/disputes", body=given(amount_minor=amount_minor, reason=reason, statement=statement), key=idempotency_key or new_key())

    def list_disputes(self, asset_id: str) -> Any:
        """The disputes of an asset."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/disputes")

    def resolve_dispute(self, asset_id: str, number: str, *, outcome: str, finding: str, credited_minor: int | None = None, note_number: str | None = None, idempotency_key: str | None = None) -> Any:
        """Say who is right, and why; what is upheld is credited at once."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/disputes/{part(number)}/resolution", body=given(outcome=outcome, finding=finding, credited_minor=credited_minor, note_number=note_number), key=idempotency_key or new_key())

    def propose_forbearance(self, asset_id: str, *, kind: str, reason: str, from_date: str | None = None, until_date: str | None = None, instalments: list[Any] | None = None, idempotency_key: str | None = None) -> Any:
        """Propose to pause, resume, reschedule or reset an asset that you service; its owner has to
        agree."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/forbearances", body=given(kind=kind, from_date=from_date, until_date=until_date, instalments=instalments, reason=reason), key=idempotency_key or new_key())

    def show_holders(self, asset_id: str, *, at: str | None = None, recorded_at: str | None = None) -> Any:
        """Who held an asset on a day, as far as was recorded by a moment, and the signed records that
        say so."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/holders", query=given(at=at, recorded_at=recorded_at))

    def show_asset_money(self, asset_id: str) -> Any:
        """Both legs of an asset: its price to the seller, and what came from its obligor."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/money")

    def show_records(self, asset_id: str) -> Any:
        """An asset's signed life, to be verified without us."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/records")

    def list_recourse_calls(self, asset_id: str) -> Any:
        """Who handed the asset on with recourse and answers for it after default, each in turn."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/recourse-calls")

    def recover_asset(self, asset_id: str, *, bank_reference: str, value_date: str, amount_minor: int, currency: str, payer_name: str | None = None, idempotency_key: str | None = None) -> Any:
        """Enter money for an asset that was charged off or given up, whoever paid it."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/recoveries", body=given(bank_reference=bank_reference, value_date=value_date, amount_minor=amount_minor, currency=currency, payer_name=payer_name), key=idempotency_key or new_key())

    def list_recoveries(self, asset_id: str) -> Any:
        """What came back of what was given up of an asset."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/recoveries")

    def repurchase_asset(self, asset_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Take an asset back for its holder: at once where it has to after default, else its funder is
        asked."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/repurchases", body=given(reason=reason), key=idempotency_key or new_key())

    def show_schedule(self, asset_id: str) -> Any:
        """What of an asset falls due when, and what of it is paid."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/schedule")

    def explain_asset(self, asset_id: str) -> Any:
        """What each of your mandates in force says of this asset."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/why-not")

    def write_off_asset(self, asset_id: str, *, amount_minor: int, reason: str, idempotency_key: str | None = None) -> Any:
        """Give up a part of a claim, or all of it; large ones wait for a second person."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/write-offs", body=given(amount_minor=amount_minor, reason=reason), key=idempotency_key or new_key())

    def list_write_offs(self, asset_id: str) -> Any:
        """What was given up of an asset."""
        return self.call("GET", f"/v1/assets/{part(asset_id)}/write-offs")

    def decide_write_off(self, asset_id: str, number: str, *, outcome: str, idempotency_key: str | None = None) -> Any:
        """Approve or decline what somebody else wants to give up."""
        return self.call("POST", f"/v1/assets/{part(asset_id)}/write-offs/{part(number)}/decision", body=given(outcome=outcome), key=idempotency_key or new_key())

    def create_auction(self, *, currency: str, closes_at: str, reserve_bps: int, lots: list[Any], opens_at: str | None = None, advance_bps: int | None = None, pricing: str | None = None, min_part_minor: int | None = None, idempotency_key: str | None = None) -> Any:
        """Put free assets up in lots for sealed bids; no round has them until it is over."""
        return self.call("POST", "/v1/auctions", body=given(currency=currency, opens_at=opens_at, closes_at=closes_at, reserve_bps=reserve_bps, advance_bps=advance_bps, pricing=pricing, min_part_minor=min_part_minor, lots=lots), key=idempotency_key or new_key())

    def list_auctions(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Auctions, oldest first: a platform's own, to all others every one."""
        return self.pages("/v1/auctions", given(after=after, limit=limit))

    def show_auction(self, auction_id: str) -> Any:
        """An auction with its lots. Of bids nothing is shown, to nobody."""
        return self.call("GET", f"/v1/auctions/{part(auction_id)}")

    def bid_in_auction(self, auction_id: str, *, lot: int, mandate_id: str, discount_bps: int, amount_minor: int, salt: str, idempotency_key: str | None = None) -> Any:
        """Bid for a lot under seal; what it can cost at most is held until the auction is over or the
        bid withdrawn."""
        return self.call("POST", f"/v1/auctions/{part(auction_id)}/bids", body=given(lot=lot, mandate_id=mandate_id, discount_bps=discount_bps, amount_minor=amount_minor, salt=salt), key=idempotency_key or new_key())

    def cancel_auction(self, auction_id: str, *, idempotency_key: str | None = None) -> Any:
        """Call an auction off before it closes; no bid is opened."""
        return self.call("POST", f"/v1/auctions/{part(auction_id)}/cancellation", key=idempotency_key or new_key())

    def show_auction_certificate(self, auction_id: str) -> Any:
        """What proves the outcome of an auction: every bid and the bound; to a funder its own bids,
        provably part of it."""
        return self.call("GET", f"/v1/auctions/{part(auction_id)}/certificate")

    def put_bank_account(self, *, account: str, currency: str, table: dict[str, Any] | None = None) -> Any:
        """Enter a collection account whose statements are taken, or the columns of its tables anew."""
        return self.call("PUT", "/v1/bank-accounts", body=given(account=account, currency=currency, table=table))

    def list_bank_lines(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Lines of statements, oldest first; those that are `open` are the work list."""
        return self.pages("/v1/bank-lines", given(after=after, limit=limit, state=state))

    def decide_bank_lines(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Decide about up to 1,000 lines that wait, each once."""
        return self.call("POST", "/v1/bank-lines/decisions", body=given(items=items), key=idempotency_key or new_key())

    def list_bids(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Your bids, oldest first."""
        return self.pages("/v1/bids", given(after=after, limit=limit))

    def withdraw_bid(self, bid_id: str, *, idempotency_key: str | None = None) -> Any:
        """Take a bid back before the close; its money is free."""
        return self.call("POST", f"/v1/bids/{part(bid_id)}/withdrawal", key=idempotency_key or new_key())

    def list_breaks(self, *, after: str | None = None, limit: int | None = None, state: str | None = None, kind: str | None = None, team: str | None = None, subject: str | None = None, assigned_to: str | None = None) -> Iterator[dict[str, Any]]:
        """Breaks, oldest first; those that are `open` are the work list."""
        return self.pages("/v1/breaks", given(after=after, limit=limit, state=state, kind=kind, team=team, subject=subject, assigned_to=assigned_to))

    def show_break(self, break_id: str) -> Any:
        """One break and all that happened to it."""
        return self.call("GET", f"/v1/breaks/{part(break_id)}")

    def decide_break(self, break_id: str, *, decision: str, reason: str, team: str | None = None, assigned_to: str | None = None, idempotency_key: str | None = None) -> Any:
        """Say whose a break is, or why it is. Nobody closes one but a run that does not find it any
        more."""
        return self.call("POST", f"/v1/breaks/{part(break_id)}/decisions", body=given(decision=decision, reason=reason, team=team, assigned_to=assigned_to), key=idempotency_key or new_key())

    def list_callback_attempts(self, *, after: str | None = None, limit: int | None = None, sequence: int | None = None) -> Iterator[dict[str, Any]]:
        """The requests to your endpoint of the last 30 days, the newest first, and what came of each."""
        return self.pages("/v1/callback-attempts", given(after=after, limit=limit, sequence=sequence))

    def put_callback_endpoint(self, *, url: str, heartbeat_seconds: int | None = None, per_minute: int | None = None, ordered: bool | None = None) -> Any:
        """Receive callbacks at a URL from now on, and everything not delivered yet."""
        return self.call("PUT", "/v1/callback-endpoint", body=given(url=url, heartbeat_seconds=heartbeat_seconds, per_minute=per_minute, ordered=ordered))

    def get_callback_endpoint(self) -> Any:
        """Look at your endpoint: whether it works, how far your stream has come, what the last day's
        attempts came to."""
        return self.call("GET", "/v1/callback-endpoint")

    def send_example(self, *, type: str, idempotency_key: str | None = None) -> Any:
        """Have an example of an event sent, signed as all are: it has no sequence, and no place in
        your stream."""
        return self.call("POST", "/v1/callback-endpoint/examples", body=given(type=type), key=idempotency_key or new_key())

    def recover_events(self, *, since: str, until: str, idempotency_key: str | None = None) -> Any:
        """Have every event of a time sent again, in order, under its id; your endpoint may have taken
        it before."""
        return self.call("POST", "/v1/callback-endpoint/recoveries", body=given(since=since, until=until), key=idempotency_key or new_key())

    def rotate_callback_secret(self) -> Any:
        """Have another secret. For a day what is sent is signed under the one before, too."""
        return self.call("PUT", "/v1/callback-endpoint/secret")

    def switch_callback_endpoint(self, *, enabled: bool) -> Any:
        """Hold all callbacks, or send again: what was held comes in its order."""
        return self.call("PUT", "/v1/callback-endpoint/state", body=given(enabled=enabled))

    def pay_capital(self, call_id: str, *, idempotency_key: str | None = None) -> Any:
        """Pay your share of a call from your money here: notes against money, in one transfer."""
        return self.call("POST", f"/v1/capital-calls/{part(call_id)}/payment", key=idempotency_key or new_key())

    def list_cases(self, *, after: str | None = None, limit: int | None = None, state: str | None = None, stage: str | None = None) -> Iterator[dict[str, Any]]:
        """Cases of late obligors."""
        return self.pages("/v1/cases", given(after=after, limit=limit, state=state, stage=stage))

    def show_case(self, case_id: str) -> Any:
        """A case with all that belongs to it."""
        return self.call("GET", f"/v1/cases/{part(case_id)}")

    def give_up_case(self, case_id: str, *, result: str, reason: str, idempotency_key: str | None = None) -> Any:
        """Close a bad debt from which nothing more is expected, after two people agreed to it."""
        return self.call("POST", f"/v1/cases/{part(case_id)}/closing", body=given(result=result, reason=reason), key=idempotency_key or new_key())

    def log_contact(self, case_id: str, *, channel: str, reached: bool, said: str, contact_date: str, person: str | None = None, idempotency_key: str | None = None) -> Any:
        """Enter a contact with the obligor."""
        return self.call("POST", f"/v1/cases/{part(case_id)}/contacts", body=given(channel=channel, reached=reached, person=person, said=said, contact_date=contact_date), key=idempotency_key or new_key())

    def propose_plan(self, case_id: str, *, asset_id: str, instalments: list[Any], idempotency_key: str | None = None) -> Any:
        """Propose instalments for an asset; they count once servicing reschedules it with its owner's
        consent."""
        return self.call("POST", f"/v1/cases/{part(case_id)}/plans", body=given(asset_id=asset_id, instalments=instalments), key=idempotency_key or new_key())

    def enter_promise(self, case_id: str, *, asset_ids: list[Any], currency: str, amount_minor: int, due_date: str, promised_by: str | None = None, idempotency_key: str | None = None) -> Any:
        """Enter the obligor's promise to pay; it is judged every day by what was received."""
        return self.call("POST", f"/v1/cases/{part(case_id)}/promises", body=given(asset_ids=asset_ids, currency=currency, amount_minor=amount_minor, due_date=due_date, promised_by=promised_by), key=idempotency_key or new_key())

    def refer_case(self, case_id: str, *, kind: str, to: str, reference: str, fee_bps: int | None = None, idempotency_key: str | None = None) -> Any:
        """Give a case to a court or an agency."""
        return self.call("POST", f"/v1/cases/{part(case_id)}/referrals", body=given(kind=kind, to=to, reference=reference, fee_bps=fee_bps), key=idempotency_key or new_key())

    def run_checks(self) -> Any:
        """Recompute the books and the log from their first entry."""
        return self.call("GET", "/v1/checks")

    def list_clashes(self, *, after: str | None = None, limit: int | None = None, claim_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Claims that may be one debt: the operator sees all, others those on one of whose sides they
        stand."""
        return self.pages("/v1/clashes", given(after=after, limit=limit, claim_id=claim_id))

    def list_client_keys(self) -> Any:
        """The keys your client proves itself with."""
        return self.call("GET", "/v1/client-keys")

    def add_client_key(self, *, public_jwk: dict[str, Any], idempotency_key: str | None = None) -> Any:
        """Enter the next key of your client; both are good until you retire the old one."""
        return self.call("POST", "/v1/client-keys", body=given(public_jwk=public_jwk), key=idempotency_key or new_key())

    def retire_client_key(self, thumbprint: str, *, idempotency_key: str | None = None) -> Any:
        """End a key of your client that is not its last."""
        return self.call("POST", f"/v1/client-keys/{part(thumbprint)}/retirement", key=idempotency_key or new_key())

    def revoke_client(self, client_id: str, *, idempotency_key: str | None = None) -> Any:
        """Give a client no more tokens, for good; the one it has ends within ten minutes."""
        return self.call("POST", f"/v1/clients/{part(client_id)}/revocation", key=idempotency_key or new_key())

    def show_clock(self, *, until: str | None = None) -> Any:
        """The exchange's time, and whether everything up to it is done. `Prefer: wait=10` waits until
        it is (RFC 7240)."""
        return self.call("GET", "/v1/clock", query=given(until=until))

    def move_clock(self, *, now: str, until: str | None = None) -> Any:
        """Move the virtual clock forward. `Prefer: wait=10` waits until everything due by then is
        done."""
        return self.call("PUT", "/v1/clock", query=given(until=until), body=given(now=now))

    def list_closed_days(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The business dates whose close was started, the last one first."""
        return self.pages("/v1/closed-days", given(after=after, limit=limit))

    def show_closed_day(self, business_date: str) -> Any:
        """How far a business date is closed: chunks done of all."""
        return self.call("GET", f"/v1/closed-days/{part(business_date)}")

    def create_co_funding(self, *, asset_id: str, shares: list[Any], idempotency_key: str | None = None) -> Any:
        """Part a free asset among several funders' mandates and offer each its share."""
        return self.call("POST", "/v1/co-fundings", body=given(asset_id=asset_id, shares=shares), key=idempotency_key or new_key())

    def show_collection_report(self) -> Any:
        """What each stage cures, what promises are worth, what lies with which team."""
        return self.call("GET", "/v1/collection-report")

    def show_checklist(self, company_id: str, *, product: str) -> Any:
        """What a company still has to bring for a product, and why it matters."""
        return self.call("GET", f"/v1/companies/{part(company_id)}/checklist", query=given(product=product))

    def list_facts(self, company_id: str, *, after: str | None = None, limit: int | None = None, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """Everything told of a company, with what was corrected; a platform sees what it told itself."""
        return self.pages(f"/v1/companies/{part(company_id)}/facts", given(after=after, limit=limit, kind=kind))

    def list_products(self, company_id: str) -> Any:
        """Which products are open to a company, what is missing for the others, and on what terms."""
        return self.call("GET", f"/v1/companies/{part(company_id)}/products")

    def show_rating(self, company_id: str, *, as_of: str | None = None) -> Any:
        """A company's rating on a day, with reasons, its place among peers, and its prompt payment
        index."""
        return self.call("GET", f"/v1/companies/{part(company_id)}/rating", query=given(as_of=as_of))

    def list_ratings(self, company_id: str, *, as_of: str | None = None, limit: int | None = None) -> Any:
        """How a company was rated over time, newest first."""
        return self.call("GET", f"/v1/companies/{part(company_id)}/ratings", query=given(as_of=as_of, limit=limit))

    def list_sources(self, company_id: str) -> Any:
        """The sources of what is known of a company, their age, and which are too old to count."""
        return self.call("GET", f"/v1/companies/{part(company_id)}/sources")

    def create_confirmation_requests(self, *, items: list[Any]) -> Any:
        """Ask obligors: a link for each, which you send to it. Asking again for the same gives the
        link that is open."""
        return self.call("POST", "/v1/confirmation-requests", body=given(items=items))

    def list_confirmation_requests(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Your links that have not expired."""
        return self.pages("/v1/confirmation-requests", given(after=after, limit=limit))

    def confirm_receivables(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Pass on up to 1,000 answers of obligors; what is not refused becomes a signed asset."""
        return self.call("POST", "/v1/confirmations", body=given(items=items), key=idempotency_key or new_key())

    def show_controller(self, controller_id: str) -> Any:
        """A person who controls companies, masked: which companies, whether anything of the person is
        kept."""
        return self.call("GET", f"/v1/controllers/{part(controller_id)}")

    def read_national_id(self, controller_id: str, *, purpose: str, reason: str) -> Any:
        """Read a person's national id, for a purpose that is noted with your name for auditors to see."""
        return self.call("POST", f"/v1/controllers/{part(controller_id)}/accesses", body=given(purpose=purpose, reason=reason))

    def ask_erasure(self, controller_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Ask that a person be erased; another client decides. Refused while an asset lives or the law
        has it kept."""
        return self.call("POST", f"/v1/controllers/{part(controller_id)}/erasures", body=given(reason=reason), key=idempotency_key or new_key())

    def correct_assets(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Correct up to 1,000 assets: each by a new record that names the one it corrects."""
        return self.call("POST", "/v1/corrections", body=given(items=items), key=idempotency_key or new_key())

    def post_credit_notes(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Enter up to 1,000 credit notes."""
        return self.call("POST", "/v1/credit-notes", body=given(items=items), key=idempotency_key or new_key())

    def list_debts(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """What sellers and holders owe for assets that went wrong."""
        return self.pages("/v1/debts", given(after=after, limit=limit))

    def check_invoices(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Ask of up to 1,000 invoices whether they are financed already; nothing is claimed by it."""
        return self.call("POST", "/v1/duplicate-checks", body=given(items=items), key=idempotency_key or new_key())

    def show_group_key(self) -> Any:
        """The key under which all platforms of the group compute the marks of their invoices."""
        return self.call("GET", "/v1/duplicates/key")

    def encumber_assets(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Enter up to 1,000 rights of others; what is encumbered is offered to nobody."""
        return self.call("POST", "/v1/encumbrances", body=given(items=items), key=idempotency_key or new_key())

    def release_encumbrance(self, encumbrance_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """End an encumbrance that you entered."""
        return self.call("POST", f"/v1/encumbrances/{part(encumbrance_id)}/release", body=given(reason=reason), key=idempotency_key or new_key())

    def list_erasures(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Requests to erase persons, and what was decided of them; oldest first."""
        return self.pages("/v1/erasures", given(after=after, limit=limit, state=state))

    def decide_erasure(self, erasure_id: str, *, decision: str, idempotency_key: str | None = None) -> Any:
        """Erase for good what is kept of a person, or decline; what was signed of assets stays and
        still verifies."""
        return self.call("POST", f"/v1/erasures/{part(erasure_id)}/decision", body=given(decision=decision), key=idempotency_key or new_key())

    def get_events(self, *, after: int | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read your stream: the same bytes as by callback, whether they arrived or not."""
        return self.pages("/v1/events", given(after=after, limit=limit))

    def resend_event(self, sequence: str, *, idempotency_key: str | None = None) -> Any:
        """Have one event sent again, under its id."""
        return self.call("POST", f"/v1/events/{part(sequence)}/deliveries", key=idempotency_key or new_key())

    def open_facility(self, *, name: str, tranches: list[Any], rules: dict[str, Any], idempotency_key: str | None = None) -> Any:
        """Open a facility: a funder that buys by its own mandate, with tranches that other funders
        hold."""
        return self.call("POST", "/v1/facilities", body=given(name=name, tranches=tranches, rules=rules), key=idempotency_key or new_key())

    def list_facilities(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The facilities you may see: a funder those it committed to."""
        return self.pages("/v1/facilities", given(after=after, limit=limit))

    def show_facility(self, facility_id: str) -> Any:
        """A facility: state and health, tranches with your own part, the rules in force."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}")

    def show_borrowing_base(self, facility_id: str, *, as_of: str | None = None) -> Any:
        """The borrowing base: what counts, what does not and by which rule, the excess over each
        limit."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/base", query=given(as_of=as_of))

    def call_capital(self, facility_id: str, *, tranche: str, amount_minor: int, due_date: str, idempotency_key: str | None = None) -> Any:
        """Call capital of a tranche: each holder's share by what it has uncalled."""
        return self.call("POST", f"/v1/facilities/{part(facility_id)}/capital-calls", body=given(tranche=tranche, amount_minor=amount_minor, due_date=due_date), key=idempotency_key or new_key())

    def list_capital_calls(self, facility_id: str) -> Any:
        """What was called, share by share: a holder sees its own."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/capital-calls")

    def enter_commitment(self, facility_id: str, *, tranche: str, funder_id: str, amount_minor: int, idempotency_key: str | None = None) -> Any:
        """Enter what a funder committed to a tranche; no money moves before it pays in itself."""
        return self.call("POST", f"/v1/facilities/{part(facility_id)}/commitments", body=given(tranche=tranche, funder_id=funder_id, amount_minor=amount_minor), key=idempotency_key or new_key())

    def list_distributions(self, facility_id: str, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """What was paid on each payment date, and what of it to you."""
        return self.pages(f"/v1/facilities/{part(facility_id)}/distributions", given(after=after, limit=limit))

    def list_facility_facts(self, facility_id: str, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Every turn of state, health and triggers, with the numbers compared."""
        return self.pages(f"/v1/facilities/{part(facility_id)}/facts", given(after=after, limit=limit))

    def list_holdings(self, facility_id: str) -> Any:
        """Who holds what of a facility's tranches."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/holdings")

    def list_facility_losses(self, facility_id: str, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Who bore each loss, and who was made whole by each recovery."""
        return self.pages(f"/v1/facilities/{part(facility_id)}/losses", given(after=after, limit=limit))

    def show_net_asset_value(self, facility_id: str, *, as_of: str | None = None) -> Any:
        """The net asset value, what value was lost to, and what of it is each tranche's."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/nav", query=given(as_of=as_of))

    def show_facility_records(self, facility_id: str) -> Any:
        """A facility's signed life, to be verified without us."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/records")

    def redeem_principal(self, facility_id: str, *, tranche: str, amount_minor: int, idempotency_key: str | None = None) -> Any:
        """Ask for principal back at the next payment dates; until then the rules do not change."""
        return self.call("POST", f"/v1/facilities/{part(facility_id)}/redemptions", body=given(tranche=tranche, amount_minor=amount_minor), key=idempotency_key or new_key())

    def list_redemptions(self, facility_id: str) -> Any:
        """Redemptions: a holder sees its own."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/redemptions")

    def announce_rules(self, facility_id: str, *, purchases: dict[str, Any], payments: dict[str, Any], eligibility: dict[str, Any] | None = None, limits: list[Any] | None = None, triggers: list[Any] | None = None, profit: dict[str, Any] | None = None, principal: dict[str, Any] | None = None, losses: list[Any] | None = None, advance_bps: int | None = None, dilution_bps: int | None = None, discount_bps: int | None = None, late: list[Any] | None = None, silence: list[Any] | None = None, stale: list[Any] | None = None, late_days: int | None = None, window_days: int | None = None, reserve_minor: int | None = None, reserve_ppm: int | None = None, fee_bps: int | None = None, notice_days: int | None = None, revolving_from: str | None = None, revolving_until: str | None = None, idempotency_key: str | None = None) -> Any:
        """Announce other rules: they wait for their notice, and while money waits to leave."""
        return self.call("POST", f"/v1/facilities/{part(facility_id)}/rules", body=given(purchases=purchases, payments=payments, eligibility=eligibility, limits=limits, triggers=triggers, profit=profit, principal=principal, losses=losses, advance_bps=advance_bps, dilution_bps=dilution_bps, discount_bps=discount_bps, late=late, silence=silence, stale=stale, late_days=late_days, window_days=window_days, reserve_minor=reserve_minor, reserve_ppm=reserve_ppm, fee_bps=fee_bps, notice_days=notice_days, revolving_from=revolving_from, revolving_until=revolving_until), key=idempotency_key or new_key())

    def list_rules(self, facility_id: str) -> Any:
        """Every version of the rules."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/rules")

    def withdraw_rules(self, facility_id: str, version: str, *, idempotency_key: str | None = None) -> Any:
        """Withdraw rules that wait."""
        return self.call("POST", f"/v1/facilities/{part(facility_id)}/rules/{part(version)}/withdrawal", key=idempotency_key or new_key())

    def turn_facility(self, facility_id: str, *, state: str, reason: str, idempotency_key: str | None = None) -> Any:
        """Turn a facility on; closing pays out all that is left."""
        return self.call("POST", f"/v1/facilities/{part(facility_id)}/states", body=given(state=state, reason=reason), key=idempotency_key or new_key())

    def stress_facility(self, facility_id: str, *, pd_bps: int | None = None, lgd_bps: int | None = None, dilution_bps: int | None = None, prepaid_ppm: int | None = None) -> Any:
        """What base, value and tests would be; nothing changes."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/stress", query=given(pd_bps=pd_bps, lgd_bps=lgd_bps, dilution_bps=dilution_bps, prepaid_ppm=prepaid_ppm))

    def show_facility_tests(self, facility_id: str, *, as_of: str | None = None) -> Any:
        """Each test with its number, its threshold, and what it turns."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/tests", query=given(as_of=as_of))

    def preview_waterfall(self, facility_id: str, *, date: str | None = None) -> Any:
        """What a payment date would pay with what there is now."""
        return self.call("GET", f"/v1/facilities/{part(facility_id)}/waterfall", query=given(date=date))

    def get_fact_policy(self) -> Any:
        """How long facts count, and what each product asks for."""
        return self.call("GET", "/v1/fact-policy")

    def put_fact_policy(self, *, age_limits: list[Any], checklists: list[Any]) -> Any:
        """Say how long facts count, and what each product asks for."""
        return self.call("PUT", "/v1/fact-policy", body=given(age_limits=age_limits, checklists=checklists))

    def withdraw_facts(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Say of up to 1,000 facts which you told that they are not so, and why."""
        return self.call("POST", "/v1/fact-withdrawals", body=given(items=items), key=idempotency_key or new_key())

    def tell_accounts(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `account`."""
        return self.call("POST", "/v1/facts/accounts", body=given(items=items), key=idempotency_key or new_key())

    def tell_controls(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `control`."""
        return self.call("POST", "/v1/facts/controls", body=given(items=items), key=idempotency_key or new_key())

    def tell_deliveries(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `delivery`."""
        return self.call("POST", "/v1/facts/deliveries", body=given(items=items), key=idempotency_key or new_key())

    def tell_invoices(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `invoice`."""
        return self.call("POST", "/v1/facts/invoices", body=given(items=items), key=idempotency_key or new_key())

    def tell_orders(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `order`."""
        return self.call("POST", "/v1/facts/orders", body=given(items=items), key=idempotency_key or new_key())

    def tell_payments(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `payment`."""
        return self.call("POST", "/v1/facts/payments", body=given(items=items), key=idempotency_key or new_key())

    def tell_person_reports(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `person_report`."""
        return self.call("POST", "/v1/facts/person-reports", body=given(items=items), key=idempotency_key or new_key())

    def tell_prices(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `price`."""
        return self.call("POST", "/v1/facts/prices", body=given(items=items), key=idempotency_key or new_key())

    def tell_registrations(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `registration`."""
        return self.call("POST", "/v1/facts/registrations", body=given(items=items), key=idempotency_key or new_key())

    def tell_reports(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `report`."""
        return self.call("POST", "/v1/facts/reports", body=given(items=items), key=idempotency_key or new_key())

    def tell_returns(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `return`."""
        return self.call("POST", "/v1/facts/returns", body=given(items=items), key=idempotency_key or new_key())

    def tell_shareholdings(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `shareholding`."""
        return self.call("POST", "/v1/facts/shareholdings", body=given(items=items), key=idempotency_key or new_key())

    def tell_statements(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell up to 1,000 facts of the kind `statement`."""
        return self.call("POST", "/v1/facts/statements", body=given(items=items), key=idempotency_key or new_key())

    def upload_facts(self, kind: str, *, body: bytes, idempotency_key: str | None = None) -> Any:
        """Tell up to 10,000 facts of a kind in a file, `text/csv` or `application/x-ndjson`."""
        return self.call("POST", f"/v1/facts/{part(kind)}/files", body=body, key=idempotency_key or new_key())

    def export_filings(self, *, from_: str, to: str) -> Any:
        """What you bought in a time and hold, for the public registry of movable property."""
        return self.call("GET", "/v1/filings", query=given(from_=from_, to=to))

    def keep_filings(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Record up to 1,000 numbers under which you filed what you hold."""
        return self.call("POST", "/v1/filings", body=given(items=items), key=idempotency_key or new_key())

    def put_forbearance_consent(self, *, kinds: list[Any], max_days: int, max_count: int) -> Any:
        """Say which proposals you agree to without being asked, from now on."""
        return self.call("PUT", "/v1/forbearance-consent", body=given(kinds=kinds, max_days=max_days, max_count=max_count))

    def show_forbearance_consent(self) -> Any:
        """Which proposals you agree to without being asked."""
        return self.call("GET", "/v1/forbearance-consent")

    def list_forbearances(self, *, after: str | None = None, limit: int | None = None, asset_id: str | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """The proposals that concern you, oldest first."""
        return self.pages("/v1/forbearances", given(after=after, limit=limit, asset_id=asset_id, state=state))

    def answer_forbearance(self, forbearance_id: str, *, outcome: str, reason: str | None = None, idempotency_key: str | None = None) -> Any:
        """Accept or refuse a proposal for an asset that you own, or withdraw your own proposal."""
        return self.call("POST", f"/v1/forbearances/{part(forbearance_id)}/answer", body=given(outcome=outcome, reason=reason), key=idempotency_key or new_key())

    def create_funder(self, *, name: str, public_jwk: dict[str, Any]) -> Any:
        """Enter a funder and its first client."""
        return self.call("POST", "/v1/funders", body=given(name=name, public_jwk=public_jwk))

    def claim_invoices(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Claim shares of up to 1,000 invoices that you finance; nobody else can have them until you
        release them."""
        return self.call("POST", "/v1/invoice-claims", body=given(items=items), key=idempotency_key or new_key())

    def list_invoice_claims(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Your claims."""
        return self.pages("/v1/invoice-claims", given(after=after, limit=limit))

    def release_invoice_claim(self, claim_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """End a claim: cancelled, its share is free again; repaid, it is used up."""
        return self.call("POST", f"/v1/invoice-claims/{part(claim_id)}/release", body=given(reason=reason), key=idempotency_key or new_key())

    def list_letters(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Letters to late obligors: fetch those that wait, send them, and say so."""
        return self.pages("/v1/letters", given(after=after, limit=limit, state=state))

    def show_letter(self, letter_id: str) -> Any:
        """A letter as it is to be sent."""
        return self.call("GET", f"/v1/letters/{part(letter_id)}")

    def note_letter_sent(self, letter_id: str, *, channel: str, reference: str, sent_date: str, idempotency_key: str | None = None) -> Any:
        """Say that a letter was sent; its task is done with that."""
        return self.call("POST", f"/v1/letters/{part(letter_id)}/sending", body=given(channel=channel, reference=reference, sent_date=sent_date), key=idempotency_key or new_key())

    def suspend_limits(self, *, obligor_id: str, reason: str, idempotency_key: str | None = None) -> Any:
        """Suspend all limits of an obligor by hand: nothing new of it is offered or bought until that
        is lifted."""
        return self.call("POST", "/v1/limit-suspensions", body=given(obligor_id=obligor_id, reason=reason), key=idempotency_key or new_key())

    def list_limit_suspensions(self, *, after: str | None = None, limit: int | None = None, obligor_id: str | None = None, at: str | None = None) -> Iterator[dict[str, Any]]:
        """Suspensions of limits, oldest first; with `at`, those that stood at the end of that day."""
        return self.pages("/v1/limit-suspensions", given(after=after, limit=limit, obligor_id=obligor_id, at=at))

    def lift_suspension(self, suspension_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Lift a suspension; where two have to agree, the first call asks and another operator's
        lifts."""
        return self.call("POST", f"/v1/limit-suspensions/{part(suspension_id)}/lifting", body=given(reason=reason), key=idempotency_key or new_key())

    def list_limits(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Every company's limits as they are now."""
        return self.pages("/v1/limits", given(after=after, limit=limit))

    def show_limit(self, company_id: str, *, as_of: str | None = None) -> Any:
        """A company's limits as they stood at any moment: ceilings, use, what was suspended and who
        may lift that."""
        return self.call("GET", f"/v1/limits/{part(company_id)}", query=given(as_of=as_of))

    def list_limit_events(self, company_id: str, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Every change of a company's limits and every use of them, with its cause."""
        return self.pages(f"/v1/limits/{part(company_id)}/history", given(after=after, limit=limit))

    def create_listing(self, *, asset_ids: list[Any], currency: str, price_ppm: int, valid_until: str, min_part_minor: int | None = None, idempotency_key: str | None = None) -> Any:
        """Offer assets that you hold to other funders, who are not told whose they are."""
        return self.call("POST", "/v1/listings", body=given(asset_ids=asset_ids, currency=currency, price_ppm=price_ppm, min_part_minor=min_part_minor, valid_until=valid_until), key=idempotency_key or new_key())

    def list_listings(self, *, after: str | None = None, limit: int | None = None, of: str | None = None) -> Iterator[dict[str, Any]]:
        """What other funders sell and one of your mandates would take now, or your own listings."""
        return self.pages("/v1/listings", given(after=after, limit=limit, of=of))

    def take_listing(self, listing_id: str, *, mandate_id: str, asset_ids: list[Any] | None = None, part_minor: int | None = None, idempotency_key: str | None = None) -> Any:
        """Buy what another funder listed, at once: title against money."""
        return self.call("POST", f"/v1/listings/{part(listing_id)}/purchases", body=given(mandate_id=mandate_id, asset_ids=asset_ids, part_minor=part_minor), key=idempotency_key or new_key())

    def withdraw_listing(self, listing_id: str, *, idempotency_key: str | None = None) -> Any:
        """Take a listing of yours off the market."""
        return self.call("POST", f"/v1/listings/{part(listing_id)}/withdrawal", key=idempotency_key or new_key())

    def list_loss_rates(self) -> Any:
        """What is lost of what defaults, and credited of what is invoiced, as it was learned."""
        return self.call("GET", "/v1/loss-rates")

    def create_mandate(self, *, currency: str, budget_minor: int, products: list[Any], max_pd_ppm: int, min_tenor_days: int, max_tenor_days: int, min_face_minor: int, max_face_minor: int, recourse: list[Any], confirmation_grades: list[Any], obligor_cap_minor: int, seller_cap_minor: int, base_rate_bps: int, name: str, grade_spreads_bps: list[Any] | None = None, advance_bps: int | None = None, auto_commit: bool | None = None, rank: int | None = None, tenor_spreads: list[Any] | None = None, day_count: str | None = None, worst_grade: str | None = None, sectors: list[Any] | None = None, sectors_out: list[Any] | None = None, regions: list[Any] | None = None, regions_out: list[Any] | None = None, max_score_age_days: int | None = None, max_invoice_age_days: int | None = None, max_late_permille: int | None = None, limits: list[Any] | None = None, max_average_pd_ppm: int | None = None, max_average_tenor_days: int | None = None, min_average_rate_bps: int | None = None, min_pool_minor: int | None = None, max_pool_minor: int | None = None, effective_at: str | None = None, idempotency_key: str | None = None) -> Any:
        """Put a mandate in force for the rounds to come."""
        return self.call("POST", "/v1/mandates", body=given(currency=currency, budget_minor=budget_minor, products=products, max_pd_ppm=max_pd_ppm, min_tenor_days=min_tenor_days, max_tenor_days=max_tenor_days, min_face_minor=min_face_minor, max_face_minor=max_face_minor, recourse=recourse, confirmation_grades=confirmation_grades, obligor_cap_minor=obligor_cap_minor, seller_cap_minor=seller_cap_minor, base_rate_bps=base_rate_bps, grade_spreads_bps=grade_spreads_bps, advance_bps=advance_bps, auto_commit=auto_commit, rank=rank, tenor_spreads=tenor_spreads, day_count=day_count, worst_grade=worst_grade, sectors=sectors, sectors_out=sectors_out, regions=regions, regions_out=regions_out, max_score_age_days=max_score_age_days, max_invoice_age_days=max_invoice_age_days, max_late_permille=max_late_permille, limits=limits, max_average_pd_ppm=max_average_pd_ppm, max_average_tenor_days=max_average_tenor_days, min_average_rate_bps=min_average_rate_bps, min_pool_minor=min_pool_minor, max_pool_minor=max_pool_minor, name=name, effective_at=effective_at), key=idempotency_key or new_key())

    def list_mandates(self) -> Any:
        """Your mandates in force, and the versions of them that are to come."""
        return self.call("GET", "/v1/mandates")

    def end_mandate(self, mandate_id: str, *, idempotency_key: str | None = None) -> Any:
        """Let a mandate take nothing more; what was offered under it stays offered. Enter its name
        again to begin anew."""
        return self.call("POST", f"/v1/mandates/{part(mandate_id)}/end", key=idempotency_key or new_key())

    def explain_mandate(self, mandate_id: str, asset_id: str) -> Any:
        """Why the next round would not give you this asset: the same rules as the matcher's, with the
        numbers compared."""
        return self.call("GET", f"/v1/mandates/{part(mandate_id)}/why-not/{part(asset_id)}")

    def train_model(self, *, horizon_days: int, at_once: bool | None = None, reason: str | None = None, idempotency_key: str | None = None) -> Any:
        """Train a model on everything known by now. The first one scores at once, a later one in
        shadow."""
        return self.call("POST", "/v1/models", body=given(horizon_days=horizon_days, at_once=at_once, reason=reason), key=idempotency_key or new_key())

    def list_models(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Every model, by version."""
        return self.pages("/v1/models", given(after=after, limit=limit))

    def show_model(self) -> Any:
        """The model in force."""
        return self.call("GET", "/v1/models/current")

    def roll_back_model(self, *, reason: str, version: str | None = None, idempotency_key: str | None = None) -> Any:
        """Go back to a model that was in force before."""
        return self.call("POST", "/v1/models/rollback", body=given(reason=reason, version=version), key=idempotency_key or new_key())

    def show_whole_model(self, version: str) -> Any:
        """One model, what became of it and what was found of it."""
        return self.call("GET", f"/v1/models/{part(version)}")

    def evaluate_model(self, version: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Compare a model with the one in force, on outcomes that came after both were trained."""
        return self.call("POST", f"/v1/models/{part(version)}/evaluation", body=given(reason=reason), key=idempotency_key or new_key())

    def promote_model(self, version: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Put a candidate in force whose shadow is over and whose comparison shows that it is better."""
        return self.call("POST", f"/v1/models/{part(version)}/promotion", body=given(reason=reason), key=idempotency_key or new_key())

    def show_owners(self, *, day: str | None = None) -> Any:
        """Whose the money on the collection accounts is, at the end of a day or now."""
        return self.call("GET", "/v1/money", query=given(day=day))

    def list_notices(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """The notices of assignment that concern you, oldest first."""
        return self.pages("/v1/notices", given(after=after, limit=limit, state=state))

    def show_notice(self, notice_id: str) -> Any:
        """A notice with its text, and the assets it names."""
        return self.call("GET", f"/v1/notices/{part(notice_id)}")

    def acknowledge_notice(self, notice_id: str, *, acknowledged_date: str, evidence: str | None = None, idempotency_key: str | None = None) -> Any:
        """Acknowledge a notice as the obligor, or record that it did, with the digest of the evidence."""
        return self.call("POST", f"/v1/notices/{part(notice_id)}/acknowledgement", body=given(acknowledged_date=acknowledged_date, evidence=evidence), key=idempotency_key or new_key())

    def create_obligor(self, *, scheme: str, value: str, public_jwk: dict[str, Any], name: str | None = None, originator_id: str | None = None) -> Any:
        """Enter a client with which an obligor answers for itself."""
        return self.call("POST", "/v1/obligors", body=given(scheme=scheme, value=value, name=name, originator_id=originator_id, public_jwk=public_jwk))

    def put_letter_language(self, company_id: str, *, language: str) -> Any:
        """Say in which language you write to an obligor."""
        return self.call("PUT", f"/v1/obligors/{part(company_id)}/language", body=given(language=language))

    def list_offers(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Your offers, oldest first."""
        return self.pages("/v1/offers", given(after=after, limit=limit, state=state))

    def show_offer(self, offer_id: str) -> Any:
        """One of your offers, with its assets."""
        return self.call("GET", f"/v1/offers/{part(offer_id)}")

    def commit_to_offer(self, offer_id: str, *, asset_ids: list[Any] | None = None, idempotency_key: str | None = None) -> Any:
        """Take an offer; it is bought at the next cut-off. Signed (RFC 9421), the request itself is
        kept as your word."""
        return self.call("POST", f"/v1/offers/{part(offer_id)}/commitment", body=given(asset_ids=asset_ids), key=idempotency_key or new_key())

    def refuse_offer(self, offer_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Refuse an offer; its assets go to the next round."""
        return self.call("POST", f"/v1/offers/{part(offer_id)}/refusal", body=given(reason=reason), key=idempotency_key or new_key())

    def create_originator(self, *, name: str, public_jwk: dict[str, Any]) -> Any:
        """Enter an originator and its first client."""
        return self.call("POST", "/v1/originators", body=given(name=name, public_jwk=public_jwk))

    def create_originator_client(self, originator_id: str, *, public_jwk: dict[str, Any]) -> Any:
        """Enter one more client of an originator, such as the second pair of eyes."""
        return self.call("POST", f"/v1/originators/{part(originator_id)}/clients", body=given(public_jwk=public_jwk))

    def put_collection_policy(self, originator_id: str, *, strategies: list[Any], on_broken_promise: list[Any], most_open_promises: int, longest_promise_days: int, promise_grace_days: int, reply_days: int, most_agency_fee_bps: int, language: str, calendar: str) -> Any:
        """Say how an originator's late obligors are followed, in cases opened from now on."""
        return self.call("PUT", f"/v1/originators/{part(originator_id)}/collection-policy", body=given(strategies=strategies, on_broken_promise=on_broken_promise, most_open_promises=most_open_promises, longest_promise_days=longest_promise_days, promise_grace_days=promise_grace_days, reply_days=reply_days, most_agency_fee_bps=most_agency_fee_bps, language=language, calendar=calendar))

    def get_collection_policy(self, originator_id: str) -> Any:
        """How an originator's late obligors are followed."""
        return self.call("GET", f"/v1/originators/{part(originator_id)}/collection-policy")

    def put_policy(self, originator_id: str, *, approvals: list[Any], silence: list[Any]) -> Any:
        """Say what an originator's submissions need: approval by a second client, and when silence is
        acceptance."""
        return self.call("PUT", f"/v1/originators/{part(originator_id)}/policy", body=given(approvals=approvals, silence=silence))

    def get_policy(self, originator_id: str) -> Any:
        """What an originator's submissions need."""
        return self.call("GET", f"/v1/originators/{part(originator_id)}/policy")

    def create_partner(self, *, name: str, public_jwk: dict[str, Any]) -> Any:
        """Enter another platform, which may ask and claim by blind marks, and its first client."""
        return self.call("POST", "/v1/partners", body=given(name=name, public_jwk=public_jwk))

    def advise_payments(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Say of up to 1,000 assets what was paid, when, and to which account."""
        return self.call("POST", "/v1/payment-advices", body=given(items=items), key=idempotency_key or new_key())

    def post_payment_answer(self, *, body: bytes, idempotency_key: str | None = None) -> Any:
        """Enter the bank's answer to a file (pain.002)."""
        return self.call("POST", "/v1/payment-answers", body=body, key=idempotency_key or new_key())

    def make_payment_file(self, *, account: str, message: str | None = None, idempotency_key: str | None = None) -> Any:
        """Make the file that instructs the bank to pay what is due."""
        return self.call("POST", "/v1/payment-files", body=given(account=account, message=message), key=idempotency_key or new_key())

    def list_payment_files(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Files, oldest first, and where their payments are."""
        return self.pages("/v1/payment-files", given(after=after, limit=limit))

    def download_payment_file(self, file_id: str) -> Any:
        """The file as the bank takes it (pain.001): the same bytes each time."""
        return self.call("GET", f"/v1/payment-files/{part(file_id)}")

    def put_payment_policy(self, *, approve_above: list[Any], pay_from: list[Any], payers: list[Any], cut_off: str, cooling_days: int, calendar: str, most_payments: int, advice_days: int, late_share_bps: int | None = None, late_obligors: int | None = None) -> Any:
        """Put a policy in force for what is proposed from now on."""
        return self.call("PUT", "/v1/payment-policy", body=given(approve_above=approve_above, pay_from=pay_from, payers=payers, cut_off=cut_off, cooling_days=cooling_days, calendar=calendar, most_payments=most_payments, advice_days=advice_days, late_share_bps=late_share_bps, late_obligors=late_obligors))

    def show_payment_policy(self) -> Any:
        """The policy in force."""
        return self.call("GET", "/v1/payment-policy")

    def pay_seller(self, *, seller: dict[str, Any], currency: str, part_minor: int | None = None, idempotency_key: str | None = None) -> Any:
        """Pay a seller what it is owed, to its account in force."""
        return self.call("POST", "/v1/payments", body=given(seller=seller, currency=currency, part_minor=part_minor), key=idempotency_key or new_key())

    def list_payments(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Payments of your money, or of all, oldest first."""
        return self.pages("/v1/payments", given(after=after, limit=limit, state=state))

    def approve_payments(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Approve up to 1,000 payments that somebody else proposed, or decline them."""
        return self.call("POST", "/v1/payments/approvals", body=given(items=items), key=idempotency_key or new_key())

    def show_payment(self, payment_id: str) -> Any:
        """A payment and all its steps: who, when, why."""
        return self.call("GET", f"/v1/payments/{part(payment_id)}")

    def cancel_payment(self, payment_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Call a payment off while no bank knows of it."""
        return self.call("POST", f"/v1/payments/{part(payment_id)}/cancellation", body=given(reason=reason), key=idempotency_key or new_key())

    def enter_payout_account(self, *, holder_name: str, account: str, currency: str, agent: str | None = None, seller: dict[str, Any] | None = None, idempotency_key: str | None = None) -> Any:
        """Enter where your money, or a seller's, shall go; somebody else has to approve it."""
        return self.call("POST", "/v1/payout-accounts", body=given(holder_name=holder_name, account=account, agent=agent, currency=currency, seller=seller), key=idempotency_key or new_key())

    def list_payout_accounts(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Payout accounts with their history, oldest first."""
        return self.pages("/v1/payout-accounts", given(after=after, limit=limit))

    def decide_payout_accounts(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Approve up to 1,000 accounts that somebody else entered, or decline them."""
        return self.call("POST", "/v1/payout-accounts/decisions", body=given(items=items), key=idempotency_key or new_key())

    def close_payout_account(self, account_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Send nothing more to an account, at once; payments to it that no bank knows of are
        cancelled."""
        return self.call("POST", f"/v1/payout-accounts/{part(account_id)}/closure", body=given(reason=reason), key=idempotency_key or new_key())

    def list_personal_accesses(self, *, after: str | None = None, limit: int | None = None, subject: str | None = None, client_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Who was shown personal data: of whom, which, why and when; oldest first."""
        return self.pages("/v1/personal-accesses", given(after=after, limit=limit, subject=subject, client_id=client_id))

    def decide_plan(self, plan_id: str, *, reschedule_id: str | None = None, reason: str | None = None, idempotency_key: str | None = None) -> Any:
        """Say under which id servicing reschedules by a plan, or why it is dropped."""
        return self.call("POST", f"/v1/plans/{part(plan_id)}/decision", body=given(reschedule_id=reschedule_id, reason=reason), key=idempotency_key or new_key())

    def list_pools(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Pools, oldest first: a funder sees its own."""
        return self.pages("/v1/pools", given(after=after, limit=limit))

    def show_positions(self) -> Any:
        """What you hold now."""
        return self.call("GET", "/v1/positions")

    def find_rated_company(self, *, scheme: str, value: str) -> Any:
        """The company with a registered number, if you may ask about it."""
        return self.call("GET", "/v1/rated-companies", query=given(scheme=scheme, value=value))

    def list_rating_accesses(self, *, after: str | None = None, limit: int | None = None, company_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Who asked what about whom, oldest first."""
        return self.pages("/v1/rating-accesses", given(after=after, limit=limit, company_id=company_id))

    def grant_rating(self, *, funder_id: str, purpose: str, consent: str, from_date: str, until_date: str, company_id: str | None = None, idempotency_key: str | None = None) -> Any:
        """Let a funder ask about a company, for a purpose, on its consent, in a time."""
        return self.call("POST", "/v1/rating-grants", body=given(funder_id=funder_id, company_id=company_id, purpose=purpose, consent=consent, from_date=from_date, until_date=until_date), key=idempotency_key or new_key())

    def list_rating_grants(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Grants; a funder sees its own."""
        return self.pages("/v1/rating-grants", given(after=after, limit=limit))

    def revoke_rating_grant(self, grant_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """End a grant at once."""
        return self.call("POST", f"/v1/rating-grants/{part(grant_id)}/revocation", body=given(reason=reason), key=idempotency_key or new_key())

    def show_migration(self, *, from_date: str, until_date: str) -> Any:
        """How the grades of all obligors moved between two days; a funder needs a grant for all
        companies."""
        return self.call("GET", "/v1/rating-migration", query=given(from_date=from_date, until_date=until_date))

    def post_receipts(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Enter up to 1,000 credit lines of the collection account's statement."""
        return self.call("POST", "/v1/receipts", body=given(items=items), key=idempotency_key or new_key())

    def submit_receivables(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Submit up to 1,000 receivables; each is judged by itself."""
        return self.call("POST", "/v1/receivables", body=given(items=items), key=idempotency_key or new_key())

    def upload_document(self, asset_id: str, kind: str, *, body: bytes, name: str | None = None, idempotency_key: str | None = None) -> Any:
        """Upload an order, delivery note, invoice or contract of up to 5 MB: its digest is kept, its
        bytes are not."""
        return self.call("POST", f"/v1/receivables/{part(asset_id)}/documents/{part(kind)}", query=given(name=name), body=body, key=idempotency_key or new_key())

    def start_reconciliation(self, *, idempotency_key: str | None = None) -> Any:
        """Compare everything now, for today; a worker does it. What is gone is closed, what is new is
        a break."""
        return self.call("POST", "/v1/reconciliations", key=idempotency_key or new_key())

    def list_reconciliations(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Runs, oldest first."""
        return self.pages("/v1/reconciliations", given(after=after, limit=limit))

    def show_reconciliation(self, run_id: str) -> Any:
        """One run, and how far it is."""
        return self.call("GET", f"/v1/reconciliations/{part(run_id)}")

    def withdraw_redemption(self, redemption_id: str, *, idempotency_key: str | None = None) -> Any:
        """Leave the rest of your money in."""
        return self.call("POST", f"/v1/redemptions/{part(redemption_id)}/withdrawal", key=idempotency_key or new_key())

    def end_referral(self, referral_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Take a case back from a court or an agency."""
        return self.call("POST", f"/v1/referrals/{part(referral_id)}/end", body=given(reason=reason), key=idempotency_key or new_key())

    def refund_receipt(self, *, receipt_id: str, part_minor: int | None = None, creditor: dict[str, Any] | None = None, idempotency_key: str | None = None) -> Any:
        """Send money that nobody could place back to where it came from."""
        return self.call("POST", "/v1/refunds", body=given(receipt_id=receipt_id, part_minor=part_minor, creditor=creditor), key=idempotency_key or new_key())

    def rehearse_mandate(self, *, currency: str, budget_minor: int, products: list[Any], max_pd_ppm: int, min_tenor_days: int, max_tenor_days: int, min_face_minor: int, max_face_minor: int, recourse: list[Any], confirmation_grades: list[Any], obligor_cap_minor: int, seller_cap_minor: int, base_rate_bps: int, grade_spreads_bps: list[Any] | None = None, advance_bps: int | None = None, auto_commit: bool | None = None, rank: int | None = None, tenor_spreads: list[Any] | None = None, day_count: str | None = None, worst_grade: str | None = None, sectors: list[Any] | None = None, sectors_out: list[Any] | None = None, regions: list[Any] | None = None, regions_out: list[Any] | None = None, max_score_age_days: int | None = None, max_invoice_age_days: int | None = None, max_late_permille: int | None = None, limits: list[Any] | None = None, max_average_pd_ppm: int | None = None, max_average_tenor_days: int | None = None, min_average_rate_bps: int | None = None, min_pool_minor: int | None = None, max_pool_minor: int | None = None, from_date: str | None = None, to_date: str | None = None, idempotency_key: str | None = None) -> Any:
        """Try terms out without putting them in force: on what is free now, and on the rounds of past
        days."""
        return self.call("POST", "/v1/rehearsals", body=given(currency=currency, budget_minor=budget_minor, products=products, max_pd_ppm=max_pd_ppm, min_tenor_days=min_tenor_days, max_tenor_days=max_tenor_days, min_face_minor=min_face_minor, max_face_minor=max_face_minor, recourse=recourse, confirmation_grades=confirmation_grades, obligor_cap_minor=obligor_cap_minor, seller_cap_minor=seller_cap_minor, base_rate_bps=base_rate_bps, grade_spreads_bps=grade_spreads_bps, advance_bps=advance_bps, auto_commit=auto_commit, rank=rank, tenor_spreads=tenor_spreads, day_count=day_count, worst_grade=worst_grade, sectors=sectors, sectors_out=sectors_out, regions=regions, regions_out=regions_out, max_score_age_days=max_score_age_days, max_invoice_age_days=max_invoice_age_days, max_late_permille=max_late_permille, limits=limits, max_average_pd_ppm=max_average_pd_ppm, max_average_tenor_days=max_average_tenor_days, min_average_rate_bps=min_average_rate_bps, min_pool_minor=min_pool_minor, max_pool_minor=max_pool_minor, from_date=from_date, to_date=to_date), key=idempotency_key or new_key())

    def show_rehearsal(self, rehearsal_id: str) -> Any:
        """What your rehearsal came to, when it is done. You alone: the most that the terms can match."""
        return self.call("GET", f"/v1/rehearsals/{part(rehearsal_id)}")

    def download_loan_tape_csv(self, *, as_of: str | None = None, known_at: str | None = None, identifier: str | None = None) -> Any:
        """What you hold, in the shape of ESMA's Annex IV (corporate underlying exposures), as a file
        (csv) with its digest in `Repr-Digest`."""
        return self.call("GET", "/v1/reports/loan-tape.csv", query=given(as_of=as_of, known_at=known_at, identifier=identifier))

    def download_loan_tape_parquet(self, *, as_of: str | None = None, known_at: str | None = None, identifier: str | None = None) -> Any:
        """What you hold, in the shape of ESMA's Annex IV (corporate underlying exposures), as a file
        (parquet) with its digest in `Repr-Digest`."""
        return self.call("GET", "/v1/reports/loan-tape.parquet", query=given(as_of=as_of, known_at=known_at, identifier=identifier))

    def download_positions_csv(self, *, as_of: str | None = None, known_at: str | None = None) -> Any:
        """What you held at the end of a day, by currency and pool, as a file (csv) with its digest in
        `Repr-Digest`."""
        return self.call("GET", "/v1/reports/positions.csv", query=given(as_of=as_of, known_at=known_at))

    def download_positions_parquet(self, *, as_of: str | None = None, known_at: str | None = None) -> Any:
        """What you held at the end of a day, by currency and pool, as a file (parquet) with its digest
        in `Repr-Digest`."""
        return self.call("GET", "/v1/reports/positions.parquet", query=given(as_of=as_of, known_at=known_at))

    def download_statement_csv(self, *, from_date: str, to_date: str | None = None, known_at: str | None = None) -> Any:
        """Your accounts over some days: opening, each movement, closing, as a file (csv) with its
        digest in `Repr-Digest`."""
        return self.call("GET", "/v1/reports/statement.csv", query=given(from_date=from_date, to_date=to_date, known_at=known_at))

    def download_statement_parquet(self, *, from_date: str, to_date: str | None = None, known_at: str | None = None) -> Any:
        """Your accounts over some days: opening, each movement, closing, as a file (parquet) with its
        digest in `Repr-Digest`."""
        return self.call("GET", "/v1/reports/statement.parquet", query=given(from_date=from_date, to_date=to_date, known_at=known_at))

    def list_repurchases(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The repurchases that concern you."""
        return self.pages("/v1/repurchases", given(after=after, limit=limit))

    def accept_repurchase(self, repurchase_id: str, *, idempotency_key: str | None = None) -> Any:
        """Give an asset back for what is due on it, less the discount that is not earned yet."""
        return self.call("POST", f"/v1/repurchases/{part(repurchase_id)}/acceptance", key=idempotency_key or new_key())

    def refuse_repurchase(self, repurchase_id: str, *, reason: str, idempotency_key: str | None = None) -> Any:
        """Keep an asset."""
        return self.call("POST", f"/v1/repurchases/{part(repurchase_id)}/refusal", body=given(reason=reason), key=idempotency_key or new_key())

    def get_review_policy(self) -> Any:
        """How severe each kind of finding is, and from where on something is found."""
        return self.call("GET", "/v1/review-policy")

    def put_review_policy(self, *, severity: dict[str, Any], order_z: int, least_orders: int, price_bps: int, breach_days: int, breach_ppm: int, near_limit_bps: int, grades_down: int, velocity_times: int, velocity_least: int, score_drop: int) -> Any:
        """Say how severe each kind of finding is, and from where on something is found, from now on."""
        return self.call("PUT", "/v1/review-policy", body=given(severity=severity, order_z=order_z, least_orders=least_orders, price_bps=price_bps, breach_days=breach_days, breach_ppm=breach_ppm, near_limit_bps=near_limit_bps, grades_down=grades_down, velocity_times=velocity_times, velocity_least=velocity_least, score_drop=score_drop))

    def list_reviews(self, *, after: str | None = None, limit: int | None = None, state: str | None = None, severity: str | None = None, kind: str | None = None, company_id: str | None = None, asset_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Findings, oldest first; those that are `open` are the work list."""
        return self.pages("/v1/reviews", given(after=after, limit=limit, state=state, severity=severity, kind=kind, company_id=company_id, asset_id=asset_id))

    def show_review(self, item_id: str) -> Any:
        """One finding with its evidence, and what was decided."""
        return self.call("GET", f"/v1/reviews/{part(item_id)}")

    def decide_review(self, item_id: str, *, decision: str, reason: str, suspend: bool | None = None, idempotency_key: str | None = None) -> Any:
        """Dismiss a finding, which lets go of the asset that it held back, or confirm it; once, with a
        reason."""
        return self.call("POST", f"/v1/reviews/{part(item_id)}/decision", body=given(decision=decision, reason=reason, suspend=suspend), key=idempotency_key or new_key())

    def show_risk_policy(self) -> Any:
        """The risk appetite in force."""
        return self.call("GET", "/v1/risk-policy")

    def put_risk_policy(self, *, expected_loss_budget_minor: int | None = None, portfolio_minor: int | None = None, concentration_bps: int | None = None, group_bps: int | None = None, first_line_minor: int | None = None, cost_of_funds_bps: int | None = None, margin_bps: int | None = None, most_tenor_days: list[Any] | None = None, unpaid_tolerated_ppm: int | None = None, automatic: bool | None = None, retrain_days: int | None = None, retrain_labels: int | None = None, shadow_days: int | None = None, horizon_days: int | None = None) -> Any:
        """Set the risk appetite from now on, as a new version; what was decided stays as it was
        decided."""
        return self.call("PUT", "/v1/risk-policy", body=given(expected_loss_budget_minor=expected_loss_budget_minor, portfolio_minor=portfolio_minor, concentration_bps=concentration_bps, group_bps=group_bps, first_line_minor=first_line_minor, cost_of_funds_bps=cost_of_funds_bps, margin_bps=margin_bps, most_tenor_days=most_tenor_days, unpaid_tolerated_ppm=unpaid_tolerated_ppm, automatic=automatic, retrain_days=retrain_days, retrain_labels=retrain_labels, shadow_days=shadow_days, horizon_days=horizon_days))

    def ask_round(self, *, idempotency_key: str | None = None) -> Any:
        """Clear a round now. It is frozen at once, and solved and applied by the worker."""
        return self.call("POST", "/v1/rounds", key=idempotency_key or new_key())

    def list_rounds(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Rounds, oldest first."""
        return self.pages("/v1/rounds", given(after=after, limit=limit, state=state))

    def show_round(self, round_id: str) -> Any:
        """One round: state, progress while it is solved, totals, and what was dropped."""
        return self.call("GET", f"/v1/rounds/{part(round_id)}")

    def show_certificate(self, round_id: str, *, currency: str) -> Any:
        """The proof of a currency's answer; to a funder, its own mandates' part of it."""
        return self.call("GET", f"/v1/rounds/{part(round_id)}/certificate", query=given(currency=currency))

    def show_costs(self, round_id: str, *, currency: str) -> Any:
        """What the limits cost that held something back: to a funder, its own."""
        return self.call("GET", f"/v1/rounds/{part(round_id)}/costs", query=given(currency=currency))

    def end_round(self, round_id: str, *, idempotency_key: str | None = None) -> Any:
        """Give a round up that cannot be finished; nothing of it is done, and the next one begins."""
        return self.call("POST", f"/v1/rounds/{part(round_id)}/end", key=idempotency_key or new_key())

    def explain_round(self, round_id: str, asset_id: str) -> Any:
        """Why a round did not give you an asset: your mandates' rules asked again of what was frozen."""
        return self.call("GET", f"/v1/rounds/{part(round_id)}/why-not/{part(asset_id)}")

    def create_sandbox(self, *, name: str, start_date: str | None = None, seed: int | None = None, public_jwk: dict[str, Any] | None = None, idempotency_key: str | None = None) -> Any:
        """Ask for an exchange of your own. It is `making` for a moment, then `open`."""
        return self.call("POST", "/v1/sandboxes", body=given(name=name, start_date=start_date, seed=seed, public_jwk=public_jwk), key=idempotency_key or new_key())

    def list_sandboxes(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Your sandboxes."""
        return self.pages("/v1/sandboxes", given(after=after, limit=limit))

    def show_sandbox(self, sandbox_id: str) -> Any:
        """A sandbox, and how far its clock is."""
        return self.call("GET", f"/v1/sandboxes/{part(sandbox_id)}")

    def advance_clock(self, sandbox_id: str, *, days: int | None = None, until: str | None = None, stop_at: list[Any] | None = None, idempotency_key: str | None = None) -> Any:
        """Move the clock. Day by day everything that falls due happens; meanwhile the sandbox can be
        read, not changed."""
        return self.call("POST", f"/v1/sandboxes/{part(sandbox_id)}/clock/advance", body=given(days=days, until=until, stop_at=stop_at), key=idempotency_key or new_key())

    def list_days(self, sandbox_id: str, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """What each day brought so far."""
        return self.pages(f"/v1/sandboxes/{part(sandbox_id)}/days", given(after=after, limit=limit))

    def end_sandbox(self, sandbox_id: str, *, idempotency_key: str | None = None) -> Any:
        """Drop a sandbox, with all that is in it."""
        return self.call("POST", f"/v1/sandboxes/{part(sandbox_id)}/end", key=idempotency_key or new_key())

    def reset_sandbox(self, sandbox_id: str, *, idempotency_key: str | None = None) -> Any:
        """Go back to the first morning: what was done since is gone, and the same calls give the same
        ids again."""
        return self.call("POST", f"/v1/sandboxes/{part(sandbox_id)}/reset", key=idempotency_key or new_key())

    def begin_scenario(self, sandbox_id: str, *, kind: str, parameters: dict[str, Any] | None = None, idempotency_key: str | None = None) -> Any:
        """Have something happen: it begins in a moment, today in the sandbox, and goes on as its clock
        does."""
        return self.call("POST", f"/v1/sandboxes/{part(sandbox_id)}/scenarios", body=given(kind=kind, parameters=parameters), key=idempotency_key or new_key())

    def list_scenarios(self, sandbox_id: str, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The scenarios of a sandbox, and the assets that each began with."""
        return self.pages(f"/v1/sandboxes/{part(sandbox_id)}/scenarios", given(after=after, limit=limit))

    def report_servicing(self, *, currency: str, asset_count: int, outstanding_minor: int, idempotency_key: str | None = None) -> Any:
        """Say what you service for facilities; a servicer that is silent makes its assets worth less."""
        return self.call("POST", "/v1/servicer-reports", body=given(currency=currency, asset_count=asset_count, outstanding_minor=outstanding_minor), key=idempotency_key or new_key())

    def put_servicing_policy(self, *, effective_from: str, terms: dict[str, Any], originator_id: str | None = None, product: str | None = None) -> Any:
        """Put a version of a servicing policy in force from a day after today on."""
        return self.call("PUT", "/v1/servicing-policies", body=given(originator_id=originator_id, product=product, effective_from=effective_from, terms=terms))

    def list_servicing_policies(self) -> Any:
        """Every version of the servicing policies, and what holds where there is none."""
        return self.call("GET", "/v1/servicing-policies")

    def answer_settlements(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Acknowledge up to 1,000 settlement events, or dispute them with a reason."""
        return self.call("POST", "/v1/settlement-answers", body=given(items=items), key=idempotency_key or new_key())

    def get_settlement_day(self, business_date: str) -> Any:
        """A closed day: opening position, every settlement event, closing position; the same bytes
        whenever you ask."""
        return self.call("GET", f"/v1/settlement-days/{part(business_date)}")

    def get_settlement_day_csv(self, business_date: str) -> Any:
        """The same as a table."""
        return self.call("GET", f"/v1/settlement-days/{part(business_date)}/csv")

    def put_settlement_policy(self, *, order: dict[str, Any] | None = None, penalty_bps: int | None = None, penalty_grace_days: int | None = None, tolerance_minor: int | None = None, tolerance_bps: int | None = None, write_offs: list[Any] | None = None, second_person_minor: int | None = None, limited_recourse_ppm: int | None = None, recourse_days: int | None = None, originator_id: str | None = None, product: str | None = None) -> Any:
        """Set how collections are shared and losses taken, from now on."""
        return self.call("PUT", "/v1/settlement-policies", body=given(order=order, penalty_bps=penalty_bps, penalty_grace_days=penalty_grace_days, tolerance_minor=tolerance_minor, tolerance_bps=tolerance_bps, write_offs=write_offs, second_person_minor=second_person_minor, limited_recourse_ppm=limited_recourse_ppm, recourse_days=recourse_days, originator_id=originator_id, product=product))

    def list_settlement_policies(self, *, after: int | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Every version of all terms, oldest first."""
        return self.pages("/v1/settlement-policies", given(after=after, limit=limit))

    def list_settlements(self, *, after: str | None = None, limit: int | None = None, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Your settlement events, the oldest first; `state=open` are those you have not answered."""
        return self.pages("/v1/settlements", given(after=after, limit=limit, state=state))

    def list_signed_requests(self, *, subject: str) -> Any:
        """What was signed (RFC 9421) about an offer or another thing, for whoever wants to verify it
        again."""
        return self.call("GET", "/v1/signed-requests", query=given(subject=subject))

    def split_assets(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Split up to 1,000 assets, a platform its holders' free ones and a funder its own; each part
        is an asset."""
        return self.call("POST", "/v1/splits", body=given(items=items), key=idempotency_key or new_key())

    def post_statements(self, *, body: bytes, account: str | None = None, encoding: str | None = None, idempotency_key: str | None = None) -> Any:
        """Enter a bank's file: camt.053 or camt.054 (XML), MT940 (text/plain), or a table (text/csv)."""
        return self.call("POST", "/v1/statements", query=given(account=account, encoding=encoding), body=body, key=idempotency_key or new_key())

    def list_statements(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Statements in the order in which they were entered, and what became of their lines."""
        return self.pages("/v1/statements", given(after=after, limit=limit))

    def show_summary(self) -> Any:
        """What the exchange comes to."""
        return self.call("GET", "/v1/summary")

    def supersede_assets(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Void up to 1,000 assets that are still their sellers', each together with the submission in
        its place."""
        return self.call("POST", "/v1/supersessions", body=given(items=items), key=idempotency_key or new_key())

    def list_tasks(self, *, after: str | None = None, limit: int | None = None, team: str | None = None, state: str | None = None, assignee: str | None = None, case_id: str | None = None) -> Iterator[dict[str, Any]]:
        """The work list of a team or of all, the most urgent first."""
        return self.pages("/v1/tasks", given(after=after, limit=limit, team=team, state=state, assignee=assignee, case_id=case_id))

    def take_task_step(self, task_id: str, *, step: str, assignee: str | None = None, outcome: str | None = None, reason: str | None = None, idempotency_key: str | None = None) -> Any:
        """Assign a task, start it, finish it with an outcome, or skip it with a reason."""
        return self.call("POST", f"/v1/tasks/{part(task_id)}/steps", body=given(step=step, assignee=assignee, outcome=outcome, reason=reason), key=idempotency_key or new_key())

    def keep_trade_history(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Tell the exchange of up to 1,000 invoices from before it knew the platform."""
        return self.call("POST", "/v1/trade-history", body=given(items=items), key=idempotency_key or new_key())

    def list_trades(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """What you bought from other funders and sold to them, with whom."""
        return self.pages("/v1/trades", given(after=after, limit=limit))

    def transfer_assets(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Hand up to 1,000 free assets on to their next holders."""
        return self.call("POST", "/v1/transfers", body=given(items=items), key=idempotency_key or new_key())

    def list_unacknowledged_settlements(self, *, after: str | None = None, limit: int | None = None, days: int | None = None) -> Iterator[dict[str, Any]]:
        """What funders have left open for longer than some days, and what they dispute, the oldest
        first."""
        return self.pages("/v1/unacknowledged-settlements", given(after=after, limit=limit, days=days))

    def enter_virtual_accounts(self, *, items: list[Any], idempotency_key: str | None = None) -> Any:
        """Give up to 1,000 numbers to assets and companies, or close them."""
        return self.call("POST", "/v1/virtual-accounts", body=given(items=items), key=idempotency_key or new_key())

    def list_virtual_accounts(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The numbers that were given, and what they stand for."""
        return self.pages("/v1/virtual-accounts", given(after=after, limit=limit))

    def withdraw_cash(self, *, currency: str, part_minor: int | None = None, idempotency_key: str | None = None) -> Any:
        """Pay yourself what of your cash is free, to your account in force."""
        return self.call("POST", "/v1/withdrawals", body=given(currency=currency, part_minor=part_minor), key=idempotency_key or new_key())

    def list_failing_work(self, *, after: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Work that was tried in vain and will be tried again, with its last error."""
        return self.pages("/v1/work-items", given(after=after, limit=limit))

    def decide_work(self, work_id: str, *, decision: str, reason: str, idempotency_key: str | None = None) -> Any:
        """Try work that fails again at once, or take it off the list for good; who, and why, stays."""
        return self.call("POST", f"/v1/work-items/{part(work_id)}/decisions", body=given(decision=decision, reason=reason), key=idempotency_key or new_key())

    def list_workers(self) -> Any:
        """Workers, and when each said last that it lives."""
        return self.call("GET", "/v1/workers")
