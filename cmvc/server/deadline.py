"""How long calls may take, whatever their clients allow."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from cmvc.errors import DeadlineError
from cmvc.server.handlers import Handler, Interceptor, WrappedContext, rebuilt
from cmvc.wire.status import abort


class DeadlineInterceptor(Interceptor):
    """Gives calls without a deadline one, and those with a later one an earlier one."""

    def __init__(self, seconds: float) -> None:
        """Allow so many seconds."""
        self._seconds = seconds

    def around(self, handler: Handler) -> Handler:
        """Return the handler with an end."""

        async def bounded(requests: AsyncIterator[Any], context: Any) -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    await handler.stream_stream(requests, _Context(context, time.monotonic() + self._seconds))
            except TimeoutError:
                await abort(context, DeadlineError(f"calls end here after {self._seconds:g} s; send less (--deadline)"))

        return rebuilt(handler, bounded, handler.request_deserializer)


class _Context(WrappedContext):
    """A call's context with the earlier of two deadlines."""

    def __init__(self, context: Any, end: float) -> None:
        super().__init__(context)
        self._end = end

    def time_remaining(self) -> float:
        """Return the seconds left, not below 0."""
        left = max(0.0, self._end - time.monotonic())
        own = self._context.time_remaining()
        return left if own is None else min(left, own)
