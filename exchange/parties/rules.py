"""What makes an identifier one: check digits, computed as their standards say."""

import re

from exchange.errors import Fault

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_LENGTH = 18
USCC_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))
LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}", re.ASCII)
PLATFORM_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}", re.ASCII)


def identifier_fault(scheme: str, value: str) -> tuple[str, str] | None:
    """Why `value` cannot be an identifier of `scheme`, as (code, message); None when it can."""
    if scheme == "uscc" and not is_uscc(value):
        return "bad_uscc", "18 characters with the check digit of GB 32100-2015"
    if scheme == "lei" and not is_lei(value):
        return "bad_lei", "20 characters with the check digits of ISO 17442"
    if scheme == "platform" and not PLATFORM_NUMBER.fullmatch(value):
        return "bad_platform_number", "up to 64 ASCII letters, digits and - . _ /"
    return None


def obligor_faults(scheme: str, value: str, *, originator_id: str | None) -> list[Fault]:
    """Why nobody can be entered under this identifier; only a `platform` number belongs to an originator."""
    fault = identifier_fault(scheme, value)
    faults = [] if fault is None else [Fault(fault[0], "/value", fault[1], value)]
    if scheme == "platform" and originator_id is None:
        faults.append(Fault("originator_missing", "/originator_id", "say whose customer number this is"))
    if scheme != "platform" and originator_id is not None:
        message = "a registered number belongs to nobody's customers"
        faults.append(Fault("originator_unexpected", "/originator_id", message, originator_id))
    return faults


def is_uscc(value: str) -> bool:
    """Whether `value` is a unified social credit code (GB 32100-2015: weights 3^i mod 31, check character 18)."""
    if len(value) != USCC_LENGTH or any(character not in USCC_ALPHABET for character in value):
        return False
    total = sum(USCC_ALPHABET.index(character) * weight for character, weight in zip(value, USCC_WEIGHTS, strict=False))
    return USCC_ALPHABET[-total % 31] == value[17]


def is_lei(value: str) -> bool:
    """Whether `value` is a legal entity identifier (ISO 17442: ISO 7064 MOD 97-10)."""
    return LEI.fullmatch(value) is not None and int("".join(str(int(character, 36)) for character in value)) % 97 == 1
