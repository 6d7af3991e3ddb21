"""What the next segment goes on from: frames that a model has made past the end of this one."""

from cmvc.media import av1
from cmvc.media.rgb import from_rgb
from cmvc.media.scaling import resize
from cmvc.records import Tail
from cmvc_decoder.diffusion.segment import Native
from cmvc_decoder.generator import Conditions

CRF = 10.0  # the next segment fades over them into its own, so that what this loses is hardly ever seen
PRESET = 10


def make_tail(native: Native, conditions: Conditions) -> Tail:
    """Return the frames past the end at the model's size, as AV1: samples that are the same wherever they are decoded.

    Raises:
        EncoderStalledError: see ``av1.encode``.
    """
    made = native.plan
    width, height = (max(side, av1.LEAST_SIDE) for side in (made.width, made.height))
    pictures = [resize(from_rgb(native.frames[n], conditions.color_matrix), width, height) for n in made.tail]
    rate = conditions.frame_rate / made.stride
    return Tail(av1.encode(pictures, frame_rate=rate, crf=CRF, preset=PRESET, even_quality=True))
