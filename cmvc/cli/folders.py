"""Folders of inputs and outputs: what is asked of one, and those of this machine.

Names in a folder are relative to it, with ``/`` between.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from cmvc.files import whole_file

_HASH_BYTES = 1 << 20


class Folder(Protocol):
    """A folder and what is below it."""

    def names(self) -> list[str]:
        """Return the names of the files in it, at any depth, in order; hidden ones are left out.

        Raises:
            OSError: it cannot be listed.
        """

    def local(self, name: str) -> "Any":
        """Return a context with the path of a file, which is a copy where it comes from elsewhere."""

    def written(self, name: str) -> "Any":
        """Return a context with a path; what is written to it is the file once the block has ended well."""

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of a file in hexadecimal digits, None where there is none."""

    def read(self, name: str, most: int) -> bytes | None:
        """Return a small file, at most its first ``most`` bytes; None where there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all."""


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """See ``Folder``."""
        found = (path.relative_to(self._root) for path in self._root.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if not is_hidden(path.parts))

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """See ``Folder``."""
        yield self._root / name

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """See ``Folder``; whoever writes gives the file its name when it is whole, as clients do."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path

    def digest(self, name: str) -> str | None:
        """See ``Folder``."""
        path = self._root / name
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return digest_of(file)

    def read(self, name: str, most: int) -> bytes | None:
        """See ``Folder``."""
        path = self._root / name
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(most)

    def write(self, name: str, data: bytes) -> None:
        """See ``Folder``."""
        with self.written(name) as path, whole_file(path) as file:
            file.write(data)


def is_hidden(parts: tuple[str, ...]) -> bool:
    """Return whether a path of these parts is of a hidden file, or in a hidden folder."""
    return any(part.startswith(".") for part in parts)


def digest_of(file: BinaryIO) -> str:
    """Return the SHA-256 of what is left of a file, in hexadecimal digits."""
    found = hashlib.sha256()
    while data := file.read(_HASH_BYTES):
        found.update(data)
    return found.hexdigest()
