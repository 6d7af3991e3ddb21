"""Where a caller wants the bytes to go."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cmvc.files import whole_file

Destination = str | Path | BinaryIO


@contextmanager
def open_destination(destination: Destination) -> Iterator[BinaryIO]:
    """Open ``destination`` for writing; a path is there only once the block has ended well.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(destination, str | Path):
        with whole_file(destination) as file:
            yield file
    else:
        yield destination


def name_of(destination: Destination) -> str:
    """Return the path, "" for a file object."""
    return str(destination) if isinstance(destination, str | Path) else ""
