"""Chooses the mode of each window by what the viewer would see at equal bytes."""

import math
from dataclasses import dataclass, field

from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.mode import ModeCoder, Trial
from cmvc_encoder.coding.registry import Tools, make_coder, make_video_coder
from cmvc_encoder.ingest.window import Window

STARVED_SCALE = 0.2  # of the size; where CODED keeps more than this, IT2V was never better
TEXT_BITS_PER_SECOND = 1200.0  # at 480p; below it text tells more than pictures show; goes with the root of the area
TEXT_PIXELS = 854 * 480


def is_for_text(bits_per_second: float, width: int, height: int) -> bool:
    """Say whether a rate for pictures of a size in pixels is so low that text tells more than pictures show."""
    return bits_per_second < TEXT_BITS_PER_SECOND * math.sqrt(width * height / TEXT_PIXELS)


@dataclass
class AutoCoder:
    """A coder that keeps the best of CODED, VT2V and IT2V, and takes TT2V where the budget is too small for them.

    CODED and VT2V are the same bytes, scaled or restored: they are searched for as one (``VideoCoder``), where decoders
    have a restorer. A generator's VT2V is not compared: what it would show is not known here.
    IT2V takes as long to search for as CODED. Where CODED is starved both are coded and measured on the whole window,
    and the better one is kept. IT2V is left out for a generator that does not decode it.

    Attributes:
        tools: of the coders.
        tries_images: whether IT2V is tried where CODED is starved; where CODED cannot reach the budget it always is.
    """

    tools: Tools
    tries_images: bool
    _coders: dict[Mode.ValueType, ModeCoder] = field(default_factory=dict)

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best trial within the budget; see ``ModeCoder``."""
        if is_for_text(8 * byte_budget / window.seconds, window.width, window.height):
            return self._coder(common_pb2.MODE_TT2V).encode(window, byte_budget, control)
        coded = self._coder(common_pb2.MODE_CODED).encode(window, byte_budget, control)
        trials = [coded]
        may = common_pb2.MODE_IT2V in self.tools.generator.modes
        if may and (coded.floor or (self.tries_images and _is_starved(window, coded))):
            trials.append(self._coder(common_pb2.MODE_IT2V).encode(window, byte_budget, control))
        fitting = [trial for trial in trials if trial.size <= byte_budget]
        if not fitting:
            by_text = self._coder(common_pb2.MODE_TT2V).encode(window, byte_budget, control)
            return min([*trials, by_text], key=lambda trial: trial.size)
        return max(fitting, key=lambda trial: trial.score)

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return CODED, the mode that reaches every quality, or VT2V."""
        return self._coder(common_pb2.MODE_CODED).encode_quality(window, quality, control)

    def _coder(self, mode: Mode.ValueType) -> ModeCoder:
        if mode not in self._coders:
            is_video = mode == common_pb2.MODE_CODED
            self._coders[mode] = make_video_coder(self.tools) if is_video else make_coder(mode, self.tools)
        return self._coders[mode]


def _is_starved(window: Window, coded: Trial) -> bool:
    """Say whether CODED had to shrink the pictures so much that IT2V may do better."""
    assert coded.made is not None
    return coded.made.shape.width < STARVED_SCALE * window.pictures[0].width
