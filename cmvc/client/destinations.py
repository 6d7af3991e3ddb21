"""Where a caller wants the bytes to go."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from cmvc.errors import OutputIsInputError
from cmvc.files import is_special, whole_file

Destination = str | Path | BinaryIO


@contextmanager
def open_destination(destination: Destination, source: Any, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open ``destination`` for writing; a path is there only once the block has ended well.

    Raises:
        OutputIsInputError: it is the file that ``source`` is read from, by whichever name.
        OutputExistsError: a file stands there, and ``overwrite`` is not set.
        OSError: it cannot be written.
    """
    refuse_the_source(destination, source)
    if isinstance(destination, str | Path):
        if str(destination).endswith(os.sep):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(destination))
        with whole_file(destination, overwrite=overwrite) as file:
            yield file
    else:
        yield destination


def refuse_the_source(destination: Any, source: Any) -> None:
    """Return unless both are the same file: by links, paths in ``/proc`` and open descriptors, too.

    Raises:
        OutputIsInputError: they are.
    """
    written = _identity(destination)
    if written is not None and written == _identity(source):
        name = destination if isinstance(destination, str | os.PathLike) else "standard output"
        raise OutputIsInputError(f"{name} is the input itself; choose another name for the output")


def _identity(thing: Any) -> tuple[int, int] | None:
    """Return what tells a file from all others; None for what is none."""
    with suppress(OSError, ValueError, AttributeError, TypeError):  # not there, or no file at all
        found = os.stat(thing) if isinstance(thing, str | os.PathLike) else os.fstat(thing.fileno())  # noqa: PTH116
        if stat.S_ISREG(found.st_mode):
            return found.st_dev, found.st_ino
    return None


def name_of(destination: Destination) -> str:
    """Return the path whose ending says what is to be written, "" for what has none, such as a file object."""
    if not isinstance(destination, str | Path) or is_special(destination) or Path(destination).is_dir():
        return ""
    return str(destination)
