"""Chooses the mode of each window by what the viewer would see at equal bytes."""

import math
from dataclasses import dataclass, field, replace

from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.media import av1
from cmvc.observer import NullObserver, Observer
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.it2v import It2vCoder
from cmvc_encoder.coding.mode import ModeCoder, Trial
from cmvc_encoder.coding.registry import make_coder
from cmvc_encoder.coding.video import VideoCoder
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import SemanticExtractor

# VT2V is not among the modes compared: with the embedded profile it shows what CODED shows, less the caption's bytes.
STARVED_SCALE = 0.3  # of the size; where CODED keeps more than this, IT2V was never better
PREVIEW_SECONDS = 1.0  # of a window that both are tried on before IT2V is searched for in the whole
CLEAR_DB = 0.3  # by which IT2V must be better there; what it gains by less is not worth its search
MOST_SKIPPED = 4  # windows, after IT2V was no use several times in a row
TEXT_BITS_PER_SECOND = 1200.0  # at 480p; below it text tells more than pictures show; goes with the root of the area
TEXT_PIXELS = 854 * 480


@dataclass
class AutoCoder:
    """A coder that keeps the better of CODED and IT2V, and takes TT2V where the budget is too small for both.

    IT2V takes long to search for. Only where CODED is starved are both tried on the start of a window,
    and IT2V on the whole only where it is better there; ever less often while it is not.
    """

    extractor: SemanticExtractor
    observer: Observer = field(default_factory=NullObserver)
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
        if self._is_starved(window, coded) and self._is_promising(window, byte_budget, control):
            trials.append(self._coder(common_pb2.MODE_IT2V).encode(window, byte_budget, control))
        fitting = [trial for trial in trials if trial.size <= byte_budget]
        if not fitting:
            by_text = self._coder(common_pb2.MODE_TT2V).encode(window, byte_budget, control)
            return min([*trials, by_text], key=lambda trial: trial.size)
        return max(fitting, key=lambda trial: trial.psnr)

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return CODED, the mode that reaches every quality."""
        return self._coder(common_pb2.MODE_CODED).encode_quality(window, quality, control)

    def _coder(self, mode: Mode.ValueType) -> ModeCoder:
        if mode not in self._coders:
            self._coders[mode] = make_coder(mode, self.extractor, self.observer)
        return self._coders[mode]

    def _is_starved(self, window: Window, coded: Trial) -> bool:
        """Return whether CODED had to shrink the pictures so much that IT2V may do better."""
        first = next(av1.decode(coded.segments[0].video))
        return first.width < STARVED_SCALE * window.pictures[0].width

    def _is_promising(self, window: Window, byte_budget: int, control: Control) -> bool:
        """Return whether IT2V does better than CODED on the window's start; ask ever less often while it does not."""
        if self._skip:
            self._skip -= 1
            return False
        # Captions change nothing that is measured here, and take long to write.
        part = _start_of(window, PREVIEW_SECONDS)
        budget = int(byte_budget * len(part.pictures) / len(window.pictures))
        images, video = (coder.encode(part, budget, control) for coder in (It2vCoder(None), VideoCoder("video")))
        promising = images.size <= budget and (video.size > budget or images.psnr > video.psnr + CLEAR_DB)
        self._losses = 0 if promising else self._losses + 1
        self._skip = min(self._losses, MOST_SKIPPED)
        return promising


def _start_of(window: Window, seconds: float) -> Window:
    count = max(int(seconds * window.frame_rate), 1)
    if len(window.pictures) <= count:
        return window
    return replace(window, pictures=window.pictures[:count], closes_shot=False, following=window.pictures[count])
