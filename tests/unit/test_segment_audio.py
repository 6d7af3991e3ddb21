from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.bitstream.audio import first_packet, pack_audio, unpack_audio
from cmvc.errors import CorruptStreamError, LimitError
from cmvc.v1 import bitstream_pb2 as pb

OPUS = pb.AudioTrack(sample_rate=48000, channels=1, packet_samples=2880, skip_samples=312)


@given(st.lists(st.binary(min_size=1, max_size=90), max_size=60))
def test_packets_come_back(packets):
    assert unpack_audio(pack_audio(packets)) == packets


def test_equal_sizes_are_stored_once():
    assert list(pack_audio([b"ab", b"cd", b"ef"]).sizes) == [2]


@given(st.binary(max_size=50), st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_any_sizes_decode_or_fail_clearly(data, sizes):
    with suppress(CorruptStreamError, LimitError):
        assert b"".join(unpack_audio(pb.SegmentAudio(data=data, sizes=sizes))) == data


def test_sizes_that_do_not_fit_are_corrupt():
    with pytest.raises(CorruptStreamError, match="add up"):
        unpack_audio(pb.SegmentAudio(data=b"abc", sizes=[2, 2]))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.sampled_from([Fraction(24), Fraction(30000, 1001)]))
def test_every_packet_belongs_to_the_segment_in_which_it_starts(segment_frames, rate):
    frame = 0
    for frames in segment_frames:
        first, after = first_packet(OPUS, rate, frame), first_packet(OPUS, rate, frame + frames)
        for n in range(first, after):
            start = Fraction(n * 2880 - 312, 48000)
            assert start < (frame + frames) / rate
            assert frame == 0 or start >= frame / rate
        frame += frames
