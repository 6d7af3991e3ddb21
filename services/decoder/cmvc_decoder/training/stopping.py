"""Ctrl-C and SIGTERM end a run at its next safe place."""

import signal
from types import FrameType, TracebackType
from typing import Self

from cmvc.errors import CancelledError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Notes the first signal while its block runs; a second one acts as it would have otherwise.

    Attributes:
        number: of the signal that came; 0 for none.
    """

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> Self:
        """Listen for signals; in the main thread only, as Python has it."""
        self._before = {each: signal.signal(each, self._note) for each in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._restore()

    def check(self) -> None:
        """Raise if a signal came.

        Raises:
            CancelledError: it did.
        """
        if self.number:
            raise CancelledError("stopped; go on with --resume")

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
