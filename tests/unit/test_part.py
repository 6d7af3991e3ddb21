"""Which frames a part has, and where a stream's segments stand."""

import io
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import moving_frames, write_video
from streams import stream

from cmvc.bitstream.cut import cut_chapters
from cmvc.bitstream.index import read_index
from cmvc.bitstream.stream import StreamReader
from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.reader import open_video
from cmvc.part import WHOLE, Part, part_of
from cmvc.settings import parse_seconds
from cmvc.v1 import bitstream_pb2 as pb

RATES = st.sampled_from([Fraction(24), Fraction(24000, 1001), Fraction(1, 5), Fraction(240)])
TIMES = st.floats(0, 1e6)


@given(RATES, TIMES, st.floats(0.5, 1e4), st.floats(0.5, 1e4))
def test_parts_that_follow_each_other_share_no_frame(rate, start, one, two):
    first, second = part_of(start, one, rate, DEFAULT_LIMITS), part_of(start + one, two, rate, DEFAULT_LIMITS)
    assert first.end is not None
    assert first.first < first.end
    assert first.end == max(second.first, first.first + 1)


@given(st.integers(0, 50), st.none() | st.integers(0, 60), st.integers(0, 50), st.integers(1, 30))
def test_frames_of_a_run(first, end, start, frames):
    part = Part(first, end)
    members = [n for n in range(frames) if n + start >= first and (end is None or n + start < end)]
    assert list(part.of_run(start, frames)) == members


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30.5", 90.5), ("1:00:00", 3600), (".25", 0.25)])
def test_times_as_people_write_them(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1m", "1:2:3:4", "nan", "1e3"])
def test_what_is_no_time(text):
    with pytest.raises(InvalidSettingError, match="is no time"):
        parse_seconds(text)


def test_chapters_of_a_part():
    metadata = pb.Metadata(chapters=[pb.Chapter(start_ms=ms, title=str(ms)) for ms in (0, 2000, 5000, 9000)])
    whole = pb.Metadata.FromString(metadata.SerializeToString())
    cut_chapters(metadata, Part(72, 200), Fraction(24))
    assert [(each.start_ms, each.title) for each in metadata.chapters] == [(0, "2000"), (2000, "5000")]
    cut_chapters(whole, WHOLE, Fraction(24))
    assert [each.start_ms for each in whole.chapters] == [0, 2000, 5000, 9000]


WHOLE_STREAM = stream(segments=5)


def index_of(data):
    reader = StreamReader(io.BytesIO(WHOLE_STREAM))
    return read_index(io.BytesIO(data), reader.head_bytes, reader.header, DEFAULT_LIMITS)


def test_the_index_is_what_the_segments_say():
    placed = list(StreamReader(io.BytesIO(WHOLE_STREAM)).segments())
    index = index_of(WHOLE_STREAM)
    assert index is not None
    assert index.offsets == [each.offset for each in placed]
    assert index.first_frames == [each.first_frame for each in placed]
    assert index.frames == 120
    assert [index.segment_of(frame) for frame in (0, 23, 24, 119)] == [0, 0, 1, 4]


@given(st.integers(0, len(WHOLE_STREAM) - 1), st.binary(max_size=40))
def test_what_is_cut_off_or_followed_has_no_index(end, more):
    assert index_of(WHOLE_STREAM[:end] + more) in (None, index_of(WHOLE_STREAM))
    assert index_of(WHOLE_STREAM + b"\0" + more) is None


def test_little_is_read_of_a_file_that_knows_its_keyframes():
    source = write_video(moving_frames(240, 320, 192), container="mp4", codec="libx264", options={"g": "24"})
    with open_video(io.BytesIO(source), start=8.0) as reader:
        decoded = reader._decoder._context.decode
        packets = []
        reader._decoder.decode = lambda packet: packets.append(packet) or (decoded(packet) if packet else decoded(None))
        assert len(list(reader.read())) == 48
    assert len(packets) < 100
