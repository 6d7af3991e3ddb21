"""Admission: how much work a service takes on at once, and how much may wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cmvc.errors import OverloadedError
from cmvc.server import telemetry


class Slots:
    """Lets ``running`` callers in at a time and ``waiting`` more wait; refuses the rest."""

    def __init__(self, running: int, waiting: int = 0, per_tenant: int | None = None) -> None:
        """Keep the bounds. ``per_tenant`` bounds what one tenant may have running and waiting; None: no bound."""
        self._bound = running + waiting
        self._running = running
        self._per_tenant = per_tenant
        self._free = asyncio.Semaphore(running)
        self._held = 0
        self._of_tenant: Counter[str] = Counter()

    @asynccontextmanager
    async def take(self, tenant: str = "") -> AsyncIterator[None]:
        """Hold one slot for the length of the block.

        Raises:
            OverloadedError: as many callers as there may be are in already, of this tenant or in all.
        """
        async with self.line(tenant) as turn:
            await turn.come()
            yield

    @asynccontextmanager
    async def line(self, tenant: str = "") -> AsyncIterator["Turn"]:
        """Stand in line for a slot, and hold it once its turn has come, for the length of the block.

        Raises:
            OverloadedError: see ``take``.
        """
        if self._held >= self._bound:
            raise OverloadedError(
                f"{self._held} requests are in work or waiting, which is the limit here; try again in a second"
            )
        if self._per_tenant is not None and self._of_tenant[tenant] >= self._per_tenant:
            raise OverloadedError(f"this caller has {self._per_tenant} requests in work, its limit; let one finish")
        self._held += 1
        self._of_tenant[tenant] += 1
        turn = Turn(self._free)
        try:
            yield turn
        finally:
            turn.leave()
            self._held -= 1
            self._of_tenant[tenant] -= 1
            if not self._of_tenant[tenant]:
                del self._of_tenant[tenant]


class Turn:
    """A place in the line for a slot; it is kept however often one looks whether it has come."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        """Stand in line."""
        self._free = free
        self._coming = asyncio.create_task(free.acquire())
        telemetry.QUEUE_DEPTH.inc()
        self._coming.add_done_callback(lambda _: telemetry.QUEUE_DEPTH.dec())

    async def come(self, seconds: float | None = None) -> bool:
        """Wait for the slot, at most ``seconds``, and return whether it has come."""
        await asyncio.wait([self._coming], timeout=seconds)
        return self._coming.done()

    def leave(self) -> None:
        """Give the slot back, or leave the line."""
        self._coming.cancel()  # nothing where it has come
        self._coming.add_done_callback(self._give_back)

    def _give_back(self, coming: "asyncio.Task[bool]") -> None:
        if not coming.cancelled():
            self._free.release()
