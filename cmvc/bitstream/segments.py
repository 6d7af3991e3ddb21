"""What a segment's fields say together."""

from cmvc.bitstream.av1pack.payload import is_packed
from cmvc.errors import CorruptStreamError, LimitError
from cmvc.v1 import bitstream_pb2 as pb

MOST_CAPTION_BYTES = 255  # of an IT2V caption: its size is one byte


def new_segment(frames: int, *, closes_shot: bool) -> pb.Segment:
    """Return a segment without content."""
    return pb.Segment(closing_frames=frames) if closes_shot else pb.Segment(frames=frames)


def frame_count(segment: pb.Segment, nominal: int) -> int:
    """Return the number of frames; ``nominal`` is that of the header."""
    return segment.closing_frames or segment.frames or nominal


def closes_shot(segment: pb.Segment) -> bool:
    """Return whether the next segment starts a new shot."""
    return segment.closing_frames > 0


def pack_motion(caption: bytes, track: bytes) -> bytes:
    """Return the motion of an IT2V segment from a coded text and a coded motion track.

    Raises:
        LimitError: the caption is longer than ``MOST_CAPTION_BYTES``.
    """
    if len(caption) > MOST_CAPTION_BYTES:
        raise LimitError(f"a caption of {len(caption)} bytes is over the {MOST_CAPTION_BYTES} that fit beside a track")
    return bytes([len(caption)]) + caption + track if caption or track else b""


def unpack_motion(motion: bytes) -> tuple[bytes, bytes]:
    """Return the coded text and the coded motion track of an IT2V segment.

    Raises:
        CorruptStreamError: the text is longer than the field.
    """
    if not motion:
        return b"", b""
    end = 1 + motion[0]
    if end > len(motion):
        raise CorruptStreamError(f"a caption of {motion[0]} bytes does not fit {len(motion)} bytes of motion")
    return motion[1:end], motion[end:]


def coded_text(segment: pb.Segment) -> bytes:
    """Return the coded text of a segment of any mode; empty where it has none.

    Raises:
        CorruptStreamError: see ``unpack_motion``.
    """
    return segment.text or segment.caption or unpack_motion(segment.motion)[0]


def av1_payload(segment: pb.Segment) -> bytes:
    """Return the AV1 data of a segment, packed or not; empty where it has none."""
    return segment.keyframes or segment.guide or segment.video


def is_plain_av1(segment: pb.Segment) -> bool:
    """Return whether a segment has AV1 data that are not packed."""
    payload = av1_payload(segment)
    return bool(payload) and not is_packed(payload)
