"""At an anchor's position an IT2V segment shows the decoded anchor itself, scaled to the source's size."""

from fractions import Fraction

import numpy as np

from cmvc.bitstream.av1pack.payload import first_picture
from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.generators.embedded import EmbeddedGenerator

HEADER = pb.StreamHeader(width=130, height=98, frame_rate_numerator=12, segment_frames=12)


def textured(seed):
    rng = np.random.default_rng(seed)
    planes = [
        np.kron(rng.integers(40, 200, (h, w), np.uint8), np.ones((4, 4), np.uint8)) for h, w in ((12, 16), (6, 8))
    ]
    return Picture(planes[0], planes[1], planes[1])


def coded(*seeds):
    return av1.encode([textured(seed) for seed in seeds], frame_rate=Fraction(12), crf=20)


def frames_of(segment, next_anchor=b""):
    request = decoder_pb2.DecodeSegmentRequest(header=HEADER, segment=segment, next_anchor=next_anchor)
    conditions = read_conditions(request, DEFAULT_LIMITS)
    return list(EmbeddedGenerator().generate(conditions, Control()))


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.planes, b.planes, strict=True))


def test_keyframes_are_shown_as_decoded():
    keyframes = coded(1, 2, 3)
    anchors = [resize(picture, 130, 98) for picture in av1.decode(keyframes)]
    shown = frames_of(pb.Segment(keyframes=keyframes))
    assert len(shown) == 12
    assert all(same(shown[position], anchor) for position, anchor in zip((0, 4, 8), anchors, strict=True))
    assert not same(shown[2], anchors[0])


def test_a_closing_keyframe_is_the_last_frame():
    keyframes = coded(1, 2)
    closing = resize(list(av1.decode(keyframes))[1], 130, 98)
    assert same(frames_of(pb.Segment(keyframes=keyframes, closing_frames=12))[-1], closing)


def test_the_neighbours_anchor_pulls_the_frames_before_it():
    keyframes = coded(1)
    alone = frames_of(pb.Segment(keyframes=keyframes))
    pulled = frames_of(pb.Segment(keyframes=keyframes), first_picture(coded(2, 3)))
    anchor = resize(next(av1.decode(coded(2))), 130, 98)

    def distance(picture):
        return np.abs(picture.y.astype(int) - anchor.y).mean()

    assert distance(pulled[-1]) < distance(alone[-1]) / 2
