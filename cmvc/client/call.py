"""One call, whatever carries it and whoever waits for it: what it may be stopped by, what came, how it ended."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

from cmvc.client.abilities import Capabilities, Health
from cmvc.control import Control
from cmvc.errors import CmvcError, ServerError
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire import tracing
from cmvc.wire.transfer import checked

ProgressCallback = Callable[[common_pb2.Progress], object]
Summary = TypeVar("Summary", encoder_pb2.EncodeSummary, decoder_pb2.DecodeSummary)


@dataclass(frozen=True)
class Kind:
    """What a call does.

    Attributes:
        name: ``encode`` or ``decode``.
        config: class of its config.
        request: class of its request messages.
        method: returns the method of a server behind a channel.
    """

    name: str
    config: type[Any]
    request: Any
    method: Callable[[Any], Any]


ENCODE = Kind(
    "encode", encoder_pb2.EncodeConfig, encoder_pb2.EncodeRequest, lambda channel: VideoEncoderStub(channel).Encode
)
DECODE = Kind(
    "decode", decoder_pb2.DecodeConfig, decoder_pb2.DecodeRequest, lambda channel: VideoDecoderStub(channel).Decode
)


class Work:
    """What belongs to one call alone.

    Attributes:
        control: stops it: when the caller's own control is cancelled, when its source fails, when nobody waits for it.
        failure: what reading the caller's source raised first.
        token: shown for this call in place of the client's own; "" for none.
    """

    def __init__(self, control: Control | None, deadline_s: float | None, token: str = "") -> None:
        """Follow ``control``, which may be used for other calls too; ``deadline_s`` counts from now."""
        self.token = token
        deadline = control.deadline if control else None
        self.control = Control(deadline if deadline_s is None else time.monotonic() + deadline_s)
        self.failure: BaseException | None = None
        self._forget = control.on_cancel(self.control.cancel) if control else lambda: None

    @contextmanager
    def callers(self, *, pass_on: bool = True) -> Iterator[None]:
        """Take what the block raises for the failure of the caller's source, and stop the work.

        Args:
            pass_on: raise it, too; not where nobody but a library's thread would see it, and print it.
        """
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as error:  # whatever it is, it is the caller's
            if not self.control.cancelled:
                self.failure = error
                self.control.cancel()
            if pass_on:
                raise

    def done(self) -> None:
        """Let go of the caller's control."""
        self._forget()


class Transport(Protocol):
    """What carries calls: this process or a channel.

    Attributes:
        target: ``HOST:PORT``, "" for this process.
    """

    target: str

    def exchange(self, kind: Kind, source: Any, config: Any, work: Work, span: tracing.AnySpan) -> Generator[Any]:
        """Send config and source, yield the messages that come back, and let go of everything at the end.

        Raises:
            CmvcError: the work cannot be done, or ``work`` says stop.
        """

    def health(self, control: Control) -> Health:
        """Return whether work would be done now.

        Raises:
            CmvcError: nobody answers, or ``control`` says stop.
        """

    def capabilities(self, control: Control) -> Capabilities:
        """Return what can be done.

        Raises:
            CmvcError: as ``health``.
        """

    def close(self) -> None:
        """Let go of what all calls share."""


class Call:
    """The messages of one call, to be taken one after the other by one thread at a time."""

    def __init__(self, work: Work, messages: Generator[Any]) -> None:
        self.work = work
        self._messages = messages
        self._taking = threading.Lock()

    def next(self) -> Any | None:
        """Return the next message, None at the end; blocking.

        Raises:
            BaseException: of the source, as it came; else CmvcError.
        """
        with self._taking:
            return next(self._messages, None)

    def stop(self) -> None:
        """Stop the work and let go of everything; from any thread, also while another waits in ``next``.

        That one is given a ``CancelledError`` and does the rest.
        """
        self.work.control.cancel()
        if self._taking.acquire(blocking=False):
            try:
                self._messages.close()
            finally:
                self._taking.release()


def converse(transport: Transport, kind: Kind, source: Any, config: Any, work: Work) -> Generator[Any]:
    """Yield the messages of a call. Where the source failed, that is what is raised, not what followed from it.

    A function without a way back to who iterates: it ends at once when they let go of it.
    """
    try:
        with tracing.request(f"cmvc.{kind.name}", target=transport.target) as span:
            try:
                work.control.check()
                with closing(transport.exchange(kind, source, config, work, span)) as messages:
                    yield from messages
                _note_rpc(span, transport, kind, 0)
            except GeneratorExit:
                raise
            except BaseException as error:
                _note_rpc(span, transport, kind, int(error.code) if isinstance(error, CmvcError) else None)
                if work.failure is None:
                    raise
            if work.failure is not None:
                raise work.failure
    finally:
        work.done()


def _note_rpc(span: tracing.AnySpan, transport: Transport, kind: Kind, status: int | None) -> None:
    if transport.target:
        span.rpc(kind.name.capitalize(), status)


class Receiver(Generic[Summary]):
    """Takes the messages of one call apart."""

    def __init__(self, progress: ProgressCallback | None, total: Callable[[], int] = lambda: 0) -> None:
        """Tell ``progress``; ``total`` says how many frames there are where the messages do not, 0 for unknown."""
        self._progress = progress
        self._total = cache(total)
        self._summary: Summary | None = None

    def take(self, message: Any) -> bytes:
        """Return the message's bytes, none for messages of another kind.

        Raises:
            ChecksumError: they were damaged on their way.
            BaseException: what the progress callback raises.
        """
        kind = message.WhichOneof("message")
        if kind == "data":
            return checked(message.data)
        if kind == "progress" and self._progress:
            message.progress.frames_total = message.progress.frames_total or self._total()
            self._progress(message.progress)
        elif kind == "summary":
            self._summary = message.summary
        return b""

    def finished(self, work: Work) -> Summary:
        """Return the summary.

        Raises:
            CancelledError, DeadlineError: the work was stopped before it came.
            ServerError: it has not come.
        """
        if self._summary is None:
            work.control.check()
            raise ServerError("the stream ended without its summary, so it may lack something; try again")
        return self._summary
