"""When a call that failed is made again: only where that can do no harm, and not beyond its deadline."""

import os
import random
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmvc.control import Control
from cmvc.errors import CmvcError, InvalidSettingError, OverloadedError

_MORE = 0.25  # of what a server asks for, that is waited on top at most, so that those sent away do not come as one


@dataclass(frozen=True)
class Retry:
    """How often a call is made again that failed for a passing reason: a server that is busy or not there.

    A call is made again only if nothing of its answer has been taken and its source can be read once more from where it
    began: a path of a file, bytes, a list of them. What a server asks for (``RetryInfo``) is waited at least; where it
    says nothing, a random time up to a bound that doubles. What would end after the deadline is not waited for.

    Attributes:
        tries: in all, 1 or more; 1 makes no call again.
        first_s: bound of the first wait in seconds.
        most_s: bound of any.
    """

    tries: int = 4
    first_s: float = 0.2
    most_s: float = 5.0

    def __post_init__(self) -> None:
        if self.tries < 1 or not 0 <= self.first_s <= self.most_s:
            raise InvalidSettingError(f"{self} is no way to try again; give 1 try or more, and 0 <= first_s <= most_s")

    def pause(self, error: CmvcError, tried: int) -> float:
        """Return how long to wait after ``error`` ended the try number ``tried``, in seconds."""
        if isinstance(error, OverloadedError):
            return error.retry_after_s * (1 + _MORE * random.random())
        return random.uniform(0, min(self.first_s * 2 ** (tried - 1), self.most_s))


DEFAULT_RETRY = Retry()
NO_RETRY = Retry(tries=1)


class Tries:
    """The tries of one call."""

    def __init__(self, retry: Retry, control: Control) -> None:
        """Begin the first."""
        self._retry = retry
        self._control = control
        self._tried = 1

    def again(self, error: CmvcError) -> None:
        """Return once it is time for the next try.

        Raises:
            CmvcError: ``error``, where there is none, or the deadline would pass before it.
            CancelledError: the call was stopped meanwhile.
        """
        left, pause = self._control.remaining(), self._retry.pause(error, self._tried)
        if not error.transient or self._tried >= self._retry.tries or (left is not None and pause >= left):
            raise error
        self._tried += 1
        stopped = threading.Event()
        forget = self._control.on_cancel(stopped.set)
        stopped.wait(pause)
        forget()
        self._control.check()


def is_repeatable(source: Any) -> bool:
    """Return whether ``source`` gives the same bytes when it is read once more.

    A path is opened anew; of a pipe, a device, an iterator or a file object that others hold, what was read is gone.
    """
    if isinstance(source, str | os.PathLike):
        return Path(source).is_file()
    return isinstance(source, bytes | bytearray | memoryview | list | tuple)
