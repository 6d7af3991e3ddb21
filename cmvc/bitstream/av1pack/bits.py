"""Bits of an OBU, in and out, most significant first."""

from cmvc.bitstream.av1pack.errors import NotPackableError


class BitReader:
    """Reads bits of one OBU."""

    def __init__(self, data: bytes, position: int, end: int) -> None:
        """Read ``data`` from byte ``position`` up to byte ``end``."""
        self._data = data
        self._end = 8 * end
        self.position = 8 * position

    def read(self, width: int) -> int:
        """Return the next ``width`` bits.

        Raises:
            NotPackableError: there are fewer.
        """
        start = self.position
        stop = self.position = start + width
        if stop > self._end:
            raise NotPackableError("an OBU ends within its header")
        window = int.from_bytes(self._data[start >> 3 : (stop + 7) >> 3], "big")
        return (window >> (-stop & 7)) & ((1 << width) - 1)


class BitWriter:
    """Collects bits."""

    def __init__(self) -> None:
        self._value = 0
        self.position = 0

    def write(self, width: int, value: int) -> None:
        """Append ``width`` bits."""
        self._value = self._value << width | value
        self.position += width

    def since(self, position: int) -> tuple[int, int]:
        """Return how many bits there are from ``position`` on, and their value."""
        width = self.position - position
        return width, self._value & ((1 << width) - 1)

    def finish(self) -> bytes:
        """Return all bits, and zeros up to the byte."""
        padding = -self.position & 7
        return (self._value << padding).to_bytes((self.position + padding) >> 3, "big")
