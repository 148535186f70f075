"""How files reach a bank and its answers come back: people carry them, or a bank of our own plays along.

The sandbox takes each file by itself at the cut-off, says at its next turn that the payments are in transit, and at the
one after that they are paid; to an account whose number ends in 0000 it says that there is none.
"""

from collections.abc import Iterator
from typing import Protocol

from lxml import etree
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.banking.payments import State
from exchange.banking.xml import NAMESPACE
from exchange.payments.files import bank_id
from exchange.settings import Settings

NO_SUCH_ACCOUNT = "0000"
MESSAGE = "pain.002.001.10"


class Rail(Protocol):
    """The way to the bank and back."""

    @property
    def carries(self) -> bool:
        """Whether files are made and taken away by themselves."""

    def answers(self, session: Session) -> Iterator[bytes]:
        """What came back since the last time (pain.002)."""


class FileRail:
    """An operator asks for files, takes them to the bank, and brings its answers."""

    carries = False

    def answers(self, session: Session) -> Iterator[bytes]:  # noqa: ARG002 - one face for both rails
        """Nothing comes by itself."""
        yield from ()


class SandboxRail:
    """A bank that takes and answers everything by itself. No money moves."""

    carries = True

    def answers(self, session: Session) -> Iterator[bytes]:
        """One answer for each file with payments under way."""
        query = text("""
            SELECT file_id, payment_id, state, creditor_account FROM payment
            WHERE state IN ('instructed', 'in_transit') AND file_id IS NOT NULL ORDER BY file_id, payment_id
        """)
        files: dict[str, dict[str, str]] = {}
        for row in session.execute(query):
            bad = row.creditor_account.endswith(NO_SUCH_ACCOUNT)
            status = "RJCT" if bad else "ACSP" if row.state == State.INSTRUCTED else "ACSC"
            files.setdefault(row.file_id, {})[row.payment_id] = status
        for file_id, statuses in files.items():
            yield report(file_id, statuses)


def rail_of(settings: Settings) -> Rail:
    """The rail these settings ask for."""
    return SandboxRail() if settings.payment_rail == "sandbox" else FileRail()


def report(file_id: str, statuses: dict[str, str]) -> bytes:
    """A payment status report on a file: the status of each payment, `AC01` as the reason of a rejection."""
    root = etree.Element("Document", nsmap={None: f"{NAMESPACE}{MESSAGE}"})  # type: ignore[dict-item]  # the stubs forget the default namespace
    top = etree.SubElement(root, "CstmrPmtStsRpt")
    group = etree.SubElement(top, "OrgnlGrpInfAndSts")
    etree.SubElement(group, "OrgnlMsgId").text = bank_id(file_id)
    block = etree.SubElement(top, "OrgnlPmtInfAndSts")
    for payment_id, status in sorted(statuses.items()):
        one = etree.SubElement(block, "TxInfAndSts")
        etree.SubElement(one, "OrgnlEndToEndId").text = bank_id(payment_id)
        etree.SubElement(one, "TxSts").text = status
        if status == "RJCT":
            reason = etree.SubElement(etree.SubElement(one, "StsRsnInf"), "Rsn")
            etree.SubElement(reason, "Cd").text = "AC01"
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
