"""Inputs of every kind as something FFmpeg can read.

FFmpeg gets nothing but an object to read from: it opens no path or address by itself, so that a playlist or an
extension cannot make it read anything else.
"""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from cmvc.errors import LimitError, MediaError
from cmvc.limits import Limits

_COPY_BYTES = 1 << 20
_LOOK_AHEAD_BYTES = 1 << 20  # boxes before moov or mdat are small
_MP4_BOXES = {b"ftyp", b"styp", b"free", b"skip", b"wide", b"pnot", b"uuid", b"pdin"}


class Readable(Protocol):
    """What FFmpeg reads from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none only at the end."""


class _Stream:
    """A source that cannot seek, with the part of it that was looked at already.

    Attributes:
        error: what the source raised while FFmpeg read from it. FFmpeg cannot pass it on and gets an end instead.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._ahead = b""
        self.error: BaseException | None = None

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end, without taking them."""
        while len(self._ahead) < size and (more := self._source.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int, /) -> bytes:
        if self.error:
            return b""
        if not self._ahead:
            try:
                return self._source.read(size)
            except BaseException as error:  # noqa: BLE001 - handed over by raise_pending, whatever it is
                self.error = error
                return b""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data


def raise_pending(source: Readable) -> None:
    """Raise what ``source`` raised while FFmpeg read from it, such as a cancellation; nothing otherwise."""
    if isinstance(source, _Stream) and source.error:
        raise source.error


@contextmanager
def readable(source: str | Path | BinaryIO, limits: Limits) -> Iterator[Readable]:
    """Open ``source``; what cannot seek and has to is copied to a temporary file first.

    Args:
        source: path of a file, or a binary file object, which stays open.
        limits: bounds the temporary file.

    Raises:
        MediaError: the file cannot be opened, or there is nothing in it.
        LimitError: the temporary file would grow beyond ``limits.spool_bytes``.
    """
    if isinstance(source, (str, Path)):
        with _open_path(Path(source)) as file:
            _refuse_empty(file.read(1))
            file.seek(0)
            yield file
    elif _can_seek(source):
        _refuse_empty(source.read(1))
        source.seek(0)
        yield source
    else:
        stream = _Stream(source)
        _refuse_empty(stream.peek(1))
        if not _index_comes_last(stream):
            yield stream
            return
        with tempfile.TemporaryFile() as spooled:
            _copy(stream, spooled, limits)
            yield spooled


def _refuse_empty(first_bytes: bytes) -> None:
    if not first_bytes:
        raise MediaError("the input is empty; give a video file")


def starts_as_mp4(source: Readable) -> bool:
    """Say whether ``source`` starts as an MP4 or QuickTime file does; False too where it cannot seek back to look."""
    if not isinstance(source, io.IOBase) or not source.seekable():
        return False
    source.seek(0)
    return bytes(source.read(8))[4:] in _MP4_BOXES | {b"mdat", b"moov"}


def _open_path(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise MediaError(f"cannot open {path}: {error.strerror}; check the path") from None


def _can_seek(source: BinaryIO) -> bool:
    seekable = getattr(source, "seekable", None)
    return seekable is not None and bool(seekable())


def _index_comes_last(stream: _Stream) -> bool:
    """Say whether this is an MP4 or QuickTime file whose media data stand before the index (moov)."""
    position = 0
    while position < _LOOK_AHEAD_BYTES:
        head = stream.peek(position + 16)[position:]
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if kind not in _MP4_BOXES:
            return kind == b"mdat"
        if size == 1:  # a 64-bit size follows
            size = int.from_bytes(head[8:16], "big")
        position += max(size, 8)
    return False


def _copy(stream: _Stream, file: BinaryIO, limits: Limits) -> None:
    total = 0
    while data := stream.read(_COPY_BYTES):
        total += len(data)
        if total > limits.spool_bytes:
            raise LimitError(
                f"the input has its index at the end and is larger than the {limits.spool_bytes} bytes that may be "
                f"kept aside for it; write it with the index first (ffmpeg -movflags +faststart)"
            )
        file.write(data)
    raise_pending(stream)
    file.seek(0)
