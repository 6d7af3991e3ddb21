"""Pictures at a constant rate: which slot each one stands in.

Slot n of a stream is shown at n / rate seconds after its start. A picture goes to the slot nearest to its time, or,
where that is taken, to the next one, since a picture shown a little late is better than one that is not shown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Seconds = NDArray[np.float64]

LATE_SECONDS = Fraction(1, 50)  # by which a picture may come behind its sound; nobody notices
_NEAREST = Fraction(13, 25)  # of a slot: half, and what rounding in the container takes
_ROUNDING = 1e-9  # of a slot, which floating-point times are off by


@dataclass(frozen=True)
class Timed(Generic[T]):
    """An item with its time in seconds; None where unknown."""

    item: T
    time: Fraction | None


def slots_of(times: Seconds, rate: float) -> NDArray[np.int64]:
    """Return the slot of each picture, where every one keeps a slot of its own.

    Args:
        times: ascending, in seconds after the stream's start.
        rate: in slots per second.
    """
    turns = np.arange(len(times))
    nearest = np.maximum(np.ceil(times * rate - float(_NEAREST) - _ROUNDING), 0)
    return np.asarray(np.maximum.accumulate(nearest - turns) + turns, np.int64)


def most_late(rate: Fraction) -> Fraction:
    """Return by how many slots a picture may be late; one that would be later is left out."""
    return max(Fraction(1), LATE_SECONDS * rate)


def _nearest(position: Fraction) -> int:
    return -((_NEAREST - position) // 1)


class Cadence(Generic[T]):
    """Repeats and drops items so that each stands in its slot.

    Attributes:
        first_slot: that the first item stands in.
        repeated, dropped: how many so far, those that stand at the start and at the end not counted.
    """

    def __init__(self, rate: Fraction, start: Fraction | None = None, first: Fraction | None = None) -> None:
        """Place items at ``rate``.

        Args:
            rate: in slots per second.
            start: of slot 0 in seconds on the clock of the items; None for the time of the first.
            first: time of the first item where those before it were left out; its slot is the first.
        """
        self._rate = rate
        self._start = start
        self._next = 0 if first is None else max(_nearest(self._position(first)), 0)
        self.first_slot = self._next
        self._late = most_late(rate)
        self.repeated = self.dropped = 0

    def place(self, items: Iterable[Timed[T]]) -> Iterator[T]:
        """Yield the items slot by slot; the first stands from slot 0 on, each until the next."""
        last: T | None = None
        for timed in items:
            position = self._position(timed.time)
            if self._next - position > self._late:
                self.dropped += 1
                continue
            slot = max(self._next, _nearest(position))
            self.repeated += 0 if last is None else slot - self._next
            yield from self._hold(timed.item if last is None else last, slot)
            yield timed.item
            self._next += 1
            last = timed.item

    def hold(self, item: T, until: Fraction) -> Iterator[T]:
        """Yield ``item`` until ``until`` seconds on the clock of the items, after all others."""
        yield from self._hold(item, round(self._position(until)))

    def _hold(self, item: T, slot: int) -> Iterator[T]:
        while self._next < slot:
            yield item
            self._next += 1

    def _position(self, time: Fraction | None) -> Fraction:
        """Return where a time is, in slots."""
        if time is None:
            return Fraction(self._next)
        if self._start is None:
            self._start = time
        return (time - self._start) * self._rate
