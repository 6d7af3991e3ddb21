"""Work in threads of its own: ahead of its consumer, or with a limit to how long it is waited for."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_POLL_SECONDS = 0.1


class StoppedError(Exception):
    """Ends work whose result nobody wants any more."""


class _End:
    """Marks the end of the items, with the error that caused it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield ``items`` while a thread works out up to ``depth`` more; see ``Begun``. Nothing begins before the first."""
    with closing(Begun(items, depth)) as begun:
        yield from begun


class Begun(Generic[T]):
    """The items of a source, which a thread works out from now on, up to ``depth`` ahead.

    An error is raised after the items before it, and not held here: it leads to all that was in work, which for large
    pictures is a gigabyte. To be closed: that stops the source before its next item, and waits for it.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._ready: queue.Queue[T | _End] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._ended = False
        # In a copy of this context, so that traces and logs know what the work belongs to.
        self._thread = threading.Thread(target=copy_context().run, args=(self._produce,), name="ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next item."""
        item = _End() if self._ended else self._ready.get()
        if not isinstance(item, _End):
            return item
        self._ended = True
        try:
            raise item.error or StopIteration
        finally:
            del item  # which this call, and so the error's own traceback, would lead to

    def stop(self) -> None:
        """Let the source end before its next item; return at once."""
        self._stopped.set()

    def close(self) -> None:
        """Stop the source and wait for it."""
        self.stop()
        self._thread.join()

    def _produce(self) -> None:
        """Offer each of the items, until they end or nobody wants them any more."""
        end = _End()
        try:
            for item in self._items:
                self._offer(item)
                if self._stopped.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            end = _End(error)
        finally:
            close = getattr(self._items, "close", None)
            if close:
                close()
        self._offer(end)
        del end  # likewise

    def _offer(self, item: T | _End) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._ready.put(item, timeout=_POLL_SECONDS)
                return


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, run in a thread of its own.

    Raises:
        TimeoutError: it took longer; its thread is left behind, since nothing can end it.
        BaseException: whatever ``work`` raised.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed over to the caller, whatever it is
            done.set_exception(error)

    threading.Thread(target=run, name="within", daemon=True).start()
    return done.result(seconds)


def reported(work: Callable[[Callable[[T | None], None]], R]) -> Generator[T, None, R]:
    """Yield what ``work`` reports while it runs in a thread of its own; return what it returns.

    Args:
        work: is given a function to report with; None reports nothing. Once the consumer has stopped early (closed this
            generator), that function raises ``StoppedError``, and this waits for ``work`` to end.

    Raises:
        BaseException: whatever ``work`` raised, after its reports.
    """
    reports: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    stopped = threading.Event()
    done: Future[R] = Future()

    def report(item: T | None) -> None:
        if stopped.is_set():
            raise StoppedError("nobody wants the result any more")
        if item is not None:
            reports.put(item)

    def run() -> None:
        try:
            done.set_result(work(report))
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            done.set_exception(error)
        finally:
            reports.put(_End())

    thread = threading.Thread(target=run, name="reported", daemon=True)
    thread.start()
    try:
        while not isinstance(item := reports.get(), _End):
            yield item
    finally:
        stopped.set()
        thread.join()
    return done.result()


def beats(work: Callable[[], R], seconds: float, stop: Callable[[], object] = lambda: None) -> Generator[None, None, R]:
    """Yield every ``seconds`` while ``work`` runs in a thread of its own; return what it returns.

    When the consumer stops early (closes this generator), it calls ``stop`` and waits for ``work`` to end.

    Raises:
        BaseException: whatever ``work`` raised.
    """
    done: Future[R] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            done.set_exception(error)

    # In a copy of this context, so that traces and logs know what the work belongs to.
    thread = threading.Thread(target=copy_context().run, args=(run,), name="beats", daemon=True)
    thread.start()
    try:
        while not done.done():
            thread.join(seconds)
            if not done.done():
                yield
    finally:
        if not done.done():
            stop()
        thread.join()
    return done.result()


class Pace:
    """Says when it is time again to tell how far the work has come."""

    def __init__(self, seconds: float) -> None:
        """Let so many seconds pass between two times."""
        self._seconds = seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether it is time; if so, the next seconds begin."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Stopwatch(Generic[T]):
    """Passes ``items`` on, counts them in ``count``, and the time spent in them in ``seconds``."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self.seconds = 0.0
        self.count = 0

    def __iter__(self) -> Iterator[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next item."""
        started = time.monotonic()
        try:
            item = next(self._items)
        finally:
            self.seconds += time.monotonic() - started
        self.count += 1
        return item

    def close(self) -> None:
        """Stop the items, where they can be stopped."""
        close = getattr(self._items, "close", None)
        if close:
            close()
