"""How much work goes into finding and making a coding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cmvc.v1 import encoder_pb2

PresetTable = Sequence[tuple[float, int]]


@dataclass(frozen=True)
class Effort:
    """One level of effort.

    Attributes:
        presets: of SVT-AV1 for what is written: pairs of coded pixels per second of video, up to which a preset is
            used, and the preset. Small pictures afford slow presets.
        trial_presets: the same for codings that only compare with each other.
        near: octaves from the budget at which one trial of a shape tells enough.
        strides: steps on the ladder of scales that the search climbs by, one after the other.
        tries_full_size: whether full size is tried although the search starts elsewhere.
        finals: frame steps of which the best shape is coded as it would be written, to compare; 0 where trials decide.
        encodes: of the final search at one shape, at most.
        hit: share of the budget that is near enough in a stream's last window.
        hit_before: the same in those before it, as the last one takes what they leave over.
        measure_every: frames, of which one is measured; see ``measure.cadence``.
        restore_every: likewise, where it is told whether restoring helps: one takes as long as ten that are scaled.
        looks_ahead: whether windows are tried before they get their bytes, which then do as much good in each; without,
            each gets those of its time.
        most_skipped: windows that ``auto`` passes without trying IT2V, after it lost several times in a row; None
            where IT2V is tried only for what CODED cannot reach.
    """

    presets: PresetTable
    trial_presets: PresetTable
    near: float
    strides: tuple[int, ...]
    tries_full_size: bool
    finals: int
    encodes: int
    hit: float
    hit_before: float
    measure_every: int
    restore_every: int
    looks_ahead: bool
    most_skipped: int | None


# One core takes about 3.3 microseconds for a pixel at preset 0, 1.1 at 1, 0.55 at 2, 0.33 at 3, 0.2 at 4, 0.09 at 6,
# 0.05 at 8 and 0.025 at 10. By default a window takes some seven trials and two or three final codings.
FAST = Effort(
    presets=((0.8e6, 6), (3.0e6, 8), (math.inf, 10)),
    trial_presets=((math.inf, 12),),
    near=0.4,
    strides=(),
    tries_full_size=False,
    finals=0,
    encodes=5,
    hit=0.975,
    hit_before=0.97,
    measure_every=11,
    restore_every=47,
    looks_ahead=False,
    most_skipped=None,
)
DEFAULT = Effort(
    presets=((0.8e6, 2), (1.4e6, 3), (2.7e6, 4), (4.0e6, 5), (7.0e6, 6), (15.0e6, 8), (math.inf, 10)),
    trial_presets=((math.inf, 10),),
    near=0.15,
    strides=(2,),
    tries_full_size=False,
    finals=0,
    encodes=6,
    hit=0.98,
    hit_before=0.965,
    measure_every=5,
    restore_every=13,
    looks_ahead=True,
    most_skipped=4,
)
BEST = Effort(
    presets=((2.0e6, 0), (4.0e6, 1), (10.0e6, 2), (20.0e6, 4), (math.inf, 6)),
    trial_presets=((4.0e6, 6), (math.inf, 8)),
    near=0.1,
    strides=(2, 1),
    tries_full_size=True,
    finals=4,
    encodes=8,
    hit=0.985,
    hit_before=0.98,
    measure_every=5,
    restore_every=5,
    looks_ahead=True,
    most_skipped=0,
)
EFFORTS = {
    encoder_pb2.EFFORT_FAST: FAST,
    encoder_pb2.EFFORT_DEFAULT: DEFAULT,
    encoder_pb2.EFFORT_BEST: BEST,
}


def before_last(effort: Effort) -> Effort:
    """Return the effort that goes into a window after which others follow."""
    return replace(effort, hit=effort.hit_before)


def preset(table: PresetTable, pixels_per_second: float) -> int:
    """Return the preset that a table has for so many coded pixels per second of video."""
    return next(preset for most, preset in table if pixels_per_second <= most)
