"""Admission: how much work a service takes on at once, and how much may wait."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cmvc.errors import OverloadedError
from cmvc.server import telemetry
from cmvc.server.quotas import held


class Turn:
    """A place in the line for a slot; it is kept however often one looks whether it has come."""

    def __init__(self, tenant: str) -> None:
        """Stand in line for ``tenant``."""
        self.tenant = tenant
        self._coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = 0.0

    async def come(self, seconds: float | None = None) -> bool:
        """Wait for the slot, at most ``seconds``, and return whether it has come.

        Raises:
            OverloadedError: the place went to somebody who has fewer.
        """
        await asyncio.wait([self._coming], timeout=seconds)
        if not self._coming.done():
            return False
        self._coming.result()
        return True

    @property
    def came(self) -> bool:
        """Whether it holds a slot."""
        return self._coming.done() and self._coming.exception() is None

    def begin(self) -> None:
        """Say that it has come."""
        self._began = time.monotonic()
        self._coming.set_result(None)

    @property
    def seconds(self) -> float:
        """How long it has held its slot."""
        return time.monotonic() - self._began

    def lose(self, error: OverloadedError) -> None:
        """Say that it never will, and why."""
        self._coming.set_exception(error)
        self._coming.exception()  # so that asyncio does not complain where nobody asks any more


class Slots:
    """Lets ``running`` callers in at a time and ``waiting`` more wait; refuses the rest.

    A slot that is free goes to the tenant that has fewest, and within a tenant in the order of arrival. Where the line
    is full, a tenant with fewer in it than another takes a place from that one, so that nobody keeps others out.
    """

    def __init__(self, running: int, waiting: int = 0, per_tenant: int | None = None, *, spare: int = 0) -> None:
        """Keep the bounds.

        Args:
            running: callers let in at a time.
            waiting: that may stand in line.
            per_tenant: bounds what one tenant may have running and waiting; None: no bound.
            spare: slots of which a tenant that has one already takes none, so that whoever comes need not wait for
                the end of somebody's call. Callers that nothing tells apart take them all.
        """
        self._free = running
        self._spare = min(spare, running - 1)
        self._waiting = waiting
        self._per_tenant = per_tenant
        self._line: list[Turn] = []
        self._in_work: Counter[str] = Counter()

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
    async def line(self, tenant: str = "") -> AsyncIterator[Turn]:
        """Stand in line for a slot, and hold it once its turn has come, for the length of the block.

        Raises:
            OverloadedError: see ``take``.
        """
        self._admit(tenant)
        turn = Turn(tenant)
        self._line.append(turn)
        telemetry.QUEUE_DEPTH.inc()
        self._hand_out()
        try:
            yield turn
        finally:
            self._leave(turn)

    def _admit(self, tenant: str) -> None:
        mine = sum(turn.tenant == tenant for turn in self._line)
        if self._per_tenant is not None and mine + self._in_work[tenant] >= self._per_tenant:
            raise OverloadedError(f"this caller has {self._per_tenant} requests in work, its limit; let one finish")
        if self._fits(tenant) or len(self._line) < self._waiting:
            return
        full = OverloadedError(
            f"{self._in_work.total() + len(self._line)} requests are in work or waiting, which is the limit here; "
            "try again in a second"
        )
        (greedy, most), *_ = Counter(turn.tenant for turn in self._line).most_common(1) or [("", 0)]
        if most <= mine + 1:
            raise full
        last = next(turn for turn in reversed(self._line) if turn.tenant == greedy)
        self._drop(last)
        last.lose(full)

    def _hand_out(self) -> None:
        while fit := [turn for turn in self._line if self._fits(turn.tenant)]:
            turn = min(fit, key=lambda each: self._in_work[each.tenant])  # of equals, who came first
            self._drop(turn)
            self._free -= 1
            self._in_work[turn.tenant] += 1
            turn.begin()

    def _fits(self, tenant: str) -> bool:
        return self._free > (self._spare if tenant and self._in_work[tenant] else 0)

    def _leave(self, turn: Turn) -> None:
        if turn in self._line:
            self._drop(turn)
        elif turn.came:
            held(turn.seconds)
            self._free += 1
            self._in_work -= Counter([turn.tenant])  # which forgets who has none left
            self._hand_out()

    def _drop(self, turn: Turn) -> None:
        self._line.remove(turn)
        telemetry.QUEUE_DEPTH.dec()
