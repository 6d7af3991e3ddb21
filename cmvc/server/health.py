"""What a server says of its health, by ``grpc.health.v1``."""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cmvc.errors import OverloadedError
from cmvc.services import Attached
from cmvc.wire.status import abort

LOOK_SECONDS = 0.5  # between two looks at what the service says of itself
MOST_WATCHES = 64  # at once: they need no token and last for as long as their client likes
Answer = health_pb2.HealthCheckResponse
_STATUS = {True: Answer.SERVING, False: Answer.NOT_SERVING}


class _Answers(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # which has no stubs
    """Answers with what was said last. Unlike grpcio-health-checking's it bounds who watches, and forgets nobody."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}
        self._changed = asyncio.Condition()
        self._watching = 0

    async def say(self, said: dict[str, int]) -> None:
        if said != self._said:
            self._said = said
            async with self._changed:
                self._changed.notify_all()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:  # noqa: N802
        if request.service not in self._said:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return Answer(status=self._said[request.service])

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802
        if self._watching >= MOST_WATCHES:
            await abort(context, OverloadedError(f"{MOST_WATCHES} watch already, as many as may; ask by Check"))
        self._watching += 1
        try:
            last = None
            while True:
                now = self._said.get(request.service, Answer.SERVICE_UNKNOWN)
                if now == last:
                    async with self._changed:
                        await self._changed.wait()
                    continue
                last = now
                await context.write(Answer(status=now))
        finally:
            self._watching -= 1


class Health:
    """Answers health checks with what a service says of itself."""

    def __init__(self, service: Attached) -> None:
        """Until ``look`` nothing is served."""
        self._service = service
        self._answers = _Answers()
        self._ending = False

    def answer(self, server: grpc.aio.Server) -> None:
        """Have ``server`` answer, too."""
        health_pb2_grpc.add_HealthServicer_to_server(self._answers, server)

    async def starting(self) -> None:
        """Say that nothing is served yet."""
        await self._say(dict.fromkeys(self._service.health(), False))

    async def look(self) -> None:
        """Ask the service, and say what it says; after ``ending`` NOT_SERVING."""
        await self._say(self._service.health())

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def ending(self) -> None:
        """Say NOT_SERVING from now on, whatever the service says."""
        self._ending = True
        await self.starting()

    async def _say(self, serving: dict[str, bool]) -> None:
        await self._answers.say({name: _STATUS[well and not self._ending] for name, well in serving.items()})
