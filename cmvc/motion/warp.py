"""Pictures between two anchors, from the motion track."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Picture, chroma_size
from cmvc.media.scaling import resize
from cmvc.motion.flow import Flow, FlowEstimator, pixel_grid, sample
from cmvc.motion.track import UNITS_PER_WIDTH, Gap, MotionTrack, control_offset

Weights = NDArray[np.float32]  # of the closing anchor, 0..1, per cell or pixel

_DISAGREE_FROM, _DISAGREE_FULL = 10.0, 28.0  # luma differences at which averaging starts to ghost, and certainly does
_HARDNESS = 8.0  # how much steeper than linear in time the change of side is where the anchors disagree
_LEAST_REFINED = 48  # pixels a side; smaller pictures give the flow search nothing to hold on to


@dataclass(frozen=True, eq=False)
class _Knot:
    """Motion on the grid at one time, in pixels of the picture, and the closing anchor's weight."""

    time: float
    to_opening: Flow
    to_closing: Flow
    weight: Weights


class GapWarper:
    """Makes the pictures of one gap.

    Where both anchors show a thing, they are warped to the wanted time, aligned to each other, and averaged by time.
    Where they still disagree, or where the track's side mask says so, one of them is taken rather than the average, so
    that edges are not doubled.
    """

    def __init__(self, opening: Picture, closing: Picture | None, gap: Gap | None, step: int, length: int) -> None:
        """Prepare a gap.

        Args:
            opening: anchor at offset 0.
            closing: anchor at offset ``length``, of the same size; None for none.
            gap: its motion; None when nothing is known, which stands for no motion.
            step: of the track.
            length: of the gap, in frames.
        """
        self._opening, self._closing = opening, closing
        scale = step * opening.width / UNITS_PER_WIDTH
        controls = gap.controls if gap else ()
        offsets = [control_offset(k, len(controls), length) for k in range(len(controls))]
        if closing is not None and gap is not None and gap.two_sided:
            self._knots = _two_sided_knots(gap, offsets, scale, length)
        else:
            self._knots = _one_sided_knots(gap, offsets, scale, length, crossfade=closing is not None)
        self._grid = pixel_grid(opening.width, opening.height)
        self._chroma_grid = pixel_grid(*chroma_size(opening.width, opening.height))
        self._flow = FlowEstimator() if min(opening.width, opening.height) >= _LEAST_REFINED else None

    def at(self, offset: int) -> Picture:
        """Return the picture ``offset`` frames after the opening anchor, at the anchors' size."""
        if offset == 0:
            return self._opening
        size = self._opening.width, self._opening.height
        rows, columns = self._knots[0].weight.shape
        cells = _at_time(self._knots, float(offset), (size[0] / columns, size[1] / rows))
        to_opening = _enlarge(cells.to_opening, size)
        if self._closing is None:
            return _warp(self._opening, to_opening, self._grid, self._chroma_grid)
        to_closing = _enlarge(cells.to_closing, size)
        weight = np.clip(_enlarge(cells.weight, size), 0.0, 1.0)
        return self._blend(to_opening, to_closing, weight)

    def _blend(self, to_opening: Flow, to_closing: Flow, weight: Weights) -> Picture:
        assert self._closing is not None
        if self._flow is not None:
            first = sample(self._opening.y, self._grid + to_opening)
            second = sample(self._closing.y, self._grid + to_closing)
            apart = self._flow.between(first, second)
            to_opening = to_opening - weight[..., None] * apart
            to_closing = to_closing + (1.0 - weight[..., None]) * apart
        a = _warp(self._opening, to_opening, self._grid, self._chroma_grid)
        b = _warp(self._closing, to_closing, self._grid, self._chroma_grid)
        weight = _sharpen(weight, a, b)
        small = np.asarray(cv2.resize(weight, a.u.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
        return Picture(_mix(a.y, b.y, weight), _mix(a.u, b.u, small), _mix(a.v, b.v, small))


def _sharpen(weight: Weights, a: Picture, b: Picture) -> Weights:
    """Return ``weight`` moved towards 0 or 1 where the two warped anchors disagree."""
    apart = cv2.GaussianBlur(cv2.absdiff(a.y, b.y), (0, 0), 2.0).astype(np.float32)
    disagree = np.clip((apart - _DISAGREE_FROM) / (_DISAGREE_FULL - _DISAGREE_FROM), 0.0, 1.0)
    hard = np.clip((weight - 0.5) * _HARDNESS + 0.5, 0.0, 1.0)
    return np.asarray(weight + disagree * (hard - weight), np.float32)


def _mix(a: NDArray[np.uint8], b: NDArray[np.uint8], weight: Weights) -> NDArray[np.uint8]:
    return np.asarray(cv2.blendLinear(a, b, 1.0 - weight, weight), np.uint8)


def _warp(picture: Picture, flow: Flow, grid: Flow, chroma_grid: Flow) -> Picture:
    size = chroma_grid.shape[1], chroma_grid.shape[0]
    where = chroma_grid + 0.5 * np.asarray(cv2.resize(flow, size, interpolation=cv2.INTER_AREA), np.float32)
    return Picture(
        sample(picture.y, grid + flow, cv2.INTER_CUBIC),
        sample(picture.u, where),
        sample(picture.v, where),
    )


def _enlarge(cells: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _two_sided_knots(gap: Gap, offsets: list[int], scale: float, length: int) -> list[_Knot]:
    """Return the knots of a gap, its two ends included."""
    inner: list[_Knot] = []
    for control, offset in zip(gap.controls, offsets, strict=True):
        assert control.to_closing is not None
        assert control.side is not None
        share = offset / length
        weight = np.choose(control.side, [share, 0.0, 1.0]).astype(np.float32)
        inner.append(_Knot(offset, _pixels(control.to_opening, scale), _pixels(control.to_closing, scale), weight))
    if not inner:
        return _still_knots(length, (1, 1), crossfade=True)
    first, last = inner[0], inner[-1]
    zero = np.zeros_like(first.to_opening)
    none, full = np.zeros_like(first.weight), np.ones_like(first.weight)
    # What the first control says about moving towards the opening anchor holds towards the closing one too.
    start = _Knot(0.0, zero, first.to_closing - first.to_opening, none)
    end = _Knot(float(length), last.to_opening - last.to_closing, zero, full)
    return [start, *inner, end]


def _one_sided_knots(
    gap: Gap | None, offsets: Sequence[int], scale: float, length: int, *, crossfade: bool
) -> list[_Knot]:
    if gap is None or not gap.controls:
        return _still_knots(length, (1, 1), crossfade=crossfade)
    fields = [_pixels(control.to_opening, scale) for control in gap.controls]
    zero = np.zeros_like(fields[0])
    times = [0.0, *map(float, offsets), float(length)]
    fields = [zero, *fields, fields[-1] * (length / offsets[-1])]  # goes on as it went
    weight = np.zeros(zero.shape[:2], np.float32)
    end = fields[-1]
    full = 1.0 if crossfade else 0.0
    return [_Knot(t, field, field - end, weight + full * t / length) for t, field in zip(times, fields, strict=True)]


def _still_knots(length: int, shape: tuple[int, int], *, crossfade: bool) -> list[_Knot]:
    zero = np.zeros((*shape, 2), np.float32)
    weight = np.zeros(shape, np.float32)
    return [_Knot(0.0, zero, zero, weight), _Knot(float(length), zero, zero, weight + float(crossfade))]


def _pixels(vectors: NDArray[np.int16], scale: float) -> Flow:
    return vectors.astype(np.float32) * np.float32(scale)


def _at_time(knots: Sequence[_Knot], time: float, cell: tuple[float, float]) -> _Knot:
    """Return the motion at ``time``: content moves steadily along its path from knot to knot.

    Args:
        knots: by rising time.
        time: within theirs.
        cell: width and height of a grid cell in pixels.
    """
    after = max(next(k for k, knot in enumerate(knots) if knot.time >= time), 1)
    a, b = knots[after - 1], knots[after]
    share = np.float32((time - a.time) / (b.time - a.time))
    moved = b.to_opening - a.to_opening  # what content moves by from b's time to a's
    # A field says what stands at a place at its own time, so it is looked up where the content of this place is then.
    # The motion at an end of the gap was taken over from the nearest control and stands where that has it.
    grid = pixel_grid(moved.shape[1], moved.shape[0])
    before, behind = after - 1 > 0, after < len(knots) - 1
    back = np.float32(share if before else share - 1)
    ahead = np.float32(share - 1 if behind else share)
    size = np.array(cell, np.float32)
    here = sample(moved, grid + back * moved / size)
    at_a, at_b = grid + back * here / size, grid + ahead * here / size

    def between(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((1 - share) * sample(first, at_a) + share * sample(second, at_b), np.float32)

    return _Knot(
        time, between(a.to_opening, b.to_opening), between(a.to_closing, b.to_closing), between(a.weight, b.weight)
    )


class SegmentWarper:
    """Makes the pictures of one segment, at the size of its first anchor, in any order."""

    def __init__(self, anchors: Sequence[tuple[int, Picture]], track: MotionTrack | None, frames: int) -> None:
        """Prepare a segment.

        Args:
            anchors: positions and pictures by rising position, the first at 0; one at ``frames`` or later is the next
                segment's and is not shown.
            track: None for no motion. Gaps that it does not have are aligned and cross-faded as well as can be; a gap
                that it made for two anchors is warped from the first alone where the second is missing.
            frames: of the segment.
        """
        first = anchors[0][1]
        self._anchors = [(position, resize(picture, first.width, first.height)) for position, picture in anchors]
        self._starts = [position for position, _ in anchors]
        self._track = track
        self._frames = frames
        self._gap: tuple[int, GapWarper] | None = None  # the last one used

    def at(self, position: int) -> Picture:
        """Return the picture at ``position``, 0 and up, below the segment's frame count."""
        index = bisect_right(self._starts, position) - 1
        if self._gap is None or self._gap[0] != index:
            self._gap = index, self._warper(index)
        return self._gap[1].at(position - self._starts[index])

    def _warper(self, index: int) -> GapWarper:
        start, opening = self._anchors[index]
        last = index + 1 == len(self._anchors)
        end, closing = (self._frames, None) if last else self._anchors[index + 1]
        track = self._track
        gap = track.gaps[index] if track and index < len(track.gaps) else None
        return GapWarper(opening, closing, gap, track.step if track else 1, end - start)


def warp_segment(anchors: Sequence[tuple[int, Picture]], track: MotionTrack | None, frames: int) -> Iterator[Picture]:
    """Yield the ``frames`` pictures of a segment in order; see ``SegmentWarper``."""
    return map(SegmentWarper(anchors, track, frames).at, range(frames))
