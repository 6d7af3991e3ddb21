"""What every handler does around its work: count, trace and log the call, map errors to statuses, keep deadlines."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from cmvc.control import Control
from cmvc.errors import CmvcError, Code, ServerError
from cmvc.server import telemetry
from cmvc.server.tenant import tenant
from cmvc.wire import tracing
from cmvc.wire.status import abort

Context = grpc.aio.ServicerContext[Any, Any]
log = logging.getLogger(__name__)
_OWN_FAULT = (Code.INTERNAL, Code.UNAVAILABLE)  # what whoever runs the server should see; the rest is the caller's
_FOREVER_S = 1e8  # gRPC's way to say that there is no deadline is one in the far future


@asynccontextmanager
async def handled(context: Context, method: str) -> AsyncIterator[None]:
    """Count the call under ``method`` and end it with a status and a reason, whatever the block raises.

    What is no ``CmvcError`` is the server's trouble: its log has all of it, the caller is told no more than is his.
    """
    code, started = "UNKNOWN", time.monotonic()
    telemetry.CALLS.labels(method).inc()
    with tracing.call(method, context.invocation_metadata()) as span:
        try:
            yield
            code = "OK"
        except CmvcError as error:
            code = error.code.name
            span.fail(error)
            level = logging.WARNING if error.code in _OWN_FAULT else logging.INFO
            log.log(level, "%s failed: %s: %s", method, error.reason, error)
            await abort(context, error)
        except asyncio.CancelledError:
            left = context.time_remaining()
            code = "DEADLINE_EXCEEDED" if left is not None and left <= 0 else "CANCELLED"
            raise
        except Exception as error:  # nothing is mended by it, but the call ends as every other does
            code = ServerError.code.name
            log.exception("%s failed", method)
            await abort(context, _trouble(error))
        finally:
            telemetry.CALLS.labels(method).dec()
            telemetry.REQUESTS.labels(method, code).inc()
            span.set(code=code)
            span.rpc(method, grpc.StatusCode[code].value[0])
            whose = f" for {tenant()}" if tenant() else ""
            log.info("%s%s ended with %s after %.3f s", method, whose, code, time.monotonic() - started)


@asynccontextmanager
async def answered(context: Context, method: str) -> AsyncIterator[None]:
    """End the call with a status and a reason, too, whatever the block raises outside of ``handled``.

    It is not counted unless it fails, and leaves no span: gateways ask for capabilities every other second.
    """
    try:
        yield
    except grpc.aio.AbortError:  # has a status
        raise
    except CmvcError as error:
        await _fail(context, method, error)
    except Exception as error:  # as above
        log.exception("%s failed", method)
        await _fail(context, method, _trouble(error))


async def _fail(context: Context, method: str, error: CmvcError) -> None:
    telemetry.REQUESTS.labels(method, error.code.name).inc()
    await abort(context, error)


def _trouble(error: Exception) -> ServerError:
    """Return what the caller is told of a defect, or of the server's machine: nothing of its own."""
    if isinstance(error, OSError):  # a full disk, a folder that is gone: worth a word
        return ServerError(f"the server cannot go on: {error.strerror}; its log says more")
    return ServerError("the server failed; its log says more")


def control_of(context: Context) -> Control:
    """Return a control with the call's deadline."""
    left = context.time_remaining()
    return Control(deadline=None if left is None or left > _FOREVER_S else time.monotonic() + left)
