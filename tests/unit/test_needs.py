"""Which decoders a gateway may give a segment to, by what they say of themselves."""

import pytest

from cmvc.errors import UnknownModeError
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_gateway.needs import Needs

ONE, TWO = b"01234567", b"76543210"
HERE = {"a": ONE, "b": TWO}


def needs(adapter="", adapter_sha256=b"", mode=common_pb2.MODE_TT2V, profile="wan-vace-1.3b"):
    return Needs(profile, mode, decoder_pb2.OUTPUT_FORMAT_FMP4, adapter, adapter_sha256)


def decoder(adapters=None, formats=(decoder_pb2.OUTPUT_FORMAT_FMP4,), **says):
    profile = decoder_pb2.ProfileCapability(
        id="wan-vace-1.3b", modes=[common_pb2.MODE_TT2V, common_pb2.MODE_CODED], **says
    )
    if adapters is not None:
        there = [decoder_pb2.AdapterCapability(name=name, sha256=short) for name, short in adapters.items()]
        profile.adapters.CopyFrom(decoder_pb2.AdapterList(adapters=there))
    return decoder_pb2.VideoDecoderGetCapabilitiesResponse(profiles=[profile], formats=formats)


@pytest.mark.parametrize(
    ("wanted", "adapters", "expected"),
    [
        (needs(), {}, True),
        (needs("a", ONE), HERE, True),
        (needs("a", TWO), HERE, False),
        (needs("a"), HERE, True),
        (needs(adapter_sha256=TWO), HERE, True),
        (needs("c"), HERE, False),
        (needs("a", ONE), {}, False),
        (needs("c", TWO), None, True),  # which cannot tell
    ],
)
def test_adapters_are_told_apart_by_name_and_hash(wanted, adapters, expected):
    assert wanted.served_by(decoder(adapters)) is expected
    assert wanted.met_by(decoder(adapters)) is expected
    assert wanted.with_any_adapter().met_by(decoder(adapters))


def test_profile_mode_and_output_have_to_be_served():
    assert not needs(profile="ltx-video").served_by(decoder())
    assert not needs(mode=common_pb2.MODE_VT2V).served_by(decoder())
    assert not needs().served_by(decoder(formats=[decoder_pb2.OUTPUT_FORMAT_Y4M]))


def test_a_model_that_is_down_is_served_but_only_coded_segments_are_met():
    down = decoder(model_down=True)
    assert needs().served_by(down)
    assert not needs().met_by(down)
    assert needs(mode=common_pb2.MODE_CODED).met_by(down)


def test_a_coded_segment_needs_no_adapter():
    profile = pb.Profile(id="wan-vace-1.3b", settings={"adapter": "c"}, adapter_sha256=ONE)
    request = decoder_pb2.DecodeSegmentRequest(profile=profile, segment=pb.Segment(video=b"x"))
    assert Needs.of(request).met_by(decoder({}))
    request.segment.text = b"x"
    assert (Needs.of(request).adapter, Needs.of(request).adapter_sha256) == ("c", ONE)


def test_a_mode_of_a_later_version_is_refused():
    with pytest.raises(UnknownModeError, match="segment 7"):
        Needs.of(decoder_pb2.DecodeSegmentRequest(index=7))
