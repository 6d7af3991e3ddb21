"""TT2V streams for the toy checkpoint, written by hand: one shot, its segments as short as tests want them."""

from cmvc.bitstream.segments import new_segment
from cmvc.bitstream.stream import StreamWriter
from cmvc.bitstream.text import encode_text
from cmvc.limits import Limits
from cmvc.v1 import bitstream_pb2 as pb

SIDE, RATE, FRAMES = 64, 16, 8  # of the toy; with five frames handed on, a segment is one window of 13
CAPTION = "Black wall background, large red ball.\nThe red ball moves right."
SETTINGS = {"steps": "2", "guidance": "1", "pixels": str(SIDE * SIDE)}


def text_stream(segments: int, *, closes: int | None = None, profile: str = "wan-vace-1.3b", **settings: str) -> bytes:
    """Return a stream of so many segments, the last and the one numbered ``closes`` the last of their shots."""
    header = pb.StreamHeader(width=SIDE, height=SIDE, frame_rate_numerator=RATE, segment_frames=FRAMES, seed=3)
    table = pb.ProfileTable(profiles=[pb.Profile(id=profile, settings=SETTINGS | settings)])
    writer = StreamWriter(header, table)
    parts = [writer.open()]
    for number in range(segments):
        segment = new_segment(FRAMES, closes_shot=number in (closes, segments - 1))
        segment.text = encode_text(CAPTION)
        parts.append(writer.write(segment))
    return b"".join([*parts, writer.close()])


def repeating_stream(segments: int, header: pb.StreamHeader, profile: pb.Profile, limits: Limits) -> bytes:
    """Return a TT2V stream of one shot, whose segments after the first say what it says, in no bytes of their own."""
    writer = StreamWriter(header, pb.ProfileTable(profiles=[profile]), limits)
    parts = [writer.open()]
    for number in range(segments):
        segment = new_segment(header.segment_frames, closes_shot=number + 1 == segments)
        segment.text = b"" if number else encode_text("A lake at dawn.\nNothing moves.")
        parts.append(writer.write(segment))
    return b"".join([*parts, writer.close()])
