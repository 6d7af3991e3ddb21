"""``AsyncClient``: the same calls for an event loop. Each is worked on in a thread of its own.

Its channel belongs to no event loop, so that a client may be made before there is one and used in several.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, Self, TypeVar

from cmvc.client.abilities import Capabilities, Health
from cmvc.client.blocking import ASKING_S, inspect_source
from cmvc.client.call import DECODE, ENCODE, Call, ProgressCallback, Receiver, Summary, Work
from cmvc.client.calls import Calls
from cmvc.client.destinations import Destination, name_of, open_destination
from cmvc.client.retry import DEFAULT_RETRY, Retry
from cmvc.client.sources import AsyncSource, Source, cut
from cmvc.client.totals import frames_of
from cmvc.client.types import check_call, check_destination, check_source, config_of
from cmvc.control import Control
from cmvc.options import Options
from cmvc.settings import decode_config
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.wire.bridge import ChunkSource
from cmvc.wire.security import ChannelSecurity

T = TypeVar("T")


class _Thread:
    """The thread of one call: there once it is first needed, gone once the call is done."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    async def run(self, function: Callable[[], T]) -> T:
        """Return what ``function`` returns, worked out there in a copy of this context."""
        self._executor = self._executor or ThreadPoolExecutor(1, thread_name_prefix="cmvc-call")
        return await asyncio.get_running_loop().run_in_executor(self._executor, copy_context().run, function)

    def end(self, last: Callable[[], None]) -> None:
        """Run ``last`` there and end it, where it runs at all; without waiting."""
        if self._executor and self._last is None:
            with suppress(RuntimeError):  # the interpreter ends, and with it the thread
                self._last = self._executor.submit(last)
            self._executor.shutdown(wait=False)

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self._last:
            await asyncio.wait([asyncio.wrap_future(self._last)])


class _Feeder:
    """Reads an async source in the loop that it belongs to, for whoever reads files in threads."""

    def __init__(self, source: AsyncIterable[bytes], work: Work) -> None:
        """Begin to read; in a running event loop."""
        self.file = ChunkSource(work.control)
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(_feed(source, self.file, work))

    def stop(self) -> None:
        """Read no further; from any thread."""
        with suppress(RuntimeError):  # the loop is closed, which has cancelled the task
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def stopped(self) -> None:
        """Wait until the source was left."""
        await asyncio.wait([self._task])


async def _feed(source: AsyncIterable[bytes], file: ChunkSource, work: Work) -> None:
    with work.callers(pass_on=False):
        parts = aiter(source)
        try:
            async for part in parts:
                for piece in cut(part):
                    await file.feed(piece)
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()
        file.finish()


class AsyncTransfer(Generic[Summary]):
    """Bytes as they arrive; an async iterator that is also a context manager. Leaving it early cancels the work."""

    def __init__(
        self, begin: Callable[[Any], Call], source: AsyncSource, work: Work, receiver: Receiver[Summary]
    ) -> None:
        """Plan ``work``; it begins with a source that threads can read, when the first bytes are asked for."""
        self._begin_with = begin
        self._source = source
        self._work = work
        self._receiver: Receiver[Summary] = receiver
        self._thread = _Thread()
        self._feeder: _Feeder | None = None
        self._call: Call | None = None
        self._left = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            while (message := await self._next()) is not None:
                if data := self._receiver.take(message):
                    return data
        except BaseException:
            self._leave()
            raise
        self._leave()
        self._receiver.finished(self._work)
        raise StopAsyncIteration

    async def _next(self) -> Any | None:
        if self._left:
            return None
        self._call = self._call or self._begin()
        return await self._thread.run(self._call.next)

    def _begin(self) -> Call:
        if not isinstance(self._source, AsyncIterable):
            return self._begin_with(self._source)
        self._feeder = _Feeder(self._source, self._work)
        return self._begin_with(self._feeder.file)

    def _leave(self) -> None:
        """Stop the work, if it is not done, without waiting for it to notice; from any thread."""
        self._left = True
        self._work.control.cancel()
        if self._feeder:
            self._feeder.stop()
        if self._call:
            self._thread.end(self._call.stop)

    def __del__(self) -> None:
        self._leave()  # a loop over the transfer was broken off

    @property
    def summary(self) -> Summary:
        """What came out; there once the last byte has been taken.

        Raises:
            CancelledError: the work was stopped before.
            ServerError: the last byte has not been taken, or the server did not send a summary.
        """
        return self._receiver.finished(self._work)

    def cancel(self) -> None:
        """Stop the work; whoever iterates is given a ``CancelledError``. May be called from any thread."""
        self._work.control.cancel()

    async def close(self) -> None:
        """Stop the work, if it is not done, and let go of everything."""
        self._leave()
        if self._feeder:
            await self._feeder.stopped()
        await self._thread.ended()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncClient:
    """Encodes, decodes and inspects under asyncio, in threads. As ``Client`` in all else."""

    def __init__(
        self,
        target: str | None = None,
        security: ChannelSecurity | None = None,
        encoder: Options | None = None,
        *,
        retry: Retry = DEFAULT_RETRY,
        wait_for_ready: bool = False,
    ) -> None:
        """Connect to ``HOST:PORT`` when first needed.

        Args:
            target: gateway, encoder or decoder; None works in threads of this process.
            security: TLS and token.
            encoder: options of the encoder, such as its models, where encoding is done in this process (see
                ``cmvc_encoder.options``). Of a server whoever runs it chooses them.
            retry: how often a call is made again that a busy or absent server did not take; ``NO_RETRY`` for never.
            wait_for_ready: wait for a server that is not there yet, until the call's deadline, instead of failing.

        Raises:
            InvalidSettingError: both a target and an encoder's options are given.
            OSError: a file of ``security`` cannot be read.
            TypeError: an argument is of another type.
        """
        self._calls = Calls(target, security, encoder, retry, wait_for_ready=wait_for_ready)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls in flight end with a ``CancelledError``, later ones with a ``ClosedError``."""
        self._calls.close()

    async def health(self, *, deadline_s: float | None = ASKING_S) -> Health:
        """Return whether work would be done now; see ``Client.health``."""
        return await asyncio.to_thread(self._calls.health, deadline_s)

    async def capabilities(self, *, deadline_s: float | None = ASKING_S) -> Capabilities:
        """Return what can be done; see ``Client.capabilities``."""
        return await asyncio.to_thread(self._calls.capabilities, deadline_s)

    def encode_stream(
        self,
        source: AsyncSource,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        token: str = "",
    ) -> AsyncTransfer[encoder_pb2.EncodeSummary]:
        """Encode a video; see ``Client.encode_stream``. The source may also be an async iterable."""
        check_call(source, progress, deadline_s, control, token)
        config = config_of(ENCODE, config)
        work = Work(control, deadline_s, token)
        return AsyncTransfer(partial(self._calls.begin, ENCODE, config, work), source, work, Receiver(progress))

    async def encode(
        self,
        source: AsyncSource,
        destination: Destination,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        overwrite: bool = True,
    ) -> encoder_pb2.EncodeSummary:
        """Encode a video into a file; see ``Client.encode``."""
        check_destination(destination)
        transfer = self.encode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return await _write(transfer, source, destination, overwrite=overwrite)

    def decode_stream(
        self,
        source: AsyncSource,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        token: str = "",
    ) -> AsyncTransfer[decoder_pb2.DecodeSummary]:
        """Decode a CMVC stream; see ``Client.decode_stream``. The source may also be an async iterable."""
        check_call(source, progress, deadline_s, control, token)
        config = config_of(DECODE, config)
        work = Work(control, deadline_s, token)
        receiver: Receiver[decoder_pb2.DecodeSummary] = Receiver(progress, partial(frames_of, source, config))
        return AsyncTransfer(partial(self._calls.begin, DECODE, config, work), source, work, receiver)

    async def decode(
        self,
        source: AsyncSource,
        destination: Destination,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        overwrite: bool = True,
    ) -> decoder_pb2.DecodeSummary:
        """Decode a CMVC stream into a file; see ``Client.decode``."""
        check_destination(destination)
        config = config or decode_config(name=name_of(destination))
        transfer = self.decode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return await _write(transfer, source, destination, overwrite=overwrite)

    async def inspect(self, source: Source) -> dict[str, Any]:
        """Return what is in a CMVC stream; see ``Client.inspect``."""
        check_source(source)
        work, thread = Work(None, None), _Thread()
        try:
            return await thread.run(lambda: inspect_source(source, work))
        finally:
            work.control.cancel()
            thread.end(work.done)


async def _write(
    transfer: AsyncTransfer[Summary], source: Any, destination: Destination, *, overwrite: bool
) -> Summary:
    async with transfer:
        with open_destination(destination, source, overwrite=overwrite) as file:
            async for data in transfer:
                file.write(data)
            return transfer.summary
