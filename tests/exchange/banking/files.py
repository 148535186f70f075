"""Bank files written by hand, and by a library that is not ours."""

from datetime import date
from io import BytesIO

from exchange.banking import camt
from exchange.banking.statement import Closing, Line, Opening, Part

DAY = date(2026, 3, 2)


def lines(parts: list[Part]) -> list[Line]:
    """The lines of a statement."""
    return [part for part in parts if isinstance(part, Line)]


def read_camt(text: str) -> list[Part]:
    """All parts of a camt file."""
    return list(camt.read(BytesIO(text.encode())))


def entry(
    amount: str,
    *,
    sign: str = "CRDT",
    reference: str = "",
    status: str = "<Cd>BOOK</Cd>",
    details: str = "",
    currency: str = "CNY",
    more: str = "",
) -> str:
    """An entry of a camt statement."""
    own = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd>{more}<Sts>{status}</Sts>'
        f"<BookgDt><Dt>2026-03-02</Dt></BookgDt><ValDt><Dt>2026-03-03</Dt></ValDt>{own}"
        f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"{f'<NtryDtls>{details}</NtryDtls>' if details else ''}<AddtlNtryInf>transfer</AddtlNtryInf></Ntry>"
    )


def balance(code: str, amount: str, *, sign: str = "CRDT", currency: str = "CNY") -> str:
    """A balance of a camt statement."""
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>2026-03-02</Dt></Dt></Bal>'
    )


ACCOUNT = "<Acct><Id><Othr><Id>6222000011112222</Id></Othr></Id><Ccy>CNY</Ccy></Acct>"


def statement(
    *entries: str, opening: str = "100.00", closing: str = "100.00", head: str = ACCOUNT, version: str = "08"
) -> str:
    """A camt.053 file of one statement."""
    balances = balance("OPBD", opening) + balance("CLBD", closing)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}">'
        f"<BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId></GrpHdr><Stmt><Id>S-1</Id><ElctrncSeqNb>17</ElctrncSeqNb>"
        f"{head}{balances}{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    )


DETAIL = (
    "<TxDtls><Refs><EndToEndId>E2E-7</EndToEndId></Refs>"
    "<RltdPties><Dbtr><Pty><Nm>宁波新塑料有限公司</Nm></Pty></Dbtr>"
    "<DbtrAcct><Id><Othr><Id>6228 0001</Id></Othr></Id></DbtrAcct></RltdPties>"
    "<RmtInf><Ustrd>payment of</Ustrd><Ustrd>INV-2026/001</Ustrd>"
    "<Strd><RfrdDocInf><Nb>INV-9</Nb></RfrdDocInf><CdtrRefInf><Ref>RF18ABC</Ref></CdtrRefInf></Strd></RmtInf>"
    "</TxDtls>"
)

MT940 = """{1:F01BANKCNBJAXXX0000000000}{2:I940BANKCNBJXXXXN}{4:
:20:STMT-1
:25:6222000011112222
:28C:00017/001
:60F:C260302CNY1000,00
:61:2603030302C250,50NTRFNONREF//BR-1
:86:166?00CREDIT?20EREF+E2E-7?21SVWZ+INV-2026/001?22 AND MORE?31DE8937040044?32NEW PLASTICS?33 GMBH
:61:260303D50,NMSC123//BR-2
:86:/EREF/NOTPROVIDED/ORDP//NAME/SUNRISE LTD/REMI/rent of March/
:61:2603030302RC0,50NTRFABC//BR-3
supplement
:86:just words
:62F:C260303CNY1200,00
-}
"""


def whole(parts: list[Part]) -> bool:
    """Whether a statement has both its ends."""
    return isinstance(parts[0], Opening) and isinstance(parts[-1], Closing)
