"""Mapping files: what is read, and that a bad one is refused with what to do."""

from pathlib import Path
from typing import Any

import pytest

from exchange.replay import mapping
from exchange.replay.mapping import FieldSpec, load_mapping, mapping_from

MAPS = Path(__file__).parents[2] / "maps"


def document(**changes: object) -> dict[str, Any]:
    """A mapping that works, with fields changed; None takes one out."""
    fields: dict[str, object] = {
        "invoice_number": "no",
        "seller": {"scheme": {"constant": "platform"}, "value": "seller"},
        "obligor.scheme": {"constant": "platform"},
        "obligor.value": "debtor",
        "product": {"constant": "receivable_factoring"},
        "currency": "currency",
        "face": "amount",
        "issue_date": "issued",
        "due_date": "due",
    }
    return {"fields": {name: entry for name, entry in (fields | changes).items() if entry is not None}}


def test_shipped_maps() -> None:
    """Each mapping file beside the tests is accepted."""
    assert [load_mapping(path).canonical for path in sorted(MAPS.glob("*.toml"))] == [False] * 3


def test_nested_and_dotted_names_are_the_same() -> None:
    """A party's fields may stand in a table of their own or under dotted names."""
    read = mapping_from(document())
    assert read.fields["seller.value"] == FieldSpec(column="seller")
    assert read.fields["obligor.value"] == FieldSpec(column="debtor")
    assert read.columns() == {"no", "seller", "debtor", "currency", "amount", "issued", "due"}


def test_options_are_kept() -> None:
    """Constants and value maps become the text that a cell would hold."""
    read = mapping_from(
        document(disputed={"column": "d", "values": {"Y": True, "N": False}}, face=None, face_minor="f")
    )
    assert read.fields["disputed"].values == {"Y": "true", "N": "false"}
    assert mapping_from(document(currency={"constant": 7})).fields["currency"].constant == "7"


@pytest.mark.parametrize(
    ("changed", "refusal", "hint"),
    [
        (document(isue_date="x"), mapping.UnknownField, "do you mean 'issue_date'"),
        (document(seller={"vlaue": "x"}), mapping.UnknownField, "seller.value"),
        (document() | {"feilds": {}}, mapping.UnknownField, "fields"),
        (document(due_date=None, product=None), mapping.MissingField, "product, due_date"),
        (document(face=None), mapping.MissingField, "face_minor"),
        (document(face_minor="x"), mapping.MissingField, "face_minor"),
        (document(confirmation_grade={"constant": "deemed"}), mapping.MissingField, "confirmed_date"),
        (document(due_date={"after": "seller.value"}), mapping.BadOption, "date field"),
        (document(due_date={"after": "settled_date"}), mapping.BadOption, "date field"),
        (document(due_date={"after": 1}), mapping.BadOption, "has to be text"),
        (document(due_date=7), mapping.BadOption, "column name or a table"),
        (document(due_date={}), mapping.BadOption, "exactly one of after, column, constant"),
        (
            document(face={"constant": "1", "column": "x"}),
            mapping.BadOption,
            "exactly one of column, constant",
        ),
        (document(face={"column": "x", "decimals": 10}), mapping.BadOption, "from 0 to 9"),
        (document(face={"column": "x", "unit": True}), mapping.BadOption, "integer"),
        (document(face={"column": "x", "after": "due_date"}), mapping.UnknownField, "after"),
        (document(currency={"constant": 1.5}), mapping.BadOption, "1.5"),
        (document(disputed={"column": "x", "values": "Yes"}), mapping.BadOption, "table"),
        (document() | {"fields": 3}, mapping.BadOption, "table"),
        (document() | {"hidden": {"truth": 3}}, mapping.BadOption, "hidden.truth"),
        (document() | {"file": {"form": "xlsx"}}, mapping.BadOption, "ndjson"),
        (document() | {"file": {"delimiter": ";;"}}, mapping.BadOption, "one character"),
        (document() | {"file": {"delimiter": '"'}}, mapping.BadOption, "one character"),
        (document() | {"file": {"encoding": "utf-9"}}, mapping.BadOption, "gb18030"),
        (document() | {"file": {"encoding": "hex"}}, mapping.BadOption, "gb18030"),
        (document() | {"statement_years": 1999}, mapping.BadOption, "section"),
        (document() | {"statement_years": {"firm": "x"}}, mapping.MissingField, "year"),
    ],
)
def test_refused(changed: dict[str, Any], refusal: type[mapping.MappingRefused], hint: str) -> None:
    """A mapping that cannot be meant is refused, and the refusal names the place."""
    with pytest.raises(refusal) as caught:
        mapping_from(changed)
    assert hint in caught.value.detail
    assert caught.value.code.startswith("mapping_")


def test_statement_years_make_their_own_dates() -> None:
    """Fields that firm-years make may not be mapped as well."""
    years = {
        "firm": "f",
        "year": "y",
        "year_end": "12-31",
        "tenor_days": 180,
        "status": "s",
        "failed": "x",
    }
    with pytest.raises(mapping.BadOption, match="due_date, invoice_number, issue_date"):
        mapping_from(document() | {"statement_years": years})
    bare = document(invoice_number=None, issue_date=None, due_date=None) | {"statement_years": years}
    assert mapping_from(bare).columns() == {"seller", "debtor", "currency", "amount", "f", "y", "s"}


@pytest.mark.parametrize("text", [b"fields = [", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_not_toml(tmp_path: Path, text: bytes) -> None:
    """Bytes that are no TOML, and a file that is absent, are refused as such."""
    path = tmp_path / "map.toml"
    with pytest.raises(mapping.MappingUnreadable):
        load_mapping(path)
    path.write_bytes(text)
    with pytest.raises(mapping.MappingUnreadable):
        load_mapping(path)
