"""The one root-finder of all searches: the largest coding within a budget, over a quantiser's grid."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

STEEPEST, FLATTEST = 2.5, 0.4  # times as steep as expected


@dataclass(frozen=True)
class Aim:
    """What a size is to come near.

    Attributes:
        most: log2 of the budget in bytes.
        hit: share of the budget that is near enough; the search aims at half way between.
    """

    most: float
    hit: float

    @property
    def slack(self) -> float:
        """Octaves below the budget that are near enough."""
        return -math.log2(self.hit)


def largest_within(
    octaves: Callable[[int], float], expected: Sequence[float], start: int, aim: Aim, tries: int
) -> int | None:
    """Return the step with the largest size found within the aim; None where none is.

    Secants along the expected curve, kept between the nearest steps known to be too large and small enough.

    Args:
        octaves: log2 of the size in bytes at a step; falls, if not everywhere, as steps rise.
        expected: how many octaves each step, from 0, is below the first, as a rule; rises.
        start: where to begin.
        aim: what to come near.
        tries: sizes asked for, at most.
    """
    over, under = -1, len(expected)
    step, steepness = min(max(start, 0), len(expected) - 1), 1.0
    best: tuple[float, int] | None = None
    before: tuple[int, float] | None = None
    for _ in range(tries):
        size = octaves(step)
        if before:
            seen = (before[1] - size) / (expected[step] - expected[before[0]])
            steepness = min(max(seen, FLATTEST), STEEPEST)
        before = step, size
        if size > aim.most:
            over = max(over, step)
        else:
            under = min(under, step)
            best = max(best or (size, step), (size, step))
            if size >= aim.most - aim.slack:
                break
        if under - over <= 1:
            break
        wanted = expected[step] + (size - aim.most + aim.slack / 2) / steepness
        step = min(max(bisect_left(expected, wanted), over + 1), under - 1)
    return best[1] if best else None
