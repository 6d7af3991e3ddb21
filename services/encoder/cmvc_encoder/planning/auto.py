"""Chooses the mode of each window by what the viewer would see at equal bytes."""

import math
from dataclasses import dataclass, field

from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.mode import ModeCoder, Trial
from cmvc_encoder.coding.registry import Tools, make_coder
from cmvc_encoder.ingest.window import Window

# VT2V is not among the modes compared: with the embedded profile it shows what CODED shows, less the caption's bytes.
STARVED_SCALE = 0.2  # of the size; where CODED keeps more than this, IT2V was never better
TEXT_BITS_PER_SECOND = 1200.0  # at 480p; below it text tells more than pictures show; goes with the root of the area
TEXT_PIXELS = 854 * 480


@dataclass
class AutoCoder:
    """A coder that keeps the better of CODED and IT2V, and takes TT2V where the budget is too small for both.

    IT2V takes as long to search for as CODED. Where CODED is starved both are coded and measured on the whole window,
    and the better one is kept; ever less often while IT2V loses, as far as the effort says. IT2V is left out for a
    generator that does not decode it.
    """

    tools: Tools
    _coders: dict[Mode.ValueType, ModeCoder] = field(default_factory=dict)
    _losses: int = 0  # of IT2V in a row
    _skip: int = 0  # windows still to pass without trying IT2V

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best trial within the budget; see ``ModeCoder``."""
        area = window.width * window.height / TEXT_PIXELS
        if 8 * byte_budget / window.seconds < TEXT_BITS_PER_SECOND * math.sqrt(area):
            return self._coder(common_pb2.MODE_TT2V).encode(window, byte_budget, control)
        coded = self._coder(common_pb2.MODE_CODED).encode(window, byte_budget, control)
        trials = [coded]
        if common_pb2.MODE_IT2V in self.tools.generator.modes and (coded.floor or self._is_worth_images(window, coded)):
            images = self._coder(common_pb2.MODE_IT2V).encode(window, byte_budget, control)
            trials.append(images)
            self._count(won=images.size <= byte_budget and (coded.floor or images.score > coded.score))
        fitting = [trial for trial in trials if trial.size <= byte_budget]
        if not fitting:
            by_text = self._coder(common_pb2.MODE_TT2V).encode(window, byte_budget, control)
            return min([*trials, by_text], key=lambda trial: trial.size)
        return max(fitting, key=lambda trial: trial.score)

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return CODED, the mode that reaches every quality."""
        return self._coder(common_pb2.MODE_CODED).encode_quality(window, quality, control)

    def _coder(self, mode: Mode.ValueType) -> ModeCoder:
        if mode not in self._coders:
            self._coders[mode] = make_coder(mode, self.tools)
        return self._coders[mode]

    def _is_worth_images(self, window: Window, coded: Trial) -> bool:
        """Return whether CODED had to shrink the pictures so much that IT2V may do better, and it is time to try."""
        assert coded.made is not None
        if coded.made.shape.width >= STARVED_SCALE * window.pictures[0].width:
            return False
        if self._skip:
            self._skip -= 1
            return False
        return self.tools.effort.most_skipped is not None

    def _count(self, *, won: bool) -> None:
        self._losses = 0 if won else self._losses + 1
        self._skip = min(self._losses - 1, self.tools.effort.most_skipped or 0) if self._losses else 0
