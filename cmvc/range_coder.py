"""An adaptive binary range coder in exact integer arithmetic (docs/motion-track.md, "Range coder").

``BitEncoder`` and ``BitDecoder`` have the same methods: both take a value and return the value that a decoder sees, so
that one function can describe a format for both directions. The decoder ignores what it is given.
"""

from collections.abc import Sequence
from typing import Protocol

from cmvc.errors import CorruptStreamError

_TOP = 1 << 24
_MASK = (1 << 32) - 1
_ONE = 1 << 16
_SLOWEST = 30
_RATES = [_ONE // (n + 2) for n in range(_SLOWEST + 1)]
_LEAST, _MOST = 64, _ONE - 64  # bounds of a probability in 1/65536
_LOOKAHEAD = 4  # bytes that a decoder holds beyond what it has used


class Contexts:
    """Adaptive probabilities of zero bits.

    Attributes:
        zero: probability of a zero bit in each context, in 1/65536.
        seen: number of bits coded in each, up to 30; the more, the slower the probability moves.
    """

    def __init__(self, initial: Sequence[int]) -> None:
        """Start from ``initial`` probabilities of zero, in 1/65536."""
        self.zero = list(initial)
        self.seen = [0] * len(self.zero)

    def update(self, index: int, bit: int) -> None:
        """Learn that ``bit`` came in context ``index``."""
        seen = self.seen[index]
        zero = self.zero[index]
        zero += ((-zero if bit else _ONE - zero) * _RATES[seen]) >> 16
        self.zero[index] = _LEAST if zero < _LEAST else _MOST if zero > _MOST else zero
        if seen < _SLOWEST:
            self.seen[index] = seen + 1


class OddsCoder(Protocol):
    """Codes bits of known odds, in either direction."""

    def odds(self, zero: int, bit: int) -> int:
        """Code one bit that is 0 with probability ``zero``, in 1/65536, 1..65535."""

    def even(self, bits: int, value: int) -> int:
        """Code ``bits`` (0..16) equally likely bits, most significant first."""


class BitCoder(OddsCoder, Protocol):
    """What the two directions have in common."""

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        """Code one bit in an adaptive context."""


class BitEncoder:
    """Writes bits."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._low = 0
        self._range = _MASK

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        """Write one bit in an adaptive context and return it."""
        self.odds(contexts.zero[index], bit)
        contexts.update(index, bit)
        return bit

    def odds(self, zero: int, bit: int) -> int:
        """Write one bit that is 0 with probability ``zero``, in 1/65536, and return it."""
        bound = (self._range >> 16) * zero
        if bit:
            self._low += bound
            self._range -= bound
        else:
            self._range = bound
        if self._range < _TOP or self._low > _MASK:
            self._normalise()
        return bit

    def even(self, bits: int, value: int) -> int:
        """Write ``bits`` equally likely bits of ``value`` and return it."""
        for shift in range(bits - 1, -1, -1):
            self._range >>= 1
            if (value >> shift) & 1:
                self._low += self._range
            self._normalise()
        return value

    def close(self) -> bytes:
        """Return everything written, in as few bytes as identify it whatever follows them."""
        count, value = _closing(self._low, self._range)
        self._low = value
        self._carry()
        self._out += self._low.to_bytes(4, "big")[:count]
        return bytes(self._out)

    def finish(self) -> bytes:
        """Return everything written, in as few bytes as identify it when zeros follow them."""
        for count in range(5):
            rest = (1 << (32 - 8 * count)) - 1
            value = (self._low + rest) & ~rest
            if value < self._low + self._range:
                break
        self._low = value
        self._carry()
        self._out += self._low.to_bytes(4, "big")[:count]
        return bytes(self._out)

    def _normalise(self) -> None:
        self._carry()
        while self._range < _TOP:
            self._out.append(self._low >> 24)
            self._low = (self._low << 8) & _MASK
            self._range <<= 8

    def _carry(self) -> None:
        if self._low > _MASK:
            last = len(self._out) - 1
            while self._out[last] == 255:
                self._out[last] = 0
                last -= 1
            self._out[last] += 1
            self._low &= _MASK


class BitDecoder:
    """Reads what a ``BitEncoder`` wrote."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = len(data)
        self._position = _LOOKAHEAD
        self._range = _MASK
        self._code = int.from_bytes(data[:_LOOKAHEAD].ljust(_LOOKAHEAD, b"\0"), "big")

    def bit(self, contexts: Contexts, index: int, bit: int = 0) -> int:  # noqa: ARG002 - see the module
        """Read one bit in an adaptive context.

        Raises:
            CorruptStreamError: the data ended before.
        """
        value = self.odds(contexts.zero[index])
        contexts.update(index, value)
        return value

    def odds(self, zero: int, bit: int = 0) -> int:  # noqa: ARG002 - see the module
        """Read one bit that is 0 with probability ``zero``, in 1/65536.

        Raises:
            CorruptStreamError: the data ended before.
        """
        bound = (self._range >> 16) * zero
        if self._code < bound:
            self._range = bound
            value = 0
        else:
            self._code -= bound
            self._range -= bound
            value = 1
        if self._range < _TOP:
            self._normalise()
        return value

    def even(self, bits: int, value: int = 0) -> int:  # noqa: ARG002 - see the module
        """Read ``bits`` equally likely bits.

        Raises:
            CorruptStreamError: the data ended before.
        """
        result = 0
        for _ in range(bits):
            self._range >>= 1
            one = self._code >= self._range
            if one:
                self._code -= self._range
            result = 2 * result + one
            self._normalise()
        return result

    def closed(self) -> int:
        """Return the size in bytes of what ``BitEncoder.close`` gave for the bits read so far.

        Raises:
            CorruptStreamError: the data are not as long.
        """
        last = self._data[self._position - _LOOKAHEAD : self._position].ljust(_LOOKAHEAD, b"\0")
        low = (int.from_bytes(last, "big") - self._code) & _MASK
        size = self._position - _LOOKAHEAD + _closing(low, self._range)[0]
        if size > self._size:
            raise CorruptStreamError("coded bits end too early")
        return size

    def finish(self) -> None:
        """Check that nothing is left over.

        Raises:
            CorruptStreamError: there are bytes that nothing was read from.
        """
        if self._position < self._size:
            raise CorruptStreamError(f"coded bits are {self._size} bytes long, but {self._position} hold them")

    def _normalise(self) -> None:
        while self._range < _TOP:
            if self._position >= self._size + _LOOKAHEAD:
                raise CorruptStreamError("coded bits end too early")
            byte = self._data[self._position] if self._position < self._size else 0
            self._code = ((self._code << 8) | byte) & _MASK
            self._range <<= 8
            self._position += 1


def _closing(low: int, span: int) -> tuple[int, int]:
    """Return how many bytes identify a state whatever follows, and their value as the first of four bytes."""
    for count in range(5):
        rest = (1 << (32 - 8 * count)) - 1
        value = (low + rest) & ~rest
        if value + rest < low + span:
            return count, value
    raise AssertionError("a range is at least one wide")
