"""Messages that cannot be parsed: their call ends with a status and a reason of ours, not with gRPC's UNKNOWN."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError

from cmvc.errors import InvalidMessageError
from cmvc.server.handlers import Handler, Interceptor, rebuilt

_UNPARSED = object()  # stands for a message that is none; what a parser raises gRPC keeps to itself


class ParsingInterceptor(Interceptor):
    """Hands requests on once they are parsed, and refuses what is no message."""

    def around(self, handler: Handler) -> Handler:
        """Return the handler with a check of its requests."""

        def parse(data: bytes) -> Any:
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                return _UNPARSED

        async def checked(requests: AsyncIterator[Any], context: Any) -> Any:
            return await handler.stream_stream(_parsed(requests), context)

        return rebuilt(handler, checked, parse)


async def _parsed(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if request is _UNPARSED:
            raise _error()
        yield request


def _error() -> InvalidMessageError:
    return InvalidMessageError("a message of the call cannot be parsed; see the .proto files, and what stands between")
