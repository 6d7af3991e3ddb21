"""Traces over real servers, with a real receiver of OTLP: what is in one, and that errors and logs name it."""

import asyncio
import json
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from media_files import moving_frames, write_video
from servers import CMVC, PATIENCE_S, servers, until
from streams import stream

from benchmarks.trace import Receiver, draw
from cmvc.client import AsyncClient, Client
from cmvc.errors import CorruptStreamError, UnknownProfileError
from cmvc.settings import decode_config, encode_config
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer, VideoDecoderStub, add_VideoDecoderServicer_to_server
from cmvc.wire import tracing
from cmvc.wire.status import DETAILS_KEY

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def receiver(monkeypatch):
    """Receive the traces of this process and of those that it starts."""
    with Receiver() as receiver:
        for name, value in receiver.environment().items():
            monkeypatch.setenv(name, value)
        yield receiver
        tracing.stop()


@pytest.fixture
def start():
    with servers() as start:
        yield start


@pytest.fixture
def target(receiver, start):
    decoders = [start("decoder", "--running", "1").address for _ in range(2)]
    encoder = start("encoder").address
    return start("gateway", *(f"--decoder={each}" for each in decoders), f"--encoder={encoder}").address


def names(nodes):
    return sorted(node.name for node in nodes)


def only(nodes, name):
    (found,) = [node for node in nodes if node.name == name]
    return found


def test_a_decode_is_one_tree_from_the_client_to_the_generators(receiver, target, tmp_path):
    with Client(target) as client:
        client.decode([stream(segments=4)], tmp_path / "out.mp4")
    root = receiver.last()
    assert (root.name, root.service, root.parent_id) == ("cmvc.decode", "cmvc-client", "")
    (gateway,) = root.children
    assert (gateway.name, gateway.service, gateway.attributes["code"]) == ("gateway.Decode", "cmvc-gateway", "OK")
    for node in (root, gateway):
        assert {name: value for name, value in node.attributes.items() if name.startswith("rpc.")} == {
            "rpc.system": "grpc",
            "rpc.service": "cmvc.v1.VideoDecoder",
            "rpc.method": "Decode",
            "rpc.grpc.status_code": 0,
        }
    assert sorted(segment.attributes["index"] for segment in gateway.children) == [0, 1, 2, 3]
    for segment in gateway.children:
        assert segment.attributes | {"index": 0} == {
            "index": 0,
            "mode": "coded",
            "profile": "embedded",
            "cached": False,
        }
        (attempt,) = segment.children
        assert attempt.attributes["number"] == 1
        assert attempt.attributes["queue_seconds"] >= 0
        (decoder,) = attempt.children
        assert (decoder.name, decoder.service) == ("decoder.DecodeSegment", "cmvc-decoder")
        assert decoder.attributes["index"] == segment.attributes["index"]
        assert names(decoder.children) == ["anchors", "generate", "mux", "queue"]
    assert len({attempt.attributes["backend"] for segment in gateway.children for attempt in segment.children}) == 2
    assert len({node.trace_id for node in root.walk()}) == 1
    assert all(node.start <= node.end for node in root.walk())
    assert not any(node.error for node in root.walk())
    assert len(draw(root).splitlines()) == 2 + len(list(root.walk()))


def test_an_encode_is_a_tree_of_windows(receiver, start, tmp_path):
    gateway_alone = start("gateway", "--encoder", start("encoder").address)  # no decoder that lacks the profile
    with Client(gateway_alone.address) as client:
        client.encode(
            [write_video(moving_frames(24))],
            tmp_path / "clip.cmvc",
            encode_config(mode="it2v", bitrate="20k", profile="wan-vace-1.3b"),  # which reads captions
        )
    root = receiver.last()
    assert root.name == "cmvc.encode"
    (gateway,) = root.children
    assert gateway.name == "gateway.Encode"
    assert ":" in gateway.attributes["backend"]
    (encoder,) = gateway.children
    assert (encoder.name, encoder.service) == ("encoder.Encode", "cmvc-encoder")
    windows = [node for node in encoder.children if node.name == "window"]
    assert [window.attributes["index"] for window in windows] == list(range(len(windows)))
    for window in windows:
        assert {"ingest", "keyframe", "rate", "semantics"} == set(names(window.children))
        assert window.children[0].attributes["mode"] == "it2v"


def test_the_segment_of_a_killed_decoder_shows_both_attempts(receiver, start):
    decoders = [start("decoder", "--running", "1") for _ in range(2)]
    gateway = start("gateway", *(f"--decoder={each.address}" for each in decoders), "--log-format=json")
    decoders[0].send(signal.SIGSTOP)  # it holds what it is given, and has not answered when it is killed
    taken = threading.Thread(target=lambda: _decode(gateway.address), daemon=True)
    taken.start()
    until(lambda: _inflight(gateway) == 2, "each has one, or the stopped one what is left")
    decoders[0].send(signal.SIGKILL)
    taken.join(PATIENCE_S)
    root = receiver.last()
    (segments,) = [node.children for node in root.children]
    redriven = [segment for segment in segments if len(segment.children) > 1]
    assert redriven
    for segment in redriven:
        first, second = segment.children[0], segment.children[-1]
        assert (first.attributes["number"], second.attributes["number"]) == (1, len(segment.children))
        assert first.attributes["backend"] == decoders[0].address
        assert first.error.startswith("BACKEND_UNAVAILABLE: ")
        assert second.attributes["backend"] == decoders[1].address
        assert not second.error
        assert not segment.error
    lines = [json.loads(line) for line in gateway.lines]
    redrives = [line for line in lines if line["message"].endswith("is driven again (unavailable)")]
    assert len(redrives) == sum(len(segment.children) - 1 for segment in segments)
    spans = {segment.span_id for segment in redriven}
    assert all(line["trace_id"] == root.trace_id and line["span_id"] in spans for line in redrives)


def _decode(address):
    with Client(address) as client:
        for _ in client.decode_stream([stream(segments=8)]):
            pass


def _inflight(gateway):
    return gateway.metric('cmvc_inflight_segments{service="gateway"}')


def test_a_gateway_that_records_nothing_passes_the_trace_on(receiver, start, monkeypatch, tmp_path):
    decoder = start("decoder").address
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    gateway = start("gateway", f"--decoder={decoder}").address
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    with Client(gateway) as client:
        client.decode([stream(segments=2)], tmp_path / "out.mp4")
    root = receiver.last()
    assert names(root.children) == ["decoder.DecodeSegment"] * 2
    assert {node.service for node in root.walk()} == {"cmvc-client", "cmvc-decoder"}


def test_work_in_this_process_is_traced_too(receiver, tmp_path):
    with Client() as client:
        client.decode([stream(segments=2)], tmp_path / "out.mp4")
        assert tracing.ids() == ("", "")
    root = receiver.last()
    assert names(root.children) == ["segment"] * 2
    assert all(names(segment.children) == ["anchors", "generate", "mux"] for segment in root.children)


async def test_work_in_threads_of_this_process_is_traced_too(receiver, tmp_path):
    async with AsyncClient() as client:
        await client.decode([stream(segments=1)], tmp_path / "out.mp4")
    root = await asyncio.to_thread(receiver.last)
    assert (root.name, names(root.children)) == ("cmvc.decode", ["segment"])


class Recording(VideoDecoderServicer):
    """Refuses every call and keeps its metadata."""

    def __init__(self):
        self.metadata = []

    def Decode(self, request_iterator, context):  # noqa: N802
        self.metadata.append(dict(context.invocation_metadata()))
        context.abort(grpc.StatusCode.UNAVAILABLE, "no")


@pytest.fixture
def recording():
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = Recording()
    add_VideoDecoderServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield servicer
    server.stop(None)


def test_off_a_client_sends_no_metadata(recording):
    with Client(recording.address) as client, pytest.raises(ConnectionError) as caught:
        list(client.decode_stream([b"x"]))
    assert [key for key in recording.metadata[0] if key != "user-agent"] == []
    assert caught.value.trace_id == ""


def test_on_an_error_names_its_trace_even_where_the_server_does_not(receiver, recording):
    with Client(recording.address) as client, pytest.raises(ConnectionError) as caught:
        list(client.decode_stream([b"x"]))
    assert caught.value.trace_id == recording.metadata[0]["traceparent"].split("-")[1]


def test_off_servers_make_no_span_and_yet_name_the_callers_trace(start):
    with Receiver() as receiver:
        decoder = start("decoder").address
        gateway = start("gateway", f"--decoder={decoder}", "--log-format=json", "--log-level=info")
        with grpc.insecure_channel(gateway.address) as channel:
            request = decoder_pb2.DecodeRequest(config=decode_config(profile="abacus"))
            chunk = decoder_pb2.DecodeRequest()
            chunk.chunk.data = b"no stream"
            metadata = (("traceparent", TRACEPARENT),)
            with pytest.raises(grpc.RpcError) as caught:
                list(VideoDecoderStub(channel).Decode(iter([request, chunk]), metadata=metadata))
        assert _info(caught.value).metadata["trace_id"] == TRACE
        until(lambda: any("Decode ended" in line for line in gateway.lines), "the call is logged")
        lines = [json.loads(line) for line in gateway.lines if "Decode" in line]
        assert [line["trace_id"] for line in lines] == [TRACE] * len(lines)
        assert {line["service"] for line in lines} == {"cmvc-gateway"}
        assert receiver.nodes() == []


def _info(failed):
    (data,) = [value for key, value in failed.trailing_metadata() if key == DETAILS_KEY]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(data).details[0].Unpack(info)
    return info


def test_an_error_names_the_trace_that_it_is_in(receiver, target):
    with Client(target) as client, pytest.raises(UnknownProfileError) as caught:
        list(client.decode_stream([stream(segments=1, profile="abacus")]))
    root = receiver.last()
    assert caught.value.trace_id == root.trace_id
    segment = only(root.walk(), "segment")
    assert segment.error.startswith("UNKNOWN_PROFILE: ")
    assert only(root.walk(), "gateway.Decode").attributes["code"] == "FAILED_PRECONDITION"


def test_a_refusal_for_want_of_a_token_names_the_trace(receiver, start, tmp_path):
    (tmp_path / "tokens").write_text("secret\n")
    decoder = start("decoder", "--token-file", str(tmp_path / "tokens"))
    with Client(decoder.address) as client, pytest.raises(PermissionError) as caught:
        list(client.decode_stream([b"x"]))
    assert caught.value.trace_id == receiver.last().trace_id


def test_the_command_line_shows_the_trace_of_an_error(receiver, target, tmp_path):
    broken = bytearray(stream(segments=1))
    broken[20] ^= 0xFF
    (tmp_path / "broken.cmvc").write_bytes(broken)
    command = [*CMVC, "decode", str(tmp_path / "broken.cmvc"), str(tmp_path / "o.mp4"), "--target", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    shown = re.search(r"\(trace ([0-9a-f]{32})\)$", done.stderr.strip())
    assert shown, done.stderr
    assert receiver.last().trace_id == shown[1]


def test_in_this_process_an_error_names_its_trace(receiver):
    broken = bytearray(stream(segments=1))
    broken[20] ^= 0xFF
    with Client() as client, pytest.raises(CorruptStreamError) as caught:
        list(client.decode_stream([bytes(broken)]))
    assert caught.value.trace_id == receiver.last().trace_id


def test_a_collector_that_is_not_there_does_not_stop_the_work(start, monkeypatch, tmp_path):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    decoder = start("decoder")
    (tmp_path / "a.cmvc").write_bytes(stream(segments=1))
    command = [*CMVC, "decode", str(tmp_path / "a.cmvc"), str(tmp_path / "o.mp4"), "--target", decoder.address]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o.mp4").stat().st_size
    assert decoder.stop() == 0


def test_serve_all_logs_json_throughout(start):
    server = start("all", "--log-format=json")
    until(lambda: len(server.lines) >= 2, "it said where it listens")
    assert {json.loads(line)["service"] for line in server.lines} >= {"cmvc-gateway"}
