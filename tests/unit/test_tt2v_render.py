from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.control import Control
from cmvc.errors import CancelledError
from cmvc.v1 import common_pb2
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.embedded.tt2v import render


def frames(text, width=128, height=72, count=5, seed=1, rate=Fraction(2)):
    conditions = Conditions(common_pb2.MODE_TT2V, width, height, count, rate, seed, text)
    return list(render(conditions, Control()))


def mass_center(picture, dark=70):
    rows, columns = np.nonzero(picture.y < dark)
    return columns.mean() / picture.width, rows.mean() / picture.height


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=200), st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_any_text_renders_at_any_size(text, width, height, count, seed):
    pictures = frames(text, width, height, count, seed)
    assert len(pictures) == count
    for picture in pictures:
        assert (picture.width, picture.height) == (width, height)
        assert picture.u.shape == picture.v.shape == ((height + 1) // 2, (width + 1) // 2)
        assert picture.y.min() >= 16
        assert picture.y.max() <= 235


def test_colour_words_colour_the_frame():
    red, blue = (frames(f"Vivid {colour} wall background.", count=1)[0] for colour in ("red", "blue"))
    assert red.v.mean() > 150 > 130 > blue.v.mean()
    assert blue.u.mean() > 140 > red.u.mean()
    dark, pale = (frames(f"{light} grey wall background.", count=1)[0] for light in ("Dark", "Pale"))
    assert dark.y.mean() + 80 < pale.y.mean()


def test_place_words_place_things():
    def at(place):
        return mass_center(frames(f"Pale grey wall background, black patch {place}.", count=1)[0])

    assert at("left")[0] < 0.3 < 0.7 < at("right")[0]
    assert at("high")[1] < 0.35 < 0.65 < at("low")[1]
    assert at("left")[0] < at("inner left")[0] < at("mid left")[0]


def test_size_words_size_things():
    def area(size):
        return (frames(f"Pale grey wall background, {size} black patch centre.", count=1)[0].y < 70).mean()

    assert area("small") < area("") < area("large")


def test_textures_differ():
    plain, leafy = (frames(f"Green {noun} background.", count=1)[0].y.astype(float) for noun in ("wall", "trees"))
    assert leafy.std() > 3 * plain.std()


@pytest.mark.parametrize(
    ("direction", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_motion_words_move_things(direction, axis, sign):
    text = f"Pale grey wall background, small black figure centre.\nThe black figure moves {direction}."
    first, *_, last = frames(text)
    assert sign * (mass_center(last)[axis] - mass_center(first)[axis]) > 0.1


def test_speed_words_set_the_speed():
    def way(speed):
        text = f"Pale grey wall background, small black figure centre.\nThe black figure moves right{speed}."
        first, *_, last = frames(text)
        return mass_center(last)[0] - mass_center(first)[0]

    assert 0 < way(" slowly") < way("") < way(" fast")


def test_camera_moves_the_scene_the_other_way():
    text = "Pale grey wall background, black patch centre.\nCamera pans right."
    first, *_, last = frames(text)
    assert mass_center(last)[0] < mass_center(first)[0] - 0.1


def test_zooming_in_makes_things_larger():
    first, *_, last = frames("Pale grey wall background, black patch centre.\nCamera zooms in.")
    assert (last.y < 70).sum() > 1.3 * (first.y < 70).sum()


def test_light_words_change_the_light():
    first, *_, last = frames("Grey wall background.\nThe light fades.")
    assert last.y.mean() < first.y.mean() - 5


def test_motion_is_smooth():
    text = (
        "Green trees background, black figure left, azure water bottom.\nCamera pans right slowly. Black figure sways."
    )
    pictures = frames(text, count=24, rate=Fraction(24))
    steps = [np.abs(a.y.astype(int) - b.y).mean() for a, b in pairwise(pictures)]
    assert 0 < max(steps) < 4


def test_one_seed_gives_one_video():
    text = "Green trees background, azure water bottom."
    a, b, c = frames(text, seed=5), frames(text, seed=5), frames(text, seed=6)
    assert all(np.array_equal(x.y, y.y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0].y, c[0].y)


def test_rendering_can_be_cancelled():
    control = Control()
    running = render(Conditions(common_pb2.MODE_TT2V, 64, 36, 10, Fraction(24), 1, "A red wall."), control)
    next(running)
    control.cancel()
    with pytest.raises(CancelledError):
        next(running)


def test_the_camera_stands_still_beyond_what_a_segment_may_last():
    shown = frames("Blue sky, wide, upper.\nThe camera zooms in very fast.", count=17, rate=Fraction(1))  # -8..8 s
    assert all(np.array_equal(shown[0].y, each.y) for each in shown[1:4])  # -7, -6 and -5 s
    assert not np.array_equal(shown[3].y, shown[4].y)
