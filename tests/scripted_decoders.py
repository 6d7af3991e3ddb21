"""A gateway in front of decoders that do as a test says, all in the test's own process."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from streams import stream
from text_streams import FRAMES

from cmvc.client import AsyncClient
from cmvc.profiles.continuity import hands_on
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer, add_VideoDecoderServicer_to_server
from cmvc.wire.transfer import make_chunk
from cmvc_gateway.options import GatewayOptions
from cmvc_gateway.service import SERVICE

SEGMENTS = 6
WHOLE = b"P;" + b"".join(b"%d;" % n for n in range(SEGMENTS))
Response = decoder_pb2.DecodeSegmentResponse
Behaviour = Callable[["Decoder", decoder_pb2.DecodeSegmentRequest, grpc.aio.ServicerContext], Awaitable[None]]


class Health(health_pb2_grpc.HealthServicer):
    def __init__(self, decoder: "Decoder") -> None:
        self.decoder = decoder

    async def Check(self, request, context):  # noqa: N802
        status = health_pb2.HealthCheckResponse.SERVING if self.decoder.well else 2
        return health_pb2.HealthCheckResponse(status=status)


class Decoder(VideoDecoderServicer):
    """Answers segment n with "n;", once ``behave`` has let it."""

    def __init__(
        self,
        behave: Behaviour | None = None,
        profile: str = "embedded",
        prologue: bytes = b"P;",
        segments_at_once: int = 0,
        frames: int = 24,
        version: str = "",
    ) -> None:
        self.frames, self.version, self.well = frames, version, True
        self.model_down = False
        self.adapters: list[tuple[str, bytes]] | None = None  # cannot tell
        self.behave, self.profile, self.prologue = behave, profile, prologue
        self.segments_at_once = segments_at_once
        self.asked: list[int] = []
        self.at_once = self.most_at_once = 0

    async def DecodeSegment(self, request, context):  # noqa: N802
        self.asked.append(request.index)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.behave:
                await self.behave(self, request, context)
            data = b"%d;" % request.index
            if hands_on(request.profile, request.segment):
                await context.write(Response(tail=request.tail_before + data))
            if request.from_frame >= request.first_frame + self.frames:
                await context.write(Response(summary=decoder_pb2.DecodeSegmentSummary()))
                return
            data += request.tail_before
            await context.write(Response(prologue=self.prologue))
            await context.write(Response(data=make_chunk(data)))
            await context.write(Response(summary=decoder_pb2.DecodeSegmentSummary(frames=self.frames, bytes=len(data))))
        finally:
            self.at_once -= 1

    async def GetCapabilities(self, request, context):  # noqa: N802
        profile = decoder_pb2.ProfileCapability(id=self.profile, modes=[1, 2, 3, 4], model_down=self.model_down)
        if self.adapters is not None:
            there = [decoder_pb2.AdapterCapability(name=name, sha256=short) for name, short in self.adapters]
            profile.adapters.CopyFrom(decoder_pb2.AdapterList(adapters=there))
        return decoder_pb2.VideoDecoderGetCapabilitiesResponse(
            version=self.version, profiles=[profile], formats=[1, 2], segments_at_once=self.segments_at_once
        )

    async def Decode(self, request_iterator, context):  # noqa: N802
        raise NotImplementedError


@asynccontextmanager
async def serving(add):
    server = grpc.aio.server()
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def gateway(*decoders, **options):
    """Yield a client of a gateway in front of ``decoders``, with ``options`` of its own."""

    def add(decoder, server):
        add_VideoDecoderServicer_to_server(decoder, server)
        health_pb2_grpc.add_HealthServicer_to_server(Health(decoder), server)

    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(serving(lambda s, d=d: add(d, s))) for d in decoders]
        for decoder, address in zip(decoders, addresses, strict=True):
            decoder.address = address
        usual = {"max_requests": 4, "wait_s": 15.0, "stall_s": 5}
        chosen = GatewayOptions(encoders=[], decoders=addresses, **{**usual, **options})
        attached = []
        address = await stack.enter_async_context(serving(lambda s: attached.append(SERVICE.attach(s, chosen))))
        await attached[0].start()
        stack.push_async_callback(attached[0].close)
        yield await stack.enter_async_context(AsyncClient(address))


async def decoded(client, **options):
    return b"".join([part async for part in client.decode_stream([stream(SEGMENTS, **options)])])


def asked_to_go_on(*decoders):
    """Return decoders of a profile with a model."""
    return [Decoder(behave, "wan-vace-1.3b", frames=FRAMES) for behave in decoders]
