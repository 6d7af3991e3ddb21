"""What is expected of the order of frames: what is shown, and which frame comes next."""

from cmvc.bitstream.av1pack.expectation import Expectation
from cmvc.bitstream.av1pack.history import History
from cmvc.bitstream.av1pack.state import distance
from cmvc.bitstream.av1pack.symbols import Symbols

_SHOWN, _DIVIDES, _STARTS = range(3)


def _show_existing_frame(h: History, s: Symbols, value: int) -> int:
    return s.flag("show_existing_frame", ((int(h.span == 1),),), value)


def _show_frame(h: History, s: Symbols, value: int) -> int:
    return s.flag("show_frame", ((int(h.stream.shown is None), min(h.span, 3), min(h.group, 3)),), value)


def _frame_to_show(h: History, s: Symbols, value: int) -> int:
    """Expect the frame that is due."""
    for slot, frame in enumerate(h.stream.slots.frames):
        due = frame and frame.showable_frame and not frame.shown
        if frame and due and distance(frame.order_hint, h.base, h.hint_bits) == 1:
            if s.flag("due_frame", ((),), int(value == slot)):
                return slot
            break
    return s.tree("frame_to_show_map_idx", ((),), value, 3)


def _order_hint(h: History, s: Symbols, value: int) -> int:
    """Expect the next frame where it is shown, else one that divides the span, else one as far as the last time."""
    mask = h.kind.high
    if h.stream.frame.show_frame:
        state, ahead = _SHOWN, 1
    elif h.span:
        state, ahead = _DIVIDES, h.span // 2
    else:
        state, ahead = _STARTS, h.group
    guess = (h.base + ahead) & mask
    if s.flag("next_order_hint", ((state, min(h.group, 33), int(h.stream.shown is None)),), int(value == guess)):
        value = guess
    else:
        value = (s.count("order_hint", ((state, min(h.group, 33)),), (value - h.base - 1) & mask) + h.base + 1) & mask
    h.find_place(value)
    return value


def _primary_ref_frame(h: History, s: Symbols, value: int) -> int:
    before, last = h.like.of("primary_ref_frame"), h.before.of("primary_ref_frame")
    return s.tree("primary_ref_frame", ((h.place, h.side, before, last),), value, 3)


ELEMENTS: dict[str, Expectation] = {
    "show_existing_frame": _show_existing_frame,
    "show_frame": _show_frame,
    "frame_to_show_map_idx": _frame_to_show,
    "order_hint": _order_hint,
    "primary_ref_frame": _primary_ref_frame,
}
