"""The gateway's two services: the same as an encoder's and a decoder's, over many of them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import grpc

from cmvc import records
from cmvc.bitstream.header import check_header
from cmvc.bitstream.packets import ByteSource, read_packets
from cmvc.bitstream.stream import check_frames, check_generation
from cmvc.bitstream.work import check_whole, frames_wanted, open_stream, part_in, segment_requests
from cmvc.control import Control
from cmvc.errors import BackendUnavailableError, CancelledError, CmvcError, ServerError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.profiles.continuity import hands_on
from cmvc.server import telemetry
from cmvc.server.calls import Context, control_of, handled
from cmvc.server.slots import Slots
from cmvc.server.tenant import tenant
from cmvc.server.worker import begun, feed, read_config
from cmvc.settings import ADAPTER_SETTING
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer
from cmvc.v1.encoder_pb2_grpc import VideoEncoderServicer
from cmvc.wire import tracing
from cmvc.wire.bridge import ChunkSource, in_thread
from cmvc.wire.messages import decode_summary, progress_message
from cmvc.wire.status import from_rpc_error
from cmvc.wire.transfer import checked, make_chunk, make_chunks
from cmvc_gateway import upstream
from cmvc_gateway.attempts import STRIKES, TRIES, StalledError
from cmvc_gateway.backends import DecoderCapabilities, EncoderCapabilities, Pool
from cmvc_gateway.capabilities import all_decoders, all_encoders
from cmvc_gateway.checks import check_decode, check_encode
from cmvc_gateway.flow import Flow
from cmvc_gateway.released import Released
from cmvc_gateway.room import Room
from cmvc_gateway.spread import Job, Spreader, Work
from cmvc_gateway.upload import Upload

log = logging.getLogger(__name__)
DEFAULT_MODEL = "embedded"  # what an encode config means that names no extractor or embedding
REQUESTS_PER_ENCODER = 64  # beyond that the encoder itself refuses

Response = decoder_pb2.DecodeResponse


class GatewayEncoder(VideoEncoderServicer):
    """Serves ``VideoEncoder``: each whole video goes to the encoder that has least to do."""

    def __init__(
        self,
        pool: Pool[EncoderCapabilities],
        decoders: Pool[DecoderCapabilities],
        slots: Slots,
        room: Room,
        threads: int,
        *,
        stall_s: float,
    ) -> None:
        self._pool = pool
        self._stall_s = stall_s
        self._room = room
        self._decoders = decoders
        self._slots = slots
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="cmvc-gateway-encode")

    def close(self) -> None:
        """End the threads once they are idle."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def Encode(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[encoder_pb2.EncodeRequest], context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "Encode"):
            control = control_of(context)
            clock = telemetry.RequestClock("encode")
            config = await read_config(request_iterator)
            if ADAPTER_SETTING in config.profile.settings:  # one may have been installed since
                await self._decoders.ask_again()
            check_encode(config, self._decoders.known())
            upload_of = await begun(request_iterator)
            async with self._slots.take(tenant()):
                upload = Upload(upload_of, self._room)
                try:
                    await self._encode(config, upload, control, _Relay(context, config, clock))
                finally:
                    await upload.close()

    async def _encode(
        self, config: encoder_pb2.EncodeConfig, upload: Upload, control: Control, relay: "_Relay"
    ) -> None:
        """Have an encoder do the work, and another where that dies; not one more where two fell silent over it."""
        avoid, tries, strikes = "", 0, 0
        while True:
            with control.part() as part:
                try:
                    await self._attempt(config, upload, part, relay, avoid)
                except _EncoderGoneError as gone:
                    tries += 1
                    strikes += isinstance(gone.error, StalledError)
                    if not upload.whole or tries >= TRIES or strikes >= STRIKES:
                        raise gone.error from None
                    avoid = gone.address
                    telemetry.SEGMENTS_REDRIVEN.labels("encoder").inc()
                    log.warning("a video is given to another encoder: %s", gone.error)
                    relay.again()
                else:
                    return

    async def _attempt(
        self, config: encoder_pb2.EncodeConfig, upload: Upload, control: Control, relay: "_Relay", avoid: str
    ) -> None:
        able, arrived = _able(config, self._pool.known()), time.monotonic()
        async with self._pool.lease(able, lambda _: REQUESTS_PER_ENCODER, avoid=avoid, tenant=tenant()) as backend:
            span = tracing.current()
            span.set(backend=backend.address, queue_seconds=time.monotonic() - arrived)
            metadata = (*self._pool.metadata, *span.metadata())
            assert backend.blocking is not None
            answers = upstream.encode(
                backend.blocking,
                config,
                upload.read(),
                control,
                executor=self._executor,
                metadata=metadata,
                calls=backend.calls,
                stall_s=self._stall_s,
            )
            try:
                async with aclosing(answers):
                    await relay.pass_on(answers)
                self._pool.worked(backend)
            except (grpc.RpcError, StalledError) as failed:
                error = failed if isinstance(failed, StalledError) else _error_of(failed, backend.address)
                if isinstance(error, BackendUnavailableError | ServerError):
                    self._pool.failed(backend, error)
                if isinstance(error, BackendUnavailableError):
                    raise _EncoderGoneError(error, backend.address) from None
                raise error from None

    async def GetCapabilities(  # noqa: N802
        self,
        request: encoder_pb2.VideoEncoderGetCapabilitiesRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> encoder_pb2.VideoEncoderGetCapabilitiesResponse:
        """See the proto; the union of all encoders."""
        return all_encoders(self._pool.known())


def _able(config: encoder_pb2.EncodeConfig, known: list[EncoderCapabilities]) -> Callable[[EncoderCapabilities], bool]:
    """Return whether an encoder has the extractor and embedding asked for; any will do where none has: it says so."""

    def able(each: EncoderCapabilities) -> bool:
        semantics, embedding = config.semantics or DEFAULT_MODEL, config.keyframes.embedding or DEFAULT_MODEL
        return semantics in each.semantics and embedding in each.embeddings

    return able if any(map(able, known)) else lambda _: True


def _error_of(failed: Any, address: str) -> CmvcError:
    """Return why an encoder's call ended; nobody here has cancelled it."""
    error = from_rpc_error(failed, address)
    if isinstance(error, CancelledError):
        return BackendUnavailableError(f"the encoder {address} is shutting down; send the video again")
    return error


class _EncoderGoneError(Exception):
    """The encoder at ``address`` did not come to the end of a call; ``error`` says how it ended."""

    def __init__(self, error: CmvcError, address: str) -> None:
        super().__init__(str(error))
        self.error, self.address = error, address


class _Relay:
    """Passes an encoder's answers on to the client; of another's, that begins anew, only what the client lacks."""

    def __init__(self, context: Context, config: encoder_pb2.EncodeConfig, clock: telemetry.RequestClock) -> None:
        self._context, self._config, self._clock = context, config, clock
        self._released = Released("encoders")
        self._frames, self._seconds = 0, 0.0
        self._head = b""

    def again(self) -> None:
        """Expect everything once more."""
        self._released.again()

    async def pass_on(self, call: AsyncIterator[encoder_pb2.EncodeResponse]) -> None:
        """Write the answers of a call."""
        async for response in call:
            if response.HasField("data"):
                await self._data(self._released.new(checked(response.data)))
            elif response.HasField("progress"):
                await self._progress(response)
            else:
                self._released.end()
                summary = response.summary
                bits = _bits_per_pixel(self._head, summary)
                telemetry.encoded_stream(self._config.mode, summary.bits_per_second, bits)
                await self._context.write(response)
                self._clock.done(self._seconds)

    async def _data(self, data: bytes) -> None:
        if data:
            self._clock.output()
            self._head = self._head or data
            await self._context.write(encoder_pb2.EncodeResponse(data=make_chunk(data)))

    async def _progress(self, response: encoder_pb2.EncodeResponse) -> None:
        if response.progress.frames_done >= self._frames:
            self._frames, self._seconds = response.progress.frames_done, response.progress.seconds_done
            await self._context.write(response)


def _bits_per_pixel(head: bytes, summary: encoder_pb2.EncodeSummary) -> float:
    """Return the bits per source pixel of a stream that passed through; its header is among the bytes of ``head``."""
    header = next(read_packets(BytesIO(head))).packet.header
    pixels = header.width * header.height * summary.frames
    return 8 * summary.stream_bytes / pixels if pixels else 0.0


@dataclass
class _Found:
    """What reading a stream has shown so far, beside its segments.

    Attributes:
        frames: that are asked for; 0 while its end has not come.
        notes: what the user should know.
    """

    frames: int = 0
    notes: list[str] = field(default_factory=list)


def read_works(source: ByteSource, config: decoder_pb2.DecodeConfig, found: _Found) -> Iterator[Work]:
    """Yield the work of each segment that is asked for of a stream; blocking. Damage at its end becomes a note.

    Raises:
        CmvcError: the stream has no whole segment, or the part that is asked for is none.
    """
    reader = open_stream(source, config)
    before, goes_on = 0, False
    for placed, request in segment_requests(reader, config):
        frames = frames_wanted(placed, request)
        before += frames
        if placed.closes_stream:
            found.frames = before
        yield Work(request, frames, placed.offset + placed.size, placed.size, goes_on)
        goes_on = hands_on(request.profile, request.segment)
    if reader.damage:
        found.notes.append(f"{reader.damage.reason}: {reader.damage}; decoded up to there")


class _Output:
    """Writes the results of one stream to its client, and keeps count."""

    def __init__(self, context: Context, found: _Found) -> None:
        self._context = context
        self._found = found
        self._clock = telemetry.RequestClock("decode")
        self._prologue: bytes | None = None
        self._meter: telemetry.StreamMeter | None = None
        self.frames = self.segments = self._told = 0
        self._seconds = 0.0

    async def prologue(self, prologue: bytes) -> None:
        """Write the prologue once; later ones have to be the same.

        Raises:
            ServerError: they are not, so that the segments would not make one video.
        """
        if self._prologue is None:
            self._prologue = prologue
            await self._write(make_chunks(prologue))
        elif prologue != self._prologue:
            raise ServerError("two decoders write differently; run the same version and FFmpeg on all of them")

    async def part(self, flow: Flow) -> None:
        """Write what has come of the next segment."""
        await self.prologue(flow.prologue)
        await self._write(flow.take())

    async def segment(self, work: Work, chunks: Iterator[common_pb2.Chunk]) -> None:
        """Write what is left of one segment and where the stream has come."""
        await self._write(chunks)
        header = work.request.header
        self.frames += work.frames
        self.segments += 1
        self._seconds = self.frames * (header.frame_rate_denominator or 1) / header.frame_rate_numerator
        self._told = max(self._told, self.frames)
        await self._tell(stream_bytes=work.stream_end, seconds_done=self._seconds)
        if self._meter is None:
            self._meter = telemetry.StreamMeter(header)
        self._meter.segment(work.request.segment, work.frames, work.size)

    def noted(self, notes: Sequence[str]) -> None:
        """Keep notes of a segment for the summary, each once, as far as there is room for them."""
        room = max(DEFAULT_LIMITS.stream_notes - len(self._found.notes), 0)
        self._found.notes += [note for note in notes if note not in self._found.notes][:room]

    async def in_work(self, frames: int) -> None:
        """Tell of ``frames`` done of segments that are not whole yet, where that is more than was told of."""
        if self.frames + frames > self._told:
            self._told = self.frames + frames
            await self._tell()

    async def _tell(self, stream_bytes: int = 0, seconds_done: float = 0.0) -> None:
        progress = records.Progress(self._told, self._found.frames, stream_bytes, seconds_done)
        await self._context.write(Response(progress=progress_message(progress)))

    async def end(self) -> None:
        """Write the summary."""
        self._clock.done(self._seconds)
        summary = records.DecodeSummary(self.frames, self.segments, self._found.notes)
        await self._context.write(Response(summary=decode_summary(summary)))

    async def _write(self, chunks: Iterator[common_pb2.Chunk]) -> None:
        for chunk in chunks:
            self._clock.output()
            await self._context.write(Response(data=chunk))


class GatewayDecoder(VideoDecoderServicer):
    """Serves ``VideoDecoder``: the segments of one stream go to all decoders."""

    def __init__(self, pool: Pool[DecoderCapabilities], spreader: Spreader, slots: Slots, threads: int) -> None:
        self._pool = pool
        self._spreader = spreader
        self._slots = slots
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="cmvc-gateway")

    async def Decode(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[decoder_pb2.DecodeRequest], context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "Decode"):
            control = control_of(context)
            found = _Found()
            output = _Output(context, found)
            config = await read_config(request_iterator)
            check_decode(config, self._pool.known())
            requests = await begun(request_iterator)
            async with self._slots.take(tenant()):
                source = ChunkSource(control)
                feeding = asyncio.create_task(feed(requests, source))
                try:
                    await self._decode(read_works(source, config, found), control, output)
                finally:
                    source.abandon()
                    feeding.cancel()
                    await asyncio.wait([feeding])

    async def _decode(self, to_read: Iterator[Work], control: Control, output: _Output) -> None:
        works = in_thread(to_read, self._executor, control, results_ahead=1)
        async with aclosing(works), aclosing(self._spreader.results(works, control, tenant())) as results:
            async for item in results:
                if isinstance(item, int):
                    await output.in_work(item)
                    continue
                if isinstance(item, Flow):
                    await output.part(item)
                    continue
                work, result, flow = item
                output.noted(result.notes)
                if work.frames:  # else it was made for what goes on from it
                    await output.prologue(result.prologue)
                    await output.segment(work, flow.rest(result.chunks(), result.size))
        await output.end()

    async def DecodeSegment(  # type: ignore[override]  # noqa: N802
        self, request: decoder_pb2.DecodeSegmentRequest, context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "DecodeSegment"), self._slots.take(tenant()):
            check_whole(request)
            check_header(request.header, None, DEFAULT_LIMITS)
            frames = check_frames(request.segment, request.header, DEFAULT_LIMITS)
            check_generation(request.segment, request.header, request.profile, DEFAULT_LIMITS)
            wanted = part_in(request).of_run(request.first_frame, frames)
            job = Job(request, len(wanted), control_of(context), tenant())
            job.next.set()
            result = await self._spreader.drive(job)
            try:
                for note in result.notes:
                    await context.write(decoder_pb2.DecodeSegmentResponse(note=note))
                if result.tail:
                    await context.write(decoder_pb2.DecodeSegmentResponse(tail=result.tail))
                if result.frames:
                    await context.write(decoder_pb2.DecodeSegmentResponse(prologue=result.prologue))
                size, frames = result.size, result.frames
                for chunk in result.chunks():
                    await context.write(decoder_pb2.DecodeSegmentResponse(data=chunk))
                summary = decoder_pb2.DecodeSegmentSummary(frames=frames, bytes=size)
                await context.write(decoder_pb2.DecodeSegmentResponse(summary=summary))
            finally:
                result.drop()

    async def GetCapabilities(  # noqa: N802
        self,
        request: decoder_pb2.VideoDecoderGetCapabilitiesRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> decoder_pb2.VideoDecoderGetCapabilitiesResponse:
        """See the proto; the union of all decoders."""
        return all_decoders(self._pool.known(), self._pool.able())

    def close(self) -> None:
        """End the threads once they are idle."""
        self._executor.shutdown(wait=False, cancel_futures=True)
