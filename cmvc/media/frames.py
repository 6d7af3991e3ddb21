"""Between ``Picture`` and PyAV's ``VideoFrame``, and the name of a packet of any stream."""

from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from cmvc.media.picture import Picture, Plane

if TYPE_CHECKING:
    AnyPacket: TypeAlias = av.Packet[Any]
else:
    AnyPacket = av.Packet  # not generic at run time


def _view(plane: VideoPlane) -> Plane:
    """Return a plane's memory as (height, width) uint8, without the padding at the end of each line."""
    memory: Plane = np.frombuffer(memoryview(plane), np.uint8)
    lines = memory[: plane.line_size * plane.height].reshape(plane.height, plane.line_size)
    return lines[:, : plane.width]


def to_frame(picture: Picture) -> VideoFrame:
    """Return the picture as a new ``yuv420p`` frame, without pts or colour tags."""
    frame = VideoFrame(picture.width, picture.height, "yuv420p")
    for plane, samples in zip(frame.planes, picture.planes, strict=True):
        _view(plane)[:] = samples
    return frame


def to_gray_frame(plane: Plane) -> VideoFrame:
    """Return one plane as a new ``gray`` frame."""
    frame = VideoFrame(plane.shape[1], plane.shape[0], "gray")
    _view(frame.planes[0])[:] = plane
    return frame


def plane_of(frame: VideoFrame) -> Plane:
    """Return a copy of the plane of a ``gray`` frame."""
    return _view(frame.planes[0]).copy()


def from_frame(frame: VideoFrame) -> Picture:
    """Return a copy of a ``yuv420p`` frame's planes, so that the decoder can have its buffers back."""
    y, u, v = (_view(plane).copy() for plane in frame.planes)
    return Picture(y, u, v)
