"""Whatever a segment or a header claims, a decoder answers with an error of its own and takes no memory for it."""

import resource
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.bitstream.obu import split_obus
from cmvc.bitstream.stream import StreamReader, StreamWriter
from cmvc.control import Control
from cmvc.errors import CmvcError, CorruptStreamError, LimitError
from cmvc.limits import Limits
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode_segment

NUMBER = st.one_of(
    st.sampled_from([0, 1, 2, 3, 24, 255, 48_000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]), st.integers(0, (1 << 32) - 1)
)


def mostly(*usual):
    """Draw a usual value most of the time, so that not every header falls at its first field."""
    return st.integers(0, 9).flatmap(lambda n: NUMBER if n == 0 else st.sampled_from(usual))


TRACK = st.builds(
    pb.AudioTrack,
    codec=st.sampled_from([1, 1, 2, 3, 0, 5]),
    sample_rate=mostly(48_000, 44_100, 8000),
    channels=st.sampled_from([1, 2, 6, 8, 0, 9]),
    packet_samples=mostly(2880, 1024, 1),
    skip_samples=mostly(0, 312),
    extradata=st.binary(max_size=30),
)
EMBEDDED = InProcessExecutor(["embedded"], Path(), ())
METADATA = st.builds(
    pb.Metadata,
    title=st.text(max_size=8),
    language=st.text(max_size=4),
    chapters=st.lists(
        st.builds(pb.Chapter, start_ms=st.integers(0, (1 << 32) - 1), title=st.text(max_size=8)), max_size=2
    ),
)
HEADER = st.builds(
    pb.StreamHeader,
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    frame_rate_numerator=mostly(24, 30_000, 1),
    frame_rate_denominator=mostly(0, 1001),
    pixel_aspect_numerator=mostly(0, 1, 11, 65_535, 65_537),
    pixel_aspect_denominator=mostly(0, 1, 11, 65_535, 65_537),
    color_primaries=mostly(0, 1, 9, 16, 77),
    color_transfer=mostly(0, 1, 9, 16, 77),
    color_matrix=mostly(0, 1, 9, 16, 77),
    full_range=st.booleans(),
    quarter_turns=mostly(0, 1, 2, 3),
    segment_frames=st.integers(0, 12),
    audio=st.one_of(st.none(), TRACK),
    metadata=st.one_of(st.none(), METADATA),
)
SEGMENT = st.one_of(
    st.builds(pb.Segment, text=st.binary(max_size=40), frames=st.integers(0, 6)),
    st.builds(
        pb.Segment,
        keyframes=st.binary(max_size=40),
        motion=st.binary(max_size=40),
        closing_frames=st.integers(0, 6),
        keyframe_positions=st.lists(NUMBER, max_size=3),
    ),
    st.builds(pb.Segment, video=st.binary(max_size=40), frame_step=NUMBER),
    st.builds(
        pb.Segment,
        text=st.just(b"\0red"),
        frames=st.just(2),
        audio=st.builds(pb.SegmentAudio, data=st.binary(max_size=30), sizes=st.lists(NUMBER, max_size=3)),
    ),
)


@settings(max_examples=150, deadline=None)
@given(HEADER, SEGMENT, st.sampled_from([0, 0, 7, 1 << 30, (1 << 64) - 1]), st.binary(max_size=20))
def test_any_header_and_segment_decode_or_fail_as_they_should(header, segment, first_frame, next_anchor):
    request = decoder_pb2.DecodeSegmentRequest(
        header=header,
        profile=pb.Profile(id="embedded"),
        segment=segment,
        first_frame=first_frame,
        next_anchor=next_anchor,
    )
    with suppress(CmvcError):
        *_, last = decode_segment(request, Control(), EMBEDDED)
        assert last.frames


def test_sound_without_a_track_is_corrupt():
    segment = pb.Segment(text=b"\0red", frames=2, audio=pb.SegmentAudio(data=b"abc", sizes=[3]))
    header = pb.StreamHeader(width=64, height=48, frame_rate_numerator=24)
    request = decoder_pb2.DecodeSegmentRequest(header=header, profile=pb.Profile(id="embedded"), segment=segment)
    with pytest.raises(CorruptStreamError, match="no audio track"):
        list(decode_segment(request, Control(), EMBEDDED))


def test_keyframes_larger_than_the_source_are_refused():
    large = Picture(*(np.full(size, 90, np.uint8) for size in ((480, 640), (240, 320), (240, 320))))
    segment = pb.Segment(keyframes=av1.encode([large], frame_rate=Fraction(1), crf=50), frames=2)
    header = pb.StreamHeader(width=96, height=64, frame_rate_numerator=24)
    request = decoder_pb2.DecodeSegmentRequest(header=header, profile=pb.Profile(id="embedded"), segment=segment)
    with pytest.raises(LimitError):
        list(decode_segment(request, Control(), EMBEDDED))


def test_a_flood_of_tiny_obus_is_refused_before_memory_is_taken():
    flood = b"\x12\x00" * (4 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LimitError, match="obus"):
        list(av1.decode(flood))
    with pytest.raises(LimitError, match="obus"):
        sum(1 for _ in split_obus(flood))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_a_keyframe_larger_than_motion_is_made_for_is_refused():
    picture = Picture(*(np.full(size, 90, np.uint8) for size in ((96, 128), (48, 64), (48, 64))))
    segment = pb.Segment(keyframes=av1.encode([picture], frame_rate=Fraction(1), crf=50), frames=2)
    header = pb.StreamHeader(width=128, height=96, frame_rate_numerator=24)
    request = decoder_pb2.DecodeSegmentRequest(header=header, profile=pb.Profile(id="embedded"), segment=segment)
    with pytest.raises(LimitError):
        list(decode_segment(request, Control(), EMBEDDED, Limits(keyframe_pixels=128 * 96 - 1)))
    assert list(decode_segment(request, Control(), EMBEDDED, Limits(keyframe_pixels=128 * 96)))


def test_a_segment_that_lasts_too_long_is_refused_by_reader_and_decoder():
    header = pb.StreamHeader(width=64, height=48, frame_rate_numerator=24, segment_frames=241)
    segment = pb.Segment(text=b"\0red")
    request = decoder_pb2.DecodeSegmentRequest(header=header, profile=pb.Profile(id="embedded"), segment=segment)
    with pytest.raises(LimitError, match="segment seconds"):
        list(decode_segment(request, Control(), EMBEDDED))
    writer = StreamWriter(header, pb.ProfileTable(profiles=[pb.Profile(id="embedded")]), Limits(segment_seconds=20))
    stream = writer.open() + writer.write(segment) + writer.close()
    with pytest.raises(LimitError, match="segment seconds"):
        list(StreamReader(BytesIO(stream)).segments())


def test_one_frame_may_last_longer_than_a_segment():
    assert Limits().check_segment(1, Fraction(1, 60), 1) == 1


BOMBS = {
    "8K at 240 frames/s": {"width": 7680, "height": 4320, "frame_rate_numerator": 240, "segment_frames": 2400},
    "4K at 240 frames/s": {"width": 3840, "height": 2160, "frame_rate_numerator": 240, "segment_frames": 2400},
}


@pytest.mark.parametrize("header", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("content", [{"text": b"\0red"}, {"video": b"\x12\x00"}, {"keyframes": b"\x12\x00"}])
def test_few_bytes_that_ask_for_very_many_pixels_are_refused_before_one_is_made(header, content):
    segment, header = pb.Segment(**content), pb.StreamHeader(**header)
    request = decoder_pb2.DecodeSegmentRequest(header=header, profile=pb.Profile(id="embedded"), segment=segment)
    loose = Limits(segment_pixels=1 << 40)
    writer = StreamWriter(header, pb.ProfileTable(profiles=[pb.Profile(id="embedded")]), loose)
    stream = writer.open() + writer.write(segment) + writer.close()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LimitError, match="segment pixels"):
        list(decode_segment(request, Control(), EMBEDDED))
    with pytest.raises(LimitError, match="segment pixels"):
        list(StreamReader(BytesIO(stream)).segments())
    with pytest.raises(LimitError, match="segment pixels"):
        StreamWriter(header, pb.ProfileTable(profiles=[pb.Profile(id="embedded")])).write(segment)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10  # KiB
