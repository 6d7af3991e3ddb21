"""IT2V: pictures between the anchors, warped along the motion track."""

from collections.abc import Iterator

from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize
from cmvc.motion.warp import warp_segment
from cmvc_decoder.generator import Conditions


def interpolate(conditions: Conditions, control: Control) -> Iterator[Picture]:
    """Yield each anchor as it was decoded, scaled to the wanted size, and warped pictures between them."""
    placed = [(anchor.position, anchor.picture) for anchor in conditions.anchors]
    for picture in warp_segment(placed, conditions.motion, conditions.frames):
        control.check()
        yield resize(picture, conditions.width, conditions.height)
