"""Shares bytes out such that one more byte does as much good in each window of a stream as in any other."""

import math
from collections.abc import Sequence

from cmvc_encoder.coding.probe import Curve

LEAST, MOST = 0.4, 2.5  # of a window's fair share
ERROR_DB = 30.0  # per decade of what is to be least on average (docs/adr/0027): between the error and its logarithm
_STEPS = 50  # of a bisection


def shares(curves: Sequence[Curve], seconds: Sequence[float], total: float, fair: float) -> list[float]:
    """Return the bytes of each window such that the mean error over their time is the least that ``total`` allows.

    With the quality of a window a line over the logarithm of its bytes, q = a + b log2 r, its error is 10^(-q / 30),
    and all have the same slope where (error x b / r) is the same for all: by Lagrange's multiplier.

    Args:
        curves: of the windows.
        seconds: how long they are.
        total: bytes for all of them; a share stays within ``LEAST`` and ``MOST`` times its fair one all the same.
        fair: bytes per second of a fair share.
    """
    low, high = math.log2(fair * LEAST), math.log2(fair * MOST)

    def rates(log_slope: float) -> list[float]:
        return [2 ** min(max(_octaves(curve, log_slope), low), high) for curve in curves]

    def needed(log_slope: float) -> float:
        return sum(rate * time for rate, time in zip(rates(log_slope), seconds, strict=True))

    edges = [_log_slope(curve, octaves) for curve in curves for octaves in (low, high)]
    steep, flat = max(edges), min(edges)
    for _ in range(_STEPS):
        middle = (steep + flat) / 2
        if needed(middle) > total:
            flat = middle
        else:
            steep = middle
    return [rate * time for rate, time in zip(rates(steep), seconds, strict=True)]


def _log_slope(curve: Curve, octaves: float) -> float:
    """Return log2 of the slope of a window's error over its bytes, up to a constant."""
    return math.log2(curve.slope) - curve.at(octaves) / ERROR_DB * math.log2(10) - octaves


def _octaves(curve: Curve, log_slope: float) -> float:
    """Return where a window has this slope, which falls as bytes rise."""
    fall = 1 + curve.slope / ERROR_DB * math.log2(10)  # of the slope's logarithm, per octave
    return curve.octaves + (_log_slope(curve, curve.octaves) - log_slope) / fall
