"""How many bytes a coding is expected to take, from one that was seen."""

import math
from dataclasses import dataclass

import numpy as np

from cmvc_encoder.coding.shapes import Shape

BYTES_PER_SCALE = 1.1  # octaves of bytes per octave of scale, at one CRF
BYTES_PER_STEP = 0.5  # octaves of bytes per octave of frame step
PRESET_GAIN = 0.0  # octaves of bytes from a trial to the final preset, before it was seen
MOST_LEARNT = 0.3  # octaves by which one window changes that

# Octaves of bytes that SVT-AV1 saves from CRF 10 on, a mean over dev clips: quantisers grow faster and faster up to
# 63, most of all with its last quarter, and slowly from there on.
_CRFS = (10, 45, 53, 57, 60, 61.5, 62, 62.75, 63, 64, 66, 70)
_SAVED = (0.0, 2.62, 3.26, 3.66, 4.09, 4.37, 4.52, 4.67, 4.87, 5.0, 5.2, 5.51)


def octaves_saved(crf: float) -> float:
    """Return the octaves of bytes that a CRF is expected to save over CRF 10."""
    return float(np.interp(crf, _CRFS, _SAVED))


def crf_saving(octaves: float) -> float:
    """Return the CRF that is expected to save so many octaves of bytes over CRF 10; within 10..70."""
    return float(np.interp(octaves, _SAVED, _CRFS))


@dataclass(frozen=True)
class Seen:
    """A coding that was seen: its log2 of bytes per second of video is at the final preset."""

    shape: Shape
    crf: float
    octaves: float

    def distance(self, shape: Shape) -> float:
        """Return how unlike a shape is, in octaves of pixels per second."""
        pixels = abs(math.log2(shape.pixels / self.shape.pixels))
        return pixels + abs(math.log2(shape.step / self.shape.step))

    def expected(self, shape: Shape, crf: float) -> float:
        """Return log2 of the bytes per second expected of another coding."""
        by_scale = BYTES_PER_SCALE * math.log2(shape.pixels / self.shape.pixels) / 2
        by_step = BYTES_PER_STEP * math.log2(shape.step / self.shape.step)
        return self.octaves + by_scale - by_step - octaves_saved(crf) + octaves_saved(self.crf)

    def crf_for(self, shape: Shape, octaves: float) -> float:
        """Return the CRF at which a shape should take so many octaves of bytes per second; within 10..70."""
        return crf_saving(octaves_saved(self.crf) + self.expected(shape, self.crf) - octaves)


@dataclass
class Memory:
    """What a stream taught so far.

    Attributes:
        seen: the last coding; None before the first.
        gain: octaves of bytes from a trial to the final preset.
    """

    seen: Seen | None = None
    gain: float = PRESET_GAIN

    def learn_gain(self, octaves: float) -> None:
        """Take in by how much a final coding was larger than expected."""
        self.gain += min(max(octaves, -MOST_LEARNT), MOST_LEARNT)
