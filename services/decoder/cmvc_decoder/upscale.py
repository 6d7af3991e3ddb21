"""CODED, in every profile, and VT2V that is not restored: the decoded video, at the full frame rate and size."""

from collections.abc import Iterator

from cmvc.control import Control
from cmvc.media.fill_frames import fill_frames
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize
from cmvc_decoder.generator import Conditions


def filled(conditions: Conditions) -> Iterator[Picture]:
    """Yield the guide's pictures at the wanted frame rate and their coded size."""
    return fill_frames(
        conditions.guide,
        conditions.frame_step,
        conditions.frames,
        conditions.next_guide,
        by_motion=conditions.follows_motion,
    )


def upscale(conditions: Conditions, control: Control) -> Iterator[Picture]:
    """Yield the guide's pictures at the wanted frame rate and size; what is in between is made from two of them."""
    for picture in filled(conditions):
        control.check()
        yield resize(picture, conditions.width, conditions.height)
