"""What passes through as fragmented MP4: where its fragments lie, when they start, and what plays them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cmvc.errors import ServerError
from cmvc.media.boxes import Box, whole_boxes

_MOST_INIT_BYTES = 1 << 20
_PICTURES = b"vide"
_AVC, _OPUS, _AAC = b"avc1", b"Opus", b"mp4a"
_SAMPLE_ENTRY_BYTES = {_AVC: 78}  # ISO/IEC 14496-12, VisualSampleEntry before its boxes


@dataclass(frozen=True)
class Fragment:
    """One fragment: bytes ``start`` to ``stop`` of the file; its first picture is shown at ``time``, in seconds."""

    start: int
    stop: int
    time: float


class Fragments:
    """Finds the fragments of a file whose bytes are given in order, each once.

    Attributes:
        init_bytes: size of the init segment; 0 until it is whole.
        codecs: as ``MediaSource`` takes them, such as ``avc1.64001E,opus``; "" until then.
        found: the fragments that are whole.
    """

    def __init__(self) -> None:
        self.init_bytes = 0
        self.codecs = ""
        self.found: list[Fragment] = []
        self._timescale = 1
        self._held = bytearray()
        self._offset = 0
        self._starts: tuple[int, float] | None = None

    def feed(self, data: bytes) -> None:
        """Look at the next bytes.

        Raises:
            ServerError: they are not fragmented MP4 as decoders write it.
        """
        self._held += data
        end = 0
        for box in whole_boxes(self._held):
            self._take(box, bytes(self._held[box.body : box.end]))
            end = box.end
        del self._held[:end]
        self._offset += end
        if not self.init_bytes and len(self._held) > _MOST_INIT_BYTES:
            raise ServerError("the decoder sent something else than fragmented MP4; its log says more")

    def _take(self, box: Box, body: bytes) -> None:
        stop = self._offset + box.end
        if box.kind == b"moov":
            self.init_bytes = stop
            self._timescale, self.codecs = _describe(body)
        elif box.kind == b"moof":
            time = _picture_time(body)
            if time is not None:
                self._starts = (self._offset + box.body - 8, time / self._timescale)
        elif box.kind == b"mdat":
            if self._starts:
                self.found.append(Fragment(self._starts[0], stop, self._starts[1]))
                self._starts = None
            elif self.found:  # sound alone belongs to the pictures before it
                last = self.found[-1]
                self.found[-1] = Fragment(last.start, stop, last.time)


def _inside(body: bytes, *path: bytes) -> Iterator[bytes]:
    """Yield the bodies of the boxes at ``path``."""
    for box in whole_boxes(body):
        if box.kind == path[0]:
            inner = body[box.body : box.end]
            yield from _inside(inner, *path[1:]) if len(path) > 1 else [inner]


def _describe(moov: bytes) -> tuple[int, str]:
    """Return units per second of the picture track's times, and the codecs of all tracks."""
    timescale, codecs = 1, []
    for track in _inside(moov, b"trak", b"mdia"):
        (handler,) = _inside(track, b"hdlr")
        (header,) = _inside(track, b"mdhd")
        if handler[8:12] == _PICTURES:
            (timescale,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
        (entries,) = _inside(track, b"minf", b"stbl", b"stsd")
        codecs.append(_codec(entries[8:]))
    return timescale, ",".join(codecs)


def _codec(entries: bytes) -> str:
    """Return the name, by RFC 6381, of what the first sample entry describes."""
    entry = next(whole_boxes(entries))
    if entry.kind == _AVC:
        boxes = entries[entry.body + _SAMPLE_ENTRY_BYTES[_AVC] : entry.end]
        (configuration,) = _inside(boxes, b"avcC")
        return "avc1." + configuration[1:4].hex().upper()
    names = {_OPUS: "opus", _AAC: "mp4a.40.2"}
    if entry.kind not in names:
        return entry.kind.decode("latin-1")
    return "mp3" if entry.kind == _AAC and b"\x6b" in entries[entry.body + 28 : entry.end][:32] else names[entry.kind]


def _picture_time(moof: bytes) -> int | None:
    """Return when the fragment's first picture is shown, in the track's units; None where it has none."""
    for track in _inside(moof, b"traf"):
        (header,) = _inside(track, b"tfhd")
        if int.from_bytes(header[4:8], "big") == 1:  # the pictures are the first track
            (time,) = _inside(track, b"tfdt")
            return int.from_bytes(time[4:12] if time[0] else time[4:8], "big")
    return None
