"""OBUs one after the other (AV1 specification, section 5): what each holds, and what it leaves for the next."""

from enum import IntEnum
from typing import Protocol

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.frame_header import frame_header, show_existing_frame
from cmvc.bitstream.av1pack.sequence_header import sequence_header
from cmvc.bitstream.av1pack.state import SLOTS, Elements, Frame, FrameType, Sequence, Slots
from cmvc.bitstream.av1pack.tiles import tile_group


class ObuType(IntEnum):
    """Of obu_type; the others are reserved."""

    SEQUENCE_HEADER = 1
    TEMPORAL_DELIMITER = 2
    FRAME_HEADER = 3
    TILE_GROUP = 4
    METADATA = 5
    FRAME = 6
    REDUNDANT_FRAME_HEADER = 7
    TILE_LIST = 8
    PADDING = 15


class End(IntEnum):
    """What stands behind the elements of an OBU."""

    NOTHING = 0
    TRAILING_BITS = 1
    DATA = 2


Copy = tuple[int, int]  # bits: how many, and their value


class ObuElements(Elements, Protocol):
    """Goes through the elements of OBUs, some of which may be copies of earlier ones."""

    @property
    def position(self) -> int:
        """Where it is, in bits from the start of the OBU."""

    def since(self, position: int) -> Copy:
        """Return the bits from ``position`` on."""

    def same(self, name: str, copy: Copy) -> bool:
        """Return whether these bits come next, and go over them if so."""

    def align(self) -> None:
        """Go over zero bits up to the next byte."""


class Stream:
    """What OBUs leave for the next ones.

    Attributes:
        sequence: the last sequence header; None before the first.
        slots: the reference slots.
        frame: the frame of the last frame header.
        open: whether tiles of that frame are still to come.
        shown: the frame that was shown last.
    """

    def __init__(self) -> None:
        self.sequence: Sequence | None = None
        self.slots = Slots()
        self.frame = Frame()
        self.open = False
        self.shown: Frame | None = None
        self._sequence_bits: Copy = (0, 0)
        self._header_bits: Copy = (0, 0)

    def payload(self, c: ObuElements, kind: int, layer: tuple[int, int]) -> End:
        """Go through the elements of one OBU.

        Args:
            c: what goes through them.
            kind: its obu_type.
            layer: temporal and spatial.

        Returns:
            what stands behind them.

        Raises:
            NotPackableError: it cannot stand here, or not in packed form.
        """
        if kind == ObuType.SEQUENCE_HEADER:
            self._sequence_header(c)
            return End.TRAILING_BITS
        if kind in (ObuType.FRAME_HEADER, ObuType.REDUNDANT_FRAME_HEADER):
            self._frame_header(c, layer)
            return End.TRAILING_BITS
        if kind == ObuType.FRAME:
            if self.open:
                raise NotPackableError("a frame starts within another")
            self._frame_header(c, layer)
            if not self.open:
                raise NotPackableError("an OBU with tiles shows an existing frame")
            c.align()
        if kind in (ObuType.FRAME, ObuType.TILE_GROUP):
            self._tile_group(c)
            return End.DATA
        if kind == ObuType.TEMPORAL_DELIMITER:
            self.open = False
            return End.NOTHING
        if kind == ObuType.TILE_LIST:
            raise NotPackableError("tile lists are not packed")
        return End.DATA

    def _sequence_header(self, c: ObuElements) -> None:
        if self.sequence and c.same("same_sequence_header", self._sequence_bits):
            return
        start = c.position
        self.sequence = sequence_header(c)
        self._sequence_bits = c.since(start)

    def _frame_header(self, c: ObuElements, layer: tuple[int, int]) -> None:
        if self.open:
            if not c.same("same_frame_header", self._header_bits):
                raise NotPackableError("a repeated frame header is not the same")
            return
        if self.sequence is None:
            raise NotPackableError("a frame comes before the sequence header")
        start = c.position
        if not self.sequence.reduced and c.flag("show_existing_frame"):
            self._show(self.slots.frames[show_existing_frame(c, self.sequence)])
            return
        self.frame = Frame()
        frame_header(c, self.sequence, self.slots, self.frame, layer)
        self._header_bits = c.since(start)
        self.open = True

    def _show(self, frame: Frame | None) -> None:
        if frame is None:
            raise NotPackableError("a frame is shown that is not there")
        if frame.frame_type == FrameType.KEY:
            self.slots.frames = [frame] * SLOTS
        frame.shown = 1
        self.shown = frame

    def _tile_group(self, c: ObuElements) -> None:
        if not self.open:
            raise NotPackableError("tiles come without a frame header")
        ends = tile_group(c, self.frame)
        c.align()
        if ends:
            self.open = False
            self.slots.refresh(self.frame)
            if self.frame.show_frame:
                self.frame.shown = 1
                self.shown = self.frame
