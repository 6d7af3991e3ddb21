"""The few ISO base media file format boxes that CMVC looks at itself."""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cmvc.v1 import bitstream_pb2 as pb

_HEAD = struct.Struct(">I4s")


class Box(NamedTuple):
    """One box: its four-character type, and where its payload starts and the box ends."""

    kind: bytes
    body: int
    end: int


def whole_boxes(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield the boxes that lie wholly within ``data[start:end]``; only those with 32-bit sizes."""
    stop = len(data) if end is None else end
    while start + _HEAD.size <= stop:
        size, kind = _HEAD.unpack_from(data, start)
        if size < _HEAD.size or start + size > stop:
            return
        yield Box(kind, start + _HEAD.size, start + size)
        start += size


def make_box(kind: bytes, body: bytes) -> bytes:
    """Return a box."""
    return _HEAD.pack(_HEAD.size + len(body), kind) + body


def with_audio_start(init_segment: bytes, media_time: int) -> bytes:
    """Return an MP4 init segment whose sound track starts playing ``media_time`` samples in.

    The muxer cannot write this edit list itself when the init segment comes before the first sample.
    """
    entry = struct.pack(">IIIiI", 0, 1, 0, media_time, 1 << 16)  # version, one entry: all of it, from there, at speed 1
    edit = make_box(b"edts", make_box(b"elst", entry))
    return b"".join(
        make_box(b"moov", _moov_with(init_segment[box.body : box.end], edit))
        if box.kind == b"moov"
        else init_segment[box.body - _HEAD.size : box.end]
        for box in whole_boxes(init_segment)
    )


def _moov_with(moov: bytes, edit: bytes) -> bytes:
    parts = []
    for box in whole_boxes(moov):
        body = moov[box.body : box.end]
        if box.kind == b"trak" and _is_sound(body):
            head = next(inner for inner in whole_boxes(body) if inner.kind == b"tkhd")
            body = body[: head.end] + edit + body[head.end :]
        parts.append(make_box(box.kind, body))
    return b"".join(parts)


def _is_sound(trak: bytes) -> bool:
    media = next(box for box in whole_boxes(trak) if box.kind == b"mdia")
    handler = next(box for box in whole_boxes(trak, media.body, media.end) if box.kind == b"hdlr")
    return trak[handler.body + 8 : handler.body + 12] == b"soun"  # after version, flags and pre_defined


def with_chapters(init_segment: bytes, chapters: Sequence[pb.Chapter]) -> bytes:
    """Return an MP4 init segment with a list of chapters (box ``chpl``, which FFmpeg, VLC and mpv read).

    The muxer would make a track of them, of which each fragment had to carry its part.

    Args:
        init_segment: with a user data box (``udta``), as FFmpeg's muxer always writes one.
        chapters: at most 255, with titles of at most 255 bytes.
    """
    entries = b"".join(_chapter(chapter.start_ms, chapter.title.encode()) for chapter in chapters)
    box = make_box(b"chpl", struct.pack(">IIB", 1 << 24, 0, len(chapters)) + entries)
    return _with_boxes(init_segment, [b"moov", b"udta"], box)


def _chapter(start_ms: int, title: bytes) -> bytes:
    return struct.pack(">QB", start_ms * 10_000, len(title)) + title  # in units of 100 ns


def _with_boxes(data: bytes, path: list[bytes], addition: bytes) -> bytes:
    """Return ``data`` with ``addition`` at the end of the box at ``path``."""
    if not path:
        return data + addition
    parts = []
    for box in whole_boxes(data):
        body = data[box.body : box.end]
        parts.append(make_box(box.kind, _with_boxes(body, path[1:], addition) if box.kind == path[0] else body))
    return b"".join(parts)
