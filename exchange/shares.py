"""Amounts shared out by weight, to the last minor unit. Integers only: none is lost."""

from collections.abc import Sequence


def apportion(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Share a total in proportion to `weights` by largest remainder; equal remainders go to the earlier.

    A total of at most the sum of the weights gives nobody more than its weight.
    """
    whole = sum(weights)
    shares = [total_minor * weight // whole for weight in weights]
    remainders = [total_minor * weight % whole for weight in weights]
    first = sorted(range(len(weights)), key=lambda place: (-remainders[place], place))
    for place in first[: total_minor - sum(shares)]:
        shares[place] += 1
    return shares
