"""`python -m tests.benchmarks [NAME]`: all benchmarks, or one."""

import sys

from tests.benchmarks import intake
from tests.benchmarks.report import show

BENCHMARKS = {"intake": intake.measure}


def main(names: list[str]) -> int:
    """Measure and show; exit code 1 when a target is missed, 2 for an unknown name."""
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results = [BENCHMARKS[name]() for name in names or BENCHMARKS]
    show(results)
    return int(any(result.ratio < result.target for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
