"""Chooses the mode of each window by what the viewer would see at equal bytes."""

from dataclasses import dataclass, field

from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.v1 import common_pb2
from cmvc_encoder.coders.registry import coded_modes, make_coder
from cmvc_encoder.semantics.base import SemanticExtractor
from cmvc_encoder.window import ModeCoder, Trial, Window

# VT2V is not among them: with the embedded profile it shows what CODED shows, less the bytes of the caption.
MEASURED = (common_pb2.MODE_CODED, common_pb2.MODE_IT2V)
LEAST_QUALITY_BY_TEXT = 15  # up to this quality text is enough
CLEAR_DB = 1.5  # a mode that is worse by so much is not tried again in the shot's next windows
SKIP_WINDOWS = 3


@dataclass
class AutoCoder:
    """A coder that tries modes and keeps the best: CODED against IT2V, TT2V where neither fits the budget.

    A mode that was clearly worse is left out for a few windows, so that not every window is coded twice.
    """

    extractor: SemanticExtractor
    _coders: dict[Mode.ValueType, ModeCoder] = field(default_factory=dict)
    _skip: dict[Mode.ValueType, int] = field(default_factory=dict)

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best trial within the budget; see ``ModeCoder``."""
        if window.opens_shot:
            self._skip.clear()
        modes = [mode for mode in MEASURED if mode in coded_modes() and not self._is_skipped(mode)]
        trials = {mode: self._coder(mode).encode(window, byte_budget, control) for mode in modes}
        fitting = {mode: trial for mode, trial in trials.items() if trial.size <= byte_budget}
        if not fitting:
            return self._smallest(window, byte_budget, control, list(trials.values()))
        best = max(fitting, key=lambda mode: fitting[mode].psnr)
        for mode, trial in trials.items():
            if trial.size > byte_budget or trial.psnr < fitting[best].psnr - CLEAR_DB:
                self._skip[mode] = SKIP_WINDOWS
        return fitting[best]

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return CODED, which is the mode that a quality can be asked of."""
        return self._coder(common_pb2.MODE_CODED).encode_quality(window, quality, control)

    def _coder(self, mode: Mode.ValueType) -> ModeCoder:
        if mode not in self._coders:
            self._coders[mode] = make_coder(mode, self.extractor)
        return self._coders[mode]

    def _is_skipped(self, mode: Mode.ValueType) -> bool:
        left = self._skip.get(mode, 0)
        self._skip[mode] = max(left - 1, 0)
        return left > 0

    def _smallest(self, window: Window, byte_budget: int, control: Control, trials: list[Trial]) -> Trial:
        """Return what fits where pictures do not: text, or else the smallest of what there is."""
        if common_pb2.MODE_TT2V in coded_modes():
            trials = [*trials, self._coder(common_pb2.MODE_TT2V).encode(window, byte_budget, control)]
        return min(trials, key=lambda trial: trial.size)
