"""The SDK: ``Client`` and ``AsyncClient``.

Both work against a server (gateway, encoder or decoder alike) or, without a target, in this process with the
services that are installed. Memory stays bounded by a few chunks, whatever the length.

    with Client("gateway.example:50051") as client:
        client.encode("in.mp4", "out.cmvc", encode_config(bitrate="8k"))
        client.decode("out.cmvc", "back.mp4")
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, Self, TypeVar

import grpc

from cmvc.bitstream.inspect import inspect
from cmvc.control import Control
from cmvc.errors import CancelledError, CmvcError, InvalidSettingError, ServerError
from cmvc.files import whole_file
from cmvc.services import EncoderOptions, load_decoder, load_encoder
from cmvc.settings import decode_config
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire import tracing
from cmvc.wire.bridge import ChunkSource, in_thread
from cmvc.wire.channel import open_aio_channel, open_channel
from cmvc.wire.security import ChannelSecurity
from cmvc.wire.status import asked_to_stop, from_rpc_error
from cmvc.wire.transfer import CHUNK_BYTES, Source, checked, make_chunk, open_source, read_chunks

Progress = common_pb2.Progress
ProgressCallback = Callable[[Progress], object]
AsyncSource = Source | AsyncIterable[bytes]
Destination = str | Path | BinaryIO
Summary = TypeVar("Summary", encoder_pb2.EncodeSummary, decoder_pb2.DecodeSummary)
_ENCODE = encoder_pb2.EncodeRequest
_DECODE = decoder_pb2.DecodeRequest


class _Receiver(Generic[Summary]):
    """Takes the messages of one call apart."""

    def __init__(self, progress: ProgressCallback | None) -> None:
        self._progress = progress
        self.summary: Summary | None = None

    def take(self, response: Any) -> bytes:
        """Return the message's bytes, none for other messages."""
        kind = response.WhichOneof("message")
        if kind == "data":
            return checked(response.data)
        if kind == "progress" and self._progress:
            self._progress(response.progress)
        elif kind == "summary":
            self.summary = response.summary
        return b""

    def finished(self) -> Summary:
        if self.summary is None:
            raise ServerError("the stream ended without its summary, so it may lack something; try again")
        return self.summary


class Transfer(Generic[Summary]):
    """Bytes as they arrive; an iterator that is also a context manager. Leaving it early cancels the work."""

    def __init__(self, responses: Generator[Any], progress: ProgressCallback | None, control: Control) -> None:
        self._responses = responses
        self._receiver: _Receiver[Summary] = _Receiver(progress)
        self._control = control

    def __iter__(self) -> Iterator[bytes]:
        for response in self._responses:
            if data := self._receiver.take(response):
                yield data
        self._receiver.finished()

    @property
    def summary(self) -> Summary:
        """What came out; there once the last byte has been taken.

        Raises:
            ServerError: the last byte has not been taken, or the server did not send a summary.
        """
        return self._receiver.finished()

    def cancel(self) -> None:
        """Stop the work; whoever iterates is given a ``CancelledError``. May be called from any thread."""
        self._control.cancel()

    def close(self) -> None:
        """Stop the work, if it is not done, and let go of everything."""
        self._responses.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTransfer(Generic[Summary]):
    """Bytes as they arrive; an async iterator that is also a context manager. Leaving it early cancels the work."""

    def __init__(self, responses: AsyncGenerator[Any], progress: ProgressCallback | None, control: Control) -> None:
        self._responses = responses
        self._receiver: _Receiver[Summary] = _Receiver(progress)
        self._control = control

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for response in self._responses:
            if data := self._receiver.take(response):
                yield data
        self._receiver.finished()

    @property
    def summary(self) -> Summary:
        """What came out; there once the last byte has been taken.

        Raises:
            ServerError: the last byte has not been taken, or the server did not send a summary.
        """
        return self._receiver.finished()

    def cancel(self) -> None:
        """Stop the work; whoever iterates is given a ``CancelledError``."""
        self._control.cancel()

    async def close(self) -> None:
        """Stop the work, if it is not done, and let go of everything."""
        await self._responses.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _control(control: Control | None, deadline_s: float | None) -> Control:
    control = control or Control()
    if deadline_s is not None:
        control.deadline = time.monotonic() + deadline_s
    return control


@contextmanager
def _open_destination(destination: Destination) -> Iterator[BinaryIO]:
    with whole_file(destination) if isinstance(destination, str | Path) else nullcontext(destination) as file:
        yield file


def _name(destination: Destination) -> str:
    return str(destination) if isinstance(destination, str | Path) else ""


def _local_source(source: Source, stack: BinaryIO) -> str | BinaryIO:
    # By name where there is one: a file that can be sought need not be spooled.
    return str(source) if isinstance(source, str | Path) else stack


def _own_options(target: str | None, encoder: EncoderOptions | None) -> EncoderOptions:
    if target and encoder and encoder != EncoderOptions():
        raise InvalidSettingError(
            f"the models of a server are chosen by whoever runs it; leave them out, or leave out the target {target}"
        )
    return encoder or EncoderOptions()


class Client:
    """Encodes, decodes and inspects, blocking. Safe to use from several threads."""

    def __init__(
        self,
        target: str | None = None,
        security: ChannelSecurity | None = None,
        encoder: EncoderOptions | None = None,
    ) -> None:
        """Connect to ``HOST:PORT`` when first needed.

        Args:
            target: gateway, encoder or decoder; None works in this process.
            security: TLS and token.
            encoder: the models that understand pictures, where encoding is done in this process. Of a server whoever
                runs it chooses them.

        Raises:
            InvalidSettingError: both a target and an encoder's options are given.
        """
        self._encoder = _own_options(target, encoder)
        tracing.start("client")
        self._target = target or ""
        security = security or ChannelSecurity()
        self._channel = open_channel(target, security) if target else None
        self._metadata = security.metadata()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls in flight end with a ``CancelledError``."""
        if self._channel:
            self._channel.close()

    def encode_stream(
        self,
        source: Source,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> Transfer[encoder_pb2.EncodeSummary]:
        """Encode a video; the result iterates over the bytes of the CMVC stream.

        Args:
            source: path, binary file, or byte strings of a video in any container that FFmpeg opens.
            config: see ``cmvc.settings.encode_config``; None for 12 kbit/s, any mode.
            progress: called in the iterating thread.
            deadline_s: seconds from now that the whole work may take.
            control: to cancel with, from any thread.

        Raises:
            CmvcError, OSError: while iterating; see ``cmvc.errors``.
        """
        config = config or encoder_pb2.EncodeConfig()
        control = _control(control, deadline_s)
        return Transfer(self._encode(source, config, control), progress, control)

    def encode(
        self,
        source: Source,
        destination: Destination,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> encoder_pb2.EncodeSummary:
        """Encode a video into a file, which is there only once it is whole. See ``encode_stream``."""
        transfer = self.encode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return _write(transfer, destination)

    def decode_stream(
        self,
        source: Source,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> Transfer[decoder_pb2.DecodeSummary]:
        """Decode a CMVC stream; the result iterates over the bytes of the video. See ``encode_stream``."""
        config = config or decoder_pb2.DecodeConfig()
        control = _control(control, deadline_s)
        return Transfer(self._decode(source, config, control), progress, control)

    def decode(
        self,
        source: Source,
        destination: Destination,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> decoder_pb2.DecodeSummary:
        """Decode a CMVC stream into a file, which is there only once it is whole.

        A stream that is cut off decodes up to its last whole segment; the summary's notes say so.
        See ``encode_stream``; without a ``config`` the form of the output goes by the file's name.
        """
        config = config or decode_config(name=_name(destination))
        transfer = self.decode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return _write(transfer, destination)

    def inspect(self, source: Source) -> dict[str, Any]:
        """Return what is in a CMVC stream, byte for byte; always worked out here.

        Raises:
            BitstreamError: it is not one.
        """
        with open_source(source) as file:
            return inspect(file)

    def _encode(
        self, source: Source, config: encoder_pb2.EncodeConfig, control: Control
    ) -> Generator[encoder_pb2.EncodeResponse]:
        with tracing.request("cmvc.encode", target=self._target) as span, open_source(source) as file:
            if self._channel:
                requests = _requests(_ENCODE, config, file)
                yield from self._call(VideoEncoderStub(self._channel).Encode, requests, control, span)
            else:
                local = _local_source(source, file)
                yield from span.carry(load_encoder().encode(local, config, control, self._encoder))

    def _decode(
        self, source: Source, config: decoder_pb2.DecodeConfig, control: Control
    ) -> Generator[decoder_pb2.DecodeResponse]:
        with tracing.request("cmvc.decode", target=self._target) as span, open_source(source) as file:
            if self._channel:
                requests = _requests(_DECODE, config, file)
                yield from self._call(VideoDecoderStub(self._channel).Decode, requests, control, span)
            else:
                yield from span.carry(load_decoder().decode(file, config, control))

    def _call(self, method: Any, requests: Iterator[Any], control: Control, span: tracing.AnySpan) -> Generator[Any]:
        control.check()
        failures: list[BaseException] = []
        metadata = (*self._metadata, *span.metadata())
        call = method(_guarded(requests, failures), timeout=control.remaining(), metadata=metadata)
        control.on_cancel(call.cancel)
        try:
            yield from call
        except grpc.RpcError as failed:
            raise _cause(failed, failures, control, self._target) from None
        finally:
            call.cancel()


def _write(transfer: Transfer[Summary], destination: Destination) -> Summary:
    with transfer, _open_destination(destination) as file:
        for data in transfer:
            file.write(data)
        return transfer.summary


def _requests(kind: Any, config: Any, file: BinaryIO) -> Iterator[Any]:
    yield kind(config=config)
    for chunk in read_chunks(file):
        yield kind(chunk=chunk)


def _guarded(requests: Iterator[Any], failures: list[BaseException]) -> Iterator[Any]:
    """Yield ``requests``; keep what goes wrong in reading them, which gRPC would only log."""
    try:
        yield from requests
    except (OSError, ValueError, CmvcError) as error:
        failures.append(error)
        raise


def _cause(failed: Any, failures: list[BaseException], control: Control, target: str) -> BaseException:
    if failures:
        return failures[0]
    if control.cancelled:
        return CancelledError("cancelled by the caller")
    return from_rpc_error(failed, target)


class AsyncClient:
    """Encodes, decodes and inspects under asyncio. As ``Client`` in all else."""

    def __init__(
        self,
        target: str | None = None,
        security: ChannelSecurity | None = None,
        encoder: EncoderOptions | None = None,
    ) -> None:
        """Connect to ``HOST:PORT`` when first needed.

        Args:
            target: gateway, encoder or decoder; None works in threads of this process.
            security: TLS and token.
            encoder: the models that understand pictures, where encoding is done in this process. Of a server whoever
                runs it chooses them.

        Raises:
            InvalidSettingError: both a target and an encoder's options are given.
        """
        self._encoder = _own_options(target, encoder)
        tracing.start("client")
        self._target = target or ""
        security = security or ChannelSecurity()
        self._channel = open_aio_channel(target, security) if target else None
        self._metadata = security.metadata()
        self._executor = ThreadPoolExecutor(thread_name_prefix="cmvc-client")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls in flight end with a ``CancelledError``."""
        if self._channel:
            await self._channel.close(None)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def encode_stream(
        self,
        source: AsyncSource,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> AsyncTransfer[encoder_pb2.EncodeSummary]:
        """Encode a video; see ``Client.encode_stream``. The source may also be an async iterable."""
        config = config or encoder_pb2.EncodeConfig()
        control = _control(control, deadline_s)
        return AsyncTransfer(self._encode(source, config, control), progress, control)

    async def encode(
        self,
        source: AsyncSource,
        destination: Destination,
        config: encoder_pb2.EncodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> encoder_pb2.EncodeSummary:
        """Encode a video into a file; see ``Client.encode``."""
        transfer = self.encode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return await _write_async(transfer, destination)

    def decode_stream(
        self,
        source: AsyncSource,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> AsyncTransfer[decoder_pb2.DecodeSummary]:
        """Decode a CMVC stream; see ``Client.decode_stream``. The source may also be an async iterable."""
        config = config or decoder_pb2.DecodeConfig()
        control = _control(control, deadline_s)
        return AsyncTransfer(self._decode(source, config, control), progress, control)

    async def decode(
        self,
        source: AsyncSource,
        destination: Destination,
        config: decoder_pb2.DecodeConfig | None = None,
        *,
        progress: ProgressCallback | None = None,
        deadline_s: float | None = None,
        control: Control | None = None,
    ) -> decoder_pb2.DecodeSummary:
        """Decode a CMVC stream into a file; see ``Client.decode``."""
        config = config or decode_config(name=_name(destination))
        transfer = self.decode_stream(source, config, progress=progress, deadline_s=deadline_s, control=control)
        return await _write_async(transfer, destination)

    async def inspect(self, source: Source) -> dict[str, Any]:
        """Return what is in a CMVC stream; see ``Client.inspect``."""
        return await asyncio.to_thread(Client().inspect, source)

    async def _encode(
        self, source: AsyncSource, config: encoder_pb2.EncodeConfig, control: Control
    ) -> AsyncGenerator[encoder_pb2.EncodeResponse]:
        with tracing.request("cmvc.encode", target=self._target) as span:
            if self._channel:
                method = VideoEncoderStub(self._channel).Encode
                responses = self._call(method, _ENCODE, config, source, control, span=span)
            elif isinstance(source, str | Path):
                local = load_encoder().encode(str(source), config, control, self._encoder)
                responses = self._run(span.carry(local), control)
            else:
                encode = load_encoder().encode
                responses = self._pump(
                    source, lambda file: span.carry(encode(file, config, control, self._encoder)), control
                )
            async with aclosing(responses):
                async for response in responses:
                    yield response

    async def _decode(
        self, source: AsyncSource, config: decoder_pb2.DecodeConfig, control: Control
    ) -> AsyncGenerator[decoder_pb2.DecodeResponse]:
        with tracing.request("cmvc.decode", target=self._target) as span:
            if self._channel:
                method = VideoDecoderStub(self._channel).Decode
                responses = self._call(method, _DECODE, config, source, control, span=span)
            else:
                decode = load_decoder().decode
                responses = self._pump(source, lambda file: span.carry(decode(file, config, control)), control)
            async with aclosing(responses):
                async for response in responses:
                    yield response

    async def _run(self, items: Iterator[Any], control: Control) -> AsyncGenerator[Any]:
        async with aclosing(in_thread(items, self._executor, control)) as responses:
            async for response in responses:
                yield response

    async def _pump(
        self, source: AsyncSource, start: Callable[[Any], Iterator[Any]], control: Control
    ) -> AsyncGenerator[Any]:
        file = ChunkSource(control)
        feeding = asyncio.create_task(_feed(source, file))
        try:
            async with aclosing(self._run(start(file), control)) as responses:
                async for response in responses:
                    yield response
        finally:
            file.abandon()
            feeding.cancel()
            await asyncio.wait([feeding])

    async def _call(
        self, method: Any, kind: Any, config: Any, source: AsyncSource, control: Control, *, span: tracing.AnySpan
    ) -> AsyncGenerator[Any]:
        control.check()
        failures: list[BaseException] = []
        requests = _async_requests(kind, config, source, failures)
        metadata = (*self._metadata, *span.metadata())
        call = method(requests, timeout=control.remaining(), metadata=metadata)
        loop = asyncio.get_running_loop()
        control.on_cancel(lambda: loop.call_soon_threadsafe(call.cancel))
        try:
            async for response in call:
                yield response
        except grpc.RpcError as failed:
            raise _cause(failed, failures, control, self._target) from None
        except asyncio.CancelledError:
            if asked_to_stop():
                raise
            raise failures[0] if failures else CancelledError("the call was cancelled") from None
        finally:
            call.cancel()


async def _write_async(transfer: AsyncTransfer[Summary], destination: Destination) -> Summary:
    async with transfer:
        with _open_destination(destination) as file:
            async for data in transfer:
                file.write(data)
            return transfer.summary


async def _read(source: AsyncSource) -> AsyncGenerator[bytes]:
    """Yield the source's bytes in pieces that fit a chunk; files are read in a thread."""
    if isinstance(source, AsyncIterable):
        async for part in source:
            for start in range(0, len(part), CHUNK_BYTES):
                yield part[start : start + CHUNK_BYTES]
        return
    with open_source(source) as file:
        read = getattr(file, "read1", file.read)
        while data := await asyncio.to_thread(read, CHUNK_BYTES):
            yield data


async def _feed(source: AsyncSource, file: ChunkSource) -> None:
    try:
        async with aclosing(_read(source)) as parts:
            async for data in parts:
                await file.feed(data)
    except (OSError, ValueError, CmvcError) as error:
        file.finish(error)
    else:
        file.finish()


async def _async_requests(
    kind: Any, config: Any, source: AsyncSource, failures: list[BaseException]
) -> AsyncGenerator[Any]:
    yield kind(config=config)
    try:
        async with aclosing(_read(source)) as parts:
            async for data in parts:
                yield kind(chunk=make_chunk(data))
    except (OSError, ValueError, CmvcError) as error:
        failures.append(error)
        raise


__all__ = ["AsyncClient", "AsyncTransfer", "Client", "Transfer"]
