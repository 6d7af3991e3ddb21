"""Windows in work: begun in order, done in any, taken in order."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import closing
from contextvars import copy_context
from typing import TypeVar

from cmvc.ahead import ahead
from cmvc.control import Control
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.ingest.cutting import Batch

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[], Trial]


def in_order(
    windows: Generator[T], begin: Callable[[T], tuple[Batch, Work]], jobs: int, control: Control
) -> Generator[tuple[Batch, Trial]]:
    """Yield windows and what became of them, in order, up to ``jobs`` of them in work at a time.

    A thread of its own reads them. At most one window more than are in work is held; that one's place is free again
    once the consumer comes back for more.

    Args:
        windows: with whatever is known of them.
        begin: returns the next window as it will be kept, and the work to be done for it in a thread of its own.
        jobs: at least 1.
        control: of this stream alone; it is cancelled in the end, so that whatever goes on without a consumer stops.

    Raises:
        BaseException: whatever reading, ``begin`` and the works raise; work in front of it is yielded first.
    """
    places, running = threading.Semaphore(jobs + 1), threading.Semaphore(jobs)
    control.on_cancel(places.release)

    def begun() -> Generator[tuple[Batch, "Future[Trial]"]]:
        with closing(windows):
            while True:
                places.acquire()
                control.check()
                window = next(windows, None)
                if window is None:
                    return
                batch, work = begin(window)
                yield batch, started(work, running)
                del window, batch, work  # they would outlive their use while this waits for a place

    with closing(ahead(begun(), jobs + 1)) as works:
        try:
            for batch, trial in works:
                yield batch, trial.result()
                del batch, trial
                places.release()
        finally:
            control.cancel()


def started(work: Callable[[], R], running: threading.Semaphore) -> "Future[R]":
    """Return what ``work`` will return; it is done in a thread of its own, once ``running`` lets it."""
    done: Future[R] = Future()

    def run() -> None:
        with running:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
                done.set_exception(error)

    # In a copy of this context, so that traces and logs know what the work belongs to. A daemon: a consumer that
    # never comes back does not keep the process from ending.
    threading.Thread(target=copy_context().run, args=(run,), name="window", daemon=True).start()
    return done
