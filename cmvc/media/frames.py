"""Between ``Picture`` and PyAV's ``VideoFrame``."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from cmvc.media.picture import Picture, Plane


def _view(plane: VideoPlane) -> Plane:
    """Return a plane's memory as (height, width) uint8, without the padding at the end of each line."""
    memory: Plane = np.frombuffer(memoryview(plane), np.uint8)  # type: ignore[arg-type]  # PEP 688 is 3.12's
    lines = memory[: plane.line_size * plane.height].reshape(plane.height, plane.line_size)
    return lines[:, : plane.width]


def to_frame(picture: Picture) -> VideoFrame:
    """Return the picture as a new ``yuv420p`` frame, without pts or colour tags."""
    frame = VideoFrame(picture.width, picture.height, "yuv420p")
    for plane, samples in zip(frame.planes, picture.planes, strict=True):
        _view(plane)[:] = samples
    return frame


def from_frame(frame: VideoFrame) -> Picture:
    """Return a copy of a ``yuv420p`` frame's planes, so that the decoder can have its buffers back."""
    y, u, v = (_view(plane).copy() for plane in frame.planes)
    return Picture(y, u, v)
