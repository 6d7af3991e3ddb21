"""Gives generated frames the colours of what is known: a model follows shapes better than exact tones."""

from bisect import bisect_left
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Picture

Tones = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
_CELLS = 8  # on the short side: coarse enough to carry tones, not shapes
_RANGE = ((16, 235), (16, 240), (16, 240))


def tones(picture: Picture, cells: int = _CELLS) -> Tones:
    """Return the mean of each plane in a grid with so many cells on the short side, (rows, columns) float32.

    The range is limited.
    """
    short = min(picture.width, picture.height)
    size = tuple(max(round(cells * side / short), 1) for side in (picture.width, picture.height))
    return tuple(  # type: ignore[return-value]
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32) for plane in picture.planes
    )


class ColorRestorer:
    """Moves the tones of generated frames to those that are known at some of them, and in between likewise."""

    def __init__(self, wanted: Mapping[int, Tones], made: Mapping[int, Tones]) -> None:
        """Compare tones.

        Args:
            wanted: by frame number, where they are known.
            made: those of the generated frames of the same numbers.
        """
        self._at = sorted(wanted)
        self._apart: list[Tones] = [minus(wanted[n], made[n]) for n in self._at]

    def restore(self, number: int, picture: Picture) -> Picture:
        """Return generated frame ``number`` in the right tones."""
        return moved_by(picture, self._between(number)) if self._at else picture

    def _between(self, number: int) -> Tones:
        after = bisect_left(self._at, number)
        if after == len(self._at):
            return self._apart[-1]
        if after == 0 or self._at[after] == number:
            return self._apart[after]
        before = after - 1
        share = np.float32((number - self._at[before]) / (self._at[after] - self._at[before]))
        pairs = zip(self._apart[before], self._apart[after], strict=True)
        return tuple(a + share * (b - a) for a, b in pairs)  # type: ignore[return-value]


def minus(a: Tones, b: Tones) -> Tones:
    """Return how far tones are apart."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def moved_by(picture: Picture, apart: Tones) -> Picture:
    """Return the picture with its tones moved by so much."""
    planes = (
        _moved(plane, each, low, high) for plane, each, (low, high) in zip(picture.planes, apart, _RANGE, strict=True)
    )
    return Picture(*planes)


def _moved(plane: NDArray[np.uint8], apart: NDArray[np.float32], low: int, high: int) -> NDArray[np.uint8]:
    smooth = cv2.resize(apart, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(np.rint(plane + smooth), low, high), np.uint8)
