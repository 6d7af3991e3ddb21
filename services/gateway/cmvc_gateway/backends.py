"""The encoders and decoders behind the gateway: who is up, who can do what, who has least to do."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cmvc.errors import BackendUnavailableError, CmvcError
from cmvc.server import telemetry
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire.channel import open_aio_channel, open_channel
from cmvc.wire.security import ChannelSecurity
from cmvc_gateway.discovery import Name, is_name, resolve
from cmvc_gateway.options import Resolver

ABOUT_SECONDS = 5.0  # after its last piece of work a tenant may well come with another
RESOLVE_SECONDS = 2.0  # between two looks at a name
FIRST_LOOK_S = 5.0  # how long a start waits for names; they are looked up further
PROBE_SECONDS = 0.5
PROBE_TIMEOUT_S = 5.0
ASK_SECONDS = 2.0  # between two questions to a backend that is up what it can do: models come and go, and adapters
REST_SECONDS = 1.0  # after a failure, in which others are given work first; twice as long after each one more
MOST_REST_S = 10.0
_MOST_FAILURES = 5  # that make a rest longer; after more of them it is the longest anyway
SILENT_PROBES_DOWN = 2  # unanswered in a row: given no more work
SILENT_PROBES_DEAD = 4  # likewise: a process that hangs, so that what it holds is driven again elsewhere
DecoderCapabilities = decoder_pb2.VideoDecoderGetCapabilitiesResponse
EncoderCapabilities = encoder_pb2.VideoEncoderGetCapabilitiesResponse
log = logging.getLogger(__name__)
C = TypeVar("C", DecoderCapabilities, EncoderCapabilities)


@dataclass(eq=False)
class Backend(Generic[C]):
    """One encoder or decoder.

    Attributes:
        address: ``HOST:PORT``.
        channel: to it.
        stub: of its service.
        blocking: another channel to it, for calls from threads; None where there are none.
        up: whether it takes work.
        outstanding: pieces of work that it has.
        most: that it is given until it has told again what it can do; None where it has not refused any since it did.
        capabilities: as it last told; None before it was ever up.
        asked: when that was, by the event loop's clock.
        calls: those in flight; ended from here when it is found dead.
        silent_probes: how many in a row it did not answer in time.
        probed: set once the first probe has ended.
        doubted: set where the next probe should not be waited for.
        failures: pieces of work that it failed at since it last did one, as far as they count.
        rests_until: by the event loop's clock; until then it is given work only where no other will do.
        leaving: whether its name no longer has this address: it ends what it has and gets no more.
    """

    address: str
    channel: grpc.aio.Channel
    stub: Any
    blocking: grpc.Channel | None = None
    up: bool = False
    outstanding: int = 0
    most: int | None = None
    capabilities: C | None = None
    asked: float = 0.0
    calls: set[Any] = field(default_factory=set)
    silent_probes: int = 0
    probed: asyncio.Event = field(default_factory=asyncio.Event)
    doubted: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    rests_until: float = 0.0
    leaving: bool = False

    def bounded(self, slots: int) -> int:
        """Return how many pieces of work it is given of the ``slots`` that it has."""
        return slots if self.most is None else min(slots, self.most)


@dataclass(eq=False)
class _Waiter(Generic[C]):
    """Work that waits for a place at a backend; see ``Pool.lease``."""

    able: Callable[[C], bool]
    slots: Callable[[C], int]
    avoid: str
    without: Collection[str]
    tenant: str
    backend: Backend[C] | None = None
    came: asyncio.Event = field(default_factory=asyncio.Event)


class Pool(Generic[C]):
    """Backends of one kind: fixed addresses and whatever addresses names have at the moment."""

    def __init__(
        self,
        targets: Sequence[str],
        service: str,
        stub: Callable[[grpc.aio.Channel], Any],
        capabilities_request: Any,
        security: ChannelSecurity,
        *,
        wait_s: float,
        resolver: Resolver | None = None,
        blocking: bool = False,
    ) -> None:
        """Take note of ``targets`` (``HOST:PORT`` or ``dns:NAME:PORT``); nothing connects before ``start``.

        Args:
            targets: see above.
            service: full name of their gRPC service.
            stub: makes its stub of a channel.
            capabilities_request: asks it what it can do.
            security: of the channels.
            wait_s: how many seconds work waits for a backend to come back before it is refused.
            resolver: looks names up; None asks the system.
            blocking: whether calls are made from threads, too.

        Raises:
            InvalidSettingError: a target is malformed.
        """
        self._wait_s = wait_s
        self.service = service
        self._stub = stub
        self._request = capabilities_request
        self._security = security
        self._blocking = blocking
        self.metadata = security.metadata()
        self.targets = tuple(targets)
        self._names = [Name(target, resolver or resolve) for target in targets if is_name(target)]
        self._members: dict[str, Backend[C]] = {}
        self._line: list[_Waiter[C]] = []
        self._in_work: Counter[str] = Counter()
        self._about: dict[str, float] = {}  # when each tenant had work last, of late
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def backends(self) -> list[Backend[C]]:
        """Those that there are now, up or down; without those that are leaving."""
        return [backend for backend in self._members.values() if not backend.leaving]

    async def start(self) -> None:
        """Look at every backend once, then keep looking. A name that takes long to resolve is not waited for."""
        self._settle()
        for name in self._names:
            self._run(self._follow(name))
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await asyncio.gather(*(name.looked.wait() for name in self._names))
        await asyncio.gather(*(backend.probed.wait() for backend in self.backends))

    async def close(self) -> None:
        """Stop looking and close the channels."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for backend in self._members.values():
            await _close(backend)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, name: Name) -> None:
        while True:
            await name.look()
            self._settle()
            await asyncio.sleep(RESOLVE_SECONDS)

    def _settle(self) -> None:
        """Take in the addresses that are new and let go of those that are no longer there."""
        wanted = dict.fromkeys((target for target in self.targets if not is_name(target)), "")
        for name in self._names:
            for address in name.addresses:
                wanted.setdefault(address, name.name)
        for address, server_name in wanted.items():
            self._join(address, server_name)
        for backend in self.backends:
            if backend.address not in wanted:
                log.info("backend %s is leaving", backend.address)
                backend.leaving = True
                telemetry.BACKEND_UP.remove(backend.address)

    def _join(self, address: str, server_name: str) -> None:
        backend = self._members.get(address)
        if backend is None:
            channel = open_aio_channel(address, self._security, server_name)
            blocking = open_channel(address, self._security, server_name) if self._blocking else None
            backend = self._members[address] = Backend(address, channel, self._stub(channel), blocking)
            self._run(self._watch(backend))
        elif not backend.leaving:
            return
        log.info("backend %s joins", address)
        backend.leaving = False
        telemetry.BACKEND_UP.labels(address).set(int(backend.up))

    def able(self) -> list[C]:
        """Return what every backend that is up can do."""
        return [can for _, can in self._working()]

    def addresses(self, able: Callable[[C], bool]) -> set[str]:
        """Return the addresses of the backends that will do, up or down."""
        return {each.address for each in self.backends if each.capabilities and able(each.capabilities)}

    def known(self) -> list[C]:
        """Return what every backend that was ever up can do."""
        return [backend.capabilities for backend in self.backends if backend.capabilities is not None]

    async def ask_again(self) -> None:
        """Ask every backend that is up what it can do; one that does not answer keeps what it said before."""
        await asyncio.gather(*(self._ask(each) for each in self.backends if each.up), return_exceptions=True)

    @property
    def any_up(self) -> bool:
        """Whether any backend takes work."""
        return any(backend.up for backend in self.backends)

    @asynccontextmanager
    async def lease(
        self,
        able: Callable[[C], bool],
        slots: Callable[[C], int],
        *,
        avoid: str = "",
        without: Collection[str] = (),
        tenant: str = "",
    ) -> AsyncIterator[Backend[C]]:
        """Hold a place at the able backend with least to do for the length of the block.

        A place that is free goes to the tenant that has fewest, and within a tenant in the order of arrival. The last
        of a backend's places, where work waits for other work, is for nobody who has more than another who is about.

        Args:
            able: whether a backend with these capabilities will do.
            slots: pieces of work that a backend with these capabilities is given at a time; waits while all have
                as many.
            avoid: address of one that is taken only where there is no other.
            without: addresses of those that will not do.
            tenant: whose work it is.

        Raises:
            BackendUnavailableError: there is none of this kind, or no able one was up for ``wait_s``.
        """
        if not self.targets:
            raise BackendUnavailableError(self.explain_absence())
        waiter = _Waiter(able, slots, avoid, without, tenant)
        self._line.append(waiter)
        self._seen(tenant)
        self._hand_out()
        try:
            yield await self._await_turn(waiter)
        finally:
            self._leave(waiter)

    async def _await_turn(self, waiter: "_Waiter[C]") -> Backend[C]:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._wait_s
        while waiter.backend is None:
            if self._fit(waiter):  # busy: its turn will come
                give_up = loop.time() + self._wait_s
            elif loop.time() >= give_up:
                raise BackendUnavailableError(self.explain_absence())
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await waiter.came.wait()
        return waiter.backend

    def _fit(self, waiter: "_Waiter[C]") -> list[tuple[Backend[C], C]]:
        """Return those that work now and will do: those that failed lately only where there is no other.

        One that fails fast is always free, and would be given whatever others are too busy for.
        """
        now = asyncio.get_running_loop().time()
        fit = [(each, can) for each, can in self._working() if each.address not in waiter.without and waiter.able(can)]
        return [each for each in fit if each[0].rests_until <= now] or fit

    def _working(self) -> list[tuple[Backend[C], C]]:
        return [(each, each.capabilities) for each in self.backends if each.up and each.capabilities]

    def _hand_out(self) -> None:
        """Give free places to those in line, as fairly as ``lease`` says."""
        given = True
        while given:
            # Stable: of one tenant, who came first.
            turns = sorted(self._line, key=lambda each: self._in_work[each.tenant])
            given = any(map(self._give, turns))

    def _give(self, waiter: "_Waiter[C]") -> bool:
        """Give a place to ``waiter`` if one is free that will do; return whether one was."""
        fit = self._fit(waiter)
        spare = int(self._has_more(waiter.tenant))
        free = [each for each, can in fit if each.outstanding < max(each.bounded(waiter.slots(can)) - spare, 1)]
        if not free:
            return False
        waiter.backend = min(free, key=lambda each: (each.address == waiter.avoid, each.outstanding))
        waiter.backend.outstanding += 1
        self._in_work[waiter.tenant] += 1
        self._line.remove(waiter)
        waiter.came.set()
        return True

    def _has_more(self, tenant: str) -> bool:
        """Return whether a tenant has more in work than another that had some of late."""
        now = asyncio.get_running_loop().time()
        self._about = {each: then for each, then in self._about.items() if now - then < ABOUT_SECONDS}
        return any(self._in_work[each] < self._in_work[tenant] for each in self._about)

    def _seen(self, tenant: str) -> None:
        self._about[tenant] = asyncio.get_running_loop().time()

    def _leave(self, waiter: "_Waiter[C]") -> None:
        if waiter.backend is None:
            self._line.remove(waiter)
            return
        waiter.backend.outstanding -= 1
        self._in_work -= Counter([waiter.tenant])  # which forgets who has none left
        self._seen(waiter.tenant)
        self._hand_out()

    def explain_absence(self) -> str:
        """Return a message for when no backend will do."""
        kind = self.service.rpartition(".Video")[2].lower()
        if not self.targets:
            return f"this gateway has no {kind}; start it with --{kind} HOST:PORT"
        found = f"; addresses now: {len(self.backends)}" if self._names else ""
        return (
            f"no {kind} that can do this is up (configured: {', '.join(self.targets)}{found});"
            " start one, or try again later"
        )

    def failed(self, backend: Backend[C], error: CmvcError) -> None:
        """Note that work failed at ``backend``: others come first for a while.

        One that did not come to its end is given no more until a probe, made now, finds it well.
        """
        backend.failures = min(backend.failures + 1, _MOST_FAILURES)
        rest = min(REST_SECONDS * 2 ** (backend.failures - 1), MOST_REST_S)
        loop = asyncio.get_running_loop()
        backend.rests_until = loop.time() + rest
        loop.call_later(rest, self._hand_out)
        if isinstance(error, BackendUnavailableError):
            self._set(backend, False, str(error))
            backend.doubted.set()

    def full(self, backend: Backend[C]) -> None:
        """Note that ``backend`` refused work for want of room.

        It gets no more than it has kept until it has said, being asked now, how many others give it work.
        """
        backend.most = max(backend.outstanding - 1, 1)
        backend.asked = 0.0
        backend.doubted.set()

    def worked(self, backend: Backend[C]) -> None:
        """Note that work was done at ``backend``."""
        backend.failures, backend.rests_until = 0, 0.0

    async def _watch(self, backend: Backend[C]) -> None:
        """Probe a backend for as long as it is there, and while it ends what it has; then part from it."""
        while not backend.leaving or backend.outstanding:
            backend.doubted.clear()
            await self._probe(backend)
            backend.probed.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await backend.doubted.wait()
        # Before anything is awaited: an address that comes back from here on gets a channel of its own.
        del self._members[backend.address]
        await _close(backend)

    async def _probe(self, backend: Backend[C]) -> None:
        health = health_pb2_grpc.HealthStub(backend.channel)
        try:
            answer = await health.Check(
                health_pb2.HealthCheckRequest(service=self.service), timeout=PROBE_TIMEOUT_S, metadata=self.metadata
            )
            up, why = answer.status == health_pb2.HealthCheckResponse.SERVING, "it says so"
            if up and (not backend.up or asyncio.get_running_loop().time() - backend.asked >= ASK_SECONDS):
                await self._ask(backend)
        except grpc.aio.AioRpcError as failed:
            silent = failed.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            backend.silent_probes = backend.silent_probes + 1 if silent else 0
            # A machine under load may be late once; one that refuses is not there.
            up = silent and backend.up and backend.silent_probes < SILENT_PROBES_DOWN
            why = f"health check: {failed.code().name} {failed.details()}"
        else:
            backend.silent_probes = 0
        if backend.silent_probes == SILENT_PROBES_DEAD:
            for call in tuple(backend.calls):
                call.cancel()
        if up != backend.up:
            self._set(backend, up, why)

    async def _ask(self, backend: Backend[C]) -> None:
        backend.capabilities = await backend.stub.GetCapabilities(
            self._request, timeout=PROBE_TIMEOUT_S, metadata=self.metadata
        )
        backend.asked = asyncio.get_running_loop().time()
        backend.most = None
        self._hand_out()

    def _set(self, backend: Backend[C], up: bool, why: str) -> None:
        if up != backend.up:
            state = "up" if up else "down"
            level = logging.INFO if up or backend.leaving else logging.WARNING
            log.log(level, "backend %s is %s: %s", backend.address, state, why)
        backend.up = up
        if not backend.leaving:
            telemetry.BACKEND_UP.labels(backend.address).set(int(up))
        self._hand_out()


async def _close(backend: Backend[Any]) -> None:
    await backend.channel.close(None)
    if backend.blocking:
        backend.blocking.close()


def encoder_pool(
    targets: Sequence[str], security: ChannelSecurity, wait_s: float, resolver: Resolver | None = None
) -> Pool[EncoderCapabilities]:
    """Return the pool of encoders."""
    service = encoder_pb2.DESCRIPTOR.services_by_name["VideoEncoder"].full_name
    request = encoder_pb2.VideoEncoderGetCapabilitiesRequest()
    return Pool(targets, service, VideoEncoderStub, request, security, wait_s=wait_s, resolver=resolver, blocking=True)


def decoder_pool(
    targets: Sequence[str], security: ChannelSecurity, wait_s: float, resolver: Resolver | None = None
) -> Pool[DecoderCapabilities]:
    """Return the pool of decoders."""
    service = decoder_pb2.DESCRIPTOR.services_by_name["VideoDecoder"].full_name
    request = decoder_pb2.VideoDecoderGetCapabilitiesRequest()
    return Pool(targets, service, VideoDecoderStub, request, security, wait_s=wait_s, resolver=resolver)
