"""How steady a video is beside its source."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Plane

_COVERED = 8.0  # codes; where the source itself cannot be warped so well, things appear or vanish

Floats = NDArray[np.float32]


@dataclass
class Steadiness:
    """Gathers frame by frame.

    ``warping_error`` is the mean difference of each luma and the one before, warped along the source's motion (Lai et
    al., 2018), of the video over the source: 1 is as steady as the source, less is smoother.
    ``flicker`` is the mean difference, in codes, of what changes from frame to frame in the video and in the source: 0
    for the same.
    """

    _flow: cv2.DISOpticalFlow = field(
        default_factory=lambda: cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    )
    _before: tuple[Plane, Plane] | None = None
    _errors: list[tuple[float, float]] = field(default_factory=list)
    _flickers: list[float] = field(default_factory=list)

    def push(self, source: Plane, shown: Plane) -> None:
        """Take the next lumas, of one size."""
        if self._before is not None:
            self._compare(*self._before, source, shown)
        self._before = source, shown

    def scores(self) -> dict[str, float]:
        """Return the means; 1 and 0 where there were fewer than two frames."""
        own, other = np.sum(self._errors, axis=0) if self._errors else (0.0, 0.0)
        return {
            "warping_error": float(other / own) if own else 1.0,
            "flicker": float(np.mean(self._flickers)) if self._flickers else 0.0,
        }

    def _compare(self, source_before: Plane, shown_before: Plane, source: Plane, shown: Plane) -> None:
        flow = self._flow.calc(source, source_before, np.zeros((*source.shape, 2), np.float32))
        rows, columns = np.indices(source.shape, np.float32)
        where = np.asarray(columns + flow[..., 0], np.float32), np.asarray(rows + flow[..., 1], np.float32)
        own, other = (
            np.abs(
                cv2.remap(before, *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - now.astype(np.float32)
            )
            for before, now in ((source_before, source), (shown_before, shown))
        )
        seen = own < _COVERED
        if seen.any():
            self._errors.append((float(own[seen].mean()), float(other[seen].mean())))
        changes = cv2.subtract(shown, shown_before, dtype=cv2.CV_16S) - cv2.subtract(
            source, source_before, dtype=cv2.CV_16S
        )
        self._flickers.append(float(np.abs(changes).mean()))
