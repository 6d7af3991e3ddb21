"""Stored streams as video: decoded once, when somebody watches, for everybody who does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cmvc.client import AsyncClient
from cmvc.errors import CancelledError, CmvcError
from cmvc.server import telemetry
from cmvc.server.slots import Slots
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_web.store import Result
from cmvc_web.video import Video

_CONFIG = decoder_pb2.DecodeConfig(format=decoder_pb2.OUTPUT_FORMAT_FMP4_EVEN)  # browsers take no 4:4:4
# How long an unfinished decode goes on without a viewer: those of a playlist, or of parts of the file, come and go; one
# who reads it as it is made has closed the page, or comes back at once after a cut connection.
COMING_SECONDS, GONE_SECONDS = 10.0, 1.0
_LOOK_SECONDS = 0.5


class Decodes:
    """Decodes under way."""

    def __init__(self, client: AsyncClient, slots: Slots) -> None:
        """Decode by ``client``, as many as ``slots`` let in."""
        self._client = client
        self._slots = slots
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def watched(self, result: Result, token: str, linger: float) -> AsyncIterator[Video]:
        """Watch a result's video for the length of the block; it is decoded, with ``token``, unless it is or was.

        ``linger`` seconds after the last viewer has left, an unfinished decode is cancelled.
        """
        video = result.video
        if video is None or video.file.error:
            video = result.video = Video(result.begin(result.video_path))
            task = asyncio.create_task(self._decode(result, video, token))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        video.viewers += 1
        try:
            with result.held():
                yield video
        finally:
            video.viewers -= 1
            video.wanted_until = max(video.wanted_until, time.monotonic() + linger)

    async def _decode(self, result: Result, video: Video, token: str) -> None:
        work = asyncio.create_task(self._work(result, video, token))
        try:
            with result.held():
                while not work.done():
                    await asyncio.wait([work], timeout=_LOOK_SECONDS)
                    if not video.viewers and time.monotonic() > video.wanted_until:
                        work.cancel()
        finally:
            work.cancel()
            await asyncio.wait([work])
            if not video.file.ended:
                video.file.fail(CancelledError("nobody watches any more; ask again"))
            video.end()

    async def _work(self, result: Result, video: Video, token: str) -> None:
        try:
            async with self._slots.take(result.tenant):
                await self._fill(result, video, token)
            video.file.finish()
        except CmvcError as error:
            video.file.fail(error)

    async def _fill(self, result: Result, video: Video, token: str) -> None:
        growing = result.stream if result.stream and not result.stream.ended else None
        source = growing.follow() if growing else result.stream_path
        clock = telemetry.RequestClock("decode")

        def note(progress: common_pb2.Progress) -> None:
            video.seconds = progress.seconds_done

        async with self._client.decode_stream(source, _CONFIG, progress=note, token=token) as transfer:
            async for data in transfer:
                clock.output()
                video.write(data)
        clock.done(video.seconds)

    async def close(self) -> None:
        """Stop all."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
