"""Cancellation and deadlines, handed down to the innermost loop of whatever takes long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    _callbacks: list[Callable[[], object]] = field(default_factory=list)

    @contextmanager
    def part(self) -> Iterator["Control"]:
        """Give a control for a part of the work, which stops with the whole and when the block ends."""
        part = Control(self.deadline)
        forget = self.on_cancel(part.cancel)
        try:
            yield part
        finally:
            forget()
            part.cancel()

    def cancel(self) -> None:
        """Make every later ``check`` raise, and run what ``on_cancel`` was given."""
        self._cancelled.set()
        for callback in tuple(self._callbacks):
            callback()

    @property
    def cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._cancelled.is_set()

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have ``cancel`` run ``callback`` in the cancelling thread; at once where it was called already.

        Returns:
            What makes it forget the callback, for one that outlives whatever the callback stops.
        """
        self._callbacks.append(callback)
        if self.cancelled:
            callback()

        def forget() -> None:
            with suppress(ValueError):  # forgotten already
                self._callbacks.remove(callback)

        return forget

    def remaining(self) -> float | None:
        """Return the seconds left until the deadline, not below 0; None for no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

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
