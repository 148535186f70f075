"""Made-up identifiers with right check digits."""

from random import Random

from exchange.parties.rules import USCC_ALPHABET, USCC_WEIGHTS

_ORGANISATION_WEIGHTS = [3, 7, 9, 10, 5, 8, 4, 2]
_PERSON_WEIGHTS = [2 ** (17 - position) % 11 for position in range(17)]
_NO_COUNTY = "990000"  # a county code that is not in use, so that no living person can have the number


def uscc_check_character(body: str) -> str:
    """Check character of a unified social credit code's first 17 characters (GB 32100-2015, base 31)."""
    total = sum(weight * USCC_ALPHABET.index(char) for weight, char in zip(USCC_WEIGHTS, body, strict=True))
    return USCC_ALPHABET[-total % 31]


def organisation_check_character(body: str) -> str:
    """Check character of an organisation code's first 8 characters (GB 11714-1997, A counts 10)."""
    total = sum(weight * int(char, 36) for weight, char in zip(_ORGANISATION_WEIGHTS, body, strict=True))
    return "0123456789X"[-total % 11]


def person_check_character(body: str) -> str:
    """Check character of a resident number's first 17 digits (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(weight * int(digit) for weight, digit in zip(_PERSON_WEIGHTS, body, strict=True))
    return "0123456789X"[(1 - total) % 11]


def new_uscc(rng: Random, *, county: str) -> str:
    """A company's code registered in `county` (6 digits, GB/T 2260)."""
    organisation = "MA" + "".join(rng.choices(USCC_ALPHABET, k=6))
    body = "91" + county + organisation + organisation_check_character(organisation)
    return body + uscc_check_character(body)


def new_person(rng: Random) -> str:
    """A resident number that nobody has: its county does not exist."""
    born = f"{rng.randrange(1955, 1995)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
    body = f"{_NO_COUNTY}{born}{rng.randrange(1, 1000):03}"
    return body + person_check_character(body)
