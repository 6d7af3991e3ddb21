"""Rate-quality points as one curve, and the mean difference in rate between two curves (BD-rate).

A hull is the concave upper envelope of the points, as far as quality rises. It is what mixing gives: a part of the clip
coded as one point and the rest as another has their mean rate and their mean quality. The BD-rate of A over B is the
mean of ``log(rate of A / rate of B)`` over the qualities that both reach, as a percentage (Bjøntegaard, VCEG-M33, with
hulls in place of fitted cubics). Nothing is extrapolated, both sides are treated alike, and so a set of points against
itself gives 0.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """How points become a curve. All but the first are for comparison."""

    HULL = "hull"
    FRONT = "every point that no cheaper one betters, linear in log rate between"
    LOG_HULL = "hull over log rate, which promises more than mixing gives where quality rises slowly at first"


@dataclass(frozen=True)
class Hull:
    """A curve's corners: rates in bit/s and qualities, both strictly rising. Empty where there were no points."""

    rates: tuple[float, ...]
    qualities: tuple[float, ...]
    shape: Shape = Shape.HULL

    @classmethod
    def of(cls, points: Iterable[tuple[float, float]], shape: Shape = Shape.HULL) -> "Hull":
        """Return the curve through ``(rate, quality)`` points; rates above 0."""
        corners: list[tuple[float, float]] = []
        for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
            if corners and quality <= corners[-1][1]:
                continue
            if corners and _on_axis(rate, shape) == _on_axis(corners[-1][0], shape):  # one place, as far as floats tell
                rate = corners.pop()[0]  # noqa: PLW2901
            while shape is not Shape.FRONT and len(corners) > 1:
                along = _position(corners[-1][0], corners[-2][0], rate, shape)
                if corners[-1][1] > corners[-2][1] + along * (quality - corners[-2][1]):
                    break
                corners.pop()
            corners.append((rate, quality))
        return cls(tuple(rate for rate, _ in corners), tuple(quality for _, quality in corners), shape)

    def __bool__(self) -> bool:
        return bool(self.rates)

    def quality_at(self, rate: float) -> float | None:
        """Return the quality reached with ``rate``: None under the first corner, the last corner's beyond that."""
        if not self or rate < self.rates[0]:
            return None
        axis = [_on_axis(known, self.shape) for known in self.rates]
        return _interpolate(_on_axis(rate, self.shape), axis, self.qualities)

    def rate_at(self, quality: float) -> float | None:
        """Return the lowest rate that reaches ``quality``; None where nothing does."""
        if not self or quality > self.qualities[-1]:
            return None
        found = _interpolate(quality, self.qualities, [_on_axis(rate, self.shape) for rate in self.rates])
        return found if self.shape is Shape.HULL else math.exp(found)

    def up_to(self, most: float) -> "Hull":
        """Return the part of the curve with rates of at most ``most``, cut between two corners where need be."""
        count = sum(rate <= most for rate in self.rates)
        rates, qualities = self.rates[:count], self.qualities[:count]
        end = self.quality_at(most)
        if 0 < count < len(self.rates) and end is not None and end > qualities[-1]:
            rates, qualities = (*rates, most), (*qualities, end)
        return Hull(rates, qualities, self.shape)

    def mean_log_rate(self, low: float, high: float) -> float:
        """Return the mean of log rate over the qualities from ``low`` to ``high``, both on the curve: exactly."""
        cuts = [low, *(quality for quality in self.qualities if low < quality < high), high]
        rates = [self.rate_at(cut) or self.rates[-1] for cut in cuts]
        pieces = zip(cuts, cuts[1:], rates, rates[1:], strict=False)
        return sum((b - a) * _mean_log(x, y, self.shape) for a, b, x, y in pieces) / (high - low)


@dataclass(frozen=True)
class Difference:
    """How two curves compare.

    Attributes:
        percent: rate of the one over that of the other at equal quality, less 100 %; negative is a saving.
        low, high: the qualities between which both were compared.
        share: of the range of qualities that either reaches, the part compared; 0..1.
    """

    percent: float
    low: float
    high: float
    share: float


def bd_rate(ours: Hull, theirs: Hull, *, least_quality: float = -math.inf) -> Difference | None:
    """Return how much more rate ``ours`` needs than ``theirs``, from ``least_quality`` up.

    Returns:
        None where no range of qualities is reached by both.
    """
    if not ours or not theirs:
        return None
    low = max(ours.qualities[0], theirs.qualities[0], least_quality)
    high = min(ours.qualities[-1], theirs.qualities[-1])
    if low >= high:
        return None
    bottom = max(min(ours.qualities[0], theirs.qualities[0]), least_quality)
    top = max(ours.qualities[-1], theirs.qualities[-1])
    mean = ours.mean_log_rate(low, high) - theirs.mean_log_rate(low, high)
    return Difference(100 * math.expm1(mean), low, high, (high - low) / (top - bottom))


def _on_axis(rate: float, shape: Shape) -> float:
    """Return the number in which quality is linear between corners."""
    return rate if shape is Shape.HULL else math.log(rate)


def _position(rate: float, left: float, right: float, shape: Shape) -> float:
    """Return where ``rate`` is between two others: 0..1."""
    x, a, b = (_on_axis(value, shape) for value in (rate, left, right))
    return (x - a) / (b - a)


def _mean_log(left: float, right: float, shape: Shape) -> float:
    """Return the mean of log rate along a piece that ends at two rates."""
    middle = (math.log(left) + math.log(right)) / 2
    if shape is not Shape.HULL or right - left < 1e-6 * left:  # closer, the difference below has no digits left
        return middle
    return (right * math.log(right) - left * math.log(left)) / (right - left) - 1


def _interpolate(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return y at x on the line through rising ``xs``; the end values outside."""
    if x <= xs[0]:
        return ys[0]
    for left, right, a, b in zip(xs, xs[1:], ys, ys[1:], strict=False):
        if x <= right:
            return a + (x - left) / (right - left) * (b - a)
    return ys[-1]
