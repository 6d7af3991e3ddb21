import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.media.fill_frames import fill_frames
from cmvc.media.motion_fill import SEARCHED_PIXELS, motion_between, picture_between
from cmvc.media.picture import Picture

WIDTH, HEIGHT = 120, 72


def _picture(shift: int, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """A texture without repetition that moves right."""
    noise = np.random.default_rng(1).integers(0, 256, (height, width + 64), np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 30, 220, cv2.NORM_MINMAX)
    luma = np.ascontiguousarray(texture[:, 64 - shift : 64 - shift + width])
    chroma = np.ascontiguousarray(luma[::2, ::2])
    return Picture(luma, chroma, 255 - chroma)


def _blocks(shift: int) -> Picture:
    """Squares of eight pixels that move right, of whole numbers on every machine."""
    levels = np.random.default_rng(2).integers(20, 236, (9, 20), np.uint8)
    luma = levels.repeat(8, axis=0).repeat(8, axis=1)[:, 40 - shift :][:, :WIDTH].copy()
    chroma = luma[::2, ::2].copy()
    return Picture(luma, chroma, 255 - chroma)


def _error(a: Picture, b: Picture) -> float:
    inner = np.s_[8:-8, 12:-12]
    return float(np.mean((a.y[inner].astype(float) - b.y[inner]) ** 2))


@pytest.mark.parametrize("by_motion", [False, True])
@pytest.mark.parametrize(("step", "frames"), [(1, 7), (2, 7), (3, 7), (4, 9), (6, 4)])
def test_coded_pictures_stay_and_the_count_is_exact(step, frames, by_motion):
    coded = [_picture(2 * n) for n in range(-(-frames // step))]
    shown = list(fill_frames(coded, step, frames, by_motion=by_motion))
    assert len(shown) == frames
    assert all(shown[n * step] is picture for n, picture in enumerate(coded))
    assert all(picture is coded[-1] for picture in shown[(len(coded) - 1) * step :])


@pytest.mark.parametrize("step", [2, 3, 4])
def test_what_moves_is_followed(step):
    truth = [_picture(2 * n) for n in range(2 * step + 1)]
    faded, moved = (list(fill_frames(truth[::step], step, len(truth), by_motion=each)) for each in (False, True))
    for n in range(1, step):
        assert _error(truth[n], moved[n]) < 0.3 * _error(truth[n], faded[n])


def test_after_the_last_picture_it_goes_on_towards_the_following_one():
    truth = [_picture(4 * n) for n in range(5)]
    shown = list(fill_frames(truth[:1], 4, 4, truth[4], by_motion=True))
    assert len(shown) == 4
    assert _error(truth[2], shown[2]) < _error(truth[0], shown[2])
    assert next(iter(fill_frames([_picture(0)], 4, 4, _picture(0, 60, 36), by_motion=True))).width == WIDTH


@given(st.integers(1, 5), st.integers(1, 20), st.integers(1, 7), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_so_many_are_those_of_all(step, frames, every, by_motion):
    coded = [_picture(2 * n, 40, 36) for n in range(-(-frames // step))]
    whole = list(fill_frames(coded, step, frames, by_motion=by_motion))
    some = list(fill_frames(coded, step, frames, by_motion=by_motion, every=every))
    assert [plane.tobytes() for picture in some for plane in picture.planes] == [
        plane.tobytes() for picture in whole[::every] for plane in picture.planes
    ]


def test_samples_are_those_that_the_format_says():
    """Whole numbers throughout: a machine that gets others does not follow docs/bitstream.md."""
    before, after = _blocks(0), _blocks(6)
    field = motion_between(before.y, after.y)
    middle = picture_between(before, after, field, 1, 3)
    digest = hashlib.sha256(b"".join(plane.tobytes() for plane in middle.planes)).hexdigest()
    assert hashlib.sha256(field.tobytes()).hexdigest()[:16] == "87449f5cc61e954a"
    assert digest[:16] == "6cf6bd338f24bc01"


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (17, 16), (8, 40), (1, 1), (2, 90)])
def test_all_sizes_are_filled(size):
    shown = list(fill_frames([_picture(0, *size), _picture(5, *size)], 2, 3, by_motion=True))
    assert {plane.shape for picture in shown for plane in (picture.y,)} == {size[::-1]}


def test_the_largest_pictures_are_cross_faded_all_the_same():
    """Following what moves takes memory and time by their pixels, and nothing can stop it."""

    def coded(width):
        rng = np.random.default_rng(1)
        planes = [
            rng.integers(16, 235, size, np.uint8) for size in ((1088, width), (544, width // 2), (544, width // 2))
        ]
        return Picture(*planes), Picture(*(np.roll(plane, 4, axis=1) for plane in planes))

    def filled(width, by_motion):
        return list(fill_frames(coded(width), 2, 3, by_motion=by_motion))[1].y

    assert np.array_equal(filled(1922, True), filled(1922, False))
    assert not np.array_equal(filled(1920, True), filled(1920, False))


def test_large_pictures_take_over_the_motion_of_smaller_ones():
    width, height = 1280, 720
    assert width * height > SEARCHED_PIXELS
    before, after = _picture(0, width, height), _picture(16, width, height)
    field = motion_between(before.y, after.y)
    assert field.shape == (height, width, 2)
    assert (field % 2 == 0).all()
