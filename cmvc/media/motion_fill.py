"""Frames between two decoded pictures, made by following what moves from the one to the other.

All in whole numbers, so that machines agree on every sample; docs/bitstream.md ("Frames in between") says it in words.
"""

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
    maps = [(_map(-number * way // steps), _map((steps - number) * way // steps)) for way in (luma, chroma)]
    y, u, v = (
        _mixed(_moved(a, back), _moved(b, ahead), number, steps)
        for a, b, (back, ahead) in zip(before.planes, after.planes, (maps[0], maps[1], maps[1]), strict=True)
    )
    return Picture(y, u, v)


def _halved(plane: Plane) -> Plane:
    return np.asarray(cv2.pyrDown(plane), np.uint8)


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
        np.copyto(best, number, where=cost < least)
        np.minimum(least, cost, out=least)
    changed = field + np.array([(right, down) for down, right in changes], np.int16)[best]
    smooth: Field = np.stack([cv2.medianBlur(each, MEDIAN) for each in cv2.split(changed)], axis=-1)
    return smooth


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


Map = tuple[NDArray[np.int16], NDArray[np.uint16]]
"""Whole positions, and what of a sample is beyond them, as OpenCV's ``remap`` takes them in whole numbers."""


def _map(shift: NDArray[np.int32]) -> Map:
    """Return the positions that are ``shift`` away from each pixel, in ``FRACTIONS``."""
    height, width = shift.shape[:2]
    x = shift[..., 0] + FRACTIONS * np.arange(width, dtype=np.int32)
    y = shift[..., 1] + FRACTIONS * np.arange(height, dtype=np.int32)[:, None]
    whole = np.stack([x >> FRACTION_BITS, y >> FRACTION_BITS], axis=-1).astype(np.int16)
    beyond = (y & FRACTIONS - 1) << FRACTION_BITS | x & FRACTIONS - 1
    return whole, beyond.astype(np.uint16)


def _moved(plane: Plane, positions: Map) -> Plane:
    """Return a plane sampled at positions, bicubically with integer weights."""
    return np.asarray(cv2.remap(plane, *positions, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _mixed(a: Plane, b: Plane, number: int, steps: int) -> Plane:
    kind: Any = np.uint16 if steps < 256 else np.uint32  # what 8-bit codes times the steps fit in
    weighted = np.multiply(a, steps - number, dtype=kind) + np.multiply(b, number, dtype=kind)
    return np.asarray((weighted + kind(steps // 2)) // kind(steps), np.uint8)
