"""Decoded segments on their way to the client: in memory while that is bounded, in temporary files beyond.

The files are bounded, too: whoever cannot write waits, and with it, by flow control, the decoder that sends.
"""

import asyncio
import tempfile
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from cmvc.errors import LimitError, OverloadedError
from cmvc.v1 import common_pb2
from cmvc.wire.transfer import CHUNK_BYTES, make_chunk
from cmvc_gateway.room import Room

BUDGET_BYTES = 64 << 20
HOLD_SECONDS = 10.0  # that a result waits for room; a decoder gives up on a gateway that does not read later than that
Sized = tuple[common_pb2.Chunk, int]


class Budget:
    """Bytes that all results together may hold in memory."""

    def __init__(self, size: int = BUDGET_BYTES) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        """Take ``size`` bytes if there are as many."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give(self, size: int) -> None:
        """Give ``size`` bytes back."""
        self.left += size


class NoRoomError(OverloadedError):
    """There is no room to keep a result in, and there was none for a while."""


@dataclass(frozen=True)
class Stores:
    """Where results are kept: ``memory`` while that lasts, temporary files within ``disk``."""

    memory: Budget
    disk: Room


def always() -> bool:
    """Say that a result is the next to be sent."""
    return True


class Result:
    """The output of one segment.

    Attributes:
        prologue: what stands before the first segment of the output.
        frames: how many it has; set once it is whole.
        size: bytes of it, without the prologue.
        tail: what the next segment goes on from; empty where it does not.
        notes: what the user should know of it.
    """

    def __init__(self, stores: Stores, is_next: Callable[[], bool] = always) -> None:
        """Be empty; ``is_next`` says whether it is the next to be sent to its client."""
        self._budget, self._disk = stores.memory, stores.disk
        self._is_next = is_next
        self._filed = 0  # bytes in the file
        # With their sizes: asking a message for its bytes copies them.
        self._chunks: deque[Sized] = deque()
        self._file: IO[bytes] | None = None
        self.prologue = self.tail = b""
        self.notes: list[str] = []
        self.frames = 0
        self.size = 0

    async def add(self, chunk: common_pb2.Chunk, size: int) -> None:
        """Append the next ``size`` bytes. Once over the budget, they and all later ones go to a temporary file.

        Raises:
            NoRoomError: there is no room for them, and there was none for ``HOLD_SECONDS``.
            LimitError: there never will be.
        """
        self.size += size
        if self._file is None and self._budget.take(size):
            self._chunks.append((chunk, size))
            return
        await self._file_room(size)
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="cmvc-")  # noqa: SIM115 - closed by ``drop``
        await asyncio.to_thread(self._file.write, chunk.data)

    async def _file_room(self, size: int) -> None:
        if self.size > self._disk.size:
            raise LimitError(too_large(self.size, self._disk.size))
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await self._disk.take(size, self._is_next)
        except TimeoutError:
            raise NoRoomError(
                f"the {self._disk.size >> 20} MiB for segments that wait for their clients are full; try again later, "
                "or give the gateway more with --spool-mib",
                retry_after_s=HOLD_SECONDS,
            ) from None
        self._filed += size

    @property
    def is_filed(self) -> bool:
        """Whether some of it is in a file."""
        return self._file is not None

    def in_memory(self) -> tuple[Sized, ...] | None:
        """Return all chunks, or None where some are in a file."""
        return tuple(self._chunks) if self._file is None else None

    def chunks(self) -> Iterator[common_pb2.Chunk]:
        """Yield all of it in order, once, giving memory back on the way."""
        while self._chunks:
            chunk, size = self._chunks.popleft()
            self._budget.give(size)
            yield chunk
        if self._file is not None:
            self._file.seek(0)
            while data := self._file.read(CHUNK_BYTES):
                yield make_chunk(data)

    def drop(self) -> None:
        """Let go of everything; harmless when done twice."""
        while self._chunks:
            self._budget.give(self._chunks.popleft()[1])
        if self._file is not None:
            self._file.close()
            self._file = None
            self._disk.give(self._filed)
            self._filed = 0


def too_large(size: int, room: int) -> str:
    """Return what to say of a segment whose output has ``size`` bytes or more where there is ``room`` for it."""
    return (
        f"the output of a segment has {size >> 20} MiB or more, over the {room >> 20} MiB that the gateway keeps "
        "(--spool-mib); ask for fragmented MP4, or decode without a gateway"
    )


@dataclass(frozen=True)
class _Entry:
    prologue: bytes
    tail: bytes
    notes: tuple[str, ...]
    frames: int
    size: int
    chunks: tuple[Sized, ...]


class Cache:
    """Results by the SHA-256 of the work that they answer; the least recently used is forgotten first."""

    def __init__(self, size: int) -> None:
        """Hold at most ``size`` bytes, what is beside the data included; 0 holds nothing."""
        self._size = size
        self._held = 0
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    async def get(self, key: bytes, stores: Stores, is_next: Callable[[], bool] = always) -> Result | None:
        """Return a result as if it had just been made, None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        result = Result(stores, is_next)
        result.prologue, result.tail, result.frames = entry.prologue, entry.tail, entry.frames
        result.notes += entry.notes
        for chunk, size in entry.chunks:
            await result.add(chunk, size)
        return result

    def put(self, key: bytes, result: Result) -> None:
        """Keep a whole result, where it fits."""
        chunks = result.in_memory()
        size = result.size + len(result.tail) + len(result.prologue) + sum(map(len, result.notes))
        if chunks is None or size > self._size or key in self._entries:
            return
        self._entries[key] = _Entry(result.prologue, result.tail, tuple(result.notes), result.frames, size, chunks)
        self._held += size
        while self._held > self._size:
            _, old = self._entries.popitem(last=False)
            self._held -= old.size
