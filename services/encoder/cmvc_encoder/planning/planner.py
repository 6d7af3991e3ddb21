"""What each window may take, said before those in front of it are coded.

Several windows are in work at a time. So that bytes do not depend on how many, what became of a window is made use of
for those from ``LAG`` windows after it on, and for the last one once all the others are done.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from cmvc.bitstream.modes import Mode
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.probe import Curve
from cmvc_encoder.planning.ledger import Ledger
from cmvc_encoder.planning.slope import LEAST, shares

MOST_JOBS = 8  # windows in work at a time
LAG = MOST_JOBS + 1  # one more than are in work is held
OUTLOOK = 2  # windows that are read and tried before the one in front of them has its budget
BEYOND_SECONDS = 20.0  # that are taken to follow what is known, and to be like what was seen so far

TrailerSize = Callable[[int, int], int]
"""From a number of segments written, and of more to come, to the bytes of the trailer, at most."""


@dataclass(frozen=True)
class Part:
    """A window as far as planning goes.

    Attributes:
        frames: of it.
        seconds: that they last.
        sound: bytes of sound within it.
        segments: that it may become, at most.
        curve: quality over the bytes of its pictures; None where nothing was tried.
        last: whether no window follows.
    """

    frames: int
    seconds: float
    sound: int
    segments: int
    curve: Curve | None
    last: bool


class Planner:
    """Shares the bytes of a stream out.

    ``budget`` is called for each window in order, ``took`` for each once it is written, maybe in another thread, with
    fewer than ``LAG`` calls between the two for one window.
    """

    def __init__(self, ledger: Ledger, trailer_size: TrailerSize) -> None:
        """Start before the first window; ``took`` is to be called for what stands before it, too."""
        self._ledger = ledger
        self._trailer_size = trailer_size
        self._frames = 0  # of windows that have a budget
        self._budgets: list[int] = []
        self._curves: list[Curve] = []
        self._segments: list[int] = []  # that each window with a budget may become
        self._written: list[tuple[int, int]] = []  # bytes and segments once so many windows were written

    def budget(self, parts: Sequence[Part]) -> int:
        """Return what the next window may take with its sound.

        Args:
            parts: the window, and those after it that are known.
        """
        part = parts[0]
        known = max(len(self._budgets) + 1 - LAG, 0)
        size, written = self._written[known]
        spent, segments = size + sum(self._budgets[known:]), sum(self._segments[known:])
        budget = self._ledger.budget(
            frames_before=self._frames,
            frames=part.frames,
            spent=spent,
            trailer=self._trailer_size(written, segments + part.segments),
            last=part.last,
        )
        if not part.last and all(each.curve for each in parts):
            trailer = self._trailer_size(written, segments + sum(each.segments for each in parts))
            budget = self._shared(parts, spent + trailer) or budget
        self._frames += part.frames
        self._budgets.append(budget)
        self._segments.append(part.segments)
        return budget

    def _shared(self, parts: Sequence[Part], spent: int) -> int | None:
        """Return the budget at which bytes do as much good in the window as after it; None where sound takes all."""
        frames, sound = sum(part.frames for part in parts), sum(part.sound for part in parts)
        seconds = [part.seconds for part in parts]
        fair = (self._ledger.allowed(frames) - sound) / sum(seconds)
        left = self._ledger.allowed(self._frames + frames) - spent - sound
        if fair <= 0:
            return None
        curves = [part.curve for part in parts if part.curve]
        beyond = 0.0 if parts[-1].last else BEYOND_SECONDS
        share, *_ = shares([*curves, self._usual(curves, fair)], [*seconds, beyond], left + fair * beyond, fair)
        self._curves.append(curves[0])
        # What is left over has to do for those that are known to follow.
        most = left - LEAST * fair * sum(seconds[1:])
        return int(max(min(share, most), LEAST * fair * seconds[0])) + parts[0].sound

    def _usual(self, curves: Sequence[Curve], fair: float) -> Curve:
        """Return the mean of the curves so far and of those that are known to follow."""
        octaves, seen = math.log2(fair), [*self._curves, *curves]
        return Curve(octaves, fmean(each.at(octaves) for each in seen), fmean(each.slope for each in seen))

    def took(self, size: int, segments: int) -> None:
        """Take note that so many bytes, and segments in them, were written with one more window."""
        self._written.append((size, segments))


class ImagesTurn:
    """Says in which windows ``auto`` compares IT2V with CODED: ever less often while IT2V loses.

    Called as ``Planner`` is.
    """

    def __init__(self, most_skipped: int | None) -> None:
        """Take how many windows are passed over at most; None passes over all."""
        self._most_skipped = most_skipped
        self._modes: list[Mode.ValueType] = []
        self._planned = 0

    def next(self) -> bool:
        """Return whether it is compared in the next window."""
        window = self._planned
        self._planned += 1
        known = self._modes[: max(window + 1 - LAG, 0)]
        since = known[::-1].index(common_pb2.MODE_IT2V) if common_pb2.MODE_IT2V in known else len(known)
        return self._most_skipped is not None and _is_due(since + window - len(known), self._most_skipped)

    def took(self, mode: Mode.ValueType) -> None:
        """Take note of what one more window was coded in."""
        self._modes.append(mode)


def _is_due(since: int, most_skipped: int) -> bool:
    """Say whether the window is one after none, then one, then two others and so on, up to ``most_skipped`` others."""
    gap, at = 1, 0
    while at < since:
        at += gap
        gap = min(gap + 1, most_skipped + 1)
    return at == since
