"""The encoders and decoders behind the gateway: who is up, who can do what, who has least to do."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cmvc.errors import BackendUnavailableError, CmvcError
from cmvc.service import telemetry
from cmvc.service.channel import open_aio_channel
from cmvc.service.security import ChannelSecurity
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub

PROBE_SECONDS = 0.5
PROBE_TIMEOUT_S = 5.0
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
        up: whether it takes work.
        outstanding: pieces of work that it has.
        calls: those in flight; ended from here when it is found dead.
        silent_probes: how many in a row it did not answer in time.
        capabilities: as it last told; None before it was ever up.
    """

    address: str
    channel: grpc.aio.Channel
    stub: Any
    up: bool = False
    outstanding: int = 0
    capabilities: C | None = None
    calls: set[Any] = field(default_factory=set)
    silent_probes: int = 0


class Pool(Generic[C]):
    """Backends of one kind."""

    def __init__(
        self,
        addresses: Sequence[str],
        service: str,
        stub: Callable[[grpc.aio.Channel], Any],
        capabilities_request: Any,
        security: ChannelSecurity,
        *,
        wait_s: float,
    ) -> None:
        """Make channels to all ``addresses``; nothing connects before ``start``.

        ``wait_s`` is how many seconds work waits for a backend to come back before it is refused.
        """
        self._wait_s = wait_s
        self.service = service
        self._request = capabilities_request
        self.metadata = security.metadata()
        self.backends: list[Backend[C]] = []
        for address in addresses:
            channel = open_aio_channel(address, security)
            self.backends.append(Backend(address, channel, stub(channel)))
            telemetry.BACKEND_UP.labels(address).set(0)
        self._changed = asyncio.Condition()
        self._probing: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look at every backend once, then keep looking."""
        await asyncio.gather(*(self._probe(backend) for backend in self.backends))
        self._probing = [asyncio.create_task(self._keep_probing(backend)) for backend in self.backends]

    async def close(self) -> None:
        """Stop looking and close the channels."""
        for task in self._probing:
            task.cancel()
        await asyncio.gather(*self._probing, return_exceptions=True)
        for backend in self.backends:
            await backend.channel.close(None)

    def known(self) -> list[C]:
        """Return what every backend that was ever up can do."""
        return [backend.capabilities for backend in self.backends if backend.capabilities is not None]

    @property
    def any_up(self) -> bool:
        """Whether any backend takes work."""
        return any(backend.up for backend in self.backends)

    @asynccontextmanager
    async def lease(
        self,
        able: Callable[[C], bool],
        slots: Callable[[C], int],
        avoid: Backend[C] | None = None,
    ) -> AsyncIterator[Backend[C]]:
        """Hold a place at the able backend with least to do for the length of the block.

        Args:
            able: whether a backend with these capabilities will do.
            slots: pieces of work that a backend with these capabilities is given at a time; waits while all have
                as many.
            avoid: taken only where there is no other.

        Raises:
            BackendUnavailableError: there is none of this kind, or no able one was up for ``wait_s``.
        """
        if not self.backends:
            raise BackendUnavailableError(self.explain_absence())
        backend = await self._wait(able, slots, avoid)
        try:
            yield backend
        finally:
            backend.outstanding -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _wait(self, able: Callable[[C], bool], slots: Callable[[C], int], avoid: Backend[C] | None) -> Backend[C]:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._wait_s
        async with self._changed:
            while True:
                known = [(each, each.capabilities) for each in self.backends if each.up and each.capabilities]
                fit = [(each, can) for each, can in known if able(can)]
                free = [each for each, can in fit if each.outstanding < slots(can)]
                if free:
                    chosen = min(free, key=lambda each: (each is avoid, each.outstanding))
                    chosen.outstanding += 1
                    return chosen
                if fit:  # busy, so it will be notified
                    give_up = loop.time() + self._wait_s
                elif loop.time() >= give_up:
                    raise BackendUnavailableError(self.explain_absence())
                try:
                    await asyncio.wait_for(self._changed.wait(), PROBE_SECONDS)
                except TimeoutError:
                    continue

    def explain_absence(self) -> str:
        """Return a message for when no backend will do."""
        kind = self.service.rpartition(".Video")[2].lower()
        if not self.backends:
            return f"this gateway has no {kind}; start it with --{kind} HOST:PORT"
        addresses = ", ".join(backend.address for backend in self.backends)
        return f"no {kind} that can do this is up (configured: {addresses}); start one, or try again later"

    async def failed(self, backend: Backend[C], error: CmvcError) -> None:
        """Give ``backend``, whose work ended with ``error``, no more of it until a probe finds it well."""
        await self._set(backend, False, str(error))

    async def _keep_probing(self, backend: Backend[C]) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            await self._probe(backend)

    async def _probe(self, backend: Backend[C]) -> None:
        health = health_pb2_grpc.HealthStub(backend.channel)
        try:
            answer = await health.Check(
                health_pb2.HealthCheckRequest(service=self.service), timeout=PROBE_TIMEOUT_S, metadata=self.metadata
            )
            up, why = answer.status == health_pb2.HealthCheckResponse.SERVING, "it says so"
            if up and not backend.up:
                backend.capabilities = await backend.stub.GetCapabilities(
                    self._request, timeout=PROBE_TIMEOUT_S, metadata=self.metadata
                )
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
            await self._set(backend, up, why)

    async def _set(self, backend: Backend[C], up: bool, why: str) -> None:
        if up != backend.up:
            level, state = (logging.INFO, "up") if up else (logging.WARNING, "down")
            log.log(level, "backend %s is %s: %s", backend.address, state, why)
        backend.up = up
        telemetry.BACKEND_UP.labels(backend.address).set(int(up))
        async with self._changed:
            self._changed.notify_all()


def encoder_pool(addresses: Sequence[str], security: ChannelSecurity, wait_s: float) -> Pool[EncoderCapabilities]:
    """Return the pool of encoders."""
    service = encoder_pb2.DESCRIPTOR.services_by_name["VideoEncoder"].full_name
    request = encoder_pb2.VideoEncoderGetCapabilitiesRequest()
    return Pool(addresses, service, VideoEncoderStub, request, security, wait_s=wait_s)


def decoder_pool(addresses: Sequence[str], security: ChannelSecurity, wait_s: float) -> Pool[DecoderCapabilities]:
    """Return the pool of decoders."""
    service = decoder_pb2.DESCRIPTOR.services_by_name["VideoDecoder"].full_name
    request = decoder_pb2.VideoDecoderGetCapabilitiesRequest()
    return Pool(addresses, service, VideoDecoderStub, request, security, wait_s=wait_s)
