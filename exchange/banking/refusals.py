"""Why a bank's file was not taken. Each refusal says where in the file."""

from typing import ClassVar


class BankFileRefused(Exception):
    """Base of what is refused about a file; `code` is stable, `where` a line, a field or a path of elements."""

    code: ClassVar[str] = "bank_file_refused"

    def __init__(self, detail: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {detail}" if where else detail)
        self.detail, self.where = detail, where


class FileUnreadable(BankFileRefused):
    """The file is not whole, or not of the format it is said to be."""

    code = "file_unreadable"


class FileDangerous(BankFileRefused):
    """The file declares a document type or entities: no bank's file needs any, and they are made to harm readers."""

    code = "file_dangerous"


class FileTooLarge(BankFileRefused):
    """A part of the file is larger than any bank makes it."""

    code = "file_too_large"


class UnknownFormat(BankFileRefused):
    """The file is of another message or version than those read here."""

    code = "unknown_format"


class FieldMissing(BankFileRefused):
    """Something without which nothing can be booked is not there."""

    code = "field_missing"


class FieldMalformed(BankFileRefused):
    """A date, an amount or a code is not spelt as the format wants it."""

    code = "field_malformed"


class CurrencyMixed(BankFileRefused):
    """An amount is in another currency than the account."""

    code = "currency_mixed"


class UnknownCurrency(BankFileRefused):
    """The account's currency is none that is in use here."""

    code = "unknown_currency"


class DoesNotAddUp(BankFileRefused):
    """Opening balance and lines do not make the closing balance, or details not their line, or a count is wrong."""

    code = "does_not_add_up"


class LineRepeated(BankFileRefused):
    """Two lines of one statement carry the same reference of the bank."""

    code = "line_repeated"


class PagesMissing(BankFileRefused):
    """A page or part of the statement is missing, repeated or out of order."""

    code = "pages_missing"
