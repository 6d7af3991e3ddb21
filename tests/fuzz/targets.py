"""What is given hostile bytes. Each target returns, or raises a ``CmvcError``; whatever else it does is a defect."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from google.protobuf.message import DecodeError

from cmvc.bitstream.av1pack.payload import first_picture, unpacked_obus
from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.text import decode_text
from cmvc.bitstream.work import segment_request
from cmvc.control import Control
from cmvc.errors import CmvcError
from cmvc.limits import Limits
from cmvc.motion.track import decode_track
from cmvc.v1 import decoder_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode_segment

SMALL = Limits(
    width=256, height=256, pixels=1 << 16, segment_pixels=1 << 19, keyframe_pixels=1 << 15, motion_cells=1 << 10
)
EMBEDDED = InProcessExecutor(["embedded"], Path(), ())


def stream(data: bytes) -> None:
    """Read a stream, each segment with its neighbour's anchor, as the unit of work that a decoder gets."""
    reader = StreamReader(BytesIO(data))
    for placed in reader.segments():
        segment_request(reader, placed, decoder_pb2.DecodeConfig())


def payload(data: bytes) -> None:
    """Unpack an AV1 payload."""
    first_picture(data)
    for _ in unpacked_obus(data):
        pass


def text(data: bytes) -> None:
    """Decode a text by whichever coder its first byte names."""
    decode_text(data)


def motion(data: bytes) -> None:
    """Decode a motion track."""
    decode_track(data)


def segment(data: bytes) -> None:
    """Decode a segment to MP4: dav1d, warping, painting, and FFmpeg's muxer."""
    try:
        request = decoder_pb2.DecodeSegmentRequest.FromString(data)
    except DecodeError:
        return
    for _ in decode_segment(request, Control(), EMBEDDED, SMALL):
        pass


TARGETS: dict[str, Callable[[bytes], None]] = {each.__name__: each for each in (stream, payload, text, motion, segment)}


def run(name: str, data: bytes) -> bool:
    """Give ``data`` to a target; return whether it was taken, not refused."""
    try:
        TARGETS[name](data)
    except CmvcError:
        return False
    return True
