"""Calls whose client sends nothing, or reads nothing: they lose their place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cmvc.errors import IdleError
from cmvc.server.handlers import Handler, Interceptor, WrappedContext, rebuilt


class IdleInterceptor(Interceptor):
    """Bounds how long a call waits for its client."""

    def __init__(self, seconds: float) -> None:
        """Allow so many seconds without a message while one is waited for, and for one to be taken."""
        self._seconds = seconds

    def around(self, handler: Handler) -> Handler:
        """Return the handler with reads and writes that end."""

        async def bounded(requests: AsyncIterator[Any], context: Any) -> Any:
            return await handler.stream_stream(self._read(requests), _Context(context, self._seconds))

        return rebuilt(handler, bounded, handler.request_deserializer)

    async def _read(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        end = object()
        while True:
            async with _within(self._seconds, "sent"):
                request = await anext(requests, end)
            if request is end:
                return
            yield request


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
