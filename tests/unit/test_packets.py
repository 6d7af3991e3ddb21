import hashlib
import io
import struct
from contextlib import suppress

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.bitstream.packets import PREAMBLE, frame_packet, read_packets, serialise
from cmvc.bitstream.segments import pack_motion
from cmvc.bitstream.stream import DEFAULT_PROFILES, StreamReader, StreamWriter
from cmvc.errors import (
    BitstreamError,
    CorruptStreamError,
    LimitError,
    NotCmvcError,
    TruncatedStreamError,
    UnsupportedVersionError,
)
from cmvc.limits import Limits
from cmvc.v1 import bitstream_pb2 as pb

HEADER = pb.StreamHeader(
    width=854, height=480, frame_rate_numerator=30000, frame_rate_denominator=1001, segment_frames=60,
    color_primaries=9, color_transfer=16, color_matrix=9, full_range=True, quarter_turns=3,
    pixel_aspect_numerator=1001, pixel_aspect_denominator=1000, seed=0xFFFF,
    target_bits_per_second=1_000_000, writer_version=10203,
)  # fmt: skip
PROFILES = pb.ProfileTable(profiles=[pb.Profile(id="wan-vace-1.3b", revision="2")])
SEGMENT_TAG = 0x1A


def small_stream(segments=3):
    writer = StreamWriter(HEADER, PROFILES)
    parts = [writer.open()]
    parts += [
        writer.write(pb.Segment(frames=60 if k else 17, text=bytes([0]) + b"scene %d" % k)) for k in range(segments)
    ]
    return b"".join([*parts, writer.close()])


def segments_of(data):
    reader = StreamReader(io.BytesIO(data))
    return list(reader.segments()), reader


def test_largest_header_without_audio_fits_48_bytes():
    assert len(frame_packet(pb.Packet(header=HEADER))) <= 48


def test_trailer_fits_24_bytes_and_3_per_segment():
    for count in (1, 10, 120):
        writer = StreamWriter(HEADER, PROFILES)
        writer.open()
        for k in range(count):
            writer.write(pb.Segment(frames=50 + k % 20, keyframes=bytes(1500)))
        assert len(writer.close()) <= 24 + 3 * count


def test_it2v_segment_has_at_most_16_bytes_of_overhead():
    segment = pb.Segment(closing_frames=120, keyframes=bytes(1400), motion=pack_motion(bytes(50), bytes(300)))
    assert len(frame_packet(pb.Packet(segment=segment))) - 1750 <= 16


def test_writer_and_reader_agree():
    segments, reader = segments_of(small_stream())
    assert reader.header == HEADER
    assert reader.profiles == PROFILES
    assert [s.frames for s in segments] == [17, 60, 60]
    assert [s.first_frame for s in segments] == [0, 17, 77]
    assert reader.damage is None
    assert list(reader.trailer.segment_bytes) == [s.size for s in segments]
    assert sum(s.size for s in segments) + reader.head_bytes + reader.trailer_bytes == len(small_stream())


@given(cut=st.integers(0, len(small_stream()) - 1))
def test_cut_anywhere_yields_the_whole_segments_before_it(cut):
    data = small_stream()
    whole, _ = segments_of(data)
    expected = [s for s in whole if s.offset + s.size <= cut]
    if not expected:
        with pytest.raises(BitstreamError):
            segments_of(data[:cut])
        return
    got, reader = segments_of(data[:cut])
    assert [s.segment for s in got] == [s.segment for s in expected]
    assert isinstance(reader.damage, TruncatedStreamError)


@given(position=st.integers(0, len(small_stream()) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_never_goes_unnoticed(position, flip):
    data = bytearray(small_stream())
    data[position] ^= flip
    whole, _ = segments_of(small_stream())
    expected = [s.segment for s in whole if s.offset + s.size <= position]
    try:
        got, reader = segments_of(bytes(data))
    except (BitstreamError, LimitError):
        return
    assert reader.damage is not None
    assert [s.segment for s in got] == expected


@given(st.binary(max_size=300))
def test_noise_gives_a_clear_error(noise):
    with pytest.raises((BitstreamError, LimitError)):
        segments_of(PREAMBLE + noise)


def test_corruption_names_its_offset():
    data = bytearray(small_stream())
    whole, _ = segments_of(bytes(data))
    data[whole[1].offset + 5] ^= 1
    _, reader = segments_of(bytes(data))
    assert isinstance(reader.damage, CorruptStreamError)
    assert reader.damage.offset == whole[1].offset
    assert f"byte {whole[1].offset}" in str(reader.damage)


def test_text_file_is_refused():
    with pytest.raises(NotCmvcError, match="not a CMVC stream"):
        segments_of(b"Dear diary")


def test_empty_file_is_refused():
    with pytest.raises(NotCmvcError):
        segments_of(b"")


def test_newer_format_version_is_refused():
    data = bytearray(small_stream())
    data[4] += 1
    with pytest.raises(UnsupportedVersionError, match="update"):
        segments_of(bytes(data))


class CountingSource(io.BytesIO):
    largest = 0

    def read(self, size=-1, /):
        self.largest = max(self.largest, size)
        return super().read(size)


def test_a_huge_length_is_refused_before_anything_is_read_for_it():
    source = CountingSource(PREAMBLE + bytes([0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]) + bytes(100))
    with pytest.raises(LimitError, match="segment bytes"):
        list(read_packets(source))
    assert source.largest <= 5


def test_header_over_the_limits_is_refused():
    header = pb.StreamHeader(width=16384, height=16384, frame_rate_numerator=24)
    with pytest.raises(LimitError, match="width"):
        StreamWriter(header, PROFILES)
    with pytest.raises(LimitError, match="width"):
        segments_of(StreamWriter(header, PROFILES, Limits(width=1 << 15, height=1 << 15, pixels=1 << 30)).open())


def test_too_many_frames_in_a_segment_are_refused():
    segment = pb.Segment(frames=2401, text=b"\0a")
    with pytest.raises(LimitError, match="segment frames"):
        StreamWriter(HEADER, PROFILES).write(segment)
    writer = StreamWriter(
        HEADER, PROFILES, Limits(segment_frames=1 << 30, segment_seconds=1 << 30, segment_pixels=1 << 62)
    )
    with pytest.raises(LimitError, match="segment frames"):
        segments_of(writer.open() + writer.write(segment) + writer.close())


def laid_out(*bodies):
    """Return a stream of packets given as their own bytes: a CRC behind each segment covers what came before it."""
    data = unchecked = PREAMBLE
    for body in bodies:
        unchecked += body
        data += body
        if body[0] == SEGMENT_TAG:
            data += struct.pack("<I", google_crc32c.value(unchecked))
            unchecked = b""
    return data


@pytest.mark.parametrize("place", range(4))
def test_old_reader_skips_packet_kinds_it_does_not_know(place):
    unknown = bytes([9 << 3 | 2, 3]) + b"new"
    bodies = [serialise(pb.Packet(header=HEADER)), serialise(pb.Packet(profiles=PROFILES))]
    bodies.append(serialise(pb.Packet(segment=pb.Segment(text=b"\0a"))))
    bodies.insert(place, unknown)
    got, reader = segments_of(laid_out(*bodies))
    assert len(got) == 1
    assert reader.skipped_bytes == len(unknown)


def test_a_stream_for_the_embedded_generator_has_no_profile_table():
    data = StreamWriter(HEADER, DEFAULT_PROFILES).open()
    assert data == PREAMBLE + serialise(pb.Packet(header=HEADER))
    _, reader = segments_of(laid_out(data[len(PREAMBLE) :], serialise(pb.Packet(segment=pb.Segment(text=b"\0a")))))
    assert reader.profiles == DEFAULT_PROFILES
    assert (reader.profile_bytes, reader.head_bytes) == (0, len(data))


@pytest.mark.parametrize("segments", [1, 2])
def test_a_stream_costs_little_beside_its_payload(segments):
    header = pb.StreamHeader(
        width=854, height=480, frame_rate_numerator=24, segment_frames=0 if segments == 1 else 240,
        target_bits_per_second=12_000, writer_version=10203,
    )  # fmt: skip
    writer = StreamWriter(header, DEFAULT_PROFILES)
    counts = [{"closing_frames": 240}] if segments == 1 else [{"frames": 240}, {"closing_frames": 100}]
    parts = [writer.open(), *(writer.write(pb.Segment(video=bytes(15000), **count)) for count in counts)]
    parts.append(writer.close())
    assert sum(map(len, parts)) - segments * 15000 <= 45 + 24 * (segments - 1)


def test_streams_of_format_version_1_are_read():
    """There, each packet has a CRC, there is always a profile table, and the trailer lists every segment."""
    checked = [pb.Packet(header=HEADER), pb.Packet(profiles=PROFILES), pb.Packet(segment=pb.Segment(text=b"\0a"))]
    data = b"CMVC\x01" + b"".join(map(frame_packet, checked))
    size = len(frame_packet(checked[-1]))
    trailer = pb.StreamTrailer(segment_bytes=[size], sha256=hashlib.sha256(data).digest()[:8])
    whole = data + frame_packet(pb.Packet(trailer=trailer))
    got, reader = segments_of(whole)
    assert (len(got), reader.damage, reader.profiles) == (1, None, PROFILES)
    for place in range(5, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        with suppress(BitstreamError, LimitError):
            assert segments_of(bytes(damaged))[1].damage is not None


def test_a_stream_without_segments_is_corrupt():
    writer = StreamWriter(HEADER, PROFILES)
    with pytest.raises(CorruptStreamError, match="no segment"):
        segments_of(writer.open() + writer.close())


@pytest.mark.parametrize("index", [{"segment_bytes": [1, 2, 3]}, {"segment_frames": [17, 60]}])
def test_a_trailer_whose_index_does_not_fit_is_corrupt(index):
    data = small_stream()
    whole, reader = segments_of(data)
    trailer = pb.StreamTrailer()
    trailer.CopyFrom(reader.trailer)
    for field, value in index.items():
        trailer.ClearField(field)
        getattr(trailer, field).extend(value)
    got, damaged = segments_of(data[: -reader.trailer_bytes] + serialise(pb.Packet(trailer=trailer)))
    assert len(got) == len(whole)
    assert "index" in str(damaged.damage)


def test_a_bad_segment_does_not_take_the_good_one_before_it():
    writer = StreamWriter(HEADER, PROFILES)
    good = writer.open() + writer.write(pb.Segment(keyframes=b"\x32\x00"))
    bad = writer.write(pb.Segment(keyframes=b"\x12\x00"))  # a temporal delimiter alone shows no picture
    got, reader = segments_of(good + bad + writer.close())
    assert got[0].segment.keyframes == b"\x32\x00"
    assert reader.damage.offset == len(good)


def test_old_reader_keeps_segments_of_modes_it_does_not_know():
    body = bytes([15 << 3 | 2, 3]) + b"abc"  # a Segment with only field 15 set
    segment = bytes([SEGMENT_TAG, len(body)]) + body
    got, _ = segments_of(laid_out(serialise(pb.Packet(header=HEADER)), segment))
    assert got[0].segment.WhichOneof("content") is None


def test_second_header_is_corrupt():
    writer = StreamWriter(HEADER, PROFILES)
    data = writer.open() + writer.write(pb.Segment(text=b"\0a")) + frame_packet(pb.Packet(header=HEADER))
    _, reader = segments_of(data)
    assert "second header" in str(reader.damage)
