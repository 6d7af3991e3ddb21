"""Every error that CMVC raises, as one table.

Each class carries the gRPC status code it maps to and a stable ``reason`` (``ErrorInfo.reason`` on the wire, a value of
``cmvc.v1.ErrorReason``; the word after ``error:`` on the command line), and is also the matching builtin, so that
callers may catch either.
"""

from enum import IntEnum
from typing import ClassVar

from cmvc.plain import one_line

DOMAIN = "cmvc"


class Code(IntEnum):
    """The canonical gRPC status codes that CMVC uses (the core does not import grpc)."""

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class CmvcError(Exception):
    """Base of all CMVC errors. The message says what is wrong and what to do about it.

    It is one line of bounded length, whatever of a stranger's text was put into it (see ``cmvc.plain``). Of each class
    the docstring's first paragraph says what is wrong and its second what to do; ``make errors`` writes
    ``docs/errors.md`` from them.
    """

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    transient: ClassVar[bool] = False
    """Whether the same call may well succeed a little later, so that clients repeat it (see ``cmvc.client.retry``)."""
    trace_id: str = ""
    """Of the trace that it happened in, in hexadecimal; "" where there is none (see docs/operations.md)."""
    field: str = ""
    """Path of what is wrong in the request, as the protos name it, such as ``config.seed``; "" where it is no field."""

    def __init__(self, message: str = "", *, field: str = "") -> None:
        """Keep the message as it may be shown."""
        super().__init__(one_line(message))
        self.field = field


class InvalidSettingError(CmvcError, ValueError):
    """A setting is out of range or does not fit another.

    Change what the message names; ``BadRequest`` says which field of the request it is.
    """

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_SETTING"


class LimitError(CmvcError, ValueError):
    """A size, count or length from outside is over the limits.

    Send something smaller. ``cmvc/limits.py`` has all the limits.
    """

    code = Code.INVALID_ARGUMENT
    reason = "LIMIT_EXCEEDED"


class MediaError(CmvcError, ValueError):
    """The input is not a video that can be read.

    Send a video that FFmpeg opens, whole.
    """

    code = Code.INVALID_ARGUMENT
    reason = "UNREADABLE_MEDIA"


class NoVideoError(MediaError):
    """The input has no video stream, or one without a single decodable frame.

    Send a file with a video track.
    """

    reason = "NO_VIDEO"


class MediaCrashedError(MediaError):
    """What read the input ended, or failed in a way that it has no word for.

    Convert the video first; report it if what FFmpeg wrote itself does that, too.
    """

    reason = "MEDIA_CRASHED"


class MediaStalledError(MediaError):
    """What read the input said nothing for too long, and was ended.

    Convert the video first; report it if what FFmpeg wrote itself does that, too.
    """

    reason = "MEDIA_STALLED"


class BitstreamError(CmvcError, ValueError):
    """The bytes are not a valid CMVC stream. ``offset`` is where, in bytes from the start of the stream.

    Send a CMVC stream as an encoder wrote it.
    """

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_STREAM"

    def __init__(self, message: str, offset: int | None = None) -> None:
        """Append the offset to the message where it is known."""
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.offset = offset


class NotCmvcError(BitstreamError):
    """The stream does not start as a CMVC stream does.

    Send a CMVC stream, from its first byte.
    """

    reason = "NOT_CMVC"


class UnsupportedVersionError(BitstreamError):
    """The stream was written in a newer format version.

    Update the reader.
    """

    code = Code.UNIMPLEMENTED
    reason = "UNSUPPORTED_VERSION"


class TruncatedStreamError(BitstreamError, EOFError):
    """The stream ends within a packet or before its trailer.

    Fetch the stream again, to its end.
    """

    code = Code.DATA_LOSS
    reason = "TRUNCATED"


class CorruptStreamError(BitstreamError):
    """A packet's checksum or contents do not hold.

    Fetch the stream again, or encode the video again.
    """

    code = Code.DATA_LOSS
    reason = "CORRUPT"


class UnknownModeError(BitstreamError):
    """A segment has a mode that this reader does not know.

    Update the reader.
    """

    code = Code.UNIMPLEMENTED
    reason = "UNKNOWN_MODE"


class UnknownProfileError(CmvcError, LookupError):
    """The stream or the caller names a profile that is not served here.

    Choose one of those that the message lists; ``GetCapabilities`` lists them, too.
    """

    code = Code.FAILED_PRECONDITION
    reason = "UNKNOWN_PROFILE"


class UnknownExtractorError(CmvcError, LookupError):
    """The caller names a semantic extractor that is not installed here.

    Choose one of those that the message lists; ``GetCapabilities`` lists them, too.
    """

    code = Code.FAILED_PRECONDITION
    reason = "UNKNOWN_EXTRACTOR"


class SemanticsError(CmvcError, RuntimeError):
    """A multimodal LLM did not answer, or not usefully; with ``--strict`` this ends the call.

    Look after the model or its endpoint, or encode without ``strict``.
    """

    code = Code.UNAVAILABLE
    reason = "SEMANTICS_FAILED"


class UnknownEmbeddingError(CmvcError, LookupError):
    """The caller names an embedding for keyframes that is not installed here.

    Choose one of those that the message lists; ``GetCapabilities`` lists them, too.
    """

    code = Code.FAILED_PRECONDITION
    reason = "UNKNOWN_EMBEDDING"


class AdapterMismatchError(CmvcError, ValueError):
    """The adapter (LoRA) on this machine is not the one that the stream was made for.

    Install the stream's adapter (``cmvc models install``), or decode with another profile.
    """

    code = Code.FAILED_PRECONDITION
    reason = "ADAPTER_MISMATCH"


class MissingServiceError(CmvcError, ImportError):
    """A part of CMVC that the call needs is not installed.

    Install it as the message says.
    """

    code = Code.FAILED_PRECONDITION
    reason = "SERVICE_NOT_INSTALLED"


class MissingWeightsError(CmvcError, FileNotFoundError):
    """A profile's weights are not on this machine, or not whole.

    Run ``cmvc models pull`` or ``install`` there.
    """

    code = Code.FAILED_PRECONDITION
    reason = "MISSING_WEIGHTS"


class OutputIsInputError(CmvcError, ValueError):
    """The file to be written is the one that is read.

    Choose another name for the output.
    """

    code = Code.FAILED_PRECONDITION
    reason = "OUTPUT_IS_INPUT"


class OutputExistsError(CmvcError, FileExistsError):
    """A file stands where one is to be written, and nobody said that it may be replaced.

    Choose another name, or say that it may be replaced (``-y``, ``overwrite=True``).
    """

    code = Code.FAILED_PRECONDITION
    reason = "OUTPUT_EXISTS"


class EncoderStalledError(CmvcError):
    """The AV1 encoder does not come back, or with nothing that decodes; or processes that code windows hang.

    Send the video again; report it if it happens twice.
    """

    reason = "ENCODER_STALLED"


class EncoderCrashedError(CmvcError):
    """Processes that code windows end before they are done.

    Send the video again; report it if it happens twice.
    """

    reason = "ENCODER_CRASHED"


class CancelledError(CmvcError):
    """The caller cancelled the work.

    Nothing, if it was meant.
    """

    code = Code.CANCELLED
    reason = "CANCELLED"


class ClosedError(CmvcError, ValueError):
    """The client was closed before the call.

    Make another client, or close it later.
    """

    code = Code.FAILED_PRECONDITION
    reason = "CLOSED"


class DeadlineError(CmvcError, TimeoutError):
    """The work did not finish before its deadline.

    Allow more time, or send less video.
    """

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class IdleError(DeadlineError):
    """The client of a call sent nothing, or read nothing, for too long.

    Keep sending and reading, or have the server wait longer (``--idle``).
    """

    reason = "IDLE"


class OverloadedError(CmvcError):
    """The service has as much work as it takes. ``retry_after_s`` says when to come back.

    Come back after the time in ``RetryInfo``.
    """

    code = Code.RESOURCE_EXHAUSTED
    reason = "OVERLOADED"
    transient = True

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        """Keep the retry hint beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaError(OverloadedError):
    """A caller has used up what one may use in an hour.

    Come back after the time in ``RetryInfo``, or ask whoever runs the server for more (``--tenant-mib``,
    ``--tenant-seconds``, ``--tenant-gigapixel-steps``).
    """

    reason = "QUOTA_EXHAUSTED"
    transient = False


class BackendUnavailableError(CmvcError, ConnectionError):
    """No backend could do the work.

    Check the address and that a server runs there; try again a little later.
    """

    code = Code.UNAVAILABLE
    reason = "BACKEND_UNAVAILABLE"
    transient = True


class PoisonedSegmentError(CmvcError):
    """A segment ended every decoder that worked on it, and is given to no more of them.

    Report the stream and what the decoders logged; decode with another profile meanwhile.
    """

    code = Code.FAILED_PRECONDITION
    reason = "POISONED_SEGMENT"


class ChecksumError(CmvcError):
    """A chunk was damaged on its way.

    Send it again.
    """

    code = Code.DATA_LOSS
    reason = "CHECKSUM"


class InvalidMessageError(CmvcError, ValueError):
    """A message of a call is none of its protocol.

    Send what the protos describe, in their order: the config, then chunks with their ``crc32c``.
    """

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_MESSAGE"


class UnauthenticatedError(CmvcError, PermissionError):
    """The server wants a token that the caller did not give.

    Give an accepted token (``--token-file``, ``authorization: Bearer …``).
    """

    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class ScopeError(CmvcError, PermissionError):
    """A token or a certificate is not for this kind of call.

    Show one whose scope it is; whoever runs the server gives scopes (``--token-file``, ``--tls-client-name``).
    """

    code = Code.PERMISSION_DENIED
    reason = "OUT_OF_SCOPE"


class UnknownResultError(CmvcError, LookupError):
    """A result is asked for that is not kept (any more).

    Make it again.
    """

    code = Code.NOT_FOUND
    reason = "UNKNOWN_RESULT"


class ForeignOriginError(CmvcError, PermissionError):
    """A web page of another origin asks for work.

    Use the page that the service itself shows, or call it from a program.
    """

    code = Code.PERMISSION_DENIED
    reason = "FOREIGN_ORIGIN"


class AddressError(CmvcError, OSError):
    """A server cannot listen on the address that it was given; see ``AddressInUseError``.

    Choose an address of this machine, and a port that its user may open.
    """

    code = Code.FAILED_PRECONDITION
    reason = "CANNOT_LISTEN"


class AddressInUseError(AddressError):
    """Somebody listens there already.

    Choose another port, or stop who listens there.
    """

    reason = "ADDRESS_IN_USE"


class ServerError(CmvcError, RuntimeError):
    """The server failed in a way that it has no word for.

    Read the server's log; the trace's id in the error helps to find the place.
    """

    reason = "SERVER_FAILED"


def error_classes() -> dict[str, type[CmvcError]]:
    """Return every error class by its reason: where a subclass keeps its parent's, the parent."""
    found: dict[str, type[CmvcError]] = {}
    pending: list[type[CmvcError]] = [CmvcError]
    while pending:
        kind = pending.pop()
        found.setdefault(kind.reason, kind)  # parents come before their children
        pending += kind.__subclasses__()
    return found
