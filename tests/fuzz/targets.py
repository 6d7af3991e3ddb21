"""What is given hostile bytes. Each target returns, or raises a ``CmvcError``; whatever else it does is a defect."""

import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from google.protobuf.message import DecodeError
from media_files import OneWay

from cmvc.bitstream.av1pack.first_headers import first_headers
from cmvc.bitstream.av1pack.payload import first_picture, unpacked_obus
from cmvc.bitstream.inspect import inspect
from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.text import decode_text
from cmvc.bitstream.work import frames_asked_for, open_stream, segment_requests
from cmvc.control import Control
from cmvc.errors import CmvcError, MediaCrashedError, MediaStalledError
from cmvc.limits import Limits
from cmvc.media.isolated.allowed import for_strangers
from cmvc.media.isolated.conversation import Conversation
from cmvc.media.isolated.messages import SLOTS
from cmvc.media.isolated.reader import IsolatedReader, open_isolated
from cmvc.media.reader import VideoReader, open_video
from cmvc.motion.track import decode_track
from cmvc.processes.spawner import Worker
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode_segment

SMALL = Limits(
    width=256, height=256, pixels=1 << 16, segment_pixels=1 << 19, keyframe_pixels=1 << 15, motion_cells=1 << 10
)
EMBEDDED = InProcessExecutor(["embedded"], Path(), ())
SOUND = encoder_pb2.AudioConfig(opus_bits_per_second=8000)
PARTS = tuple(decoder_pb2.DecodeConfig(start=start, duration=duration) for start, duration in ((0, 0), (1.5, 1)))
ONE_WAY, COPIED, METADATA, LATER = 1, 2, 4, 8  # ways to read a video
MOST_PICTURES = 100
PATIENCE_S = 20.0
ISOLATED = True  # whether ``media`` reads in a process of its own; not where its lines are counted


def stream(data: bytes) -> None:
    """Read a stream: as units of work for a decoder, whole and in part, by its index, and to be shown."""
    reader = StreamReader(BytesIO(data))
    for config in PARTS:
        with suppress(CmvcError):
            frames_asked_for(reader, config)
            for _ in segment_requests(open_stream(BytesIO(data), config), config):
                pass
    inspect(BytesIO(data))


def payload(data: bytes) -> None:
    """Read the first headers of an AV1 payload, packed or not; unpack it."""
    with suppress(CmvcError):
        first_headers(data)
    with suppress(CmvcError):
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


def media(data: bytes) -> None:
    """Read a video in a process of its own, as an encoder's service does; the first byte says how.

    Raises:
        AssertionError: FFmpeg crashed or hung, or what calls it failed. A service lives on; here it is looked at.
    """
    how, data = data[0] if data else 0, data[1:]
    source = cast(BinaryIO, OneWay(data)) if how & ONE_WAY else BytesIO(data)
    asked: dict[str, Any] = {
        "audio": encoder_pb2.AudioConfig(copy=True) if how & COPIED else SOUND,
        "metadata": bool(how & METADATA),
        "start": 0.1 if how & LATER else 0.0,
    }
    try:
        with _opened(source, **asked) as reader:
            _some(reader.read())
    except (MediaCrashedError, MediaStalledError) as error:
        raise AssertionError(str(error)) from None


def _opened(source: BinaryIO, **asked: Any) -> IsolatedReader | VideoReader:
    if ISOLATED:
        return open_isolated(source, Control(), limits=SMALL, stall_s=5, **asked)
    return open_video(source, limits=for_strangers(SMALL), **asked)


def answers(data: bytes) -> None:
    """Hear what a process that reads media says once somebody has taken it over; sizes stand before its messages."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours.detach())
    with connection, theirs, ExitStack() as stack:
        for message in messages_of(data):
            theirs.sendall(struct.pack("!i", len(message)) + message)  # as multiprocessing frames it
        theirs.shutdown(socket.SHUT_WR)
        child = Conversation(Worker(connection, lambda: None), BytesIO(b"source"), Control(), PATIENCE_S)
        slots = np.zeros((SLOTS, 3 * SMALL.pixels), np.uint8)
        _some(IsolatedReader(child, slots, SMALL, stack.pop_all()).read())


def messages_of(data: bytes) -> list[bytes]:
    """Return the messages in an input; two bytes before each are its size."""
    found = []
    while len(data) > 2:
        size = int.from_bytes(data[:2], "big") or 1
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def _some(items: Iterable[object]) -> None:
    for _ in zip(range(MOST_PICTURES), items, strict=False):
        pass


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (stream, payload, text, motion, segment, media, answers)
}


def run(name: str, data: bytes) -> bool:
    """Give ``data`` to a target; return whether it was taken, not refused."""
    try:
        TARGETS[name](data)
    except CmvcError:
        return False
    return True
