"""Folders in object storage, as fsspec opens them (``cmvc[storage]``)."""

import logging
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from cmvc.cli.folders import digest_of, is_hidden
from cmvc.errors import BackendUnavailableError, MissingServiceError
from cmvc.plain import one_line

# What the clients of storages raise that is no OSError, such as where nobody answers or credentials are missing.
_FAILURES = (
    ("botocore.exceptions", "BotoCoreError"),
    ("aiohttp", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
)
_TALKATIVE = ("gcsfs", "google.auth")  # log what they try again to standard error, in many lines


class StoredFolder:
    """A folder in object storage. Objects are there once they are whole: stores see to that."""

    def __init__(self, place: str) -> None:
        """Open the folder at an address.

        Raises:
            MissingServiceError: fsspec is not installed, or not what it needs for this kind of address.
        """
        self._place = place
        self._files, root = _opened(place)
        self._root = root.rstrip("/")

    def names(self) -> list[str]:
        """See ``cmvc.cli.folders.Folder``."""
        with _asked(self._place):
            found = self._files.find(self._root)
        names = (PurePosixPath(path).relative_to(PurePosixPath(self._root)) for path in found)
        return sorted(str(path) for path in names if not is_hidden(path.parts))

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """See ``cmvc.cli.folders.Folder``."""
        with tempfile.TemporaryDirectory(prefix="cmvc-") as folder:
            path = Path(folder) / PurePosixPath(name).name
            with _asked(self._place):
                self._files.get_file(self._path(name), str(path))
            yield path

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """See ``cmvc.cli.folders.Folder``."""
        with tempfile.TemporaryDirectory(prefix="cmvc-") as folder:
            path = Path(folder) / PurePosixPath(name).name
            yield path
            with path.open("rb") as made, self._opened_to_write(name) as file:
                shutil.copyfileobj(made, file)

    def digest(self, name: str) -> str | None:
        """See ``cmvc.cli.folders.Folder``."""
        with _asked(self._place):
            if not self._files.isfile(self._path(name)):
                return None
            with self._files.open(self._path(name), "rb") as file:
                return digest_of(file)

    def read(self, name: str, most: int) -> bytes | None:
        """See ``cmvc.cli.folders.Folder``."""
        with _asked(self._place):
            if not self._files.isfile(self._path(name)):
                return None
            with self._files.open(self._path(name), "rb") as file:
                return bytes(file.read(most))

    def write(self, name: str, data: bytes) -> None:
        """See ``cmvc.cli.folders.Folder``."""
        with self._opened_to_write(name) as file:
            file.write(data)

    @contextmanager
    def _opened_to_write(self, name: str) -> Iterator[Any]:
        path = self._path(name)
        with _asked(self._place):
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._files.open(path, "wb") as file:
                yield file

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def is_stored_file(place: str) -> bool:
    """Return whether an address is that of a file; else it is of a folder.

    Raises:
        FileNotFoundError: there is nothing.
        BackendUnavailableError: the storage does not answer, or not to us.
        MissingServiceError: see ``StoredFolder``.
    """
    files, path = _opened(place)
    with _asked(place):
        if not files.exists(path):
            raise FileNotFoundError(2, "there is nothing", place)
        return bool(files.isfile(path))


def _opened(place: str) -> tuple[Any, str]:
    for name in _TALKATIVE:
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra

        with _asked(place), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of Google's libraries, on what they will want of gRPC
            files, path = url_to_fs(place)
    except (ImportError, ValueError) as error:  # ValueError: a scheme that it does not know
        raise MissingServiceError(
            f"{place} cannot be opened: {error}; in a checkout run: pip install '.[storage]'"
        ) from None
    return files, str(path)


@contextmanager
def _asked(place: str) -> Iterator[None]:
    """Ask a storage something in the block.

    Raises:
        BackendUnavailableError: it does not answer, or not to us.
    """
    try:
        yield
    except _failures() as error:
        raise BackendUnavailableError(
            f"{place} cannot be reached: {one_line(str(error))}; check the address, and the credentials"
        ) from None


def _failures() -> tuple[type[Exception], ...]:
    """Return which exceptions say that a storage fails, by the clients that are loaded."""
    return tuple(getattr(sys.modules[module], name) for module, name in _FAILURES if module in sys.modules)
