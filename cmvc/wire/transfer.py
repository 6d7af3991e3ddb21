"""Byte streams in chunks: the one place that cuts, checks and reads them, for clients and servers alike."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import google_crc32c

from cmvc.errors import ChecksumError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.v1 import common_pb2

CHUNK_BYTES = 256 << 10  # large enough that a message costs nothing beside its bytes, small enough to flow
Source = str | Path | BinaryIO | Iterable[bytes]


def make_chunk(data: bytes) -> common_pb2.Chunk:
    """Return ``data`` (at most ``Limits.chunk_bytes``) with its checksum."""
    return common_pb2.Chunk(data=data, crc32c=google_crc32c.value(data))


def make_chunks(data: bytes) -> Iterator[common_pb2.Chunk]:
    """Yield ``data`` in pieces that fit a message."""
    if len(data) <= DEFAULT_LIMITS.chunk_bytes:
        yield make_chunk(data)
        return
    for start in range(0, len(data), CHUNK_BYTES):
        yield make_chunk(data[start : start + CHUNK_BYTES])


def checked(chunk: common_pb2.Chunk, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the chunk's bytes.

    Raises:
        ChecksumError: they are not what was sent.
        LimitError: they are too many.
    """
    data = chunk.data
    limits.check("chunk_bytes", len(data))
    if google_crc32c.value(data) != chunk.crc32c:
        raise ChecksumError(f"a chunk of {len(data)} bytes was damaged on its way; send it again")
    return data


class IteratorReader(io.RawIOBase):
    """Lets byte strings from an iterator be read as a file, front to back."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        if size < 0:
            return b"".join([bytes(self._rest), *self._parts])
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._rest = memoryview(part)
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """Open ``source`` for reading; close it again only if it was a path.

    Raises:
        OSError: the path cannot be opened.
    """
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            yield file
    else:
        yield cast(BinaryIO, source if hasattr(source, "read") else IteratorReader(source))


def read_chunks(file: BinaryIO) -> Iterator[common_pb2.Chunk]:
    """Yield the rest of ``file`` in chunks."""
    # read1 gives what a pipe has now rather than waiting for a full chunk.
    read = getattr(file, "read1", file.read)
    while data := read(CHUNK_BYTES):
        yield make_chunk(data)
