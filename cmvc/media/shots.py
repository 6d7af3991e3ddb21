"""Shot cuts, found while the pictures stream by.

Two neighbouring pictures are compared by structure (local differences of brightness-normalised thumbnails, each
place allowed to have moved a little, so that pans and flicker count little) and by histograms of luma and chroma.
Measured on 15 clips of sport, traffic, faces, animation and screens: within a shot structure stays under 0.25 and
the sum of all three under 0.43; across cuts between them structure is over 0.46 and the sum over 1.0.
"""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Picture, Plane

THUMBNAIL = (48, 27)  # pixels
HISTOGRAM_PICTURE = (160, 90)  # pixels
REACH, STRIDE = 4, 2  # thumbnail pixels that a place may have moved, and the step of the search
LEAST_STRUCTURE, LEAST_SUM = 0.32, 0.6
OUTSTANDING = 1.8  # a cut's structure distance is at least this many times that of the pair before it
FLASH_FRAMES = 3  # a change that is undone within so many frames is a flash

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Look:
    """What a picture looks like.

    Attributes:
        structure: (27, 48) luma, mean 0 and deviation about 1.
        luma: (32,) histogram, sum 1.
        chroma: (256,) joint histogram of both chroma planes, sum 1.
    """

    structure: Floats
    luma: Floats
    chroma: Floats


def look(picture: Picture) -> Look:
    """Return what the picture looks like."""
    small = _shrunk(picture.y, THUMBNAIL).astype(np.float32)
    luma = _shrunk(picture.y, HISTOGRAM_PICTURE) >> 3
    u, v = (_shrunk(plane, THUMBNAIL) >> 4 for plane in (picture.u, picture.v))
    return Look(
        (small - small.mean()) / (small.std() + 4),  # 4: what noise does in a flat picture is no structure
        _histogram(luma, 32),
        _histogram(u.astype(np.int64) * 16 + v, 256),
    )


def _shrunk(plane: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _histogram(values: NDArray[np.integer], bins: int) -> Floats:
    return (np.bincount(values.ravel(), minlength=bins) / values.size).astype(np.float32)


def structure_distance(a: Look, b: Look) -> float:
    """Return how differently the two are laid out: 0 for the same, about 0.7 for unrelated pictures."""
    height, width = a.structure.shape
    padded = cv2.copyMakeBorder(b.structure, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    least = np.full((height, width), np.inf, np.float32)
    for dy in range(0, 2 * REACH + 1, STRIDE):
        for dx in range(0, 2 * REACH + 1, STRIDE):
            moved = padded[dy : dy + height, dx : dx + width]
            np.minimum(least, cv2.blur(cv2.absdiff(a.structure, moved), (9, 9)), out=least)
    return float(least.mean())


def histogram_distance(a: Look, b: Look) -> float:
    """Return how differently the two are coloured: 0 for the same, 2 for nothing in common."""
    return float(np.abs(a.luma - b.luma).sum() + np.abs(a.chroma - b.chroma).sum()) / 2


def _differs(a: Look, b: Look, before: float = 0.0) -> bool:
    structure = structure_distance(a, b)
    if structure < max(LEAST_STRUCTURE, OUTSTANDING * before):
        return False
    return structure + histogram_distance(a, b) >= LEAST_SUM


class CutFinder:
    """Tells for each picture whether it opens a shot, ``FLASH_FRAMES`` pictures later."""

    def __init__(self) -> None:
        """Start before the first picture."""
        self._last: Look | None = None  # of the newest picture decided on
        self._pending: deque[Look] = deque()
        self._distance = 0.0  # between the two newest pictures decided on

    def push(self, picture: Picture) -> list[bool]:
        """Take the next picture and return the decisions that it settles, in order of pictures."""
        self._pending.append(look(picture))
        return [self._decide()] if len(self._pending) > FLASH_FRAMES else []

    def finish(self) -> list[bool]:
        """Return the decisions still open at the end."""
        return [self._decide() for _ in range(len(self._pending))]

    def _decide(self) -> bool:
        new = self._pending.popleft()
        last, self._last = self._last, new
        if last is None:
            return True
        before, self._distance = self._distance, structure_distance(last, new)
        if not _differs(last, new, before):
            return False
        if any(not _differs(last, later) for later in self._pending):
            self._last = last  # a flash: what comes after it is compared with what was before it
            self._distance = 0.0
            return False
        self._distance = 0.0
        return True
