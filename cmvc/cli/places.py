"""Where many inputs come from and many outputs go: paths and addresses of files and folders.

Object storage is what fsspec opens (``cmvc[storage]``): ``s3://``, ``gs://``, ``memory://``; ``file://`` and plain
paths need nothing.
"""

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cmvc.cli.folders import Folder, LocalFolder
from cmvc.cli.storage import StoredFolder, is_stored_file


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
    return StoredFolder(place)


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
    return is_stored_file(place)
