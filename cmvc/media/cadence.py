"""From whatever times the frames have to a constant rate."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

T = TypeVar("T")

_EARLY = Fraction(3, 5)  # of a frame; less than this is jitter, as for ffmpeg
_LONGEST_HOLD_SECONDS = 60  # a longer gap between two frames is taken for a break in the timestamps
_LONGEST_LAST_SECONDS = 10  # a longer last frame is taken for a wrong duration
_STANDARD = [Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)]
_STANDARD += [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)]
_SNAP = Fraction(1, 50_000)  # 30 minutes drift by less than a frame
_LARGEST_DENOMINATOR = 1_000_000


@dataclass(frozen=True)
class Timed(Generic[T]):
    """An item with its time and duration in seconds; None where unknown."""

    item: T
    time: Fraction | None
    duration: Fraction | None = None


def constant_rate(
    guess: Fraction | None,
    average: Fraction | None,
    time_base: Fraction | None,
    first_duration: Fraction | None,
    most: int,
) -> Fraction:
    """Return the frame rate to resample to: the source's own where it is constant.

    Args:
        guess: what the demuxer makes of timestamps and declarations.
        average: frames over duration.
        time_base: unit of the timestamps in seconds.
        first_duration: of the first frame in seconds; counts where there are too few frames for an average.
        most: upper bound in frames per second; a higher rate is divided by a whole number.
    """
    rate = guess or average or Fraction(25)
    if average is None and first_duration:
        rate = 1 / first_duration
    if average and time_base == 1 / average:  # one tick per frame: the container knows no other rate
        rate = average
    if rate <= 0:
        rate = Fraction(25)
    rate = next((standard for standard in _STANDARD if abs(rate / standard - 1) < _SNAP), rate)
    rate = rate.limit_denominator(_LARGEST_DENOMINATOR) or Fraction(1, _LARGEST_DENOMINATOR)
    return rate / -(-rate // most)


class Cadence(Generic[T]):
    """Repeats and drops items so that item n stands at n / rate seconds after the first.

    Items less than a frame late or early keep their turn, so a constant rate with jitter keeps every item.

    Attributes:
        repeated, dropped: how many so far.
        breaks: how often the timestamps jumped; such a gap is closed.
    """

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._start: Fraction | None = None
        self._next = 0
        self.repeated = self.dropped = self.breaks = 0

    def place(self, items: Iterable[Timed[T]]) -> Iterator[T]:
        """Yield the items at the constant rate; the last one is held for its duration."""
        last: Timed[T] | None = None
        last_end = Fraction(0)  # in frames
        for timed in items:
            position = self._position(timed.time)
            if position <= self._next - 1:
                self.dropped += 1
            else:
                while last is not None and position > self._next + _EARLY:
                    yield last.item
                    self.repeated += 1
                    self._next += 1
                yield timed.item
                self._next += 1
            last = timed
            last_end = position + (timed.duration or 0) * self._rate
        if last is not None:
            hold = min(round(last_end) - self._next, int(_LONGEST_LAST_SECONDS * self._rate))
            for _ in range(hold):
                yield last.item
                self.repeated += 1

    def _position(self, time: Fraction | None) -> Fraction:
        """Return where the item belongs, in frames from the first."""
        if time is None:
            return Fraction(self._next)
        if self._start is None:
            self._start = time
        position = (time - self._start) * self._rate
        if abs(position - self._next) > max(_LONGEST_HOLD_SECONDS * self._rate, Fraction(2)):
            self.breaks += 1
            self._start = time - self._next / self._rate
            return Fraction(self._next)
        return position
