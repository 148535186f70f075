"""Papers about an assignment: the notice to the obligor, and lines for the public registry."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from exchange.currencies import MINOR_DIGITS

MONTH_DAYS = 30
COLLECTION_MONTHS = 6
"""A registration outlives the due date by so long: what is paid late is collected in that time."""
LONGEST_MONTHS = 360
"""The registry takes 1 to 360 months."""
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Office programs read a file as UTF-8 only where it begins so."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")

COLUMNS = (
    "分组 Group",
    "转让人 Transferor",
    "转让人识别号 Transferor number",
    "受让人 Transferee",
    "债务人 Obligor",
    "债务人识别号 Obligor number",
    "转让日期 Assignment date",
    "登记期限(月) Registration months",
    "币种 Currency",
    "应收账款金额 Amount",
    "转让价款 Price",
    "发票号 Invoice number",
    "开票日期 Invoice date",
    "到期日 Due date",
    "资产编号 Asset",
    "财产描述 Description of the property",
    "已登记编号 Filed under",
)


class Named(NamedTuple):
    """A company as papers name it."""

    name: str | None
    number: str

    def __str__(self) -> str:
        return f"{self.name} ({self.number})" if self.name else self.number


class Line(NamedTuple):
    """An asset as a notice lists it."""

    asset_id: str
    invoice_number: str
    assignor: Named
    due_date: date
    amount_minor: int


class Assigned(NamedTuple):
    """An asset as it is filed."""

    pool_id: str
    line: Line
    obligor: Named
    funder: str
    currency: str
    price_minor: int
    issue_date: date
    bought_on: date
    filed_under: str | None


def money(amount_minor: int, currency: str) -> str:
    """An amount as people write it: `CNY 10,000.00`."""
    return f"{currency} {decimal(amount_minor, currency, grouped=True)}"


def decimal(amount_minor: int, currency: str, *, grouped: bool = False) -> str:
    """An amount in major units, exactly."""
    digits = MINOR_DIGITS[currency]
    whole, rest = divmod(amount_minor, 10**digits)
    return (f"{whole:,}" if grouped else f"{whole}") + (f".{rest:0{digits}}" if digits else "")


def notice_text(
    notice_id: str, *, obligor: Named, funder: str, currency: str, lines: Sequence[Line], given_on: date
) -> str:
    """The notice of assignment to one obligor, in Chinese and English (Civil Code of the PRC, article 546)."""
    until = "payment to anybody else does not discharge the debt."
    total = money(sum(line.amount_minor for line in lines), currency)
    rows = [
        f"{place}. {line.asset_id} | {line.invoice_number} | {line.assignor} | {line.due_date} | "
        f"{money(line.amount_minor, currency)}"
        for place, line in enumerate(lines, start=1)
    ]
    return "\n".join(
        (
            "应收账款转让通知书",
            "NOTICE OF ASSIGNMENT OF RECEIVABLES",
            f"编号 No. {notice_id}",
            f"日期 Date {given_on}",
            f"致 To {obligor}",
            "",
            f"下列应收账款已由所列转让人转让予受让人{funder}，合计{len(lines)}笔，{total}。",  # noqa: RUF001 - Chinese punctuation
            "根据《中华人民共和国民法典》第五百四十六条，特此通知。",  # noqa: RUF001 - same
            "请于到期日将款项付至平台归集账户，并注明资产编号；向他人付款不产生清偿效力。",  # noqa: RUF001 - same
            f"The receivables listed below were assigned by the assignors named to {funder}: {len(lines)}, {total}.",
            f"Pay each on its due date to the collection account of the platform, quoting the asset; {until}",
            "",
            "序号 资产编号 | 发票号 | 转让人 | 到期日 | 金额",
            "No. Asset | Invoice | Assignor | Due date | Amount",
            *rows,
            "",
        )
    )


def registration_months(*, bought_on: date, due_date: date) -> int:
    """For how many whole months an assignment is registered: to the due date and `COLLECTION_MONTHS` beyond."""
    months = -(-max((due_date - bought_on).days, 0) // MONTH_DAYS) + COLLECTION_MONTHS
    return min(months, LONGEST_MONTHS)


def filing_csv(assets: Iterable[Assigned]) -> str:
    """One line for each asset, grouped by purchase and transferor: a group is one filing. UTF-8 with a mark."""
    out = io.StringIO()
    out.write(BYTE_ORDER_MARK)
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in assets:
        writer.writerow([_inert(cell) for cell in _cells(one)])
    return out.getvalue()


def _cells(one: Assigned) -> tuple[str, ...]:
    line = one.line
    amount = money(line.amount_minor, one.currency)
    return (
        f"{one.pool_id}/{line.assignor.number}",
        line.assignor.name or line.assignor.number,
        line.assignor.number,
        one.funder,
        one.obligor.name or one.obligor.number,
        one.obligor.number,
        one.bought_on.isoformat(),
        str(registration_months(bought_on=one.bought_on, due_date=line.due_date)),
        one.currency,
        decimal(line.amount_minor, one.currency),
        decimal(one.price_minor, one.currency),
        line.invoice_number,
        one.issue_date.isoformat(),
        line.due_date.isoformat(),
        line.asset_id,
        f"{one.obligor}于{line.due_date}到期应付的应收账款，发票号{line.invoice_number}，金额{amount}",  # noqa: RUF001 - Chinese punctuation
        one.filed_under or "",
    )


def _inert(cell: str) -> str:
    """A text that a spreadsheet never takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
