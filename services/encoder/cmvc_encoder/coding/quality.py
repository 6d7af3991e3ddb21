"""Finds the cheapest coding of a window that looks as good as was asked for, by the measure that compares modes."""

from bisect import bisect_left

from cmvc.control import Control
from cmvc_encoder.coding.codings import Coded, Codings
from cmvc_encoder.coding.effort import Effort
from cmvc_encoder.coding.quantisers import QUARTERS, SAVED, quarter_of
from cmvc_encoder.coding.roots import Aim, largest_within
from cmvc_encoder.coding.search import WANTED_CRF
from cmvc_encoder.coding.shapes import Shape, ladder
from cmvc_encoder.ingest.window import Window

LEAST_DB, MOST_DB = 15.0, 45.0  # by the measure: hardly to be recognised, and not to be told from the source
DB_PER_OCTAVE = 2.5  # of bytes
HIT_DB = 0.3  # above what was asked for is near enough
COARSEST_FIRST = QUARTERS[::-1]
ADDED = [SAVED[-1] - saved for saved in SAVED[::-1]]  # octaves of bytes over the coarsest quantiser


def quality_db(quality: int) -> float:
    """Return the dB of the measure that a quality, 1..100, stands for."""
    return LEAST_DB + (MOST_DB - LEAST_DB) * (quality - 1) / 99


def cheapest(window: Window, decibels: float, effort: Effort, control: Control) -> Coded:
    """Return the coarsest coding found that measures at least so many dB; the finest there is where none does.

    The shape is the smallest one that reaches them with a quantiser that suits low rates, or else full size.
    """
    codings = Codings(window, effort, control)
    shape = _smallest(codings, decibels)
    missing = decibels - codings.score(codings.trial(shape, WANTED_CRF))
    start = ADDED[len(ADDED) - 1 - quarter_of(WANTED_CRF)] + missing / DB_PER_OCTAVE
    # The error falls as quantisers get finer, as sizes fall when they get coarser: the same search finds both.
    aim = Aim(-decibels / DB_PER_OCTAVE, 2 ** -(HIT_DB / DB_PER_OCTAVE))
    found = largest_within(
        lambda step: -codings.score(codings.encode(shape, COARSEST_FIRST[step])) / DB_PER_OCTAVE,
        ADDED,
        bisect_left(ADDED, start),
        aim,
        effort.encodes,
    )
    return codings.encode(shape, COARSEST_FIRST[-1 if found is None else found])


def _smallest(codings: Codings, decibels: float) -> Shape:
    """Return the smallest shape that reaches so many dB at the wanted CRF, by trials; full size where none does."""
    upwards = ladder(codings.window, 1)[::-1]
    found = bisect_left(
        upwards,
        decibels,
        hi=len(upwards) - 1,
        key=lambda shape: codings.score(codings.trial(shape, WANTED_CRF)),
    )
    return upwards[found]
