"""One window coded as AV1 in many ways, each once, and how each looks."""

import math
from dataclasses import dataclass, field

from cmvc.control import Control
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.shrink import Shrinker
from cmvc_encoder.coding.effort import Effort, preset
from cmvc_encoder.coding.measure import DEFAULT_MEASURE, LEAST_MEASURED, MEASURES, cadence
from cmvc_encoder.coding.payload import payload, payload_size
from cmvc_encoder.coding.quantisers import Quantiser
from cmvc_encoder.coding.shapes import Shape
from cmvc_encoder.coding.showing import Shown
from cmvc_encoder.ingest.window import Window


@dataclass(frozen=True)
class Coded:
    """One coding: how it was made, its OBUs, and the bytes that they take in a segment, about for a trial.

    Attributes:
        packed: what a segment carries; None for a trial.
    """

    shape: Shape
    quantiser: Quantiser
    preset: int
    obus: bytes
    size: int
    packed: bytes | None

    @property
    def octaves(self) -> float:
        """Log2 of the size in bytes."""
        return math.log2(self.size)


@dataclass
class Codings:
    """Codes ``window`` at an effort; what was coded is kept."""

    window: Window
    effort: Effort
    control: Control
    _done: dict[tuple[Shape, Quantiser, int, bool], Coded] = field(default_factory=dict)
    _small: tuple[Shape, list[Picture]] | None = None

    def trial(self, shape: Shape, crf: float) -> Coded:
        """Return the window coded so at the effort's preset for trials."""
        return self._coded(shape, Quantiser(crf), trial=True)

    def encode(self, shape: Shape, quantiser: Quantiser) -> Coded:
        """Return the window coded so at the effort's preset for what is written."""
        return self._coded(shape, quantiser, trial=False)

    def _coded(self, shape: Shape, quantiser: Quantiser, *, trial: bool) -> Coded:
        rate = self.window.frame_rate / shape.step
        table = self.effort.trial_presets if trial else self.effort.presets
        speed = preset(table, shape.pixels * float(rate))
        key = shape, quantiser, speed, trial
        if key not in self._done:
            self.control.check()
            obus = av1.encode(
                self._shrunk(shape),
                frame_rate=rate,
                crf=quantiser.crf,
                preset=speed,
                bit_price=quantiser.bit_price,
            )
            packed = None if trial else payload(obus)
            size = payload_size(obus) if packed is None else len(packed)
            self._done[key] = Coded(shape, quantiser, speed, obus, size, packed)
        return self._done[key]

    def score(self, coded: Coded) -> float:
        """Return the quality in dB of what a decoder shows against the window, from every so many frames."""
        return score(self.window, coded, self.effort.measure_every, Shown(coded.shape.step))

    def _shrunk(self, shape: Shape) -> list[Picture]:
        """Return the pictures that are coded; one set of them is kept, so that memory stays bounded."""
        if self._small is None or self._small[0] != shape:
            self._small = None
            shrinker = Shrinker(shape.width, shape.height)
            self._small = shape, [shrinker.shrink(picture) for picture in self.window.pictures[:: shape.step]]
        return self._small[1]


def score(window: Window, coded: Coded, every: int, shown: Shown, least: int = LEAST_MEASURED) -> float:
    """Return the quality in dB of what a decoder shows against ``window``, from every so many frames.

    Args:
        window: the source.
        coded: what is decoded.
        every: how many frames, at most.
        shown: how.
        least: how many are measured, however short the window.
    """
    every = cadence(len(window.pictures), every, least)
    return MEASURES[DEFAULT_MEASURE](list(shown.pairs(window.pictures, coded.obus, every)))
