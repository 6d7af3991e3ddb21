"""Connections of callers who begin a request and do not go on, or send nothing at all."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_for(seconds: float) -> type[H11Protocol]:
    """Return uvicorn's kind of connection, but one that is cut where a request's head takes longer than ``seconds``.

    That counts from the connection on, then from the first byte after each answer. How long it is kept without one
    uvicorn bounds itself; bodies are bounded by whoever reads them.
    """

    class Connection(H11Protocol):
        """See above."""

        _cut: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            self._wait()
            super().data_received(data)
            if self.cycle and not self.cycle.response_complete:
                self._stop()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _wait(self) -> None:
            answering = self.cycle and not self.cycle.response_complete
            if not answering and self._cut is None:
                self._cut = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._cut:
                self._cut.cancel()
                self._cut = None

    return Connection
