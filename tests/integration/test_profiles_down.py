"""One model that is down: what needs it goes elsewhere or waits, and everything else is decoded as before."""

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from scripted_decoders import WHOLE, Decoder, asked_to_go_on, decoded, gateway
from servers import servers, until
from streams import stream
from text_streams import text_stream
from triton_server import free_port

from cmvc.client import Client
from cmvc.errors import BackendUnavailableError
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub

pytest.importorskip("tritonclient", reason="Triton's client is not installed")
PROFILE = "wan-vace-1.3b"
DECODER = "cmvc.v1.VideoDecoder"
TEXT = text_stream(3)


@pytest.fixture(scope="module")
def fleet():
    """A decoder whose Triton is not there, and a gateway in front of it."""
    with servers() as start:
        triton = ("--triton", f"127.0.0.1:{free_port()}")
        decoder = start("decoder", f"--profile={PROFILE}", "--profile=embedded", *triton)
        yield decoder, start("gateway", f"--decoder={decoder.address}", "--wait=1")


def statuses(server, *names):
    with grpc.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answers = [health.Check(health_pb2.HealthCheckRequest(service=name)) for name in names]
    return [answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers]


def capabilities(server) -> Message:
    with grpc.insecure_channel(server.address) as channel:
        request = decoder_pb2.VideoDecoderGetCapabilitiesRequest()
        return VideoDecoderStub(channel).GetCapabilities(request)


def test_health_is_told_of_each_profile(fleet):
    decoder, gateway = fleet
    names = (DECODER, f"{DECODER}/{PROFILE}", f"{DECODER}/embedded", "")
    assert statuses(decoder, *names) == [True, False, True, False]
    until(lambda: statuses(gateway, DECODER) == [True], "the gateway has seen its decoder")
    assert statuses(gateway, *names) == [True, False, True, True]
    for server in fleet:
        assert {each.id: each.model_down for each in capabilities(server).profiles} == {
            PROFILE: True,
            "embedded": False,
        }
    assert decoder.metric(f'cmvc_profile_up{{profile="{PROFILE}"}}') == 0
    assert decoder.metric('cmvc_profile_up{profile="embedded"}') == 1


@pytest.mark.parametrize("profile", ["embedded", PROFILE])
def test_a_dead_model_stops_neither_other_profiles_nor_coded_segments(fleet, profile):
    data = stream(3, profile=profile)
    for server in fleet:
        with Client(server.address) as client:
            assert list(client.decode_stream([data]))


def test_what_needs_the_dead_model_is_said_to_be_unavailable_and_takes_nothing_along(fleet):
    _, gateway = fleet
    with Client(gateway.address) as client:
        with pytest.raises(BackendUnavailableError, match="no decoder that can do this is up"):
            list(client.decode_stream([TEXT]))
        assert list(client.decode_stream([stream(3)]))


async def test_segments_that_need_a_model_go_where_it_works():
    dead, well = asked_to_go_on(None, None)
    dead.model_down = True
    async with gateway(dead, well) as client:
        assert b"".join([part async for part in client.decode_stream([TEXT])])
        assert not dead.asked
        assert await decoded(client, profile=PROFILE, frames=8) == WHOLE  # CODED
        assert dead.asked


async def test_work_waits_for_a_model_that_comes_back():
    async def dies(decoder, request, context):
        if len(decoder.asked) == 1:
            decoder.model_down = True
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the model is down")

    (only,) = decoders = asked_to_go_on(dies)
    seen = []
    answer = Decoder.GetCapabilities

    async def come_back(self, request, context):
        seen.append(only.model_down)
        only.model_down = only.model_down and seen.count(True) < 2
        return await answer(self, request, context)

    only.GetCapabilities = come_back.__get__(only)
    async with gateway(*decoders) as client:
        assert b"".join([part async for part in client.decode_stream([TEXT])])
    assert seen.count(True) == 2  # the one that found it down, and the one before it was back
    assert len(only.asked) == 4
