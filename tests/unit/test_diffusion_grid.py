"""Segments of any size, length and rate on a native grid."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the diffusion profiles are not installed")

from cmvc.profiles.profile import FrameRule, NativeGrid, native_stride
from cmvc_decoder.diffusion.grid import native_size, plan

WAN = NativeGrid(480 * 832, 16, FrameRule(4, 1, 5, 81), Fraction(16), 5)
LTX = NativeGrid(512 * 704, 32, FrameRule(8, 1, 9, 161), Fraction(25), 9)
FIXED = NativeGrid(320 * 512, 64, FrameRule(1, 0, 16, 16), Fraction(8), 4)
GRIDS = st.sampled_from([WAN, LTX, FIXED])
RATES = st.sampled_from([Fraction(1), Fraction(8), Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(240)])


@st.composite
def segments(draw):
    frames = draw(st.integers(1, 2400))
    inner = draw(st.lists(st.integers(1, frames), max_size=6, unique=True))
    return frames, draw(st.sampled_from([(), (0, *sorted(inner))]))


@given(GRIDS, RATES, segments(), st.integers(1, 7680), st.integers(1, 4320))
@example(WAN, Fraction(25), (9, (0, 3)), 1, 1)  # an anchor that is snapped forward
def test_every_segment_is_covered_by_windows_that_the_model_can_make(grid, rate, segment, width, height):
    frames, positions = segment
    made = plan(grid=grid, width=width, height=height, frames=frames, frame_rate=rate, positions=positions)
    rule = grid.frames
    assert made.window_frames % rule.multiple == rule.offset % rule.multiple
    assert rule.least <= made.window_frames <= rule.most
    assert made.width % grid.side_multiple == made.height % grid.side_multiple == 0
    assert made.windows[0] == 0
    assert all(b - a == made.window_frames - grid.overlap for a, b in pairwise(made.windows))
    assert len(made.times) == made.windows[-1] + made.window_frames
    assert made.times[0] == 0
    assert all(a < b for a, b in pairwise(made.times))
    assert made.times[-1] >= max([frames - 1, *positions])
    for native, number in made.anchors.items():
        assert made.times[native] == positions[number]


@given(GRIDS, RATES, segments(), st.data())
def test_a_position_lies_between_the_two_frames_that_make_it(grid, rate, segment, data):
    frames, positions = segment
    made = plan(grid=grid, width=64, height=64, frames=frames, frame_rate=rate, positions=positions)
    position = data.draw(st.integers(0, frames - 1))
    index, share = made.around(position)
    following = made.times[min(index + 1, len(made.times) - 1)]
    assert made.times[index] + share * (following - made.times[index]) == pytest.approx(position)
    assert 0 <= share < 1


def test_frames_at_the_models_own_rate_need_no_interpolation():
    made = plan(grid=WAN, width=854, height=480, frames=48, frame_rate=Fraction(24), positions=[0, 48])
    assert made.stride == 1
    assert made.window_frames == 49
    assert made.anchors == {0: 0, 48: 1}
    assert all(made.around(position)[1] == 0 for position in range(48))


def test_anchors_off_the_grid_bend_time_so_that_they_stand_exactly():
    made = plan(grid=WAN, width=854, height=480, frames=60, frame_rate=Fraction(60), positions=[0, 29, 60])
    assert made.stride == 4
    assert made.anchors == {0: 0, 7: 1, 15: 2}
    assert [made.times[0], made.times[7], made.times[15]] == [0, 29, 60]


def test_long_segments_take_several_windows_of_equal_length():
    made = plan(grid=WAN, width=854, height=480, frames=240, frame_rate=Fraction(24))
    assert made.windows == (0, 60, 120, 180)
    assert made.window_frames == 65


@pytest.mark.parametrize(
    ("rate", "native", "stride"),
    [(24, 16, 1), (25, 16, 2), (30, 16, 2), (60, 16, 4), (24, 8, 3), (30, 25, 1), (50, 25, 2), (1, 25, 1)],
)
def test_stride_is_the_nearest_whole_number(rate, native, stride):
    assert native_stride(Fraction(rate), Fraction(native)) == stride


def test_native_frames_keep_the_aspect_of_sources_that_models_know():
    assert native_size(854, 480, WAN) == (848, 480)
    assert native_size(480, 854, WAN) == (480, 848)
    assert native_size(352, 288, FIXED) == (448, 384)
    width, height = native_size(853, 17, WAN)
    assert width / height < 5
    assert native_size(854, 480, WAN, pixels=64 * 96) == (112, 64)


def test_a_model_that_does_not_upscale_makes_frames_of_the_sources_size_up_to_its_own():
    most = replace(WAN, side_multiple=32, upscales=False)
    assert native_size(352, 288, most) == (352, 288)
    assert native_size(1920, 1080, most) == (832, 480)
    assert native_size(352, 288, most, pixels=64 * 96) == (96, 64)
