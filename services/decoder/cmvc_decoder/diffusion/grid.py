"""From a segment of any size, length and frame rate to a model's native grid: which frames are made, of what size."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, sqrt

from cmvc.profiles.profile import NativeGrid

_USUAL_ASPECT = 16, 9
MOST_ASPECT = 4.0  # of a native frame; a source that is longer is squeezed, since no model was trained on such


@dataclass(frozen=True)
class Plan:
    """What a model is to make for one segment.

    Attributes:
        width, height: of native frames, in pixels.
        stride: source frames from one native frame to the next, but for what anchors bend.
        times: for each native frame its place in the segment, in source frames; rising. May go on past the end.
        windows: first native frame of each window.
        window_frames: native frames of each window.
        anchors: for the native frame of each anchor that falls on one, the anchor's number.
        tail: native frames past the end that the next segment goes on from; the first stands where that one begins.
    """

    width: int
    height: int
    stride: int
    times: tuple[float, ...]
    windows: tuple[int, ...]
    window_frames: int
    anchors: dict[int, int]
    tail: range = range(0)

    def around(self, position: int) -> tuple[int, float]:
        """Return the native frame at or before ``position`` and the share of the way to the next one, 0 to 1."""
        index = min(bisect_right(self.times, position) - 1, len(self.times) - 1)
        if index + 1 == len(self.times):
            return index, 0.0
        return index, (position - self.times[index]) / (self.times[index + 1] - self.times[index])


def plan(
    *,
    grid: NativeGrid,
    width: int,
    height: int,
    frames: int,
    frame_rate: Fraction,
    positions: Sequence[int] = (),
    pixels: int = 0,
    hands_on: bool = False,
) -> Plan:
    """Return the plan of one segment.

    Args:
        grid: of the model.
        width: of the source, in pixels.
        height: likewise.
        frames: of the segment.
        frame_rate: of the source, in frames per second.
        positions: of the anchors, rising; ``frames`` for the next segment's.
        pixels: of a native frame; 0 for the grid's own.
        hands_on: whether the next segment goes on from this one.
    """
    stride = grid.stride(frame_rate)
    last = max([frames - 1, *positions])
    anchors = _snap(positions, stride)
    fixed = {index: positions[number] for index, number in anchors.items()}
    # From the last anchor on frames are a stride apart: where it was snapped forward, one more may be needed.
    index, position = max(fixed.items(), default=(0, 0))
    wanted = max(ceil(last / stride), index + ceil((last - position) / stride)) + 1
    tail = range(0)
    if hands_on:
        end = max(round(Fraction(frames, stride)), 1)
        fixed[end] = frames
        tail = range(end, end + grid.overlap)
        wanted = max(wanted, tail.stop)
    starts, size = grid.windows(wanted)
    times = _times(starts[-1] + size, stride, fixed)
    native_width, native_height = native_size(width, height, grid, pixels)
    return Plan(native_width, native_height, stride, times, starts, size, anchors, tail)


def usual_size(grid: NativeGrid) -> tuple[int, int]:
    """Return (width, height) of native frames of most sources."""
    return native_size(*_USUAL_ASPECT, grid, grid.pixels)


def native_size(width: int, height: int, grid: NativeGrid, pixels: int = 0) -> tuple[int, int]:
    """Return (width, height) of native frames: the source's aspect, as many pixels as the model was trained for."""
    aspect = min(max(width / height, 1 / MOST_ASPECT), MOST_ASPECT)
    area = pixels or (grid.pixels if grid.upscales else min(grid.pixels, width * height))
    unit = grid.side_multiple
    return tuple(max(round(side / unit), 1) * unit for side in (sqrt(area * aspect), sqrt(area / aspect)))  # type: ignore[return-value]


def _snap(positions: Sequence[int], stride: int) -> dict[int, int]:
    """Return native frames for the anchors; one that would share another's is left to pasting alone."""
    found: dict[int, int] = {}
    for number, position in enumerate(positions):
        found.setdefault(round(Fraction(position, stride)), number)
    return found


def _times(count: int, stride: int, fixed: dict[int, int]) -> tuple[float, ...]:
    """Return times ``stride`` apart, bent so that native frame ``index`` stands at ``fixed[index]`` exactly."""
    knots = sorted({0: 0, **fixed}.items())
    times: list[float] = []
    for (start, position), (end, following) in pairwise(knots):
        step = (following - position) / (end - start)
        times += [position + step * k for k in range(end - start)]
    start, position = knots[-1]
    return (*times, *(float(position + stride * k) for k in range(count - start)))
