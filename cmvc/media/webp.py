"""Animated WebP, which FFmpeg does not decode: unrolled to a Matroska file of the same pictures and times."""

from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cmvc.errors import LimitError, MediaError
from cmvc.limits import Limits
from cmvc.media.picture import Plane
from cmvc.media.probe import check_size
from cmvc.media.spool import Check, Source

HEAD_BYTES = 30  # of the file, up to the size of its canvas
_FIRST_CHUNK = 12  # bytes into the file
_ANIMATED = 0x02  # flag in the VP8X chunk
_CHANNELS = 4
_TICK = Fraction(1, 1000)  # seconds; unit of the durations
_UNTIMED = 100  # ticks of a picture without a duration, as browsers have it
_FILE_BYTES = 256 << 20  # of a file, which is decoded from memory
_DECODED_BYTES = 128 << 20  # of pictures decoded at once


def is_animated(head: bytes) -> bool:
    """Say whether a file that starts with ``head`` (``HEAD_BYTES``) is a WebP with more than one picture."""
    is_webp = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == HEAD_BYTES
    return is_webp and bool(head[20] & _ANIMATED)


def unroll(source: Source, file: BinaryIO, limits: Limits, check: Check) -> None:
    """Write the pictures of an animated WebP to ``file`` as Matroska, without loss.

    Raises:
        MediaError: it cannot be decoded.
        LimitError: its pictures, or it as a whole, are too large.
    """
    head = source.head(HEAD_BYTES)
    width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    check_size(width, height, limits)
    data = _whole(source)
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=Fraction(25))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgra"
        stream.time_base = stream.codec_context.time_base = _TICK
        time = 0
        for picture, duration in _pictures(data, max(_DECODED_BYTES // (_CHANNELS * width * height), 1)):
            check()
            frame = VideoFrame.from_ndarray(picture, format="bgra")
            frame.pts, frame.time_base = time, _TICK
            for packet in stream.encode(frame):
                packet.duration = duration
                output.mux(packet)
            time += duration
        output.mux(stream.encode())
    file.seek(0)


def _whole(source: Source) -> bytes:
    view, parts, size = source.view(), list[bytes](), 0
    while data := view.read(1 << 20):
        parts.append(data)
        size += len(data)
        if size > _FILE_BYTES:
            raise LimitError(f"the animated WebP has more than {_FILE_BYTES >> 20} MiB; convert it to a video first")
    source.raise_pending()
    return b"".join(parts)


def _pictures(data: bytes, at_once: int) -> Iterator[tuple[Plane, int]]:
    """Yield each picture, (height, width, 4) in BGRA, and its duration in ticks."""
    encoded = np.frombuffer(data, np.uint8)
    for start in range(0, _count(data), at_once):
        try:
            found, animation = cv2.imdecodeanimation(encoded, start, at_once)
        except cv2.error:
            found = False
        if not found:
            raise MediaError("the animated WebP is damaged; get the whole file")
        for frame, duration in zip(animation.frames, animation.durations, strict=False):
            bgra = frame if frame.shape[2] == _CHANNELS else cv2.cvtColor(frame, cv2.COLOR_BGR2BGRA)
            yield np.asarray(bgra, np.uint8), int(duration) or _UNTIMED


def _count(data: bytes) -> int:
    """Return how many pictures there are."""
    count, position = 0, _FIRST_CHUNK
    while position + 8 <= len(data):
        count += data[position : position + 4] == b"ANMF"
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + size + size % 2
    return count
