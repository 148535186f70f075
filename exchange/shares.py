"""Amounts shared out by weight, to the last minor unit. Integers only: none is lost."""

from collections.abc import Mapping, Sequence


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


def apportion_down(
    total_minor: int, top: str, *, parts: Mapping[str, Sequence[str]], weights: Mapping[str, int]
) -> dict[str, int]:
    """Share a total over what was split, and split again, each split by `apportion` as its schedule was.

    `parts` are what each was split into, in the order of the split; `weights` are those of whatever still has one.
    """

    def weigh(one: str) -> int:
        return weights.get(one, 0) + sum(map(weigh, parts.get(one, ())))

    below = [part for part in parts.get(top, ()) if weigh(part)]
    if not below:
        return {top: total_minor}
    own_minor, *shares = apportion(total_minor, [weights.get(top, 0), *map(weigh, below)])
    found = {top: own_minor}
    for part, share_minor in zip(below, shares, strict=True):
        found |= apportion_down(share_minor, part, parts=parts, weights=weights)
    return found
