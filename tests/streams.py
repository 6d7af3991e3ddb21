"""CMVC streams that the tests make for themselves: many segments at little cost, each with a luma of its own."""

from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import numpy as np

from cmvc.bitstream.stream import StreamWriter
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.records import StreamBytes
from cmvc.v1 import bitstream_pb2 as pb

RATE = Fraction(24)


def _picture(level: int, width: int, height: int) -> Picture:
    texture = np.random.default_rng(level).integers(0, 16, (height, width), np.uint8)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    return Picture(texture + np.uint8(level), chroma, chroma)


@cache
def _coded(level: int, frames: int, width: int, height: int) -> bytes:
    return av1.encode([_picture(level, width, height)] * frames, frame_rate=RATE, crf=40, preset=12)


@cache
def stream(segments=8, frames=24, width=320, height=192, profile="embedded") -> bytes:
    """Return a CODED stream whose segment n shows luma 30 + 10 * (n % 16)."""
    header = pb.StreamHeader(width=width, height=height, frame_rate_numerator=24, segment_frames=frames)
    table = pb.ProfileTable(profiles=[pb.Profile(id=profile, revision="1")])
    writer = StreamWriter(header, table)
    parts = [writer.open()]
    for index in range(segments):
        video = _coded(30 + 10 * (index % 16), frames, width, height)
        parts.append(writer.write(pb.Segment(closing_frames=frames, video=video)))
    return b"".join([*parts, writer.close()])


def bytes_of(records: Iterable[object]) -> bytes:
    """Return the output that a pipeline's records carry."""
    return b"".join(record.data for record in records if isinstance(record, StreamBytes))
