"""The rate-quality benchmark compares hulls: exactly, both sides alike, and only where both are."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rd.hull import Hull, bd_rate

POINTS = [(4_000.0, 10.0), (8_000.0, 30.0), (12_000.0, 32.0), (16_000.0, 45.0), (32_000.0, 50.0)]
clouds = st.lists(st.tuples(st.floats(500, 1e6), st.floats(0, 100)), min_size=2, max_size=30)


def shifted(factor: float) -> Hull:
    return Hull.of((factor * rate, quality) for rate, quality in POINTS)


def test_a_set_against_itself_is_0() -> None:
    same = bd_rate(Hull.of(POINTS), Hull.of(POINTS))
    assert same is not None
    assert (same.percent, same.low, same.high, same.share) == (0, 10, 50, 1)


@given(clouds)
def test_any_set_against_itself_is_0(points: list[tuple[float, float]]) -> None:
    same = bd_rate(Hull.of(points), Hull.of(reversed(points)))
    assert same is None or same.percent == 0


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_a_shift_in_rate_is_that_many_percent(factor: float) -> None:
    difference = bd_rate(shifted(factor), Hull.of(POINTS))
    assert difference is not None
    assert difference.percent == pytest.approx(100 * (factor - 1))


def test_the_integral_is_exact_where_corners_differ() -> None:
    ours, theirs = Hull.of([(1_000, 0), (4_000, 2)]), Hull.of([(1_000, 0), (2_000, 1.5), (4_000, 2)])
    difference = bd_rate(ours, theirs)
    assert difference is not None
    # In octaves: ours is q, with an area of 2 under it; theirs is 2q/3 up to 1.5, then 1 to 2: 0.75 + 0.75.
    assert difference.percent == pytest.approx(100 * (2 ** ((2 - 1.5) / 2) - 1))


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


def test_between_two_corners_quality_is_linear_in_log_rate() -> None:
    hull = Hull.of(POINTS)
    assert hull.quality_at(8_000 * math.sqrt(2)) == pytest.approx(37.5)
    assert hull.rate_at(37.5) == pytest.approx(8_000 * math.sqrt(2))
    assert hull.quality_at(3_999) is None
    assert hull.rate_at(51) is None


def test_a_hull_is_cut_at_a_rate() -> None:
    hull = Hull.of(POINTS)
    assert hull.up_to(8_000 * math.sqrt(2)) == Hull((4_000, 8_000, 8_000 * math.sqrt(2)), (10, 30, pytest.approx(37.5)))
    assert hull.up_to(100_000) == hull
    assert not hull.up_to(1_000)


@given(clouds)
def test_a_hull_is_above_its_points_and_bends_down(points: list[tuple[float, float]]) -> None:
    hull = Hull.of(points)
    for rate, quality in points:
        reached = hull.quality_at(rate)
        assert reached is not None
        assert reached >= quality - 1e-6
    assert all(a < b for a, b in pairwise(hull.rates))
    assert all(a < b for a, b in pairwise(hull.qualities))
