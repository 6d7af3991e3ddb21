"""Segments window by window, and back to the source's size, rate and colours. The "models" here paint what is asked."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("torch", reason="the diffusion profiles are not installed")

import torch

from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.rgb import from_rgb, to_rgb
from cmvc.media.scaling import resize
from cmvc.profiles.profile import FrameRule, NativeGrid
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.color import ColorRestorer, tones
from cmvc_decoder.diffusion.restore import restore
from cmvc_decoder.diffusion.segment import make_plan, make_segment
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generator import Anchor, Conditions

GRID = NativeGrid(64 * 96, 16, FrameRule(4, 1, 5, 17), Fraction(16), 5)
SETTINGS = Settings(steps=2, guidance=1.0)


def gray(level, width=150, height=100):
    small = ((height + 1) // 2, (width + 1) // 2)
    return Picture(
        np.full((height, width), level, np.uint8), np.full(small, 128, np.uint8), np.full(small, 128, np.uint8)
    )


def conditions(mode, frames, **more):
    return Conditions(mode=mode, width=150, height=100, frames=frames, frame_rate=Fraction(16), seed=7, **more)


def run(asked, answer):
    """Return the windows that a segment asks for and what it makes of ``answer(window)``."""
    segment = make_segment(asked, GRID, make_plan(asked, GRID, SETTINGS))
    windows = [next(segment)]
    while True:
        try:
            windows.append(segment.send(answer(windows[-1])))
        except StopIteration as end:
            return windows, end.value


def flat(level):
    return lambda window: np.full((window.frames, window.height, window.width, 3), level, np.uint8)


def test_windows_after_the_first_know_the_last_frames_of_the_one_before():
    levels = iter((50, 100, 150))

    def next_level(window):
        return flat(next(levels))(window)

    windows, native = run(conditions(common_pb2.MODE_TT2V, 40, text="a red\nball"), next_level)
    assert [window.frames for window in windows] == [17, 17, 17]
    assert windows[0].known == {}
    for window, level in zip(windows[1:], (50, 100), strict=True):
        assert list(window.known) == [0, 1, 2, 3, 4]
        assert all((frame == level).all() for frame in window.known.values())
    assert {window.prompt for window in windows} == {"a red ball"}
    seam = native.frames[10:19, 0, 0, 0].astype(int)
    assert list(np.diff(seam)) == [0, 8, 9, 8, 8, 9, 8, 0]  # faded, no jump


def test_every_window_has_noise_of_its_own_that_follows_from_the_seed():
    windows, _ = run(conditions(common_pb2.MODE_TT2V, 40), flat(0))
    draws = [torch.randn(4, generator=window.noise) for window in windows]
    again = [torch.randn(4, generator=window.noise) for window in run(conditions(common_pb2.MODE_TT2V, 40), flat(0))[0]]
    assert all(torch.equal(a, b) for a, b in zip(draws, again, strict=True))
    assert not torch.equal(draws[0], draws[1])


def test_anchors_are_known_at_their_frames_and_pasted_exactly():
    anchors = (Anchor(0, gray(60, 75, 50)), Anchor(9, gray(200, 75, 50)), Anchor(16, gray(90, 75, 50)))
    asked = conditions(common_pb2.MODE_IT2V, 16, anchors=anchors)
    (window,), native = run(asked, flat(128))
    assert list(window.known) == [0, 9, 16]
    assert abs(int(window.known[9][0, 0, 0]) - to_rgb(gray(200), 1)[0, 0, 0]) <= 1
    pictures = list(restore(native, asked, Control()))
    assert len(pictures) == 16
    assert {(picture.width, picture.height) for picture in pictures} == {(150, 100)}
    for anchor in anchors[:2]:
        wanted = resize(anchor.picture, 150, 100)
        assert all(np.array_equal(a, b) for a, b in zip(pictures[anchor.position].planes, wanted.planes, strict=True))


def striped(level, contrast, width=96, height=64):
    """A picture of fine stripes around a level: what is neither tone nor low frequency."""
    picture = gray(level, width, height)
    picture.y[:] = level + contrast * (np.arange(width) % 2 * 2 - 1)
    return picture


def sharpness(picture):
    return float(np.abs(np.diff(picture.y.astype(int), axis=1)).mean())


def test_blended_anchors_neither_stand_out_nor_lose_their_low_frequencies():
    """The model makes frames that are softer than the anchor, and too dark on the left at a scale finer than tones."""
    anchor = striped(120, 30)
    anchor.y[:, :10] += 20
    asked = replace(conditions(common_pb2.MODE_IT2V, 17, anchors=(Anchor(8, anchor),)), width=96, height=64)
    _, native = run(asked, lambda window: np.stack([to_rgb(striped(120, 5), 1)] * window.frames))
    exact, blended = (list(restore(native, asked, Control(), blended=each)) for each in (False, True))
    assert np.array_equal(exact[8].y, anchor.y)
    assert sharpness(exact[8]) > 3 * sharpness(exact[7])
    assert sharpness(blended[8]) == pytest.approx(sharpness(blended[7]), rel=0.1)
    far, near = (np.abs(tones(picture, 32)[0] - tones(anchor, 32)[0]).mean() for picture in (exact[7], blended[8]))
    assert near < 0.3 * far
    left = [float(picture.y[:, :8].mean()) for picture in blended]
    assert left[2] < left[5] < left[7] < left[8] > left[9] > left[11]  # feathered
    assert np.array_equal(blended[2].y, exact[2].y)  # farther than the feather reaches


def test_colors_move_to_those_of_the_anchors_and_steadily_in_between():
    anchors = (Anchor(0, gray(60)), Anchor(8, gray(140)))
    asked = conditions(common_pb2.MODE_IT2V, 9, anchors=anchors)
    _, native = run(asked, flat(128))
    levels = [float(picture.y.mean()) for picture in restore(native, asked, Control())]
    assert levels == pytest.approx([60 + 10 * k for k in range(9)], abs=1)


def test_a_guide_is_shown_to_the_model_at_its_own_pace_and_gives_the_tones():
    guide = [gray(40 + 20 * k, 48, 32) for k in range(5)]
    asked = conditions(common_pb2.MODE_VT2V, 9, guide=guide, frame_step=2)
    (window,), native = run(asked, flat(255))
    shown = window.guide[:, 0, 0, 0].astype(int)
    wanted = [int(to_rgb(gray(40 + 10 * k), 1)[0, 0, 0]) for k in range(9)]
    assert window.guide.shape == (9, 64, 96, 3)
    assert np.abs(shown - wanted).max() <= 1
    levels = [float(picture.y.mean()) for picture in restore(native, asked, Control())]
    assert levels == pytest.approx([40 + 10 * k for k in range(9)], abs=1)


def test_low_rate_sources_pass_through_unharmed():
    """What a perfect model makes comes back: at the native rate nothing is interpolated or recoloured."""
    rng = np.random.default_rng(3)
    frames = [np.kron(rng.integers(0, 255, (8, 12, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(17)]
    asked = Conditions(common_pb2.MODE_TT2V, 96, 64, 17, Fraction(16), 7)
    _, native = run(asked, lambda window: np.stack(frames))
    for picture, frame in zip(restore(native, asked, Control()), frames, strict=True):
        assert np.array_equal(picture.y, from_rgb(frame, 1).y)


def test_a_frame_between_two_native_ones_shows_things_between_their_places():
    def bar(window):
        frames = np.full((window.frames, window.height, window.width, 3), 40, np.uint8)
        for k, frame in enumerate(frames):
            frame[20:44, 8 + 8 * k : 24 + 8 * k] = 220
        return frames

    asked = Conditions(common_pb2.MODE_TT2V, 96, 64, 9, Fraction(32), 7)
    _, native = run(asked, bar)
    centers = [
        float((np.arange(96) * (picture.y > 120)).sum() / (picture.y > 120).sum())
        for picture in restore(native, asked, Control())
    ]
    assert centers == pytest.approx([15.5 + 4 * k for k in range(9)], abs=1.5)


def test_tones_in_between_are_in_between():
    black, white = tones(gray(16)), tones(gray(216))
    restorer = ColorRestorer({0: white, 10: black}, {0: black, 10: black})
    moved = [int(restorer.restore(n, gray(16)).y[0, 0]) for n in (0, 5, 10, 12)]
    assert moved == [216, 116, 16, 16]
