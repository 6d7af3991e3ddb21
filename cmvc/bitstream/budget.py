"""What one call may ask for of a stream, however few bytes ask for it."""

from math import ceil

from cmvc.bitstream.stream import check_generation, frame_rate
from cmvc.errors import LimitError
from cmvc.limits import Limits
from cmvc.v1 import bitstream_pb2 as pb

_LEAST_SEGMENT_BYTES = 8  # of a packet: tag and length, an empty text, checksum


class CallBudget:
    """Adds up what a call asks for, segment by segment."""

    def __init__(self, header: pb.StreamHeader, limits: Limits) -> None:
        """Begin a call for segments of a stream with ``header``."""
        self._header = header
        self._limits = limits
        self._pixels = 0
        self._bytes = 0
        self._pixel_steps = 0

    def make(self, frames: int, size: int) -> None:
        """Count ``frames`` that are made of ``size`` bytes.

        Raises:
            LimitError: they are more pixels than a call may ask for with so many bytes.
        """
        self._pixels += frames * self._header.width * self._header.height
        self._bytes += size
        most = self._limits.call_pixels + self._bytes * self._limits.call_pixels_per_byte
        if self._pixels > most:
            raise _over("call pixels", self._pixels, most, f" for {self._bytes} bytes; ask for parts of the stream")

    def generate(self, segment: pb.Segment, profile: pb.Profile) -> None:
        """Count what a model has to make for ``segment``.

        Raises:
            LimitError: it is too much for a segment, or for a call (see ``pixel_steps``).
        """
        self._pixel_steps += check_generation(segment, self._header, profile, self._limits)
        most = self._limits.call_pixel_steps
        if self._pixel_steps > most:
            remedy = "; ask for parts of the stream, or for another profile"
            raise _over("call pixel steps", self._pixel_steps, most, remedy)


def may_overspend(header: pb.StreamHeader, size: int, limits: Limits) -> bool:
    """Return whether ``size`` bytes of segments could ask for more pixels than a call may."""
    most = max(min(limits.segment_frames, ceil(limits.segment_seconds * frame_rate(header))), 1)
    pixels = min(most * header.width * header.height, limits.segment_pixels)
    return size // _LEAST_SEGMENT_BYTES * pixels > limits.call_pixels + size * limits.call_pixels_per_byte


def _over(name: str, value: int, bound: int, remedy: str) -> LimitError:
    return LimitError(f"{name}: {value} is over the limit of {bound}{remedy}")
