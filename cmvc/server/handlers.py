"""What stands around the handlers of CMVC's own methods."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from cmvc.errors import CmvcError, InvalidMessageError
from cmvc.wire.status import abort

Handler = Any  # grpc.RpcMethodHandler, whose stubs and source disagree on its parameters
OURS = "/cmvc."  # how the methods of CMVC start


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # a plain class at run time
    """Puts something around each of CMVC's methods; health and reflection stay as they are."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler with it around."""
        handler = await continuation(handler_call_details)
        ours = (handler_call_details.method or "").startswith(OURS)
        return self.around(streaming(handler)) if ours and handler is not None else handler

    def around(self, handler: Handler) -> Handler:
        """Return what stands in for ``handler``, which reads its requests itself (see ``streaming``)."""
        raise NotImplementedError


class WrappedContext:
    """A call's context in which a subclass replaces something; the rest is the call's own."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def streaming(handler: Handler) -> Handler:
    """Return ``handler`` as one that reads its requests itself.

    gRPC reads the one request of other methods whole before it asks anybody. On the wire there is no difference.
    """
    if handler.stream_stream:
        return handler

    async def behaviour(requests: AsyncIterator[Any], context: Any) -> None:
        try:
            request = await anext(requests, None)
            if request is None:
                raise InvalidMessageError("the call ended without a request; send one")
        except CmvcError as error:
            await abort(context, error)
        answer = await (handler.unary_stream or handler.unary_unary)(request, context)
        if answer is not None:
            await context.write(answer)

    return rebuilt(handler, behaviour, handler.request_deserializer)


def rebuilt(handler: Handler, behaviour: Any, parse: Any) -> Handler:
    """Return a handler with the same responses, another behaviour and another parser of requests."""
    return grpc.stream_stream_rpc_method_handler(behaviour, parse, handler.response_serializer)
