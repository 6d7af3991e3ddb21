"""Frames between two decoded pictures, made by following what moves from the one to the other.

All in whole numbers, so that machines agree on every sample; docs/bitstream.md ("Frames in between") says it in words.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Picture, Plane

Field = NDArray[np.int16]
"""(height, width, 2), x then y, in pixels: what stands here half way was that far back and will be that far ahead."""

COARSEST_SIDE = 16  # pixels; the search starts where the shorter side is no longer
FIRST_REACH, REACH = 3, 1  # pixels each way, on the coarsest level and on the others
COARSE_WINDOW, WINDOW = 5, 7  # pixels a side, over which differences are summed; the latter on the finest level
STEP_COST = 20  # codes that one pixel of change to the coarser level's field has to win
MEDIAN = 5  # pixels a side
SEARCHED_PIXELS = 640 * 360  # of the finest level that is searched; what is larger takes over that level's field
FOLLOWED_PIXELS = 1920 * 1088  # larger pictures are cross-faded: of 8K a frame would take 1.6 GiB and 5 s
FRACTION_BITS = 5
FRACTIONS = 1 << FRACTION_BITS  # positions from one sample to the next
BAND_ROWS = 64  # that frames are made of at a time, so that what is needed for them stays in the processor's cache
_NOTHING = np.empty(0, np.uint16)


def motion_between(before: Plane, after: Plane) -> Field:
    """Return the motion of lumas of one size, found from coarse to fine by comparing blocks around every pixel."""
    levels = [(before, after)]
    while min(levels[-1][0].shape) > COARSEST_SIDE:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    coarsest = len(levels) - 1
    field: Field = np.zeros((*levels[-1][0].shape, 2), np.int16)
    for level in range(coarsest, -1, -1):
        a, b = levels[level]
        if level < coarsest:
            field = _doubled(field)[: a.shape[0], : a.shape[1]]
        if a.size <= SEARCHED_PIXELS:
            reach = FIRST_REACH if level == coarsest else REACH
            field = _refined(a, b, field, reach, COARSE_WINDOW if level else WINDOW)
    return field


def picture_between(before: Picture, after: Picture, field: Field, number: int, steps: int) -> Picture:
    """Return the picture ``number`` of ``steps`` on the way from one to the other, both of one size."""
    (y,) = _planes_between([(before.y, after.y)], 2 * FRACTIONS, field, number, steps)
    chroma = [(before.u, after.u), (before.v, after.v)]
    u, v = _planes_between(chroma, FRACTIONS, field[::2, ::2], number, steps)
    return Picture(y, u, v)


def _planes_between(planes: list[tuple[Plane, Plane]], unit: int, field: Field, number: int, steps: int) -> list[Plane]:
    """Return what is between the two planes of each pair, that all move alike."""
    found = [np.empty(field.shape[:2], np.uint8) for _ in planes]
    for top in range(0, field.shape[0], BAND_ROWS):
        rows = slice(top, min(top + BAND_ROWS, field.shape[0]))
        back, ahead = (_map(unit, field, rows, share, steps) for share in (-number, steps - number))
        for plane, (a, b) in zip(found, planes, strict=True):
            plane[rows] = _mixed(_moved(a, back), _moved(b, ahead), number, steps)
    return found


def _halved(plane: Plane) -> Plane:
    return np.asarray(cv2.pyrDown(plane), np.uint8)


def _doubled(field: Field) -> Field:
    """Return twice each vector, for twice as many pixels each way."""
    height, width = field.shape[:2]
    return np.asarray(cv2.resize(2 * field, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST), np.int16)


def _refined(a: Plane, b: Plane, field: Field, reach: int, window: int) -> Field:
    """Return the field changed by up to ``reach`` pixels each way, where that matches better, and smoothed."""
    start = reach * (a.shape[1] + 2 * reach) + reach  # of what is not margin, rows end to end
    back, ahead = _places(-field, reach), _places(field, reach)
    rows = [_with_margin(plane, reach).ravel() for plane in (a, b)]
    changes = sorted(product(range(-reach, reach + 1), repeat=2), key=lambda change: (sum(map(abs, change)), change))
    least = np.full(a.shape, np.iinfo(np.uint16).max, np.uint16)
    best = np.zeros(a.shape, np.uint8)
    for number, (down, right) in enumerate(changes):
        offset = down * (a.shape[1] + 2 * reach) + right
        at_a, at_b = (
            rows[0][start - offset :].take(back, mode="clip"),
            rows[1][start + offset :].take(ahead, mode="clip"),
        )
        cost = _differences(at_a, at_b, window)
        cost += STEP_COST * (abs(down) + abs(right))
        better = (cost < least).view(np.uint8)
        np.maximum(best, better * np.uint8(number), out=best)  # the numbers rise
        np.minimum(least, cost, out=least)
    return _smoothed(field, best, changes)


def _smoothed(field: Field, best: NDArray[np.uint8], changes: list[tuple[int, ...]]) -> Field:
    """Return the field with the best of the changes (down, right) made to each vector, smoothed by medians."""
    tables = np.zeros((2, 256), np.int16)
    tables[:, : len(changes)] = np.array(changes).T[::-1]
    changed = (each + cv2.LUT(best, table) for each, table in zip(cv2.split(field), tables, strict=True))
    return np.asarray(cv2.merge([cv2.medianBlur(each, MEDIAN) for each in changed]), np.int16)


def _with_margin(plane: Plane, margin: int) -> Plane:
    return np.asarray(cv2.copyMakeBorder(plane, margin, margin, margin, margin, cv2.BORDER_REPLICATE), np.uint8)


def _differences(a: Plane, b: Plane, window: int) -> NDArray[np.uint16]:
    """Return the sum of differences over the window around each pixel."""
    size = (window, window)
    summed = cv2.boxFilter(cv2.absdiff(a, b), cv2.CV_16U, size, normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(summed, np.uint16)


def _places(shift: Field, margin: int) -> NDArray[np.intp]:
    """Return where each pixel's partner stands in a plane with a margin, whose rows lie end to end."""
    height, width = shift.shape[:2]
    down = np.clip(np.arange(height)[:, None] + shift[..., 1], 0, height - 1)
    right = np.clip(np.arange(width) + shift[..., 0], 0, width - 1)
    places: NDArray[np.intp] = down * (width + 2 * margin) + right
    return places


@dataclass(frozen=True)
class _Map:
    """Where samples come from.

    Attributes:
        whole: positions as x and y, (height, width, 2).
        beyond: what of a sample is beyond them, as OpenCV's ``remap`` takes it in whole numbers; None for nothing.
    """

    whole: Field
    beyond: NDArray[np.uint16] | None


def _map(unit: int, field: Field, rows: slice, share: int, steps: int) -> _Map:
    """Return the positions that are ``share`` of ``steps`` of a field away from each pixel of rows.

    A step of the field is ``unit`` times 1/FRACTIONS of a sample.
    """
    places, field = _grid(*field.shape[:2])[rows], field[rows]
    if unit * share % (FRACTIONS * steps) == 0:
        return _Map(places + field * np.int16(unit * share // (FRACTIONS * steps)), None)
    shift = np.multiply(field, unit * share, dtype=np.int32)
    shift //= steps
    whole = shift >> FRACTION_BITS
    whole += places
    shift &= FRACTIONS - 1
    return _Map(whole.astype(np.int16), (shift[..., 1] << FRACTION_BITS | shift[..., 0]).astype(np.uint16))


@lru_cache(maxsize=2)  # of luma and of chroma
def _grid(height: int, width: int) -> Field:
    """Return where each pixel stands."""
    rows, columns = np.indices((height, width), np.int16)
    return np.stack([columns, rows], axis=-1)


def _moved(plane: Plane, positions: _Map) -> Plane:
    """Return a plane sampled at positions, bicubically with integer weights."""
    whole, beyond = positions.whole, positions.beyond
    if beyond is None:
        moved = cv2.remap(plane, whole, _NOTHING, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    else:
        moved = cv2.remap(plane, whole, beyond, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _mixed(a: Plane, b: Plane, number: int, steps: int) -> Plane:
    kind: Any = np.uint16 if steps < 256 else np.uint32  # what 8-bit codes times the steps fit in
    weighted = np.multiply(a, steps - number, dtype=kind) + np.multiply(b, number, dtype=kind)
    return np.asarray((weighted + kind(steps // 2)) // kind(steps), np.uint8)
