from fractions import Fraction

import numpy as np
import pytest

from cmvc.errors import UnknownEmbeddingError
from cmvc.media.picture import Picture
from cmvc.v1 import encoder_pb2
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.keyframes.choice import KeyframeSelector, embedder_of, make_selector
from cmvc_encoder.options import EncoderOptions

RATE = Fraction(8)  # two frames from sample to sample
GAP = Fraction(8)


class Angles:
    """Embeds a picture as the direction that its luma says in degrees, and counts how often it is asked."""

    id = "angles"
    default_threshold = 0.8

    def __init__(self):
        self.runs = []

    def embed(self, pictures, color_matrix):
        angles = np.radians([float(picture.y[0, 0]) for picture in pictures])
        self.runs.append(len(pictures))
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def picture(degrees):
    plane = np.full((2, 2), degrees, np.uint8)
    return Picture(plane, plane[:1, :1], plane[:1, :1])


def window(degrees, first_frame=0, opens_shot=True, closes_shot=False):
    return Window([picture(each) for each in degrees], first_frame, 2, 2, RATE, opens_shot, closes_shot, None)


def selector(threshold=0.8, gap=GAP, embedder=None):
    return KeyframeSelector(embedder or Angles(), RATE, threshold, gap)


def held(*levels):
    """Return two frames of each level, so that every level is sampled once."""
    return [level for level in levels for _ in range(2)]


def test_a_still_shot_has_its_first_frame_and_one_after_each_longest_gap():
    assert selector().select(window([7] * 8 * 20)) == (0, 64, 128)
    assert selector(gap=Fraction(1)).select(window([7] * 24)) == (0, 8, 16)


def test_the_gap_is_kept_where_it_is_no_multiple_of_the_step_between_samples():
    chosen = selector(gap=Fraction(7, 8)).select(window([7] * 40))
    assert max(np.diff(chosen)) <= 7
    assert selector(gap=Fraction(1, 1000)).select(window([7] * 3)) == (0, 1, 2)


def test_the_gap_runs_on_from_window_to_window():
    chooser = selector(gap=Fraction(2))
    whole = selector(gap=Fraction(2)).select(window([7] * 60))
    parts = [
        start + position
        for start in range(0, 60, 15)
        for position in chooser.select(window([7] * 15, start, opens_shot=start == 0))
    ]
    assert tuple(parts) == whole == (0, 16, 32, 48)


def test_where_the_picture_drifts_the_furthest_frame_within_a_second_is_chosen():
    # 40 degrees are under 0.8; the second after it goes on to 90 and comes back.
    assert selector().select(window(held(0, 10, 20, 40, 70, 90, 60, 60))) == (0, 10)


def test_a_shots_last_second_gets_no_keyframe_by_drifting():
    levels = held(0, 0, 50, 60, 70, 80)
    assert selector().select(window(levels)) == (0, 10)
    assert selector().select(window(levels, closes_shot=True)) == (0,)
    assert selector().select(window(held(0, 50, 60, 60, 0, 0, 0, 0), closes_shot=True)) == (0, 4)
    assert selector().select(window(held(90), closes_shot=True)) == (0,)


def test_after_a_keyframe_pictures_are_compared_with_it():
    found = selector().examine(window(held(0, 60, 60, 60, 60, 100, 100)))
    assert [sample.frame for sample in found if sample.is_keyframe] == [0, 2, 10]
    assert found[2].similarity == pytest.approx(1)
    assert found[5].similarity == pytest.approx(np.cos(np.radians(40)), abs=1e-6)


def test_a_single_sample_that_differs_is_passed_over():
    assert selector().select(window(held(0, 0, 90, 0, 0, 90, 5))) == (0,)


def test_drift_at_the_end_of_a_window_is_followed_up_in_the_next():
    chooser = selector()
    assert chooser.select(window(held(0, 0, 50))) == (0,)
    assert chooser.select(window(held(50, 50), 6, opens_shot=False)) == (0,)
    flash = selector()
    flash.select(window(held(0, 0, 50)))
    assert flash.select(window(held(0, 0, 50, 0), 6, opens_shot=False)) == ()


def test_a_cut_opens_anew_and_says_how_far_it_is_from_what_was_before():
    chooser = selector()
    chooser.select(window([0] * 5))
    found = chooser.examine(window([90] * 5, 5))
    assert [(sample.frame, sample.is_keyframe, sample.opens_shot) for sample in found] == [
        (5, True, True),
        (7, False, False),
        (9, False, False),
    ]
    assert found[0].similarity == pytest.approx(0, abs=1e-6)


def test_a_shot_like_the_one_before_has_its_own_first_keyframe():
    chooser = selector()
    chooser.select(window([3] * 5))
    assert chooser.select(window([3] * 5, 5)) == (0,)


def test_frames_are_embedded_once_and_in_one_batch_per_window():
    embedder = Angles()
    chooser = selector(embedder=embedder)
    chooser.select(window(held(*range(0, 160, 10))))
    chooser.select(window([150] * 9, 32, opens_shot=False))
    assert embedder.runs == [16, 5]


def test_windows_shorter_than_the_step_are_sampled_as_one_long_one():
    chooser = selector()
    degrees = held(0, 10, 50, 50, 50, 50)
    frames = [
        sample.frame
        for number, each in enumerate(degrees)
        for sample in chooser.examine(window([each], number, opens_shot=number == 0))
    ]
    assert frames == [0, 2, 4, 6, 8, 10]


def test_no_window_changes_what_was_chosen_before_it():
    degrees = np.random.default_rng(3).integers(0, 180, 200).tolist()
    whole, cut = selector(), selector()
    first = cut.select(window(degrees[:96]))
    assert first == tuple(p for p in whole.select(window(degrees)) if p < first[-1] + 1)


def test_config_is_filled_in_with_defaults():
    def made(**settings):
        config = encoder_pb2.KeyframeConfig(**settings)
        return make_selector(config, embedder_of(config, EncoderOptions()), RATE)

    assert made().embedding == "embedded"
    assert made().threshold == 0.65
    assert made(threshold=0.5).threshold == 0.5
    still = window([7] * 8 * 10)
    assert made().select(still) == (0, 64)
    assert made(max_gap_ms=4000).select(still) == (0, 32, 64)
    assert made(threshold=0).threshold == 0
    with pytest.raises(UnknownEmbeddingError, match="embedded, clip, siglip"):
        made(embedding="sift")
