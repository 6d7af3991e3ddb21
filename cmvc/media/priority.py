"""Keeps SVT-AV1's threads at the usual priority.

SVT-AV1 gives its threads, and the one that opens it, real-time priority (``SCHED_FIFO``, 99) where it may, as it may
as root and so in many containers and CI jobs: everything else on the machine then stands still while it encodes. It has
no setting against it. Its threads are all made when an encoder opens, and lowering a priority is always allowed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def usual_priority() -> Iterator[None]:
    """When the block ends, give this thread and those that were made within the block the usual priority.

    That is ``SCHED_OTHER``, and for this thread what it had.

    Does nothing on systems other than Linux, where SVT-AV1 does not ask for another.
    """
    if sys.platform != "linux":
        yield
        return
    before, own = threads(), (os.sched_getscheduler(0), os.sched_getparam(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *own)
        for thread in threads() - before:
            with suppress(ProcessLookupError):  # it has just ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def threads() -> set[int]:
    """Return the numbers of this process's threads, as Linux counts them."""
    return {int(task.name) for task in _THREADS.iterdir()}
