"""What a coder of one mode does with a window."""

from dataclasses import dataclass
from typing import Protocol

from cmvc.control import Control
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.coding.shapes import Shape
from cmvc_encoder.ingest.window import Window


@dataclass(frozen=True)
class Made:
    """How pictures of a trial were coded as AV1.

    Attributes:
        shape: coded size and source frames per coded frame.
        crf, preset: of SVT-AV1.
        measure: what the score was measured by.
    """

    shape: Shape
    crf: float
    preset: int
    measure: str


@dataclass(frozen=True)
class Trial:
    """One way to code a window.

    Attributes:
        segments: with ``frames`` always set (the writer leaves out what it can); without audio.
        size: bytes of their packets, CRC included.
        score: quality in dB of what the embedded profile would show against the window, at the working size, by the
            measure that chooses between modes (``coding.measure``); 0 for text.
        saturated: True when more bytes would not have been used.
        floor: True when fewer bytes were not possible.
        made: how its pictures were coded; None for text.
        content: of the shot's first text, where a model shows it all through the shot; else empty.
    """

    segments: list[pb.Segment]
    size: int
    score: float
    saturated: bool
    floor: bool
    made: Made | None = None
    content: str = ""


class ModeCoder(Protocol):
    """Codes windows in one mode. Objects live for one stream and may keep state from window to window."""

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best coding of ``window`` whose packets take at most ``byte_budget`` bytes in all.

        Where even the smallest coding is larger, that one is returned with ``floor`` set.
        """

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return the coding at ``quality`` (1..100), whatever it takes."""
