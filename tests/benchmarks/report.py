"""How every benchmark says what it measured."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """A rate and the floor's rate in the same unit; `ratio` is value / floor, and `target` what it has to reach."""

    name: str
    value: float
    unit: str
    floor: float
    ratio: float
    target: float


def best_of(times: int, work: Callable[[], object]) -> float:
    """The least processor seconds that `work` took: what else the machine did meanwhile is in the other times."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def show(results: list[Result]) -> None:
    """A small table, or with JSON=1 one JSON line a result."""
    if os.environ.get("JSON") == "1":
        for result in results:
            told = {name: value for name, value in asdict(result).items() if name != "target"}
            print(json.dumps(told))
        return
    print(f"{'benchmark':<28}{'measured':>14}{'floor':>14}{'ratio':>8}{'target':>8}  unit")
    for one in results:
        figures = f"{one.value:>14,.0f}{one.floor:>14,.0f}{one.ratio:>8.2f}{one.target:>8.2f}"
        print(f"{one.name:<28}{figures}  {one.unit}  {'ok' if one.ratio >= one.target else 'MISSED'}")
