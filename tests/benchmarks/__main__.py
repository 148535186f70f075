"""`python -m tests.benchmarks [NAME]`: all benchmarks, or one."""

import sys
from collections.abc import Callable

from tests.benchmarks import (
    clearing,
    close_of_business,
    facility,
    intake,
    log,
    planted,
    posting,
    scoring,
    sign,
    statement,
    verify,
    why_not,
)
from tests.benchmarks.report import Result, show

BENCHMARKS: dict[str, Callable[[], Result | list[Result]]] = {
    "clearing": clearing.measure,
    "log": log.measure,
    "intake": intake.measure,
    "planted": planted.measure,
    "posting": posting.measure,
    "statement": statement.measure,
    "close-of-business": close_of_business.measure,
    "facility": facility.measure,
    "why-not": why_not.measure,
    "scoring": scoring.measure,
    "sign": sign.measure,
    "verify": verify.measure,
}


def main(names: list[str]) -> int:
    """Measure and show; exit code 1 when a target is missed, 2 for an unknown name."""
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results: list[Result] = []
    for name in names or BENCHMARKS:
        measured = BENCHMARKS[name]()
        results += measured if isinstance(measured, list) else [measured]
    show(results)
    return int(any(result.ratio < result.target for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
