"""Files that are whole or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NAME_BYTES = 100  # some file systems take no more than 143


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open ``path`` for writing under a temporary name beside it, and rename it once the block has ended well.

    Whatever ends the block otherwise (Ctrl-C too) removes the temporary file, and a file that stood there before
    stays as it was. A pipe or device is written to directly.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    temporary = target.with_name(f".{_beginning(target.name)}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _beginning(name: str) -> str:
    """Return as much of a file's name as leaves room for more in one that a file system takes."""
    return os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
