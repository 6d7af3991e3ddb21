"""Finds the scale, frame rate and quantiser at which a window as AV1 looks best within a byte budget.

Scales are rungs of a ladder that starts at full size. Each is tried at a fast preset with the quantiser that meets the
budget, and measured at the working size; the search climbs to the rung that measures best. There the final preset's
quantiser is found, in quarter steps of CRF. Frames are left out only where the best rung is tiny or over the budget,
and leaving them out measures better.
"""

import math
from collections.abc import Callable, Iterator

from cmvc.control import Control
from cmvc.media import av1
from cmvc_encoder.coding.codings import Coded, Codings, score
from cmvc_encoder.coding.effort import Effort
from cmvc_encoder.coding.expectations import BYTES_PER_SCALE, Memory, Seen, octaves_saved
from cmvc_encoder.coding.measure import DEFAULT_MEASURE, MEASURES
from cmvc_encoder.coding.roots import Aim, largest_within
from cmvc_encoder.coding.shapes import Shape, ladder, shape_of, steps
from cmvc_encoder.ingest.window import Window

WANTED_CRF = 63.0  # where the climb starts; the best scales have 60 to 68
BEST_CRF = 10.0  # finer cannot be told from the source
BITS_PER_PIXEL = 0.012  # at full size, every frame and WANTED_CRF, as a first guess
LEAST_RATE = 2.0  # coded frames per second at least, unless the source has fewer
SMOOTH_RATE = 6.0  # coded frames per second at least where there is a choice; below, cross-fades look like slides
STARVED_SCALE = 0.3  # of the size; only where the best scale is smaller are frames left out by choice
HIT = 0.97  # of the budget is near enough
NEAR = 0.1  # octaves from the budget at which one trial tells enough
UNREACHED = 0.3  # octaves over the budget at the highest CRF at which a shape is out of the question
DB_PER_OCTAVE = 2.0  # of bytes, to compare trials whose sizes differ a little
ROOMY = 1.0  # octaves: with so much room at full size and every frame, nothing else is tried
QUARTERS = [BEST_CRF + k * av1.CRF_STEP for k in range(round((av1.HIGHEST_CRF - BEST_CRF) / av1.CRF_STEP) + 1)]
SAVED = [octaves_saved(crf) for crf in QUARTERS]


class Search:
    """The search for one window's best coding in at most ``budget`` bytes of OBUs."""

    def __init__(self, window: Window, budget: int, memory: Memory, effort: Effort, control: Control) -> None:
        """Take what is to be coded, and what is known from before, to which this search adds."""
        self._window = window
        self._target = math.log2(max(budget, 1))
        self._memory = memory
        self._effort = effort
        self._codings = Codings(window, effort, control)
        self._full = shape_of(window, 1.0, 1)
        self._qualities: dict[Shape, float] = {}
        self._seen = memory.seen or Seen(self._full, WANTED_CRF, self._first_guess())

    def best(self) -> Coded:
        """Return the best coding found; over the budget only where nothing smaller is possible."""
        shape = self._choose()
        coded = self._fit(shape)
        for smaller in self._smaller(shape):
            if coded.octaves <= self._target:
                break
            coded = min(coded, self._fit(smaller), key=lambda each: each.size)
        self._memory.seen = self._seen
        return coded

    def _first_guess(self) -> float:
        return math.log2(BITS_PER_PIXEL * self._full.pixels * float(self._window.frame_rate) / 8)

    def _choose(self) -> Shape:
        """Return the shape that measures best."""
        best = self._climb(1)
        if self._quality(best) > -math.inf and best.pixels >= STARVED_SCALE**2 * self._full.pixels:
            return best
        for step in steps(self._window, SMOOTH_RATE)[1:]:
            coarser = self._climb(step)
            if self._quality(coarser) < self._quality(best):
                break
            best = coarser
        return best

    def _climb(self, step: int) -> Shape:
        """Return the rung of a frame step's ladder that measures best, from where the budget is expected."""
        rungs = ladder(self._window, step)
        at = self._start(rungs)
        if rungs[at] == self._full and self._is_roomy():
            return self._full
        at = max((at, 0), key=lambda rung: self._quality(rungs[rung]))  # calm clips look best at full size, far from it
        for stride in self._effort.strides:
            at = _climbed(lambda rung: self._quality(rungs[rung]), at, stride, len(rungs))
        return rungs[at]

    def _start(self, rungs: list[Shape]) -> int:
        """Return the rung at which the wanted CRF should meet the budget, after a trial near it."""

        def nearest() -> int:
            return min(range(len(rungs)), key=lambda rung: abs(self._over(rungs[rung])))

        self._trial(rungs[nearest()], WANTED_CRF)
        return nearest()

    def _is_roomy(self) -> bool:
        """Return whether full size and every frame leave so much of the budget that nothing else is worth trying."""
        return -self._missing(self._trial(self._full, WANTED_CRF)) < -ROOMY

    def _quality(self, shape: Shape) -> float:
        """Return about the quality in dB that a shape reaches within the budget; minus infinity where it cannot."""
        if shape not in self._qualities:
            self._qualities[shape] = self._tried(shape)
        return self._qualities[shape]

    def _tried(self, shape: Shape) -> float:
        first = self._trial(shape, self._aim(shape))
        if abs(self._missing(first)) <= NEAR:
            return self._score(first) + DB_PER_OCTAVE * self._missing(first)
        second = self._trial(shape, self._aim(shape))
        if second.crf == av1.HIGHEST_CRF and self._missing(second) < -UNREACHED:
            return -math.inf
        octaves = second.octaves - first.octaves
        slope = (self._score(second) - self._score(first)) / octaves if abs(octaves) > NEAR else DB_PER_OCTAVE
        return self._score(second) + slope * self._missing(second)

    def _score(self, coded: Coded) -> float:
        return score(self._window, coded, MEASURES[DEFAULT_MEASURE], self._effort.measure_every)

    def _over(self, shape: Shape) -> float:
        """Return by how many octaves a shape is expected to be over the budget at the wanted CRF."""
        return self._seen.expected(shape, WANTED_CRF) + math.log2(self._window.seconds) - self._target

    def _aim(self, shape: Shape) -> float:
        """Return the CRF, in quarters, at which a shape is expected to meet the budget."""
        crf = self._seen.crf_for(shape, self._target - math.log2(self._window.seconds))
        return round(crf / av1.CRF_STEP) * av1.CRF_STEP

    def _missing(self, trial: Coded) -> float:
        """Return the octaves from what a trial would take at the final preset up to the budget."""
        return self._target - trial.octaves - self._memory.gain

    def _trial(self, shape: Shape, crf: float) -> Coded:
        coded = self._codings.encode(shape, crf, trial=True)
        self._see(coded, coded.octaves + self._memory.gain)
        return coded

    def _see(self, coded: Coded, octaves: float) -> None:
        self._seen = Seen(coded.shape, coded.crf, octaves - math.log2(self._window.seconds))

    def _fit(self, shape: Shape) -> Coded:
        """Return the largest coding of this shape found within the budget, or the smallest there is."""
        self._trial(shape, self._aim(shape))
        start = self._aim(shape)
        expected = self._seen.expected(shape, start) + math.log2(self._window.seconds)
        aim = Aim(self._target, HIT)
        found = largest_within(self._octaves_at(shape), SAVED, QUARTERS.index(start), aim, self._effort.encodes)
        self._memory.learn_gain(self._codings.encode(shape, start).octaves - expected)
        coded = self._codings.encode(shape, av1.HIGHEST_CRF if found is None else QUARTERS[found])
        self._see(coded, coded.octaves)
        return coded if found is None else self._nudged(coded)

    def _nudged(self, coded: Coded) -> Coded:
        """Return a slightly smaller picture a quarter of CRF finer, where that comes nearer to the budget."""
        finer = coded.crf - av1.CRF_STEP
        if coded.octaves >= self._target + math.log2(HIT) or finer < BEST_CRF:
            return coded
        over = self._codings.encode(coded.shape, finer).octaves - self._target
        factor = 2 ** -((max(over, 0.0) - math.log2(HIT) / 2) / BYTES_PER_SCALE)
        scale = min(coded.shape.width * factor, coded.shape.width - 2) / self._full.width
        nudged = self._codings.encode(shape_of(self._window, scale, coded.shape.step), finer)
        return nudged if coded.octaves < nudged.octaves <= self._target else coded

    def _octaves_at(self, shape: Shape) -> Callable[[int], float]:
        return lambda quarter: self._codings.encode(shape, QUARTERS[quarter]).octaves

    def _smaller(self, shape: Shape) -> Iterator[Shape]:
        """Yield what is left where a shape is over the budget: smaller rungs, then the smallest at fewer frames."""
        rungs = ladder(self._window, shape.step)
        yield from (rung for rung in rungs if rung.pixels < shape.pixels)
        for step in steps(self._window, LEAST_RATE):
            if step > shape.step:
                yield ladder(self._window, step)[-1]


def _climbed(quality: Callable[[int], float], at: int, stride: int, count: int) -> int:
    """Return where steps of ``stride`` from ``at``, one way or the other, lead while quality rises."""
    start = at
    for move in (-stride, stride):
        while 0 <= at + move < count and quality(at + move) > quality(at):
            at += move
        if at != start:
            break
    return at
