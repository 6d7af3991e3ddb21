"""What every handler does around its work: count the call, map errors to statuses, hand deadlines down."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from cmvc.control import Control
from cmvc.errors import CmvcError
from cmvc.service import telemetry
from cmvc.service.status import abort

Context = grpc.aio.ServicerContext[Any, Any]
_FOREVER_S = 1e8  # gRPC's way to say that there is no deadline is one in the far future


@asynccontextmanager
async def handled(context: Context, method: str) -> AsyncIterator[None]:
    """Count the call under ``method`` and end it with the right status when the block raises a ``CmvcError``."""
    code = "UNKNOWN"
    try:
        yield
        code = "OK"
    except CmvcError as error:
        code = error.code.name
        await abort(context, error)
    except asyncio.CancelledError:
        left = context.time_remaining()
        code = "DEADLINE_EXCEEDED" if left is not None and left <= 0 else "CANCELLED"
        raise
    finally:
        telemetry.REQUESTS.labels(method, code).inc()


def asked_to_stop() -> bool:
    """Return whether a ``CancelledError`` caught just now was meant for the current task.

    Where it was not, grpc.aio raised it to say that a call ended as cancelled by the other side.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def control_of(context: Context) -> Control:
    """Return a control with the call's deadline."""
    left = context.time_remaining()
    return Control(deadline=None if left is None or left > _FOREVER_S else time.monotonic() + left)
