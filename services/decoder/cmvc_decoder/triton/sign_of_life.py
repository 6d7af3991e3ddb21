"""What a canary has a model make: work that is real, and small."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from cmvc.media.picture import Picture
from cmvc.profiles.profile import ModelProfile
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.grid import usual_size
from cmvc_decoder.generator import Conditions
from cmvc_decoder.speed.compile import compiles
from cmvc_decoder.speed.device import on_this_machine
from cmvc_decoder.speed.options import SpeedOptions

_LEAST = Conditions(common_pb2.MODE_TT2V, 16, 16, 1, Fraction(1), 0, text="red", settings={"steps": "1", "pixels": "1"})
_GRAY = 128


def sign_of_life(facts: ModelProfile, speed: SpeedOptions) -> Conditions:
    """Return the least that a model can be asked for, a fraction of a second.

    Where it is compiled, it is one step of the window that was made at the start, so that the canary needs no kernels
    of its own and real work finds its own: torch makes sizes variable once it has seen a second one.
    """
    found = _LEAST
    if compiles(on_this_machine(speed)):
        (width, height), rate = usual_size(facts.grid), facts.grid.frame_rate
        found = replace(_LEAST, width=width, height=height, frames=facts.grid.shaping_frames, frame_rate=rate)
        found = replace(found, settings={"steps": "1"})
    return _to_restore(found) if facts.restores else found


def _to_restore(asked: Conditions) -> Conditions:
    """Return the same for a model that makes nothing from text: one gray picture that stands all the time."""
    gray = Picture(*(np.full((side, side), _GRAY, np.uint8) for side in (2, 1, 1)))
    return replace(asked, mode=common_pb2.MODE_VT2V, text="", guide=(gray,), frame_step=asked.frames)
