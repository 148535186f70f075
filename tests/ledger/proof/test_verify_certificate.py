import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from exchange.clearing.certificate import certificate_bytes, certify, extract_bytes
from exchange.clearing.market import Average, Cap, Mandates, Market, Receivables, Share
from exchange.clearing.solve import Answer
from ledger.canonical import canonical_bytes, parse_canonical
from ledger.errors import LedgerError
from ledger.verify import certificate
from ledger.verify.certificate import CertificateWrong, check
from ledger.verify.command import make_command

FACES = (10_000_00, 20_000_00, 30_000_00, 5_000_00)
OWN = np.array([0, 1])


def market() -> Market:
    """Four receivables and two mandates, small enough to be reckoned by hand."""
    tenor, grade = np.array([30, 60, 90, 10]), np.array([0, 1, 0, 1])
    receivables = Receivables(
        face=np.array(FACES),
        tenor=tenor,
        grade=grade,
        product=np.array([0, 0, 1, 0]),
        sector=np.array([0, 1, 0, 0]),
        currency=np.array([0, 0, 0, 1]),
        ask=np.array([400, 500, 450, 400]),
        recourse=np.array([True, True, False, True]),
        split=np.array([False, False, True, False]),
        keys={"debtor": np.array([0, 1, 1, 0]), "sector": np.array([0, 1, 0, 0])},
        measures={"tenor": tenor},
    )
    mandates = Mandates(
        currency=np.array([0, 0]),
        max_grade=np.array([1, 1]),
        max_tenor=np.array([90, 90]),
        rates=np.array([[300, 350], [320, 340]]),
        products=np.array([[True, True], [True, True]]),
        sectors=np.array([[True, True], [True, True]]),
        smallest=np.array([1_000_00, 1_000_00]),
        largest=np.array([50_000_00, 50_000_00]),
        recourse_only=np.array([False, False]),
        min_pool=np.array([0, 5_000_00]),
        advance=np.array([10_000, 9_000]),
        financed=np.array([18_000, 17_000]),
    )
    caps = (
        Cap("budget", OWN, np.array([[40_000_00], [40_000_00]]), of_price=True),
        Cap("debtor", OWN, np.array([[30_000_00, 32_000_00], [30_000_00, 32_000_00]]), key="debtor"),
        Cap("everybody", np.zeros(2, np.int64), np.array([[60_000_00]]), own=False),
    )
    shares = (Share("sector", "sector", np.array([[1000, 700], [1000, 700]])),)
    averages = (
        Average("tenor", np.array([70, 0]), np.array([True, False]), "tenor"),
        Average("yield", np.array([300, 0]), np.array([True, False]), at_least=True),
    )
    return Market(receivables, mandates, caps, shares, averages)


ENTRIES = ((0, 0, 10_000_00), (1, 0, 20_000_00), (2, 1, 12_000_00))
PRICES = (
    ("budget", 0, -1, 900),
    ("debtor", 1, 1, 400),
    ("sector", 0, 1, 100),
    ("tenor", 0, -1, 3),
    ("yield", 0, -1, 2),
)


@cache
def whole() -> bytes:
    """A right certificate: value and bound are what the check itself computes from hand-made entries and prices."""
    stated = market()
    document = certify(stated, Answer(ENTRIES, PRICES, 0, 0, complete=True), seed=b"1", secret=b"salt")
    value = certificate.check_entries(document["market"], document["entries"], range(2))
    bound = certificate.bound_of(document["market"], document["prices"])
    answer = Answer(ENTRIES, PRICES, value, bound, complete=True)
    return certificate_bytes(certify(stated, answer, seed=b"1", secret=b"salt"))


def mutants(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:  # noqa: ANN401 - any JSON value
    """Every leaf of a document, each with a neighbouring value."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from mutants(one, (*path, key))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from mutants(one, (*path, place))
        if value:
            yield path, value[:-1]
    elif isinstance(value, bool):
        yield path, not value
    elif isinstance(value, int):
        yield path, value + 1
        yield path, value - 1
    elif isinstance(value, str):
        yield path, str(int(value) + 1) if value.isdigit() else value[:-1] + ("A" if value[-1] != "A" else "B")
    else:
        yield path, "debtor"


def changed(document: dict[str, Any], path: tuple[Any, ...], value: object) -> bytes:
    """The document with one value put in another's place."""
    copy = deepcopy(document)
    inner: Any = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return canonical_bytes(copy)


def test_a_right_certificate() -> None:
    """What it has is counted; by hand: 10,000 x 30 days x 100 bp saved, and so on."""
    assert check(whole()) == {"receivables": 4, "mandates": 2, "entries": 3}
    head = parse_canonical(whole())["head"]
    worth = 1_000_000 * (18_000 + 100 * 30) + 2_000_000 * (18_000 + 150 * 60) + 1_200_000 * (17_000 + 130 * 90)
    assert head["value"] == str(worth)
    assert int(head["bound"]) >= worth


def test_every_field_counts() -> None:
    """Each value of a certificate, changed alone, is found; but for the seed, a label."""
    document = parse_canonical(whole())
    count = 0
    for path, value in mutants(document):
        if path == ("head", "seed"):
            continue
        with pytest.raises(LedgerError):
            check(changed(document, path, value))
        count += 1
    assert count > 200


def test_every_field_of_an_extract_counts() -> None:
    """So is each value of a part and of its proof."""
    shown = extract_bytes(parse_canonical(whole()), [0])
    document = parse_canonical(shown)
    assert check(shown) == {"mandates": 1, "entries": 2}
    unseen = {("head", name) for name in ("seed", "market", "prices", "value", "bound")}
    for path, value in mutants(document):
        if path[:2] not in unseen and path != ("parts",):
            with pytest.raises(LedgerError):
                check(changed(document, path, value))


def test_an_extract_has_nothing_of_others() -> None:
    """The other mandate's rates, amounts and limits are not in it, and its part cannot be guessed without its salt."""
    document = parse_canonical(whole())
    text = extract_bytes(document, [1]).decode()
    shown = json.loads(text)
    assert [one["part"]["mandate"] for one in shown["parts"]] == [1]
    assert all(str(number) not in text for number in (10_000_00, 20_000_00, 60_000_00, 350))
    part = shown["parts"][0]["part"]
    assert [limit["name"] for limit in part["limits"]] == ["budget", "debtor", "sector", "tenor", "yield"]
    assert part["receivables"]["keys"] == {"debtor": [0], "sector": [0]}, "numbered anew: no count of others is told"
    assert part["terms"]["rates"] == [320]
    assert document["salts"][0] not in text
    guessed = deepcopy(certificate.parts_of(document["market"], document["entries"], document["salts"])[0])
    guessed["salt"] = document["salts"][1]
    assert certificate.part_hash(guessed).hex() not in text


RIGGED: dict[str, Callable[[list[list[int]]], list[list[int]]]] = {
    "does not fit": lambda _: [[3, 0, FACES[3]]],
    "is no part": lambda _: [[0, 0, FACES[0] - 1]],
    "more than its face": lambda _: [[2, 0, 20_000_00], [2, 1, 20_000_00]],
    "out of order": lambda entries: entries[::-1],
    "budget": lambda _: [[0, 0, FACES[0]], [1, 0, FACES[1]], [2, 0, 12_000_00]],
    "debtor": lambda _: [[1, 1, FACES[1]], [2, 1, 12_000_01]],
    "sector": lambda _: [[1, 0, FACES[1]]],
    "tenor": lambda _: [[2, 0, FACES[2]]],
    "least size": lambda _: [[2, 1, 1_000_00]],
}


@pytest.mark.parametrize("named", RIGGED)
def test_what_breaks_a_rule_is_named(named: str) -> None:
    """The first thing that is wrong is said."""
    document = parse_canonical(whole())
    with pytest.raises(CertificateWrong, match=named):
        certificate.check_entries(document["market"], RIGGED[named](document["entries"]), range(2))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("receivables", "tenor", 0), -30, "not a count"),
        (("receivables", "recourse", 0), "yes", "not a count"),
        (("receivables", "keys", "debtor"), [0], "too short"),
        (("limits", 0, "kind"), "wish", "no such kind"),
    ],
)
def test_a_market_that_is_none(path: tuple[Any, ...], value: object, named: str) -> None:
    """Columns that do not fit together, and limits of no known kind, are no market's."""
    stated = json.loads(changed(parse_canonical(whole())["market"], path, value))
    with pytest.raises(CertificateWrong, match=named):
        certificate.check_market(stated)


@pytest.mark.parametrize(
    ("price", "named"),
    [
        (["budget", 0, -1, -1], "below 0"),
        (["budget", 0, -1, "1"], "below 0"),
        (["budget", 0, -1, 5], "there twice"),
        (["tenor", 1, -1, 5], "no limit, with mandate 1"),
    ],
)
def test_prices_that_prove_nothing(price: list[Any], named: str) -> None:
    """Below 0, twice, or of a limit that the mandate does not have."""
    market = parse_canonical(whole())["market"]
    with pytest.raises(CertificateWrong, match=named):
        certificate.bound_of(market, [["budget", 0, -1, 900], price])


@pytest.mark.parametrize(("value", "bound"), [("2", "1"), ("-1", "1"), ("01", "1"), (1, "1"), ("1", "1.0")])
def test_numbers_of_a_head(value: object, bound: object) -> None:
    """Decimals in their one spelling, the value within the bound."""
    document = json.loads(extract_bytes(parse_canonical(whole()), [0]))
    document["head"] |= {"value": value, "bound": bound}
    with pytest.raises((CertificateWrong, ValueError)):
        certificate.check_extract(document)


def test_other_documents_are_refused() -> None:
    """No certificate, no type, another one, members missing."""
    others: tuple[object, ...] = ({"type": "other"}, {}, {"type": certificate.CERTIFICATE}, [])
    for value in (*others, {"type": certificate.EXTRACT, "head": {}}):
        with pytest.raises(LedgerError):
            check(canonical_bytes(value))


def test_the_command(tmp_path: Path) -> None:
    """`verify FILE` and `verify certificate FILE` take certificates and extracts; a fen is found."""
    file, part, wrong = (tmp_path / name for name in ("whole.json", "part.json", "wrong.json"))
    file.write_bytes(whole())
    part.write_bytes(extract_bytes(parse_canonical(whole()), [1]))
    wrong.write_bytes(whole().replace(b"[2,1,1200000]", b"[2,1,1200001]"))
    command = make_command()
    for arguments in ([str(file)], ["certificate", str(part)], [str(file), str(part)]):
        assert CliRunner().invoke(command, arguments).exit_code == 0
    told = CliRunner().invoke(command, ["certificate", str(wrong)])
    assert told.exit_code == 1
    assert "certificate_wrong" in told.output
