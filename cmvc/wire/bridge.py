"""Between the event loop and the threads in which pipelines run: bytes one way, results the other, both bounded."""

import asyncio
import io
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from contextvars import copy_context
from typing import TypeVar

from cmvc.control import Control

T = TypeVar("T")
SOURCE_BYTES = 4 << 20  # held for a pipeline that is slower than its client
RESULTS_AHEAD = 4  # messages held for a client that is slower than its pipeline
_POLL_SECONDS = 0.1  # how soon a waiting reader notices a deadline


class ChunkSource(io.RawIOBase):
    """A file whose bytes the event loop feeds and a pipeline's thread reads.

    ``read`` gives what there is, up to the size asked for, and waits only when there is nothing.
    """

    def __init__(self, control: Control, max_bytes: int = SOURCE_BYTES) -> None:
        """Make an empty source that belongs to the running event loop."""
        self._control = control
        self._max_bytes = max_bytes
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._changed = threading.Condition()
        self._parts: deque[memoryview] = deque()
        self._held = 0
        self._ended = False
        self._error: BaseException | None = None
        self._unwanted = False

    async def feed(self, data: bytes) -> None:
        """Hand over ``data``; return once there is room for more."""
        with self._changed:
            if self._unwanted or not data:
                return
            self._parts.append(memoryview(data))
            self._held += len(data)
            self._changed.notify()
            if self._held >= self._max_bytes:
                self._room.clear()
        await self._room.wait()

    def finish(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes; the reader is given ``error``, if any, after the bytes before it."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def abandon(self) -> None:
        """Say that nobody reads any more; ``feed`` returns at once from now on."""
        with self._changed:
            self._unwanted = self._ended = True
            self._parts.clear()
            self._room.set()
            self._changed.notify()

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
        if not self._room.is_set() and self._held < self._max_bytes // 2:  # the loop is woken only where it waits
            self._loop.call_soon_threadsafe(self._room.set)
        return bytes(head)


async def in_thread(
    items: Iterator[T], executor: Executor, control: Control, results_ahead: int = RESULTS_AHEAD
) -> AsyncGenerator[T]:
    """Yield ``items``, worked out in a thread of ``executor``, at most ``results_ahead`` of them ahead.

    When the consumer stops early, ``control`` is cancelled and this waits for the thread to have noticed.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[T | None] = asyncio.Queue()
    room = threading.Semaphore(results_ahead)
    stopped = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                room.acquire()
                if stopped.is_set():
                    return
                loop.call_soon_threadsafe(ready.put_nowait, item)
        finally:
            close = getattr(items, "close", None)
            if close:
                close()

    # In a copy of this context, so that traces and logs know what the work belongs to.
    work = loop.run_in_executor(executor, copy_context().run, produce)

    def end(work: asyncio.Future[None]) -> None:
        if not work.cancelled():
            work.exception()  # is raised below or of no interest any more; asking says so to asyncio
        ready.put_nowait(None)

    work.add_done_callback(end)  # runs after every put above
    try:
        while (item := await ready.get()) is not None:
            room.release()
            yield item
        await work
    finally:
        stopped.set()
        room.release()
        if not work.done():
            control.cancel()
            await asyncio.wait([work])
