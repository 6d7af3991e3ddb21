"""The decoder as a gRPC service: a thin skin over the pipeline."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from cmvc.bitstream.modes import mode_name
from cmvc.server import telemetry
from cmvc.server.calls import Context, control_of, handled
from cmvc.server.quotas import generated
from cmvc.server.telemetry import MetricsObserver
from cmvc.server.worker import Worker, begun, read_config
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer
from cmvc.wire import tracing
from cmvc.wire.messages import decode_responses, segment_responses
from cmvc_decoder.capabilities import capabilities
from cmvc_decoder.executors.base import Executor
from cmvc_decoder.memory import Memory
from cmvc_decoder.pipeline import check_request, decode, decode_segment
from cmvc_decoder.recent import RecentCallers

NAME = decoder_pb2.DESCRIPTOR.services_by_name["VideoDecoder"].full_name
SegmentResponse = decoder_pb2.DecodeSegmentResponse


async def _joined(responses: AsyncIterator[SegmentResponse]) -> AsyncGenerator[SegmentResponse]:
    """Send the prologue along with the first data and the summary with the last: a message costs more than its bytes.

    Data is held until it is known what follows. Whoever asks for single segments waits for whole ones.
    """
    held: SegmentResponse | None = None
    async for response in responses:
        if response.HasField("progress") or response.note or response.tail:  # the next waits for that
            yield response
        elif held is None:
            held = response
        elif response.HasField("data") and held.HasField("data"):
            yield held
            held = response
        else:
            held.MergeFrom(response)
    if held is not None:
        yield held


class _Counted(MetricsObserver):
    """Counts what models make for the caller, too."""

    def generation(self, pixel_steps: int) -> None:
        """Add it to what the caller has used."""
        generated(pixel_steps)


class DecoderServicer(VideoDecoderServicer):
    """Serves ``VideoDecoder``."""

    names: tuple[str, ...] = (NAME,)

    def __init__(self, executor: Executor, running: int, waiting: int, memory: Memory) -> None:
        self._executor = executor
        self._memory = memory
        self._served = tuple(facts.id for facts in executor.profiles())
        self._running, self._waiting = running, waiting
        self._callers = RecentCallers()
        self._worker = Worker("decoder", running, waiting)
        self._ready = False

    def _label(self, profile: str) -> str:
        """Return the profile as a label of metrics: only names served here, or callers could add series without end."""
        return profile if profile in self._served else "other"

    def _stream_label(self, wanted: str) -> str:
        """Return the label of a whole stream's work; where ``wanted`` is empty the stream itself names the profile."""
        if not wanted and len(self._served) == 1:
            return self._served[0]  # measured is only what a profile served here works on, and there is one
        return self._label(wanted)

    async def Decode(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[decoder_pb2.DecodeRequest], context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "Decode"):
            clock = telemetry.RequestClock("decode")
            control = control_of(context)
            config = await read_config(request_iterator)
            check_request(config, self._executor)
            requests = await begun(request_iterator)
            seconds = 0.0
            observer = tracing.observed(_Counted("decode", self._stream_label(config.profile)))
            responses = self._worker.transfer(
                requests,
                control,
                lambda source: decode_responses(
                    decode(source, config, control, self._executor, observer=observer, memory=self._memory)
                ),
            )
            async with aclosing(responses):
                async for response in responses:
                    kind = response.WhichOneof("message")
                    if kind == "data":
                        clock.output()
                    elif kind == "progress":
                        seconds = response.progress.seconds_done
                    await context.write(response)
            clock.done(seconds)

    async def DecodeSegment(  # type: ignore[override]  # noqa: N802
        self, request: decoder_pb2.DecodeSegmentRequest, context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "DecodeSegment"):
            control = control_of(context)
            label = self._label(request.profile.id)
            observer = tracing.observed(_Counted("decode", label))
            tracing.current().set(index=request.index, mode=mode_name(request.segment), profile=label)
            records = decode_segment(request, control, self._executor, observer=observer)
            responses = self._worker.run(
                lambda: segment_responses(self._memory.in_turn(request.header, control, records)),
                control,
                beat=SegmentResponse(progress=common_pb2.Progress()),
                mode=mode_name(request.segment),
                profile=label,
            )
            with self._callers.working(context.peer()):
                async with aclosing(responses), aclosing(_joined(responses)) as messages:
                    async for message in messages:
                        await context.write(message)

    async def GetCapabilities(  # noqa: N802
        self,
        request: decoder_pb2.VideoDecoderGetCapabilitiesRequest,  # noqa: ARG002
        context: Context,
    ) -> decoder_pb2.VideoDecoderGetCapabilitiesResponse:
        """See the proto."""
        callers = self._callers.count(with_one=context.peer())
        return capabilities(self._executor, self._running, self._waiting, callers)

    async def start(self) -> None:
        """Load what is served, then take work."""
        await self._worker.prepare(self._executor.start)
        self._ready = True

    def health(self) -> dict[str, bool]:
        """Return whether work is taken, whether that of each profile would be done, and, all in all, that of all.

        Work is taken while models are down: CODED segments need none, nor do other profiles.
        """
        works = {each: self._ready and self._executor.works(each) for each in self._served}
        for profile, well in works.items():
            telemetry.PROFILE_UP.labels(profile).set(int(well))
        by_profile = {f"{NAME}/{each}": well for each, well in works.items()}
        return {NAME: self._ready, **by_profile, "": self._ready and all(works.values())}

    async def close(self) -> None:
        """Take no more work."""
        self._ready = False
        self._worker.close()
        await asyncio.to_thread(self._executor.close)
