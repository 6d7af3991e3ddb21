"""Runs an iterator in a thread of its own, a bounded number of items ahead."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
_POLL_SECONDS = 0.1


class _End:
    """Marks the end of the items, with the error that caused it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield ``items`` while a thread works out up to ``depth`` more.

    An error of ``items`` is raised here, after the items before it. When the consumer stops early (closes this
    generator), ``items`` is stopped before its next item, and this waits for that.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def offer(item: T | _End) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=_POLL_SECONDS)
                return

    def produce() -> None:
        end = _End()
        try:
            for item in items:
                offer(item)
                if stopped.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            end = _End(error)
        finally:
            close = getattr(items, "close", None)
            if close:
                close()
        offer(end)

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error:
            raise item.error
    finally:
        stopped.set()
        thread.join()
