"""Signs of life of a worker: its owner tells one that works from one that hangs.

A thread of the worker's own says every second that it is there. That thread cannot run where the process is stopped, or
where native code holds Python's lock; and it says nothing more once the work has made no step for too long, as in
native code that lets go of that lock and does not come back.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from cmvc.control import Control

BEAT_SECONDS = 1.0
STEP_SECONDS = 1800.0  # of one step, a single coding of a window at most; ten times what the slowest of them takes
SILENT_SECONDS = 60.0  # after which a worker is taken to hang
STARTING_SECONDS = 300.0  # likewise before its first word: the first of all loads libraries


class Steps(Control):
    """Ends nothing, since whoever ordered the work kills its process; knows when the last step was."""

    def __init__(self) -> None:
        """Begin with a step."""
        super().__init__()
        self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the last step."""
        return time.monotonic() - self._last

    def check(self) -> None:
        """Take note of a step."""
        self._last = time.monotonic()


def keep_saying(say: Callable[[], None], steps: Steps) -> None:
    """Call ``say`` every ``BEAT_SECONDS``, until no step was made for ``STEP_SECONDS`` or nobody listens."""
    with suppress(OSError):
        while steps.seconds < STEP_SECONDS:
            say()
            time.sleep(BEAT_SECONDS)
