"""Trials of shapes at a fast preset: what each would look like at the byte budget."""

import math
from dataclasses import dataclass, field

from cmvc.media import av1
from cmvc_encoder.coding.codings import Coded, Codings
from cmvc_encoder.coding.expectations import Memory, Seen, octaves_saved
from cmvc_encoder.coding.shapes import Shape

NEAR = 0.1  # octaves of bytes between two trials from which they tell a slope
UNREACHED = 0.3  # octaves over the budget at the highest CRF at which a shape is out of the question
DB_PER_OCTAVE = 2.0  # of bytes, to compare trials whose sizes differ a little


@dataclass
class Trials:
    """Trials of one window.

    Attributes:
        codings: makes them.
        target: log2 of the budget in bytes.
        memory: what is known from before, to which trials add.
        seen: what was coded, the first guess first.
    """

    codings: Codings
    target: float
    memory: Memory
    seen: list[Seen]
    _qualities: dict[Shape, float] = field(default_factory=dict)

    @property
    def target_per_second(self) -> float:
        """Log2 of the budget in bytes per second."""
        return self.target - math.log2(self.codings.window.seconds)

    def quality(self, shape: Shape) -> float:
        """Return about the quality in dB that a shape reaches within the budget; minus infinity where it cannot."""
        if shape not in self._qualities:
            self._qualities[shape] = self._tried(shape)
        return self._qualities[shape]

    def best_of_steps(self, count: int) -> list[Shape]:
        """Return the shape of each frame step that should look best, of the ``count`` finest steps tried."""
        able = [shape for shape, quality in self._qualities.items() if quality > -math.inf]
        finest = sorted({shape.step for shape in able})[:count]
        return [max((s for s in able if s.step == step), key=lambda s: self._qualities[s]) for step in finest]

    def code(self, shape: Shape, crf: float) -> float:
        """Return the octaves from what a shape would take at a CRF and the final preset up to the budget."""
        return self._missing(self._code(shape, crf))

    def see(self, shape: Shape, crf: float, octaves: float) -> None:
        """Take in what a coding at the final preset takes, in octaves of bytes."""
        self.seen.append(Seen(shape, crf, octaves - math.log2(self.codings.window.seconds)))

    def nearest(self, shape: Shape) -> Seen:
        """Return the coding seen whose shape is most like this one, the last of several."""
        return min(reversed(self.seen), key=lambda seen: seen.distance(shape))

    def aim(self, shape: Shape) -> float:
        """Return the CRF, in quarters, at which a shape is expected to meet the budget."""
        crf = self.nearest(shape).crf_for(shape, self.target_per_second)
        return round(crf / av1.CRF_STEP) * av1.CRF_STEP

    def over(self, shape: Shape, crf: float) -> float:
        """Return by how many octaves a shape is expected to be over the budget."""
        return self.nearest(shape).expected(shape, crf) - self.target_per_second

    def _tried(self, shape: Shape) -> float:
        first = self._code(shape, self.aim(shape))
        missing = self._missing(first)
        if abs(missing) <= self.codings.effort.near:
            return self.codings.score(first) + DB_PER_OCTAVE * missing
        if first.quantiser.crf == av1.HIGHEST_CRF and missing < -UNREACHED:
            return -math.inf
        nearer = self.aim(shape)
        if abs(octaves_saved(nearer) - octaves_saved(first.quantiser.crf)) < NEAR:
            return self.codings.score(first) + DB_PER_OCTAVE * missing
        second = self._code(shape, nearer)
        octaves = second.octaves - first.octaves
        quality, slope = self.codings.score(second), DB_PER_OCTAVE
        if abs(octaves) > NEAR:
            slope = (quality - self.codings.score(first)) / octaves
        return quality + slope * self._missing(second)

    def _code(self, shape: Shape, crf: float) -> Coded:
        coded = self.codings.trial(shape, crf)
        self.see(shape, crf, coded.octaves + self.memory.gain)
        return coded

    def _missing(self, trial: Coded) -> float:
        return self.target - trial.octaves - self.memory.gain
