"""Numbers as adaptive bits. Every function takes a value, which a decoder ignores, and returns it.

``contexts`` are one or three tuples of small integers: what is known and may tell something of the value. Each has its
own statistics in each ``group``, and a group always has as many.
"""

from cmvc.bitstream.av1pack.odds import Odds
from cmvc.bitstream.av1pack.primed import Key
from cmvc.errors import CorruptStreamError
from cmvc.range_coder import OddsCoder

Context = tuple[int, ...]
Contexts = tuple[Context] | tuple[Context, Context, Context]
_MOST_DIGITS = 32
_MODELLED_DIGITS = 3  # behind the first; the rest are of even odds
_EVEN = 16  # bits at once


class Symbols:
    """Codes numbers of one payload, in either direction."""

    def __init__(self, coder: OddsCoder, odds: Odds) -> None:
        self.coder = coder
        self._odds = odds

    def flag(self, group: str, contexts: Contexts, value: int) -> int:
        """Code 0 or 1."""
        return self._bit(group, contexts, 0, value)

    def tree(self, group: str, contexts: Contexts, value: int, width: int) -> int:
        """Code a number of ``width`` bits."""
        node = 1
        for shift in range(width - 1, -1, -1):
            node = 2 * node + self._bit(group, contexts, node, value >> shift & 1)
        return node - (1 << width)

    def count(self, group: str, contexts: Contexts, value: int) -> int:
        """Code a number from 0 on: how many binary digits one more than it has, then the digits behind the first.

        Raises:
            CorruptStreamError: it has more than 32.
        """
        digits = (value + 1).bit_length()
        found = 1
        while self._bit(group, contexts, -found, int(digits > found)):
            found += 1
            if found > _MOST_DIGITS:
                raise CorruptStreamError("a number in packed AV1 has too many digits")
        node = 1
        rest = max(found - 1 - _MODELLED_DIGITS, 0)
        for shift in range(found - 2, rest - 1, -1):
            node = 2 * node + self._bit(group, contexts, found << 4 | node, (value + 1) >> shift & 1)
        return (node << rest | self.even((value + 1) & ((1 << rest) - 1), rest)) - 1

    def signed(self, group: str, contexts: Contexts, value: int) -> int:
        """Code any number: whether it is 0, whether it is negative, and how far from 0 it is."""
        if not self._bit(group, contexts, 1, int(value != 0)):
            return 0
        negative = self._bit(group, contexts, 2, int(value < 0))
        magnitude = self.count(f"{group}{'+-'[negative]}", contexts, abs(value) - 1) + 1
        return -magnitude if negative else magnitude

    def even(self, value: int, width: int) -> int:
        """Code ``width`` bits of even odds."""
        found = 0
        for start in range(width, 0, -_EVEN):
            chunk = min(start, _EVEN)
            found = found << chunk | self.coder.even(chunk, value >> (start - chunk) & ((1 << chunk) - 1))
        return found

    def _bit(self, group: str, contexts: Contexts, node: int, value: int) -> int:
        if len(contexts) == 1:
            return self._odds.one(self.coder, (group, node, *contexts[0]), value)
        a, b, c = contexts
        keys: tuple[Key, Key, Key] = (group, node, 0, *a), (group, node, 1, *b), (group, node, 2, *c)
        return self._odds.three(self.coder, group, keys, value)
