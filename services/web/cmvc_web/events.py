"""What happens to a result, in order, for whoever wants to know: now, later, or from where they left off."""

from collections.abc import AsyncGenerator
from typing import Any

from cmvc_web.growing import Changes

Event = dict[str, Any]


class Events:
    """Events of one result; all are kept but those of progress, of which the last one counts.

    Attributes:
        items: the kept ones, each with its number ``n`` from 0.
        ended: whether no more come.
    """

    def __init__(self) -> None:
        self.items: list[Event] = []
        self.ended = False
        self._progress: Event | None = None
        self._changes = Changes()

    def add(self, event: str, **fields: Any) -> None:
        """Add an event."""
        self.items.append({"event": event, "n": len(self.items), **fields})
        self._changes.tell()

    def progress(self, **fields: Any) -> None:
        """Say how far the work has come."""
        self._progress = {"event": "progress", **fields}
        self._changes.tell()

    def end(self) -> None:
        """No more come."""
        self.ended = True
        self._changes.tell()

    async def follow(self, after: int = -1) -> AsyncGenerator[Event]:
        """Yield the events numbered above ``after``, and progress between them, until there are no more."""
        shown: Event | None = None
        while True:
            while after + 1 < len(self.items):
                after += 1
                yield self.items[after]
            if self._progress is not shown and not self.ended:
                shown = self._progress
                if shown is not None:
                    yield shown
                continue
            if self.ended:
                return
            await self._changes.wait()
