"""What is expected of global motion: that it goes on as steadily as it did."""

from cmvc.bitstream.av1pack.expectation import Expectation
from cmvc.bitstream.av1pack.history import History
from cmvc.bitstream.av1pack.state import distance
from cmvc.bitstream.av1pack.symbols import Symbols

_FINE = 6  # bits behind the point of what happens in one frame time


def _is_global(h: History, s: Symbols, value: int) -> int:
    (k,) = h.at
    before, last = h.like.of("is_global", k), h.before.of("is_global", k)
    others = sum(h.values.get(("is_global", (j,)), 0) for j in range(1, k))
    return s.flag("is_global", ((k, h.place, before), (k, before, last), (k, min(others, 2), last)), value)


def _gm_params(h: History, s: Symbols, value: int) -> int:
    """Expect as much in each frame time as in the motions of this shape so far."""
    k, part = h.at
    frame = h.stream.frame
    away = distance(frame.order_hint, h.stream.slots.hint(frame.reference_slots[k - 1]), h.hint_bits)
    alone = h.values.get(("is_translation", (k,)), 0)
    pace = h.notes.get(("pace", alone, part), 0)
    guess = max(h.kind.low, min(pace * away >> _FINE, h.kind.high))
    last = h.notes.get(("missed", alone, part), 0)
    far, size = min(abs(away), 8).bit_length(), abs(guess).bit_length()
    contexts = (alone, part, last), (alone, part, far, min(size, 5)), (alone, min(part, 2), last, size)
    step = s.signed("gm_params", contexts, value - guess)
    value = max(h.kind.low, min(guess + step, h.kind.high))
    h.notes["missed", alone, part] = abs(step).bit_length()
    if away:
        now = (value << _FINE) // away
        h.notes["pace", alone, part] = pace + (now - pace) * abs(away) // (abs(away) + 1) if pace else now
    return value


ELEMENTS: dict[str, Expectation] = {"is_global": _is_global, "gm_params": _gm_params}
