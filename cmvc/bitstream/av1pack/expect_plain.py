"""What is expected of the elements that need no thought: what they were in the last frame at the same place."""

from cmvc.bitstream.av1pack.history import History
from cmvc.bitstream.av1pack.kinds import Bits
from cmvc.bitstream.av1pack.symbols import Symbols

_NARROW = 1 << 6  # values, of which each has odds of its own
_SPELT = 16  # bits, of which each has odds of its own


def plain(h: History, s: Symbols, value: int) -> int:
    """Code an element of any kind."""
    name, kind, at = h.name, h.kind, h.at
    before = h.like.of(name, *at)
    if before < 0:
        before = -2 - h.before.of(name, *at)
    still = h.values.get(("still_picture", ()), h.reduced)
    if kind.high == 1:
        return s.flag(name, ((*at, h.place, before, still),), value)
    if kind.high - kind.low < _NARROW:
        width = (kind.high - kind.low).bit_length()
        return s.tree(name, ((*at, before, still),), value - kind.low, width) + kind.low
    if before >= 0 and s.flag(f"{name}=", (at,), int(value == before)):
        return before
    if isinstance(kind, Bits) and kind.width <= _SPELT:
        return spelt(s, name, kind.width, value)
    return s.even(value - kind.low, (kind.high - kind.low).bit_length()) + kind.low


def spelt(s: Symbols, name: str, width: int, value: int) -> int:
    """Code a number bit by bit, each with odds of its own."""
    found = 0
    for shift in range(width - 1, -1, -1):
        found = found << 1 | s.flag(name, ((width, shift),), value >> shift & 1)
    return found
