"""Bodies of requests: to disk as fast as they come, so that a caller who leaves is noticed at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive

from cmvc.control import Control
from cmvc.errors import CancelledError, CmvcError, IdleError, InvalidSettingError, LimitError
from cmvc_web.growing import GrowingFile
from cmvc_web.store import Result


class Upload:
    """One body, which others follow as ``file`` while it comes."""

    def __init__(
        self, receive: Receive, result: Result, control: Control, most_bytes: int, idle_s: float, *, least_pace: int
    ) -> None:
        """Take the body of a request.

        Args:
            receive: of the request.
            result: among whose files it lies while it is needed.
            control: cancelled when the caller leaves, whether the body has come or not.
            most_bytes: more is refused.
            idle_s: seconds that nothing may come.
            least_pace: bytes a second that have to come over so long.
        """
        self.file: GrowingFile = result.begin(result.folder / "upload")
        self._receive = receive
        self._control = control
        self._most_bytes = most_bytes
        self._idle_s = idle_s
        self._least_pace = least_pace
        self._looked, self._size_then = time.monotonic(), 0  # at the pace, last

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        """Take the body for the length of the block, and watch out for the caller leaving."""
        task = asyncio.create_task(self._take())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self.file.drop()

    async def _take(self) -> None:
        try:
            while await self._piece():
                pass
        except CmvcError as error:
            self.file.fail(error)
            return
        except OSError as error:
            self.file.fail(CmvcError(f"the server cannot keep what is sent: {error.strerror}; its log says more"))
            raise
        if not self.file.size:
            self.file.fail(InvalidSettingError("the request has no body; send the file as it"))
            return
        self.file.finish()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._control.cancel()

    async def _piece(self) -> bool:
        """Take the next piece and return whether there is more."""
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._receive()
        except TimeoutError:
            raise IdleError(f"nothing was sent for {self._idle_s:g} s; send it again") from None
        if message["type"] == "http.disconnect":
            self._control.cancel()
            raise CancelledError("the caller left")
        body = message.get("body", b"")
        if self.file.size + len(body) > self._most_bytes:
            raise LimitError(
                f"the file has more than {self._most_bytes >> 20} MiB, the limit here; send a shorter or smaller one"
            )
        if body:
            self.file.write(body)
        more = bool(message.get("more_body", False))
        if more:
            self._look_at_the_pace()
        return more

    def _look_at_the_pace(self) -> None:
        seconds = time.monotonic() - self._looked
        if seconds < self._idle_s:
            return
        came = self.file.size - self._size_then
        if came < self._least_pace * seconds:
            raise IdleError(
                f"{came} bytes were sent in {seconds:.0f} s, less than {self._least_pace} a second; send it faster"
            )
        self._looked, self._size_then = time.monotonic(), self.file.size
