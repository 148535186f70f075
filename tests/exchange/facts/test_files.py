"""Files of facts, and the one definition by which items are read fast and slowly."""

import csv
import io
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.facts.kinds import KINDS
from exchange.facts.reading import MOST_LINES, read_file, struct_of
from exchange.schemas import faults_of
from tests.exchange.facts.bodies import FACTS, SELLER
from tests.exchange.facts.conftest import Tell
from tests.exchange.house import House, check_contract

SCHEMAS = {name: kind.schema() for name, kind in KINDS.items()}
_numbers = count()
RIGHT = {name: FACTS[f"tell_{kind.plural.replace('-', '_')}"] for name, kind in KINDS.items()}
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=70), st.just({}), st.just([]),
    st.sampled_from(["2026-03-02", "2026-02-30", "1969-12-31", "CNY", "began", "ABCD", "platform", "erp", "x\n", "Ａ"]),
)  # fmt: skip


def flat(item: dict[str, Any], above: str = "") -> dict[str, str]:
    """An item as a row of a CSV file."""
    row: dict[str, str] = {}
    for name, value in item.items():
        if isinstance(value, dict):
            row |= flat(value, f"{above}{name}.")
        else:
            row[above + name] = str(value).lower() if isinstance(value, bool) else str(value)
    return row


def as_csv(rows: list[dict[str, str]]) -> bytes:
    """Rows as a file, with the header of the first."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def upload(house: House, kind: str, raw: bytes, media_type: str = "text/csv") -> Any:  # noqa: ANN401 - a response
    """Send a file as the platform."""
    platform = house.platform
    platform.token = platform.token or platform.sign_in()
    headers = {"Authorization": f"Bearer {platform.token}", "Idempotency-Key": f"file-{next(_numbers)}"}
    path = f"/v1/facts/{kind}/files"
    response = platform.web.open(path, method="POST", data=raw, content_type=media_type, headers=headers)
    check_contract("POST", path, response)
    return response


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_both_readings_agree(name: str, data: st.DataObject) -> None:
    """Whatever stands in any member: the struct decodes it exactly when the schema finds no fault."""
    item = dict(RIGHT[name])
    place = data.draw(st.sampled_from(sorted(item)))
    if isinstance(item[place], dict) and data.draw(st.booleans()):
        item[place] = item[place] | {data.draw(st.sampled_from(sorted(item[place]))): data.draw(values)}
    else:
        item[place] = data.draw(values)
    try:
        raw = msgspec.json.encode(item)
        msgspec.json.decode(raw, type=struct_of(KINDS[name].schema))
        fits = True
    except (msgspec.DecodeError, UnicodeEncodeError):
        fits = False
    assert fits == (faults_of(SCHEMAS[name], item) == [])


@pytest.mark.parametrize("name", KINDS)
def test_csv_says_what_json_says(name: str) -> None:
    """The right item of each kind as a row is the same fact."""
    kind = KINDS[name].schema
    read = read_file(as_csv([flat(RIGHT[name])]), media_type="text/csv", schema=kind)
    assert read.bad == {}
    assert read.good[0][1] == msgspec.convert(RIGHT[name], struct_of(kind))


def test_a_file_is_kept_line_by_line(house: House, tell: Tell) -> None:
    """Bad lines are shown by their place; the good ones are kept; sent again all of them are known."""
    tell("registrations", {})
    rows = [flat(RIGHT["report"] | {"source": f"file-{n}"}) for n in range(1_200)]
    rows[3]["score"], rows[1_100]["effective_date"] = "high", "2026-03-03"
    first, again = upload(house, "reports", as_csv(rows)).get_json(), upload(house, "reports", as_csv(rows)).get_json()
    assert [first[name] for name in ("kept", "known", "refused")] == [1_198, 0, 2]
    assert [again[name] for name in ("kept", "known", "refused")] == [0, 1_198, 2]
    told = [(one["errors"][0]["code"], one["errors"][0]["pointer"]) for one in first["items"]]
    assert told == [("not_an_integer", "/items/3/score"), ("fact_in_future", "/items/1100/effective_date")]


def test_lines_of_json(house: House, tell: Tell) -> None:
    """NDJSON with a line that is none: it alone is refused. Empty lines are nothing."""
    tell("registrations", {}, {"company": SELLER})
    good = msgspec.json.encode(RIGHT["order"] | {"number": "ND-1"})
    answer = upload(house, "orders", b"\xef\xbb\xbf" + good + b"\n\n{\n", "application/x-ndjson").get_json()
    assert (answer["kept"], answer["refused"], answer["items"][0]["errors"][0]["code"]) == (1, 1, "malformed_item")


HEADER = b"source,effective_date,company.scheme,company.value"


@pytest.mark.parametrize(
    ("raw", "media_type", "status", "code"),
    [
        (b"source\nerp", "application/pdf", 415, "unsupported_media_type"),
        ("source\n价格".encode("gbk"), "text/csv", 422, "bad_encoding"),
        (b"source,colour\nerp,red", "text/csv", 422, "unknown_column"),
        (b"company\nerp", "text/csv", 422, "unknown_column"),
        (b"company.value.x\nerp", "text/csv", 422, "unknown_column"),
        (b"source,source\nerp,erp", "text/csv", 422, "column_twice"),
        (HEADER + b"\nerp", "text/csv", 422, "bad_row"),
        (HEADER + b'\n"erp', "text/csv", 422, "bad_csv"),
        (HEADER, "text/csv", 422, "bad_length"),
        (b"", "text/csv", 422, "bad_length"),
        (b"{}\n" * (MOST_LINES + 1), "application/x-ndjson", 422, "bad_length"),
    ],
)
def test_what_is_no_file_of_facts(house: House, raw: bytes, media_type: str, status: int, code: str) -> None:
    """Each is refused as a whole, with what is wrong with it."""
    answer = upload(house, "reports", raw, media_type)
    assert (answer.status_code, answer.get_json(force=True)["errors"][0]["code"]) == (status, code)


def test_no_such_kind(house: House) -> None:
    """A file of anything else: 404."""
    assert upload(house, "rumours", b"a").status_code == 404
