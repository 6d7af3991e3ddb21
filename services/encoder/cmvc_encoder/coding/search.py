"""Finds the scale, frame rate and quantiser at which a window as AV1 looks best within a byte budget.

Scales are rungs of a ladder that starts at full size. Each is tried at a fast preset with the quantiser that meets the
budget, and measured at the working size; the search climbs to the rung that measures best. From there frames are left
out while that measures better. Then the final preset's quantiser is found, to less than a percent of the bytes.
"""

import math
from collections.abc import Iterator

from cmvc.control import Control
from cmvc_encoder.coding.codings import Coded, Codings
from cmvc_encoder.coding.effort import Effort
from cmvc_encoder.coding.expectations import Memory, Seen
from cmvc_encoder.coding.quantisers import COARSEST, Quantiser, landed
from cmvc_encoder.coding.roots import Aim
from cmvc_encoder.coding.shapes import Shape, ladder, shape_of, steps
from cmvc_encoder.coding.trials import Trials
from cmvc_encoder.ingest.window import Window

WANTED_CRF = 63.0  # where the climb starts; the best scales have 60 to 68
BITS_PER_PIXEL = 0.007  # at full size, every frame and WANTED_CRF, as a first guess
LEAST_RATE = 2.0  # coded frames per second at least, unless the source has fewer
SMOOTH_RATE = 6.0  # coded frames per second at least where there is a choice; below, what is between is guesswork
GROWTH = 0.5  # octaves of pixels by which coded pictures grow for each octave of the frame step
ROOMY = 1.0  # octaves: with so much room at full size and every frame, nothing else is tried


def first_guess(window: Window) -> Seen:
    """Return what is expected of a window before anything of it was coded."""
    full = shape_of(window, 1.0, 1)
    octaves = math.log2(BITS_PER_PIXEL * full.pixels * float(window.frame_rate) / 8)
    return Seen(full, WANTED_CRF, octaves)


class Search:
    """The search for one window's best coding in at most ``budget`` bytes of a segment's AV1 data."""

    def __init__(self, window: Window, budget: int, memory: Memory, effort: Effort, control: Control) -> None:
        """Take what is to be coded, and what is known from before, to which this search adds."""
        self._window = window
        self._target = math.log2(max(budget, 1))
        self._memory = memory
        self._effort = effort
        self._codings = Codings(window, effort, control)
        self._full = shape_of(window, 1.0, 1)
        self._trials = Trials(self._codings, self._target, memory, [memory.seen or first_guess(window)])

    def best(self) -> Coded:
        """Return the best coding found; over the budget only where nothing smaller is possible."""
        shape = self._choose()
        coded = self._fit(shape)
        for rival in self._trials.best_of_steps(self._effort.finals):
            coded = self._better(coded, self._fit(rival))
        for smaller in self._smaller(shape):
            if coded.octaves <= self._target:
                break
            coded = min(coded, self._fit(smaller), key=lambda each: each.size)
        self._memory.seen = self._trials.nearest(coded.shape)
        return coded

    def _choose(self) -> Shape:
        """Return the shape that measures best."""
        best = self._climb()
        if best == self._full and self._is_roomy():
            return best
        for step in steps(self._window, SMOOTH_RATE)[1:]:
            coarser = self._at_step(step, best)
            if self._trials.quality(coarser) >= self._trials.quality(best):
                best = coarser
            elif not self._effort.finals:
                break
        return best

    def _at_step(self, step: int, finer: Shape) -> Shape:
        """Return the rung of a frame step that should look best, from the best one of a finer step."""
        rungs = ladder(self._window, step)
        if self._trials.quality(finer) == -math.inf:
            return rungs[-1]
        wanted = finer.pixels * (step / finer.step) ** GROWTH
        return min(rungs, key=lambda rung: abs(math.log2(rung.pixels / wanted)))

    def _climb(self) -> Shape:
        """Return the rung at every frame that measures best, from where the budget is expected."""
        rungs = ladder(self._window, 1)
        last = self._memory.seen
        if last and last.shape.step == 1 and not self._window.opens_shot:
            at = min(range(len(rungs)), key=lambda rung: last.distance(rungs[rung]))
            return rungs[self._climbed(rungs, at, 1)]
        at = self._start(rungs)
        if rungs[at] == self._full and self._is_roomy():
            return self._full
        if self._effort.tries_full_size:  # calm clips look best there, far from where the climb starts
            at = max((at, 0), key=lambda rung: self._trials.quality(rungs[rung]))
        for stride in self._effort.strides:
            at = self._climbed(rungs, at, stride)
        return rungs[at]

    def _start(self, rungs: list[Shape]) -> int:
        """Return the rung at which the wanted CRF should meet the budget, by a trial of the window."""

        def nearest() -> int:
            return min(range(len(rungs)), key=lambda rung: abs(self._trials.over(rungs[rung], WANTED_CRF)))

        if not self._memory.seen:
            self._trials.code(rungs[nearest()], WANTED_CRF)
        return nearest()

    def _is_roomy(self) -> bool:
        """Return whether full size and every frame leave so much of the budget that nothing else is worth trying."""
        return self._trials.code(self._full, WANTED_CRF) > ROOMY

    def _climbed(self, rungs: list[Shape], at: int, stride: int) -> int:
        """Return where steps of ``stride`` from ``at``, one way or the other, lead while quality rises."""
        start = at
        for move in (-stride, stride):
            while 0 <= at + move < len(rungs) and self._is_better(rungs[at + move], rungs[at]):
                at += move
            if at != start:
                break
        return at

    def _is_better(self, shape: Shape, other: Shape) -> bool:
        return self._trials.quality(shape) > self._trials.quality(other)

    def _fit(self, shape: Shape) -> Coded:
        """Return the largest coding of this shape found within the budget, or the smallest there is."""
        self._trials.quality(shape)
        crf = self._trials.aim(shape)
        expected = self._trials.over(shape, crf) + self._target
        aim = Aim(self._target, self._effort.hit)
        found = landed(lambda each: self._codings.encode(shape, each).octaves, crf, aim, self._effort.encodes)
        self._memory.learn_gain(self._codings.encode(shape, Quantiser(crf)).octaves - expected)
        coded = self._codings.encode(shape, found or COARSEST)
        self._trials.see(shape, coded.quantiser.crf, coded.octaves)
        return coded

    def _better(self, one: Coded, other: Coded) -> Coded:
        """Return the one that measures better of those within the budget."""
        fitting = [coded for coded in (one, other) if coded.octaves <= self._target]
        return max(fitting, key=self._codings.score) if len(fitting) > 1 else fitting[0] if fitting else one

    def _smaller(self, shape: Shape) -> Iterator[Shape]:
        """Yield what is left where a shape is over the budget: smaller rungs, then the smallest at fewer frames."""
        rungs = ladder(self._window, shape.step)
        yield from (rung for rung in rungs if rung.pixels < shape.pixels)
        for step in steps(self._window, LEAST_RATE):
            if step > shape.step:
                yield ladder(self._window, step)[-1]
