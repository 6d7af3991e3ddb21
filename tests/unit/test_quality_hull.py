"""What the quality benchmark compares with is the best mix of a baseline's points."""

import math

import pytest

from benchmarks.quality import Point, hull_at


def point(rate: float, vmaf: float) -> Point:
    return Point("clip", "codec", rate, 0, 0, vmaf, "")


def test_between_two_points_the_hull_is_linear_in_the_logarithm_of_the_rate() -> None:
    points = [point(10_000, 20), point(40_000, 60), point(20_000, 10)]
    assert hull_at(points, 10_000) == 20
    assert hull_at(points, 20_000) == pytest.approx(40)
    assert hull_at(points, 80_000) == 60


def test_below_the_lowest_point_there_is_none() -> None:
    assert math.isnan(hull_at([point(10_000, 20)], 9_999))
