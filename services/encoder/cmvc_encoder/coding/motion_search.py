"""Measures the motion between anchors and decides what of it is worth its bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

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
    Sides,
    Vector,
    add_affine,
    control_offset,
    write_track,
)

Image = NDArray[np.float32]
Cells = NDArray[np.float32]
Key = TypeVar("Key", bound=Hashable)

PATCHES = (2, 4, 8)  # cells a side that may move as one
SWEEPS = 3  # over each colour of the checkerboard, when motion is smoothed
_SOFTNESS = 2.0  # pixels; coded keyframes lack detail, so it should not decide what motion is worth
KEPT_BYTES = 64 << 20  # of each kind of what was worked out once
SAMPLES = 6  # a side, at which a cell is compared


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


class Kept(Generic[Key]):
    """Arrays kept for later, up to so many bytes; those not asked for longest go first."""

    def __init__(self, most_bytes: int) -> None:
        """Start empty."""
        self._arrays: OrderedDict[Key, Image] = OrderedDict()
        self._left = most_bytes

    def get(self, key: Key, make: Callable[[], Image]) -> Image:
        """Return the array called ``key``, made where it is not kept."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        made = make()
        self._arrays[key] = made
        self._left -= made.nbytes
        while self._left < 0 and len(self._arrays) > 1:
            self._left += self._arrays.popitem(last=False)[1].nbytes
        return made

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys of what is kept."""
        return iter(self._arrays)


class MotionField:
    """Motion within one run of pictures, worked out when it is asked for and kept."""

    def __init__(self, pictures: Sequence[Plane]) -> None:
        """Take the luma of all pictures, of one size, small enough to search in."""
        self._pictures = pictures
        height, width = pictures[0].shape
        self._grid = pixel_grid(width, height)
        self._quick = FlowEstimator(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._careful = FlowEstimator(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._neighbours: Kept[tuple[int, int]] = Kept(KEPT_BYTES)
        self._long: Kept[tuple[int, int]] = Kept(KEPT_BYTES)

    def between(self, position: int, anchor: int) -> Flow:
        """Return where the content of picture ``position`` stands in picture ``anchor``.

        From picture to picture, each step the better of the chain so far, and of searches around it and from nothing.
        """
        if position == anchor:
            return np.zeros_like(self._grid)
        return self._long.get((position, anchor), lambda: self._search(position, anchor))

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
        return self._neighbours.get((a, b), lambda: self._quick.between(self._pictures[a], self._pictures[b]))

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
        self._kept: Kept[int] = Kept(KEPT_BYTES)
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

    def _soft(self, position: int) -> Image:
        return self._kept.get(position, lambda: _softened(self._pictures[position]))

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
        return ControlPlan(self._priced(spot, spot.opening, cells, np.ones(cells.shape[:2], np.float32)))

    def _two_sided(self, spot: "_Spot") -> ControlPlan:
        to_opening, to_closing = self._cells(spot, spot.opening), self._cells(spot, spot.closing)
        side = self._sides(spot, to_opening, to_closing)
        share = (spot.position - spot.opening) / (spot.closing - spot.opening)
        # Where both are averaged, an error in one of them counts by the square of its weight.
        weights = [
            np.choose(side, by_side).astype(np.float32) for by_side in ([(1 - share) ** 2, 1, 0], [share**2, 0, 1])
        ]
        return ControlPlan(
            self._priced(spot, spot.opening, to_opening, weights[0]),
            self._priced(spot, spot.closing, to_closing, weights[1]),
            side.tolist(),
        )

    def _cells(self, spot: "_Spot", anchor: int) -> Cells:
        """Return the (rows, columns, 2) motion of each cell in pixels."""
        return cell_medians(self._field.between(spot.position, anchor), spot.size)

    def _warped(self, anchor: int, cells: Cells) -> Image:
        flow = np.asarray(cv2.resize(cells, (self._width, self._height), interpolation=cv2.INTER_LINEAR), np.float32)
        return sample(self._soft(anchor), self._grid + flow)

    def _cell_errors(self, position: int, shown: Image, size: tuple[int, int]) -> Cells:
        """Return the mean squared error of ``shown`` in each cell."""
        squared = np.square(self._soft(position) - shown)
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

    def _priced(self, spot: "_Spot", anchor: int, cells: Cells, weight: Cells) -> "PricedField":
        columns, rows = spot.size
        step = spot.step * self._width / UNITS_PER_WIDTH  # in pixels
        match = CellMatch(self._soft(spot.position), self._soft(anchor), spot.size, step)
        area = self._width * self._height / (columns * rows)
        return PricedField(cells / step, match, weight * area, spot.price)


class CellMatch:
    """Compares the cells of one picture with another picture, moved by any vectors."""

    def __init__(self, here: Image, there: Image, size: tuple[int, int], step: float) -> None:
        """Take both pictures, (columns, rows) of the grid, and the pixels of one vector step."""
        self._columns, self._rows = size
        self._there, self._step = there, step
        height, width = here.shape
        x = (np.arange(self._columns * SAMPLES, dtype=np.float32) + 0.5) * (width / (self._columns * SAMPLES)) - 0.5
        y = (np.arange(self._rows * SAMPLES, dtype=np.float32) + 0.5) * (height / (self._rows * SAMPLES)) - 0.5
        self._grid = np.stack(np.meshgrid(x, y), axis=-1)
        self._here = sample(here, self._grid)

    def errors(self, vectors: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the mean squared difference, (..., rows, columns), for vectors (..., rows, columns, 2) in steps."""
        fields = vectors.reshape(-1, self._rows, self._columns, 2).astype(np.float32) * np.float32(self._step)
        moved = fields.repeat(SAMPLES, axis=1).repeat(SAMPLES, axis=2) + self._grid
        shown = sample(self._there, moved.reshape(-1, moved.shape[2], 2)).reshape(moved.shape[:3])
        cells = np.square(shown - self._here).reshape(-1, self._rows, SAMPLES, self._columns, SAMPLES)
        return np.asarray(cells.mean(axis=(2, 4)).reshape(vectors.shape[:-1]), np.float32)


def _softened(picture: Plane) -> Image:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), _SOFTNESS), np.float32)


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

    def __init__(self, vectors: Cells, match: CellMatch, weight: Cells, price: float) -> None:
        """Keep what is wanted and what deviations cost.

        Args:
            vectors: (rows, columns, 2) measured, in steps.
            match: says what any vectors lead to.
            weight: (rows, columns) of its errors.
            price: of a bit, in weighted errors.
        """
        self._wanted = vectors
        self._match = match
        self._weight = weight
        self._price = price
        self._chosen: list[list[list[int]]] = []

    def affine(self, base: Field) -> list[int] | None:
        """Return the affine field that best explains what ``base`` does not, if it is worth its bits."""
        numbers = self._affine(base)
        start = np.stack(
            [np.array(plane, np.int32) for plane in (add_affine(base, numbers) if numbers else base)], axis=-1
        )
        self._chosen = self._smooth(start).tolist()
        return numbers

    def vector(self, row: int, column: int, predicted: Vector) -> Vector:
        """Return the vector that was chosen with its neighbours in mind, ``predicted`` where it does not matter."""
        if not self._weight[row, column]:
            return predicted
        x, y = self._chosen[row][column]
        return x, y

    def _affine(self, base: Field) -> list[int] | None:
        rows, columns = self._weight.shape
        over = self._wanted - np.stack([np.array(plane, np.float32) for plane in base], axis=-1)
        across, down = np.meshgrid(np.arange(1 - columns, columns, 2), np.arange(1 - rows, rows, 2))
        design = np.stack([np.ones_like(across), across / 256, down / 256], axis=-1).reshape(-1, 3).astype(np.float64)
        numbers: list[int] = []
        for axis in (0, 1):
            numbers += _robust_fit(design, over[..., axis].ravel(), self._weight.ravel())
        if max(map(abs, numbers)) > LARGEST_VECTOR:
            return None
        left = over - (design @ np.array(numbers, np.float64).reshape(2, 3).T).reshape(rows, columns, 2)
        gain = self._bits_away(over) - self._bits_away(left)
        return numbers if gain > 10 + sum(2 + abs(number).bit_length() for number in numbers) else None

    def _bits_away(self, over: NDArray[np.floating]) -> float:
        """Guess how many bits neighbours' medians leave to be coded: the changes from cell to cell."""
        relevant = (self._weight > 0)[1:, 1:]
        change = np.abs(np.diff(over, axis=0)[:, 1:]) + np.abs(np.diff(over, axis=1)[1:, :])
        return float((np.log2(1 + 0.5 * change).sum(axis=-1) * relevant).sum() + np.log2(1 + np.abs(over[0, 0])).sum())

    def _smooth(self, start: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return vectors that match well and whose difference from ``start`` changes little from cell to cell.

        Sweeps over a checkerboard, in which each cell takes over a neighbour's difference where error and bits
        together then cost less. Starting from what was measured, whole patches keep their own motion, which a choice
        cell by cell in coding order would never pay for.
        """
        measured = np.rint(self._wanted).astype(np.int32) - start
        coarser = np.stack([measured, *(_patches(measured, size) for size in PATCHES)])
        over = coarser[-1]
        rows, columns = self._weight.shape
        colour = np.add.outer(np.arange(rows), np.arange(columns)) % 2
        for sweep in range(2 * SWEEPS):
            near = _neighbours(over)
            candidates = np.concatenate([over[None], near, coarser])
            errors = self._match.errors(start + candidates) * self._weight
            costs = errors + self._price * _change_bits(candidates, near)
            best = np.take_along_axis(candidates, np.argmin(costs, axis=0)[None, ..., None], axis=0)[0]
            over = np.where((colour == sweep % 2)[..., None], best, over)
        return np.asarray(start + over, np.int32)


def _patches(field: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Return the field with each patch of ``size`` x ``size`` cells set to its median."""
    rows, columns = field.shape[:2]
    tall, wide = -(-rows // size), -(-columns // size)
    whole = np.pad(field, ((0, tall * size - rows), (0, wide * size - columns), (0, 0)), mode="edge")
    blocks = whole.reshape(tall, size, wide, size, 2).transpose(0, 2, 4, 1, 3).reshape(tall, wide, 2, -1)
    medians = np.sort(blocks, axis=-1)[..., size * size // 2]
    return np.asarray(medians.repeat(size, axis=0).repeat(size, axis=1)[:rows, :columns], np.int32)


def _neighbours(field: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the (4, rows, columns, 2) vectors above, below, left and right of each cell."""
    around = np.pad(field, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return np.stack([around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]])


def _change_bits(candidates: NDArray[np.int32], near: NDArray[np.int32]) -> NDArray[np.floating]:
    """Return about how many bits each candidate costs beside each cell's neighbours: half of each change."""
    change = np.abs(candidates[:, None] - near[None])
    bits = np.log2(1.0 + change).sum(axis=-1) * 1.2 + 1.5 * change.any(axis=-1)
    bits[:, 0, 0], bits[:, 1, -1], bits[:, 2, :, 0], bits[:, 3, :, -1] = 0, 0, 0, 0  # beyond the grid is nothing
    return np.asarray(0.5 * bits.sum(axis=1))


def _robust_fit(design: NDArray[np.float64], values: Cells, weight: NDArray[np.float32]) -> list[int]:
    """Return the rounded least-squares fit, with outliers weighed down in a few rounds."""
    scale = weight.astype(np.float64) + 1e-6
    fit: NDArray[np.float64] = np.zeros(3)
    for _ in range(4):
        fit = np.asarray(np.linalg.lstsq(design * scale[:, None], values * scale, rcond=None)[0], np.float64)
        away = np.abs(values - design @ fit)
        scale = (weight + 1e-6) / (1.0 + np.square(away / (np.median(away) + 0.5)))
    return [round(float(number)) for number in fit]
