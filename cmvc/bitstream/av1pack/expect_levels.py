"""What is expected of quantisers and filter strengths."""

from cmvc.bitstream.av1pack.expectation import Expectation
from cmvc.bitstream.av1pack.history import BASE, KEY, History
from cmvc.bitstream.av1pack.state import distance
from cmvc.bitstream.av1pack.symbols import Symbols

_LEAF = 3  # the place of frames between two that are next to each other


def _within(value: int, most: int) -> int:
    return max(-most, min(value, most))


def _base_q_idx(h: History, s: Symbols, value: int) -> int:
    """Expect the quantiser of the frame before at the same place, and what the nearest reference's does."""
    frame = h.stream.frame
    if frame.intra:
        return s.tree("key_quantiser", ((),), value, 8)
    guess = (h.like if h.like.known else h.before).frame.base_q_idx
    near = _nearest(h)
    known = int(h.like.known)
    drift = _within((near - h.notes.get(("near", h.place), near)) // 2, 5) if known else near - guess
    last = h.notes.get(("step", h.place), 9)
    contexts = (h.place, known, last), (h.place, drift, known), (guess, h.place * (1 - known), 0)
    step = s.signed("base_q_idx", contexts, value - guess)
    h.notes["step", h.place] = _within(step, 2)
    h.notes["near", h.place] = near
    return (guess + step) & 0xFF


def _nearest(h: History) -> int:
    """Return the quantiser of the reference nearest in time, of several the first."""
    frame = h.stream.frame
    best, near = 1 << 16, 0
    for slot in frame.reference_slots:
        other = h.stream.slots.frames[slot]
        if other:
            far = abs(distance(other.order_hint, frame.order_hint, h.hint_bits))
            if far < best:
                best, near = far, other.base_q_idx
    return near


def _loop_filter_level(h: History, s: Symbols, value: int) -> int:
    """Expect the level of the frame before at the same place, else one near those of the nearest references."""
    (k,) = h.at
    levels = h.stream.frame.loop_filter
    if k == 1:
        as_before = int(h.like.of("loop_filter_level", 1) == h.like.of("loop_filter_level", 0))
        if s.flag("equal_level", ((h.place, as_before),), int(value == levels[0])):
            return levels[0]
        return s.tree("second_level", ((levels[0],),), value, 6)
    before = h.like.of("loop_filter_level", k)
    if before >= 0 and _same_level(h, s, k, before, value):
        return before
    if h.place in (KEY, BASE, _LEAF):
        leading = (0, 0, levels[0], levels[2])[k]
        q = h.stream.frame.base_q_idx
        contexts = (k, q, h.place, int(leading > 0)), (k, leading, min(h.place, 3)), (k, before, h.place)
        return s.tree("level", contexts, value, 6)
    return _level_near_references(h, s, k, value)


def _same_level(h: History, s: Symbols, k: int, before: int, value: int) -> int:
    levels = h.stream.frame.loop_filter
    same_q = int(h.like.frame.base_q_idx == h.stream.frame.base_q_idx)
    leading = 2 if k == 3 else 0
    as_leading = int(k > 0 and levels[leading] == h.like.of("loop_filter_level", leading))
    last = h.notes.get(("same_level", k, h.place), 2)
    near = _within(min(_reference_levels(h, k)) - before, 3)
    contexts = (
        (k, h.place, last, same_q, as_leading),
        (k, before, levels[0] if k else min(h.place, 3), same_q),
        (k, near, as_leading, min(before, 1), min(h.place, 3)),
    )
    same = h.notes["same_level", k, h.place] = s.flag("same_level", contexts, int(value == before))
    return same


def _level_near_references(h: History, s: Symbols, k: int, value: int) -> int:
    one, other = _reference_levels(h, k)
    guess = min(one, other)
    step = h.notes.get(("level_step", k - 1 if k == 3 else 0), 0) if k else 9
    contexts = (
        (k, h.place, _within(other - one, 4), int(guess > 0)),
        (k, step, h.notes.get(("level_step", k), 0)),
        (k, _within(h.like.of("loop_filter_level", k) - guess, 6), step),
    )
    moved = s.signed("level_step", contexts, value - guess)
    h.notes["level_step", k] = _within(moved, 3)
    return (guess + moved) & 63


def _reference_levels(h: History, k: int) -> tuple[int, int]:
    """Return the levels of the first and the fifth reference: with most encoders the last and the next frame."""
    frame = h.stream.frame
    near = [h.stream.slots.frames[slot] for slot in frame.reference_slots[::4]]
    levels = [other.loop_filter[k] if other else 0 for other in near]
    return (levels[0], levels[1]) if levels else (0, 0)


def _cdef_damping(h: History, s: Symbols, value: int) -> int:
    context = (h.like.of("cdef_damping_minus_3"), min(h.place, 3), h.stream.frame.base_q_idx >> 4)
    return s.tree("cdef_damping", (context,), value, 2)


def _cdef_bits(h: History, s: Symbols, value: int) -> int:
    before, q = h.like.of("cdef_bits"), h.stream.frame.base_q_idx >> 4
    return s.tree("cdef_bits", ((before, h.place), (h.place, q), (before, q)), value, 2)


def _strength(h: History, s: Symbols, value: int) -> int:
    (k,) = h.at
    width = h.kind.high.bit_length()
    frame = h.stream.frame
    before = h.like.of(h.name, k)
    last = frame.cdef[-1] if frame.cdef else 16
    above = frame.cdef[-4] if len(frame.cdef) > 3 else 16
    same = int(last == h.notes.get(("strength", h.place, len(frame.cdef) - 1), last))
    h.notes["strength", h.place, len(frame.cdef)] = before
    contexts = (
        (k, before, h.place, same),
        (k, frame.cdef_bits, last, above),
        (h.place, frame.base_q_idx >> 4, k, last if width == 2 else 0),
    )
    return s.tree(h.name, contexts, value, width)


def _restoration(h: History, s: Symbols, value: int) -> int:
    before, q = h.like.of("lr_type", *h.at), h.stream.frame.base_q_idx >> 4
    return s.tree("lr_type", ((*h.at, h.place, before), (*h.at, h.place, q), (*h.at, before, h.reduced)), value, 2)


ELEMENTS: dict[str, Expectation] = {
    "base_q_idx": _base_q_idx,
    "loop_filter_level": _loop_filter_level,
    "cdef_damping_minus_3": _cdef_damping,
    "cdef_bits": _cdef_bits,
    "cdef_y_pri_strength": _strength,
    "cdef_y_sec_strength": _strength,
    "cdef_uv_pri_strength": _strength,
    "cdef_uv_sec_strength": _strength,
    "lr_type": _restoration,
}
