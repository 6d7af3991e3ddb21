"""Messages that cannot be parsed: their call ends with a status and a reason of ours, not with gRPC's UNKNOWN."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from cmvc.errors import InvalidMessageError
from cmvc.wire.status import abort

Handler = Any  # grpc.RpcMethodHandler, whose stubs and source disagree on its parameters
_OURS = "/cmvc."
_UNPARSED = object()  # stands for a message that is none; gRPC lets a parser raise nothing


class ParsingInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # a plain class at run time
    """Hands requests of CMVC's methods on once they are parsed, and refuses what is no message."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler with what is above around it."""
        handler = await continuation(handler_call_details)
        ours = (handler_call_details.method or "").startswith(_OURS)
        return _checked(handler) if ours and handler is not None and handler.request_deserializer else handler


def _checked(handler: Handler) -> Handler:
    def parse(data: bytes) -> Any:
        try:
            return handler.request_deserializer(data)
        except DecodeError:
            return _UNPARSED

    async def one(request: Any, context: Any) -> Any:
        if request is _UNPARSED:
            await abort(context, _error())
        return await (handler.unary_stream or handler.unary_unary)(request, context)

    async def many(requests: AsyncIterator[Any], context: Any) -> Any:
        return await handler.stream_stream(_parsed(requests), context)

    if handler.request_streaming:
        return grpc.stream_stream_rpc_method_handler(many, parse, handler.response_serializer)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(one, parse, handler.response_serializer)
    return grpc.unary_unary_rpc_method_handler(one, parse, handler.response_serializer)


async def _parsed(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if request is _UNPARSED:
            raise _error()
        yield request


def _error() -> InvalidMessageError:
    return InvalidMessageError("a message of the call cannot be parsed; see the .proto files, and what stands between")
