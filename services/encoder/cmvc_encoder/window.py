"""What a mode coder is given and what it gives back."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.v1 import bitstream_pb2 as pb


@dataclass(frozen=True)
class Window:
    """A run of frames of one shot, at most ``Limits.segment_seconds`` long, that is coded in one mode.

    Attributes:
        pictures: the frames at the working size (never larger than the source).
        first_frame: number of the first in the stream.
        width, height: of the source.
        frame_rate: in frames per second.
        opens_shot, closes_shot: whether a cut stands before the first and after the last frame.
        following: the frame after the last, None when ``closes_shot`` or at the end of the stream.
        keyframes: positions of the keyframes that embeddings chose, ascending; position 0 is among them when
            ``opens_shot``, and need not be otherwise.
        color_matrix: of the pictures, code point of ITU-T H.273.
    """

    pictures: list[Picture]
    first_frame: int
    width: int
    height: int
    frame_rate: Fraction
    opens_shot: bool
    closes_shot: bool
    following: Picture | None
    keyframes: tuple[int, ...] = ()
    color_matrix: int = 1

    @property
    def seconds(self) -> float:
        """Duration of the window."""
        return float(len(self.pictures) / self.frame_rate)


@dataclass(frozen=True)
class Trial:
    """One way to code a window.

    Attributes:
        segments: with ``frames`` always set (the writer leaves out what it can); without audio.
        size: bytes of their packets, CRC included.
        psnr: luma PSNR in dB of what the embedded profile would show against the window, at the working size;
            for choosing between modes.
        saturated: True when more bytes would not have been used.
        floor: True when fewer bytes were not possible.
    """

    segments: list[pb.Segment]
    size: int
    psnr: float
    saturated: bool
    floor: bool


class ModeCoder(Protocol):
    """Codes windows in one mode. Objects live for one stream and may keep state from window to window."""

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best coding of ``window`` whose packets take at most ``byte_budget`` bytes in all.

        Where even the smallest coding is larger, that one is returned with ``floor`` set.
        """

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return the coding at ``quality`` (1..100), whatever it takes."""
