"""Cancellation and deadlines, handed down to the innermost loop of whatever takes long."""

import threading
import time
from dataclasses import dataclass, field

from cmvc.errors import CancelledError, DeadlineError


@dataclass
class Control:
    """Says whether to go on. Long work calls ``check`` at every step.

    Attributes:
        deadline: on the clock of ``time.monotonic``, in seconds; None for none.
    """

    deadline: float | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Make every later ``check`` raise."""
        self._cancelled.set()

    def check(self) -> None:
        """Return if the work should go on.

        Raises:
            CancelledError: ``cancel`` was called.
            DeadlineError: the deadline has passed.
        """
        if self._cancelled.is_set():
            raise CancelledError("cancelled by the caller")
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise DeadlineError("the deadline passed; allow more time or send less video")
