"""Where the segments of a stream stand, from its trailer, so that only those need be read that are wanted."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from google.protobuf.message import DecodeError

from cmvc.bitstream.packets import FORMAT_VERSION, PREAMBLE, ByteSource
from cmvc.limits import Limits
from cmvc.v1 import bitstream_pb2 as pb

_TAG = 0x22  # field 4 of Packet, length-delimited
_MOST_HEAD_BYTES = 6  # tag and length of a trailer
_FIRST_LOOK_BYTES = 1 << 10
_LOOK_FACTOR = 16  # each further look takes in so many times as much


class Seekable(ByteSource, Protocol):
    """A source that can be read from anywhere."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to ``offset`` and return where that is from the start."""


@dataclass(frozen=True)
class Index:
    """Where each segment is; all lists are of one length.

    Attributes:
        offsets: of the packets in the stream, in bytes.
        first_frames: numbers of the first frames.
        frames: of all segments together.
        end: of the last packet in the stream, in bytes.
    """

    offsets: list[int]
    first_frames: list[int]
    frames: int
    end: int

    def segment_of(self, frame: int) -> int:
        """Return which segment has ``frame``."""
        return bisect_right(self.first_frames, frame) - 1

    def size_of(self, frames: range) -> int:
        """Return how many bytes the segments take that have ``frames``, at least one."""
        first, last = self.segment_of(frames[0]), self.segment_of(frames[-1])
        return [*self.offsets[1:], self.end][last] - self.offsets[first]


def can_seek(source: ByteSource) -> bool:
    """Return whether a source can be read from anywhere."""
    seekable = getattr(source, "seekable", None)
    return bool(seekable and seekable())


def read_index(source: Seekable, head_bytes: int, header: pb.StreamHeader, limits: Limits) -> Index | None:
    """Return the index of a stream; moves the position of ``source``.

    None where it has none at its very end that fits: it was cut off, has a single segment, is of an older format, has
    packets of unknown kinds, or something stands behind it. Such a stream has to be read from its start. What the
    index says of segments that are read holds only if they confirm it.

    Args:
        source: the whole stream, its first byte at position 0.
        head_bytes: of all before its first segment.
        header: of the stream.
        limits: bound what is read.
    """
    source.seek(0)
    if source.read(len(PREAMBLE))[-1:] != bytes([FORMAT_VERSION]):
        return None
    size = source.seek(0, 2)
    most = min(size - head_bytes, limits.trailer_bytes + _MOST_HEAD_BYTES)
    look = _FIRST_LOOK_BYTES
    while True:
        start = size - min(look, most)
        source.seek(start)
        tail = source.read(size - start)
        found = _find_trailer(tail, start, head_bytes, limits)
        if found or look >= most:
            return _index_of(found, head_bytes, header) if found else None
        look *= _LOOK_FACTOR


def _find_trailer(tail: bytes, start: int, head_bytes: int, limits: Limits) -> pb.StreamTrailer | None:
    """Return the trailer that ends ``tail``, which stands at ``start``, if its index fills the stream before it."""
    at = tail.rfind(_TAG)
    while at >= 0:
        body = _body_of(tail, at)
        if body:
            try:
                trailer = pb.StreamTrailer.FromString(tail[body:])
            except DecodeError:
                trailer = pb.StreamTrailer()
            sizes = len(trailer.segment_bytes)
            if 1 < sizes <= limits.segments and head_bytes + sum(trailer.segment_bytes) == start + at:
                return trailer
        at = tail.rfind(_TAG, 0, at)
    return None


def _body_of(tail: bytes, at: int) -> int:
    """Return where the body begins of a packet at ``at``, if it ends with ``tail``; else 0."""
    length = 0
    for count, byte in enumerate(tail[at + 1 : at + _MOST_HEAD_BYTES]):
        length |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            body = at + 2 + count
            return body if body + length == len(tail) else 0
    return 0


def _index_of(trailer: pb.StreamTrailer, head_bytes: int, header: pb.StreamHeader) -> Index | None:
    sizes = list(trailer.segment_bytes)
    counts = list(trailer.segment_frames) or [header.segment_frames] * len(sizes)
    if len(counts) != len(sizes) or not all(counts):
        return None
    *offsets, end = accumulate(sizes, initial=head_bytes)
    *first_frames, frames = accumulate(counts, initial=0)
    return Index(offsets, first_frames, frames, end)
