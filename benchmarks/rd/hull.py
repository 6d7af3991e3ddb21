"""Upper hulls of rate-quality points, and the mean difference in rate between two of them (BD-rate).

A hull is the concave upper envelope of the points over the logarithm of the rate, as far as quality rises; between two
of its corners quality is linear in log rate. The BD-rate of A over B is the mean of ``log(rate of A / rate of B)`` over
the qualities that both reach, as a percentage (Bjøntegaard, VCEG-M33, with hulls in place of fitted cubics). Nothing is
extrapolated, both sides are treated alike, and so a set of points against itself gives 0.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Hull:
    """A hull's corners: rates in bit/s and qualities, both strictly rising. Empty where there were no points."""

    rates: tuple[float, ...]
    qualities: tuple[float, ...]

    @classmethod
    def of(cls, points: Iterable[tuple[float, float]]) -> "Hull":
        """Return the hull of ``(rate, quality)`` points; rates above 0."""
        corners: list[tuple[float, float]] = []
        for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
            if corners and quality <= corners[-1][1]:
                continue
            while len(corners) > 1 and _is_under(corners[-2], corners[-1], (rate, quality)):
                corners.pop()
            corners.append((rate, quality))
        return cls(tuple(rate for rate, _ in corners), tuple(quality for _, quality in corners))

    def __bool__(self) -> bool:
        return bool(self.rates)

    def quality_at(self, rate: float) -> float | None:
        """Return the quality reached with ``rate``: None under the first corner, the last corner's beyond that."""
        if not self or rate < self.rates[0]:
            return None
        logs = [math.log(known) for known in self.rates]
        return _interpolate(math.log(rate), logs, self.qualities)

    def rate_at(self, quality: float) -> float | None:
        """Return the lowest rate that reaches ``quality``; None where nothing does."""
        if not self or quality > self.qualities[-1]:
            return None
        return math.exp(_interpolate(quality, self.qualities, [math.log(rate) for rate in self.rates]))

    def up_to(self, most: float) -> "Hull":
        """Return the part of the hull with rates of at most ``most``, cut between two points where need be."""
        count = sum(rate <= most for rate in self.rates)
        rates, qualities = self.rates[:count], self.qualities[:count]
        end = self.quality_at(most)
        if 0 < count < len(self.rates) and end is not None and end > qualities[-1]:
            rates, qualities = (*rates, most), (*qualities, end)
        return Hull(rates, qualities)


@dataclass(frozen=True)
class Difference:
    """How two hulls compare.

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
    mean = (_area(ours, low, high) - _area(theirs, low, high)) / (high - low)
    return Difference(100 * math.expm1(mean), low, high, (high - low) / (top - bottom))


def _area(hull: Hull, low: float, high: float) -> float:
    """Return the integral of log rate over quality: exact, since it is linear between corners."""
    logs = [math.log(rate) for rate in hull.rates]
    cuts = [low, *(quality for quality in hull.qualities if low < quality < high), high]
    values = [_interpolate(cut, hull.qualities, logs) for cut in cuts]
    pairs = zip(zip(cuts, values, strict=True), zip(cuts[1:], values[1:], strict=True), strict=False)
    return sum((right - left) * (a + b) / 2 for (left, a), (right, b) in pairs)


def _is_under(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    """Say whether ``middle`` is on or under the line from ``left`` to ``right``, over log rate."""
    along = math.log(middle[0] / left[0]) / math.log(right[0] / left[0])
    return middle[1] <= left[1] + along * (right[1] - left[1])


def _interpolate(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return y at x on the line through rising ``xs``; the end values outside."""
    if x <= xs[0]:
        return ys[0]
    for left, right, a, b in zip(xs, xs[1:], ys, ys[1:], strict=False):
        if x <= right:
            return a + (x - left) / (right - left) * (b - a)
    return ys[-1]
