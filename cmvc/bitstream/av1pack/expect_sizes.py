"""What is expected of sizes: of pictures, and of tile data."""

from cmvc.bitstream.av1pack.expect_plain import spelt
from cmvc.bitstream.av1pack.expectation import Expectation
from cmvc.bitstream.av1pack.history import History
from cmvc.bitstream.av1pack.symbols import Symbols


def data_size(h: History, s: Symbols, value: int) -> int:
    """Code the size of a frame's tile data in bytes: expect that of frames at the same place, and what q says."""
    frame = h.stream.frame
    q = frame.base_q_idx
    last = h.before.frame.data_size.bit_length()
    if h.like.known:
        like = h.like.frame
        step = max(-4, min((q - like.base_q_idx + 1) // 3, 4))
        mean = h.notes.get(("mean", h.place), 0)
        contexts = (h.place, _scale(like.data_size)), (_scale(mean >> 4), step), (h.place, q >> 2, last)
        value = s.count("data_size", contexts, value)
        h.notes["mean", h.place] = mean + (value << 4) >> 1
        return value
    value = s.count("first_data_size", ((h.place, q >> 3), (h.place, last, q >> 5), (h.place, h.reduced)), value)
    h.notes["mean", h.place] = value << 4
    return value


def _scale(size: int) -> int:
    """Return four times the logarithm of a size."""
    digits = (size + 1).bit_length()
    return 4 * digits + ((size + 1) << 2 >> (digits - 1) & 3)


def _picture_side(h: History, s: Symbols, value: int) -> int:
    """Expect that no bit is needless, and that the side is even."""
    width = h.kind.high.bit_length()
    if width < 3:
        return spelt(s, "picture_side", width, value)
    first = s.flag("picture_side.first", ((),), value >> (width - 1))
    middle = s.even(value >> 1 & ((1 << (width - 2)) - 1), width - 2)
    return first << (width - 1) | middle << 1 | s.flag("picture_side.last", ((),), value & 1)


ELEMENTS: dict[str, Expectation] = {"max_frame_width_minus_1": _picture_side, "max_frame_height_minus_1": _picture_side}
