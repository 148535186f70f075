"""Files in, rows or refusals out: nothing is lost, nothing is guessed."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from exchange.replay import records
from exchange.replay.canonical import json_line
from exchange.replay.mapping import CANONICAL, FileMapping, UnknownColumn, load_mapping, mapping_from
from exchange.replay.rows import Company, CreditNote, Document, PartPayment, ReplayRow, RowRefusal
from exchange.replay.source import rows

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
HEADER = "no,seller,debtor,cur,amount,issued,due,paid,grade,confirmed\n"
GOOD = "A-1,s1,d1,USD,12.50,2024-01-02,2024-02-01,2024-02-03,explicit,2024-01-03\n"
MAPPING = mapping_from(
    {
        "fields": {
            "invoice_number": "no",
            "seller": {
                "scheme": {"constant": "platform"},
                "value": {"column": "seller", "if_empty": "nobody"},
            },
            "obligor": {"scheme": {"constant": "platform"}, "value": "debtor"},
            "product": {"constant": "receivable_factoring"},
            "currency": "cur",
            "face": "amount",
            "issue_date": "issued",
            "due_date": "due",
            "settled_date": "paid",
            "confirmation_grade": {"column": "grade", "values": {"explicit": "explicit", "tacit": "deemed"}},
            "confirmed_date": "confirmed",
        },
        "hidden": {"truth": "grade"},
    }
)
CANONICAL_ROW = ReplayRow(
    row_number=1,
    invoice_number="发票 1",
    seller=Company("uscc", "91350100M000100Y43", "卖方", "k1", "distribution", "Fujian"),
    obligor=Company("platform", "d1", "买方"),
    product="equipment_lease",
    currency="CNY",
    face_minor=1000,
    issue_date=date(2024, 1, 2),
    due_date=date(2024, 2, 1),
    submitted_date=date(2024, 1, 3),
    settled_date=date(2024, 2, 2),
    confirmed_date=date(2024, 1, 4),
    confirmation_grade="deemed",
    disputed=True,
    credit_notes=(CreditNote(date(2024, 1, 9), 100, "return"),),
    part_payments=(PartPayment(date(2024, 1, 20), 900),),
    recourse="limited",
    documents=(Document("invoice", "0" * 64),),
    hidden={"ref": "r1"},
)


def read(tmp_path: Path, text: str | bytes, *, name: str = "book.csv", mapping: FileMapping = MAPPING) -> list[Any]:
    """Write a file and read it."""
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(rows(path, mapping=mapping))


def read_canonical(tmp_path: Path, *documents: object) -> list[Any]:
    """Read NDJSON without a mapping."""
    path = tmp_path / "book.ndjson"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return list(rows(path))


def faults(row: ReplayRow | RowRefusal) -> set[tuple[str, str]]:
    """Field and code of each fault."""
    assert isinstance(row, RowRefusal), row
    return {(fault.field, fault.code) for fault in row}


def test_csv_row(tmp_path: Path) -> None:
    """A CSV row becomes a canonical row; an absent seller takes its default."""
    first, second = read(tmp_path, "\ufeff" + HEADER + GOOD + "\n" + GOOD.replace("s1", " "))
    assert (first.face_minor, first.settled_date, first.submitted_date) == (
        1250,
        date(2024, 2, 3),
        date(2024, 1, 2),
    )
    assert (first.hidden, first.confirmation_grade) == ({"truth": "explicit"}, "explicit")
    assert (second.seller.name, second.row_number) == ("nobody", 2)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_canonical_round_trip(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """What the writer writes is read back without a mapping, packed or not."""
    line = json_line(CANONICAL_ROW)
    assert read(tmp_path, pack(line), name="b.ndjson.gz", mapping=CANONICAL) == [CANONICAL_ROW]


def test_all_faults_of_a_row_at_once(tmp_path: Path) -> None:
    """One refusal names everything wrong with a row, and the rows around it are read."""
    bad = "A-2,s,,EUX,1e5,2024-13-01,,2024-02-30,maybe,x\n"
    before, refused, after = read(tmp_path, HEADER + GOOD + bad + GOOD)
    assert isinstance(before, ReplayRow)
    assert isinstance(after, ReplayRow)
    assert refused.row_number == 2
    assert faults(refused) == {
        ("obligor.value", "missing"),
        ("currency", "currency_unknown"),
        ("face", "amount_malformed"),
        ("issue_date", "date_malformed"),
        ("due_date", "missing"),
        ("settled_date", "date_malformed"),
        ("confirmation_grade", "value_unmapped"),
        ("confirmed_date", "date_malformed"),
    }
    assert {fault.value for fault in refused if fault.field == "face"} == {"1e5"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("A,b,c\n", ("", "column_count")),
        (GOOD.replace("A-1", '"A-1"x'), ("", "row_malformed")),
        (GOOD.replace("A-1", "\ufeff1"), ("invoice_number", "text_not_printable")),
        (GOOD.replace("A-1", "x" * (records.MAX_LINE + 5)), ("", "row_malformed")),
        (GOOD.replace("2024-01-03", ""), ("confirmation_grade", "confirmation_incomplete")),
    ],
)
def test_bad_csv_row(tmp_path: Path, line: str, fault: tuple[str, str]) -> None:
    """A row that is none is refused by itself."""
    found = read(tmp_path, HEADER + GOOD + line + GOOD)
    assert fault in faults(found[1])
    assert isinstance(found[-1], ReplayRow)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Bytes of another encoding refuse their row only, and are shown escaped."""
    found = read(tmp_path, HEADER.encode() + b"\xff\xfe" + GOOD.encode() + GOOD.encode())
    assert faults(found[0]) == {("invoice_number", "text_not_printable")}
    assert found[0].faults[0].value == "\\udcff\\udcfeA-1"
    assert isinstance(found[1], ReplayRow)


@pytest.mark.parametrize(
    ("name", "text", "refusal"),
    [
        ("book.csv", "", records.SourceHeader),
        ("book.csv", "no,no\n", records.SourceHeader),
        ("book.csv", '"no"x\n', records.SourceHeader),
        ("book.csv", "no,seller\n", UnknownColumn),
        ("book.xlsx", HEADER, records.SourceFormUnknown),
        ("book", HEADER, records.SourceFormUnknown),
        ("book.csv.gz", gzip.compress(HEADER.encode() + GOOD.encode() * 999)[:-20], records.SourceDamaged),
        ("book.csv", b"\x1f\x8b junk", records.SourceDamaged),
        ("book.ndjson", "{}\n", UnknownColumn),
    ],
)
def test_file_refused(tmp_path: Path, name: str, text: str | bytes, refusal: type[Exception]) -> None:
    """A file that cannot be read as a whole is refused as a whole."""
    with pytest.raises(refusal):
        read(tmp_path, text, name=name)


def test_absent_and_wrongly_decoded(tmp_path: Path) -> None:
    """A file that is not there or not in its encoding is refused."""
    with pytest.raises(records.SourceUnreadable):
        list(rows(tmp_path / "none.csv", mapping=MAPPING))
    utf16 = FileMapping(fields=MAPPING.fields, encoding="utf-16")
    with pytest.raises(records.SourceDamaged):
        read(tmp_path, "abc", mapping=utf16)


def test_canonical_csv(tmp_path: Path) -> None:
    """A CSV with our own column names needs no mapping; one without them is told to bring one."""
    names = ["invoice_number", "product", "currency", "issue_date", "due_date", "face_minor"]
    names += [f"{party}.{part}" for party in ("seller", "obligor") for part in ("scheme", "value")]
    cells = "1,working_capital,JPY,2024-01-01,2024-02-01,5000,platform,s,platform,o"
    path = tmp_path / "book.csv"
    path.write_text(f"{','.join(names)}\n{cells}\n")
    (row,) = rows(path)
    assert isinstance(row, ReplayRow)
    assert (row.face_minor, row.confirmation_grade) == (5000, None)
    path.write_text(f"{','.join(names)},colour\n{cells},red\n")
    with pytest.raises(UnknownColumn, match="colour"):
        list(rows(path))
    path.write_text(HEADER + GOOD)
    with pytest.raises(UnknownColumn, match="--map"):
        list(rows(path))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"face_minor": 12.5}, ("face_minor", "amount_too_precise")),
        ({"face_minor": -1}, ("face_minor", "amount_negative")),
        ({"colour": "red"}, ("colour", "unknown_field")),
        ({"currency": ["CNY"]}, ("currency", "wrong_type")),
        ({"seller": "s"}, ("seller", "unknown_field")),
        ({"disputed": "yes"}, ("disputed", "flag_malformed")),
        ({"documents": "d"}, ("documents", "wrong_type")),
        ({"documents": ["d"]}, ("documents[0]", "wrong_type")),
        ({"documents": [{"kind": "invoice", "sha256": "0"}]}, ("documents[0].sha256", "digest_malformed")),
        ({"documents": [{"kind": ["x"], "sha256": "0" * 64}]}, ("documents[0].kind", "wrong_type")),
        (
            {"part_payments": [{"paid_date": "2024-01-20", "amount_minor": 1001}]},
            ("face_minor", "face_exceeded"),
        ),
    ],
)
def test_bad_canonical_field(tmp_path: Path, change: dict[str, Any], fault: tuple[str, str]) -> None:
    """Our own form is read as strictly as a foreign one."""
    document = json.loads(json_line(CANONICAL_ROW)) | change
    assert fault in faults(read_canonical(tmp_path, document)[0])


@pytest.mark.parametrize(
    "line", ["[1]", "{", '{"a":1,"a":2}', '{"a.b":1,"a":{"b":2}}', "[" * 100_000, '{"x":NaN}', "nonsense"]
)
def test_bad_json_line(tmp_path: Path, line: str) -> None:
    """A line that is no object is refused with its number; the next one is read."""
    path = tmp_path / "book.jsonl"
    path.write_bytes(line.encode() + b"\n\n" + json_line(CANONICAL_ROW))
    refused, good = rows(path)
    assert isinstance(refused, RowRefusal)
    assert isinstance(good, ReplayRow)
    assert good.row_number == 2


def test_statement_years(tmp_path: Path) -> None:
    """A firm-year becomes a credit line; only a failed firm's last one is never settled."""
    mapping = load_mapping(ROOT / "tests" / "maps" / "listed-firms-1999-2011.toml")
    text = "company_name,Company Status,year,Total Current Liabilitie\n" + "".join(
        f"{firm},{status},{year},1.5\n"
        for firm, status, year in [
            ("a", "alive", "2001"), ("b", "failed", "2001"), ("b", "failed", "2002"), ("c", "failed", "MMI"),
        ]
    )  # fmt: skip
    *lines, refused = read(tmp_path, text, mapping=mapping)
    assert [line.settled_date for line in lines] == [date(2002, 6, 29), date(2002, 6, 29), None]
    assert [line.invoice_number for line in lines] == ["a-2001", "b-2001", "b-2002"]
    assert lines[0].face_minor == 150_000_000
    assert faults(refused) == {("issue_date", "date_malformed"), ("due_date", "missing")}


@pytest.mark.parametrize(
    ("name", "count", "unsettled", "total_minor"),
    [
        ("b2b-invoices-2019", 26_963, 0, None),
        ("accounts-receivable-2012-2013", 2_466, 0, 14_770_318),
        ("listed-firms-1999-2011", 54_979, 579, None),
    ],
)
def test_real_files(name: str, count: int, unsettled: int, total_minor: int | None) -> None:
    """Every row of the public sets is read through its mapping file."""
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout")
    found = list(rows(path, mapping=load_mapping(ROOT / "tests" / "maps" / f"{name}.toml")))
    read_rows = [row for row in found if isinstance(row, ReplayRow)]
    assert Counter(type(row) for row in found) == {ReplayRow: count}
    assert sum(row.settled_date is None for row in read_rows) == unsettled
    if total_minor is not None:
        assert sum(row.face_minor for row in read_rows) == total_minor
