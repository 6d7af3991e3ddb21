"""Encoders that fall silent while they answer health checks, and what is not taken for that."""

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from media_files import moving_frames, write_video
from scripted_decoders import Health, serving
from servers import servers, until

from cmvc.bitstream.stream import StreamWriter
from cmvc.client import AsyncClient
from cmvc.errors import BackendUnavailableError, ServerError
from cmvc.settings import encode_config
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, encoder_pb2
from cmvc.v1.encoder_pb2_grpc import VideoEncoderServicer, VideoEncoderStub, add_VideoEncoderServicer_to_server
from cmvc.wire.transfer import make_chunk
from cmvc_gateway.options import GatewayOptions
from cmvc_gateway.service import SERVICE

Response = encoder_pb2.EncodeResponse
HEAD = StreamWriter(pb.StreamHeader(width=16, height=16, frame_rate_numerator=24), pb.ProfileTable()).open()
PARTS = (HEAD, b"one", b"two")


class Encoder(VideoEncoderServicer):
    """Takes any bytes for a video, and gives ``parts``; says nothing more after ``speaks`` of them."""

    def __init__(self, speaks: int = len(PARTS), works_s: float = 0.0, parts: tuple[bytes, ...] = PARTS) -> None:
        self.speaks, self.works_s, self.parts = speaks, works_s, parts
        self.asked, self.well = 0, True
        self.video = b""

    async def Encode(self, request_iterator, context):  # noqa: N802
        self.asked += 1
        self.video = b"".join([request.chunk.data async for request in request_iterator])
        for _ in range(7):
            await asyncio.sleep(self.works_s / 7)
            await context.write(Response(progress=common_pb2.Progress()))
        for part in self.parts[: self.speaks]:
            await context.write(Response(data=make_chunk(part)))
        if self.speaks < len(self.parts):
            await asyncio.sleep(3600)
        await context.write(Response(summary=encoder_pb2.EncodeSummary(frames=1)))

    async def GetCapabilities(self, request, context):  # noqa: N802
        return encoder_pb2.VideoEncoderGetCapabilitiesResponse(semantics=["embedded"], embeddings=["embedded"])


@asynccontextmanager
async def gateway(*encoders, stall_s):
    def add(encoder, server):
        add_VideoEncoderServicer_to_server(encoder, server)
        health_pb2_grpc.add_HealthServicer_to_server(Health(encoder), server)

    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(serving(lambda s, e=each: add(e, s))) for each in encoders]
        options = GatewayOptions(encoders=addresses, decoders=[], wait_s=15.0, stall_s=stall_s)
        attached = []
        address = await stack.enter_async_context(serving(lambda s: attached.append(SERVICE.attach(s, options))))
        await attached[0].start()
        stack.push_async_callback(attached[0].close)
        yield await stack.enter_async_context(AsyncClient(address))


async def encoded(client, *chunks, pause_s=0.0):
    async def source():
        for index, chunk in enumerate(chunks or (b"a video",)):
            await asyncio.sleep(pause_s * index)
            yield chunk

    return b"".join([part async for part in client.encode_stream(source())])


async def test_an_encoder_that_falls_silent_is_given_up_and_another_goes_on():
    silent, other = Encoder(speaks=2), Encoder()
    async with gateway(silent, other, stall_s=1.5) as client:
        while not silent.asked:
            assert await encoded(client) == b"".join(PARTS)
    assert other.video == b"a video"


async def test_a_stream_that_is_shorter_than_what_of_it_has_left_is_no_whole_one():
    silent, other = Encoder(speaks=2), Encoder(parts=(HEAD,))

    async def asked_of_both():
        while not silent.asked:
            assert await encoded(client) == HEAD

    async with gateway(silent, other, stall_s=1.5) as client:
        with pytest.raises(ServerError, match="write differently"):
            await asked_of_both()


async def test_a_video_that_silences_two_encoders_is_given_to_no_third():
    encoders = [Encoder(speaks=1) for _ in range(3)]
    async with gateway(*encoders, stall_s=0.3) as client:
        with pytest.raises(BackendUnavailableError, match="fell silent"):
            await encoded(client)
    assert sum(encoder.asked for encoder in encoders) == 2


async def test_an_encoder_that_waits_for_its_caller_or_tells_of_progress_is_not_silent():
    only = Encoder(works_s=3.5)
    async with gateway(only, stall_s=3.0) as client:
        assert await encoded(client, b"half ", b"of it", pause_s=3.5) == b"".join(PARTS)
    assert (only.asked, only.video) == (1, b"half of it")


def test_who_stands_in_an_encoders_line_hears_of_it():
    video = write_video(moving_frames(8))
    with servers() as start:
        encoder = start("encoder", "--running=1")
        release = threading.Event()

        def requests():
            yield encoder_pb2.EncodeRequest(config=encode_config())
            yield encoder_pb2.EncodeRequest(chunk=make_chunk(video[:100]))
            release.wait()
            yield encoder_pb2.EncodeRequest(chunk=make_chunk(video[100:]))

        with grpc.insecure_channel(encoder.address) as channel:
            first = VideoEncoderStub(channel).Encode(requests())
            working = 'cmvc_inflight_segments{service="encoder"}'
            until(lambda: encoder.metric(working) == 1, "the first has the place")
            second = VideoEncoderStub(channel).Encode(requests())
            beat = next(second)
            assert beat.WhichOneof("message") == "progress"
            assert beat.progress == common_pb2.Progress()
            release.set()
            assert list(first)[-1].HasField("summary")
            assert list(second)[-1].HasField("summary")
