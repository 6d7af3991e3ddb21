"""Between the event loop and the threads in which pipelines run: bytes one way, results the other, both bounded."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, TypeVar

from cmvc.control import Control
from cmvc.wire.pipe import PIPE_BYTES, Pipe

T = TypeVar("T")
RESULTS_AHEAD = 4  # messages held for a client that is slower than its pipeline
_overdue: dict["asyncio.Future[Any]", float] = {}  # work whose consumer has stopped, and since when


def overdue_s() -> float:
    """Return for how many seconds the oldest work of this process has gone on that nobody waits for; 0 for none."""
    return max((time.monotonic() - since for since in _overdue.values()), default=0.0)


class ChunkSource(Pipe):
    """A pipe that the event loop feeds and a pipeline's thread reads."""

    def __init__(self, control: Control, max_bytes: int = PIPE_BYTES) -> None:
        """Make an empty source that belongs to the running event loop."""
        super().__init__(control, max_bytes)
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()

    async def feed(self, data: bytes) -> None:
        """Hand over ``data``; return once there is room for more, or nobody reads any more."""
        with self._changed:
            self._add(data)
            if self._held >= self._max_bytes:
                self._room.clear()
        await self._room.wait()

    def _made_room(self) -> None:
        if not self._room.is_set():  # the loop is woken only where it waits
            self._loop.call_soon_threadsafe(self._room.set)


async def call_in_thread(work: Callable[[], T], executor: Executor) -> T:
    """Return ``work()``, done in a thread of ``executor``; cancelled, this returns at once, and the work is overdue."""
    done = asyncio.get_running_loop().run_in_executor(executor, copy_context().run, work)
    try:
        return await asyncio.shield(done)
    finally:
        if not done.done():
            _overdue[done] = time.monotonic()
            done.add_done_callback(_overdue.pop)


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
            _overdue[work] = time.monotonic()
            work.add_done_callback(_overdue.pop)
            await asyncio.wait([work])
