"""CMVC streams where other commands take videos: decoded as they are read."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from cmvc.bitstream.packets import MAGIC
from cmvc.client import Client
from cmvc.settings import decode_config


def is_stream(name: str) -> bool:
    """Return whether a file starts as a CMVC stream does.

    Raises:
        OSError: it cannot be read.
    """
    with Path(name).open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def as_video(name: str, client: Client) -> Iterator[str | BinaryIO]:
    """Return what to read the pictures of a file from: itself, or raw pictures where it is a CMVC stream.

    Raises:
        OSError: it cannot be read.
    """
    if not is_stream(name):
        yield name
        return
    with client.decode_stream(name, decode_config(output="y4m")) as pieces:
        yield cast(BinaryIO, io.BufferedReader(_Pieces(iter(pieces))))


class _Pieces(io.RawIOBase):
    """A file of bytes that come in pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview", /) -> int:  # type: ignore[override]  # what BufferedReader gives
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count
