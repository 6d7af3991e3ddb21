"""What a window would look like at rates about its fair share, from two or three trials at a fast preset."""

import math
from dataclasses import dataclass

from cmvc.control import Control
from cmvc_encoder.coding.codings import Coded, Codings
from cmvc_encoder.coding.effort import Effort
from cmvc_encoder.coding.expectations import Memory, Seen
from cmvc_encoder.coding.search import WANTED_CRF, first_guess
from cmvc_encoder.coding.shapes import ladder
from cmvc_encoder.coding.trials import Trials
from cmvc_encoder.ingest.window import Window

SPREAD = 1.0  # octaves of bytes between two trials
NEAR = 0.4  # octaves from the fair share at which a trial tells enough
FLATTEST, STEEPEST = 0.5, 6.0  # dB per octave
USUAL = 2.0  # dB per octave, where trials do not differ enough to tell


@dataclass(frozen=True)
class Curve:
    """Quality over bytes, which about one octave up and down is a line over their logarithm.

    Attributes:
        octaves: log2 of bytes per second of video.
        decibels: of the measure (``coding.measure``) there.
        slope: dB per octave.
    """

    octaves: float
    decibels: float
    slope: float

    def at(self, octaves: float) -> float:
        """Return the dB at other bytes."""
        return self.decibels + self.slope * (octaves - self.octaves)


@dataclass(frozen=True)
class Probe:
    """What trials of a window told: its curve, and one of them for the search to start from."""

    curve: Curve
    seen: Seen


def probe(window: Window, byte_budget: int, effort: Effort, control: Control) -> Probe:
    """Return what trials of a window about a budget tell.

    The scale goes with the rate, so that the curve is that of the best scale at each rate, about.
    """
    trials = _Trying(Codings(window, effort, control), window)
    fair = math.log2(max(byte_budget, 1) / window.seconds)
    first = trials.at(fair)
    if abs(first[0] - fair) > NEAR:
        first = trials.at(fair)
    seen = trials.seen[-1]
    second = trials.at(fair - SPREAD)
    octaves = first[0] - second[0]
    slope = (first[1] - second[1]) / octaves if octaves > NEAR else USUAL
    return Probe(Curve(*first, min(max(slope, FLATTEST), STEEPEST)), seen)


class _Trying:
    """Trials whose scale and quantiser suit the rate that is aimed at."""

    def __init__(self, codings: Codings, window: Window) -> None:
        self._codings = codings
        self._window = window
        self.seen = [first_guess(window)]

    def at(self, octaves: float) -> tuple[float, float]:
        """Return octaves of bytes per second about those aimed at, and the dB there."""
        seconds = self._window.seconds
        trials = Trials(self._codings, octaves + math.log2(seconds), Memory(), self.seen)
        shape = min(ladder(self._window, 1), key=lambda shape: abs(trials.over(shape, WANTED_CRF)))
        coded: Coded = self._codings.trial(shape, trials.aim(shape))
        trials.see(shape, coded.quantiser.crf, coded.octaves)
        return coded.octaves - math.log2(seconds), self._codings.score(coded)
