"""Errors on the wire: ``CmvcError`` to a gRPC status with details, and back.

The details are ``google.rpc.ErrorInfo`` (reason, domain "cmvc", in a trace its id), ``BadRequest`` where a field of the
request is what is wrong, and ``RetryInfo`` where coming back helps. ``docs/errors.md`` lists the reasons.
"""

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from cmvc.errors import (
    DOMAIN,
    BackendUnavailableError,
    CancelledError,
    CmvcError,
    DeadlineError,
    OverloadedError,
    ServerError,
    UnauthenticatedError,
    error_classes,
)
from cmvc.wire import tracing

DETAILS_KEY = "grpc-status-details-bin"
TRACE_ID = "trace_id"  # in the metadata of ErrorInfo
MOST_RETRY_S = 60.0  # that a server may ask for; who asks for more is not well
_NO_TLS = "WRONG_VERSION_NUMBER"  # what BoringSSL makes of an answer in the clear
_FOLDERS = re.compile(r"(?<![\w.:/-])/(?:[^\s/:;,'\"]+/)+")  # of an absolute path, not of an address
GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}
_WITHOUT_REASON: dict[grpc.StatusCode, type[CmvcError]] = {
    grpc.StatusCode.CANCELLED: CancelledError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.UNAVAILABLE: BackendUnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
}


class FailedCall(Protocol):
    """What both kinds of ``RpcError`` offer."""

    def code(self) -> grpc.StatusCode:
        """Return the status code."""

    def details(self) -> str | None:
        """Return the message."""

    def trailing_metadata(self) -> Iterable[Any] | None:
        """Return the metadata after the last message."""


def to_status(error: CmvcError) -> status_pb2.Status:
    """Return the status that tells a client about ``error``; of files on this machine it names the last part."""
    status = status_pb2.Status(code=int(error.code), message=_FOLDERS.sub("", str(error)))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if error.trace_id:
        info.metadata[TRACE_ID] = error.trace_id
    status.details.add().Pack(info)
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=status.message)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, OverloadedError):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


async def abort(context: grpc.aio.ServicerContext, error: CmvcError) -> None:  # type: ignore[type-arg]
    """End the call with the status of ``error``.

    Raises:
        grpc.aio.AbortError: always; it is how a handler stops.
    """
    error.trace_id = error.trace_id or tracing.trace_id_of(context.invocation_metadata())
    status = to_status(error)
    metadata = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(GRPC_CODES[status.code], status.message, trailing_metadata=metadata)


def from_rpc_error(failed: FailedCall, target: str) -> CmvcError:
    """Return the error that the server at ``target`` raised, as far as it can be known."""
    info, fault, retry_after_s = _details(failed)
    message = failed.details() or failed.code().name
    kind = error_classes().get(info.reason) if info.domain == DOMAIN else None
    if kind is None:
        kind = _WITHOUT_REASON.get(failed.code(), ServerError)
        message = _explain(kind, target, message)
    error = kind(message, retry_after_s) if issubclass(kind, OverloadedError) else kind(message)
    error.field = fault.field_violations[0].field if fault.field_violations else ""
    error.trace_id = info.metadata.get(TRACE_ID, "") if info.domain == DOMAIN else ""
    return error


def asked_to_stop() -> bool:
    """Return whether a ``CancelledError`` caught just now was meant for the current task.

    Where it was not, grpc.aio raised it to say that a call ended as cancelled by the other side.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _details(failed: FailedCall) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, float]:
    info, fault, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    retry.retry_delay.seconds = 1
    for key, value in failed.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            with suppress(DecodeError):  # then it is somebody else's, and says nothing
                for detail in status_pb2.Status.FromString(value).details:
                    for known in (info, fault, retry):
                        detail.Unpack(known)
    asked = retry.retry_delay
    return info, fault, min(max(asked.seconds + asked.nanos / 1e9, 0.0), MOST_RETRY_S)


def _explain(kind: type[CmvcError], target: str, message: str) -> str:
    if kind is BackendUnavailableError and _NO_TLS in message:
        return (
            f"{target} does not speak TLS; give no --tls-ca or certificate, and --insecure-token where the token may "
            "be read on the way"
        )
    if kind is BackendUnavailableError:
        return f"no answer from {target} ({message}); check that 'cmvc serve' runs there, and the address"
    if kind is DeadlineError:
        return "the deadline passed; allow more time or send less video"
    if kind is CancelledError:
        return f"cancelled ({message})"
    if kind is OverloadedError:
        return f"{target} refused a message or the work ({message}); try again later"
    return f"{target} failed ({message}); its log says more"
