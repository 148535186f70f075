"""Check digits, as their standards compute them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exchange.parties.rules import USCC_ALPHABET, identifier_fault, is_lei, is_uscc

# Published codes: Huawei, Alibaba (China), Tencent Technology; Apple, Deutsche Bank, GLEIF.
USCC = ["914403001922038216", "91330100799655058B", "9144030071526726XG"]
LEI = ["HWUPKR0MPOU8FGXBT394", "7LTWFZYICNSX8D621K86", "506700GE1G29325QX363"]
BODY = st.text(USCC_ALPHABET, min_size=17, max_size=17)


def _with_check(body: str) -> str:
    """GB 32100-2015, 5: C18 = 31 - (sum of Ci * 3^(i-1)) mod 31, of which 31 is written 0."""
    total = sum(USCC_ALPHABET.index(character) * 3**place for place, character in enumerate(body))
    return body + USCC_ALPHABET[(31 - total % 31) % 31]


@pytest.mark.parametrize("value", USCC)
def test_published_uscc(value: str) -> None:
    """Codes in use pass; in small letters, full width, cut or longer they do not."""
    assert is_uscc(value)
    assert identifier_fault("uscc", value) is None
    for wrong in (value.lower(), value[:-1], value + "0", f" {value[1:]}", value.replace("9", "９"), value + "\n", ""):
        assert wrong == value or not is_uscc(wrong)


@given(BODY)
def test_one_check_character_fits(body: str) -> None:
    """Of 31 last characters exactly one is right, and it is the standard's."""
    fitting = [body + last for last in USCC_ALPHABET if is_uscc(body + last)]
    assert fitting == [_with_check(body)]


@given(BODY, st.integers(0, 17), st.sampled_from(USCC_ALPHABET))
def test_any_one_wrong_character_is_found(body: str, place: int, other: str) -> None:
    """31 is prime, so no single error passes."""
    value = _with_check(body)
    assume(value[place] != other)
    assert not is_uscc(value[:place] + other + value[place + 1 :])


@given(BODY, st.integers(0, 16))
def test_any_swap_of_neighbours_is_found(body: str, place: int) -> None:
    """Nor does a swap of two unequal neighbours."""
    value = _with_check(body)
    assume(value[place] != value[place + 1])
    assert not is_uscc(value[:place] + value[place + 1] + value[place] + value[place + 2 :])


@pytest.mark.parametrize("value", LEI)
def test_published_lei(value: str) -> None:
    """Codes in use pass; anything else of the same letters does not."""
    assert is_lei(value)
    assert identifier_fault("lei", value) is None
    wrongs = (value.lower(), value[:-1], value + "0", value + "\n", value[:-2] + "XX", value[:-1] + "٣", "", "0" * 20)
    assert not any(is_lei(wrong) for wrong in wrongs)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=18, max_size=18))
def test_lei_check_digits(body: str) -> None:
    """ISO 7064 MOD 97-10: 98 less the remainder; no other two digits between 02 and 98 fit."""
    number = int("".join(str(int(character, 36)) for character in body + "00"))
    fitting = [digits for digits in range(2, 99) if is_lei(f"{body}{digits:02}")]
    assert fitting == [98 - number % 97]


@pytest.mark.parametrize("value", ["a", "A-1", "0", "x" * 64, "a b.c_d/e-f"])
def test_platform_numbers(value: str) -> None:
    """An originator's own customer number: printable, and no two that look alike."""
    assert identifier_fault("platform", value) is None


@pytest.mark.parametrize("value", ["", " a", "-a", "x" * 65, "é", "１", "a\n", "a\0", "a:b", "а"])
def test_what_is_no_platform_number(value: str) -> None:
    """Not empty, not beginning with punctuation, ASCII."""
    fault = identifier_fault("platform", value)
    assert fault is not None
    assert fault[0] == "bad_platform_number"


def test_codes_of_faults() -> None:
    """Each scheme has its code."""
    assert [(identifier_fault(scheme, "?") or ("",))[0] for scheme in ("uscc", "lei")] == ["bad_uscc", "bad_lei"]
