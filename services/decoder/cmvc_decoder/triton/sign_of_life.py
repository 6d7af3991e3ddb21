"""What a canary has a model make: work that is real, and small."""

from fractions import Fraction

from cmvc.profiles.profile import ModelProfile
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.grid import usual_size
from cmvc_decoder.generator import Conditions
from cmvc_decoder.speed.compile import compiles
from cmvc_decoder.speed.device import on_this_machine
from cmvc_decoder.speed.options import SpeedOptions

_LEAST = Conditions(common_pb2.MODE_TT2V, 16, 16, 1, Fraction(1), 0, text="red", settings={"steps": "1", "pixels": "1"})


def sign_of_life(facts: ModelProfile, speed: SpeedOptions) -> Conditions:
    """Return the least that a model can be asked for, a fraction of a second.

    Where it is compiled, it is one step of the window that was made at the start, so that the canary needs no kernels
    of its own and real work finds its own: torch makes sizes variable once it has seen a second one.
    """
    if not compiles(on_this_machine(speed)):
        return _LEAST
    width, height = usual_size(facts.grid)
    frames, rate = facts.grid.frames.most, facts.grid.frame_rate
    return Conditions(common_pb2.MODE_TT2V, width, height, frames, rate, 0, text="red", settings={"steps": "1"})
