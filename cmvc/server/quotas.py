"""How much one tenant may use in an hour: bytes, seconds in which its calls hold places, what models make for it."""

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from cmvc.errors import QuotaError
from cmvc.server import telemetry
from cmvc.server.handlers import Handler, Interceptor, WrappedContext, rebuilt
from cmvc.server.tenant import tenant

_HOUR_S = 3600.0
_NOBODY = "none"  # as a label: callers whom nothing tells apart


class Allowance:
    """So much of one thing at once, which comes back steadily within an hour.

    What is used beyond it is a debt: it comes back first.
    """

    def __init__(self, hourly: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with all of it; ``clock`` gives seconds."""
        self._hourly = self._left = hourly
        self._clock = clock
        self._then = clock()
        self._lock = threading.Lock()  # what models make is counted where it is decoded, in threads

    def use(self, amount: float) -> float:
        """Take ``amount`` and return what is left; below 0: the debt."""
        with self._lock:
            now = self._clock()
            self._left = min(self._hourly, self._left + (now - self._then) * self._hourly / _HOUR_S) - amount
            self._then = now
            return self._left

    def back_after(self) -> float:
        """Return after how many seconds there is some of it again; 0 where there is."""
        return max(0.0, -self.use(0)) * _HOUR_S / self._hourly

    @property
    def overdrawn(self) -> bool:
        """Whether the debt is as large as the allowance itself."""
        return self.use(0) <= -self._hourly


@dataclass(frozen=True)
class Hourly:
    """What each tenant may use in an hour; None: any amount.

    Attributes:
        bytes: that it sends and is sent.
        seconds: in which its calls hold places.
        pixel_steps: that models make for it (see ``cmvc.profiles.generation``).
    """

    bytes: float | None = None
    seconds: float | None = None
    pixel_steps: float | None = None


class Account:
    """What one tenant has used, and may use."""

    def __init__(self, name: str, hourly: Hourly) -> None:
        """Open it."""
        self._bytes, self._seconds, self._pixel_steps = (
            Allowance(amount) if amount else None for amount in (hourly.bytes, hourly.seconds, hourly.pixel_steps)
        )
        named = {"bytes": self._bytes, "seconds": self._seconds, "pixels times steps": self._pixel_steps}
        self._bounded = {thing: allowance for thing, allowance in named.items() if allowance}
        self._label = name or _NOBODY

    def check(self) -> None:
        """Return where a call may begin.

        Raises:
            QuotaError: something is used up.
        """
        for thing, allowance in self._bounded.items():
            if allowance.use(0) <= 0:
                raise _used_up(thing, allowance)

    def carry(self, count: int, direction: str) -> None:
        """Count bytes that came (``in``) or went (``out``).

        A call that has begun may go into debt, by as much as an hour's worth.

        Raises:
            QuotaError: it did.
        """
        telemetry.TENANT_BYTES.labels(self._label, direction).inc(count)
        if self._bytes:
            self._bytes.use(count)
        for thing, allowance in self._bounded.items():
            if allowance.overdrawn:
                raise _used_up(thing, allowance)

    def hold(self, seconds: float) -> None:
        """Count the time that a call held a place."""
        telemetry.TENANT_SECONDS.labels(self._label).inc(seconds)
        if self._seconds:
            self._seconds.use(seconds)

    def generate(self, pixel_steps: int) -> None:
        """Count what a model makes for it: pixels times denoising steps."""
        telemetry.TENANT_PIXEL_STEPS.labels(self._label).inc(pixel_steps)
        if self._pixel_steps:
            self._pixel_steps.use(pixel_steps)


def _used_up(thing: str, allowance: Allowance) -> QuotaError:
    return QuotaError(
        f"the quota of {thing} of this caller is used up; more comes back within the hour", allowance.back_after()
    )


_ACCOUNT: ContextVar[Account | None] = ContextVar("account", default=None)


def held(seconds: float) -> None:
    """Count the time that the call that is being handled held a place."""
    account = _ACCOUNT.get()
    if account is not None:
        account.hold(seconds)


def generated(pixel_steps: int) -> None:
    """Count what a model makes for the call that is being handled: pixels times denoising steps."""
    account = _ACCOUNT.get()
    if account is not None:
        account.generate(pixel_steps)


class QuotaInterceptor(Interceptor):
    """Counts what tenants use, and refuses those who have used up what they may."""

    def __init__(self, hourly: Hourly) -> None:
        """Allow each tenant so much."""
        self._hourly = hourly
        self._accounts: dict[str, Account] = {}  # of callers who were verified: no stranger adds any

    def around(self, handler: Handler) -> Handler:
        """Return the handler with an account of what goes through it."""

        async def counted(requests: AsyncIterator[Any], context: Any) -> Any:
            account = self._accounts.setdefault(tenant(), Account(tenant(), self._hourly))
            _ACCOUNT.set(account)
            return await handler.stream_stream(_read(requests, account), _Context(context, account))

        return rebuilt(handler, counted, handler.request_deserializer)


async def _read(requests: AsyncIterator[Any], account: Account) -> AsyncIterator[Any]:
    account.check()
    async for request in requests:
        account.carry(request.ByteSize(), "in")
        yield request


class _Context(WrappedContext):
    """A call's context that counts what is written."""

    def __init__(self, context: Any, account: Account) -> None:
        super().__init__(context)
        self._account = account

    async def write(self, message: Any) -> None:
        self._account.carry(message.ByteSize(), "out")
        await self._context.write(message)
