"""Calls whose client sends nothing, or reads nothing: they lose their place."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cmvc.errors import IdleError
from cmvc.server.handlers import Handler, Interceptor, WrappedContext, rebuilt
from cmvc.v1.encoder_pb2 import EncodeRequest

VIDEO_PACE = 1000  # bytes a second, below which a video drips in; nobody sends one so slowly
STREAM_PACE = 10  # likewise for a stream: the lowest rate to ask an encoder for is 100 bit/s
_ENVELOPE_BYTES = 9  # of a message with a chunk in it, which nobody gains anything by


class IdleInterceptor(Interceptor):
    """Bounds how long a call waits for its client."""

    def __init__(self, seconds: float) -> None:
        """Allow so many seconds without a message while one is waited for, and for one to be taken.

        As many seconds of waiting for it have to bring ``VIDEO_PACE`` each, or ``STREAM_PACE`` where no video is sent,
        or messages drip in. While nothing more is read of a call it is not waited for.
        """
        self._seconds = seconds

    def around(self, handler: Handler) -> Handler:
        """Return the handler with reads and writes that end."""

        async def bounded(requests: AsyncIterator[Any], context: Any) -> Any:
            return await handler.stream_stream(self._read(requests), _Context(context, self._seconds))

        return rebuilt(handler, bounded, handler.request_deserializer)

    async def _read(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        end, waited, size = object(), 0.0, 0
        while True:
            began = time.monotonic()
            async with _within(self._seconds, "sent"):
                request: Any = await anext(requests, end)
            if request is end:
                return
            waited, size = waited + time.monotonic() - began, size + max(request.ByteSize() - _ENVELOPE_BYTES, 0)
            if waited >= self._seconds:
                _check_pace(size, waited, VIDEO_PACE if isinstance(request, EncodeRequest) else STREAM_PACE)
                waited, size = 0.0, 0
            yield request


def _check_pace(size: int, seconds: float, least: int) -> None:
    if size < least * seconds:
        raise IdleError(f"{size} bytes were sent in {seconds:.0f} s, less than {least} a second; send them faster")


class _Context(WrappedContext):
    """A call's context whose ``write`` ends."""

    def __init__(self, context: Any, seconds: float) -> None:
        super().__init__(context)
        self._seconds = seconds

    async def write(self, message: Any) -> None:
        async with _within(self._seconds, "read"):
            await self._context.write(message)


@asynccontextmanager
async def _within(seconds: float, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise IdleError(f"nothing was {what} for {seconds:g} s; the call lost its place, make it anew") from None
