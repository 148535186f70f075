"""How a process of the exchange that runs for long settles in."""

import gc
import sys

from exchange import logs

COLLECT_AFTER = 50_000
SWITCH_SECONDS = 0.0005


def settle_in() -> None:
    """Set up logs, threads and memory, once everything is imported.

    What is loaded by now stays for good: the collector need not look at it again and again while batches make and drop
    objects by the ten thousand (that cost a third of sealing). Threads that wait for the database most of the time hand
    over soon, so that whoever has an answer does not wait for another's turn to end.
    """
    logs.configure()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)
