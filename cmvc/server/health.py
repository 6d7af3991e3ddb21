"""What a server says of its health, by ``grpc.health.v1``."""

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cmvc.services import Attached

LOOK_SECONDS = 0.5  # between two looks at what the service says of itself
_STATUS = {
    True: health_pb2.HealthCheckResponse.SERVING,
    False: health_pb2.HealthCheckResponse.NOT_SERVING,
}


class Health:
    """Answers health checks with what a service says of itself."""

    def __init__(self, server: grpc.aio.Server, service: Attached) -> None:
        """Add the answers to ``server``; until ``look`` nothing is served."""
        self._service = service
        self._answers = health.aio.HealthServicer()  # type: ignore[attr-defined]  # grpc-stubs lack it
        health_pb2_grpc.add_HealthServicer_to_server(self._answers, server)

    async def starting(self) -> None:
        """Say that nothing is served yet."""
        for name in ("", *self._service.names):
            await self._answers.set(name, _STATUS[False])

    async def look(self) -> None:
        """Ask the service, and say what it says."""
        for name, serving in self._service.health().items():
            await self._answers.set(name, _STATUS[serving])

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def ending(self) -> None:
        """Say NOT_SERVING from now on, whatever the service says."""
        await self._answers.enter_graceful_shutdown()
