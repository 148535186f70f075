"""The kinds of facts as data: how each is written, and what makes two of them the same."""

from dataclasses import dataclass

from exchange.facts import schemas as wire
from exchange.schemas import Schema


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fact: its schema, its name in addresses, and the members that tell two of one day apart.

    One with a `number` is the same under that number whatever its day.
    """

    schema: type[Schema]
    plural: str
    key: tuple[str, ...]


KINDS: dict[str, Kind] = {
    "registration": Kind(wire.RegistrationFact, "registrations", ()),
    "control": Kind(wire.ControlFact, "controls", ("event",)),
    "shareholding": Kind(wire.ShareholdingFact, "shareholdings", ()),
    "account": Kind(wire.AccountFact, "accounts", ("account",)),
    "statement": Kind(wire.StatementFact, "statements", ("months", "consolidated")),
    "report": Kind(wire.ReportFact, "reports", ()),
    "person_report": Kind(wire.PersonReportFact, "person-reports", ()),
    "order": Kind(wire.OrderFact, "orders", ("number",)),
    "delivery": Kind(wire.DeliveryFact, "deliveries", ("number",)),
    "return": Kind(wire.ReturnFact, "returns", ("number",)),
    "invoice": Kind(wire.InvoiceFact, "invoices", ("number",)),
    "payment": Kind(wire.PaymentFact, "payments", ("number",)),
    "price": Kind(wire.PriceFact, "prices", ()),
}
BY_PLURAL = {kind.plural: name for name, kind in KINDS.items()}
