"""OBUs through a model: from their bits into a range coder, and back."""

from dataclasses import dataclass

from cmvc.bitstream.av1pack.bits import BitWriter
from cmvc.bitstream.av1pack.kinds import FLAG, Kind
from cmvc.bitstream.av1pack.model import Model
from cmvc.bitstream.av1pack.reading import Obu, Reading, layer_of
from cmvc.bitstream.av1pack.stream import Copy, End, ObuType, Stream
from cmvc.errors import CorruptStreamError


class Packing(Reading):
    """Reads elements and codes them."""

    def __init__(self, data: bytes, model: Model) -> None:
        super().__init__(data)
        self._model = model

    def code(self, name: str, kind: Kind, *at: int) -> int:
        """Read and code an element."""
        value = kind.read(self.reader)
        self._model.element(name, kind, at, value)
        return value

    def flag(self, name: str, *at: int) -> int:
        """Read and code an element of one bit."""
        value = self.reader.read(1)
        self._model.element(name, FLAG, at, value)
        return value

    def same(self, name: str, copy: Copy) -> bool:
        """Code whether these bits come next, and go over them if so."""
        return bool(self._model.same(name, int(super().same(name, copy))))

    def trailing(self, count: int) -> None:
        """Code how many zero bytes come, and go over them."""
        super().trailing(count)
        self._model.trailing(count)

    def obu(self, stream: Stream, obu: Obu, last: bool) -> bytes:
        """Code an OBU. Return the bytes behind its elements.

        Raises:
            NotPackableError: it cannot be packed.
        """
        self._model.start(obu.kind, obu.extension)
        start, end = self.payload(stream, obu)
        self._model.last(int(last))
        if not last and has_data(obu.kind):
            self._model.size(end - start)
        self._model.finish(end - start)
        return self.data[start:end]


class Unpacking:
    """Takes elements from a model and writes them."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._writer = BitWriter()

    @property
    def position(self) -> int:
        """Where it is, in bits from the start of the OBU."""
        return self._writer.position

    def since(self, position: int) -> Copy:
        """Return the bits from ``position`` on."""
        return self._writer.since(position)

    def same(self, name: str, copy: Copy) -> bool:
        """Return whether these bits come next, and write them if so."""
        found = bool(self._model.same(name, 0))
        if found:
            self._writer.write(*copy)
        return found

    def align(self) -> None:
        """Write zeros up to the next byte."""
        self._writer.write(-self._writer.position & 7, 0)

    def code(self, name: str, kind: Kind, *at: int) -> int:
        """Write an element.

        Raises:
            CorruptStreamError: it is not a value of its kind.
        """
        value = self._model.element(name, kind, at, 0)
        if not kind.low <= value <= kind.high:
            raise CorruptStreamError(f"{name} is {value}, not within {kind.low} to {kind.high}")
        kind.write(self._writer, value)
        return value

    def flag(self, name: str, *at: int) -> int:
        """Write an element of one bit."""
        value = self._model.element(name, FLAG, at, 0)
        self._writer.write(1, value)
        return value

    def obu(self, stream: Stream) -> "Unpacked":
        """Return the next OBU but for the bytes behind its elements.

        Raises:
            NotPackableError: it cannot stand here.
            CorruptStreamError: nothing codes it.
        """
        self._writer = BitWriter()
        kind, extension = self._model.start(0, -1)
        end = stream.payload(self, kind, layer_of(extension))
        if end == End.TRAILING_BITS:
            self._writer.write(1, 1)
            self.align()
            self._writer.write(8 * self._model.trailing(0), 0)
        last = bool(self._model.last(0))
        size = -1 if last else self._model.size(0) if has_data(kind) else 0
        return Unpacked(kind, extension, self._writer.finish(), last, size)

    def finish(self, size: int) -> None:
        """Take note of how many bytes followed the elements of the last OBU."""
        self._model.finish(size)


@dataclass(frozen=True)
class Unpacked:
    """One OBU without the bytes behind its elements.

    Attributes:
        kind: its type.
        extension: its extension byte, -1 where there is none.
        elements: its elements as bytes.
        last: whether it is the payload's last.
        size: how many bytes follow its elements; -1 where those are all that are left.
    """

    kind: int
    extension: int
    elements: bytes
    last: bool
    size: int

    def whole(self, data: bytes) -> bytes:
        """Return the OBU, ``data`` being what follows its elements."""
        extended = self.extension >= 0
        head = bytes([self.kind << 3 | extended << 2 | 2]) + (bytes([self.extension]) if extended else b"")
        return head + leb128(len(self.elements) + len(data)) + self.elements + data


def has_data(kind: int) -> bool:
    """Return whether bytes follow the elements of an OBU of this type."""
    return kind not in (
        ObuType.SEQUENCE_HEADER,
        ObuType.TEMPORAL_DELIMITER,
        ObuType.FRAME_HEADER,
        ObuType.REDUNDANT_FRAME_HEADER,
    )


def leb128(value: int) -> bytes:
    """Return a number as the AV1 specification's leb128, in as few bytes as hold it."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
