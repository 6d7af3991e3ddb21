"""``Client``: calls for threads that wait."""

from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self

from cmvc.bitstream.inspect import inspect
from cmvc.client.abilities import Capabilities, Health
from cmvc.client.call import DECODE, ENCODE, Call, ProgressCallback, Receiver, Summary, Work
from cmvc.client.calls import Calls
from cmvc.client.destinations import Destination, name_of, open_destination
from cmvc.client.retry import DEFAULT_RETRY, Retry
from cmvc.client.sources import Source, opened
from cmvc.client.totals import frames_of
from cmvc.client.types import check_call, check_destination, check_source, config_of
from cmvc.control import Control
from cmvc.options import Options
from cmvc.settings import decode_config
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.wire.security import ChannelSecurity

ASKING_S = 10.0  # longest time for an answer that costs no work


class Transfer(Generic[Summary]):
    """Bytes as they arrive; an iterator that is also a context manager. Leaving it early cancels the work."""

    def __init__(self, call: Call, receiver: Receiver[Summary]) -> None:
        self._call = call
        self._receiver: Receiver[Summary] = receiver

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while (message := self._call.next()) is not None:
            if data := self._receiver.take(message):
                return data
        self._receiver.finished(self._call.work)
        raise StopIteration

    @property
    def summary(self) -> Summary:
        """What came out; there once the last byte has been taken.

        Raises:
            CancelledError: the work was stopped before.
            ServerError: the last byte has not been taken, or the server did not send a summary.
        """
        return self._receiver.finished(self._call.work)

    def cancel(self) -> None:
        """Stop the work; whoever iterates is given a ``CancelledError``. May be called from any thread."""
        self._call.work.control.cancel()

    def close(self) -> None:
        """Stop the work, if it is not done, and let go of everything. May be called from any thread."""
        self._call.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """Encodes, decodes and inspects, blocking. Safe to use from several threads.

    gRPC's core writes to standard error what it makes of broken connections, unless the environment has
    ``GRPC_VERBOSITY=NONE``; what matters of it is raised.
    """

    def __init__(
        self,
        target: str | None = None,
        security: ChannelSecurity | None = None,
        encoder: Options | None = None,
        *,
        retry: Retry = DEFAULT_RETRY,
        wait_for_ready: bool = False,
    ) -> None:
        """Connect to ``HOST:PORT`` when first needed.

        Args:
            target: gateway, encoder or decoder; None works in this process.
            security: TLS and token.
            encoder: options of the encoder, such as its models, where encoding is done in this process (see
                ``cmvc_encoder.options``). Of a server whoever runs it chooses them.
            retry: how often a call is made again that a busy or absent server did not take; ``NO_RETRY`` for never.
            wait_for_ready: wait for a server that is not there yet, until the call's deadline, instead of failing.

        Raises:
            InvalidSettingError: both a target and an encoder's options are given.
            OSError: a file of ``security`` cannot be read.
            TypeError: an argument is of another type.
        """
        self._calls = Calls(target, security, encoder, retry, wait_for_ready=wait_for_ready)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls in flight end with a ``CancelledError``, later ones with a ``ClosedError``."""
        self._calls.close()

    def health(self, *, deadline_s: float | None = ASKING_S) -> Health:
        """Return whether videos would be encoded and streams decoded now; without a target, whether both can be here.

        Raises:
            BackendUnavailableError: nobody answers there.
            CmvcError: the answer is another error.
        """
        return self._calls.health(deadline_s)

    def capabilities(self, *, deadline_s: float | None = ASKING_S) -> Capabilities:
        """Return what can be done: versions, modes, profiles with their adapters, extractors, output formats.

        Raises:
            BackendUnavailableError: nobody answers there.
            CmvcError: the answer is another error.
        """
        return self._calls.capabilities(deadline_s)

    def encode_stream(
        self,
        source: Source,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        token: str = "",
    ) -> Transfer[encoder_pb2.EncodeSummary]:
        """Encode a video; the result iterates over the bytes of the CMVC stream.

        Args:
            source: path of a file or pipe, binary file, bytes, or pieces of them: a video in any container that FFmpeg
                opens. A file is read from where it stands and stays open. What cannot be sought is read in another
                thread; a generator is closed there when the call ends.
            config: see ``cmvc.settings.encode_config``; None for 12 kbit/s, any mode.
            progress: called in the iterating thread.
            deadline_s: seconds from now that the whole work may take.
            control: to cancel with, from any thread.
            token: bearer token to show for this call in place of the client's own, by who acts for many callers.

        Raises:
            CmvcError, OSError: while iterating; see ``cmvc.errors``. What reading the source raises comes as it is.
            TypeError: an argument is of another type; what a source gives, while iterating.
        """
        check_call(source, progress, deadline_s, control, token)
        config = config_of(ENCODE, config)
        call = self._calls.begin(ENCODE, config, Work(control, deadline_s, token), source)
        return Transfer(call, Receiver(progress))

    def encode(
        self,
        source: Source,
        destination: Destination,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        overwrite: bool = True,
    ) -> encoder_pb2.EncodeSummary:
        """Encode a video into a file, which is there only once it is whole. See ``encode_stream``.

        Raises:
            OutputIsInputError: the file is the source, by whichever name.
            OutputExistsError: it is there already, and ``overwrite`` is not set.
            CmvcError, OSError: see ``encode_stream``.
        """
        check_destination(destination)
        transfer = self.encode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return _write(transfer, source, destination, overwrite=overwrite)

    def decode_stream(
        self,
        source: Source,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        token: str = "",
    ) -> Transfer[decoder_pb2.DecodeSummary]:
        """Decode a CMVC stream; the result iterates over the bytes of the video. See ``encode_stream``."""
        check_call(source, progress, deadline_s, control, token)
        config = config_of(DECODE, config)
        call = self._calls.begin(DECODE, config, Work(control, deadline_s, token), source)
        return Transfer(call, Receiver(progress, partial(frames_of, source, config)))

    def decode(
        self,
        source: Source,
        destination: Destination,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
        overwrite: bool = True,
    ) -> decoder_pb2.DecodeSummary:
        """Decode a CMVC stream into a file, which is there only once it is whole.

        A stream that is cut off decodes up to its last whole segment; the summary's notes say so.
        See ``encode``; without a ``config`` the form of the output goes by the file's name.
        """
        check_destination(destination)
        config = config or decode_config(name=name_of(destination))
        transfer = self.decode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return _write(transfer, source, destination, overwrite=overwrite)

    def inspect(self, source: Source) -> dict[str, Any]:
        """Return what is in a CMVC stream, byte for byte; always worked out here.

        Raises:
            BitstreamError: it is not one.
        """
        check_source(source)
        return inspect_source(source, Work(None, None))


def inspect_source(source: Source, work: Work) -> dict[str, Any]:
    """Return what is in a CMVC stream; see ``Client.inspect``."""
    found: dict[str, Any] = {}
    try:
        with opened(source, work) as file:
            found = inspect(file)
    except BaseException:
        if work.failure is None:
            raise
    if work.failure is not None:
        raise work.failure
    return found


def _write(transfer: Transfer[Summary], source: Any, destination: Destination, *, overwrite: bool) -> Summary:
    with transfer, open_destination(destination, source, overwrite=overwrite) as file:
        for data in transfer:
            file.write(data)
        return transfer.summary
