"""What the restorer is told beside the pictures."""

import math

import numpy as np
from numpy.typing import NDArray

CELL = 4  # pixels; the network works on squares of so many a side, so that its cost does not depend on the scale
MOST_REDUCED = 3.0  # octaves; what was scaled down further is treated alike
_MIDDLE_QUANTISER, _QUANTISERS = 192.0, 64.0

Told = NDArray[np.float32]
"""A ``condition``."""


def condition(scale: float, quantiser: int) -> Told:
    """Return the two numbers, (2,), that tell how coarse the coding was.

    Args:
        scale: coded side over the shown one, 0..1: the root of the areas' ratio.
        quantiser: AV1's ``base_q_idx`` of the segment's first frame, 0..255.
    """
    reduced = min(-math.log2(min(scale, 1.0)), MOST_REDUCED)
    return np.array([reduced - 1, (quantiser - _MIDDLE_QUANTISER) / _QUANTISERS], np.float32)
