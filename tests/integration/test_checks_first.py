"""What cannot be done is refused before any work: before a byte of the video is asked for, and before the line."""

import threading

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from servers import servers

from cmvc.settings import decode_config, encode_config
from cmvc.v1 import bitstream_pb2, common_pb2, decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    store = tmp_path_factory.mktemp("models")
    with servers() as start:
        encoder = start("encoder")
        decoder = start("decoder", "--profile", "embedded", "--models", str(store))
        yield {
            "encoder": encoder,
            "decoder": decoder,
            "gateway": start("gateway", "--encoder", encoder.address, "--decoder", decoder.address),
        }


def refusal(method, request):
    """Return how a call ends that sends its first message, and nothing after it for as long as it lives."""
    answered = threading.Event()

    def requests():
        yield request
        answered.wait()

    try:
        with pytest.raises(grpc.RpcError) as raised:
            list(method(requests(), timeout=60))
    finally:
        answered.set()
    status = status_pb2.Status.FromString(dict(raised.value.trailing_metadata())["grpc-status-details-bin"])
    info, fault = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(fault)
    return raised.value.code().name, info.reason, [each.field for each in fault.field_violations]


ADAPTER = bitstream_pb2.Profile(id="embedded", settings={"adapter": "smooth"})
ENCODES = {
    "a number out of its bounds": (encoder_pb2.EncodeConfig(seed=65_536), "INVALID_SETTING", "config.seed"),
    "an effort that there is not": (encoder_pb2.EncodeConfig(effort=9), "INVALID_SETTING", "config.effort"),
    "a mode that there is not": (encoder_pb2.EncodeConfig(mode=9), "INVALID_SETTING", "config.mode"),
    "a profile that there is not": (encode_config(profile="unheard-of"), "UNKNOWN_PROFILE", "config.profile.id"),
    "a mode that the profile does not decode": (
        encode_config(mode="vt2v", profile="ltx-video"),
        "UNKNOWN_PROFILE",
        "config.profile.id",
    ),
    "an extractor that there is not": (encode_config(semantics="gist"), "UNKNOWN_EXTRACTOR", "config.semantics"),
    "an embedding that there is not": (
        encode_config(keyframes="gist"),
        "UNKNOWN_EMBEDDING",
        "config.keyframes.embedding",
    ),
    "sound that leaves nothing for pictures": (
        encode_config(bitrate="12k", audio="opus:12k"),
        "INVALID_SETTING",
        "config.audio.opus_bits_per_second",
    ),
    "an adapter where there is none": (
        encoder_pb2.EncodeConfig(profile=ADAPTER),
        "INVALID_SETTING",
        "config.profile.id",
    ),
}


@pytest.mark.parametrize("what", ENCODES)
def test_an_encoder_refuses_before_the_first_byte(fleet, what):
    config, reason, field = ENCODES[what]
    with grpc.insecure_channel(fleet["encoder"].address) as channel:
        found = refusal(VideoEncoderStub(channel).Encode, encoder_pb2.EncodeRequest(config=config))
    code = "INVALID_ARGUMENT" if reason == "INVALID_SETTING" else "FAILED_PRECONDITION"
    assert found == (code, reason, [field])


@pytest.mark.parametrize(
    ("config", "reason", "field"),
    [
        (encoder_pb2.EncodeConfig(seed=65_536), "INVALID_SETTING", "config.seed"),
        # Known to the encoder, served by no decoder here: its stream could not be shown.
        (encode_config(mode="tt2v", profile="wan-vace-1.3b"), "UNKNOWN_PROFILE", "config.profile.id"),
        (encoder_pb2.EncodeConfig(profile=ADAPTER), "MISSING_WEIGHTS", "config.profile.settings"),
    ],
)
def test_a_gateway_refuses_what_nobody_behind_it_decodes(fleet, config, reason, field):
    with grpc.insecure_channel(fleet["gateway"].address) as channel:
        found = refusal(VideoEncoderStub(channel).Encode, encoder_pb2.EncodeRequest(config=config))
    assert found[1:] == (reason, [field])


@pytest.mark.parametrize("where", ["decoder", "gateway"])
@pytest.mark.parametrize(
    ("config", "reason", "field"),
    [
        (decode_config(profile="unheard-of"), "UNKNOWN_PROFILE", "config.profile"),
        (decoder_pb2.DecodeConfig(format=9), "INVALID_SETTING", "config.format"),
    ],
)
def test_a_decode_is_refused_before_the_first_byte(fleet, where, config, reason, field):
    with grpc.insecure_channel(fleet[where].address) as channel:
        found = refusal(VideoDecoderStub(channel).Decode, decoder_pb2.DecodeRequest(config=config))
    assert found[1:] == (reason, [field])


@pytest.mark.parametrize("where", ["decoder", "gateway"])
def test_a_chunk_before_the_config_is_the_clients_mistake(fleet, where):
    request = decoder_pb2.DecodeRequest(chunk=common_pb2.Chunk(data=b"x", crc32c=1))
    with grpc.insecure_channel(fleet[where].address) as channel:
        found = refusal(VideoDecoderStub(channel).Decode, request)
    assert found == ("INVALID_ARGUMENT", "INVALID_MESSAGE", ["config"])


@pytest.mark.parametrize("where", ["decoder", "gateway"])
def test_a_segment_without_its_header_is_the_clients_mistake(fleet, where):
    request = decoder_pb2.DecodeSegmentRequest(profile=bitstream_pb2.Profile(id="embedded"))
    request.segment.video = b"x"
    with grpc.insecure_channel(fleet[where].address) as channel, pytest.raises(grpc.RpcError) as raised:
        list(VideoDecoderStub(channel).DecodeSegment(request, timeout=60))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_capabilities_name_the_adapters(fleet):
    with grpc.insecure_channel(fleet["gateway"].address) as channel:
        found = VideoDecoderStub(channel).GetCapabilities(decoder_pb2.VideoDecoderGetCapabilitiesRequest())
    (embedded,) = found.profiles
    assert embedded.HasField("adapters")
    assert not embedded.adapters.adapters
