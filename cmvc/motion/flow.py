"""Dense optical flow between pictures."""

from typing import Any, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Plane

Samples = TypeVar("Samples", NDArray[np.uint8], NDArray[np.float32])
Flow = NDArray[np.float32]  # (height, width, 2), x then y, in pixels


def pixel_grid(width: int, height: int) -> Flow:
    """Return each pixel's own position."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1)


def sample(plane: Samples, where: Flow, interpolation: int = cv2.INTER_LINEAR) -> Samples:
    """Return ``plane`` at the positions ``where``; outside, its edge goes on."""
    nothing: Any = None  # the stubs do not know that one map of both coordinates is enough
    shown: Any = cv2.remap(plane, where, nothing, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return cast(Samples, shown)


class FlowEstimator:
    """Dense inverse search (Kroeger et al. 2016) with buffers of its own; not for several threads at once."""

    def __init__(self, preset: int = cv2.DISOPTICAL_FLOW_PRESET_FAST) -> None:
        """Take one of OpenCV's presets."""
        self._search = cv2.DISOpticalFlow.create(preset)

    def between(self, a: Plane, b: Plane, start: Flow | None = None) -> Flow:
        """Return for each pixel of ``a`` how far away its content stands in ``b``, searching around ``start``."""
        flow: Any = None if start is None else start.copy()
        return np.asarray(self._search.calc(a, b, flow), np.float32)
