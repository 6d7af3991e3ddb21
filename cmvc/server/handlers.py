"""What stands around the handlers of CMVC's own methods."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

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
        return self.around(handler) if ours and handler is not None else handler

    def around(self, handler: Handler) -> Handler:
        """Return what stands in for ``handler``."""
        raise NotImplementedError


def rebuilt(handler: Handler, behaviour: Any, parse: Any) -> Handler:
    """Return a handler of the same kind with another behaviour and parser; no method of CMVC streams requests alone."""
    if handler.request_streaming:
        return grpc.stream_stream_rpc_method_handler(behaviour, parse, handler.response_serializer)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(behaviour, parse, handler.response_serializer)
    return grpc.unary_unary_rpc_method_handler(behaviour, parse, handler.response_serializer)
