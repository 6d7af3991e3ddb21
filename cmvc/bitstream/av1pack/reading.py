"""AV1 data taken apart into OBUs."""

from collections.abc import Iterator
from dataclasses import dataclass

from cmvc.bitstream.av1pack.bits import BitReader
from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.kinds import Kind
from cmvc.bitstream.av1pack.stream import Copy, End, Stream

_SIZE_BITS = 35
MOST_TRAILING = 15  # zero bytes behind an OBU's last bit; SVT-AV1 writes one where there are tiles


@dataclass(frozen=True)
class Obu:
    """One OBU: its type, its extension byte (-1 where there is none), and where its payload lies in the data."""

    kind: int
    extension: int
    start: int
    end: int

    @property
    def layer(self) -> tuple[int, int]:
        """Temporal and spatial layer."""
        return layer_of(self.extension)


def layer_of(extension: int) -> tuple[int, int]:
    """Return the temporal and spatial layer that an extension byte says; -1 stands for none."""
    return (0, 0) if extension < 0 else (extension >> 5, extension >> 3 & 3)


def obus(data: bytes) -> Iterator[Obu]:
    """Yield the OBUs of ``data``.

    Raises:
        NotPackableError: they are not OBUs with sizes, or their headers are not the shortest possible.
    """
    position = 0
    while position < len(data):
        header = data[position]
        if header & 0x83 != 2:
            raise NotPackableError("an OBU header has no size, or reserved bits")
        position += 1
        extension = -1
        if header & 4:
            if position == len(data) or data[position] & 7:
                raise NotPackableError("an OBU extension is cut off or has reserved bits")
            extension = data[position]
            position += 1
        size, position = _leb128(data, position)
        if position + size > len(data):
            raise NotPackableError("an OBU is longer than its data")
        yield Obu(header >> 3 & 15, extension, position, position + size)
        position += size


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _SIZE_BITS, 7):
        if position == len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                break
            return value, position
    raise NotPackableError("the size of an OBU is cut off or has more bytes than it needs")


class Reading:
    """Goes through the elements of OBUs by reading them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reader = BitReader(data, 0, 0)
        self._start = 0

    def payload(self, stream: Stream, obu: Obu) -> tuple[int, int]:
        """Go through an OBU. Return where its data start and end.

        Raises:
            NotPackableError: it cannot be packed.
        """
        self.reader = BitReader(self.data, obu.start, obu.end)
        self._start = 8 * obu.start
        end = stream.payload(self, obu.kind, obu.layer)
        if end == End.TRAILING_BITS and not self.reader.read(1):
            raise NotPackableError("an OBU does not end with a 1")
        if end != End.DATA:
            self.align()
            if end == End.TRAILING_BITS:
                self.trailing((8 * obu.end - self.reader.position) >> 3)
            if self.reader.position != 8 * obu.end:
                raise NotPackableError("an OBU goes on behind its end")
        return self.reader.position >> 3, obu.end

    def trailing(self, count: int) -> None:
        """Go over ``count`` zero bytes.

        Raises:
            NotPackableError: they are not zeros, or more than can be packed.
        """
        if count > MOST_TRAILING or self.reader.read(8 * count):
            raise NotPackableError("an OBU goes on behind its end")

    @property
    def position(self) -> int:
        """Where it is, in bits from the start of the OBU."""
        return self.reader.position - self._start

    def since(self, position: int) -> Copy:
        """Return the bits from ``position`` on."""
        width = self.position - position
        self.reader.position -= width
        return width, self.reader.read(width)

    def same(self, name: str, copy: Copy) -> bool:  # noqa: ARG002 - see Elements
        """Return whether these bits come next, and go over them if so."""
        width, value = copy
        start = self.reader.position
        try:
            found = self.reader.read(width) == value
        except NotPackableError:
            found = False
        if not found:
            self.reader.position = start
        return found

    def align(self) -> None:
        """Go over zero bits up to the next byte.

        Raises:
            NotPackableError: one is not zero.
        """
        if self.reader.read(-self.reader.position & 7):
            raise NotPackableError("padding bits are not zero")

    def code(self, name: str, kind: Kind, *at: int) -> int:  # noqa: ARG002 - see Elements
        """Read an element."""
        return kind.read(self.reader)

    def flag(self, name: str, *at: int) -> int:  # noqa: ARG002 - see Elements
        """Read an element of one bit."""
        return self.reader.read(1)
