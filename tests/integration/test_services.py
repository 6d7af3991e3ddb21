"""Gateway, encoder and decoders as real processes: the same bytes as in-process, and the truth about themselves."""

import asyncio
import io

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from media_files import moving_frames, write_video
from servers import servers, until
from streams import stream

from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.work import segment_request
from cmvc.client import AsyncClient, Client
from cmvc.errors import BitstreamError, MediaError, UnknownExtractorError, UnknownProfileError
from cmvc.settings import decode_config, encode_config
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire.transfer import checked

ENCODER, DECODER = "cmvc.v1.VideoEncoder", "cmvc.v1.VideoDecoder"
NAMES = (
    "cmvc_stream_bits_per_second",
    "cmvc_stream_bits_per_pixel",
    "cmvc_payload_bytes_total",
    "cmvc_segment_seconds",
    "cmvc_first_byte_seconds",
    "cmvc_realtime_factor",
    "cmvc_inflight_segments",
    "cmvc_queue_depth",
    "cmvc_segments_redriven_total",
    "cmvc_requests_total",
    "cmvc_backend_up",
    "cmvc_build_info",
)


@pytest.fixture(scope="module")
def start():
    with servers() as starter:
        yield starter


@pytest.fixture(scope="module")
def encoder(start):
    return start("encoder")


@pytest.fixture(scope="module")
def decoders(start):
    return [start("decoder"), start("decoder")]


@pytest.fixture(scope="module")
def gateway(start, encoder, decoders):
    behind = [argument for each in decoders for argument in ("--decoder", each.address)]
    return start("gateway", "--encoder", encoder.address, *behind, "--reflection")


@pytest.fixture(scope="module")
def video():
    return write_video(moving_frames(48))


def encoded(target, video, **settings):
    out = io.BytesIO()
    with Client(target) as client:
        summary = client.encode(io.BytesIO(video), out, encode_config(**settings))
    assert summary.stream_bytes == len(out.getvalue())
    return out.getvalue(), summary


@pytest.mark.parametrize("mode", ["auto", "coded", "vt2v", "it2v", "tt2v"])
def test_every_path_gives_the_same_bytes(gateway, encoder, decoders, video, mode):
    here, summary = encoded(None, video, mode=mode, bitrate="40k")
    assert summary.frames == 48
    assert encoded(gateway.address, video, mode=mode, bitrate="40k")[0] == here
    assert encoded(encoder.address, video, mode=mode, bitrate="40k")[0] == here
    for output in ("mp4", "y4m"):
        config = decode_config(output=output)
        expected = b"".join(Client().decode_stream([here], config))
        for target in (gateway.address, decoders[0].address):
            with Client(target) as client:
                assert b"".join(client.decode_stream([here], config)) == expected


@pytest.mark.parametrize("remote", [False, True])
async def test_async_client_gives_the_same_bytes(gateway, video, tmp_path, remote):
    (tmp_path / "in.mkv").write_bytes(video)
    expected, _ = encoded(None, video, bitrate="40k")
    seen = []

    async def parts():
        for start in range(0, len(video), 1000):
            yield video[start : start + 1000]

    async with AsyncClient(gateway.address if remote else None) as client:
        config = encode_config(bitrate="40k")
        await client.encode(tmp_path / "in.mkv", tmp_path / "a.cmvc", config, progress=seen.append)
        assert (tmp_path / "a.cmvc").read_bytes() == expected
        assert b"".join([data async for data in client.encode_stream(parts(), config)]) == expected
        await asyncio.gather(
            client.decode(tmp_path / "a.cmvc", tmp_path / "a.y4m"), client.decode([expected], tmp_path / "b.y4m")
        )
        found = await client.inspect(tmp_path / "a.cmvc")
    Client().decode(tmp_path / "a.cmvc", tmp_path / "c.y4m")
    assert (tmp_path / "a.y4m").read_bytes() == (tmp_path / "b.y4m").read_bytes() == (tmp_path / "c.y4m").read_bytes()
    assert found["totals"]["bytes"] == len(expected)
    assert seen[-1].frames_done == 48


@pytest.mark.parametrize("where", ["here", "gateway", "decoder"])
def test_decode_errors_are_the_same_everywhere(gateway, decoders, where):
    target = {"here": None, "gateway": gateway.address, "decoder": decoders[0].address}[where]
    whole = stream(segments=2)
    broken = bytearray(whole)
    broken[80] ^= 1  # in the first segment
    with Client(target) as client:
        for data, config, kind, reason in (
            (b"no stream", decode_config(), BitstreamError, "NOT_CMVC"),
            (b"", decode_config(), BitstreamError, "NOT_CMVC"),
            (whole[:70], decode_config(), BitstreamError, "TRUNCATED"),
            (bytes(broken), decode_config(), BitstreamError, "CORRUPT"),
            (whole, decode_config(profile="unheard-of"), UnknownProfileError, "UNKNOWN_PROFILE"),
        ):
            with pytest.raises(kind) as raised:
                list(client.decode_stream([data], config))
            assert raised.value.reason == reason


@pytest.mark.parametrize("where", ["here", "gateway", "encoder"])
def test_encode_errors_are_the_same_everywhere(gateway, encoder, where, video):
    target = {"here": None, "gateway": gateway.address, "encoder": encoder.address}[where]
    with Client(target) as client:
        with pytest.raises(MediaError):
            list(client.encode_stream([b"just text\n" * 1000]))
        with pytest.raises(UnknownExtractorError):
            list(client.encode_stream([video], encode_config(semantics="unheard-of")))


def test_error_of_the_source_is_the_callers(gateway):
    def failing():
        yield b"CMVC"
        raise OSError("the disk is gone")

    with Client(gateway.address) as client, pytest.raises(OSError, match="the disk is gone"):
        list(client.decode_stream(failing()))


@pytest.mark.parametrize("where", ["gateway", "decoder"])
def test_damaged_chunk_is_refused(gateway, decoders, where):
    target = {"gateway": gateway, "decoder": decoders[0]}[where].address
    chunk = common_pb2.Chunk(data=stream(segments=1), crc32c=1)
    requests = [
        decoder_pb2.DecodeRequest(config=decode_config()),
        decoder_pb2.DecodeRequest(chunk=chunk),
    ]
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as raised:
        list(VideoDecoderStub(channel).Decode(iter(requests)))
    assert raised.value.code() is grpc.StatusCode.DATA_LOSS


def test_cut_off_stream_decodes_with_the_same_note(gateway):
    cut = stream(segments=3)[:-60]
    config = decode_config(output="y4m")
    here = Client().decode_stream([cut], config)
    with Client(gateway.address) as client:
        there = client.decode_stream([cut], config)
        assert b"".join(here) == b"".join(there)
    assert there.summary == here.summary
    assert there.summary.segments == 2
    assert there.summary.notes[0].startswith("TRUNCATED: ")


def test_capabilities_are_the_union(gateway, encoder, decoders):
    def ask(address):
        with grpc.insecure_channel(address) as channel:
            return VideoDecoderStub(channel).GetCapabilities(decoder_pb2.VideoDecoderGetCapabilitiesRequest())

    one = ask(decoders[0].address)
    together = ask(gateway.address)
    assert together.segments_at_once == len(decoders) * one.segments_at_once
    for field in ("segments_at_once", "segments_waiting", "callers"):
        one.ClearField(field)
        together.ClearField(field)
    assert together == one
    assert "embedded" in [profile.id for profile in ask(gateway.address).profiles]
    with grpc.insecure_channel(gateway.address) as channel:
        found = VideoEncoderStub(channel).GetCapabilities(encoder_pb2.VideoEncoderGetCapabilitiesRequest())
    assert list(found.modes) == [1, 2, 3, 4]
    assert "embedded" in found.semantics


def services_of(address):
    with grpc.insecure_channel(address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(iter(stub.ServerReflectionInfo(iter([request]))))
    return {service.name for service in answer.list_services_response.service}


def serving(address, service=""):
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_and_reflection(gateway, encoder, decoders):
    assert serving(gateway.address)
    assert serving(gateway.address, ENCODER)
    assert serving(gateway.address, DECODER)
    assert serving(encoder.address, ENCODER)
    assert serving(decoders[0].address, DECODER)
    assert {ENCODER, DECODER, "grpc.health.v1.Health"} <= services_of(gateway.address)
    with pytest.raises(grpc.RpcError) as refused:
        services_of(encoder.address)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED  # nobody has asked for it


def test_gateway_is_as_well_as_what_is_behind_it(start):
    decoder = start("decoder")
    gateway = start("gateway", "--decoder", decoder.address)
    assert serving(gateway.address)
    assert not serving(gateway.address, ENCODER)
    decoder.stop()
    until(lambda: not serving(gateway.address), "the gateway says that nothing is behind it")
    start("decoder", listen=decoder.address)
    until(lambda: serving(gateway.address), "the gateway says that its decoder is back")


def test_gateway_without_decoders_still_takes_videos(start, encoder):
    decoder = start("decoder")
    gateway = start("gateway", "--encoder", encoder.address, "--decoder", decoder.address)
    decoder.stop()
    until(lambda: not serving(gateway.address, DECODER), "the gateway says that nothing decodes")
    assert serving(gateway.address, ENCODER)
    assert serving(gateway.address)


def test_one_segment_is_the_stream_that_has_only_it(gateway, decoders):
    data = stream(segments=1)
    reader = StreamReader(io.BytesIO(data))
    request = segment_request(reader, next(reader.segments()), decode_config())
    with Client(decoders[0].address) as client:
        whole = b"".join(client.decode_stream([data]))
    for address in (decoders[0].address, gateway.address):
        with grpc.insecure_channel(address) as channel:
            messages = [
                each for each in VideoDecoderStub(channel).DecodeSegment(request) if not each.HasField("progress")
            ]
        assert b"".join(each.prologue + checked(each.data) for each in messages) == whole
        assert [each.HasField("prologue") for each in messages] == [True, *(len(messages) - 1) * [False]]
        assert [each.HasField("summary") for each in messages] == [*(len(messages) - 1) * [False], True]
        assert messages[-1].summary.bytes == sum(len(each.data.data) for each in messages)
        if address == decoders[0].address:
            assert len(messages) == sum(each.HasField("data") for each in messages)


def test_callers_choose_no_labels_of_metrics(decoders):
    decoder = decoders[0]
    request = decoder_pb2.DecodeSegmentRequest()
    with grpc.insecure_channel(decoder.address) as channel:
        for name in ("made-up-1", "made-up-2", ""):
            request.profile.id = name
            with pytest.raises(grpc.RpcError) as raised:
                list(VideoDecoderStub(channel).DecodeSegment(request))
            assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    with Client(decoder.address) as client, pytest.raises(UnknownProfileError):
        list(client.decode_stream([stream(segments=1)], decode_config(profile="made-up-3")))
    assert "made-up" not in decoder.metrics()
    assert decoder.metric('cmvc_segment_seconds_count{mode="unknown",profile="other",stage="queue"}') == 3


def test_a_stream_is_measured_by_the_profile_that_it_names(decoders):
    generated = 'cmvc_segment_seconds_count{mode="coded",profile="embedded",stage="generate"}'
    before = decoders[0].metric(generated)
    with Client(decoders[0].address) as client:
        list(client.decode_stream([stream(segments=2)]))
    assert decoders[0].metric(generated) == before + 2


def test_metrics_have_their_names_and_count(gateway, encoder, decoders, video):
    data, _ = encoded(gateway.address, video, mode="coded", bitrate="40k")
    with Client(gateway.address) as client:
        list(client.decode_stream([data]))
    text = gateway.metrics()
    for name in NAMES:
        assert f"# TYPE {name} " in text
    assert gateway.metric('cmvc_stream_bits_per_second{mode="coded"}') > 0
    assert gateway.metric('cmvc_stream_bits_per_pixel{mode="coded"}') > 0
    assert gateway.metric('cmvc_payload_bytes_total{mode="coded",part="video"}') > 0
    assert gateway.metric('cmvc_requests_total{code="OK",method="Encode"}') >= 1
    assert gateway.metric('cmvc_requests_total{code="OK",method="Decode"}') >= 1
    assert gateway.metric('cmvc_realtime_factor_count{direction="decode"}') >= 1
    assert gateway.metric("cmvc_first_byte_seconds_count") >= 2
    assert gateway.metric('cmvc_segment_seconds_count{mode="coded",profile="embedded",stage="queue"}') >= 1
    for each in (encoder, *decoders):
        assert gateway.metric(f'cmvc_backend_up{{backend="{each.address}"}}') == 1
    assert encoder.metric('cmvc_segment_seconds_count{mode="coded",profile="",stage="ingest"}') >= 1
    totals = Client().inspect([data])["totals"]
    assert encoder.metric('cmvc_stream_bits_per_second{mode="coded"}') == pytest.approx(totals["bits_per_second"])
    assert encoder.metric('cmvc_stream_bits_per_pixel{mode="coded"}') == pytest.approx(totals["bits_per_pixel"], 1e-3)
    assert encoder.metric('cmvc_payload_bytes_total{mode="coded",part="video"}') > 0
    generated = 'cmvc_segment_seconds_count{mode="coded",profile="embedded",stage="generate"}'
    assert sum(each.metric(generated) for each in decoders) >= 1


def test_segments_go_to_both_decoders(gateway, decoders):
    done = 'cmvc_requests_total{code="OK",method="DecodeSegment"}'
    before = [each.metric(done) for each in decoders]
    with Client(gateway.address) as client:
        list(client.decode_stream([stream(segments=8)]))
    shares = [each.metric(done) - earlier for each, earlier in zip(decoders, before, strict=True)]
    assert sum(shares) == 8
    assert min(shares) >= 2


def test_cache_answers_what_was_decoded_before(start, decoders):
    gateway = start("gateway", "--decoder", decoders[0].address, "--cache-mib", "64")
    done = 'cmvc_requests_total{code="OK",method="DecodeSegment"}'
    data = stream(segments=3)
    with Client(gateway.address) as client:
        first = b"".join(client.decode_stream([data]))
        before = decoders[0].metric(done)
        assert b"".join(client.decode_stream([data])) == first
    assert decoders[0].metric(done) == before


def test_larger_than_the_budget_spills_and_stays_whole(start, decoders):
    # 5 segments of about 55 MB each in y4m: more than the 64 MiB that the gateway holds in memory.
    data = stream(segments=5, frames=96, width=800, height=480)
    config = decode_config(output="y4m")
    gateway = start("gateway", "--decoder", decoders[0].address, "--decoder", decoders[1].address)
    here, there = Client().decode_stream([data], config), Client(gateway.address).decode_stream([data], config)
    for a, b in zip(rechunk(here), rechunk(there), strict=True):
        assert a == b


def rechunk(parts, size=1 << 20):
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    yield bytes(held)


def test_all_serves_everything_and_ends_with_its_parent(start):
    everything = start("all", "--decoders", "2")
    with Client(everything.address) as client:
        data = stream(segments=4)
        assert b"".join(client.decode_stream([data])) == b"".join(Client().decode_stream([data]))
    text = everything.metrics()
    backends = [line.split('"')[1] for line in text.splitlines() if line.startswith("cmvc_backend_up{")]
    assert len(backends) == 3
    everything.process.kill()

    def gone(address):
        try:
            return not serving(address)
        except grpc.RpcError:
            return True

    until(lambda: all(map(gone, backends)), "the children end after their parent was killed")


def test_second_server_on_a_port_is_an_error(start, decoders):
    with pytest.raises(AssertionError, match="ADDRESS_IN_USE"):
        start("decoder", listen=decoders[0].address)
