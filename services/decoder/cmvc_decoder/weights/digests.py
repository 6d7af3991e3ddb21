"""Checksums of files, and progress through their bytes."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK = 1 << 22  # 4 MiB: large enough for speed, small enough for a live progress bar

Report = Callable[[int], None]  # so many bytes more


def chunks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces of up to ``CHUNK`` bytes."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def sha256_of(path: Path, report: Report) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
        report(len(chunk))
    return digest.hexdigest()


def git_blob_of(path: Path) -> str:
    """Return the hash that git gives to a file's content, in hexadecimal."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)  # git's own choice
    for chunk in chunks(path):
        digest.update(chunk)
    return digest.hexdigest()
