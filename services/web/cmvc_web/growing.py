"""A file that one task writes while any number of others read it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from cmvc.errors import CmvcError

PIECE_BYTES = 256 << 10


class Changes:
    """Wakes everybody who waits for the next change; belongs to one event loop."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Wait until something changes."""
        await self._next.wait()


class GrowingFile:
    """A file under a temporary name until it is whole.

    Attributes:
        path: where it will stand.
        size: bytes so far.
        ended: whether nothing more comes.
        error: why it will never be whole, if so.
    """

    def __init__(self, path: Path, reserve: Callable[[int], None]) -> None:
        """Begin an empty file.

        Args:
            path: to write.
            reserve: is told how many bytes come, before they are written, and raises where there is no room; below 0
                it is told how many are gone.
        """
        self.path = path
        self.size = 0
        self.ended = False
        self.error: CmvcError | None = None
        self._reserve = reserve
        self._part = path.with_name(path.name + ".part")
        self._file = self._part.open("w+b", buffering=0)
        self._changes = Changes()

    def write(self, data: bytes) -> None:
        """Append ``data``.

        Raises:
            OverloadedError: there is no room for it.
            OSError: it cannot be written.
        """
        self._reserve(len(data))
        self._file.write(data)
        self.size += len(data)
        self._changes.tell()

    def finish(self) -> None:
        """Give the file its name: it is whole."""
        self._part.replace(self.path)
        self._end()

    def fail(self, error: CmvcError) -> None:
        """Drop the file; whoever follows it is given ``error``."""
        self.error = error
        self.drop()

    def drop(self) -> None:
        """Remove the file; whoever follows it reads on to its end."""
        self._part.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self._reserve(-self.size)
        self._end()

    def _end(self) -> None:
        self._file.close()
        self.ended = True
        self._changes.tell()

    async def reach(self, size: int) -> None:
        """Wait until there are so many bytes, or no more come.

        Raises:
            CmvcError: as ``fail`` was given.
        """
        while self.size < size and not self.ended:
            await self._changes.wait()
        if self.error:
            raise self.error

    async def follow(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the bytes from ``start`` on, up to ``stop`` or the end, as they come.

        Raises:
            CmvcError: as ``fail`` was given.
            FileNotFoundError: it has been removed.
        """
        await self.reach(0)
        descriptor = os.open(self.path if self.ended else self._part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while stop is None or start < stop:
                await self.reach(start + 1)
                wanted = PIECE_BYTES if stop is None else min(PIECE_BYTES, stop - start)
                data = os.pread(descriptor, wanted, start)
                if not data:
                    return
                start += len(data)
                yield data
        finally:
            os.close(descriptor)
