"""What stands around every request of the API: its token, its origin, its count, its trace."""

import asyncio
import logging
import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmvc.errors import ForeignOriginError, ScopeError, UnauthenticatedError
from cmvc.server import telemetry
from cmvc.server.tokens import Tokens, name_of
from cmvc.wire import tracing
from cmvc_web.answers import STATUS, failed
from cmvc_web.studio import TENANT, token_of

log = logging.getLogger(__name__)
_CODES = {status: code.name for code, status in STATUS.items()}
_API = "/v1/"
_OPEN = ("/v1/openapi.json",)
_ENCODING, _DECODING = "/v1/encode", "/v1/decode"
_VIDEO = ("/video.mp4", "/fragments", "/hls.m3u8")  # what is decoded when it is asked for
_READING = ("GET", "HEAD", "OPTIONS")
ANY_ORIGIN = "*"


class Accounts:
    """Counts, traces and logs every call of the API, as the gRPC servers do theirs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        status, started = 499, time.monotonic()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = f"{scope['method']} {scope['path']}"
        with tracing.call(scope["method"], headers) as span:
            try:
                await self._app(scope, receive, noting)
            finally:
                method = f"{scope['method']} {getattr(scope.get('route'), 'path', _API)}"
                code = scope.get("cmvc.code") or ("OK" if status < 400 else _CODES.get(status, "UNKNOWN"))
                telemetry.REQUESTS.labels(method, code).inc()
                span.set(code=code, route=method)
                log.info("%s ended with %s after %.3f s", method, code, time.monotonic() - started)


class Guard:
    """Refuses calls of the API without an accepted token, and work that pages of foreign origins ask for."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None, origins: Sequence[str]) -> None:
        """Accept ``tokens`` (None: everyone) and pages of ``origins`` beside this server's own."""
        self._app = app
        self._tokens = tokens
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] == "http" and scope["path"].startswith(_API) and scope["path"] not in _OPEN:
            request = Request(scope)
            error = self._refusal(request)
            if error:
                await (await failed(request, error))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> UnauthenticatedError | ScopeError | ForeignOriginError | None:
        origin = request.headers.get("origin", "")
        own = origin.partition("://")[2] == request.headers.get("host", "")
        known = not origin or own or origin in self._origins or ANY_ORIGIN in self._origins
        if request.method not in _READING and not known:
            return ForeignOriginError(f"pages of {origin} may not use this server; start it with --cors {origin}")
        return self._by_token(request, self._tokens) if self._tokens else None

    def _by_token(self, request: Request, tokens: Tokens) -> UnauthenticatedError | ScopeError | None:
        scopes, wanted = tokens.scopes(token_of(request)), _scope_of(request.url.path)
        if scopes is None:
            return UnauthenticatedError("this server wants a bearer token; give it as 'Authorization: Bearer …'")
        if wanted and wanted not in scopes:
            return ScopeError(f"the token may {' and '.join(sorted(scopes))}, not {wanted}; show another")
        request.scope[TENANT] = name_of(token_of(request))
        return None


def _scope_of(path: str) -> str:
    """Return the scope that a path of the API asks for; "" where any will do."""
    if path == _ENCODING:
        return "encode"
    return "decode" if path == _DECODING or path.endswith(_VIDEO) else ""


class Patience:
    """Bounds how long an answer waits for whoever reads it."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        """Wait so long for each part of an answer to be taken; then the connection is cut."""
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""

        async def bounded(message: Message) -> None:
            async with asyncio.timeout(self._seconds):
                await send(message)

        await self._app(scope, receive, bounded)
