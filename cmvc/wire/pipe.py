"""Bytes from one thread to another, bounded."""

import io
import threading
from collections import deque

from cmvc.control import Control

PIPE_BYTES = 4 << 20  # held for a reader that is slower than its writer
_POLL_SECONDS = 0.1  # how soon a waiting reader or writer notices a deadline


class Pipe(io.RawIOBase):
    """A file that one thread fills and another reads.

    ``read`` gives what there is, up to the size asked for, and waits only when there is nothing.
    """

    def __init__(self, control: Control, max_bytes: int = PIPE_BYTES) -> None:
        """Make an empty pipe; ``control`` ends the waiting of its reader."""
        self._control = control
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._parts: deque[memoryview] = deque()
        self._held = 0
        self._ended = False
        self._error: BaseException | None = None
        self._unwanted = False

    def put(self, data: bytes) -> bool:
        """Hand over ``data``, waiting for room first; return whether anybody reads on."""
        with self._changed:
            while self._held >= self._max_bytes and not self._unwanted:
                self._changed.wait()
            self._add(data)
            return not self._unwanted

    def finish(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes; the reader is given ``error``, if any, after the bytes before it."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that nobody reads any more; ``put`` returns at once from now on."""
        with self._changed:
            self._unwanted = self._ended = True
            self._parts.clear()
            self._held = 0
            self._made_room()
            self._changed.notify_all()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none at the end.

        Raises:
            CancelledError, DeadlineError: the work is to stop.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        with self._changed:
            while not self._parts and not self._ended:
                self._changed.wait(_POLL_SECONDS)
                self._control.check()
            return self._take(size)

    def peek(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes of all that is there, and let them be read again; wait only for the first.

        Raises:
            CancelledError, DeadlineError: see ``read``.
        """
        data = self.read(size)
        with self._changed:
            while self._parts and len(data) < size:  # however small the pieces in which it came
                data += self._take(size - len(data))
            if data and not self._unwanted:
                self._parts.appendleft(memoryview(data))
                self._held += len(data)
        return data

    def _add(self, data: bytes) -> None:
        if data and not self._unwanted:
            self._parts.append(memoryview(data))
            self._held += len(data)
            self._changed.notify_all()

    def _take(self, size: int) -> bytes:
        if not self._parts:
            if self._error:
                raise self._error
            return b""
        head = self._parts[0]
        if len(head) <= size:
            self._parts.popleft()
        else:
            self._parts[0] = head[size:]
            head = head[:size]
        self._held -= len(head)
        if self._held < self._max_bytes // 2:
            self._made_room()
        return bytes(head)

    def _made_room(self) -> None:
        """Wake whoever waits to put more in; called with the lock held."""
        self._changed.notify_all()
