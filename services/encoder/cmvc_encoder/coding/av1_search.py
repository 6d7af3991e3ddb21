"""Finds the scale, frame rate and quantiser at which a window as AV1 looks best within a byte budget.

What was measured on dev clips at 12 and 40 kbit/s, and what this follows: at equal bytes quality rises with the
coded size as long as SVT-AV1's coarsest quantisers (CRF 58 to 63) reach the budget, whatever the frame rate; the best
frame rate differs from clip to clip (a swan on rippling water: every frame, +2 dB; a juggler: every second or third,
+0.7 dB). So the scale follows from the bytes at a fixed high CRF, the frame rate is tried out, and quarter steps of
CRF bring the bytes under the budget.
"""

import math
from dataclasses import dataclass, field

from cmvc.control import Control
from cmvc.media import av1
from cmvc.media.fill_frames import fill_frames
from cmvc.media.picture import Picture, resize
from cmvc_encoder.coding.measure import luma_error, psnr_of_errors
from cmvc_encoder.ingest.window import Window

WANTED_CRF = 60.0  # at which the scale is chosen; leaves room both ways
LEAST_CRF_SCALED = 55.0  # a finer quantiser at less than full size says that the scale is too small
BEST_CRF = 10.0  # finer cannot be told from the source
BYTES_PER_SCALE = 1.4  # octaves of bytes per octave of scale, at one CRF
BYTES_PER_CRF = 1 / 6.5  # octaves of bytes per step of CRF, as a first guess
BYTES_PER_STEP = 0.4  # octaves of bytes per octave of frame step, as a first guess
BITS_PER_PIXEL = 0.012  # at full size, every frame and WANTED_CRF, as a first guess
STEPS = (1, 2, 3, 4, 6, 8, 12)  # source frames per coded frame
SMOOTH_RATE = 6.0  # coded frames per second at least where there is a choice; below, cross-fades look like slides
LEAST_RATE = 2.0  # coded frames per second at least, unless the source has fewer
SMOOTHNESS_DB = 0.1  # what an octave of frame rate is worth beyond its PSNR
LEAST_SIDE = 48  # coded pixels; smaller pictures save next to nothing
HIT = 0.97  # of the budget is near enough
ENCODES = 5  # at one scale, at most
RESCALES = 6  # when even the coarsest quantiser is over the budget
NEAR = 0.35  # octaves from the budget at which a trial tells enough
DB_PER_OCTAVE = 2.0  # of bytes, to compare trials whose sizes differ a little
ROOMY = 1.0  # octaves: with so much room at full size and every frame, nothing else is tried
RETRY_WINDOWS = 3  # within a shot, other frame rates are tried this often
MEASURE_EVERY = 5  # frames; prime to most steps, so that filled-in frames are measured too
PRESETS = ((1.0e6, 4), (1.8e6, 5), (4.0e6, 6), (6.0e6, 7), (12.0e6, 8), (math.inf, 10))  # coded pixels/s up to which
TRIAL_PRESET, FASTEST_PRESET = 8, 10  # trials only compare with each other
PRESET_GAIN = -0.15  # octaves of bytes between a trial and the final preset, as a first guess


@dataclass(frozen=True)
class Shape:
    """Coded size in pixels and source frames per coded frame."""

    width: int
    height: int
    step: int


@dataclass(frozen=True)
class Coded:
    """One encode: its shape, its CRF, its OBUs, and whether it was done fast, for a trial."""

    shape: Shape
    crf: float
    obus: bytes
    trial: bool = False

    @property
    def octaves(self) -> float:
        """Log2 of the size in bytes."""
        return math.log2(len(self.obus))


@dataclass
class Memory:
    """What earlier windows of the stream taught.

    Attributes:
        step: source frames per coded frame of the last window; 0 before the first.
        demand: by step, log2 of the bytes per second that full size takes at WANTED_CRF and the final preset.
        gain: octaves of bytes from a trial to the final preset.
        windows: how many there were in this shot.
    """

    step: int = 0
    demand: dict[int, float] = field(default_factory=dict)
    gain: float = PRESET_GAIN
    windows: int = 0


def shown_psnr(window: Window, coded: Coded) -> float:
    """Return the luma PSNR in dB of what a decoder shows against the window, from every fifth frame."""
    count = len(window.pictures)
    shown = fill_frames(av1.decode(coded.obus), coded.shape.step, count)
    errors = [
        luma_error(window.pictures[n], resize(picture, window.pictures[n].width, window.pictures[n].height))
        for n, picture in enumerate(shown)
        if n % MEASURE_EVERY == 0 or count < MEASURE_EVERY
    ]
    return psnr_of_errors(errors)


def _preset(pixels_per_second: float, trial: bool) -> int:
    preset = next(preset for most, preset in PRESETS if pixels_per_second <= most)
    return min(max(preset + 2, TRIAL_PRESET), FASTEST_PRESET) if trial else preset


class Search:
    """The search for one window's best coding in at most ``budget`` bytes of OBUs."""

    def __init__(self, window: Window, budget: int, memory: Memory, control: Control) -> None:
        """Take what is to be coded, and what is known from before, to which this search adds."""
        self._window = window
        self._target = math.log2(max(budget, 1))
        self._memory = memory
        self._control = control
        self._width, self._height = window.pictures[0].width, window.pictures[0].height
        self._small: dict[Shape, list[Picture]] = {}
        self._done: dict[tuple[Shape, float, bool], Coded] = {}
        if window.opens_shot:
            memory.windows = 0

    def best(self) -> Coded:
        """Return the best coding found; over the budget only where nothing smaller is possible."""
        step = self._choose_step()
        coded = self._fit(step)
        for coarser in (s for s in self._steps(LEAST_RATE) if s > step):
            if coded.octaves <= self._target:
                break
            coded = self._fit(coarser)
        self._memory.step = coded.shape.step
        self._memory.windows += 1
        return coded

    def shape(self, scale: float, step: int) -> Shape:
        """Return the coded size nearest to ``scale`` of the working size: even, and no smaller than is sensible."""
        scale = min(max(scale, LEAST_SIDE / min(self._width, self._height)), 1.0)
        width, height = (max(round(side * scale / 2) * 2, av1.LEAST_SIDE) for side in (self._width, self._height))
        return Shape(width, height, step)

    def encode(self, shape: Shape, crf: float, trial: bool = False) -> Coded:
        """Return the window encoded so, from memory where that was done before."""
        key = (shape, crf, trial)
        if key not in self._done:
            self._control.check()
            rate = self._window.frame_rate / shape.step
            preset = _preset(shape.width * shape.height * float(rate), trial)
            obus = av1.encode(self._resized(shape), frame_rate=rate, crf=crf, preset=preset)
            self._done[key] = Coded(shape, crf, obus, trial)
        return self._done[key]

    def _resized(self, shape: Shape) -> list[Picture]:
        if shape not in self._small:
            self._small.clear()  # one set at a time, so that memory stays bounded
            pictures = self._window.pictures[:: shape.step]
            self._small[shape] = [resize(picture, shape.width, shape.height) for picture in pictures]
        return self._small[shape]

    def _steps(self, least_rate: float) -> list[int]:
        """Return the frame steps that leave ``least_rate`` coded frames per second; every frame is always one."""
        coarsest = float(self._window.frame_rate) / least_rate
        return [step for step in STEPS if step == 1 or (step <= coarsest and step < len(self._window.pictures))]

    def _choose_step(self) -> int:
        """Climb from the last window's frame step to the best one, where it is time to."""
        steps = self._steps(SMOOTH_RATE)
        start = steps.index(self._memory.step) if self._memory.step in steps else 0
        if self._memory.step in steps and self._memory.windows % RETRY_WINDOWS:
            return steps[start]
        if start == 0 and self._is_roomy():
            return steps[0]
        quality = {start: self._quality(steps[start])}
        for direction in (1, -1):
            at = start
            while 0 <= at + direction < len(steps):
                quality[at + direction] = self._quality(steps[at + direction])
                if quality[at + direction] <= quality[at]:
                    break
                at += direction
            if at != start:
                break
        return steps[max(quality, key=lambda index: quality[index])]

    def _is_roomy(self) -> bool:
        """Return whether full size and every frame leave so much of the budget that nothing else is worth trying."""
        coded = self._near(1)
        return coded.shape == self.shape(1.0, 1) and self._final_octaves(coded) < self._target - ROOMY

    def _quality(self, step: int) -> float:
        """Return about the PSNR in dB that this frame step reaches within the budget."""
        coded = self._near(step)
        missing = (self._target - self._final_octaves(coded)) * DB_PER_OCTAVE
        return shown_psnr(self._window, coded) + missing - SMOOTHNESS_DB * math.log2(step)

    def _final_octaves(self, coded: Coded) -> float:
        """Return log2 of the bytes that this would take at the final preset."""
        return coded.octaves + (self._memory.gain if coded.trial else 0.0)

    def _near(self, step: int) -> Coded:
        """Return a trial at WANTED_CRF whose scale brings it near the budget, as far as scales go."""
        coded = self.encode(self.shape(self._scale(step), step), WANTED_CRF, trial=True)
        self._learn(coded)
        again = self.shape(self._scale(step), step)
        if abs(self._final_octaves(coded) - self._target) > NEAR and again != coded.shape:
            coded = self.encode(again, WANTED_CRF, trial=True)
            self._learn(coded)
        return coded

    def _scale(self, step: int) -> float:
        """Return the scale at which WANTED_CRF should meet the budget."""
        demand = self._memory.demand.get(step)
        if demand is None:
            known = self._memory.demand.get(1)
            if known is None:
                bits = BITS_PER_PIXEL * self._width * self._height * float(self._window.frame_rate)
                known = math.log2(bits / 8)
            demand = known - BYTES_PER_STEP * math.log2(step)
        octaves = demand + math.log2(self._window.seconds)
        return float(2 ** min((self._target - octaves) / BYTES_PER_SCALE, 0.0))

    def _learn(self, coded: Coded) -> None:
        scale = math.sqrt(coded.shape.width * coded.shape.height / (self._width * self._height))
        at_wanted_crf = self._final_octaves(coded) + (coded.crf - WANTED_CRF) * BYTES_PER_CRF
        full = at_wanted_crf - BYTES_PER_SCALE * math.log2(scale)
        self._memory.demand[coded.shape.step] = full - math.log2(self._window.seconds)

    def _learn_gain(self, shape: Shape) -> None:
        trial, final = (self._done.get((shape, WANTED_CRF, kind)) for kind in (True, False))
        if trial and final:
            self._memory.gain = final.octaves - trial.octaves

    def _fit(self, step: int) -> Coded:
        """Return the largest coding within the budget at this frame step, or the smallest there is."""
        shape = self.shape(self._scale(step), step)
        coded = self._tune(shape)
        self._learn_gain(shape)
        for _ in range(RESCALES):
            self._learn(coded)
            over = coded.octaves > self._target
            if not over and (coded.crf >= LEAST_CRF_SCALED or shape == self.shape(1.0, step)):
                break
            other = self.shape(self._rescale(coded), step)
            if other == shape or (not over and other.width < shape.width):
                break
            shape = other
            retuned = self._tune(shape)
            if not over and retuned.octaves > self._target:
                break
            coded = retuned
        return self._nudge(coded)

    def _nudge(self, coded: Coded) -> Coded:
        """Try a slightly smaller picture as well, where quarter steps of CRF are too coarse to come near."""
        over = self._done.get((coded.shape, coded.crf - av1.CRF_STEP, False))
        if over is None or coded.octaves > self._target + math.log2(HIT):
            return coded
        factor = 2 ** ((self._target - over.octaves + math.log2(HIT) / 2) / BYTES_PER_SCALE)
        width = min(coded.shape.width * factor, coded.shape.width - 2)
        nudged = self._tune(self.shape(width / self._width, coded.shape.step), over.crf)
        return nudged if coded.octaves < nudged.octaves <= self._target else coded

    def _rescale(self, coded: Coded) -> float:
        """Return a scale for which the budget should be met at a high CRF, given one for which it was not."""
        scale = coded.shape.width / self._width
        at_wanted_crf = coded.octaves + (coded.crf - WANTED_CRF) * BYTES_PER_CRF
        return float(scale * 2 ** ((self._target - at_wanted_crf) / BYTES_PER_SCALE))

    def _tune(self, shape: Shape, crf: float = WANTED_CRF) -> Coded:
        """Return the largest coding of this shape within the budget, else the one at the highest CRF."""
        over, under = BEST_CRF - av1.CRF_STEP, av1.HIGHEST_CRF + av1.CRF_STEP
        slope = BYTES_PER_CRF
        fitting: Coded | None = None
        tried: Coded | None = None
        for _ in range(ENCODES):
            coded = self.encode(shape, crf)
            if tried and coded.crf != tried.crf:
                slope = max((tried.octaves - coded.octaves) / (coded.crf - tried.crf), BYTES_PER_CRF / 3)
            tried = coded
            if coded.octaves > self._target:
                over = max(over, crf)
            else:
                under = min(under, crf)
                fitting = coded if fitting is None or coded.octaves > fitting.octaves else fitting
                if coded.octaves >= self._target + math.log2(HIT):
                    break
            aim = crf + (coded.octaves - self._target - math.log2(HIT) / 2) / slope
            crf = min(max(round(aim / av1.CRF_STEP) * av1.CRF_STEP, over + av1.CRF_STEP), under - av1.CRF_STEP)
            if under - over <= av1.CRF_STEP:
                break
        return fitting or self.encode(shape, av1.HIGHEST_CRF)
