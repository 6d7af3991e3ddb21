"""Room for bytes that all streams of a gateway share."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

_LOOK_SECONDS = 0.2  # between two looks at whether what waits has become the next to be sent


class Room:
    """So many bytes, of which half are kept for what has to come next in its stream.

    What stands first in a stream can always go on once others like it have; what was made ahead of time cannot keep it
    from that.
    """

    def __init__(self, size: int) -> None:
        """Have ``size`` bytes."""
        self.size = size
        self.left = size
        self._freed = asyncio.Event()

    async def take(self, size: int, is_next: Callable[[], bool]) -> None:
        """Wait for ``size`` bytes and take them; ``is_next`` says whether nothing of its stream stands before it."""
        while size > self.left - (0 if is_next() else self.size // 2):
            self._freed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._freed.wait()
        self.left -= size

    def take_now(self, size: int) -> bool:
        """Take ``size`` bytes where that leaves the half that is kept; return whether it did."""
        if size > self.left - self.size // 2:
            return False
        self.left -= size
        return True

    def give(self, size: int) -> None:
        """Give ``size`` bytes back."""
        self.left += size
        self._freed.set()
