"""Codes the keyframes of one segment: at which scale and quantiser, as stills or as a sequence."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property

from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.shrink import Shrinker
from cmvc_encoder.coding.expectations import crf_saving, octaves_saved
from cmvc_encoder.coding.measure import luma_error_resized
from cmvc_encoder.coding.payload import payload
from cmvc_encoder.coding.quantisers import COARSEST, Quantiser, landed
from cmvc_encoder.coding.roots import Aim

SCALES = (1.0, 0.75, 0.5625, 0.4219, 0.3164, 0.2373, 0.178)
PROBES = Quantiser(60.0), Quantiser(52.0)  # at which the curve of a scale is measured
LEAST_SIDE = 48  # coded pixels
DB_PER_OCTAVE = 3.0  # of bytes; to compare a sequence with stills of slightly other quality
HIT = 0.985  # of the budget is near enough
ENCODES = 7  # of the final search, at most
SEARCH_PRESET = 8
FINAL_PRESETS = ((0.4e6, 4), (1.2e6, 6), (math.inf, 8))  # up to so many coded pixels per second of video


@dataclass(frozen=True, eq=False)
class Keyframes:
    """Keyframes as coded; ``coded_size`` is their width and height."""

    scale: float
    coded_size: tuple[int, int]
    quantiser: Quantiser
    preset: int
    obus: bytes
    sources: Sequence[Picture]

    @cached_property
    def size(self) -> int:
        """Bytes that they take in a segment."""
        return len(payload(self.obus))

    @property
    def octaves(self) -> float:
        """Log2 of that."""
        return math.log2(self.size)

    @cached_property
    def error(self) -> float:
        """Mean squared luma error against the sources, at their size."""
        pairs = zip(self.sources, av1.decode(self.obus), strict=True)
        return sum(luma_error_resized(source, picture) for source, picture in pairs) / len(self.sources)

    def pictures(self) -> list[Picture]:
        """Return what every decoder gets from them. They are not kept: a search makes many."""
        return list(av1.decode(self.obus))


class KeyframeCoder:
    """Codes one list of pictures over and over, with a memory of what was coded."""

    def __init__(self, pictures: Sequence[Picture], rate: Fraction, control: Control) -> None:
        """Take the pictures at the working size and their rate in pictures per second."""
        self._pictures = pictures
        self._rate = rate
        self._control = control
        self._width, self._height = pictures[0].width, pictures[0].height
        room = DEFAULT_LIMITS.keyframe_pixels - 2 * (self._width + self._height)  # sides are rounded to even numbers
        self.full_scale = min(1.0, math.sqrt(room / (self._width * self._height)))  # the largest that decoders take
        self._done: dict[tuple[float, Quantiser, int], Keyframes] = {}
        self._small: dict[float, list[Picture]] = {}
        self._stills = len(pictures) == 1
        if len(pictures) > 1:
            self._stills = self._stills_win()

    def scales(self) -> list[float]:
        """Return the scales worth trying, largest first."""
        least = LEAST_SIDE / min(self._width, self._height)
        scales = [scale * self.full_scale for scale in SCALES]
        return [scale for scale in scales if scale >= least or scale == self.full_scale]

    def encode(self, scale: float, quantiser: Quantiser, preset: int = SEARCH_PRESET) -> Keyframes:
        """Return the pictures coded so."""
        key = scale, quantiser, preset
        if key not in self._done:
            self._control.check()
            self._done[key] = self._encode(scale, quantiser, preset, self._stills)
        return self._done[key]

    def probe(self, scale: float) -> Keyframes:
        """Return a coding at this scale, of about the quantiser that is aimed for."""
        return self.encode(scale, PROBES[0])

    def error_at(self, size: float) -> tuple[float, float]:
        """Return about the least error that ``size`` bytes allow, and the scale that gives it."""
        candidates = [(self._error_at(scale, size), scale) for scale in self._near_scales(size)]
        return min(candidates)

    def fit(self, scale: float, size: int) -> Keyframes:
        """Return the finest coding of at most ``size`` bytes at about this scale; over that only where nothing fits."""
        scales = self.scales()
        for smaller in scales[scales.index(scale) :]:
            coded = self._fit(smaller, size)
            if coded.size <= size:
                break
        return coded

    def _near_scales(self, size: float) -> list[float]:
        """Return the scales whose coarse probe lies about ``size``: those that could be the best."""
        chosen = []
        for scale in self.scales():
            coarse = self.encode(scale, PROBES[0]).size
            if coarse <= 1.1 * size or scale == self.scales()[-1]:
                chosen.append(scale)
            if len(chosen) == 3:
                break
        return chosen

    def _error_at(self, scale: float, size: float) -> float:
        coarse, fine = (self.encode(scale, crf) for crf in PROBES)
        span = math.log2(fine.size / coarse.size) or 1.0
        share = math.log2(size / coarse.size) / span
        share = max(share, -0.5)
        slope = math.log2(fine.error / coarse.error) if coarse.error and fine.error else 0.0
        return float(coarse.error * 2 ** (slope * share)) if share < 1.5 else fine.error * 2 ** (0.5 * slope)

    def _fit(self, scale: float, size: int) -> Keyframes:
        """Return the largest coding at a scale of at most ``size`` bytes, or the smallest there is."""
        preset = self._final_preset(scale)
        aim = Aim(math.log2(max(size, 1)), HIT)
        start = crf_saving(octaves_saved(PROBES[0].crf) + self.probe(scale).octaves - aim.most)
        found = landed(lambda each: self.encode(scale, each, preset).octaves, start, aim, ENCODES)
        return self.encode(scale, found or COARSEST, preset)

    def _final_preset(self, scale: float) -> int:
        pixels_per_second = self._width * self._height * scale * scale * float(self._rate)
        return next(preset for most, preset in FINAL_PRESETS if pixels_per_second <= most)

    def _encode(self, scale: float, quantiser: Quantiser, preset: int, stills: bool) -> Keyframes:
        pictures = self._resized(scale)
        asked = {"frame_rate": self._rate, "preset": preset, **asdict(quantiser)}
        if stills:
            obus = b"".join(av1.encode([picture], **asked, still=True) for picture in pictures)
        else:
            obus = av1.encode(pictures, **asked, even_quality=True)
        return Keyframes(scale, self._coded_size(scale), quantiser, preset, obus, self._pictures)

    def _coded_size(self, scale: float) -> tuple[int, int]:
        width, height = (max(round(side * scale / 2) * 2, av1.LEAST_SIDE) for side in (self._width, self._height))
        return width, height

    def _resized(self, scale: float) -> list[Picture]:
        if scale not in self._small:
            shrinker = Shrinker(*self._coded_size(scale))
            self._small[scale] = [shrinker.shrink(picture) for picture in self._pictures]
        return self._small[scale]

    def _stills_win(self) -> bool:
        scale = min(self.scales(), key=lambda s: abs(s - 0.5))
        one, all_ = (self._encode(scale, Quantiser(58.0), SEARCH_PRESET, stills) for stills in (True, False))
        decibels = 10 * math.log10(max(one.error, 1e-3) / max(all_.error, 1e-3))
        return math.log2(one.size / all_.size) + decibels / DB_PER_OCTAVE < 0
