"""Measures the motion between anchors and decides what of it is worth its bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Plane
from cmvc.motion.flow import Flow, FlowEstimator, pixel_grid, sample
from cmvc.motion.track import (
    LARGEST_VECTOR,
    UNITS_PER_WIDTH,
    ControlPlan,
    Field,
    GapPlan,
    MotionTrack,
    Side,
    Sides,
    Vector,
    control_offset,
    write_track,
)

Image = NDArray[np.float32]
Cells = NDArray[np.float32]

_LOST = 20.0**2  # squared luma difference at which a vector counts as wrong however far it is off
_DOUBTED = 200.0  # mean squared error at which a measured vector is believed half
_FLAT = 4.0  # added to the structure of a cell, in squared luma per squared pixel, so that flat cells move along


@dataclass(frozen=True)
class MotionSettings:
    """What a motion track may cost.

    Attributes:
        cell: side of a grid cell, as a part of the picture's width.
        step: of the vectors, in 1/4096 of the picture's width.
        controls: control times per gap.
        price: squared luma error, summed over pixels and frames, that one bit must save.
    """

    cell: float
    step: int
    controls: int
    price: float


@dataclass(frozen=True, eq=False)
class LongMotion:
    """Dense motion at one control time, in pixels: where each pixel's content stands in the two anchors."""

    position: int
    to_opening: Flow
    to_closing: Flow | None


class MotionField:
    """Motion within one run of pictures, worked out when it is asked for and kept."""

    def __init__(self, pictures: Sequence[Plane]) -> None:
        """Take the luma of all pictures, of one size, small enough to search in."""
        self._pictures = pictures
        height, width = pictures[0].shape
        self._grid = pixel_grid(width, height)
        self._quick = FlowEstimator(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._careful = FlowEstimator(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._neighbours: dict[tuple[int, int], Flow] = {}
        self._long: dict[tuple[int, int], Flow] = {}

    def between(self, position: int, anchor: int) -> Flow:
        """Return where the content of picture ``position`` stands in picture ``anchor``.

        From picture to picture, each step the better of the chain so far, and of searches around it and from nothing.
        """
        if position == anchor:
            return np.zeros_like(self._grid)
        if (position, anchor) not in self._long:
            self._long[position, anchor] = self._search(position, anchor)
        return self._long[position, anchor]

    def _search(self, position: int, anchor: int) -> Flow:
        known = [p for (p, a) in self._long if a == anchor and abs(p - anchor) < abs(position - anchor)]
        known = [p for p in known if (p - anchor) * (position - anchor) > 0]
        start = max(known, key=lambda p: abs(p - anchor), default=anchor)
        chain = self.between(start, anchor)
        direction = 1 if position > start else -1
        for p in range(start + direction, position + direction, direction):
            step = self._step(p, p - direction)
            chain = step + sample(chain, np.asarray(self._grid + step, np.float32))
        here, there = self._pictures[position], self._pictures[anchor]
        around = self._careful.between(here, there, chain)
        fresh = self._careful.between(here, there)
        return self._best(here, there, [chain, around, fresh])

    def _step(self, a: int, b: int) -> Flow:
        if (a, b) not in self._neighbours:
            self._neighbours[a, b] = self._quick.between(self._pictures[a], self._pictures[b])
        return self._neighbours[a, b]

    def _best(self, here: Plane, there: Plane, flows: Sequence[Flow]) -> Flow:
        errors = [mismatch(here, sample(there, self._grid + flow), 4.0) for flow in flows]
        choice = np.argmin(np.stack(errors), axis=0)
        result = flows[0].copy()
        for index, flow in enumerate(flows[1:], 1):
            result[choice == index] = flow[choice == index]
        return result


def mismatch(a: Plane, b: Plane, radius: float) -> Image:
    """Return the squared difference of two lumas around each pixel, smoothed with a Gaussian of ``radius``."""
    squared = np.square(a.astype(np.float32) - b.astype(np.float32))
    return np.asarray(cv2.GaussianBlur(squared, (0, 0), radius), np.float32)


def grid_size(settings: MotionSettings, width: int, height: int) -> tuple[int, int]:
    """Return (columns, rows) of the grid for a picture."""
    columns = max(round(1 / settings.cell), 1)
    return columns, max(round(height * columns / width), 1)


@dataclass(frozen=True)
class _Spot:
    """One control time: picture numbers, the price of a bit in its terms, the vectors' step and the grid's size."""

    position: int
    opening: int
    closing: int
    price: float
    step: int
    size: tuple[int, int]


class MotionPlanner:
    """Turns the measured motion of one run of pictures into tracks."""

    def __init__(self, pictures: Sequence[Plane]) -> None:
        """Take the luma of all pictures, of one size."""
        self._pictures = pictures
        self._field = MotionField(pictures)
        self._height, self._width = pictures[0].shape
        self._grid = pixel_grid(self._width, self._height)

    def track(self, anchors: Sequence[int], end: int | None, settings: MotionSettings) -> tuple[MotionTrack, bytes]:
        """Return the track of a segment and its bytes.

        Args:
            anchors: where the anchors stand, as numbers of pictures.
            end: the number after the segment's last picture when no anchor closes the segment, else None.
            settings: what the track may cost.
        """
        size = grid_size(settings, self._width, self._height)
        plans = [self._gap(a, b, True, settings) for a, b in pairwise(anchors)]
        if end is not None and end - anchors[-1] > 1:
            plans.append(self._gap(anchors[-1], end, False, settings))
        return write_track(*size, settings.step, plans)

    def _gap(self, opening: int, closing: int, two_sided: bool, settings: MotionSettings) -> GapPlan:
        length = closing - opening
        count = min(settings.controls, length - 1)
        price = settings.price * count / length
        size = grid_size(settings, self._width, self._height)
        spots = [
            _Spot(opening + control_offset(k, count, length), opening, closing, price, settings.step, size)
            for k in range(count)
        ]
        return GapPlan(
            two_sided, tuple(self._two_sided(spot) if two_sided else self._one_sided(spot) for spot in spots)
        )

    def _one_sided(self, spot: "_Spot") -> ControlPlan:
        cells = self._cells(spot, spot.opening)
        return ControlPlan(self._priced(spot, spot.opening, cells, np.ones(cells.shape[:2], np.bool_)))

    def _two_sided(self, spot: "_Spot") -> ControlPlan:
        to_opening, to_closing = self._cells(spot, spot.opening), self._cells(spot, spot.closing)
        side = self._sides(spot, to_opening, to_closing)
        return ControlPlan(
            self._priced(spot, spot.opening, to_opening, side != Side.CLOSING),
            self._priced(spot, spot.closing, to_closing, side != Side.OPENING),
            side.tolist(),
        )

    def _cells(self, spot: "_Spot", anchor: int) -> Cells:
        """Return the (rows, columns, 2) motion of each cell in pixels."""
        return cell_medians(self._field.between(spot.position, anchor), spot.size)

    def _warped(self, anchor: int, cells: Cells) -> Image:
        flow = np.asarray(cv2.resize(cells, (self._width, self._height), interpolation=cv2.INTER_LINEAR), np.float32)
        return sample(self._pictures[anchor], self._grid + flow).astype(np.float32)

    def _cell_errors(self, position: int, shown: Image, size: tuple[int, int]) -> Cells:
        """Return the mean squared error of ``shown`` in each cell."""
        squared = np.square(self._pictures[position].astype(np.float32) - shown)
        return np.asarray(cv2.resize(squared, size, interpolation=cv2.INTER_AREA), np.float32)

    def _sides(self, spot: "_Spot", to_opening: Cells, to_closing: Cells) -> Sides:
        """Return which side shows each cell best, both where that costs little."""
        share = np.float32((spot.position - spot.opening) / (spot.closing - spot.opening))
        a, b = self._warped(spot.opening, to_opening), self._warped(spot.closing, to_closing)
        shown = (a + share * (b - a), a, b)
        area = self._width * self._height / (spot.size[0] * spot.size[1])
        costs = np.stack([area * self._cell_errors(spot.position, image, spot.size) for image in shown])
        costs[1:] += 4 * spot.price
        return smooth_choice(costs, 1.5 * spot.price)

    def _priced(self, spot: "_Spot", anchor: int, cells: Cells, shown: NDArray[np.bool_]) -> "PricedField":
        scale = UNITS_PER_WIDTH / (spot.step * self._width)  # steps per pixel
        area = self._width * self._height / (spot.size[0] * spot.size[1])
        error = self._cell_errors(spot.position, self._warped(anchor, cells), spot.size)
        trust = shown / (1.0 + error / _DOUBTED)
        structure = self._structure(spot.position, spot.size) / (scale * scale)
        return PricedField(cells * scale, structure * trust[..., None], area * _LOST * trust, spot.price)

    @lru_cache(maxsize=64)  # noqa: B019 - the planner lives for one window
    def _structure(self, position: int, size: tuple[int, int]) -> Cells:
        """Return for each cell the sums of gx*gx, gx*gy and gy*gy, gradients in luma per pixel."""
        smooth = cv2.GaussianBlur(self._pictures[position].astype(np.float32), (0, 0), 1.0)
        gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125)
        gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
        area = self._width * self._height / (size[0] * size[1])
        sums = cv2.resize(np.dstack([gx * gx + _FLAT, gx * gy, gy * gy + _FLAT]), size, interpolation=cv2.INTER_AREA)
        return np.asarray(sums * area, np.float32)


def cell_medians(flow: Flow, size: tuple[int, int]) -> Cells:
    """Return the median vector, by component, of each cell of a grid of (columns, rows) over ``flow``."""
    columns, rows = size
    fine = cv2.resize(flow, (columns * 8, rows * 8), interpolation=cv2.INTER_NEAREST)
    blocks = fine.reshape(rows, 8, columns, 8, 2).transpose(0, 2, 4, 1, 3).reshape(rows, columns, 2, 64)
    return np.ascontiguousarray(np.median(blocks, axis=-1), np.float32)


def smooth_choice(costs: Cells, unlike_price: float) -> Sides:
    """Return the cheapest of ``costs`` (side, row, column) per cell, where each unlike neighbour costs more.

    A few rounds of local search come near enough to the best.
    """
    choice = np.argmin(costs, axis=0)
    for _ in range(3):
        padded = np.pad(choice, 1, mode="edge")
        near = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
        unlike = np.stack([(near != side).sum(axis=0) for side in range(3)])
        choice = np.argmin(costs + unlike_price * unlike, axis=0)
    return np.asarray(choice, np.uint8)


class PricedField:
    """A field whose vectors give way to cheaper ones where that shows little (a ``FieldSource``)."""

    def __init__(self, vectors: Cells, structure: Cells, most: Cells, price: float) -> None:
        """Keep what is wanted and what deviations cost.

        Args:
            vectors: (rows, columns, 2) wanted, in steps.
            structure: (rows, columns, 3); a deviation (x, y) costs ``s0*x*x + 2*s1*x*y + s2*y*y``,
            most: (rows, columns) but no more than this.
            price: what a bit costs, in the same unit.
        """
        self._wanted = vectors
        self._vectors: list[list[list[float]]] = vectors.tolist()
        self._structure: list[list[list[float]]] = structure.tolist()
        self._weight = np.sqrt(structure[..., 0] + structure[..., 2])
        self._most: list[list[float]] = most.tolist()
        self._price = price

    def affine(self, base: Field) -> list[int] | None:
        """Return the affine field that best explains what ``base`` does not, if it is worth its bits."""
        rows, columns = self._weight.shape
        over = self._wanted - np.stack([np.array(plane, np.float32) for plane in base], axis=-1)
        across, down = np.meshgrid(np.arange(1 - columns, columns, 2), np.arange(1 - rows, rows, 2))
        design = np.stack([np.ones_like(across), across / 256, down / 256], axis=-1).reshape(-1, 3).astype(np.float64)
        numbers: list[int] = []
        for axis in (0, 1):
            numbers += _robust_fit(design, over[..., axis].ravel(), self._weight.ravel())
        if max(map(abs, numbers), default=0) > LARGEST_VECTOR:
            return None
        left = over - (design @ np.array(numbers, np.float64).reshape(2, 3).T).reshape(rows, columns, 2)
        gain = self._bits_away(over) - self._bits_away(left)
        return numbers if gain > 10 + sum(2 + abs(number).bit_length() for number in numbers) else None

    def _bits_away(self, over: NDArray[np.floating]) -> float:
        """Guess how many bits neighbours' medians leave to be coded: the changes from cell to cell."""
        relevant = (self._weight > np.sqrt(2 * self._price))[1:, 1:]
        change = np.abs(np.diff(over, axis=0)[:, 1:]) + np.abs(np.diff(over, axis=1)[1:, :])
        return float((np.log2(1 + 0.5 * change).sum(axis=-1) * relevant).sum() + np.log2(1 + np.abs(over[0, 0])).sum())

    def vector(self, row: int, column: int, predicted: Vector) -> Vector:
        """Return the vector whose deviation and bits together cost least."""
        wx, wy = self._vectors[row][column]
        sxx, sxy, syy = self._structure[row][column]
        most = self._most[row][column]

        def deviation(x: int, y: int) -> float:
            dx, dy = x - wx, y - wy
            return min(sxx * dx * dx + 2 * sxy * dx * dy + syy * dy * dy, most)

        best, least = predicted, deviation(*predicted)
        if least <= 3 * self._price:  # the fewest bits of any other
            return best
        px, py = predicted
        x, y = round(wx), round(wy)
        for cx, cy in ((x, y), (x, py), (px, y)):
            cost = deviation(cx, cy) + (_bits(cx - px) + _bits(cy - py) + 3.0) * self._price
            if cost < least:
                best, least = (cx, cy), cost
        return best


def _bits(value: int) -> float:
    return 1.0 if value == 0 else 2.0 + 1.6 * (abs(value).bit_length() - 1)


def _robust_fit(design: NDArray[np.float64], values: Cells, weight: NDArray[np.float32]) -> list[int]:
    """Return the rounded least-squares fit, with outliers weighed down in a few rounds."""
    scale = weight.astype(np.float64) + 1e-6
    fit: NDArray[np.float64] = np.zeros(3)
    for _ in range(4):
        fit = np.asarray(np.linalg.lstsq(design * scale[:, None], values * scale, rcond=None)[0], np.float64)
        away = np.abs(values - design @ fit)
        scale = (weight + 1e-6) / (1.0 + np.square(away / (np.median(away) + 0.5)))
    return [round(float(number)) for number in fit]
