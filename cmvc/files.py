"""Files that are whole or not there."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cmvc.errors import OutputExistsError

_NAME_BYTES = 100  # some file systems take no more than 143
_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


@contextmanager
def whole_file(path: str | Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open ``path`` for writing under a temporary name beside it, and rename it once the block has ended well.

    Whatever ends the block otherwise (Ctrl-C too) removes the temporary file, and a file that stood there before
    stays as it was. What is no file in a folder (see ``is_special``) is written to directly.

    Args:
        path: to write.
        overwrite: whether a file that stands there is replaced.

    Raises:
        OutputExistsError: one does, before the block or after it, and may not be replaced.
        OSError: the file cannot be written.
    """
    target = Path(path).resolve()
    if is_special(path) or target.is_dir():
        with Path(path).open("wb") as file:
            yield file
        return
    if not overwrite and target.exists():
        raise _exists(path)
    temporary = target.with_name(f".{_beginning(target.name)}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        if overwrite:
            temporary.replace(target)
        else:
            _add(temporary, target, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_special(path: str | Path) -> bool:
    """Return whether ``path`` is that of a pipe or device, or names an open descriptor, such as ``/dev/stdout``."""
    if _DESCRIPTOR.fullmatch(str(path)):
        return True
    return Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()


def _add(temporary: Path, target: Path, path: str | Path) -> None:
    """Give a whole file its name, unless another has it by now."""
    with suppress(FileExistsError):
        try:
            target.hardlink_to(temporary)  # unlike a rename, this replaces nothing
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if not target.exists():
                temporary.replace(target)
                return
        else:
            return
    raise _exists(path)


def _exists(path: str | Path) -> OutputExistsError:
    return OutputExistsError(f"{path} is there already; add -y to replace it, or choose another name")


def _beginning(name: str) -> str:
    """Return as much of a file's name as leaves room for more in one that a file system takes."""
    return os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
