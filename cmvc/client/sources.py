"""What a caller gives to be read: every kind of it as pieces, and as a file for pipelines.

What goes wrong in reading it is the caller's, whatever it is: it is kept in the call's ``Work``, which raises it, and
shown to nobody else (see ``cmvc.client.call``).
"""

import io
import os
import select
import threading
from collections.abc import AsyncIterable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from cmvc.client.call import Work
from cmvc.wire.pipe import Pipe
from cmvc.wire.transfer import CHUNK_BYTES

Source = str | os.PathLike[str] | BinaryIO | bytes | Iterable[bytes]
"""Path of a file or pipe, binary file object (read from where it stands), all the bytes, or pieces of them."""
AsyncSource = Source | AsyncIterable[bytes]
_LOOK_MILLISECONDS = 100  # how soon a reader that waits for a pipe notices that the work is to stop


def pieces_of(source: Source, work: Work) -> Generator[bytes]:
    """Yield the bytes of ``source`` as they come, in pieces of at most ``CHUNK_BYTES``; blocking.

    A path is closed at the end, and so is a generator; a file stays open.

    Raises:
        TypeError: it gives something else than bytes.
        CancelledError, DeadlineError: ``work`` was stopped while a pipe had nothing to read.
        BaseException: whatever reading it raises.
    """
    if isinstance(source, str | os.PathLike):
        with _open_unbuffered(source) as file:
            yield from _read(file, work)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield from cut(source)
    elif hasattr(source, "read"):
        yield from _read(source, work)
    else:
        parts = iter(source)
        try:
            for part in parts:
                yield from cut(part)
        finally:
            if isinstance(parts, Generator):
                parts.close()  # here, in the thread that runs it, whoever still holds it


def cut(part: Any) -> Iterator[bytes]:
    """Yield ``part`` of a source in pieces of at most ``CHUNK_BYTES``.

    Raises:
        TypeError: it is not bytes.
    """
    if not isinstance(part, bytes | bytearray | memoryview):
        raise TypeError(f"the source gave {type(part).__name__} where bytes are needed; open files in binary mode")
    view = memoryview(part).cast("B")
    for start in range(0, len(view), CHUNK_BYTES):
        yield bytes(view[start : start + CHUNK_BYTES])


def _open_unbuffered(path: str | os.PathLike[str]) -> io.FileIO:
    """Open a file or pipe; of a named pipe a writer is not waited for here, but where it is read."""
    return io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _read(file: Any, work: Work) -> Iterator[bytes]:
    read = getattr(file, "read1", file.read)  # gives what a pipe has now rather than waiting for a full chunk
    descriptor = _descriptor(file)
    if descriptor is not None and isinstance(file, io.RawIOBase):
        _wait(descriptor, work)  # a buffered one may hold some already, which was read by somebody else
    while data := read(CHUNK_BYTES):
        yield from cut(data)
        if descriptor is not None:
            _wait(descriptor, work)
    if data is None:
        raise BlockingIOError("the source has nothing to read now and does not wait; make it blocking")
    yield from cut(data)  # no bytes, unless it is text


def _descriptor(file: Any) -> int | None:
    """Return the descriptor of a plain file, whose bytes wait nowhere but there; None for other objects."""
    raw = file.raw if isinstance(file, io.BufferedReader) else file
    return raw.fileno() if isinstance(raw, io.FileIO) else None


def _wait(descriptor: int, work: Work) -> None:
    """Wait until there is something to read, or the end; without holding locks of the file, which exiting would want.

    Raises:
        CancelledError, DeadlineError: the work is to stop.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not poll.poll(_LOOK_MILLISECONDS):
        work.control.check()


def refuse_unreadable(source: Source) -> None:
    """Return unless ``source`` is a path of something that cannot be opened, which is known without waiting.

    Raises:
        OSError: it is.
    """
    if isinstance(source, str | os.PathLike) and _is_regular(source):
        Path(source).open("rb").close()


@contextmanager
def opened(source: Source, work: Work) -> Iterator[BinaryIO]:
    """Open ``source`` as a file: what can be sought in place, all else through a pipe that a thread of its own fills.

    A thread of its own, so that a source that waits for ever holds up nobody: the pipe's reader notices deadlines and
    cancellation.

    Raises:
        OSError: a path cannot be opened.
    """
    if isinstance(source, Pipe):
        yield cast(BinaryIO, source)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike) and _is_regular(source):
        with Path(source).open("rb") as file:
            yield cast(BinaryIO, _InPlace(file, work))
    elif not isinstance(source, str | os.PathLike) and _can_seek(source):
        yield cast(BinaryIO, _InPlace(source, work))
    else:
        with _pumped(pieces_of(source, work), work) as pipe:
            yield cast(BinaryIO, pipe)


def _is_regular(path: str | os.PathLike[str]) -> bool:
    """Return False for pipes and devices: opening them may wait. What is not there at all counts as a file."""
    return Path(path).is_file() or not Path(path).exists() or Path(path).is_dir()


def _can_seek(source: Any) -> bool:
    seekable = getattr(source, "seekable", None)
    return bool(seekable and seekable() and isinstance(source.read(0), bytes))  # not a file opened as text


class _InPlace(io.RawIOBase):
    """A file that can be sought, from where it stood; what it raises is told to the call's work first."""

    def __init__(self, file: Any, work: Work) -> None:
        self._file = file
        self._work = work
        self._start: int = file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        with self._work.callers():
            return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        with self._work.callers():
            from_here = self._start if whence == os.SEEK_SET else 0
            position: int = self._file.seek(from_here + offset, whence)
            return position - self._start

    def tell(self) -> int:
        with self._work.callers():
            position: int = self._file.tell()
            return position - self._start


@contextmanager
def _pumped(pieces: Generator[bytes], work: Work) -> Iterator[Pipe]:
    pipe = Pipe(work.control)

    def pump() -> None:
        with work.callers(pass_on=False), closing(pieces):
            for piece in pieces:
                if not pipe.put(piece):
                    return
            pipe.finish()

    threading.Thread(target=pump, name="cmvc-source", daemon=True).start()
    try:
        yield pipe
    finally:
        pipe.abandon()
