"""Between ``Picture`` and RGB, for models that see RGB."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from cmvc.media.frames import from_frame, to_frame
from cmvc.media.picture import Picture

Rgb = NDArray[np.uint8]
_BT709 = 1
_KNOWN = (1, 4, 5, 6, 7, 9)  # code points of ITU-T H.273 that swscale has coefficients for
_HOW = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND


def to_rgb(picture: Picture, color_matrix: int) -> Rgb:
    """Return the picture as (height, width, 3) RGB, 0..255.

    Args:
        picture: limited range.
        color_matrix: its matrix coefficients, code point of ITU-T H.273; what is not known counts as BT.709.
    """
    frame = to_frame(picture).reformat(
        format="rgb24",
        src_colorspace=_matrix(color_matrix),
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_HOW,
        threads=1,
    )
    return np.asarray(frame.to_ndarray(), np.uint8)


def from_rgb(rgb: Rgb, color_matrix: int) -> Picture:
    """Return (height, width, 3) RGB, 0..255, as a picture in limited range; the inverse of ``to_rgb``."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return from_frame(
        frame.reformat(
            format="yuv420p",
            dst_colorspace=_matrix(color_matrix),
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_HOW,
            threads=1,
        )
    )


def _matrix(code_point: int) -> int:
    return code_point if code_point in _KNOWN else _BT709
