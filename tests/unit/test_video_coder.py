from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from cmvc.bitstream.av1pack.first_headers import first_headers
from cmvc.bitstream.av1pack.payload import is_packed, unpack
from cmvc.bitstream.packets import frame_packet
from cmvc.control import Control
from cmvc.media import av1
from cmvc.media.fill_frames import fill_frames
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize
from cmvc.media.shrink import Shrinker
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.coding.effort import BEST, DEFAULT, FAST, preset
from cmvc_encoder.coding.measure import MEASURES
from cmvc_encoder.coding.video import VideoCoder
from cmvc_encoder.ingest.window import Window

WIDTH, HEIGHT, RATE = 192, 112, Fraction(24)


def pictures(count: int, speed: int = 2, detail: float = 7.0) -> list[Picture]:
    """A texture that pans."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 120, np.uint8)
    shown = []
    for n in range(count):
        luma = 120 + 50 * np.sin((x + speed * n) / detail) * np.cos(y / 5) + 20 * np.sin((x + speed * n) * y / 90)
        shown.append(Picture(luma.astype(np.uint8), chroma, chroma))
    return shown


def window(shown: list[Picture]) -> Window:
    return Window(shown, 0, WIDTH, HEIGHT, RATE, True, False, None)


def decoded(segment: pb.Segment, count: int) -> list[Picture]:
    step, by_motion = segment.frame_step or 1, segment.follows_motion
    coded = fill_frames(av1.decode(segment.video), step, count, by_motion=by_motion)
    return [resize(picture, WIDTH, HEIGHT) for picture in coded]


@pytest.mark.parametrize("effort", [FAST, DEFAULT], ids=["fast", "default"])
@pytest.mark.parametrize("budget", [900, 4000])
def test_a_window_ends_just_under_its_budget(budget, effort):
    trial = VideoCoder("video", None, effort).encode(window(pictures(24)), budget, Control())
    (segment,) = trial.segments
    assert trial.size == len(frame_packet(pb.Packet(segment=segment)))
    assert 0.9 * budget <= trial.size <= budget
    assert is_packed(segment.video)
    assert trial.made is not None
    first = next(av1.decode(segment.video))
    assert (first.width, first.height) == (trial.made.shape.width, trial.made.shape.height)


def test_the_score_is_that_of_what_a_decoder_shows():
    shown = pictures(24)
    trial = VideoCoder("video").encode(window(shown), 2500, Control())
    pairs = [(a.y, b.y) for a, b in zip(shown, decoded(trial.segments[0], 24), strict=True)]
    assert trial.made is not None
    assert MEASURES[trial.made.measure](pairs) == pytest.approx(trial.score, abs=1.0)


def test_more_bytes_give_a_better_score():
    trials = [VideoCoder("video", None, FAST).encode(window(pictures(24)), n, Control()) for n in (700, 2000, 6000)]
    assert [trial.score for trial in trials] == sorted(trial.score for trial in trials)


def test_a_quality_looks_the_same_whatever_the_clip():
    """Clips that take different bytes."""
    coder = VideoCoder("video", None, FAST)
    clips = [pictures(24, speed=1, detail=20.0), pictures(24, speed=5, detail=4.0)]
    calm, busy = (coder.encode_quality(window(clip), 40, Control()) for clip in clips)
    assert busy.size > 1.25 * calm.size
    assert calm.score == pytest.approx(busy.score, abs=1.5)
    better = coder.encode_quality(window(clips[0]), 60, Control())
    assert better.score > calm.score + 3
    assert better.size > calm.size


def test_a_later_window_of_a_shot_starts_where_the_last_one_ended():
    coder = VideoCoder("video", None, FAST)
    first = coder.encode(window(pictures(24)), 1500, Control())
    later = coder.encode(replace(window(pictures(24)), opens_shot=False, first_frame=24), 1500, Control())
    assert first.made is not None
    assert later.made is not None
    assert abs(later.made.shape.width - first.made.shape.width) <= 0.4 * first.made.shape.width


def test_more_effort_means_slower_presets():
    for rate in (1e5, 1e6, 3e6, 1e7, 1e8):
        assert preset(BEST.presets, rate) < preset(DEFAULT.presets, rate) <= preset(FAST.presets, rate)


def test_pictures_shrink_without_losing_what_survives():
    """Enlarged again, a picture shrunk by Lanczos is nearer to the original than one averaged over areas."""
    (original,) = pictures(1)
    small = Shrinker(96, 56).shrink(original)
    assert [plane.shape for plane in small.planes] == [(56, 96), (28, 48), (28, 48)]
    errors = []
    for picture in (small, resize(original, 96, 56)):
        shown = resize(picture, WIDTH, HEIGHT)
        errors.append(np.mean((original.y.astype(float) - shown.y) ** 2))
    assert errors[0] < errors[1]
    assert (Shrinker(96, 56).shrink(original).y == small.y).all()


@pytest.mark.parametrize("size", [(192, 112), (200, 112), (8, 8), (2, 200)])
def test_sizes_that_are_not_smaller_or_tiny_are_resized(size):
    (original,) = pictures(1)
    picture = Shrinker(*size).shrink(original)
    assert (picture.width, picture.height) == size


def test_a_payload_tells_its_size_and_quantiser_without_being_decoded():
    found = []
    for budget in (700, 6000):
        (segment,) = VideoCoder("video", None, FAST).encode(window(pictures(12)), budget, Control()).segments
        first = next(av1.decode(segment.video))
        headers = first_headers(segment.video)
        assert headers == first_headers(unpack(segment.video))
        assert headers.size == (first.width, first.height)
        found.append(headers.base_q_idx)
    assert 255 >= found[0] > found[1] > 0
    assert first_headers(b"") is None
    assert first_headers(b"\x12\x00") is None
