"""Clients that send nothing or read nothing lose their place, and hold none before there is work."""

import threading
import time

import grpc
import pytest
from servers import servers
from streams import stream

from cmvc.client import Client
from cmvc.errors import IdleError, OverloadedError
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire.status import from_rpc_error
from cmvc.wire.transfer import make_chunk


@pytest.fixture(scope="module")
def fleet():
    with servers() as start:
        decoder = start("decoder", "--running", "1", "--waiting", "0", "--idle", "2")
        encoder = start("encoder", "--running", "1", "--waiting", "0", "--idle", "2")
        behind = ("--decoder", decoder.address, "--encoder", encoder.address)
        gateway = start("gateway", *behind, "--max-requests", "1", "--idle", "2")
        yield {"decoder": decoder, "encoder": encoder, "gateway": gateway}


@pytest.fixture
def silent():
    """Yield what makes of a call's first messages requests that never end."""
    over = threading.Event()

    def requests(*first):
        yield from first
        over.wait()

    yield requests
    over.set()


def error_of(call):
    with pytest.raises(grpc.RpcError) as failed:
        for _ in call:
            pass
    return from_rpc_error(failed.value, "there")


def decoding(*data, output=0):
    config = decoder_pb2.DecodeRequest(config=decoder_pb2.DecodeConfig(format=output))
    return config, *(decoder_pb2.DecodeRequest(chunk=make_chunk(each)) for each in data)


def sending(config, request, data, size, over):
    """Yield a call's requests: so many bytes of ``data`` every half second, never silent for as long as it may be."""
    yield config
    for first in range(0, len(data), size):
        if over.wait(0.5):
            return
        yield request(chunk=make_chunk(data[first : first + size]))


@pytest.mark.parametrize("where", ["decoder", "encoder", "gateway"])
def test_a_call_that_drips_in_loses_its_place(fleet, where):
    over, errors = threading.Event(), []
    with grpc.insecure_channel(fleet[where].address) as channel:
        if where != "encoder":
            requests = sending(*decoding(), decoder_pb2.DecodeRequest, stream(segments=1), 4, over)
            errors.append(error_of(VideoDecoderStub(channel).Decode(requests, timeout=60)))
        if where != "decoder":
            config = encoder_pb2.EncodeRequest(config=encoder_pb2.EncodeConfig())
            video = b"\0\0\0\x20ftypisom" + bytes(40_000)
            requests = sending(config, encoder_pb2.EncodeRequest, video, 400, over)
            errors.append(error_of(VideoEncoderStub(channel).Encode(requests, timeout=60)))
        over.set()
    assert all(isinstance(error, IdleError) and "a second" in str(error) for error in errors), errors


@pytest.mark.parametrize("where", ["decoder", "gateway"])
def test_a_stream_that_comes_live_keeps_its_place(fleet, where):
    small = stream(segments=1, frames=2, width=64, height=64)
    live = sending(*decoding(), decoder_pb2.DecodeRequest, small, len(small) // 6, threading.Event())
    with grpc.insecure_channel(fleet[where].address) as channel:
        assert [answer for answer in VideoDecoderStub(channel).Decode(live) if answer.HasField("summary")]


@pytest.mark.parametrize("where", ["decoder", "gateway"])
def test_a_call_that_sends_nothing_holds_no_place_and_ends(fleet, silent, where):
    address = fleet[where].address
    with grpc.insecure_channel(address) as channel, Client(address) as client:
        calls = [VideoDecoderStub(channel).Decode(silent(*decoding())) for _ in range(3)]
        assert b"".join(client.decode_stream([stream(segments=1)]))
        assert all(isinstance(error_of(call), IdleError) for call in calls)


@pytest.mark.parametrize("where", ["decoder", "gateway"])
def test_a_call_that_stops_in_the_middle_gives_its_place_back(fleet, silent, where):
    address = fleet[where].address
    with grpc.insecure_channel(address) as channel, Client(address) as client:
        call = VideoDecoderStub(channel).Decode(silent(*decoding(stream(segments=1)[:-200])))
        assert isinstance(error_of(call), IdleError)
        assert b"".join(client.decode_stream([stream(segments=1)]))


def test_an_encoder_behind_a_gateway_is_given_back_too(fleet, silent):
    config = encoder_pb2.EncodeRequest(config=encoder_pb2.EncodeConfig())
    chunk = encoder_pb2.EncodeRequest(chunk=make_chunk(b"\0\0\0\x20ftypisom"))
    with grpc.insecure_channel(fleet["gateway"].address) as channel:
        error = error_of(VideoEncoderStub(channel).Encode(silent(config, chunk)))
    assert isinstance(error, IdleError)


@pytest.mark.parametrize("where", ["decoder", "gateway"])
def test_a_client_that_reads_nothing_gives_its_place_back(fleet, silent, where):
    address = fleet[where].address
    long = stream(segments=60)  # 130 MB of output, far more than flows into buffers
    requests = silent(*decoding(long, output=decoder_pb2.OUTPUT_FORMAT_Y4M))
    with grpc.insecure_channel(address) as channel, Client(address) as client:
        call = VideoDecoderStub(channel).Decode(requests)
        next(call)  # it holds the place
        made = b""
        while not made:  # until then the place is taken, and the call is refused as overloaded
            try:
                made = b"".join(client.decode_stream([stream(segments=1)]))
            except OverloadedError:
                time.sleep(0.2)
        call.cancel()
