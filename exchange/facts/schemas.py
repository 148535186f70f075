"""What facts look like on the wire: one schema for each kind, and what is answered."""

import marshmallow as ma

from exchange.bulk import ItemResult
from exchange.receivables.schemas import PRODUCTS
from exchange.schemas import (
    MAX_MINOR,
    Boolean,
    Id,
    Integer,
    IsoDate,
    List,
    Nested,
    OneOf,
    PageQuery,
    Schema,
    Text,
)

BPS = 10_000
MOST_KG = 10**12
STATEMENT_ITEMS = (
    "cash", "receivables", "inventory", "current_assets", "fixed_assets", "total_assets", "current_liabilities",
    "long_term_debt", "total_liabilities", "retained_earnings", "equity", "sales", "revenue", "cost_of_sales",
    "gross_profit", "operating_expenses", "depreciation", "ebit", "ebitda", "net_income", "market_value",
)  # fmt: skip
"""As `scoring.statements` names them, and what they have to add up to."""
NEEDED = {"total_assets", "total_liabilities", "equity"}
SIGNED = {"retained_earnings", "equity", "gross_profit", "ebit", "ebitda", "net_income"}


def _currency() -> Text:
    return Text(3, pattern="[A-Z]{3}", required=True)


class CompanyRef(Schema):
    """A company that the exchange knows. `originator_id` says whose a `platform` number is, where an operator tells."""

    scheme = OneOf("uscc", "lei", "platform", required=True)
    value = Text(64, required=True)
    originator_id = Id("org")


class PersonRef(Schema):
    """A person: the national id is kept as a keyed hash and sealed, and shown to nobody."""

    national_id = Text(64, required=True)


class FactSchema(Schema):
    """What each fact says: who says so, of which day, and which earlier fact it corrects, if it does."""

    source = Text(60, pattern="[a-z0-9][a-z0-9._-]{0,59}", required=True)
    effective_date = IsoDate(required=True)
    corrects = Id("fct")


class OfCompany(FactSchema):
    """A fact of a company."""

    company = Nested(CompanyRef, required=True)


class RegistrationFact(OfCompany):
    """What the register says of a company. With its registration the exchange gets to know a company."""

    name = Text(200, required=True)
    status = OneOf("active", "revoked", "dissolved", required=True)
    registered_on = IsoDate()
    address = Text(200)
    sector = Text(200)
    region = Text(200)
    person = Nested(PersonRef, metadata={"description": "The controller, as registered"})


class ControlFact(OfCompany):
    """Somebody began or ended to control a company. Nobody begins before the one before has ended."""

    person = Nested(PersonRef, required=True)
    event = OneOf("began", "ended", required=True)


class ShareholdingFact(OfCompany):
    """What a holder, a person or a company (`counterparty`), has of a company from this day on; 0: nothing any more."""

    person = Nested(PersonRef)
    counterparty = Nested(CompanyRef)
    share_bps = Integer(0, BPS, required=True)


class AccountFact(OfCompany):
    """A bank account of a company: kept as a keyed mark and its last four characters."""

    account = Text(34, pattern="[A-Z0-9]{4,34}", required=True)
    bank = Text(100, required=True)
    state = OneOf("open", "closed", required=True)


StatementItems = Schema.from_dict(
    {
        name: Integer(-MAX_MINOR if name in SIGNED else 0, MAX_MINOR, required=name in NEEDED)
        for name in STATEMENT_ITEMS
    },
    name="StatementItems",
)


class StatementFact(OfCompany):
    """A financial statement; its period of so many months ends on `effective_date`. Items are in minor units."""

    months = Integer(1, 24, required=True)
    consolidated = Boolean(required=True)
    currency = _currency()
    items = Nested(StatementItems, required=True)


class _Credit(FactSchema):
    currency = _currency()
    loans_minor = Integer(0, MAX_MINOR, required=True)
    overdue_minor = Integer(0, MAX_MINOR, required=True)
    guarantees_minor = Integer(0, MAX_MINOR)
    worst_days_past_due = Integer(0, 10_000, required=True)
    inquiries = Integer(0, 10_000, metadata={"description": "Asked for credit in the last three months"})
    court_cases = Integer(0, 10_000)
    score = Integer(0, 1_000, metadata={"description": "The bureau's own, higher is better"})


class ReportFact(_Credit):
    """A credit bureau's report of a company."""

    company = Nested(CompanyRef, required=True)


class PersonReportFact(_Credit):
    """A credit bureau's report of a person who controls companies."""

    person = Nested(PersonRef, required=True)


class _Dealing(OfCompany):
    counterparty = Nested(CompanyRef, required=True, metadata={"description": "The seller; `company` is the buyer"})
    number = Text(64, required=True)
    currency = _currency()
    amount_minor = Integer(1, MAX_MINOR, required=True)


class _Goods(_Dealing):
    quantity_kg = Integer(1, MOST_KG)
    material = Text(60, metadata={"description": "As the price series names it"})
    reference = Text(64, metadata={"description": "The number of the order, delivery or invoice that it follows"})


class OrderFact(_Goods):
    """Goods ordered."""


class DeliveryFact(_Goods):
    """Goods delivered."""


class ReturnFact(_Goods):
    """Goods sent back."""


class InvoiceFact(_Dealing):
    """An invoice that is not financed here."""

    due_date = IsoDate(required=True)
    reference = Text(64)


class PaymentFact(_Dealing):
    """A payment of an invoice (`reference`) that is not financed here."""

    reference = Text(64, required=True)


class PriceFact(FactSchema):
    """What a ton cost on the market on a day."""

    series = Text(60, required=True)
    currency = _currency()
    price_minor = Integer(1, MAX_MINOR, required=True)


class FactResult(ItemResult):
    """201: kept as `fact_id`; 200: told before, `fact_id` is the one there is."""

    fact_id = Id("fct")


class FactResults(ma.Schema):
    """One result for each item, in the same order. 409: contradicts a fact there is; 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(FactResult), required=True)


class FileResults(FactResults):
    """How many lines were kept, known before or refused, and the first 1,000 of these, by their place from 0."""

    kept = ma.fields.Integer(required=True)
    known = ma.fields.Integer(required=True)
    refused = ma.fields.Integer(required=True)


class Withdrawal(Schema):
    """A fact that is not so, and why."""

    fact_id = Id("fct", required=True)
    reason = Text(500, required=True)


class Withdrawals(Schema):
    """Up to 1,000 facts, each judged by itself."""

    items = List(Nested(Withdrawal), 1, 1000, required=True)


class FactQuery(PageQuery):
    """Which facts of a company: of one kind."""

    kind = Text(60)


class FactShown(ma.Schema):
    """A fact as it was told; people by the exchange's own ids."""

    fact_id = Id("fct", required=True)
    kind = ma.fields.String(required=True)
    company_id = ma.fields.String(required=True, allow_none=True)
    counterparty_id = ma.fields.String(required=True, allow_none=True)
    controller_id = ma.fields.String(required=True, allow_none=True)
    source = ma.fields.String(required=True)
    effective_date = ma.fields.Date(required=True)
    known_at = ma.fields.AwareDateTime(required=True)
    body = ma.fields.Dict(required=True)
    corrects = ma.fields.String(required=True, allow_none=True)
    withdrawn = ma.fields.Boolean(required=True)
    reason = ma.fields.String(required=True, allow_none=True)


class FactsShown(ma.Schema):
    """A page of facts, in the order of their ids."""

    items = ma.fields.List(ma.fields.Nested(FactShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class SourceShown(ma.Schema):
    """What one source said of one kind: how much, how old the newest is, and whether that is too old to count."""

    kind = ma.fields.String(required=True)
    source = ma.fields.String(required=True)
    facts = ma.fields.Integer(required=True)
    newest = ma.fields.Date(required=True)
    known_at = ma.fields.AwareDateTime(required=True)
    age_days = ma.fields.Integer(required=True)
    max_age_days = ma.fields.Integer(required=True)
    too_old = ma.fields.Boolean(required=True)


class SourcesShown(ma.Schema):
    """The sources of what is known of a company, its controller's report included."""

    items = ma.fields.List(ma.fields.Nested(SourceShown), required=True)


class ChecklistQuery(Schema):
    """For which product."""

    product = OneOf(*PRODUCTS, required=True)


class Words(Schema):
    """The same in two languages."""

    en = Text(300, required=True)
    zh = Text(300, required=True)


class ChecklistItem(ma.Schema):
    """A kind of fact that the product is decided on: whether it is there, and why it matters."""

    kind = ma.fields.String(required=True)
    needed = ma.fields.Boolean(required=True)
    why = ma.fields.Nested(Words, required=True)
    state = OneOf("present", "missing", "too_old", required=True)
    newest = ma.fields.Date(required=True, allow_none=True)
    age_days = ma.fields.Integer(required=True, allow_none=True)
    max_age_days = ma.fields.Integer(required=True)


class Checklist(ma.Schema):
    """What a company still has to bring for a product; complete when nothing needed is missing or too old."""

    company_id = Id("com", required=True)
    product = ma.fields.String(required=True)
    complete = ma.fields.Boolean(required=True)
    items = ma.fields.List(ma.fields.Nested(ChecklistItem), required=True)


class AgeLimit(Schema):
    """A fact of this kind counts for so many days after its own day."""

    kind = Text(60, required=True)
    days = Integer(1, 36_500, required=True)


class Wanted(Schema):
    """A kind of fact on a checklist."""

    kind = Text(60, required=True)
    needed = Boolean(required=True)
    why = Nested(Words, required=True)


class ProductChecklist(Schema):
    """What is asked of a company for a product."""

    product = OneOf(*PRODUCTS, required=True)
    items = List(Nested(Wanted), 1, 50, required=True)


class FactPolicySchema(Schema):
    """How long each kind of fact counts, and what each product asks for: all of them."""

    age_limits = List(Nested(AgeLimit), 1, 50, required=True)
    checklists = List(Nested(ProductChecklist), 1, 20, required=True)


class FactPolicyShown(FactPolicySchema):
    """A policy with its version; 0 is the one that comes with the code."""

    version = ma.fields.Integer(required=True)
