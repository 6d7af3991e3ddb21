"""From native frames back to the source's size and frame rate, in the right colours, anchors as they were decoded."""

from collections.abc import Iterator
from functools import lru_cache

from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.rgb import from_rgb
from cmvc.media.scaling import resize
from cmvc.motion.warp import GapWarper
from cmvc_decoder.diffusion.blend import AnchorBlender
from cmvc_decoder.diffusion.color import ColorRestorer, tones
from cmvc_decoder.diffusion.segment import Native
from cmvc_decoder.generator import Conditions

_PARTS = 1000  # into which the time between two native frames is divided


def restore(native: Native, conditions: Conditions, control: Control, *, blended: bool = False) -> Iterator[Picture]:
    """Yield the pictures of a segment, in order.

    At an anchor's position it is the anchor itself, scaled, unless anchors are to be ``blended`` in. Between two native
    frames it is both, warped onto each other.
    """
    exact = {} if blended else {anchor.position: anchor.picture for anchor in conditions.anchors}
    frames = _Frames(native, conditions, blended)
    for position in range(conditions.frames):
        control.check()
        picture = exact.get(position) or frames.at(position)
        yield resize(picture, conditions.width, conditions.height)


class _Frames:
    """The native frames as pictures, and what lies between them."""

    def __init__(self, native: Native, conditions: Conditions, blended: bool) -> None:
        self._native = native
        self._matrix = conditions.color_matrix
        made = {n: tones(self._picture(n)) for n in native.wanted}
        self._colors = ColorRestorer(native.wanted, made)
        plan = native.plan
        anchors = {
            n: resize(conditions.anchors[number].picture, plan.width, plan.height)
            for n, number in (plan.anchors.items() if blended else ())
        }
        self._blender = AnchorBlender(anchors, {n: self._colored(n) for n in anchors})
        self._restored = lru_cache(maxsize=2)(self._restore)
        self._gap = lru_cache(maxsize=1)(self._warper)

    def at(self, position: int) -> Picture:
        index, share = self._native.plan.around(position)
        return self._gap(index).at(round(share * _PARTS)) if share else self._restored(index)

    def _warper(self, index: int) -> GapWarper:
        return GapWarper(self._restored(index), self._restored(index + 1), None, 1, _PARTS)

    def _picture(self, index: int) -> Picture:
        return from_rgb(self._native.frames[index], self._matrix)

    def _colored(self, index: int) -> Picture:
        return self._colors.restore(index, self._picture(index))

    def _restore(self, index: int) -> Picture:
        return self._blender.blend(index, self._colored(index))
