"""Runs a pipeline for a call: bytes in, messages out, in a thread of a bounded pool."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

from cmvc.control import Control
from cmvc.errors import CmvcError, InvalidMessageError
from cmvc.server import telemetry
from cmvc.server.slots import Slots
from cmvc.server.tenant import tenant
from cmvc.wire import tracing
from cmvc.wire.bridge import ChunkSource, call_in_thread, in_thread
from cmvc.wire.transfer import checked

T = TypeVar("T")
BEAT_SECONDS = 1.0  # between two signs of life of work that waits


async def read_config(requests: AsyncIterator[Any]) -> Any:
    """Return the config that a call starts with.

    Raises:
        InvalidMessageError: the first message is something else.
    """
    async for request in requests:
        if request.WhichOneof("message") == "config":
            return request.config
        break
    raise InvalidMessageError(
        "the first message of the call has to be the config; send it before any chunk", field="config"
    )


async def begun(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Return the messages after the config once there is one, or never will be: no work before that."""
    first = await anext(requests, None)

    async def further() -> AsyncIterator[Any]:
        if first is not None:
            yield first
            async for request in requests:
                yield request

    return further()


async def feed(requests: AsyncIterator[Any], source: ChunkSource) -> None:
    """Hand the chunks of a call to ``source`` until the client half-closes; damage reaches the reader as an error."""
    try:
        async for request in requests:
            if request.WhichOneof("message") != "chunk":
                raise InvalidMessageError("only chunks may follow the config; begin another call", field="chunk")
            await source.feed(checked(request.chunk))
    except CmvcError as error:
        source.finish(error)
    else:
        source.finish()


class Worker:
    """A bounded pool of threads with admission in front of it."""

    def __init__(self, name: str, running: int, waiting: int) -> None:
        """Make a pool of ``running`` threads; ``waiting`` callers more may stand in line."""
        self._name = name
        self._slots = Slots(running, waiting)
        self._executor = ThreadPoolExecutor(running, thread_name_prefix=f"cmvc-{name}")

    async def prepare(self, work: Callable[[], None]) -> None:
        """Do ``work``, which takes long, in a thread, before any other; see ``call_in_thread``."""
        await call_in_thread(work, self._executor)

    async def run(
        self,
        start: Callable[[], Iterator[T]],
        control: Control,
        *,
        beat: T | None = None,
        mode: str = "none",
        profile: str = "",
    ) -> AsyncGenerator[T]:
        """Yield what ``start()`` yields, worked out in a thread.

        Args:
            start: begins the work.
            control: stops it, in the line as well.
            beat: yielded every ``BEAT_SECONDS`` of standing in line, so that waiting is not taken for a hang; None:
                nothing is.
            mode: of the work, where it has only one, for the metrics.
            profile: likewise.

        Raises:
            OverloadedError: too many callers wait already.
            CancelledError, DeadlineError: the work is to stop before it has begun.
        """
        arrived = time.monotonic()
        async with self._slots.line(tenant()) as turn:
            while not await turn.come(BEAT_SECONDS):
                control.check()
                if beat is not None:
                    yield beat
            waited = time.monotonic() - arrived
            telemetry.SEGMENT_SECONDS.labels("queue", mode, profile).observe(waited)
            tracing.ended("queue", waited)
            telemetry.INFLIGHT_SEGMENTS.labels(self._name).inc()
            try:
                async with aclosing(in_thread(start(), self._executor, control)) as results:
                    async for result in results:
                        yield result
            finally:
                telemetry.INFLIGHT_SEGMENTS.labels(self._name).dec()

    async def transfer(
        self,
        requests: AsyncIterator[Any],
        control: Control,
        start: Callable[[ChunkSource], Iterator[T]],
        *,
        beat: T | None = None,
    ) -> AsyncGenerator[T]:
        """Yield what ``start(source)`` yields while the call's chunks flow into ``source``; ``beat`` as in ``run``."""
        source = ChunkSource(control)
        feeding = asyncio.create_task(feed(requests, source))
        try:
            async with aclosing(self.run(lambda: start(source), control, beat=beat)) as results:
                async for result in results:
                    yield result
        finally:
            source.abandon()
            feeding.cancel()
            await asyncio.wait([feeding])

    def close(self) -> None:
        """End the threads once they are idle."""
        self._executor.shutdown(wait=False, cancel_futures=True)
