"""The kinds of syntax elements: how each value becomes bits (AV1 specification, sections 4.10 and 5.9.28).

Every kind has ``low`` and ``high``, the bounds of its values. No value has two spellings, so that a value says all.
"""

from functools import cache
from typing import Protocol

from cmvc.bitstream.av1pack.bits import BitReader, BitWriter

_SUBEXP_BITS = 3
_UVLC_MOST = 32


class Kind(Protocol):
    """How a value becomes bits."""

    low: int
    high: int

    def read(self, reader: BitReader) -> int:
        """Return the next value."""

    def write(self, writer: BitWriter, value: int) -> None:
        """Append a value."""


class Bits:
    """f(n): an unsigned number of n bits."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.low, self.high = 0, (1 << width) - 1

    def read(self, reader: BitReader) -> int:
        """Return the next value."""
        return reader.read(self.width)

    def write(self, writer: BitWriter, value: int) -> None:
        """Append a value."""
        writer.write(self.width, value)


class Signed:
    """su(n): a signed number of n bits, its sign among them."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.low, self.high = -(1 << (width - 1)), (1 << (width - 1)) - 1

    def read(self, reader: BitReader) -> int:
        """Return the next value."""
        value = reader.read(self.width)
        return value - (value >> (self.width - 1) << self.width)

    def write(self, writer: BitWriter, value: int) -> None:
        """Append a value."""
        writer.write(self.width, value & ((1 << self.width) - 1))


class Below:
    """ns(n): a number below n, in one bit more for the last of them."""

    def __init__(self, bound: int) -> None:
        self.low, self.high = 0, bound - 1
        self._width = bound.bit_length() - 1
        self._short = (1 << (self._width + 1)) - bound

    def read(self, reader: BitReader) -> int:
        """Return the next value."""
        value = reader.read(self._width)
        return value if value < self._short else (value << 1 | reader.read(1)) - self._short

    def write(self, writer: BitWriter, value: int) -> None:
        """Append a value."""
        if value < self._short:
            writer.write(self._width, value)
        else:
            writer.write(self._width + 1, value + self._short)


class Counted:
    """A number from ``low`` on, one bit 1 for each step up, a 0 to stop where ``high`` is not reached."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def read(self, reader: BitReader) -> int:
        """Return the next value."""
        value = self.low
        while value < self.high and reader.read(1):
            value += 1
        return value

    def write(self, writer: BitWriter, value: int) -> None:
        """Append a value."""
        for _ in range(self.low, value):
            writer.write(1, 1)
        if value < self.high:
            writer.write(1, 0)


class Uvlc:
    """uvlc(): an unsigned number below 2^32, its length in leading zeros."""

    low, high = 0, (1 << _UVLC_MOST) - 1

    def read(self, reader: BitReader) -> int:
        """Return the next value."""
        zeros = 0
        while not reader.read(1):
            zeros += 1
            if zeros == _UVLC_MOST:
                reader.read(1)  # its leading zeros end with a 1, and nothing follows
                return self.high
        return (1 << zeros) - 1 + reader.read(zeros)

    def write(self, writer: BitWriter, value: int) -> None:
        """Append a value."""
        if value == self.high:
            writer.write(_UVLC_MOST + 1, 1)
        else:
            writer.write(2 * (value + 1).bit_length() - 1, value + 1)


class Subexp:
    """A signed number near a reference: subexponential, after how far it lies from it (section 5.9.26)."""

    def __init__(self, most: int, reference: int) -> None:
        """Take values from -``most`` to ``most``."""
        self.low, self.high = -most, most
        self._count = 2 * most + 1
        self._reference = min(max(reference, -most), most) + most
        self._mirrored = 2 * self._reference > self._count

    def read(self, reader: BitReader) -> int:
        """Return the next value."""
        distance = self._read_distance(reader)
        reference = self._count - 1 - self._reference if self._mirrored else self._reference
        value = _recentred(distance, reference)
        return (self._count - 1 - value if self._mirrored else value) + self.low

    def write(self, writer: BitWriter, value: int) -> None:
        """Append a value."""
        self._write_distance(writer, self.distance(value))

    def distance(self, value: int) -> int:
        """Return what is written for a value: its place among all values, from the reference outwards."""
        value -= self.low
        if self._mirrored:
            return _distance(self._count - 1 - value, self._count - 1 - self._reference)
        return _distance(value, self._reference)

    def _read_distance(self, reader: BitReader) -> int:
        start, step = 0, 0
        while True:
            width = _SUBEXP_BITS + max(step - 1, 0)
            if self._count <= start + 3 * (1 << width):
                return below(self._count - start).read(reader) + start
            if not reader.read(1):
                return reader.read(width) + start
            start += 1 << width
            step += 1

    def _write_distance(self, writer: BitWriter, distance: int) -> None:
        start, step = 0, 0
        while True:
            width = _SUBEXP_BITS + max(step - 1, 0)
            if self._count <= start + 3 * (1 << width):
                return below(self._count - start).write(writer, distance - start)
            more = distance >= start + (1 << width)
            writer.write(1, more)
            if not more:
                return writer.write(width, distance - start)
            start += 1 << width
            step += 1


def _recentred(distance: int, reference: int) -> int:
    if distance > 2 * reference:
        return distance
    return reference - (distance + 1) // 2 if distance & 1 else reference + distance // 2


def _distance(value: int, reference: int) -> int:
    if value > 2 * reference:
        return value
    return 2 * (value - reference) if value >= reference else 2 * (reference - value) - 1


bits = cache(Bits)
signed = cache(Signed)
below = cache(Below)
counted = cache(Counted)
FLAG = bits(1)
UVLC = Uvlc()
