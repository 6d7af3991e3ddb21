"""How calls end: errors as JSON, events as lines of JSON."""

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Send

from cmvc.errors import CmvcError, Code, IdleError, OverloadedError

LINES = "application/x-ndjson"
STATUS = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 409,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 422,
    Code.UNAUTHENTICATED: 401,
}
_WHAT_TO_DO = {
    Code.DATA_LOSS: "send the whole file again",
    Code.INTERNAL: "try again; the server's log says more",
    Code.UNAVAILABLE: "try again in a moment",
    Code.RESOURCE_EXHAUSTED: "try again in a moment",
}


def error_body(error: CmvcError) -> dict[str, Any]:
    """Return what is told of an error: status, code, reason, the one line, and of that what to do."""
    what_to_do = str(error).partition("; ")[2] or _WHAT_TO_DO.get(error.code, "change the request and send it again")
    body = {
        "status": status_of(error),
        "code": error.code.name,
        "reason": error.reason,
        "message": str(error),
        "what_to_do": what_to_do,
    }
    more = {"field": error.field, "trace_id": error.trace_id}
    return {**body, **{name: value for name, value in more.items() if value}}


def status_of(error: CmvcError) -> int:
    """Return the HTTP status of an error."""
    return 408 if isinstance(error, IdleError) else STATUS[error.code]


async def failed(request: Request, error: Exception) -> JSONResponse:
    """Answer with an error; Starlette calls it."""
    assert isinstance(error, CmvcError)
    headers = {}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    request.scope["cmvc.code"] = error.code.name
    return JSONResponse({"error": error_body(error)}, status_of(error), headers)


class Lines:
    """Writes an answer of lines of JSON, each as it comes."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        """Answer with more ``headers``."""
        self._send = send
        self._headers = headers
        self.begun = False

    async def write(self, line: dict[str, Any]) -> None:
        """Send a line, after the head of the answer where it is the first."""
        if not self.begun:
            self.begun = True
            headers = {"Content-Type": LINES, "Cache-Control": "no-store", "X-Accel-Buffering": "no", **self._headers}
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End the answer."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def lines_of(events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Yield events as lines of JSON."""
    async for event in events:
        yield json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
