"""The picture that every pipeline step passes on: 8-bit Y'CbCr 4:2:0 planes, limited range.

Colour primaries, transfer and matrix are the stream's; no step but ingest and output looks at them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture.

    Attributes:
        y: luma, (height, width) uint8, 16..235.
        u: Cb, (ceil(height / 2), ceil(width / 2)) uint8, 16..240.
        v: Cr, as u.
    """

    y: Plane
    u: Plane
    v: Plane

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.y.shape[0])

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        """The three planes."""
        return self.y, self.u, self.v


def chroma_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of the chroma planes of a 4:2:0 picture."""
    return (width + 1) // 2, (height + 1) // 2


def even(picture: Picture) -> Picture:
    """Return the picture with even sides: an odd one gets one more row or column of luma, which repeats the last.

    Chroma has it already.
    """
    rows, columns = picture.height % 2, picture.width % 2
    if not rows and not columns:
        return picture
    return Picture(np.pad(picture.y, ((0, rows), (0, columns)), "edge"), picture.u, picture.v)


def _levels(low: int, high: int, middle: int = 0) -> Plane:
    """Return the table from limited (``low``..``high``) to full-range codes, fixed at ``middle``."""
    codes = np.arange(256, dtype=np.float64)
    scaled = (codes - (middle or low)) * 255.0 / (high - low) + middle
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


_FULL_LUMA = _levels(16, 235)
_FULL_CHROMA = _levels(16, 240, 128)


def full_range(picture: Picture) -> Picture:
    """Return the picture in full-range codes (luma 0..255, chroma 0..255 about 128), for output only."""
    return Picture(
        np.asarray(cv2.LUT(picture.y, _FULL_LUMA), np.uint8),
        np.asarray(cv2.LUT(picture.u, _FULL_CHROMA), np.uint8),
        np.asarray(cv2.LUT(picture.v, _FULL_CHROMA), np.uint8),
    )
