"""Calls of encoders, made by a thread over a blocking channel, and how long these may say nothing.

An encoder may answer while its client still sends: a setting is wrong, the file is no video. ``grpc.aio`` then finds
that it cannot write any more, ends the call with a status of its own, and the encoder's is lost. A blocking channel
keeps it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import aclosing
from typing import Any

import grpc

from cmvc.control import Control
from cmvc.errors import CmvcError
from cmvc.v1 import encoder_pb2
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire.bridge import in_thread
from cmvc_gateway.attempts import StalledError

LOOK_SECONDS = 1.0  # between two looks at whether an encoder waits for its caller
Request = encoder_pb2.EncodeRequest
Response = encoder_pb2.EncodeResponse


class _Forwarded:
    """The requests of a call in this event loop, for a thread to send on."""

    def __init__(self, first: Request, requests: AsyncIterator[Request], control: Control) -> None:
        self._first = first
        self._requests = requests
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._pending: Future[Request | None] | None = None
        self._stopped = False
        self._came = self._loop.time()
        self.error: CmvcError | None = None  # why no more requests come, where that is the caller's doing

    def __iter__(self) -> Iterator[Request]:
        yield self._first
        while not self._stopped:
            self._pending = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            try:
                request = self._pending.result()
            except CancelledError:  # the caller has gone, or the answer is there
                self._control.cancel()
                return
            except CmvcError as error:
                self.error = error
                self._control.cancel()
                return
            if request is None:
                return
            yield request

    @property
    def last_awaited(self) -> float:
        """When the encoder had last been sent all that there is, its caller being to send more; in the loop's time."""
        return self._came if self._pending is None or self._pending.done() else self._loop.time()

    async def _next(self) -> Request | None:
        try:
            return await anext(self._requests, None)
        finally:
            self._came = self._loop.time()

    def stop(self) -> None:
        self._stopped = True
        if self._pending:
            self._pending.cancel()


async def encode(
    channel: grpc.Channel,
    config: encoder_pb2.EncodeConfig,
    requests: AsyncIterator[Request],
    control: Control,
    *,
    executor: Executor,
    metadata: Any,
    calls: set[Any],
    stall_s: float,
) -> AsyncGenerator[Response]:
    """Yield what the encoder behind ``channel`` answers to a config and the requests after it.

    The call is in ``calls`` meanwhile, for whoever finds the encoder dead.

    Raises:
        grpc.RpcError: as the encoder ended the call.
        StalledError: it said nothing for ``stall_s`` seconds, in which it had to wait for nobody.
        CmvcError: the caller's requests could not be read.
    """
    forwarded = _Forwarded(Request(config=config), requests, control)
    call: Any = VideoEncoderStub(channel).Encode(iter(forwarded), timeout=control.remaining(), metadata=metadata)
    forget = control.on_cancel(call.cancel)
    calls.add(call)
    try:
        async with aclosing(in_thread(iter(call), executor, control)) as responses:
            while response := await _next(responses, forwarded, stall_s):
                yield response
    except grpc.RpcError:
        if forwarded.error:
            raise forwarded.error from None
        raise
    finally:
        calls.discard(call)
        forget()
        call.cancel()
        forwarded.stop()


async def _next(responses: AsyncGenerator[Response], forwarded: _Forwarded, stall_s: float) -> Response | None:
    """Return what the encoder says next; None at the end.

    Raises:
        StalledError: see ``encode``.
    """
    clock = asyncio.get_running_loop().time
    heard, coming = clock(), asyncio.ensure_future(anext(responses, None))
    try:
        while not coming.done():
            await asyncio.wait([coming], timeout=min(LOOK_SECONDS, stall_s))
            if clock() - max(heard, forwarded.last_awaited) >= stall_s and not coming.done():
                raise StalledError("the encoder fell silent; see whether it hangs")
        return coming.result()
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait([coming])
