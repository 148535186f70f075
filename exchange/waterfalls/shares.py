"""Amounts shared out up to what each is due."""

from collections.abc import Sequence

from exchange.shares import apportion


def fill(total_minor: int, *, dues: Sequence[int], weights: Sequence[int], named: int) -> list[int]:
    """Share a total by weight, nobody above its due: what one cannot take goes to the others by their weights.

    What the weights do not divide goes to the leg `named`, and where that is full by largest remainder.
    """
    given = [0] * len(dues)
    left_minor = min(total_minor, sum(dues))
    while left_minor:
        open_legs = [place for place, due in enumerate(dues) if given[place] < due]
        whole = sum(weights[place] for place in open_legs)
        if named in open_legs:
            grants = {place: left_minor * weights[place] // whole for place in open_legs}
            grants[named] += left_minor - sum(grants.values())
        else:
            grants = dict(zip(open_legs, apportion(left_minor, [weights[one] for one in open_legs]), strict=True))
        for place, grant in grants.items():
            taken = min(grant, dues[place] - given[place])
            given[place] += taken
            left_minor -= taken
    return given
