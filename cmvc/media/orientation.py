"""Which way up a picture is shown: display matrices, as phones and editors write them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from cmvc.media.picture import Picture, Plane


@dataclass(frozen=True)
class Orientation:
    """A quarter turn, a mirroring, or both; nothing by default.

    Attributes:
        transposed: whether rows become columns, first of all.
        mirrored: whether left and right change places.
        upended: whether top and bottom do.
    """

    transposed: bool = False
    mirrored: bool = False
    upended: bool = False

    def upright(self, picture: Picture) -> Picture:
        """Return the picture as it is to be shown."""
        if self == Orientation():
            return picture
        return Picture(*(self._turned(plane) for plane in picture.planes))

    def _turned(self, plane: Plane) -> Plane:
        turned = plane.T if self.transposed else plane
        turned = turned[:, ::-1] if self.mirrored else turned
        return np.ascontiguousarray(turned[::-1] if self.upended else turned)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return how a frame is to be shown; a slanting picture is turned to the nearest quarter.

    PyAV then keeps the frame in memory until the next collection of garbage.
    """
    side_data: Any = frame.side_data  # PyAV's types have names for keys
    matrix = side_data.get(Type.DISPLAYMATRIX)
    return from_matrix(bytes(matrix)) if matrix is not None else Orientation()


def from_matrix(matrix: bytes) -> Orientation:
    """Return what a display matrix asks for.

    Args:
        matrix: nine numbers of 32 bits (a b u, c d v, x y w), as FFmpeg and MP4 have them: a point (x, y) of the
            picture is shown at (a x + c y, b x + d y), the axes pointing right and down.
    """
    a, b, _, c, d = (int(number) for number in np.frombuffer(matrix, np.int32, 5))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transposed=True, mirrored=c < 0, upended=b < 0)
    return Orientation(mirrored=a < 0, upended=d < 0)
