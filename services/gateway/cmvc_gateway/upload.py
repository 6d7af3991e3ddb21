"""A video on its way to an encoder, kept meanwhile, so that another can be given it when the first one dies."""

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import IO

from cmvc.v1 import encoder_pb2
from cmvc_gateway.room import Room

AHEAD = 4  # requests taken in before an encoder has read those before them
Request = encoder_pb2.EncodeRequest
log = logging.getLogger(__name__)


class Upload:
    """The requests of a call, which can be read several times, one after the other, while ``whole`` holds.

    They lie in a temporary file. Where that would take more than half of the room that there is, it is given up: the
    video goes on to the encoder that has it, and to no other.
    """

    def __init__(self, requests: AsyncIterator[Request], room: Room) -> None:
        """Begin to take in ``requests``; their file counts in ``room``."""
        self._room = room
        self._file: IO[bytes] | None = tempfile.TemporaryFile(prefix="cmvc-", buffering=0)  # noqa: SIM115 - see ``close``
        self._kept = 0  # bytes in the file
        self._spans: list[tuple[int, int]] = []  # place and size of each request in the file
        self._read = 0  # of these, by whoever reads now
        self._handed: Request | None = None  # one that is not in the file, for whoever reads now
        self._over = False
        self._changed = asyncio.Condition()
        self._taking = asyncio.create_task(self._take_in(requests))

    @property
    def whole(self) -> bool:
        """Whether all that has come is in the file."""
        return self._file is not None

    async def read(self) -> AsyncIterator[Request]:
        """Yield the requests from the first on.

        Raises:
            CmvcError: the caller's, as it came.
        """
        self._read = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._read < len(self._spans) or self._handed or self._over)
            if self._read < len(self._spans):
                request = await self._from_file(*self._spans[self._read])
                self._read += 1
            elif self._handed:
                request, self._handed = self._handed, None
            else:
                break
            await self._tell()
            yield request
        await asyncio.shield(self._taking)  # which has ended, perhaps with an error

    async def close(self) -> None:
        """Take in no more, and let go of what is kept."""
        self._taking.cancel()
        await asyncio.wait([self._taking])
        if not self._taking.cancelled():
            self._taking.exception()  # was raised where somebody read; asking says so to asyncio
        self._give_up()

    async def _take_in(self, requests: AsyncIterator[Request]) -> None:
        try:
            async for request in requests:
                if not await self._keep(request):
                    await self._until(lambda: self._handed is None)
                    self._handed = request
                await self._tell()
        finally:
            self._over = True
            await self._tell()

    async def _keep(self, request: Request) -> bool:
        """Put a request into the file, once those before it have been read; return whether it is there."""
        if self._file is None:
            return False
        await self._until(lambda: len(self._spans) - self._read < AHEAD)
        data = request.SerializeToString()
        if self._room.take_now(len(data)):
            span, self._kept = (self._kept, len(data)), self._kept + len(data)
            try:
                await asyncio.to_thread(_write, self._file.fileno(), data, span[0])
            except OSError as error:
                log.warning("a video is not kept for another encoder: %s", error.strerror)
            else:
                self._spans.append(span)
                return True
        await self._until(lambda: self._read == len(self._spans))
        self._give_up()
        return False

    def _give_up(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._room.give(self._kept)
            self._spans.clear()
            self._read = 0

    async def _from_file(self, place: int, size: int) -> Request:
        assert self._file is not None
        return Request.FromString(await asyncio.to_thread(os.pread, self._file.fileno(), size, place))

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _write(descriptor: int, data: bytes, place: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, place)
        data, place = data[written:], place + written
