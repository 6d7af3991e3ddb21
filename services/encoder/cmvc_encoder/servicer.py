"""The encoder as a gRPC service: a thin skin over the pipeline."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import BinaryIO, cast

from attrs import evolve

from cmvc.bitstream.modes import MODE_NAMES
from cmvc.media.isolated.reader import warm_up
from cmvc.process import cores
from cmvc.server import telemetry
from cmvc.server.calls import Context, control_of, handled
from cmvc.server.telemetry import MetricsObserver
from cmvc.server.worker import Worker, begun, read_config
from cmvc.v1 import common_pb2, encoder_pb2
from cmvc.v1.encoder_pb2_grpc import VideoEncoderServicer
from cmvc.wire import tracing
from cmvc.wire.messages import encode_responses
from cmvc_encoder.capabilities import capabilities
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.pipeline import check_request, encode
from cmvc_encoder.semantics import extractor_names

NAME = encoder_pb2.DESCRIPTOR.services_by_name["VideoEncoder"].full_name


class EncoderServicer(VideoEncoderServicer):
    """Serves ``VideoEncoder``."""

    names: tuple[str, ...] = (NAME,)

    def __init__(self, running: int, waiting: int, options: EncoderOptions) -> None:
        isolate = "always" if options.isolate_media == "auto" else options.isolate_media
        self._options = evolve(options, jobs=options.jobs or max(cores() // running, 1), isolate_media=isolate)
        self._worker = Worker("encoder", running, waiting)
        self._ready = False
        # So that a rate over them is 0, not missing, before the first one.
        for mode in (common_pb2.MODE_UNSPECIFIED, *MODE_NAMES):
            telemetry.STREAMS_OVER_TARGET.labels(telemetry.asked_label(mode))
        for mode in MODE_NAMES:
            telemetry.AV1_STORED_PLAIN.labels(telemetry.mode_label(mode))
        for extractor in extractor_names(options):
            telemetry.SEMANTICS_FALLBACKS.labels(extractor)

    async def Encode(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[encoder_pb2.EncodeRequest], context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "Encode"):
            clock = telemetry.RequestClock("encode")
            control = control_of(context)
            config = await read_config(request_iterator)
            check_request(config, self._options)
            requests = await begun(request_iterator)
            seconds = 0.0
            observer = tracing.observed(MetricsObserver("encode"))
            responses = self._worker.transfer(
                requests,
                control,
                lambda source: encode_responses(
                    encode(cast(BinaryIO, source), config, control, observer=observer, options=self._options)
                ),
                beat=encoder_pb2.EncodeResponse(progress=common_pb2.Progress()),
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

    async def GetCapabilities(  # noqa: N802
        self,
        request: encoder_pb2.VideoEncoderGetCapabilitiesRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> encoder_pb2.VideoEncoderGetCapabilitiesResponse:
        """See the proto."""
        return capabilities(self._options)

    async def start(self) -> None:
        """Take work."""
        if self._options.isolate_media == "always":
            warm_up()
        self._ready = True

    def health(self) -> dict[str, bool]:
        """Return whether work is taken."""
        return {NAME: self._ready, "": self._ready}

    async def close(self) -> None:
        """Take no more work."""
        self._ready = False
        self._worker.close()
