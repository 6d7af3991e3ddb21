"""Whether the store still holds what was pulled, byte for byte."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmvc_decoder.weights.digests import Report, sha256_of
from cmvc_decoder.weights.store import MANIFEST, Manifest


@dataclass(frozen=True)
class Fault:
    """A file that is not as the manifest says.

    Attributes:
        path: of the file, in the store's folder.
        what: ``missing``, ``changed`` or ``extra``.
    """

    path: str
    what: str


def verify(folder: Path, manifest: Manifest, report: Report) -> Iterator[Fault]:
    """Read every file of a folder and yield what is wrong.

    Args:
        folder: of the weights.
        manifest: what it should hold.
        report: called with the bytes read, all together ``size_of(manifest)`` unless files are missing or longer.
    """
    for path, record in sorted(manifest.files.items()):
        file = folder / path
        if not file.is_file():
            yield Fault(path, "missing")
        elif file.stat().st_size != record.size or sha256_of(file, report) != record.sha256:
            yield Fault(path, "changed")
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        if file.is_file() and path not in manifest.files and path != MANIFEST:
            yield Fault(path, "extra")


def size_of(manifest: Manifest) -> int:
    """Return the bytes that a manifest names."""
    return sum(file.size for file in manifest.files.values())
