"""Ids, currencies, and the names of accounts."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from exchange import books
from exchange.currencies import MINOR_DIGITS, commodity
from exchange.entropy import seeded_entropy, system_entropy
from exchange.ids import ALPHABET, is_id, new_id
from exchange.services import Services
from ledger.books.tables import accounts

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def _number(typeid: str) -> int:
    value = 0
    for character in typeid.rpartition("_")[2]:
        value = value * 32 + ALPHABET.index(character)
    return value


@given(MOMENTS, st.text(max_size=20))
def test_an_id_is_a_uuid_of_version_7(now: datetime, purpose: str) -> None:
    """RFC 9562: 48 bits of milliseconds, version 7, variant 10; TypeID: 26 digits, the first at most 7."""
    made = new_id("ast", now=now, entropy=seeded_entropy(1), purpose=purpose)
    value = _number(made)
    assert value < 2**128
    assert value >> 76 & 0xF == 7
    assert value >> 62 & 0b11 == 0b10
    exact = (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert abs((value >> 80) - exact) <= 1  # seconds are a float on the way
    assert is_id(made, prefix="ast")
    assert not is_id(made, prefix="as")


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_birth(one: datetime, other: datetime) -> None:
    """Of two ids the one born a millisecond or more earlier sorts first."""
    earlier, later = sorted((one, other))
    ids = [new_id("x", now=moment, entropy=system_entropy, purpose="") for moment in (earlier, later)]
    if later - earlier > timedelta(milliseconds=1):
        assert ids == sorted(ids)


def test_ids_differ() -> None:
    """Same moment: by chance, or under a seed by purpose and prefix."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert len({new_id("x", now=now, entropy=system_entropy, purpose="") for _ in range(1000)}) == 1000
    seeded = seeded_entropy(7)
    made = {new_id(prefix, now=now, entropy=seeded, purpose=str(n))[4:] for prefix in ("aaa", "bbb") for n in range(99)}
    assert len(made) == 198
    assert new_id("x", now=now, entropy=seeded, purpose="p") == new_id("x", now=now, entropy=seeded, purpose="p")


GOOD = "ast_01h455vb4pex5vsknk084sn02q"


@pytest.mark.parametrize(
    "value",
    [
        GOOD + "\n",
        "\n" + GOOD,
        GOOD + " ",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD.replace("_0", "_8"),
        GOOD.replace("q", "l"),
        GOOD.replace("q", "u"),
        GOOD.replace("0", "０"),
        GOOD[4:],
        "",
        "ast_",
    ],
)
def test_what_is_no_id(value: str) -> None:
    """Line ends, capitals, letters outside Crockford's 32, other lengths, 130 bits."""
    assert is_id(GOOD, prefix="ast")
    assert not is_id(value, prefix="ast")


def test_a_prefix_is_text_and_no_pattern() -> None:
    """Whoever takes the prefix from a request breaks nothing."""
    assert not is_id(GOOD, prefix=".*")
    assert not is_id("(((", prefix="(((")


def test_currencies() -> None:
    """ISO 4217 in use: three letters, none twice, digits where they are not two."""
    assert all(re.fullmatch("[A-Z]{3}", code) for code in MINOR_DIGITS)
    expected = {"CNY": 2, "USD": 2, "JPY": 0, "KRW": 0, "BHD": 3, "TND": 3, "XCG": 2, "CLP": 0}
    assert {code: MINOR_DIGITS[code] for code in expected} == expected
    assert not {"XXX", "XTS", "XAU", "HRK", "BGN", "ANG", "DEM"} & MINOR_DIGITS.keys()
    assert [commodity(code) for code in ("CNY", "JPY", "KWD")] == ["CNY/2", "JPY/0", "KWD/3"]


def test_accounts_are_opened_once(services: Services) -> None:
    """Opening again changes nothing; the bank, and nobody else, may be overdrawn."""
    with services.database.transaction() as session:
        for _ in range(2):
            books.open_money(
                session, currency="CNY", paths=[books.funder_cash("fnd_1"), books.UNAPPLIED], may_overdraw=[books.BANK]
            )
            books.open_titles(session, asset_ids=["ast_1", "ast_2"], holder=books.funder_title("fnd_1"))
        opened = session.execute(select(accounts.c.path, accounts.c.commodity, accounts.c.may_overdraw)).all()
        assert sorted(tuple(row) for row in opened) == sorted(
            [
                ("bank/collection", "CNY/2", True),
                ("funder/fnd_1/cash", "CNY/2", False),
                ("unapplied", "CNY/2", False),
                ("assets/issued", "ast_1", True),
                ("assets/issued", "ast_2", True),
                ("funder/fnd_1/title", "ast_1", False),
                ("funder/fnd_1/title", "ast_2", False),
            ]
        )


def test_paths_do_not_meet() -> None:
    """No two parties and no two purposes share an account."""
    made = [
        name(party)
        for name in (
            books.funder_cash,
            books.funder_reserved,
            books.funder_title,
            books.funder_recourse,
            books.seller_cash,
            books.seller_recourse,
        )
        for party in ("a", "b")
    ]
    assert len({*made, books.BANK, books.ISSUED, books.UNAPPLIED}) == len(made) + 3
