"""Who calls: refused unless proved and allowed, and told apart by what was verified, never by what is only said."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc

from cmvc.errors import CmvcError, ScopeError, UnauthenticatedError
from cmvc.server import telemetry
from cmvc.server.calls import answered
from cmvc.server.handlers import OURS, Handler, rebuilt, streaming
from cmvc.server.scopes import scope_of
from cmvc.server.tenant import note_tenant
from cmvc.server.tokens import Tokens, name_of
from cmvc.wire.status import abort

_OPEN_METHODS = ("/grpc.health.v1.Health/",)  # probes carry no token
_LOG_SECONDS = 1.0  # between two lines on refusals; those between are in the metrics
log = logging.getLogger(__name__)


class CallerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # a plain class at run time
    """Refuses callers before anything of their requests is read, and notes whose the other calls are.

    These end with a status and a reason, whatever comes out of their handlers. Health checks are open to everyone.
    """

    def __init__(self, tokens: Tokens | None, names: Mapping[str, frozenset[str]]) -> None:
        """Say who may do what.

        Args:
            tokens: that are accepted; None: none is asked for.
            names: in clients' certificates that are let in, and their scopes; none: every one that was verified.
        """
        self._tokens = tokens
        self._names = names
        self._logged = 0.0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Let the call through, or answer it with UNAUTHENTICATED or PERMISSION_DENIED."""
        method = handler_call_details.method or ""
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(_OPEN_METHODS):
            return handler
        try:
            name = self._by_token(bearer_token(handler_call_details.invocation_metadata), scope_of(method))
        except CmvcError as error:
            return self._refusing(handler, method, error)
        return self._asking(streaming(handler), method, name) if method.startswith(OURS) else handler

    def _by_token(self, token: str, scope: str) -> str:
        """Return a short name for whoever shows ``token``; "" where none is asked for."""
        if not self._tokens:
            return ""
        scopes = self._tokens.scopes(token)
        if scopes is None:
            raise UnauthenticatedError("this server wants a bearer token; give it with --token-file")
        _check_scope(scope, scopes, "the token")
        return name_of(token)

    def _by_certificate(self, context: Any, scope: str) -> str:
        """Return a short name for whoever showed a certificate that gRPC verified; "" for nobody."""
        shown = [each.decode(errors="replace") for each in context.peer_identities() or ()]
        if self._names:
            known = [self._names[each] for each in shown if each in self._names]
            if not known:
                raise ScopeError("the certificate has no name that may call this server (--tls-client-name)")
            _check_scope(scope, frozenset().union(*known), "the certificate")
        return name_of("certificate " + " ".join(shown)) if shown else ""

    def _asking(self, handler: Handler, method: str, name: str) -> Handler:
        """Return ``handler`` for callers whose certificate will do: gRPC tells of it with the call's context."""

        async def asked(requests: AsyncIterator[Any], context: Any) -> Any:
            try:
                certified = self._by_certificate(context, scope_of(method))
            except ScopeError as error:
                await self._refuse(context, method, error)
            note_tenant(name or certified)
            async with answered(context, method.rpartition("/")[2]):
                return await handler.stream_stream(requests, context)

        return rebuilt(handler, asked, handler.request_deserializer)

    def _refusing(self, handler: Handler, method: str, error: CmvcError) -> Handler:
        async def refuse(_requests: Any, context: Any) -> None:
            await self._refuse(context, method, error)

        return rebuilt(handler, refuse, None)

    async def _refuse(self, context: Any, method: str, error: CmvcError) -> None:
        telemetry.REQUESTS.labels(method.rpartition("/")[2], error.code.name).inc()
        now = time.monotonic()
        if now - self._logged > _LOG_SECONDS:
            self._logged = now
            log.warning("%s of %s was refused: %s", method, context.peer(), error)
        await abort(context, error)


def _check_scope(scope: str, allowed: frozenset[str], who: str) -> None:
    if scope and scope not in allowed:
        raise ScopeError(f"{who} may {' and '.join(sorted(allowed))}, not {scope}; show another")


def bearer_token(metadata: Any) -> str:
    """Return the bearer token in a call's metadata, "" for none."""
    for key, value in metadata or ():
        if key == "authorization" and isinstance(value, str) and value.startswith("Bearer "):
            return value.removeprefix("Bearer ")
    return ""
