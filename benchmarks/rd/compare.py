"""CMVC against the hull of baselines, clip by clip and on average."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

from benchmarks.rd import ours
from benchmarks.rd.baselines import MAIN
from benchmarks.rd.hull import Difference, Hull, Shape, bd_rate
from benchmarks.rd.points import Point, hull_of

LEAST_VMAF = 20.0
"""Under it hardly anything is recognised; differences are given with and without what lies below."""


class Part(Enum):
    """Which part of two curves is compared."""

    WHOLE = "each from its floor"
    SHARED_RATES = "from the higher floor"  # without what one side alone reaches at lower rates
    WATCHABLE = f"VMAF ≥ {LEAST_VMAF:g}"  # from the rate up at which the baselines' hull has that


@dataclass(frozen=True)
class Field:
    """The points of a run, and how they are compared.

    Attributes:
        points: of every clip and codec.
        limit: highest rate, bit/s: hulls are cut there.
        shape: how points become a curve.
    """

    points: Sequence[Point]
    limit: float
    shape: Shape = Shape.HULL

    @property
    def clips(self) -> list[str]:
        """The clips' names, in order."""
        return list(dict.fromkeys(point.clip for point in self.points))

    @property
    def methods(self) -> list[str]:
        """Names of CMVC's ways to code."""
        return [name for name in self._codecs() if name.startswith(ours.NAME)]

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines."""
        return [name for name in self._codecs() if not name.startswith(ours.NAME)]

    @property
    def opponents(self) -> dict[str, tuple[str, ...]]:
        """Sets of baselines to compare with: the main ones, all, and each alone."""
        main = tuple(name for name in self.baselines if name in {codec.name for codec in MAIN})
        sets = {" + ".join(main): main, "all of them": tuple(self.baselines)}
        sets |= {name: (name,) for name in self.baselines}
        return {title: names for title, names in sets.items() if names}

    @property
    def main(self) -> tuple[str, ...]:
        """The main baselines that were run; all where none of those were."""
        return next(iter(self.opponents.values()), ())

    def of(self, clip: str, codecs: Iterable[str]) -> list[Point]:
        """Return the points that count: those with a segment of nothing but text do not; no picture was meant there."""
        names = set(codecs)
        return [p for p in self.points if p.clip == clip and p.codec in names and ours.TEXT_ONLY not in p.modes]

    def hull(self, clip: str, codecs: Iterable[str], metric: str, least_rate: float = 0.0) -> Hull:
        """Return the hull of some codecs' points on a clip, of those with rates from ``least_rate`` up to the limit."""
        points = [point for point in self.of(clip, codecs) if point.bits_per_second >= least_rate]
        return hull_of(points, metric, self.shape).up_to(self.limit)

    def difference(
        self, clip: str, method: str, opponents: Sequence[str], metric: str, part: Part = Part.WHOLE
    ) -> Difference | None:
        """Return the BD-rate of a method over the hull of some baselines; None where they share no quality."""
        least_rate, least_quality = 0.0, float("-inf")
        if part is Part.SHARED_RATES:
            sides = (self.of(clip, [method]), self.of(clip, opponents))
            least_rate = max(min((p.bits_per_second for p in side), default=self.limit) for side in sides)
        theirs = self.hull(clip, opponents, metric, least_rate)
        if part is Part.WATCHABLE:
            rate = self.hull(clip, opponents, "vmaf").rate_at(LEAST_VMAF)
            quality = None if rate is None else theirs.quality_at(rate)
            if quality is None:
                return None
            least_quality = quality
        return bd_rate(self.hull(clip, [method], metric, least_rate), theirs, least_quality=least_quality)

    def mean(self, method: str, opponents: Sequence[str], metric: str, part: Part = Part.WHOLE) -> "Mean | None":
        """Return the mean BD-rate over the clips; None where no clip has one."""
        found = [self.difference(clip, method, opponents, metric, part) for clip in self.clips]
        percents = {clip: known.percent for clip, known in zip(self.clips, found, strict=True) if known}
        if not percents:
            return None
        worst = max(percents, key=lambda clip: percents[clip])
        return Mean(fmean(percents.values()), len(percents), worst, percents[worst])

    def _codecs(self) -> list[str]:
        return list(dict.fromkeys(point.codec for point in self.points))


@dataclass(frozen=True)
class Mean:
    """The arithmetic mean of BD-rates in percent, over how many clips, and the worst of them."""

    percent: float
    clips: int
    worst_clip: str
    worst: float
