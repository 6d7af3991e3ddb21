"""The bytes of an input as something FFmpeg can read, once or from the start again."""

import os
import threading
from collections.abc import Callable
from typing import BinaryIO, Protocol

from cmvc.errors import LimitError
from cmvc.limits import Limits

Check = Callable[[], object]  # raises to stop the work

_COPY_BYTES = 1 << 20
_LOOK_AHEAD_BYTES = 1 << 20  # boxes before moov or mdat are small
_MP4_BOXES = {b"ftyp", b"styp", b"free", b"skip", b"wide", b"pnot", b"uuid", b"pdin"}


def go_on() -> None:
    """Never stop the work."""


class Readable(Protocol):
    """What FFmpeg reads from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none only at the end."""


class Source:
    """The bytes of an input, and what went wrong while FFmpeg read them.

    Attributes:
        can_rewind: whether ``view`` gives them more than once, from the start each time.
        ended: whether a view has come to the end.
        taken: bytes up to the furthest that was read.
    """

    def __init__(self, file: BinaryIO, *, can_rewind: bool, check: Check = go_on) -> None:
        """Read from ``file``, asking ``check`` before each piece whether to go on."""
        self._file, self._check = file, check
        self.can_rewind = can_rewind
        self.ended = False
        self.taken = 0
        self._ahead = b""  # looked at, and not yet read, where there is no way back
        self._lock = threading.Lock()  # two views share the file's position
        self._error: BaseException | None = None

    def head(self, size: int) -> bytes:
        """Return the first ``size`` bytes, fewer only at the end; before any view where there is no way back."""
        if self.can_rewind:
            with self._lock:
                self._file.seek(0)
                return self._file.read(size)
        while len(self._ahead) < size and (more := self._file.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def view(self) -> Readable:
        """Return the bytes from the start, for one FFmpeg; the last ones only where there is no way back."""
        return _FileView(self) if self.can_rewind else _StreamView(self)

    def size(self) -> int | None:
        """Return how many bytes there are, None where that is not known before the end."""
        if self.can_rewind:
            with self._lock:
                return self._file.seek(0, os.SEEK_END)
        return self.taken if self.ended else None

    def raise_pending(self) -> None:
        """Raise what reading raised, such as a cancellation; FFmpeg cannot pass it on and gets an end instead."""
        if self._error:
            raise self._error

    def read(self, size: int, position: int | None) -> bytes:
        """Return bytes for a view; none, too, once reading has raised something."""
        if self._error:
            return b""
        try:
            self._check()
            data = self._take(size, position)
        except BaseException as error:  # noqa: BLE001 - handed over by raise_pending, whatever it is
            self._error = error
            return b""
        self.ended |= not data
        return data

    def _take(self, size: int, position: int | None) -> bytes:
        if position is not None:
            with self._lock:
                self._file.seek(position)
                data = self._file.read(size)
            self.taken = max(self.taken, position + len(data))
            return data
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        data = data or self._file.read(size)
        self.taken += len(data)
        return data


class _StreamView:
    """What comes, as it comes."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int, /) -> bytes:
        return self._source.read(size, None)


class _FileView:
    """A file with a position of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size() or 0}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True


def starts_as_mp4(source: Source) -> bool:
    """Say whether ``source`` starts as an MP4 or QuickTime file does; False too where it cannot go back to look."""
    return source.can_rewind and source.head(8)[4:] in _MP4_BOXES | {b"mdat", b"moov"}


def index_comes_last(source: Source) -> bool:
    """Say whether this is an MP4 or QuickTime file whose media data stand before the index (moov)."""
    position = 0
    while position < _LOOK_AHEAD_BYTES:
        head = source.head(position + 16)[position:]
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if kind not in _MP4_BOXES:
            return kind == b"mdat"
        if size == 1:  # a 64-bit size follows
            size = int.from_bytes(head[8:16], "big")
        position += max(size, 8)
    return False


def copy(source: Source, file: BinaryIO, limits: Limits) -> None:
    """Copy ``source`` to ``file``.

    Raises:
        LimitError: it is larger than ``limits.spool_bytes``.
    """
    view = source.view()
    while data := view.read(_COPY_BYTES):
        if source.taken > limits.spool_bytes:
            raise LimitError(
                f"the input has its index at the end and is larger than the {limits.spool_bytes} bytes that may be "
                f"kept aside for it; write it with the index first (ffmpeg -movflags +faststart)"
            )
        file.write(data)
    source.raise_pending()
    file.seek(0)
