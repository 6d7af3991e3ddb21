"""The decoder as a gRPC service: a thin skin over the pipeline."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from cmvc import __version__
from cmvc.bitstream.modes import mode_name
from cmvc.service import telemetry
from cmvc.service.calls import Context, control_of, handled
from cmvc.service.telemetry import MetricsObserver
from cmvc.service.worker import Worker, read_config
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer
from cmvc_decoder.generators.registry import make_generator, profile_ids
from cmvc_decoder.pipeline import decode, decode_segment

NAME = decoder_pb2.DESCRIPTOR.services_by_name["VideoDecoder"].full_name
FORMATS = (decoder_pb2.OUTPUT_FORMAT_FMP4, decoder_pb2.OUTPUT_FORMAT_Y4M)


def _profile_label(profile: str) -> str:
    """Return the profile as a label of metrics: only names served here, or any caller could add series without end."""
    return profile if profile in profile_ids() else "other"


def _stream_label(wanted: str) -> str:
    """Return the label of a whole stream's work; where ``wanted`` is empty the stream itself names the profile."""
    served = profile_ids()
    if not wanted and len(served) == 1:
        return served[0]  # measured is only what a profile served here works on, and there is one
    return _profile_label(wanted)


class DecoderServicer(VideoDecoderServicer):
    """Serves ``VideoDecoder``."""

    names: tuple[str, ...] = (NAME,)

    def __init__(self, running: int, waiting: int) -> None:
        self._worker = Worker("decoder", running, waiting)
        self._ready = False

    async def Decode(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[decoder_pb2.DecodeRequest], context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "Decode"):
            clock = telemetry.RequestClock("decode")
            control = control_of(context)
            config = await read_config(request_iterator)
            seconds = 0.0
            observer = MetricsObserver(_stream_label(config.profile))
            responses = self._worker.transfer(
                request_iterator, control, lambda source: decode(source, config, control, observer=observer)
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
            label = _profile_label(request.profile.id)
            observer = MetricsObserver(label)
            responses = self._worker.run(
                lambda: decode_segment(request, control, observer=observer),
                control,
                mode=mode_name(request.segment),
                profile=label,
            )
            async with aclosing(responses):
                async for response in responses:
                    await context.write(response)

    async def GetCapabilities(  # noqa: N802
        self,
        request: decoder_pb2.VideoDecoderGetCapabilitiesRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> decoder_pb2.VideoDecoderGetCapabilitiesResponse:
        """See the proto."""
        generators = [make_generator(name) for name in profile_ids()]
        return decoder_pb2.VideoDecoderGetCapabilitiesResponse(
            version=__version__,
            profiles=[
                decoder_pb2.ProfileCapability(id=each.id, revision=each.revision, modes=each.modes)
                for each in generators
            ],
            formats=FORMATS,
        )

    async def start(self) -> None:
        """Take work."""
        self._ready = True

    def health(self) -> dict[str, bool]:
        """Return whether work is taken."""
        return {NAME: self._ready, "": self._ready}

    async def close(self) -> None:
        """Take no more work."""
        self._ready = False
        self._worker.close()
