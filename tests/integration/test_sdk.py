"""What a program does with the SDK besides encoding and decoding: ask, wait, try again; and what it is told at once."""

import asyncio
import io
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import pytest
from media_files import moving_frames, write_video
from servers import servers
from streams import stream

import cmvc
import cmvc.client
from cmvc import AsyncClient, Client, Retry, decode_config, encode_config
from cmvc.client import NO_RETRY
from cmvc.errors import BackendUnavailableError, ClosedError, DeadlineError, OverloadedError, error_classes
from cmvc.v1 import decoder_pb2, decoder_pb2_grpc
from cmvc.wire.status import DETAILS_KEY, GRPC_CODES, to_status
from cmvc.wire.transfer import make_chunk

QUICK = Retry(tries=5, first_s=0.01, most_s=0.05)


@pytest.fixture(scope="module")
def fleet():
    with servers() as start:
        encoder, decoder = start("encoder"), start("decoder")
        yield {
            "encoder": encoder.address,
            "decoder": decoder.address,
            "gateway": start("gateway", "--encoder", encoder.address, "--decoder", decoder.address).address,
            "here": None,
        }


@pytest.mark.parametrize(
    ("where", "encodes", "decodes"),
    [("here", True, True), ("gateway", True, True), ("encoder", True, False), ("decoder", False, True)],
)
def test_health_and_capabilities(fleet, where, encodes, decodes):
    with Client(fleet[where]) as client:
        health, found = client.health(), client.capabilities()
    assert (health.encodes, health.decodes) == (encodes, decodes)
    assert (found.encoder is not None, found.decoder is not None) == (encodes, decodes)
    if found.encoder:
        assert found.encoder.version == cmvc.__version__
        assert "embedded" in found.encoder.semantics
    if found.decoder:
        assert "embedded" in [each.id for each in found.decoder.profiles]


async def test_they_can_be_awaited(fleet):
    async with AsyncClient(fleet["gateway"]) as client:
        health, found = await asyncio.gather(client.health(), client.capabilities())
    assert health == cmvc.Health(encodes=True, decodes=True)
    assert found.decoder is not None


@pytest.mark.parametrize("ask", ["health", "capabilities"])
def test_nobody_there_is_an_error_not_a_no(ask):
    with Client("127.0.0.1:9", retry=QUICK) as client, pytest.raises(BackendUnavailableError):
        getattr(client, ask)()


def test_a_closed_client_asks_nobody():
    client = Client()
    client.close()
    with pytest.raises(ClosedError):
        client.health()


class Busy(decoder_pb2_grpc.VideoDecoderServicer):
    """Refuses the first calls, or breaks off after it has answered something, and says how often it was asked."""

    def __init__(self, error, refusals, answered=b""):
        self.error, self.left, self.answered = error, refusals, answered
        self.sources = []

    def Decode(self, requests, context):  # noqa: N802
        self.sources.append(b"".join(request.chunk.data for request in requests))
        if self.left:
            self.left -= 1
            if self.answered:
                yield decoder_pb2.DecodeResponse(data=make_chunk(self.answered))
            status = to_status(self.error)
            context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
            context.abort(GRPC_CODES[status.code], status.message)
        yield decoder_pb2.DecodeResponse(data=make_chunk(b"video"))
        yield decoder_pb2.DecodeResponse(summary=decoder_pb2.DecodeSummary(frames=1))


@pytest.fixture
def serve():
    started = []

    def start(servicer, address="127.0.0.1:0"):
        server = grpc.server(futures.ThreadPoolExecutor(4))
        decoder_pb2_grpc.add_VideoDecoderServicer_to_server(servicer, server)
        port = server.add_insecure_port(address)
        server.start()
        started.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop(None)


@pytest.mark.parametrize("error", [OverloadedError("busy", 0.01), BackendUnavailableError("away")])
def test_a_call_that_was_not_taken_is_made_again_with_the_whole_source(serve, tmp_path, error):
    (tmp_path / "in.cmvc").write_bytes(b"abc")
    busy = Busy(error, refusals=2)
    with Client(serve(busy), retry=QUICK) as client:
        assert b"".join(client.decode_stream([b"a", b"bc"])) == b"video"
        assert b"".join(client.decode_stream(tmp_path / "in.cmvc")) == b"video"
    assert busy.sources == 4 * [b"abc"]


async def test_an_async_call_is_too(serve):
    busy = Busy(OverloadedError("busy", 0.01), refusals=2)
    async with AsyncClient(serve(busy), retry=QUICK) as client:
        assert b"".join([data async for data in client.decode_stream(b"abc")]) == b"video"
    assert len(busy.sources) == 3


@pytest.mark.parametrize("source", ["iterator", "file"])
def test_what_cannot_be_read_again_is_sent_once(serve, source):
    busy = Busy(OverloadedError("busy", 0.01), refusals=1)
    given = iter([b"abc"]) if source == "iterator" else io.BytesIO(b"abc")
    with Client(serve(busy), retry=QUICK) as client, pytest.raises(OverloadedError):
        list(client.decode_stream(given))
    assert len(busy.sources) == 1


def test_what_was_answered_in_part_is_not_asked_for_again(serve):
    busy = Busy(BackendUnavailableError("away"), refusals=1, answered=b"half")
    with Client(serve(busy), retry=QUICK) as client, pytest.raises(BackendUnavailableError):
        list(client.decode_stream(b"abc"))
    assert len(busy.sources) == 1


def test_no_retry_tries_once(serve):
    busy = Busy(OverloadedError("busy", 0.01), refusals=1)
    with Client(serve(busy), retry=NO_RETRY) as client, pytest.raises(OverloadedError):
        list(client.decode_stream(b"abc"))


def test_a_server_that_comes_later_is_waited_for(serve):
    probe = grpc.server(futures.ThreadPoolExecutor(1))
    port = probe.add_insecure_port("127.0.0.1:0")
    probe.start()
    probe.stop(None).wait()
    found = []
    with Client(f"127.0.0.1:{port}", wait_for_ready=True, retry=NO_RETRY) as client:
        with pytest.raises(DeadlineError):
            list(client.decode_stream(b"abc", deadline_s=0.2))
        waiting = threading.Thread(target=lambda: found.extend(client.decode_stream(b"abc", deadline_s=60)))
        waiting.start()
        time.sleep(0.1)  # most likely it waits by now; either way it has to be answered
        serve(Busy(None, refusals=0), f"127.0.0.1:{port}")
        waiting.join()
    assert found == [b"video"]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.encode_stream(None),
        lambda client: client.encode_stream(7),
        lambda client: client.encode_stream({"a": 1}),
        lambda client: client.encode_stream(b"", decode_config()),
        lambda client: client.decode_stream(b"", encode_config()),
        lambda client: client.decode_stream(b"", "mp4"),
        lambda client: client.decode_stream(b"", deadline_s="5"),
        lambda client: client.decode_stream(b"", deadline_s=True),
        lambda client: client.decode_stream(b"", progress=3),
        lambda client: client.decode_stream(b"", control=3),
        lambda client: client.encode(b"", None),
        lambda client: client.decode(b"", 5),
        lambda client: client.inspect(None),
        lambda client: Client(50051),
        lambda client: Client("there:1", "token"),
        lambda client: Client("there:1", retry=3),
    ],
)
def test_wrong_types_are_told_at_once(call):
    with pytest.raises(TypeError):
        call(Client())


@pytest.mark.parametrize(
    "settings", [{"quality": "50"}, {"seed": 1.5}, {"latency_ms": "1"}, {"bitrate": [1]}, {"mode": 3}, {"profile": 1}]
)
def test_settings_of_a_wrong_type_are_told(settings):
    with pytest.raises(TypeError):
        encode_config(**settings)


def test_public_names_are_there_and_in_one_list():
    for name in cmvc.__all__:
        assert getattr(cmvc, name) is not None
    assert set(dir(cmvc)) >= set(cmvc.__all__)
    with pytest.raises(AttributeError):
        _ = cmvc.Nothing
    assert all(error.__module__.startswith("cmvc") for error in error_classes().values())


def test_importing_the_package_loads_no_client():
    code = "import sys, cmvc; print([name for name in ('grpc', 'cmvc.client', 'av', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_video_goes_there_and_back(fleet):
    video, out = write_video(moving_frames(24)), io.BytesIO()
    with Client(fleet["gateway"]) as client:
        summary = client.encode(video, out, encode_config(mode="coded", bitrate="40k"))
        assert summary.frames == 24
        assert b"".join(client.decode_stream(out.getvalue()))
        assert list(client.decode_stream(stream(segments=1)))
