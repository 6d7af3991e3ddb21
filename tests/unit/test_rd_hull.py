"""The rate-quality benchmark compares hulls: exactly, both sides alike, and only where both are."""

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.rd.hull import Hull, Shape, bd_rate

POINTS = [(4_000.0, 10.0), (8_000.0, 30.0), (12_000.0, 32.0), (16_000.0, 45.0), (32_000.0, 50.0)]
clouds = st.lists(st.tuples(st.floats(500, 1e6), st.floats(0, 100)), min_size=2, max_size=30)
shapes = st.sampled_from(list(Shape))


def test_a_set_against_itself_is_0() -> None:
    same = bd_rate(Hull.of(POINTS), Hull.of(POINTS))
    assert same is not None
    assert (same.percent, same.low, same.high, same.share) == (0, 10, 50, 1)


@given(clouds, shapes)
def test_any_set_against_itself_is_0(points: list[tuple[float, float]], shape: Shape) -> None:
    same = bd_rate(Hull.of(points, shape), Hull.of(reversed(points), shape))
    assert same is None or same.percent == 0


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_a_shift_in_rate_is_that_many_percent(factor: float, shape: Shape) -> None:
    shifted = Hull.of([(factor * rate, quality) for rate, quality in POINTS], shape)
    difference = bd_rate(shifted, Hull.of(POINTS, shape))
    assert difference is not None
    assert difference.percent == pytest.approx(100 * (factor - 1))


@pytest.mark.parametrize("shape", list(Shape))
def test_the_integral_is_exact_where_corners_differ(shape: Shape) -> None:
    ours = Hull.of([(1_000, 0), (4_000, 2)], shape)
    theirs = Hull.of([(1_000, 0), (2_000, 1.5), (4_000, 2)], shape)
    difference = bd_rate(ours, theirs)
    steps = 20_000
    middles = [2 * (step + 0.5) / steps for step in range(steps)]
    logs = [math.log((ours.rate_at(q) or 0) / (theirs.rate_at(q) or 0)) for q in middles]
    assert difference is not None
    assert difference.percent == pytest.approx(100 * math.expm1(math.fsum(logs) / steps), rel=1e-4)


def test_sets_that_share_no_quality_have_no_difference() -> None:
    low, high = Hull.of([(1_000, 1), (2_000, 10)]), Hull.of([(1_000, 20), (2_000, 30)])
    assert bd_rate(low, high) is None
    assert bd_rate(Hull.of([]), high) is None
    assert bd_rate(Hull.of([(1_000, 25)]), high) is None


def test_the_overlap_is_stated_and_bounded_from_below() -> None:
    ours, theirs = Hull.of([(1_000, 0), (4_000, 40)]), Hull.of([(2_000, 20), (8_000, 60)])
    whole, upper = bd_rate(ours, theirs), bd_rate(ours, theirs, least_quality=30)
    assert whole is not None
    assert (whole.low, whole.high, whole.share) == (20, 40, pytest.approx(20 / 60))
    assert upper is not None
    assert (upper.low, upper.high, upper.share) == (30, 40, pytest.approx(10 / 30))


def test_points_under_the_hull_do_not_count() -> None:
    hull = Hull.of(POINTS)
    assert hull.rates == (4_000, 8_000, 16_000, 32_000)
    assert Hull.of([*POINTS, (20_000, 1), (64_000, 49)]) == hull
    assert Hull.of(POINTS, Shape.FRONT).rates == tuple(rate for rate, _ in POINTS)
    assert Hull.of([*POINTS, (20_000, 45)], Shape.FRONT).rates == tuple(rate for rate, _ in POINTS)


def test_between_two_corners_lies_what_mixing_gives() -> None:
    hull = Hull.of(POINTS)
    assert hull.quality_at(12_000) == pytest.approx(37.5)
    assert hull.rate_at(37.5) == pytest.approx(12_000)
    assert hull.quality_at(3_999) is None
    assert hull.rate_at(51) is None


def test_a_slow_start_is_no_corner_of_a_hull_over_log_rate() -> None:
    slow = [(5_000, 0), (10_000, 8), (20_000, 23), (80_000, 46)]
    assert Hull.of(slow).rates == (5_000, 10_000, 20_000, 80_000)
    assert Hull.of(slow, Shape.LOG_HULL).rates == (5_000, 20_000, 80_000)


def test_a_hull_is_cut_at_a_rate() -> None:
    hull = Hull.of(POINTS)
    assert hull.up_to(12_000) == Hull((4_000, 8_000, 12_000), (10, 30, pytest.approx(37.5)))
    assert hull.up_to(100_000) == hull
    assert not hull.up_to(1_000)


@example([(500.0, 0.0), (500.00000000000006, 1.0)], Shape.FRONT)
@given(clouds, shapes)
def test_a_curve_is_above_its_points(points: list[tuple[float, float]], shape: Shape) -> None:
    hull = Hull.of(points, shape)
    for rate, quality in points:
        reached = hull.quality_at(rate)
        assert reached is not None
        assert reached >= quality - 1e-6
    assert all(a < b for a, b in pairwise(hull.rates))
    assert all(a < b for a, b in pairwise(hull.qualities))
