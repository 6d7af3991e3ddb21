"""How large a frame is (AV1 specification, sections 5.9.5 to 5.9.9)."""

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.kinds import bits
from cmvc.bitstream.av1pack.state import REFERENCES, Elements, Frame, Sequence, Slots

_SUPERRES_NUMERATOR = 8
_SUPERRES_LEAST = 9


def frame_size(c: Elements, s: Sequence, f: Frame) -> None:
    """Go through frame_size and superres_params."""
    width, height = s.width, s.height
    if f.size_override:
        width = c.code("frame_width_minus_1", bits(s.width_bits)) + 1
        height = c.code("frame_height_minus_1", bits(s.height_bits)) + 1
    f.upscaled_width, f.height = width, height
    _superres(c, s, f)


def render_size(c: Elements, f: Frame) -> None:
    """Go through render_size."""
    f.render_width, f.render_height = f.upscaled_width, f.height
    if c.flag("render_and_frame_size_different"):
        f.render_width = c.code("render_width_minus_1", bits(16)) + 1
        f.render_height = c.code("render_height_minus_1", bits(16)) + 1


def frame_size_with_references(c: Elements, s: Sequence, slots: Slots, f: Frame) -> None:
    """Go through frame_size_with_refs.

    Raises:
        NotPackableError: the size is that of a frame which is not there.
    """
    for k in range(REFERENCES):
        if c.flag("found_ref", k):
            other = slots.frames[f.reference_slots[k]]
            if other is None or not other.upscaled_width:  # of one that was lost, the order hint alone may be known
                raise NotPackableError("a frame has the size of one that is not there")
            f.upscaled_width, f.height = other.upscaled_width, other.height
            f.render_width, f.render_height = other.render_width, other.render_height
            _superres(c, s, f)
            return
    frame_size(c, s, f)
    render_size(c, f)


def _superres(c: Elements, s: Sequence, f: Frame) -> None:
    f.width = f.upscaled_width
    if s.superres and c.flag("use_superres"):
        denominator = c.code("coded_denom", bits(3)) + _SUPERRES_LEAST
        f.width = (f.upscaled_width * _SUPERRES_NUMERATOR + denominator // 2) // denominator
