"""Frames between two decoded pictures, made by following what moves from the one to the other.

All in whole numbers, so that machines agree on every sample; docs/bitstream.md ("Frames in between") says it in words.
"""

from itertools import product

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
FRACTIONS = 32  # positions from one sample to the next


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
            field = (2 * field.repeat(2, axis=0).repeat(2, axis=1))[: a.shape[0], : a.shape[1]]
        if a.size <= SEARCHED_PIXELS:
            reach = FIRST_REACH if level == coarsest else REACH
            field = _refined(a, b, field, reach, COARSE_WINDOW if level else WINDOW)
    return field


def picture_between(before: Picture, after: Picture, field: Field, number: int, steps: int) -> Picture:
    """Return the picture ``number`` of ``steps`` on the way from one to the other, both of one size."""
    luma = 2 * FRACTIONS * field.astype(np.int32)  # all the way
    chroma = FRACTIONS * field[::2, ::2].astype(np.int32)
    y, u, v = (
        _mixed(_moved(a, -number * way // steps), _moved(b, (steps - number) * way // steps), number, steps)
        for a, b, way in zip(before.planes, after.planes, (luma, chroma, chroma), strict=True)
    )
    return Picture(y, u, v)


def _halved(plane: Plane) -> Plane:
    return np.asarray(cv2.pyrDown(plane), np.uint8)


def _refined(a: Plane, b: Plane, field: Field, reach: int, window: int) -> Field:
    """Return the field changed by up to ``reach`` pixels each way, where that matches better, and smoothed."""
    height, width = a.shape
    rows, columns = np.mgrid[0:height, 0:width]
    back, ahead = (_places(rows, columns, sign * field.astype(np.int32), reach) for sign in (-1, 1))
    padded = [cv2.copyMakeBorder(plane, reach, reach, reach, reach, cv2.BORDER_REPLICATE).ravel() for plane in (a, b)]
    changes = sorted(product(range(-reach, reach + 1), repeat=2), key=lambda change: (sum(map(abs, change)), change))
    best = np.full((height, width), np.iinfo(np.int32).max, np.int32)
    change = np.zeros_like(field)
    for down, right in changes:
        offset = down * (width + 2 * reach) + right
        apart = cv2.absdiff(padded[0].take(back - offset), padded[1].take(ahead + offset)).astype(np.uint16)
        summed = cv2.boxFilter(apart, -1, (window, window), normalize=False, borderType=cv2.BORDER_REPLICATE)
        cost = summed.astype(np.int32) + STEP_COST * (abs(down) + abs(right))
        better = cost < best
        best = np.where(better, cost, best)
        change[better] = right, down
    smooth: Field = np.stack([cv2.medianBlur(each, MEDIAN) for each in cv2.split(field + change)], axis=-1)
    return smooth


def _places(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shift: NDArray[np.int32], margin: int
) -> NDArray[np.int64]:
    """Return where each pixel's partner stands in a plane padded by ``margin``, laid out in one row."""
    height, width = rows.shape
    down = np.clip(rows + shift[..., 1], 0, height - 1) + margin
    places: NDArray[np.int64] = down * (width + 2 * margin) + np.clip(columns + shift[..., 0], 0, width - 1) + margin
    return places


def _moved(plane: Plane, shift: NDArray[np.int32]) -> Plane:
    """Return a plane sampled ``shift`` away from each pixel, in ``FRACTIONS``, bicubically with integer weights."""
    height, width = plane.shape
    rows, columns = np.mgrid[0:height, 0:width]
    x, y = FRACTIONS * columns + shift[..., 0], FRACTIONS * rows + shift[..., 1]
    whole = np.stack([x // FRACTIONS, y // FRACTIONS], axis=-1).astype(np.int16)
    fraction = (y % FRACTIONS * FRACTIONS + x % FRACTIONS).astype(np.uint16)
    return np.asarray(cv2.remap(plane, whole, fraction, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _mixed(a: Plane, b: Plane, number: int, steps: int) -> Plane:
    weighted = a.astype(np.uint32) * (steps - number) + b.astype(np.uint32) * number
    return ((weighted + steps // 2) // steps).astype(np.uint8)
