"""Where many inputs come from and many outputs go: folders here, or in object storage.

Names in a folder are relative to it, with ``/`` between. Object storage is what fsspec opens (``cmvc[storage]``):
``s3://``, ``gs://``, ``memory://``; ``file://`` and plain paths need nothing.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from cmvc.errors import MissingServiceError
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
        return sorted(path.as_posix() for path in found if not _hidden(path.parts))

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
            return _digest(file)

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


class StoredFolder:
    """A folder in object storage. Objects are there once they are whole: stores see to that."""

    def __init__(self, files: Any, root: str) -> None:
        """Take a file system of fsspec, and a path in it."""
        self._files, self._root = files, root.rstrip("/")

    def names(self) -> list[str]:
        """See ``Folder``."""
        found = (PurePosixPath(path).relative_to(PurePosixPath(self._root)) for path in self._files.find(self._root))
        return sorted(str(path) for path in found if not _hidden(path.parts))

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """See ``Folder``."""
        with tempfile.TemporaryDirectory(prefix="cmvc-") as folder:
            path = Path(folder) / PurePosixPath(name).name
            self._files.get_file(self._path(name), str(path))
            yield path

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """See ``Folder``."""
        with tempfile.TemporaryDirectory(prefix="cmvc-") as folder:
            path = Path(folder) / PurePosixPath(name).name
            yield path
            with path.open("rb") as made, self._open_to_write(name) as file:
                shutil.copyfileobj(made, file)

    def digest(self, name: str) -> str | None:
        """See ``Folder``."""
        if not self._files.isfile(self._path(name)):
            return None
        with self._files.open(self._path(name), "rb") as file:
            return _digest(file)

    def read(self, name: str, most: int) -> bytes | None:
        """See ``Folder``."""
        if not self._files.isfile(self._path(name)):
            return None
        with self._files.open(self._path(name), "rb") as file:
            return bytes(file.read(most))

    def write(self, name: str, data: bytes) -> None:
        """See ``Folder``."""
        with self._open_to_write(name) as file:
            file.write(data)

    def _open_to_write(self, name: str) -> Any:
        path = self._path(name)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return self._files.open(path, "wb")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def open_folder(place: str) -> Folder:
    """Return the folder at a path or address.

    Raises:
        MissingServiceError: fsspec is not installed, or not what it needs for this kind of address.
    """
    if "://" not in place:
        return LocalFolder(Path(place))
    parts = urlsplit(place)
    if parts.scheme == "file":
        return LocalFolder(Path(unquote(parts.path)))
    return StoredFolder(*_stored(place))


def find_inputs(place: str, endings: frozenset[str]) -> tuple[Folder, list[str]]:
    """Return the folder that a path or address of a file or folder is about, and the names in it that are meant.

    Args:
        place: of a file, which is meant whatever its ending; or of a folder, all of which is.
        endings: of the files that are meant in a folder, in small letters.

    Raises:
        FileNotFoundError: there is nothing.
        MissingServiceError: see ``open_folder``.
    """
    above, _, name = place.rstrip("/").rpartition("/")
    if _is_file(place):
        return open_folder(above or ("/" if place.startswith("/") else ".")), [name]
    folder = open_folder(place)
    names = [each for each in folder.names() if PurePosixPath(each).suffix.lower() in endings]
    if not names:
        raise FileNotFoundError(2, f"no file with an ending that is known ({', '.join(sorted(endings))})", place)
    return folder, names


def _is_file(place: str) -> bool:
    if "://" not in place or place.startswith("file://"):
        path = Path(unquote(urlsplit(place).path)) if "://" in place else Path(place)
        if not path.exists():
            raise FileNotFoundError(2, "No such file or directory", place)
        return path.is_file()
    files, path_there = _stored(place)
    if not files.exists(path_there):
        raise FileNotFoundError(2, "there is nothing", place)
    return bool(files.isfile(path_there))


def _stored(place: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra

        files, path = url_to_fs(place)
    except (ImportError, ValueError) as error:  # ValueError: a scheme that it does not know
        raise MissingServiceError(
            f"{place} cannot be opened: {error}; in a checkout run: pip install '.[storage]'"
        ) from None
    return files, str(path)


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts)


def _digest(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while data := file.read(_HASH_BYTES):
        found.update(data)
    return found.hexdigest()
