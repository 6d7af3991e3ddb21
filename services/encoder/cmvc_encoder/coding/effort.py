"""How much work goes into finding and making a coding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PresetTable = Sequence[tuple[float, int]]


@dataclass(frozen=True)
class Effort:
    """One level of effort.

    Attributes:
        presets: of SVT-AV1 for what is written: pairs of coded pixels per second of video, up to which a preset is
            used, and the preset. Small pictures afford slow presets.
        trial_presets: the same for codings that only compare with each other.
        strides: steps on the ladder of scales that the search climbs by, one after the other.
        encodes: of the final search at one scale, at most.
        measure_every: frames; prime to most frame steps, so that filled-in frames are measured too.
    """

    presets: PresetTable
    trial_presets: PresetTable
    strides: tuple[int, ...]
    encodes: int
    measure_every: int


DEFAULT = Effort(
    presets=((1.3e6, 2), (2.0e6, 3), (4.0e6, 4), (6.0e6, 5), (12.0e6, 6), (24.0e6, 8), (math.inf, 10)),
    trial_presets=((1.0e6, 6), (6.0e6, 8), (math.inf, 10)),
    strides=(2, 1),
    encodes=5,
    measure_every=5,
)


def preset(table: PresetTable, pixels_per_second: float) -> int:
    """Return the preset that a table has for so many coded pixels per second of video."""
    return next(preset for most, preset in table if pixels_per_second <= most)
