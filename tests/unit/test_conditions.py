"""What a decoder makes of a segment before any generator sees it."""

from fractions import Fraction

import numpy as np
import pytest

from cmvc.bitstream.text import encode_text
from cmvc.control import Control
from cmvc.errors import BitstreamError, CancelledError, CorruptStreamError, LimitError, UnknownModeError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.conditions import keyframe_positions, read_conditions, scene_seed, segment_seed

HEADER = pb.StreamHeader(width=64, height=48, frame_rate_numerator=24, segment_frames=24, seed=3)


def grey(level):
    half = np.full((24, 32), 128, np.uint8)
    return Picture(np.full((48, 64), level, np.uint8), half, half)


def coded(*levels):
    return av1.encode([grey(level) for level in levels], frame_rate=Fraction(24), crf=30)


def conditions(segment, **more):
    return read_conditions(decoder_pb2.DecodeSegmentRequest(header=HEADER, segment=segment, **more), DEFAULT_LIMITS)


def test_seed_differs_between_segments_and_streams():
    assert len({segment_seed(seed, index) for seed in range(20) for index in range(20)}) == 400


def test_what_shows_one_content_has_one_scene_seed_wherever_it_stands():
    def found(index, text, repeats=""):
        segment = pb.Segment(frames=2, text=encode_text(text))
        request = decoder_pb2.DecodeSegmentRequest(header=HEADER, segment=segment, index=index, text=repeats)
        return read_conditions(request, DEFAULT_LIMITS)

    first, told, other = found(0, "red\nup"), found(5, "red\ndown"), found(7, "blue")
    repeated = found(6, "\nleft", "red\nleft")
    assert first.scene_seed == told.scene_seed == repeated.scene_seed == scene_seed(3, "red")
    assert other.scene_seed != first.scene_seed
    assert len({each.seed for each in (first, told, repeated, other)}) == 4


@pytest.mark.parametrize(
    ("segment", "count", "expected"),
    [
        (pb.Segment(), 1, [0]),
        (pb.Segment(), 3, [0, 8, 16]),
        (pb.Segment(closing_frames=24), 2, [0, 23]),
        (pb.Segment(closing_frames=24), 3, [0, 11, 23]),
        (pb.Segment(keyframe_positions=[5, 20]), 3, [0, 5, 20]),
    ],
)
def test_keyframes_stand_where_the_format_says(segment, count, expected):
    assert keyframe_positions(segment, 24, count) == expected


@pytest.mark.parametrize("positions", [[5], [5, 5], [9, 3], [5, 24], [0, 4]])
def test_positions_that_make_no_sense_are_corrupt(positions):
    with pytest.raises(CorruptStreamError):
        keyframe_positions(pb.Segment(keyframe_positions=positions), 24, 3)


def test_closing_anchor_is_the_neighbours_first_picture():
    got = conditions(pb.Segment(keyframes=coded(60, 90)), next_anchor=coded(200))
    assert [anchor.position for anchor in got.anchors] == [0, 12, 24]
    assert [round(float(anchor.picture.y.mean())) for anchor in got.anchors] == pytest.approx([60, 90, 200], abs=2)


def test_without_the_neighbour_the_segment_still_decodes():
    assert [anchor.position for anchor in conditions(pb.Segment(keyframes=coded(60))).anchors] == [0]


def test_own_closing_keyframe_leaves_the_neighbour_out():
    got = conditions(pb.Segment(keyframes=coded(60, 90), closing_frames=24), next_anchor=coded(200))
    assert [anchor.position for anchor in got.anchors] == [0, 23]


def test_text_and_mode_are_read():
    got = conditions(pb.Segment(text=encode_text("A red ball.\nIt moves.")))
    assert (got.mode, got.text, got.frames) == (common_pb2.MODE_TT2V, "A red ball.\nIt moves.", 24)


def test_unknown_mode_is_named():
    with pytest.raises(UnknownModeError, match="segment 0"):
        conditions(pb.Segment(caption=b"\0abc"))


@pytest.mark.parametrize("levels", [range(5), range(7)])
def test_wrong_number_of_coded_pictures_is_corrupt(levels):
    with pytest.raises(CorruptStreamError, match="coded pictures"):
        list(conditions(pb.Segment(video=coded(*(50 + v for v in levels)), frame_step=4)).guide)


def test_garbage_instead_of_av1_is_refused():
    with pytest.raises(BitstreamError):
        conditions(pb.Segment(keyframes=b"not av1 at all"))


def test_a_call_that_is_cancelled_stops_among_its_keyframes():
    control = Control()
    control.cancel()
    segment = pb.Segment(frames=4, keyframes=coded(50, 150))
    request = decoder_pb2.DecodeSegmentRequest(header=HEADER, segment=segment)
    assert len(read_conditions(request, DEFAULT_LIMITS).anchors) == 2
    with pytest.raises(CancelledError):
        read_conditions(request, DEFAULT_LIMITS, control.check)


def test_too_many_keyframes_are_refused():
    with pytest.raises(LimitError, match="keyframes"):
        conditions(pb.Segment(keyframes=coded(*[40 + k for k in range(70)]), frames=100))
