"""Who calls: refused without an accepted token, and told apart by what was verified, never by what is only said."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc

from cmvc.errors import UnauthenticatedError
from cmvc.server import telemetry
from cmvc.server.handlers import OURS, Handler, rebuilt
from cmvc.server.tokens import Tokens, name_of
from cmvc.wire.status import abort

_OPEN_METHODS = ("/grpc.health.v1.Health/",)  # probes carry no token
_LOG_SECONDS = 1.0  # between two lines on refusals; those between are in the metrics
_TENANT: ContextVar[str] = ContextVar("tenant", default="")
log = logging.getLogger(__name__)


def tenant() -> str:
    """Return a short name for whoever made the call that is being handled; "" where nothing tells callers apart.

    It is a hash of the token, where the server accepted one, else of the name in the client's certificate, where it
    verified one.
    """
    return _TENANT.get()


class CallerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # a plain class at run time
    """Refuses calls without an accepted bearer token, but for health checks, and notes whose the others are."""

    def __init__(self, tokens: Tokens | None) -> None:
        """Accept ``tokens``; None: everyone, told apart by certificates alone."""
        self._tokens = tokens
        self._logged = 0.0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Let the call through or answer it with UNAUTHENTICATED."""
        method = handler_call_details.method or ""
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(_OPEN_METHODS):
            return handler
        token = bearer_token(handler_call_details.invocation_metadata)
        if self._tokens and not self._tokens.accepts(token):
            return self._refusing(handler, method)
        name = name_of(token) if self._tokens else ""
        return _noting(handler, name) if method.startswith(OURS) else handler

    def _refusing(self, handler: Handler, method: str) -> Handler:
        error = UnauthenticatedError("this server wants a bearer token; give it with --token-file")

        async def refuse(_request: Any, context: Any) -> None:
            telemetry.REQUESTS.labels(method.rpartition("/")[2], error.code.name).inc()
            now = time.monotonic()
            if now - self._logged > _LOG_SECONDS:
                self._logged = now
                log.warning("%s of %s was refused: no accepted token", method, context.peer())
            await abort(context, error)

        if handler.request_streaming and not handler.response_streaming:
            return grpc.stream_unary_rpc_method_handler(refuse)
        return rebuilt(handler, refuse, None)


def _noting(handler: Handler, name: str) -> Handler:
    """Return the handler with ``tenant`` set for it: ``name``, else what the client's certificate says."""

    async def one(request: Any, context: Any) -> Any:
        _TENANT.set(name or _certified(context))
        return await (handler.unary_stream or handler.unary_unary)(request, context)

    async def many(requests: AsyncIterator[Any], context: Any) -> Any:
        _TENANT.set(name or _certified(context))
        return await handler.stream_stream(requests, context)

    return rebuilt(handler, many if handler.request_streaming else one, handler.request_deserializer)


def _certified(context: Any) -> str:
    """Return a short name for the certificate that the client showed and gRPC verified; "" for none."""
    identities = context.peer_identities() or ()
    return name_of("certificate " + b" ".join(identities).decode(errors="replace")) if identities else ""


def bearer_token(metadata: Any) -> str:
    """Return the bearer token in a call's metadata, "" for none."""
    for key, value in metadata or ():
        if key == "authorization" and isinstance(value, str) and value.startswith("Bearer "):
            return value.removeprefix("Bearer ")
    return ""
