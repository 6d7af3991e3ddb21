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
        if self._held >= self._bound:
            raise OverloadedError(
                f"{self._held} requests are in work or waiting, which is the limit here; try again in a second"
            )
        if self._per_tenant is not None and self._of_tenant[tenant] >= self._per_tenant:
            raise OverloadedError(f"this caller has {self._per_tenant} requests in work, its limit; let one finish")
        self._held += 1
        self._of_tenant[tenant] += 1
        try:
            async with self._waiting():
                yield
        finally:
            self._held -= 1
            self._of_tenant[tenant] -= 1
            if not self._of_tenant[tenant]:
                del self._of_tenant[tenant]

    @asynccontextmanager
    async def _waiting(self) -> AsyncIterator[None]:
        telemetry.QUEUE_DEPTH.inc()
        try:
            await self._free.acquire()
        finally:
            telemetry.QUEUE_DEPTH.dec()
        try:
            yield
        finally:
            self._free.release()
