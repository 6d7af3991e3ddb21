"""Inputs of every kind as something FFmpeg can read.

FFmpeg gets nothing but an object to read from: it opens no path or address by itself, so that a playlist or an
extension cannot make it read anything else.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from cmvc.errors import MediaError
from cmvc.limits import Limits
from cmvc.media import webp
from cmvc.media.spool import Check, Source, copy, index_comes_last

Spool = Callable[[], BinaryIO]


@contextmanager
def open_source(
    source: str | Path | BinaryIO, limits: Limits, check: Check, spool: Spool = tempfile.TemporaryFile
) -> Iterator[Source]:
    """Open ``source``.

    What cannot seek and has to, and what FFmpeg has to be given in another form, goes to a temporary file first.

    Args:
        source: path of a file, or a binary file object, which stays open.
        limits: bounds the temporary file.
        check: asked before each piece that is read; raises to stop the work.
        spool: makes the temporary file; called once at most.

    Raises:
        MediaError: the file cannot be opened, there is nothing in it, or it is damaged.
        LimitError: the temporary file would grow beyond ``limits.spool_bytes``, or its pictures are too large.
    """
    with ExitStack() as stack:
        file = stack.enter_context(open_path(Path(source))) if isinstance(source, (str, Path)) else source
        opened = Source(file, can_rewind=can_seek(file), check=check)
        if not opened.head(1):
            raise MediaError("the input is empty; give a video file")
        if webp.is_animated(opened.head(webp.HEAD_BYTES)):
            unrolled = stack.enter_context(spool())
            webp.unroll(opened, unrolled, limits, check)
            opened = Source(unrolled, can_rewind=True, check=check)
        elif not opened.can_rewind and index_comes_last(opened):
            spooled = stack.enter_context(spool())
            copy(opened, spooled, limits)
            opened = Source(spooled, can_rewind=True, check=check)
        yield opened


def open_path(path: Path) -> BinaryIO:
    """Open a file to be read, without a buffer.

    Raises:
        MediaError: it cannot be opened.
    """
    try:
        return path.open("rb", buffering=0)  # a pipe gives what it has
    except OSError as error:
        raise MediaError(f"cannot open {path}: {error.strerror}; check the path") from None


def can_seek(source: BinaryIO) -> bool:
    """Return whether a file can be read again."""
    seekable = getattr(source, "seekable", None)
    return seekable is not None and bool(seekable())
