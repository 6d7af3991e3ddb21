"""Health checks and reflection: strangers may call them, and silence in one keeps nobody out."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from cmvc.errors import IdleError
from cmvc.server.handlers import OURS, Handler, rebuilt, streaming
from cmvc.wire.status import abort

READ_SECONDS = 5.0  # in which a request comes; a probe sends it along with its call
MOST_UNREAD = 32  # calls at once whose request is waited for


class ProbeInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # a plain class at run time
    """Ends those of these calls that send nothing: after a while, and sooner where others come.

    Refusing the others would let whoever is silent keep a probe out. So one more than there may be ends another: of
    the address that has most of them the one that has waited longest.
    """

    def __init__(self, seconds: float = READ_SECONDS, most: int = MOST_UNREAD) -> None:
        """Wait so long for a request, and for so many at once."""
        self._seconds = seconds
        self._most = most
        self._waiting: list[tuple[str, asyncio.Timeout]] = []  # by address, in the order of arrival

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler, CMVC's as it is, another as one whose requests have to come."""
        handler = await continuation(handler_call_details)
        if handler is None or (handler_call_details.method or "").startswith(OURS):
            return handler
        if handler.stream_stream:
            return rebuilt(handler, self._conversing(handler), handler.request_deserializer)
        return rebuilt(handler, self._answering(streaming(handler)), handler.request_deserializer)

    def _answering(self, handler: Handler) -> Any:
        async def behaviour(requests: AsyncIterator[Any], context: Any) -> None:
            await handler.stream_stream(self._read(requests, context), context)

        return behaviour

    def _conversing(self, handler: Handler) -> Any:
        """Return the same for reflection, whose handler yields its answers."""

        async def behaviour(requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any]:
            async for answer in handler.stream_stream(self._read(requests, context), context):
                yield answer

        return behaviour

    async def _read(self, requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any]:
        end, address = object(), context.peer().rpartition(":")[0]  # without the port
        while True:
            try:
                async with asyncio.timeout(self._seconds) as patience:
                    with self._waits(address, patience):
                        request: Any = await anext(requests, end)
            except TimeoutError:
                await abort(context, IdleError("no request came; send it along with the call"))
            if request is end:
                return
            yield request

    @contextmanager
    def _waits(self, address: str, patience: asyncio.Timeout) -> Iterator[None]:
        if len(self._waiting) >= self._most:
            self._end_one()
        mine = (address, patience)
        self._waiting.append(mine)
        try:
            yield
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)

    def _end_one(self) -> None:
        ((greedy, _),) = Counter(address for address, _ in self._waiting).most_common(1)
        longest = next(each for each in self._waiting if each[0] == greedy)
        self._waiting.remove(longest)
        longest[1].reschedule(asyncio.get_running_loop().time())
