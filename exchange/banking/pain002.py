"""ISO 20022 payment status reports (pain.002): what the bank says of a file we sent, payment by payment."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from exchange.banking.payments import ANSWERS, UnknownPayment
from exchange.banking.refusals import FieldMalformed, FieldMissing
from exchange.banking.xml import Element, find_all, path, pieces, required, tag, words

MESSAGES = frozenset(f"pain.002.001.{version:02d}" for version in range(3, 15))
WHOLES = frozenset({"CstmrPmtStsRpt"})


@dataclass(frozen=True, slots=True)
class Status:
    """What became of one payment; `payment_id` None stands for all of the file that are not named one by one."""

    payment_id: str | None
    status: str
    reason_codes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to the file `message_id`."""

    message_id: str
    statuses: tuple[Status, ...]

    def of(self, sent: Collection[str]) -> dict[str, Status]:
        """The status of each payment that was sent and is answered for (`UnknownPayment`: one that was not sent).

        What is said of a payment itself counts more than what is said of its group.
        """
        named: dict[str, Status] = {one.payment_id: one for one in self.statuses if one.payment_id is not None}
        strangers = sorted(named.keys() - set(sent))
        if strangers:
            raise UnknownPayment(f"The bank answers for {', '.join(strangers[:5])}, which nobody sent.")
        group = next((one for one in self.statuses if one.payment_id is None), None)
        everyone: dict[str, Status] = {} if group is None or group.status == "PART" else dict.fromkeys(sent, group)
        return everyone | named


def read(stream: BinaryIO) -> Report:
    """The report in a file. Refuses every `BankFileRefused`."""
    message_id = ""
    statuses: list[Status] = []
    for element in pieces(stream, messages=MESSAGES, wholes=WHOLES):
        match tag(element):
            case "OrgnlGrpInfAndSts":
                message_id = required(element, "OrgnlMsgId")
                status = words(element, "GrpSts")
                if status:
                    statuses.append(_status(element, None, status))
            case "OrgnlPmtInfAndSts":
                statuses += _of_block(element)
            case _:
                pass
    if not message_id:
        raise FieldMissing("the report does not say which file it is about")
    return Report(message_id, tuple(statuses))


def _of_block(block: Element) -> Iterator[Status]:
    """The payments named in a block; a status of the block alone is that of payments whose names are left out."""
    named = find_all(block, "TxInfAndSts")
    own = words(block, "PmtInfSts")
    for one in named:
        yield _status(one, required(one, "OrgnlEndToEndId"), words(one, "TxSts") or own)
    if own and not named:
        yield _status(block, None, own)


def _status(element: Element, payment_id: str | None, status: str) -> Status:
    if status not in ANSWERS:
        raise FieldMalformed(f"{status[:10]!r} is no payment status", where=path(element))
    reasons = find_all(element, "StsRsnInf")
    codes = [words(reason, "Rsn", "Cd") or words(reason, "Rsn", "Prtry") for reason in reasons]
    texts = [words(text) for reason in reasons for text in find_all(reason, "AddtlInf")]
    return Status(payment_id, status, tuple(filter(None, codes)), tuple(filter(None, texts)))
